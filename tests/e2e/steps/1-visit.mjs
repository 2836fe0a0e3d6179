//! Step 1: nothing is stored until her consent allows it.

import { deviceCookie, listStorage, newVisitor } from "../browser.mjs";
import { added, came, readQuietRows, shown } from "../rows.mjs";
import { until, wait } from "../wait.mjs";

export const title = "A visitor looks around; nothing is stored before she allows it";

/** Longer than the tag keeps an event before it sends it. */
const BROWSING_MS = 1_500;

export async function play(story, step) {
  const { demo, browser } = story;
  const before = await readQuietRows(demo.folder);
  const mira = await newVisitor(browser);
  story.mira = mira;
  const cookiesSet = watchCookies(mira.page);
  await lookAround(mira.page, demo.edgeUrl);
  const stored = await listStorage(mira);
  const entries = Object.entries(stored).flatMap(([kind, list]) =>
    list.map((e) => `${kind}: ${e}`),
  );
  step.prove(
    "before consent her browser holds no cookie, localStorage, sessionStorage, IndexedDB, cache " +
      "or service worker entry",
    entries.length === 0,
    entries.join("\n"),
  );
  step.prove("no answer tried to set a cookie", cookiesSet.length === 0, cookiesSet);
  const afterVisit = await readQuietRows(demo.folder);
  const left = came(before, afterVisit);
  step.prove(
    `of the ${afterVisit.length} rows of the Durable Objects and the central store none came ` +
      "with her visit",
    left.length === 0,
    shown(left),
  );
  await refuse(story, step, afterVisit);
  await accept(story, step, afterVisit);
  step.page = mira.page;
}

async function lookAround(page, edgeUrl) {
  await page.goto(`${edgeUrl}/`);
  await page.locator("#consent-accept").waitFor({ state: "visible" });
  await page.locator("a.product-link").first().click();
  await page.locator("#add-to-basket").waitFor({ state: "visible" });
  await wait(BROWSING_MS);
  await page.locator(".brand").click();
  await page.locator("#consent-accept").waitFor({ state: "visible" });
  await wait(BROWSING_MS);
}

/** Two others say no: what their browsers keep tells nobody apart, and the stores keep nothing. */
async function refuse({ demo, browser }, step, before) {
  const kept = [];
  for (let nth = 0; nth < 2; nth += 1) {
    const other = await newVisitor(browser);
    await other.page.goto(`${demo.edgeUrl}/`);
    await other.page.locator("#consent-necessary").click();
    await other.page.locator("#consent-banner").waitFor({ state: "hidden" });
    kept.push(await listStorage(other));
    await other.context.close();
  }
  step.proveEqual(
    "two visitors who say no are left with the very same entries, which tell nobody apart",
    kept[0],
    kept[1],
  );
  step.prove(
    "a no leaves one cookie that no script can read, and nothing else",
    kept[0].cookies.length === 1 && Object.values(kept[0]).flat().length === 1,
    kept[0],
  );
  const left = came(before, await readQuietRows(demo.folder));
  step.prove("a no leaves no row anywhere", left.length === 0, shown(left));
}

/** The positive control: the same listings do show what consent allows. */
async function accept(story, step, before) {
  const { demo, mira } = story;
  await mira.page.locator("#consent-accept").click();
  await mira.page.locator("#consent-banner").waitFor({ state: "hidden" });
  const cookie = await until(() => deviceCookie(mira));
  step.prove(
    "with her consent the device cookie is there: HttpOnly, Secure, SameSite=Lax",
    cookie?.httpOnly === true && cookie.secure && cookie.sameSite === "Lax",
    cookie,
  );
  const fresh = added(before, await readQuietRows(demo.folder));
  const device = namesIn(
    fresh.filter(({ place }) => place.includes("ProfileObject")),
    "d_",
  );
  step.prove(
    "the same listing now shows her device's object, so it would have shown her before",
    device.length === 1,
    shown(fresh),
  );
  const central = fresh.filter(({ place, text }) => isCentral(place) && text.includes(device[0]));
  step.prove("and her consent's receipt in the central store", central.length > 0, shown(fresh));
  story.deviceObject = device[0];
}

/** Names of objects of one kind within rows, each once. */
export function namesIn(rows, kind) {
  const name = new RegExp(`${kind}[0-9a-f]{32}`, "g");
  return [...new Set(rows.flatMap(({ text }) => text.match(name) ?? []))];
}

export function isCentral(place) {
  return place.startsWith("central.sqlite");
}

function watchCookies(page) {
  const set = [];
  page.on("response", async (response) => {
    const header = (await response.allHeaders())["set-cookie"];
    if (header) set.push(`${response.url()}: ${header}`);
  });
  return set;
}
