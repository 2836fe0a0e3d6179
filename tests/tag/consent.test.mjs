//! The consent in the page: a no holds at once, in every tab, and nothing brings back what it took.

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import {
  ALL,
  consent,
  decision,
  NONE,
  page,
  sleep,
  startBrowser,
  startSite,
  state,
  until,
} from "./site.mjs";

const CONSENT = "/_selvedge/v1/consent";
const DECIDE = "/_selvedge/v1/decide";
const OFFER = ["headline", "text", "For you alone"];
const GENERIC = decision("hero", "generic", [["headline", "text", "For everybody"]]);
const HERO =
  '<div data-selvedge="hero" data-selvedge-offer="o" data-selvedge-decision="d">' +
  '<div class="selvedge-offer"><b>For you alone</b></div></div>';
const WITHDRAWN = { store: true, profile: true, personalise: false, measure: true, share: false };

let browser;
let site;
let context;
let tab;
/** What the edge believes. */
let kept;

before(async () => {
  browser = await startBrowser();
});
after(() => browser.close());

beforeEach(async (t) => {
  site = await startSite();
  context = await browser.newContext();
  tab = await context.newPage();
  await context.addInitScript(() => {
    WebAssembly.compile = () => Promise.reject(new Error("no Wasm in this test"));
  });
  kept = ALL;
  site.answers[CONSENT] = ({ json }) => {
    if (json) {
      const yes = Object.entries(json.choices).filter(([, yes]) => yes);
      kept = consent(yes.map(([purpose]) => purpose));
    }
    return { body: json ? { ...kept, decisions: [GENERIC] } : kept };
  };
  site.answers["/_selvedge/v1/slice"] = () => ({ body: "" });
  site.answers[DECIDE] = ({ json: { placements } }) => ({
    body: { decisions: [decision(placements[0], "o", [OFFER])] },
  });
  t.after(async () => {
    await context.close();
    await site.stop();
  });
});

async function open(where = tab, body = HERO, from = kept) {
  site.pages["/"] = page({ body, state: from && state(from) });
  await where.goto(site.url);
  await where.waitForFunction(() => !window.selvedge.calls);
}

const text = (where = tab) => where.textContent("[data-selvedge]");

test("the consent of the page's state is given without asking", async () => {
  await open();
  assert.deepEqual(await tab.evaluate(() => selvedge.consent()), ALL);
  assert.equal(site.of(CONSENT).length, 0);
});

test("a page without state asks once and is ready then", async () => {
  await open(tab, HERO, null);
  await tab.evaluate(() => selvedge.ready);
  assert.deepEqual(await tab.evaluate(() => selvedge.consent()), ALL);
  assert.equal(site.of(CONSENT).length, 1);
});

test("a choice is sent with its banner, answered and announced", async () => {
  kept = NONE;
  await open();
  const { answer, heard } = await tab.evaluate(async () => {
    const heard = [];
    document.addEventListener("selvedge:consent", ({ detail }) =>
      heard.push(detail.purposes.store),
    );
    const choices = { store: true, measure: false, nonsense: true };
    return { answer: await selvedge.consent(choices, { banner: "b-1" }), heard };
  });
  assert.deepEqual(site.of(CONSENT)[0].json, {
    choices: { store: true, measure: false },
    banner: "b-1",
  });
  assert.equal(answer.purposes.store, true);
  assert.equal(heard.at(-1), true);
});

test("a withdrawal shows the generic offer of the very same answer", async () => {
  await open();
  assert.equal(await text(), "For you alone");
  await tab.evaluate((choices) => selvedge.consent(choices), WITHDRAWN);
  await until(async () => (await text()) === "For everybody", "the generic offer");
  assert.equal(site.of(DECIDE).length, 0);
});

test("a no holds at once, even where the edge cannot be told", async () => {
  site.answers[CONSENT] = () => ({ status: 503, body: { code: "unavailable" } });
  await open();
  await tab.evaluate(() => selvedge.track("Article Read"));
  const none = { store: false, profile: false, personalise: false, measure: false, share: false };
  const code = await tab.evaluate(
    (choices) => selvedge.consent(choices).catch((error) => error.code),
    none,
  );
  assert.equal(code, "unavailable");
  await until(async () => (await text()) === "", "the offer is gone");
  const { offer, reason } = await tab.evaluate(() => selvedge.render("hero"));
  assert.deepEqual([offer, reason], [null, "unavailable"]);
  await tab.evaluate(() => selvedge.track("Product Added"));
  await sleep(1_500);
  assert.equal(site.batches().length, 0);
  // Not even the edge's own older answer brings it back.
  site.answers[CONSENT] = () => ({ body: ALL });
  await tab.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
  await until(() => site.of(CONSENT).length > 1, "the tab asks again");
  await sleep(200);
  const { purposes } = await tab.evaluate(() => selvedge.consent());
  assert.equal(purposes.personalise || purposes.store, false);
});

test("a withdrawal in one tab reaches the others", async () => {
  const other = await context.newPage();
  await open();
  await open(other);
  site.answers[DECIDE] = () => ({ body: { decisions: [GENERIC] } });
  // Its events are still waiting when the other tab's visitor says no.
  await other.evaluate(() => selvedge.track("Article Read"));
  const none = { store: false, profile: false, personalise: false, measure: false, share: false };
  await tab.evaluate((choices) => selvedge.consent(choices), none);
  await until(async () => (await text(other)) === "For everybody", "the other tab");
  const { purposes } = await other.evaluate(() => selvedge.consent());
  assert.deepEqual(purposes, none);
  await sleep(1_500);
  assert.equal(site.batches().length, 0, "the queue of the other tab is gone");
});

test("another tab cannot grant what the edge does not", async () => {
  kept = NONE;
  await open();
  await tab.evaluate((all) => {
    new BroadcastChannel("selvedge").postMessage({ consent: all });
  }, ALL);
  await sleep(300);
  const { purposes } = await tab.evaluate(() => selvedge.consent());
  assert.deepEqual(purposes, NONE.purposes);
});

test("a tab that becomes visible knows what was withdrawn elsewhere", async () => {
  await open();
  kept = consent(["store"]);
  await tab.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
  await until(async () => {
    const { purposes } = await tab.evaluate(() => selvedge.consent());
    return !purposes.personalise;
  }, "the withdrawal");
});

test("a decision made before a withdrawal is not shown after it", async () => {
  await open();
  let release;
  const held = new Promise((resolve) => {
    release = resolve;
  });
  site.answers[DECIDE] = async () => {
    await held;
    site.answers[DECIDE] = () => ({ body: { decisions: [GENERIC] } });
    return { body: { decisions: [decision("hero", "late", [OFFER])] } };
  };
  await tab.evaluate(() => {
    window.late = selvedge.render("hero");
  });
  await until(() => site.of(DECIDE).length === 1, "the question");
  await tab.evaluate((choices) => selvedge.consent(choices), WITHDRAWN);
  release();
  const { offer } = await tab.evaluate(() => window.late);
  assert.equal(offer, "generic");
  assert.equal(await text(), "For everybody");
});

test("logout takes the person's offers off the screen, in every tab", async () => {
  const other = await context.newPage();
  await open();
  await open(other);
  site.answers["/_selvedge/v1/logout"] = () => ({ body: {} });
  site.answers[DECIDE] = () => ({ body: { decisions: [GENERIC] } });
  await tab.evaluate(() => selvedge.logout());
  await until(async () => (await text()) === "For everybody", "this tab");
  await until(async () => (await text(other)) === "For everybody", "the other tab");
});

test("reset forgets even where the edge cannot be reached", async () => {
  site.answers["/_selvedge/v1/logout"] = () => ({ status: 0 });
  site.answers["/_selvedge/v1/batch"] = () => ({ status: 503 });
  await open();
  await tab.evaluate(() => {
    selvedge.track("Article Read");
    return selvedge.reset().catch(() => {});
  });
  assert.equal(await text(), "");
  const tried = site.batches().length;
  await sleep(2_500);
  assert.equal(site.batches().length, tried);
});

test("Global Privacy Control is respected in the page", async () => {
  await context.addInitScript(() => {
    Object.defineProperty(Navigator.prototype, "globalPrivacyControl", { get: () => true });
  });
  const byRegion = structuredClone(ALL);
  byRegion.reasons.personalise = "allowed_by_region";
  await open(tab, HERO, byRegion);
  const { purposes, reasons } = await tab.evaluate(() => selvedge.consent());
  assert.deepEqual([purposes.share, purposes.personalise], [false, false]);
  assert.deepEqual([reasons.share, reasons.personalise], ["denied_by_gpc", "denied_by_gpc"]);
  assert.equal(purposes.measure, true);
  await open(tab, HERO, ALL);
  const explicit = await tab.evaluate(() => selvedge.consent());
  assert.deepEqual([explicit.purposes.share, explicit.purposes.personalise], [false, true]);
});
