//! Two banners from npm, each in its page of `examples/banners/`, on the real worker: what a
//! visitor chooses in the banner is what the edge knows.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { startBrowser, until } from "../tag/site.mjs";
import { PAGES, publish, startEdge } from "../worker/edge.mjs";

const ROOT = new URL("../../", import.meta.url);
const TYPES = { html: "text/html; charset=utf-8", js: "text/javascript", css: "text/css" };
const read = (path) => [
  200,
  { "content-type": TYPES[path.split(".").at(-1)] },
  readFileSync(new URL(path, ROOT)),
];

const BANNERS = {
  "vanilla-cookieconsent": {
    files: ["cookieconsent.css", "cookieconsent.umd.js"],
    folder: "node_modules/vanilla-cookieconsent/dist/",
    accept: (tab) => tab.click("#cc-main .cm [data-role=all]"),
    reject: (tab) => tab.click("#cc-main .cm [data-role=necessary]"),
    async stopCounting(tab) {
      await tab.click("[data-cc=show-preferencesModal]");
      await tab.locator("#cc-main .pm input[value=measurement]").evaluate((box) => box.click());
      await tab.click("#cc-main .pm [data-role=save]");
    },
    async withdraw(tab) {
      await tab.click("[data-cc=show-preferencesModal]");
      await tab.click("#cc-main .pm [data-role=necessary]");
    },
  },
  orejime: {
    files: ["orejime-standard.css", "orejime-standard-en.js"],
    folder: "node_modules/orejime/dist/",
    accept: (tab) => tab.click(".orejime-Banner-saveButton"),
    reject: (tab) => tab.click(".orejime-Banner-declineButton"),
    async stopCounting(tab) {
      await tab.click("#privacy");
      await tab.locator("#orejime-purpose-measurement").evaluate((box) => box.click());
      await tab.click(".orejime-Modal-saveButton");
    },
    async withdraw(tab) {
      await tab.click("#privacy");
      for (const purpose of ["personalisation", "advertising"]) {
        await tab.locator(`#orejime-purpose-${purpose}`).evaluate((box) => box.click());
      }
      await tab.click(".orejime-Modal-saveButton");
    },
  },
};

const purposes = (...allowed) =>
  Object.fromEntries(
    ["measure", "personalise", "profile", "share", "store"].map((name) => [
      name,
      allowed.includes(name),
    ]),
  );
const ALL = purposes("store", "profile", "personalise", "measure", "share");
const NOT_COUNTED = purposes("store", "profile", "personalise", "share");
const NOTHING = purposes();

let edge;
let browser;
before(async () => {
  edge = await startEdge();
  await publish(edge);
  browser = await startBrowser();
});
after(async () => {
  await browser?.close();
  await edge?.stop();
});

/** A new visitor in front of the banner; `asks` counts what the page posted about consent. */
async function visit(t, name) {
  const { files, folder } = BANNERS[name];
  PAGES["/"] = read(`examples/banners/${name}/index.html`);
  PAGES["/adapter.js"] = read(`examples/banners/${name}/adapter.js`);
  for (const file of files) PAGES[`/banner/${file}`] = read(folder + file);
  const context = await browser.newContext();
  context.setDefaultTimeout(10_000);
  t.after(() => context.close());
  // Banners keep out of the way of robots.
  await context.addInitScript(() =>
    Object.defineProperty(Navigator.prototype, "webdriver", { get: () => false }),
  );
  const tab = await context.newPage();
  const errors = [];
  tab.on("pageerror", (error) => errors.push(String(error)));
  await tab.goto(String(edge.url));
  await tab.waitForFunction(() => window.selvedge && !window.selvedge.calls);
  return { context, tab, errors };
}

/** What the edge itself answers, with the browser's cookie and past everything in the page. */
const answer = (tab) =>
  tab.evaluate(() => fetch("/_selvedge/v1/consent", { cache: "no-store" }).then((a) => a.json()));

async function becomes(tab, wanted) {
  const same = async () => {
    const now = await answer(tab);
    return JSON.stringify(Object.entries(now.purposes).sort()) ===
      JSON.stringify(Object.entries(wanted).sort())
      ? now
      : false;
  };
  return until(same, `the edge says ${JSON.stringify(wanted)}`, 10_000);
}

for (const [name, banner] of Object.entries(BANNERS)) {
  test(`${name}: nothing is allowed or stored before the visitor chooses`, async (t) => {
    const { context, tab } = await visit(t, name);
    const { choice, purposes } = await answer(tab);
    assert.deepEqual([choice, { ...purposes }], ["none", NOTHING]);
    const cookies = await context.cookies();
    assert.deepEqual(
      cookies.filter((cookie) => cookie.name.includes("selvedge")),
      [],
    );
  });

  test(`${name}: accept, change and withdraw reach the edge`, async (t) => {
    const { context, tab, errors } = await visit(t, name);
    await banner.accept(tab);
    const accepted = await becomes(tab, ALL);
    assert.equal(accepted.choice, "made");
    await banner.stopCounting(tab);
    const changed = await becomes(tab, NOT_COUNTED);
    assert.equal(changed.reasons.measure, "denied_by_device");
    await banner.withdraw(tab);
    await becomes(tab, NOTHING);
    const inPage = await tab.evaluate(() => selvedge.consent());
    assert.deepEqual({ ...inPage.purposes }, NOTHING);
    // The banner remembers, and its next page brings nothing back.
    await tab.reload();
    await tab.waitForFunction(() => window.selvedge && !window.selvedge.calls);
    await tab.waitForTimeout(500);
    assert.deepEqual({ ...(await answer(tab)).purposes }, NOTHING);
    assert.equal((await context.cookies()).length > 0, true);
    assert.deepEqual(errors, []);
  });

  test(`${name}: reject reaches the edge, and a later page still knows it`, async (t) => {
    const { tab } = await visit(t, name);
    await banner.reject(tab);
    await until(async () => (await answer(tab)).choice === "made", "the refusal", 10_000);
    await tab.reload();
    const { choice, purposes } = await answer(tab);
    assert.deepEqual([choice, { ...purposes }], ["made", NOTHING]);
  });
}
