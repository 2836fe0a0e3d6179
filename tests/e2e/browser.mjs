//! Chromium for the tests: visitors with their own cookies, what a browser has stored, what moved
//! on the page, and what it asked for. It must never know the story.

import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { chromium } from "playwright-core";
import { DEVICE_COOKIE } from "./edge.mjs";
import { wait } from "./wait.mjs";

const NAMES = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome"];
const FOLDERS = ["/usr/bin", "/usr/local/bin", "/snap/bin", "/opt/google/chrome"];
const MAC = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome";
const QUIET = [
  "--no-sandbox",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--no-first-run",
];
export const SIZE = { width: 1280, height: 800 };
const ACTION_MS = 10_000;
const REST_MS = 1_300;

function findChromium() {
  if (process.env.CHROMIUM) return process.env.CHROMIUM;
  const folders = [...(process.env.PATH ?? "").split(delimiter), ...FOLDERS];
  const places = folders.flatMap((folder) => NAMES.map((name) => join(folder, name)));
  const found = [...places, MAC].find(isProgram);
  if (found) return found;
  throw new Error("Chromium is missing: install it, or name its program in `CHROMIUM`");
}

function isProgram(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

export function launchBrowser() {
  return chromium.launch({ executablePath: findChromium(), args: QUIET });
}

/** A visitor with an empty browser, or with nothing but these cookies. */
export async function newVisitor(browser, { cookies = [], ...options } = {}) {
  const context = await browser.newContext({ viewport: SIZE, ...options });
  context.setDefaultTimeout(ACTION_MS);
  if (cookies.length > 0) await context.addCookies(cookies);
  await context.addInitScript(watchShifts);
  const page = await context.newPage();
  return { context, page, requests: watchRequests(page), errors: watchErrors(page) };
}

/** Everything that the browser has stored for the site, as `name` -> list of entries. */
export async function listStorage({ context, page }) {
  const inPage = await page.evaluate(async () => {
    const entries = (storage) => Object.entries({ ...storage }).map(([k, v]) => `${k}=${v}`);
    const databases = await indexedDB.databases();
    const workers = await navigator.serviceWorker.getRegistrations();
    return {
      documentCookie: document.cookie ? [document.cookie] : [],
      localStorage: entries(localStorage),
      sessionStorage: entries(sessionStorage),
      indexedDB: databases.map(({ name }) => name),
      caches: await caches.keys(),
      serviceWorkers: workers.map(({ scope }) => scope),
    };
  });
  const cookies = await context.cookies();
  return { cookies: cookies.map(({ name, value }) => `${name}=${value}`), ...inPage };
}

/** The device cookie as the browser keeps it; undefined where there is none. */
export async function deviceCookie({ context }) {
  const cookies = await context.cookies();
  return cookies.find(({ name }) => name === DEVICE_COOKIE);
}

/** What stands in a placement on the screen. */
export async function placementOn(page, name) {
  const element = page.locator(`[data-selvedge="${name}"]`).first();
  return {
    offer: await element.getAttribute("data-selvedge-offer"),
    text: (await element.textContent()).replace(/\s+/g, " ").trim(),
  };
}

/** Waits until a placement shows this offer; what it shows then. */
export async function waitForOffer(page, placement, offer) {
  await page
    .locator(`[data-selvedge="${placement}"][data-selvedge-offer="${offer}"]`)
    .first()
    .waitFor({ state: "visible" })
    // What stands there instead says more than that the time is over.
    .catch(() => {});
  return placementOn(page, placement);
}

/** Waits until the page has asked for nothing for longer than the tag keeps an event. */
export async function atRest({ requests }) {
  for (let before = -1; before !== requests.length; ) {
    before = requests.length;
    await wait(REST_MS);
  }
}

/** Cumulative layout shift so far: the sum of all unexpected shifts, which is never less than the
 *  windowed value of web-vitals. */
export async function layoutShift(page) {
  // The observer reports after a frame; two frames on, all that happened is there.
  return page.evaluate(async () => {
    for (let frame = 0; frame < 2; frame += 1) {
      await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
    }
    return window.layoutShifts.reduce((sum, value) => sum + value, 0);
  });
}

/** Moves the page's content, so that an observer which sees nothing is found out. */
export async function shiftLayout(page) {
  await page.evaluate(() => {
    const block = document.createElement("div");
    block.style.height = "120px";
    document.body.prepend(block);
  });
}

function watchShifts() {
  window.layoutShifts = [];
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      if (!entry.hadRecentInput) window.layoutShifts.push(entry.value);
    }
  });
  observer.observe({ type: "layout-shift", buffered: true });
}

function watchRequests(page) {
  const requests = [];
  page.on("request", (request) => requests.push(request));
  return requests;
}

function watchErrors(page) {
  const errors = [];
  page.on("pageerror", (error) => errors.push(error));
  return errors;
}
