// The visitor's story at the edge: consent first, events, the page with its offer, login, the
// central store's word, withdrawal, erasure. Real SQLite objects, a real origin.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { ask, Browser, evictAll, KEYS, publish, send, startEdge, traits, until } from "./edge.mjs";

let edge;
before(async () => {
  edge = await startEdge();
});
after(() => edge?.stop());

const hero = (html) => html.match(/<div data-selvedge="hero"[^>]*>([\s\S]*?)<\/div>/)?.[0] ?? "";
const objects = () => edge.miniflare.listDurableObjectIds("PROFILE");

test("before a workspace is published pages pass untouched and calls say so", async () => {
  const page = await new Browser(edge).page();
  assert.equal(page.status, 200);
  assert.doesNotMatch(page.text, /selvedge-state/);
  assert.match(page.text, /fallback of the shop/);
  const answer = await new Browser(edge).get("/v1/consent");
  assert.equal(answer.status, 503);
  assert.equal(answer.json.code, "no_workspace");
});

test("a workspace is published, and read back as it was written", async () => {
  const answer = await publish(edge);
  assert.equal(answer.status, 200, answer.text);
  assert.match(answer.json.version, /^[0-9a-f]{16}$/);
  const read = await send(edge, "GET", "/_selvedge/admin/v1/workspace", {
    headers: { authorization: "Bearer ak_test" },
  });
  assert.equal(read.json.version, answer.json.version);
  assert.match(read.json.source, /"test-1"/);
});

test("before consent nothing is set, stored or asked anywhere", async () => {
  const browser = new Browser(edge);
  const page = await browser.page();
  assert.match(hero(page.text), /data-selvedge-offer="welcome"/);
  assert.match(hero(page.text), /<strong class="selvedge-headline">Welcome<\/strong>/);
  assert.equal((await browser.get("/v1/consent")).json.choice, "none");
  const event = await browser.track("Product Added");
  assert.deepEqual(event.json.dropped, { no_device: 1 });
  assert.equal((await browser.get("/v1/slice")).status, 200);
  assert.deepEqual(browser.setCookies, []);
  assert.deepEqual(await objects(), []);
  assert.deepEqual(edge.central.facts, []);
});

test("a no is kept in the cookie alone, the same for everybody", async () => {
  const [first, second] = [new Browser(edge), new Browser(edge)];
  const choices = { store: false, profile: false, personalise: false };
  const answer = await first.consent(choices);
  assert.equal(answer.status, 200, answer.text);
  assert.equal(answer.json.choice, "made");
  assert.equal(answer.json.purposes.store, false);
  await second.consent(choices);
  assert.equal(first.cookie, second.cookie);
  assert.equal((await first.get("/v1/consent")).json.choice, "made");
  assert.deepEqual(await objects(), []);
});

test("a yes sets the cookie with all its locks and remembers events for the page", async () => {
  const browser = new Browser(edge);
  const answer = await browser.allowAll();
  assert.equal(answer.json.purposes.personalise, true, answer.text);
  const [line] = browser.setCookies;
  for (const part of ["HttpOnly", "Secure", "SameSite=Lax", "Path=/", "Max-Age=34560000"]) {
    assert.ok(line.split("; ").includes(part), `${part} in ${line}`);
  }
  assert.doesNotMatch(line, /Domain/i);
  const kept = await browser.track("Product Added", { value: 10 });
  assert.equal(kept.json.kept, 1, kept.text);
  const page = await browser.page();
  assert.match(hero(page.text), /data-selvedge-offer="basket"/);
  assert.equal(page.headers["cache-control"], "private, no-store");
  assert.equal(page.headers.etag, undefined);
  const state = JSON.parse(page.text.match(/id="selvedge-state">([^<]*)</)[1]);
  assert.equal(state.version, 1);
  assert.equal(state.decisions[0].offer, "basket");
  assert.equal(state.consent.purposes.personalise, true);
  await until(() => edge.central.facts.length >= 2, "both facts reach the central store");
});

test("the same event counts once, however often it comes", async () => {
  const browser = new Browser(edge);
  await browser.allowAll();
  const id = "one-and-the-same";
  assert.equal((await browser.track("Order Completed", {}, id)).json.kept, 1);
  for (let nth = 0; nth < 3; nth += 1) {
    const again = await browser.track("Order Completed", {}, id);
    assert.deepEqual([again.json.kept, again.json.duplicate], [0, 1]);
  }
  const batch = {
    batch: [1, 2].map(() => ({ type: "track", event: "Order Completed", messageId: id })),
  };
  assert.deepEqual((await browser.post("/v1/batch", batch)).json.duplicate, 2);
});

test("login links, the central store's traits decide the page, logout unlinks", async () => {
  edge.central.changes = (person) => [
    traits(person, { cancel_intent: { Bool: true }, first_name: { String: "Ada" } }),
  ];
  const browser = new Browser(edge);
  await browser.allowAll();
  const before = browser.cookie;
  const answer = await browser.login("C-1");
  assert.deepEqual(answer.json, { linked: true, attached: false, refused: null });
  assert.notEqual(browser.cookie, before);
  const page = await browser.page();
  assert.match(hero(page.text), /data-selvedge-offer="extension"/);
  assert.match(hero(page.text), /Stay, Ada\?/);
  const explained = await ask(edge, "explain", { customerId: "C-1", placements: ["hero"] });
  assert.equal(explained.json.profile.traits.cancel_intent, true, explained.text);
  assert.equal(explained.json.decisions[0].offer, "extension");
  const { trace } = explained.json.decisions[0];
  const basket = trace.find((line) => line.offer === "basket");
  assert.equal(basket.code, "not_eligible");
  const added = "count('Product Added', hours(24))";
  const ordered = "count('Order Completed', hours(24))";
  assert.deepEqual(basket.condition, {
    part: `${added} > ${ordered}`,
    reads: { [added]: 0, [ordered]: 0 },
  });
  assert.match(basket.sentence, /its condition is false: `count\('Product Added'/);
  assert.equal(explained.json.conditions, undefined);
  assert.equal((await browser.post("/v1/logout", {})).status, 200);
  assert.match(hero((await browser.page()).text), /data-selvedge-offer="welcome"/);
  assert.equal((await browser.get("/v1/consent")).json.purposes.store, true);
  edge.central.changes = () => [];
});

test("history from before the login comes along", async () => {
  const browser = new Browser(edge);
  await browser.allowAll();
  await browser.track("Product Added");
  const answer = await browser.login("C-2");
  assert.deepEqual(answer.json, { linked: true, attached: true, refused: null });
  assert.match(hero((await browser.page()).text), /data-selvedge-offer="basket"/);
});

test("a second person on the device is a logout of the first, without history", async () => {
  const browser = new Browser(edge);
  await browser.allowAll();
  await browser.login("C-3");
  await browser.track("Product Added");
  const answer = await browser.login("C-4");
  assert.deepEqual(answer.json, { linked: true, attached: false, refused: null });
  assert.match(hero((await browser.page()).text), /data-selvedge-offer="welcome"/);
  const first = await ask(edge, "export", { customerId: "C-3" });
  assert.ok(Object.values(first.json.held.live.devices).every((link) => link.loggedOut !== null));
});

test("an object that was evicted goes on where it was", async () => {
  const browser = new Browser(edge);
  await browser.allowAll();
  await browser.track("Product Added");
  await evictAll(edge);
  assert.match(hero((await browser.page()).text), /data-selvedge-offer="basket"/);
  const id = "after-eviction";
  await browser.track("Product Added", {}, id);
  await evictAll(edge);
  assert.equal((await browser.track("Product Added", {}, id)).json.duplicate, 1);
});

test("a change that the central store pushes reaches the page", async () => {
  const browser = new Browser(edge);
  await browser.allowAll();
  await browser.login("C-5");
  const { person } = edge.central.hydrated.at(-1);
  const changes = [traits(person, { cancel_intent: { Bool: true } }, 7)];
  const answer = await send(edge, "POST", "/_selvedge/sync/v1/apply", {
    headers: { authorization: `Bearer ${KEYS.central}` },
    body: { wireVersion: 1, changes, cursor: 7, more: false },
  });
  assert.deepEqual(answer.json, { changed: 1 });
  assert.match(hero((await browser.page()).text), /data-selvedge-offer="extension"/);
});

test("a withdrawal answers with the generic page, and nothing brings traits back", async () => {
  edge.central.changes = (person) => [traits(person, { cancel_intent: { Bool: true } })];
  const browser = new Browser(edge);
  await browser.allowAll();
  await browser.login("C-6");
  assert.match(hero((await browser.page()).text), /data-selvedge-offer="extension"/);
  const { person } = edge.central.hydrated.at(-1);
  const answer = await browser.consent({ personalise: false, profile: false });
  assert.equal(answer.json.purposes.personalise, false);
  assert.equal(answer.json.decisions[0].offer, "welcome");
  assert.match(hero((await browser.page()).text), /data-selvedge-offer="welcome"/);
  const late = {
    wireVersion: 1,
    changes: [traits(person, { cancel_intent: { Bool: true } }, 9)],
    cursor: 9,
    more: false,
  };
  await send(edge, "POST", "/_selvedge/sync/v1/apply", {
    headers: { authorization: `Bearer ${KEYS.central}` },
    body: late,
  });
  const held = (await ask(edge, "export", { customerId: "C-6" })).json;
  assert.deepEqual(held.held.live.traits, {});
  assert.deepEqual(held.held.live.series, {});
  assert.ok(held.receipts.length >= 1);
  edge.central.changes = () => [];
});

test("a withdrawal of storing takes the device away in the same answer", async () => {
  const browser = new Browser(edge);
  await browser.allowAll();
  const device = browser.cookie;
  const answer = await browser.consent({ store: false });
  assert.equal(answer.json.purposes.store, false);
  assert.notEqual(browser.cookie, device);
  const refused = new Browser(edge);
  await refused.consent({ store: false });
  assert.equal(browser.cookie, refused.cookie);
});

test("an erased person is gone for good, also for late events", async () => {
  const browser = new Browser(edge);
  await browser.allowAll();
  await browser.track("Product Added");
  await browser.login("C-7");
  const tab = browser.cookie;
  assert.equal((await ask(edge, "erase", { customerId: "C-7" })).json.erased, true);
  const page = await browser.page();
  assert.match(hero(page.text), /data-selvedge-offer="welcome"/);
  assert.equal(browser.cookie, null);
  browser.cookie = tab;
  assert.deepEqual((await browser.track("Product Added")).json.dropped, { erased: 1 });
  const { held, receipts, queued } = (await ask(edge, "export", { customerId: "C-7" })).json;
  assert.equal(held.live, null);
  assert.deepEqual([receipts, queued], [[], []]);
});

test("while the central store is down nothing accepted is lost", async () => {
  edge.central.mode = "down";
  const browser = new Browser(edge);
  await browser.allowAll();
  const event = `while-down-${Date.now()}`;
  assert.equal((await browser.track("Product Added", {}, event)).json.kept, 1);
  await new Promise((resolve) => setTimeout(resolve, 300));
  edge.central.mode = "half";
  const arrived = () => edge.central.facts.some((row) => row.fact.event?.event.id === event);
  await until(arrived, "the alarm brings the event", 20_000);
  edge.central.mode = "up";
});

test("where the region asks for no yes a page sets the device", async () => {
  const american = await startEdge({ REGION: "US-CA" });
  try {
    await publish(american);
    const browser = new Browser(american);
    const page = await browser.page();
    assert.equal(browser.setCookies.length, 1);
    assert.match(page.text, /"store":"allowed_by_region"/);
    await browser.consent({ store: false });
    const later = await browser.page();
    assert.match(later.text, /"store":"denied_by_device"/);
    assert.equal(browser.setCookies.length, 2);
  } finally {
    await american.stop();
  }
});
