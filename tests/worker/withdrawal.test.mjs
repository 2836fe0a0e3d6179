// A withdrawal acts in the response that confirms it, then everywhere, and nothing brings a grant
// back: the real worker, the real central store, and the real tag in two tabs.

import assert from "node:assert/strict";
import { cp, rm } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { launchBrowser, newVisitor } from "../e2e/browser.mjs";
import { ask, Browser, KEYS, publish, send, startEdge, until } from "./edge.mjs";
import { feed, personAt, say, startBoth } from "./store.mjs";

/** What the issue promises for the central store and every open tab. */
const WITHIN_MS = 5_000;
/** A change that a lost push did not bring is asked for by the edge's alarm, every 15 s. */
const HEALED_MS = 40_000;
const NO = { profile: false, personalise: false };
let both;

before(async () => {
  both = await startBoth();
  await publish(both.edge);
});
after(() => both?.stop());

const hero = (html) =>
  html.match(/data-selvedge="hero"[^>]*data-selvedge-offer="([^"]*)"/)?.[1] ?? null;
const offer = async (browser) => hero((await browser.page()).text);
const held = async (id, edge = both.edge) => (await ask(edge, "export", { customerId: id })).json;
const apply = (changes) =>
  send(both.edge, "POST", "/_selvedge/sync/v1/apply", {
    headers: { authorization: `Bearer ${KEYS.central}` },
    body: changes,
  });

/** A customer who wants to cancel, logged in, whose page shows it. */
async function customer(id) {
  await say(both.url, id, { first_name: "Ada", cancel_intent: true });
  const browser = new Browser(both.edge);
  await browser.allowAll();
  await browser.track("Order Completed", { total: 10 });
  assert.equal((await browser.login(id)).json.linked, true);
  await until(async () => (await offer(browser)) === "extension", "the offer", WITHIN_MS);
  return browser;
}

/** Nothing of the person's is held or shown, and no purpose that was withdrawn is allowed. */
async function assertGone(id, browser, what) {
  const { live } = (await held(id)).held;
  assert.deepEqual([live.traits, live.series, live.history], [{}, {}, {}], what);
  assert.equal(await offer(browser), "welcome", what);
  const { purposes } = (await browser.get("/v1/consent")).json;
  assert.deepEqual([purposes.profile, purposes.personalise], [false, false], what);
}

test("revoked, then merged with a profile that holds the grant: it stays revoked", async () => {
  // The other device said yes before, and never said anything else.
  const other = new Browser(both.edge);
  await other.allowAll();
  await other.track("Product Added");
  assert.equal(await offer(other), "basket");
  const browser = await customer("W-1");
  await browser.consent(NO);
  await assertGone("W-1", browser, "after the withdrawal");
  const login = await other.login("W-1");
  assert.deepEqual(login.json, { linked: false, attached: false, refused: "no_consent" });
  await assertGone("W-1", browser, "after the login of the device that holds the grant");
  // The edge confirms before it tells the central store.
  const told = async () => (await personAt(both.url, "W-1")).consent.personalise === false;
  await until(told, "the central store knows", WITHIN_MS);
  const later = await personAt(both.url, "W-1");
  assert.deepEqual([later.consent.profile, later.consent.personalise], [false, false]);
});

test("a device that was linked before and holds the grant brings nothing back", async () => {
  const browser = await customer("W-2");
  const other = new Browser(both.edge);
  await other.allowAll();
  assert.equal((await other.login("W-2")).json.linked, true);
  await browser.consent(NO);
  await assertGone("W-2", browser, "on the device that withdrew");
  await assertGone("W-2", other, "on the other device");
  assert.equal((await other.track("Order Completed")).json.kept, 0);
  await other.login("W-2");
  await assertGone("W-2", other, "after its next login");
});

test("the confirming answer is generic, the slice empty, traits and counters gone", async () => {
  const browser = await customer("W-3");
  const before = (await held("W-3")).held.live;
  assert.ok(Object.keys(before.traits).length > 0 && Object.keys(before.series).length > 0);
  const full = await browser.get("/v1/slice");
  assert.ok(full.body.includes("Ada"), "until now the slice holds her public trait");
  const began = performance.now();
  const answer = await browser.consent(NO);
  const took = performance.now() - began;
  assert.equal(answer.json.purposes.personalise, false);
  assert.equal(answer.json.decisions[0].offer, "welcome");
  assert.ok(!answer.text.includes("Ada"));
  await assertGone("W-3", browser, "at once");
  assert.ok(!(await browser.get("/v1/slice")).body.includes("Ada"));
  assert.ok(took < 1_000, `the edge took ${took.toFixed(0)} ms`);
});

test("the central store acknowledges within five seconds, and drops what came of it", async (t) => {
  const browser = await customer("W-4");
  const counted = async () => JSON.stringify((await personAt(both.url, "W-4")).events);
  await until(async () => (await counted()).includes("Order Completed"), "the event arrives");
  await browser.consent(NO);
  const began = performance.now();
  const told = async () => (await personAt(both.url, "W-4")).consent.profile === false;
  await until(told, "the central store knows", WITHIN_MS);
  t.diagnostic(`central store: ${(performance.now() - began).toFixed(0)} ms`);
  assert.ok(!(await counted()).includes("Order Completed"));
  const empty = async () => (await held("W-4")).queued.length === 0;
  await until(empty, "the receipt was acknowledged and left the queue", WITHIN_MS);
});

test("withdrawn storing expires the cookie in the very answer", async () => {
  const browser = await customer("W-5");
  const tab = browser.cookie;
  const answer = await browser.consent({ store: false });
  const lines = answer.headers["set-cookie"];
  assert.equal(lines.length, 1);
  assert.notEqual(browser.cookie, tab);
  // Somebody who never had a device and says no holds the same cookie: no device is in it.
  const never = new Browser(both.edge);
  await never.consent({ store: false });
  assert.equal(browser.cookie, never.cookie);
  assert.equal((await browser.get("/v1/me")).json.device, false);
  const { live } = (await held("W-5")).held;
  assert.deepEqual([live.traits, live.series], [{}, {}]);
  // A tab that was offline comes back with the old cookie.
  browser.cookie = tab;
  const late = await browser.track("Order Completed");
  assert.equal(late.json.kept, 0, late.text);
  assert.equal(await offer(browser), "welcome");
  assert.deepEqual((await held("W-5")).held.live.series, {});
});

test("an event from a tab that was offline comes too late, whatever its time says", async () => {
  const browser = await customer("W-6");
  const then = new Date().toISOString();
  await browser.consent(NO);
  const late = await browser.post("/v1/batch", {
    batch: [1, 2].map((nth) => ({
      type: "track",
      event: "Order Completed",
      messageId: `late-${nth}`,
      timestamp: then,
    })),
  });
  assert.deepEqual([late.json.kept, late.json.dropped], [0, { no_consent: 2 }]);
  await assertGone("W-6", browser, "after the late events");
});

test("what a stale replica pushes again brings nothing back", async () => {
  const browser = await customer("W-7");
  await say(both.url, "W-7", { first_name: "Adah" });
  const stale = await feed(both.url);
  assert.ok(JSON.stringify(stale).includes("cancel_intent"));
  await browser.consent(NO);
  for (let nth = 0; nth < 2; nth += 1) {
    assert.equal((await apply(stale)).status, 200);
    await assertGone("W-7", browser, `after push ${nth}`);
  }
  // An import that says it anew reaches the central store, and still not the edge.
  await say(both.url, "W-7", { first_name: "Ada", cancel_intent: true });
  const fresh = await feed(both.url);
  assert.equal((await apply(fresh)).status, 200);
  await assertGone("W-7", browser, "after a fresh push");
});

test("old consent records of the central store do not outlive a withdrawal", async () => {
  const browser = await customer("W-8");
  const { live, profile } = await held("W-8").then(({ held: { live }, profile }) => ({
    live,
    profile,
  }));
  assert.ok(live, "she is there");
  const grant = (time, epoch) =>
    ["store", "profile", "personalise"].map((purpose) => ({
      purpose,
      choice: "grant",
      epoch,
      time,
      basis: "consent",
    }));
  const change = (records) => ({
    wireVersion: 1,
    cursor: 1,
    more: false,
    changes: [{ cursor: 1, person: profile, body: { consent: records } }],
  });
  const before = Date.now() - 60_000;
  await browser.consent(NO);
  assert.equal((await apply(change(grant(before, 0)))).status, 200);
  await assertGone("W-8", browser, "after an older grant");
  // Even one that claims to be younger: it was made in an epoch that the withdrawal ended.
  assert.equal((await apply(change(grant(Date.now() + 60_000, 0)))).status, 200);
  await assertGone("W-8", browser, "after a grant of an older epoch");
});

test("a restored snapshot of the edge learns of the withdrawal again", async (t) => {
  const browser = await customer("W-9");
  const snapshot = join(both.folder, "snapshot");
  await until(async () => (await held("W-9")).queued.length === 0, "all is pushed");
  await both.restart((objects) => cp(objects, snapshot, { recursive: true }));
  browser.edge = both.edge;
  assert.equal(await offer(browser), "extension");
  await browser.consent(NO);
  await assertGone("W-9", browser, "before the restore");
  const told = async () => (await personAt(both.url, "W-9")).consent.personalise === false;
  await until(told, "the central store knows", WITHIN_MS);
  await both.restart(async (objects) => {
    await rm(objects, { recursive: true });
    await cp(snapshot, objects, { recursive: true });
  });
  browser.edge = both.edge;
  const restored = (await held("W-9")).held.live;
  t.diagnostic(`restored with ${Object.keys(restored.traits).length} traits`);
  const began = performance.now();
  const healed = async () => (await browser.get("/v1/consent")).json.purposes.personalise === false;
  await until(healed, "the healed edge knows of the withdrawal", HEALED_MS);
  t.diagnostic(`healed after ${(performance.now() - began).toFixed(0)} ms`);
  await assertGone("W-9", browser, "after the restore");
});

test("queued events are cancelled, receipts are not", async () => {
  const edge = await startEdge();
  try {
    await publish(edge);
    edge.central.mode = "down";
    const browser = new Browser(edge);
    await browser.allowAll();
    await browser.track("Order Completed", {}, "queued-1");
    await browser.login("W-10");
    await browser.track("Order Completed", {}, "queued-2");
    const kinds = async () =>
      (await held("W-10", edge)).queued.flatMap(({ fact }) => Object.keys(fact)).sort();
    assert.ok((await kinds()).includes("event"), JSON.stringify(await kinds()));
    await browser.consent(NO);
    const left = await kinds();
    assert.ok(!left.includes("event") && left.includes("consent"), JSON.stringify(left));
    edge.central.mode = "up";
    const receipt = () =>
      edge.central.facts.some(({ fact }) =>
        fact.consent?.records.some(({ choice }) => choice === "withdrawn"),
      );
    await until(receipt, "the withdrawal reaches the central store", 20_000);
    const ids = edge.central.facts.map(({ fact }) => fact.event?.event.id);
    assert.ok(!ids.includes("queued-2"), JSON.stringify(ids));
  } finally {
    await edge.stop();
  }
});

test("every open tab of the browser follows within five seconds", async (t) => {
  const chromium = await launchBrowser();
  try {
    const visitor = await newVisitor(chromium);
    const { page, context } = visitor;
    await page.goto(both.edge.url.href);
    const call = (tab, choices) => tab.evaluate((given) => window.selvedge.consent(given), choices);
    await call(page, { store: true, profile: true, personalise: true, measure: true });
    await page.evaluate(() => window.selvedge.track("Product Added", { value: 1 }));
    const basket = '[data-selvedge="hero"][data-selvedge-offer="basket"]';
    const shows = async (tab) => {
      await tab.goto(both.edge.url.href);
      return (await tab.locator(basket).count()) === 1;
    };
    await until(() => shows(page), "the personal page", 10_000);
    const others = [await context.newPage(), await context.newPage()];
    for (const tab of others) assert.ok(await shows(tab), "each tab shows the personal offer");
    for (const tab of others) await tab.evaluate(() => window.selvedge.ready);
    const began = performance.now();
    await call(page, { profile: false, personalise: false });
    await Promise.all(
      others.map(async (tab) => {
        const left = WITHIN_MS - (performance.now() - began);
        await tab.locator(basket).waitFor({ state: "detached", timeout: left });
        const { purposes } = await tab.evaluate(() => window.selvedge.consent());
        assert.deepEqual([purposes.profile, purposes.personalise], [false, false]);
      }),
    );
    const took = performance.now() - began;
    t.diagnostic(`two other tabs: ${took.toFixed(0)} ms`);
    assert.ok(took < WITHIN_MS, `${took.toFixed(0)} ms`);
  } finally {
    await chromium.close();
  }
});
