// Entries and exits of audiences at the edge: told to the central store, by an alarm where nothing
// but time passes, and never without consent.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Browser, evictAll, publish, startEdge, until, WORKSPACE } from "./edge.mjs";

const SHOP = {
  ...JSON.parse(WORKSPACE),
  computed: {
    left: {
      sequence: [{ event: "Basket Viewed" }, { absent: "Order Completed", within: "1s" }],
      until: "Order Completed",
    },
    quiet: {
      sequence: [{ event: "Form Opened" }, { absent: "Form Sent", within: "3s" }],
      for: "1s",
    },
  },
  audiences: {
    left_basket: { when: "profile.left" },
    buyers: { when: "count('Order Completed') > 0" },
    gave_up: { when: "profile.quiet" },
  },
  placements: { hero: { where: "edge" } },
  offers: {
    basket: {
      placements: ["hero"],
      when: "inAudience('left_basket')",
      purpose: "personalise",
      content: { en: { headline: "Your basket" } },
    },
  },
};

let edge;
before(async () => {
  edge = await startEdge();
  assert.equal((await publish(edge, JSON.stringify(SHOP))).status, 200);
});
after(() => edge?.stop());

/** Entries and exits that the central store has, those of the device alone: `+buyers event`. */
function told(device) {
  const moves = edge.central.facts
    .map(({ fact, time }) => ({ ...fact.event, time }))
    .filter(({ device: of, event }) => of === device && event?.name.startsWith("Audience "))
    .map(({ event }) => event);
  return moves.map(({ name, properties }) => {
    const sign = name === "Audience Entered" ? "+" : "-";
    return `${sign}${properties.audience_key.String} ${properties.reason.String}`;
  });
}

/** The device of an event that the central store has, by the event's id. */
async function deviceOf(id) {
  const found = () => edge.central.facts.find(({ fact }) => fact.event?.event.id === id);
  return (await until(found, `the central store hears of ${id}`)).fact.event.device;
}

async function tracked(browser, event, id) {
  assert.equal((await browser.track(event, {}, id)).json.kept, 1);
  return deviceOf(id);
}

test("time alone brings a visitor into an audience, and an order takes her out", async () => {
  const browser = new Browser(edge);
  await browser.allowAll();
  const device = await tracked(browser, "Basket Viewed", "left-1");
  assert.deepEqual(told(device), []);
  await until(() => told(device).length === 1, "the alarm tells of the entry");
  assert.deepEqual(told(device), ["+left_basket time"]);
  assert.match((await browser.page()).text, /data-selvedge-offer="basket"/);
  await browser.track("Order Completed");
  await until(() => told(device).length === 3, "the order is told");
  assert.deepEqual(told(device).slice(1), ["-left_basket event", "+buyers event"]);
  assert.doesNotMatch((await browser.page()).text, /data-selvedge-offer="basket"/);
});

test("an object that was evicted is woken, and what it told waits for the store", async () => {
  const browser = new Browser(edge);
  await browser.allowAll();
  const device = await tracked(browser, "Form Opened", "quiet-1");
  await evictAll(edge);
  edge.central.mode = "down";
  await new Promise((resolve) => setTimeout(resolve, 3_500));
  assert.deepEqual(told(device), []);
  edge.central.mode = "up";
  await until(() => told(device).length === 2, "both moves arrive", 15_000);
  assert.deepEqual(told(device), ["+gave_up time", "-gave_up time"]);
  const ids = edge.central.facts.map(({ producer, seq }) => `${producer} ${seq}`);
  assert.equal(new Set(ids).size, ids.length, "each fact is there once");
});

test("after a withdrawal time brings nobody anywhere", async () => {
  const browser = new Browser(edge);
  await browser.allowAll();
  const device = await tracked(browser, "Basket Viewed", "left-2");
  const answer = await browser.consent({ profile: false });
  assert.equal(answer.status, 200, answer.text);
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  assert.deepEqual(told(device), []);
});

test("an entry from outside is dropped with its reason", async () => {
  const browser = new Browser(edge);
  await browser.allowAll();
  const answer = await browser.track("Audience Entered", { audience_key: "buyers" });
  assert.deepEqual(answer.json.dropped, { reserved_event: 1 });
});
