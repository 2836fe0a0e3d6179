// Experiments in a real browser, with the tag, the edge and the central store: what a page shows or
// leaves empty is counted once, and a preview's page counts nothing.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startBrowser } from "../tag/site.mjs";
import { ask, PAGES, publish, until } from "./edge.mjs";
import { key, startBoth } from "./store.mjs";

const content = (headline) => ({ en: { headline } });
const two = { variants: ["nothing", "shown"] };

const WORKSPACE = {
  format: 1,
  languages: ["en"],
  consent: { banner: "test-1" },
  placements: { hero: {}, tip: { where: "page" } },
  experiments: { edge_side: two, page_side: two },
  offers: {
    hello: {
      placements: ["hero"],
      experiment: "edge_side",
      variants: { nothing: null },
      content: content("Hello"),
    },
    hint: {
      placements: ["tip"],
      experiment: "page_side",
      variants: { nothing: null },
      content: content("A hint"),
    },
  },
};
const HTML = `<!doctype html><html lang="en"><head><title>A page</title></head><body>
<div data-selvedge="hero"></div><div data-selvedge="tip"></div></body></html>`;

let both;
let browser;

before(async () => {
  both = await startBoth();
  assert.equal((await publish(both.edge, JSON.stringify(WORKSPACE))).status, 200);
  PAGES["/"] = [200, { "content-type": "text/html" }, HTML];
  browser = await startBrowser();
});

after(async () => {
  await browser?.close();
  await both?.stop();
});

/** What the central store counted: `EXPERIMENT VARIANT` to profiles. */
async function counted() {
  const answer = await fetch(`${both.url}/v1/experiments`, { headers: key });
  const { experiments } = await answer.json();
  const pairs = experiments.flatMap(({ experiment, variants }) =>
    variants.map(({ variant, profiles }) => [`${experiment} ${variant}`, profiles]),
  );
  return Object.fromEntries(pairs.filter(([, profiles]) => profiles > 0));
}

/** Opens the page and fills its own placement; the variants, as the visitor sees them. */
async function look(tab, path = "/") {
  await tab.goto(new URL(path, both.edge.url).href);
  await tab.waitForFunction(() => !window.selvedge.calls);
  return tab.evaluate(async () => {
    await selvedge.ready;
    await selvedge.render("tip");
    const of = (name) =>
      document.querySelector(`[data-selvedge=${name}]`).textContent.trim() ? "shown" : "nothing";
    return { edge_side: of("hero"), page_side: of("tip") };
  });
}

test("what visitors see of an experiment is counted once, an empty placement too", async (t) => {
  const wanted = {};
  for (let nth = 0; nth < 6; nth += 1) {
    const context = await browser.newContext();
    t.after(() => context.close());
    const tab = await context.newPage();
    await look(tab);
    await tab.evaluate(() => {
      const all = { store: true, profile: true, personalise: true, measure: true };
      return selvedge.consent(all, { banner: "test-1" });
    });
    const seen = await look(tab);
    assert.deepEqual(await look(tab), seen, "the next page shows the same");
    for (const [experiment, variant] of Object.entries(seen)) {
      const name = `${experiment} ${variant}`;
      wanted[name] = (wanted[name] ?? 0) + 1;
    }
    // Leaving the page sends what waits.
    await tab.goto("about:blank");
  }
  const same = async () => {
    const found = await counted();
    return Object.keys(wanted).every((name) => found[name] === wanted[name]) && found;
  };
  const found = await until(same, `the central store counts ${JSON.stringify(wanted)}`, 10_000);
  assert.deepEqual(Object.keys(found).sort(), Object.keys(wanted).sort());
});

test("a preview shows the other variants in one browser and counts nothing", async (t) => {
  const context = await browser.newContext();
  t.after(() => context.close());
  const tab = await context.newPage();
  await look(tab);
  await tab.evaluate(() => {
    const all = { store: true, profile: true, personalise: true, measure: true };
    return selvedge.consent(all, { banner: "test-1" });
  });
  const before = await counted();
  for (const variant of ["shown", "nothing"]) {
    const variants = { edge_side: variant, page_side: variant };
    const { link } = (await ask(both.edge, "preview", { variants })).json;
    assert.deepEqual(await look(tab, link), variants);
    assert.equal(new URL(tab.url()).search, "", "no token stands in the page's address");
    assert.deepEqual(await look(tab), variants, "the next page too");
  }
  await look(tab, "/_selvedge/preview?to=/");
  const cookies = await context.cookies(both.edge.url.href);
  assert.deepEqual(cookies.map(({ name }) => name).sort(), ["__Host-selvedge"]);
  // What the browser reports of its own variants comes after all that it reported in the preview.
  const own = await look(tab);
  await tab.goto("about:blank");
  const more = async () => {
    const found = await counted();
    const grown = Object.entries(own).every(
      ([experiment, variant]) =>
        found[`${experiment} ${variant}`] === (before[`${experiment} ${variant}`] ?? 0) + 1,
    );
    return grown && found;
  };
  const found = await until(more, "the browser's own variants", 10_000);
  const sum = (counts) => Object.values(counts).reduce((all, one) => all + one, 0);
  assert.equal(sum(found), sum(before) + 2);
});
