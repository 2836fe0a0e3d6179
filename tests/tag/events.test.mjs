//! Events from the page to the edge: what waits, what is sent, and what never is.

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { ALL, consent, NONE, page, sleep, startBrowser, startSite, state, until } from "./site.mjs";

let browser;
let site;
let tab;

before(async () => {
  browser = await startBrowser();
});
after(() => browser.close());

beforeEach(async (t) => {
  site = await startSite();
  const context = await browser.newContext();
  tab = await context.newPage();
  t.after(async () => {
    await context.close();
    await site.stop();
  });
});

async function open(html, path = "/") {
  site.pages[path] = html;
  await tab.goto(site.url + path);
  await tab.waitForFunction(() => !window.selvedge.calls);
}

test("calls made before the tag is there are kept in order and answered", async () => {
  let release;
  const held = new Promise((resolve) => {
    release = resolve;
  });
  site.answers["/early.js"] = () => ({
    headers: { "content-type": "text/javascript" },
    body: `selvedge.track("First", { n: 1 }); selvedge.page("Second");
      window.answer = selvedge.consent(); window.opened = selvedge.ready;`,
  });
  site.answers["/held.js"] = async () => {
    await held;
    const answer = await fetch(`${site.url}/_selvedge/tag.js`);
    return { headers: { "content-type": "text/javascript" }, body: await answer.text() };
  };
  const early = '<script src="/early.js"></script>';
  site.pages["/"] = page({ state: state(ALL), early, tag: "/held.js" });
  await tab.goto(site.url, { waitUntil: "commit" });
  await until(() => tab.evaluate(() => window.selvedge?.calls?.length === 3), "the stub's queue");
  assert.equal(site.batches().length, 0);
  release();
  await tab.waitForFunction(() => !window.selvedge.calls);
  assert.equal((await tab.evaluate(() => window.answer)).choice, "made");
  await tab.evaluate(() => window.opened);
  await until(() => site.events().length === 2, "both events");
  assert.deepEqual(
    site.events().map((event) => [event.type, event.event ?? event.name]),
    [
      ["track", "First"],
      ["page", "Second"],
    ],
  );
});

test("events of one second travel together, those of commerce at once", async () => {
  await open(page({ state: state(ALL) }));
  const began = Date.now();
  await tab.evaluate(() => {
    selvedge.track("Article Read", { title: "a" });
    selvedge.track("Article Read", { title: "b" });
  });
  await until(() => site.batches().length > 0, "a batch");
  assert.ok(site.batches()[0].at - began > 700, "it waited for more");
  assert.equal(site.events().length, 2);
  const second = Date.now();
  await tab.evaluate(() => selvedge.track("Product Added", { product_id: "p" }));
  await until(() => site.batches().length > 1, "a second batch");
  assert.ok(site.batches()[1].at - second < 700, "it did not wait");
  const [batch] = site.batches();
  assert.equal(batch.headers["content-type"], "application/json");
  assert.match(batch.json.sentAt, /^\d{4}-\d\d-\d\dT/);
  assert.match(batch.json.batch[0].messageId, /^[0-9a-f-]{36}$/);
});

test("a failed batch comes again with the same ids, not before Retry-After", async () => {
  const codes = [503, 429, 0, 200];
  site.answers["/_selvedge/v1/batch"] = () => {
    const status = codes.shift() ?? 200;
    return { status, headers: status === 429 ? { "retry-after": "2" } : {}, body: {} };
  };
  await open(page({ state: state(ALL) }));
  await tab.evaluate(() => selvedge.track("Order Completed", { total: 3 }));
  await until(() => site.batches().length >= 4, "four attempts", 20_000);
  const ids = site.batches().map((call) => call.json.batch.map((event) => event.messageId).join());
  assert.equal(new Set(ids).size, 1);
  assert.ok(site.batches()[2].at - site.batches()[1].at >= 1_950, "Retry-After was kept");
  await sleep(1_500);
  assert.equal(site.batches().length, 4, "what arrived is not sent again");
});

test("a batch that the edge refuses is dropped", async () => {
  site.answers["/_selvedge/v1/batch"] = () => ({ status: 400, body: { code: "bad" } });
  await open(page({ state: state(ALL) }));
  await tab.evaluate(() => selvedge.track("Order Completed"));
  await until(() => site.batches().length === 1, "the batch");
  await sleep(1_500);
  assert.equal(site.batches().length, 1);
});

test("what waits when the visitor leaves arrives all the same", async () => {
  await open(page({ state: state(ALL) }));
  site.pages["/next"] = "<!doctype html><title>Next</title>";
  await tab.evaluate(() => {
    selvedge.track("Article Left");
    location.assign("/next");
  });
  await until(() => site.events().length === 1, "the last event");
  await sleep(300);
  assert.equal(site.events().length, 1);
});

test("without consent nothing is sent, queued or stored", async () => {
  await open(page({ state: state(NONE) }));
  await tab.evaluate(() => {
    selvedge.track("Product Added");
    selvedge.page();
    selvedge.identify("u1", { plan: "x" });
  });
  site.answers["/_selvedge/v1/consent"] = () => ({ body: ALL });
  await sleep(1_300);
  assert.equal(site.batches().length, 0);
  assert.deepEqual(await storage(tab), {
    cookies: "",
    local: 0,
    session: 0,
    databases: [],
    caches: [],
  });
  assert.deepEqual(await tab.context().cookies(), []);
  // What was done before the consent stays undone by it.
  await tab.evaluate(() => selvedge.consent({ store: true, profile: true }, { banner: "b" }));
  await sleep(1_300);
  assert.equal(site.batches().length, 0);
});

test("with every consent the tag still stores nothing in the browser", async () => {
  await open(page({ state: state(ALL) }));
  await tab.evaluate(() => selvedge.track("Product Added"));
  await until(() => site.batches().length === 1, "a batch");
  const kept = { cookies: "", local: 0, session: 0, databases: [], caches: [] };
  assert.deepEqual(await storage(tab), kept);
});

test("while the consent is unknown events wait, and go as it then says", async () => {
  let known;
  site.answers["/_selvedge/v1/consent"] = () => (known ? { body: known } : { status: 503 });
  await open(page());
  await tab.evaluate(() => selvedge.track("Product Added"));
  await sleep(500);
  assert.equal(site.batches().length, 0);
  known = consent(["store", "measure"]);
  await until(() => site.events().length === 1, "the event that waited", 8_000);
});

test("names that mean something to JavaScript stay plain data", async () => {
  await open(page({ state: state(ALL) }));
  const polluted = await tab.evaluate(() => {
    const text =
      '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},"toString":"x"}';
    selvedge.track("Order Completed", JSON.parse(text));
    selvedge.identify("__proto__", JSON.parse(text));
    selvedge.page("constructor", JSON.parse(text));
    return "polluted" in {} || "polluted" in Object || typeof {}.toString !== "function";
  });
  assert.equal(polluted, false);
  await until(() => site.events().length === 3, "three events");
  const texts = site.batches().map((call) => call.text);
  assert.match(texts.join(), /"__proto__":\{"polluted":1\}/);
  assert.equal(await tab.evaluate(() => "polluted" in {}), false);
});

test("an event is what it was when the call was made", async () => {
  await open(page({ state: state(ALL) }));
  await tab.evaluate(() => {
    const properties = { step: 1, cyclic: undefined };
    selvedge.track("Checkout Started", properties);
    properties.step = 2;
    properties.cyclic = properties;
    selvedge.track("Checkout Started", properties);
    selvedge.track("Checkout Started", { text: "x".repeat(40_000) });
  });
  await until(() => site.events().length > 0, "the event");
  await sleep(300);
  assert.deepEqual(
    site.events().map((event) => event.properties),
    [{ step: 1 }],
  );
});

test("logging in sends what came before, and forgets what could not be sent", async () => {
  await open(page({ state: state(ALL) }));
  site.answers["/_selvedge/v1/login"] = () => ({
    body: { linked: true, attached: true, refused: null },
  });
  site.answers["/_selvedge/v1/consent"] = () => ({ body: ALL });
  const answer = await tab.evaluate(() => {
    selvedge.track("Article Read");
    return selvedge.login("a.b.c");
  });
  assert.equal(answer.linked, true);
  const paths = site.calls.map((call) => call.path);
  const [login] = site.of("/_selvedge/v1/login");
  assert.deepEqual(login.json, { token: "a.b.c" });
  assert.ok(paths.indexOf("/_selvedge/v1/batch") < paths.indexOf("/_selvedge/v1/login"));
  site.answers["/_selvedge/v1/batch"] = () => ({ status: 503, body: {} });
  site.answers["/_selvedge/v1/logout"] = () => ({ body: {} });
  await tab.evaluate(() => {
    selvedge.track("Article Read");
    return selvedge.logout();
  });
  site.answers["/_selvedge/v1/batch"] = undefined;
  const sent = site.batches().length;
  await sleep(2_500);
  assert.equal(site.batches().length, sent, "an event of the person went to nobody after logout");
});

test("a refused login says why", async () => {
  await open(page({ state: state(ALL) }));
  site.answers["/_selvedge/v1/login"] = () => ({
    status: 401,
    body: { code: "token_expired", message: "the token is too old", where: "token" },
  });
  const code = await tab.evaluate(() => selvedge.login("x").catch((error) => error.code));
  assert.equal(code, "token_expired");
});

function storage(page) {
  return page.evaluate(async () => ({
    cookies: document.cookie,
    local: localStorage.length,
    session: sessionStorage.length,
    databases: await indexedDB.databases(),
    caches: await caches.keys(),
  }));
}
