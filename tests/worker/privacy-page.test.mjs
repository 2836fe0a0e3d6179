// The demo shop's privacy page before the real edge, in Chromium: by keyboard alone, in English and
// German, and true to what the edge says.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { GERMAN, SAID } from "../../examples/shop/public/assets/js/texts.js";
import { readSettings } from "../../examples/shop/server/settings.mjs";
import { makeShop } from "../../examples/shop/server.mjs";
import { launchBrowser, listStorage, newVisitor } from "../e2e/browser.mjs";
import { ask, publish, startEdge, token, traits, until } from "./edge.mjs";

const WORKSPACE = new URL("../../examples/shop/workspace.json", import.meta.url);
const TABS_MAX = 120;
let folder;
let shop;
let edge;
let chromium;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "selvedge-page-"));
  const far = "http://127.0.0.1:9";
  shop = makeShop(
    readSettings({
      CENTRAL_URL: far,
      CENTRAL_KEY: "unused",
      EDGE_URL: far,
      ADMIN_KEY: "unused",
      TENANT: "shop",
      DATA_DIR: folder,
    }),
  );
  await new Promise((resolve) => shop.listen(0, "127.0.0.1", resolve));
  edge = await startEdge({ ORIGIN_URL: `http://127.0.0.1:${shop.address().port}` });
  const published = await publish(edge, readFileSync(WORKSPACE, "utf8"));
  assert.equal(published.status, 200, published.text);
  chromium = await launchBrowser();
});

after(async () => {
  await chromium?.close();
  await edge?.stop();
  shop?.close();
  shop?.closeAllConnections();
  if (folder) await rm(folder, { recursive: true });
});

async function open(path, options) {
  const visitor = await newVisitor(chromium, options);
  await visitor.page.goto(new URL(path, edge.url).href);
  return visitor;
}

/** Presses Tab until the focus is on this element, as somebody without a mouse does. */
async function tabTo(page, selector) {
  for (let nth = 0; nth < TABS_MAX; nth += 1) {
    await page.keyboard.press("Tab");
    const there = (wanted) => document.activeElement?.matches(wanted) === true;
    if (await page.evaluate(there, selector)) return;
  }
  assert.fail(`Tab never reaches ${selector}`);
}

const says = (page, selector, text) =>
  page.waitForFunction(
    ([where, what]) => document.querySelector(where)?.textContent.includes(what),
    [selector, text],
  );
const texts = (page) =>
  page.evaluate(() =>
    [...document.querySelectorAll("[data-text]")].map((element) => [
      element.dataset.text,
      element.textContent,
    ]),
  );

test("everything that the page and the scripts say is there in both languages", async () => {
  assert.deepEqual(Object.keys(SAID.de).sort(), Object.keys(SAID.en).sort());
  const german = await open("/privacy/", { locale: "de-DE" });
  await says(german.page, "#privacy-status", SAID.de["not-chosen"]);
  const shown = await texts(german.page);
  assert.deepEqual([...new Set(shown.map(([key]) => key))].sort(), Object.keys(GERMAN).sort());
  for (const [key, text] of shown) assert.equal(text, GERMAN[key]);
  assert.equal(await german.page.evaluate(() => document.documentElement.lang), "de");
  const english = await open("/privacy/", { locale: "en-GB" });
  await says(english.page, "#privacy-status", SAID.en["not-chosen"]);
  for (const [key, text] of await texts(english.page)) assert.notEqual(text, GERMAN[key], key);
  assert.equal(await english.page.evaluate(() => document.documentElement.lang), "en");
  for (const { context } of [german, english]) await context.close();
});

test("the banner speaks the browser's language on every page", async () => {
  const { page, context } = await open("/", { locale: "de-AT" });
  await says(page, "#consent-title", GERMAN["banner-title"]);
  assert.equal(await page.locator("#consent-banner").getAttribute("lang"), "de");
  assert.equal(await page.locator("#consent-accept").textContent(), GERMAN["banner-accept"]);
  assert.equal(await page.evaluate(() => document.documentElement.lang), "en");
  await context.close();
});

test("the language is switched by keyboard, and nothing is stored for it", async () => {
  const { page, context } = await open("/privacy/", { locale: "en-US" });
  await says(page, "#privacy-status", SAID.en["not-chosen"]);
  await tabTo(page, '[data-language="de"]');
  await page.keyboard.press("Enter");
  await says(page, "h1", GERMAN.title);
  await says(page, "#privacy-status", SAID.de["not-chosen"]);
  await says(page, "#held", SAID.de["held-nothing"]);
  assert.equal(new URL(page.url()).searchParams.get("language"), "de");
  for (const list of Object.values(await listStorage({ page, context }))) {
    assert.deepEqual(list, []);
  }
  await page.reload();
  await says(page, "h1", GERMAN.title);
  await context.close();
});

test("by keyboard: allow, read what is held, download, withdraw, erase", async () => {
  const customer = "S-0001";
  edge.central.changes = (person) => [traits(person, { first_name: { String: "Mira" } })];
  const { page, context, errors } = await open("/privacy/?language=en");
  await says(page, "#privacy-status", SAID.en["not-chosen"]);
  await tabTo(page, "#consent-accept");
  await page.keyboard.press("Enter");
  await says(page, "#held", SAID.en["held-anonymous"]);
  await says(page, "#receipts", "shop-banner-2026-11");
  await says(page, "#since-store", "since ");
  const login = await page.evaluate((text) => window.selvedge.login(text), token(customer));
  assert.equal(login.linked, true);
  await page.reload();
  await says(page, "#held", "Mira");
  await says(page, "#receipts", "shop-banner-2026-11");

  await tabTo(page, "#download");
  const coming = page.waitForEvent("download");
  await page.keyboard.press("Enter");
  const file = JSON.parse(readFileSync(await (await coming).path(), "utf8"));
  assert.equal(file.complete, true);
  assert.equal(file.content.traits.first_name, "Mira");

  await page.reload();
  await says(page, "#held", "Mira");
  await tabTo(page, "#privacy-withdraw");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => !document.querySelector("#held").textContent.includes("Mira"));
  await says(page, "#state-personalise", "no");
  assert.deepEqual((await ask(edge, "export", { customerId: customer })).json.held.live.traits, {});

  // Allowed again and logged in again: there is something to erase.
  await page.evaluate(() => {
    const all = { store: true, profile: true, personalise: true, measure: true };
    return window.selvedge.consent(all);
  });
  await page.evaluate((text) => window.selvedge.login(text), token(customer));
  await page.reload();
  await says(page, "#held", "Mira");
  await tabTo(page, "#erase");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement.id), "erase-yes");
  await says(page, "#erase-about", SAID.en["erase-about-person"]);
  await page.keyboard.press("Enter");
  await says(page, "#erase-status", SAID.en["erased-person"]);
  assert.deepEqual(await context.cookies(), []);
  assert.equal((await ask(edge, "export", { customerId: customer })).json.held.live, null);
  await until(() => edge.central.erased.length === 1, "the central store is told");
  assert.deepEqual(errors, []);
  await context.close();
});
