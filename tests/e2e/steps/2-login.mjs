//! Step 2: she logs in once, and her visit is stitched to her customer record.

import { deviceCookie, waitForOffer } from "../browser.mjs";
import { explain, fetchPage } from "../edge.mjs";
import { placementIn } from "../html.mjs";
import { holding, readQuietRows, shown } from "../rows.mjs";
import { until } from "../wait.mjs";
import { isCentral, namesIn } from "./1-visit.mjs";
import { bare, CUSTOMER, ordersOf, PERSON } from "./heroine.mjs";

export const title = "She logs in; her device is linked to her customer record";

export async function play(story, step) {
  const { demo, mira } = story;
  const before = await readQuietRows(demo.folder);
  await mira.page.goto(`${demo.edgeUrl}/account/`);
  await mira.page.locator(`#login-${CUSTOMER}`).check();
  await mira.page.locator("#login-submit").click();
  const status = mira.page.locator("#account-status");
  await status.waitFor({ state: "visible" });
  const said = await status.textContent();
  step.prove("the signed token links this device to her", /is linked to you/.test(said), said);
  const cookie = await deviceCookie(mira);
  // A browser that was closed for a while: this value is the old tab's from now on.
  story.device = cookie.value;

  const known = await until(async () => {
    const answer = await explain(demo, story.device);
    return bare(answer.profile?.traits?.first_name) === PERSON.firstName && answer;
  });
  step.prove("the edge knows her name from the central store", known !== null, known);
  step.prove(
    "she is authenticated, with one device whose earlier visit came along",
    known.profile.assurance === "authenticated" &&
      known.profile.devices.length === 1 &&
      known.profile.devices[0].attached === true,
    known.profile,
  );
  proveOrders(step, known.profile.computed);
  story.personObject = known.profile.profile;
  await proveRows(story, step, before);
  await provePage(story, step);
}

function proveOrders(step, computed) {
  const orders = ordersOf(CUSTOMER);
  const sum = Number(bare(computed.spent_ever));
  step.prove(
    `her ${orders.count} orders of 1997 and 1998 are counted, and their sum is exact to the cent`,
    Number(bare(computed.orders_ever)) === orders.count && Math.abs(sum - orders.sum) < 0.005,
    computed,
  );
}

async function proveRows(story, step, before) {
  const { demo, deviceObject, personObject } = story;
  const rows = await readQuietRows(demo.folder);
  const objects = rows.filter(({ place }) => / state$/.test(place));
  const both = holding(objects, [personObject]).filter(({ text }) => text.includes(deviceObject));
  step.prove(
    "her object names the device, and the device's object names her",
    both.length === 2 && namesIn(both, "p_").length === 1,
    shown(holding(objects, [personObject, deviceObject])),
  );
  const linked = (all) =>
    holding(all, [personObject]).filter(
      (row) => isCentral(row.place) && row.text.includes(deviceObject),
    );
  step.prove(
    "the central store holds the fact that links them, and did not before",
    linked(rows).length > 0 && linked(before).length === 0,
    shown(
      holding(
        rows.filter(({ place }) => isCentral(place)),
        [personObject],
      ),
    ),
  );
}

async function provePage({ demo, mira, device }, step) {
  const page = await fetchPage(demo, "/", device);
  const hero = placementIn(page.text, "hero");
  step.prove(
    "the next page leaves the edge with the offer for gold customers",
    hero?.offer === "gold_preview" && hero.text.includes(PERSON.firstName),
    hero,
  );
  await mira.page.goto(`${demo.edgeUrl}/`);
  const shownHero = await waitForOffer(mira.page, "hero", "gold_preview");
  const letters = (text) => text.replace(/\s/g, "");
  step.prove("and she sees it", letters(shownHero.text) === letters(hero.text), shownHero);
  step.page = mira.page;
}
