// What was confirmed is missing from no answer, whichever isolate gives it: two isolates of the
// worker over the same objects, one of which holds a copy of the visitor's state.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Browser, evictAll, KEYS, publish, send, startEdge, traits, WORKSPACE } from "./edge.mjs";

/** How long a copy answers, as `worker/src/leases.rs` says. */
const LEASE_MS = 1_000;
/** The largest state of which a copy is given, as it says too. */
const COPY_BYTES = 48 * 1_024;
/** How long a workspace is taken for the current one, as `worker/src/published.rs` says. */
const FRESH_MS = 2_000;

const SOURCE = JSON.parse(WORKSPACE);
SOURCE.traits.note = { type: "string" };

let edge;

before(async () => {
  edge = await startEdge({}, { second: true });
  await publish(edge, JSON.stringify(SOURCE));
});
after(() => edge?.stop());

const text = (bytes) => ({ String: "x".repeat(bytes) });
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** The same browser, whose requests reach the isolate that holds no object. */
function elsewhere(browser) {
  const other = new Browser(edge.second);
  other.cookie = browser.cookie;
  return other;
}

/** What a visitor is shown there: by whoever answers, or by the object itself. */
async function shown(browser, { fresh = false } = {}) {
  const headers = fresh ? { "cache-control": "no-cache" } : {};
  const answer = await browser.post("/v1/decide", { placements: ["hero"] }, headers);
  assert.equal(answer.status, 200, answer.text);
  assert.equal(answer.headers["cache-control"], "private, no-store");
  return answer.json.decisions[0].offer;
}

/** A visitor with a basket, and a copy of her state in the other isolate. */
async function visitor() {
  const here = new Browser(edge);
  await here.allowAll();
  await here.track("Product Added");
  const there = elsewhere(here);
  for (let asked = 0; asked < 5; asked++) assert.equal(await shown(there), "basket");
  return { here, there };
}

/**
 * A customer who wants to cancel, with a copy of her state in the other isolate. The central store
 * knows `more` traits of her.
 */
async function customer(id, more = {}) {
  edge.central.changes = (person) => [traits(person, { cancel_intent: { Bool: true }, ...more })];
  const here = new Browser(edge);
  await here.allowAll();
  assert.equal((await here.login(id)).json.linked, true);
  edge.central.changes = () => [];
  const there = elsewhere(here);
  for (let asked = 0; asked < 5; asked++) assert.equal(await shown(there), "extension");
  return { here, there, person: edge.central.hydrated.at(-1).person };
}

/**
 * Makes a change and looks at what the other isolate shows meanwhile. Whatever was asked after the
 * confirmation must be as the change left it; that a copy still said otherwise, after the object
 * did not, shows that one was there.
 */
async function follow(there, change, afterwards) {
  // The old cookie stays, as in a tab that heard of nothing.
  const { cookie } = there;
  const seen = async (how) => {
    there.cookie = cookie;
    return shown(there, how);
  };
  let confirmed = false;
  const answer = change().finally(() => {
    confirmed = true;
  });
  let copied = 0;
  for (;;) {
    const wasConfirmed = confirmed;
    const byObject = await seen({ fresh: true });
    const byAnybody = await seen();
    if (wasConfirmed) {
      assert.deepEqual([byObject, byAnybody], [afterwards, afterwards], "after the confirmation");
      break;
    }
    if (byObject === afterwards && byAnybody !== afterwards) copied += 1;
  }
  for (let asked = 0; asked < 5; asked++) assert.equal(await seen(), afterwards);
  return { answer: await answer, copied };
}

test("a withdrawal is confirmed once no copy lacks it", async () => {
  const { here, there } = await visitor();
  const { answer, copied } = await follow(
    there,
    () => here.consent({ profile: false, personalise: false }),
    "welcome",
  );
  assert.equal(answer.status, 200);
  assert.ok(copied > 0, "a copy was there");
});

test("whoever says the same once more is not confirmed sooner", async () => {
  const { here, there } = await visitor();
  const no = { profile: false, personalise: false };
  const { copied } = await follow(
    there,
    // Whichever comes second changes nothing.
    () => Promise.race([here.consent(no), here.consent(no)]),
    "welcome",
  );
  assert.ok(copied > 0, "a copy was there");
});

test("an event counts in every answer once it is confirmed", async () => {
  const { here, there } = await visitor();
  const { copied } = await follow(there, () => here.track("Order Completed"), "welcome");
  assert.ok(copied > 0, "a copy was there");
});

test("after a logout the old cookie shows nothing of the person", async () => {
  const { here, there } = await customer("L-1");
  const { answer, copied } = await follow(there, () => here.post("/v1/logout", {}), "welcome");
  assert.equal(answer.status, 200);
  assert.ok(copied > 0, "a copy was there");
});

test("after an erasure nothing is shown of the person", async () => {
  const { here, there } = await customer("L-2");
  const { answer, copied } = await follow(there, () => here.post("/v1/me/erase", {}), "welcome");
  assert.equal(answer.json.erased, "person");
  assert.ok(copied > 0, "a copy was there");
});

test("what the central store says counts once the edge has confirmed it", async () => {
  const { there, person } = await customer("L-3");
  const headers = { authorization: `Bearer ${KEYS.central}` };
  const { stamp: _, ...change } = traits(person, { cancel_intent: { Bool: false } }, 2);
  const body = { wireVersion: 1, changes: [change], cursor: 2, more: false };
  const apply = () => send(edge, "POST", "/_selvedge/sync/v1/apply", { headers, body });
  const { answer, copied } = await follow(there, apply, "welcome");
  assert.deepEqual(answer.json, { changed: 1 });
  assert.ok(copied > 0, "a copy was there");
});

test("an object that was evicted still waits for the copies that it gave", async () => {
  const { here, there } = await visitor();
  await evictAll(edge);
  const { copied } = await follow(
    there,
    () => here.consent({ profile: false, personalise: false }),
    "welcome",
  );
  assert.ok(copied > 0, "a copy was there");
});

test("an isolate's own changes drop its copy, and wait for nobody", async () => {
  const { there } = await visitor();
  const { copied } = await follow(
    there,
    () => there.consent({ profile: false, personalise: false }),
    "welcome",
  );
  assert.equal(copied, 0);
});

test("a copy ends by itself", async () => {
  const { here, there } = await visitor();
  const before = here.track("Order Completed");
  const began = performance.now();
  // Asked all the time: no question makes a copy's life longer.
  while ((await shown(there)) !== "welcome") {
    assert.ok(performance.now() - began < 3 * LEASE_MS, "the copy is still there");
  }
  assert.equal((await before).json.kept, 1);
});

test("a large state has copies as well", async () => {
  const { here, there } = await customer("L-4", { note: text(0.8 * COPY_BYTES) });
  const { copied } = await follow(there, () => here.post("/v1/logout", {}), "welcome");
  assert.ok(copied > 0, "a copy was there");
});

test("one over the bound has none, and a change to it waits for nobody", async () => {
  const { here, there } = await customer("L-5", { note: text(1.2 * COPY_BYTES) });
  const waits = [];
  for (let nth = 0; nth < 3; nth++) {
    for (let asked = 0; asked < 5; asked++) assert.equal(await shown(there), "extension");
    const began = performance.now();
    assert.equal((await here.track("Noted")).json.kept, 1);
    waits.push(performance.now() - began);
  }
  // Each would wait: the shortest is not the machine's own slowness.
  assert.ok(Math.min(...waits) < LEASE_MS / 2, `they took ${waits} ms`);
  const { copied } = await follow(there, () => here.post("/v1/logout", {}), "welcome");
  assert.equal(copied, 0);
});

test("signals count at once, whoever answers", async () => {
  // Where personalisation goes by opting out, and she said nothing.
  const there = await startEdge({ REGION: "US-CA" });
  try {
    await publish(there);
    const browser = new Browser(there);
    await browser.page();
    assert.equal((await browser.track("Product Added")).json.kept, 1);
    for (let asked = 0; asked < 5; asked++) assert.equal(await shown(browser), "basket");
    browser.headers = { "sec-gpc": "1" };
    assert.equal(await shown(browser), "welcome");
    browser.headers = {};
    assert.equal(await shown(browser), "basket");
  } finally {
    await there.stop();
  }
});

test("nobody's cookie leads to another's copy", async () => {
  const { there } = await visitor();
  const cookie = there.cookie;
  const other = (await visitor()).there;
  await other.track("Order Completed");
  assert.equal(await shown(other), "welcome");
  assert.equal(await shown(there), "basket");
  for (const forged of [`${cookie}A`, cookie.slice(0, -1), `${cookie.slice(0, -2)}AA`]) {
    there.cookie = forged;
    assert.equal(await shown(there), "welcome");
  }
});

test("a workspace that was published elsewhere is seen here, however much is asked", async () => {
  const { there } = await visitor();
  const source = structuredClone(SOURCE);
  source.offers.basket.when = "false";
  const { version } = (await publish(edge, JSON.stringify(source))).json;
  const began = performance.now();
  for (;;) {
    const answer = await there.post("/v1/decide", { placements: ["hero"] });
    const [decision] = answer.json.decisions;
    if (decision.workspace === version) {
      assert.equal(decision.offer, "welcome");
      break;
    }
    assert.ok(performance.now() - began < 3 * FRESH_MS, "the old workspace still decides");
    await sleep(20);
  }
  await publish(edge, JSON.stringify(SOURCE));
  await sleep(FRESH_MS + 100);
});
