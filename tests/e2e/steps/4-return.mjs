//! Step 4: she comes back without logging in. The page that leaves the edge holds the offer,
//! nothing flickers, and the page's second slot is decided in the browser as the edge would.

import {
  atRest,
  layoutShift,
  listStorage,
  newVisitor,
  shiftLayout,
  waitForOffer,
} from "../browser.mjs";
import { callEdge, DEVICE_COOKIE, explain, fetchPage } from "../edge.mjs";
import { placementIn, stateIn } from "../html.mjs";
import { PERSON } from "./heroine.mjs";

export const title = "She returns, not logged in; the page arrives with the offer in it";

const DECISIONS = 200;

export async function play(story, step) {
  await proveBytes(story, step);
  await proveNothingInBetween(story, step);
  const visitor = await newVisitor(story.browser, { cookies: [cookieOf(story)] });
  story.mira2 = visitor;
  await proveNoFlicker(story, step, visitor);
  await proveSameDecision(story, step, visitor);
  await picturePanel(step, visitor.page);
  step.page = visitor.page;
}

/** All that her browser kept: the shop's own session is over. */
function cookieOf({ demo, device }) {
  const { hostname } = new URL(demo.edgeUrl);
  return {
    name: DEVICE_COOKIE,
    value: device,
    domain: hostname,
    path: "/",
    httpOnly: true,
    secure: true,
    sameSite: "Lax",
  };
}

async function proveBytes({ demo, device }, step) {
  const [hers, nobodys] = [await fetchPage(demo, "/", device), await fetchPage(demo, "/", null)];
  const hero = placementIn(hers.text, "hero");
  step.prove(
    "the raw bytes that leave the edge for her device cookie hold the contract extension",
    hers.status === 200 &&
      hero?.offer === "extension" &&
      hero.text.includes(`Stay another year, ${PERSON.firstName}?`),
    hero,
  );
  step.time("edge to page", hers.ms);
  const others = placementIn(nobodys.text, "hero");
  step.prove(
    "the same request without the cookie gets the general page, without a word about her",
    others?.offer !== "extension" && !nobodys.text.includes(PERSON.firstName),
    others,
  );
  step.prove(
    "her page may be kept by no cache",
    /private/.test(hers.headers["cache-control"]) && /no-store/.test(hers.headers["cache-control"]),
    hers.headers,
  );
  const state = stateIn(hers.text);
  step.prove(
    "the page's own state names the offer and holds no trait of hers",
    state?.decisions?.some(({ offer }) => offer === "extension") &&
      !JSON.stringify(state).includes(PERSON.firstName) &&
      !hers.text.includes(PERSON.email),
    state,
  );
}

/** Every request but the page's own is refused, and the offer is there all the same. */
async function proveNothingInBetween(story, step) {
  const { demo, browser } = story;
  const visitor = await newVisitor(browser, { cookies: [cookieOf(story)] });
  const refused = [];
  await visitor.context.route("**/*", (route) => {
    if (route.request().isNavigationRequest()) return route.continue();
    refused.push(route.request().url());
    return route.abort();
  });
  await visitor.page.goto(`${demo.edgeUrl}/`);
  const hero = await waitForOffer(visitor.page, "hero", "extension");
  step.prove(
    `with all ${refused.length} other requests refused, the offer stands on the screen`,
    refused.length > 0 && hero.offer === "extension" && hero.text.includes(PERSON.firstName),
    { hero, refused },
  );
  await visitor.context.close();
}

async function proveNoFlicker({ demo }, step, visitor) {
  const { page } = visitor;
  await page.goto(`${demo.edgeUrl}/`);
  const tip = await waitForOffer(page, "tip", "tip_loyal");
  step.prove("the page's second slot is filled for her too", tip.offer === "tip_loyal", tip);
  await atRest(visitor);
  await page.locator('[data-selvedge="tip"]').scrollIntoViewIfNeeded();
  const shift = await layoutShift(page);
  step.prove("cumulative layout shift is 0", shift === 0, `it is ${shift}`);
  await page.evaluate(() => scrollTo(0, 0));
  await shiftLayout(page);
  const control = await layoutShift(page);
  step.prove("and the same measure sees a shift that we make", control > 0, `it is ${control}`);
  await page.reload();
  await waitForOffer(page, "tip", "tip_loyal");
  const { documentCookie, localStorage } = await listStorage(visitor);
  step.prove(
    "no script of the page can read the device cookie",
    documentCookie.length === 0 && localStorage.length === 0,
    { documentCookie, localStorage },
  );
  const { profile } = await explain(demo, await cookieValue(visitor));
  const me = await page.evaluate(async () => (await fetch("/api/me")).json());
  step.prove(
    "the shop does not take her for logged in, and the edge knows the device",
    me.customer === null && ["recognised", "authenticated"].includes(profile.assurance),
    { me, assurance: profile.assurance },
  );
}

async function cookieValue({ context }) {
  const cookies = await context.cookies();
  return cookies.find(({ name }) => name === DEVICE_COOKIE)?.value;
}

async function proveSameDecision({ demo, device }, step, visitor) {
  const { page, requests } = visitor;
  await atRest(visitor);
  const loaded = requests.map((request) => new URL(request.url()).pathname);
  step.prove(
    "the core came as Wasm and the slice as bytes, so the page can decide by itself",
    loaded.some((path) => path.endsWith(".wasm")) &&
      loaded.some((path) => path.endsWith("/v1/slice")),
    loaded,
  );
  await page.evaluate(() => window.selvedge.decide("tip"));
  const before = requests.length;
  const { decision, ms } = await page.evaluate(decideOften, DECISIONS);
  const asked = requests.slice(before).map((request) => request.url());
  step.prove(
    `${DECISIONS} decisions in the page make no request at all`,
    asked.length === 0,
    asked,
  );
  step.time("decision in page", ms / DECISIONS);
  const body = { placements: ["tip"], context: { path: "/" } };
  const { json } = await callEdge(demo, "/v1/decide", { device, body });
  const edge = json?.decisions?.[0];
  step.proveEqual(
    "the page's decision is the edge's: the same offer, reason and content",
    part(decision, decision.fields),
    part(edge, edge?.content),
  );
  step.prove("and it is the one for loyal customers", edge.offer === "tip_loyal", edge);
}

function part(decision, fields) {
  const { placement, offer, variant = null, reason, workspace } = decision ?? {};
  return { placement, offer, variant, reason, workspace, fields };
}

/** Runs in the page. All of them are timed at once: a browser's clock is too coarse for one. */
async function decideOften(count) {
  const began = performance.now();
  let decision;
  for (let nth = 0; nth < count; nth += 1) decision = await window.selvedge.decide("tip");
  return { decision, ms: performance.now() - began };
}

async function picturePanel(step, page) {
  await page.locator("#panel-toggle").click();
  await page.locator("#panel-body").getByText("extension").first().waitFor({ state: "visible" });
  step.pictures.push({ name: "panel", bytes: await page.screenshot() });
  const text = await page.locator("#panel-body").textContent();
  step.prove(
    "the shop's panel says what was decided and why every other offer lost",
    ["extension", "gold_preview", "plan_invite", "welcome"].every((key) => text.includes(key)),
    text,
  );
  await page.locator("#panel-close").click();
}
