//! Step 6: she withdraws her consent to personalisation. The answer that confirms it is general
//! already, her traits are gone from edge and page, and nothing brings them back.

import { listStorage, placementOn, waitForOffer } from "../browser.mjs";
import { callEdge, explain, fetchPage, importRows, pushToEdge, sendEvent } from "../edge.mjs";
import { placementIn } from "../html.mjs";
import { fileOf, holding, readQuietRows, shown } from "../rows.mjs";
import { isCentral } from "./1-visit.mjs";
import { CUSTOMER, PERSON } from "./heroine.mjs";

export const title = "She withdraws personalisation; her traits are gone and stay gone";

/** Values of her traits that would be seen in a stored row or in a page. */
const TRAITS = [PERSON.firstName, PERSON.lastName, PERSON.email, "linen_plan"];

export async function play(story, step) {
  const {
    demo,
    mira2: { page },
  } = story;
  const before = await objectRows(story);
  step.prove(
    "until now her object at the edge holds her traits",
    holding(before, TRAITS).length > 0,
    shown(before),
  );
  await page.goto(`${demo.edgeUrl}/privacy/`);
  await page.locator("#setting-personalise").waitFor({ state: "visible" });
  await page.waitForFunction(() => document.querySelector("#setting-personalise").checked);
  await page.locator("#setting-personalise").uncheck();
  const confirmed = page.waitForResponse(
    (answer) => answer.url().endsWith("/v1/consent") && answer.request().method() === "POST",
  );
  const began = performance.now();
  await page.locator("#privacy-save").click();
  await proveConfirmation(step, await confirmed, began);
  await proveHerPage(story, step);
  await proveGone(story, step, "right after it");
  await bringBack(story, step);
  await proveGone(story, step, "after all of that");
  step.page = page;
}

async function proveConfirmation(step, answer, began) {
  const text = await answer.text();
  step.time("withdrawal confirmed", performance.now() - began);
  const said = JSON.parse(text);
  const hero = said.decisions?.find(({ placement }) => placement === "hero");
  step.prove(
    "the answer that confirms it allows no personalisation and holds nothing of hers",
    answer.status() === 200 &&
      said.purposes?.personalise === false &&
      said.purposes.store === true &&
      !TRAITS.some((value) => text.includes(value)),
    text,
  );
  step.prove("and already says that the general offer stands", hero?.offer === "welcome", hero);
}

async function proveHerPage({ demo, mira2 }, step) {
  const { page } = mira2;
  await page.waitForFunction(() =>
    /Saved|These are your settings/.test(document.querySelector("#privacy-status").textContent),
  );
  const hero = await waitForOffer(page, "hero", "welcome");
  step.prove("the page on which she said it is general at once", hero.offer === "welcome", hero);
  await page.goto(`${demo.edgeUrl}/`);
  const [next, tip] = [await waitForOffer(page, "hero", "welcome"), await placementOn(page, "tip")];
  const text = await page.locator("body").textContent();
  step.prove(
    "so is the next page, in both slots",
    next.offer === "welcome" &&
      ["tip_generic", null].includes(tip.offer) &&
      !text.includes(PERSON.firstName),
    { next, tip },
  );
  const kept = JSON.stringify(await listStorage(mira2));
  step.prove(
    "her browser's storage holds no trait of hers",
    !TRAITS.some((value) => kept.includes(value)),
    kept,
  );
  const decision = await page.evaluate(() => window.selvedge.decide("tip"));
  step.prove(
    "the page's own core decides without knowing her",
    decision.offer === "tip_generic",
    decision,
  );
}

async function objectRows({ demo, personObject, deviceObject }) {
  const rows = await readQuietRows(demo.folder);
  const files = new Set(
    holding(rows, [personObject, deviceObject])
      .filter(({ place }) => !isCentral(place))
      .map(fileOf),
  );
  return rows.filter((row) => files.has(fileOf(row)));
}

async function proveGone(story, step, when) {
  const { demo, device } = story;
  const { profile } = await explain(demo, device);
  step.proveEqual(`${when} the edge explains her without a single trait`, profile.traits, {});
  const left = holding(await objectRows(story), TRAITS);
  step.prove(`${when} no row of her objects holds a trait`, left.length === 0, shown(left));
  const slice = await callEdge(demo, "/v1/slice?path=%2F", { device });
  step.prove(
    `${when} her slice holds no trait`,
    slice.status === 200 && !TRAITS.some((value) => slice.body.includes(value)),
    slice.body.toString("latin1"),
  );
  const hero = placementIn((await fetchPage(demo, "/", device)).text, "hero");
  step.prove(`${when} the bytes of her page are general`, hero?.offer === "welcome", hero);
}

/** Everything that could bring them back, as it would happen by itself or by mistake. */
async function bringBack(story, step) {
  const { demo, device, oldPush } = story;
  const pushed = await pushToEdge(demo, oldPush);
  step.prove(
    `an old push of the central store with ${oldPush.changes.length} changes of hers comes again`,
    pushed.status === 200 && oldPush.changes.length > 0,
    pushed.text,
  );
  const late = await sendEvent(demo, device, "Product Added", { product_id: "late", value: 1 });
  step.prove("a tab that was left open sends a late event", late.status === 200, late.text);
  const imported = await importRows(demo, "crm", [
    {
      type: "identify",
      messageId: `crm-again-${Date.now()}`,
      userId: CUSTOMER,
      timestamp: new Date().toISOString(),
      traits: { first_name: PERSON.firstName, tier: "gold", cancel_intent: true },
    },
  ]);
  step.prove(
    "the CRM imports her row once more",
    imported.status === 200 && imported.json?.accepted === 1,
    imported.text,
  );
}
