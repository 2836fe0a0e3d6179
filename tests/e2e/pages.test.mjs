//! The shop as people use it: by keyboard, on a small screen, in the dark, and under names that
//! somebody wrote to do harm.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  atRest,
  deviceCookie,
  launchBrowser,
  newVisitor,
  placementOn,
  waitForOffer,
} from "./browser.mjs";
import { openDemo } from "./demo.mjs";
import { explain, fetchPage, importRows, signToken } from "./edge.mjs";
import { placementIn } from "./html.mjs";
import { until } from "./wait.mjs";

const PAGES = ["/", "/plan/", "/basket/", "/account/", "/privacy/", "/call-centre/"];
const SMALL = { width: 360, height: 740 };
const TABS_MAX = 120;
/** The gold customer's offer and the loyal customer's both greet by first name. */
const ATTACKS = [
  "<img src=x onerror=window.attacked=1>",
  "</strong></a></div><script>window.attacked=1</script>",
  "</script><script>window.attacked=1</script>",
  `" onmouseover="window.attacked=1" x="`,
  "{{profile.email}}<!--",
];

let opened;
let demo;
let browser;

before(async () => {
  opened = await openDemo("pages");
  demo = opened.demo;
  browser = await launchBrowser();
});

after(async () => {
  await browser?.close();
  await opened?.close();
});

/** Presses Tab until the focus is on this element, as somebody without a mouse does. */
async function tabTo(page, selector) {
  const passed = [];
  for (let nth = 0; nth < TABS_MAX; nth += 1) {
    await page.keyboard.press("Tab");
    const [reached, name] = await page.evaluate((wanted) => {
      const focused = document.activeElement;
      return [focused?.matches(wanted) === true, focused?.id || focused?.tagName];
    }, selector);
    if (reached) return;
    passed.push(name);
  }
  assert.fail(`Tab never reaches ${selector}; it went by ${passed.slice(0, 40).join(", ")}`);
}

/** Whether the browser draws something around what has the focus. */
function focusIsSeen(page) {
  return page.evaluate(() => {
    const style = getComputedStyle(document.activeElement);
    return style.outlineStyle !== "none" || style.boxShadow !== "none";
  });
}

test("consent, login and withdrawal work by keyboard alone", async () => {
  const visitor = await newVisitor(browser);
  const { page } = visitor;
  await page.goto(`${demo.edgeUrl}/`);
  await page.locator("#consent-accept").waitFor({ state: "visible" });
  await tabTo(page, "#consent-accept");
  assert.ok(await focusIsSeen(page), "the focus cannot be seen");
  await page.keyboard.press("Enter");
  await page.locator("#consent-banner").waitFor({ state: "hidden" });
  assert.ok(await until(() => deviceCookie(visitor)), "no cookie after the consent");

  await tabTo(page, 'nav a[href="/account/"]');
  await page.keyboard.press("Enter");
  await page.waitForURL("**/account/");
  await tabTo(page, "input[name=customerId]");
  // The radios are one stop; the arrow keys go from one to the next.
  await page.keyboard.press("ArrowDown");
  assert.equal(await page.evaluate(() => document.activeElement.value), "C-0001");
  await tabTo(page, "#login-submit");
  await page.keyboard.press("Enter");
  const status = page.locator("#account-status");
  await status.waitFor({ state: "visible" });
  assert.match(await status.textContent(), /is linked to you/);
  const focused = await page.evaluate(() => document.activeElement.id);
  assert.equal(focused, "account-title", "the focus does not follow to the account");

  await page.goto(`${demo.edgeUrl}/`);
  assert.equal((await waitForOffer(page, "hero", "plan_invite")).offer, "plan_invite");

  await tabTo(page, 'footer a[href="/privacy/"]');
  await page.keyboard.press("Enter");
  await page.waitForURL("**/privacy/");
  await page.waitForFunction(() => document.querySelector("#setting-personalise").checked);
  await tabTo(page, "#setting-personalise");
  await page.keyboard.press("Space");
  await tabTo(page, "#privacy-save");
  await page.keyboard.press("Enter");
  assert.equal((await waitForOffer(page, "hero", "welcome")).offer, "welcome");

  await tabTo(page, "#privacy-withdraw");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => !document.querySelector("#setting-store").checked);
  await page.goto(`${demo.edgeUrl}/`);
  assert.doesNotMatch((await placementOn(page, "hero")).text, /let the linen come to you/);
  assert.deepEqual(visitor.errors, []);
  await visitor.context.close();
});

test("no page scrolls sideways at 360 pixels", async () => {
  const visitor = await newVisitor(browser, { viewport: SMALL });
  const { context, page } = visitor;
  const product = await firstProduct(page);
  for (const path of [...PAGES, product]) {
    await page.goto(demo.edgeUrl + path);
    await atRest(visitor);
    for (const opened of [false, true]) {
      if (opened) await page.locator("#panel-toggle").click();
      const { content, screen } = await page.evaluate(() => ({
        content: document.scrollingElement.scrollWidth,
        screen: document.documentElement.clientWidth,
      }));
      assert.ok(content <= screen, `${path} is ${content} pixels wide on ${screen}`);
    }
  }
  // The same measure sees what is too wide.
  await page.evaluate(() => {
    const block = document.createElement("div");
    block.style.width = "500px";
    block.textContent = "too wide";
    document.querySelector("main").append(block);
  });
  assert.ok((await page.evaluate(() => document.scrollingElement.scrollWidth)) > SMALL.width);
  await context.close();
});

async function firstProduct(page) {
  await page.goto(`${demo.edgeUrl}/`);
  return page.locator("a.product-link").first().getAttribute("href");
}

test("in the dark the shop is dark, and can be read", async () => {
  const seen = {};
  for (const colorScheme of ["light", "dark"]) {
    const visitor = await newVisitor(browser, { colorScheme });
    const { context, page } = visitor;
    await page.goto(`${demo.edgeUrl}/`);
    await atRest(visitor);
    seen[colorScheme] = { picture: await page.screenshot(), ...(await page.evaluate(brightness)) };
    await context.close();
  }
  const { light, dark } = seen;
  assert.ok(!light.picture.equals(dark.picture), "both pictures are the same");
  assert.ok(
    light.background > 0.6 && dark.background < 0.3,
    `${light.background}, ${dark.background}`,
  );
  for (const { text, background } of [light, dark]) {
    const [high, low] = [Math.max(text, background), Math.min(text, background)];
    // WCAG 2.2, 1.4.3: at least 4.5 to 1 for text.
    assert.ok((high + 0.05) / (low + 0.05) >= 4.5, `text ${text} on ${background}`);
  }
});

/** Runs in the page: relative luminance (WCAG 2.2) of the body's background and text. */
function brightness() {
  const paint = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const luminance = (colour) => {
    paint.fillStyle = colour;
    paint.fillRect(0, 0, 1, 1);
    const parts = [...paint.getImageData(0, 0, 1, 1).data].slice(0, 3).map((byte) => byte / 255);
    const [r, g, b] = parts.map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const of = (element, name) => luminance(getComputedStyle(element)[name]);
  const { body, documentElement } = document;
  const plain = getComputedStyle(body).backgroundColor === "rgba(0, 0, 0, 0)";
  return {
    background: of(plain ? documentElement : body, "backgroundColor"),
    text: of(body, "color"),
  };
}

test("a first name that is markup is shown as text and runs nothing", async () => {
  for (const [nth, firstName] of ATTACKS.entries()) {
    const customerId = `C-9${String(nth).padStart(3, "0")}`;
    await importAttacker(customerId, firstName);
    const visitor = await newVisitor(browser);
    const { page } = visitor;
    await page.goto(`${demo.edgeUrl}/`);
    await page.locator("#consent-accept").click();
    await page.locator("#consent-banner").waitFor({ state: "hidden" });
    const login = await page.evaluate(
      (token) => window.selvedge.login(token),
      signToken(demo, customerId),
    );
    assert.equal(login.linked, true, JSON.stringify(login));
    const { value } = await deviceCookie(visitor);
    const known = await until(async () => {
      const { profile } = await explain(demo, value);
      return JSON.stringify(profile.traits).includes("gold");
    });
    assert.ok(known, "the edge does not know the imported traits");

    const html = (await fetchPage(demo, "/", value)).text;
    const hero = placementIn(html, "hero");
    assert.equal(hero.offer, "gold_preview");
    // Alone in the bytes, markup of hers would be one more element.
    assert.doesNotMatch(hero.html, /<(img|script)|<[^>]*\sonmouseover/);
    await page.goto(`${demo.edgeUrl}/`);
    assert.ok((await waitForOffer(page, "hero", "gold_preview")).text.includes(firstName));
    assert.ok((await waitForOffer(page, "tip", "tip_loyal")).text.includes(firstName));
    for (const placement of ["hero", "tip"]) {
      await page.locator(`[data-selvedge="${placement}"]`).first().hover();
    }
    assert.equal(await page.evaluate(() => window.attacked), undefined, firstName);
    assert.equal(await page.locator("[onmouseover], [onerror]").count(), 0);
    assert.deepEqual(visitor.errors, []);
    await visitor.context.close();
  }
});

test("the same attack runs where a page is careless, so the test would see it", async () => {
  const { context, page } = await newVisitor(browser);
  await page.goto(`${demo.edgeUrl}/`);
  await page.evaluate((html) => {
    document.querySelector('[data-selvedge="hero"]').innerHTML = html;
  }, ATTACKS[0]);
  assert.ok(await until(() => page.evaluate(() => window.attacked === 1)), "nothing ran");
  await context.close();
});

/** Somebody in the CRM whom both offers greet by name: gold, with three orders. */
async function importAttacker(customerId, firstName) {
  const timestamp = new Date().toISOString();
  const identify = {
    type: "identify",
    messageId: `attack-${customerId}-${Date.now()}`,
    userId: customerId,
    timestamp,
    traits: { first_name: firstName, tier: "gold", contract: "linen_plan" },
  };
  const orders = [1, 2, 3].map((nth) => ({
    type: "track",
    messageId: `attack-${customerId}-order-${nth}-${Date.now()}`,
    userId: customerId,
    event: "Order Completed",
    timestamp,
    properties: { total: 10 },
  }));
  const { status, json, text } = await importRows(demo, "crm", [identify, ...orders]);
  assert.equal(status, 200, text);
  assert.equal(json.accepted, 4, text);
}
