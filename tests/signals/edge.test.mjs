//! The official platforms in a page behind the real worker: what the visitor chose in the platform
//! is what the edge answers, with the string as the receipt.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { manifest, startBrowser, until } from "../tag/site.mjs";
import { PAGES, publish, send, startEdge } from "../worker/edge.mjs";
import { EVERYTHING, NOTHING, platforms, UNCOUNTED } from "./strings.mjs";

const JS = { "content-type": "text/javascript" };
const STUB = readFileSync(
  new URL("../../node_modules/@iabtechlabtcf/stub/lib/stub.js", import.meta.url),
);
const NAMES = ["measure", "personalise", "profile", "share", "store"];

let edge;
let browser;
before(async () => {
  edge = await startEdge();
  await publish(edge);
  browser = await startBrowser();
  PAGES["/platforms.js"] = [200, JS, platforms()];
  PAGES["/tcf-stub.js"] = [200, JS, STUB];
});
after(async () => {
  await browser?.close();
  await edge?.stop();
});

async function open(t, head) {
  const html = `<!doctype html><html lang="en"><head><title>A page</title>${head}</head></html>`;
  PAGES["/"] = [200, { "content-type": "text/html" }, html];
  const context = await browser.newContext();
  t.after(() => context.close());
  const tab = await context.newPage();
  await tab.goto(String(edge.url));
  await tab.waitForFunction(() => !window.selvedge.calls);
  return tab;
}

/** Waits until the edge itself allows exactly these purposes. */
function allows(tab, ...wanted) {
  const allowed = async () => {
    const { choice, purposes } = await tab.evaluate(() =>
      fetch("/_selvedge/v1/consent", { cache: "no-store" }).then((answer) => answer.json()),
    );
    const now = NAMES.filter((name) => purposes[name]);
    return choice === "made" && String(now) === String(wanted);
  };
  return until(allowed, `the edge allows ${wanted}`, 10_000);
}

test("the edge serves the files of platforms, and the stub", async () => {
  const file = await send(edge, "GET", `/_selvedge/${manifest.signals}`);
  assert.equal(file.status, 200);
  assert.match(file.headers["cache-control"], /immutable/);
  assert.match(file.headers["content-type"], /javascript/);
  const stub = await send(edge, "GET", "/_selvedge/stub.js");
  assert.deepEqual([stub.status, stub.text.includes("data")], [200, true]);
  const again = await send(edge, "GET", "/_selvedge/stub.js", {
    headers: { "if-none-match": stub.headers.etag },
  });
  assert.equal(again.status, 304);
  assert.equal((await send(edge, "GET", "/_selvedge/0123456789abcdef.js")).status, 404);
});

test("TCF: accept, change and withdraw in the platform", async (t) => {
  const scripts = '<script src="/tcf-stub.js"></script><script src="/platforms.js"></script>';
  const tab = await open(t, scripts);
  await tab.evaluate(() => {
    window.cmp = new TcfApi(31, 1, true);
    cmp.update("", true);
  });
  const chooses = (text) => tab.evaluate((text) => cmp.update(text), text);
  await chooses(EVERYTHING);
  await allows(tab, ...NAMES);
  await chooses(UNCOUNTED);
  // Sharing rests on purpose 9 as well, which is one of measuring.
  await allows(tab, "personalise", "profile", "store");
  await chooses(NOTHING);
  await allows(tab);
});

test("TCF: reject in the platform", async (t) => {
  const scripts = '<script src="/tcf-stub.js"></script><script src="/platforms.js"></script>';
  const tab = await open(t, scripts);
  await tab.evaluate((text) => new TcfApi(31, 1, true).update(text), NOTHING);
  await allows(tab);
});

test("GPP: a right to opt out that is used takes back what a banner granted", async (t) => {
  const tab = await open(t, '<script src="/platforms.js"></script>');
  await tab.evaluate(async () => {
    const all = { store: true, profile: true, personalise: true, measure: true, share: true };
    await selvedge.consent(all, { banner: "test-1" });
  });
  await allows(tab, ...NAMES);
  await tab.evaluate(() => {
    const cmp = new GppApi(31, 1);
    cmp.setApplicableSections([8]);
    cmp.setFieldValue("usca", "SaleOptOut", 1);
    cmp.setFieldValue("usca", "SharingOptOut", 1);
    cmp.setSignalStatus("ready");
    dispatchEvent(new Event("load"));
  });
  await allows(tab, "measure", "personalise", "profile", "store");
});

test("Google's Consent Mode: what is updated holds at the edge", async (t) => {
  const tab = await open(t, "<script>window.dataLayer = [];</script>");
  const update = (keys) =>
    tab.evaluate((keys) => window.dataLayer.push(["consent", "update", keys]), keys);
  const granted = "granted";
  await update({ functionality_storage: granted, analytics_storage: granted });
  await allows(tab, "measure", "store");
  await update({ analytics_storage: "denied" });
  await allows(tab, "store");
});
