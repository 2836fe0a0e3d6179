//! The core in the page: it decides as the edge does, and no other core is ever run. The image and
//! the slices come from the engine itself (`fixture.rs`).

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, beforeEach, test } from "node:test";
import { ALL, manifest, page, startBrowser, startSite, state, until } from "./site.mjs";

const file = process.env.SELVEDGE_TAG_FIXTURE;
if (!file) throw new Error("run `cargo xtask test --only tag`, which makes what this test reads");
const fixture = JSON.parse(readFileSync(file, "utf8"));
const bytes = (text) => Buffer.from(text, "hex");
const IMAGE = `/_selvedge/${fixture.version}.workspace`;
const SLICE = "/_selvedge/v1/slice";
const OWN = '<div data-selvedge="tip"><p>The page\'s own words</p></div>';

let browser;
let site;
let tab;

before(async () => {
  browser = await startBrowser();
});
after(() => browser.close());

beforeEach(async (t) => {
  site = await startSite();
  const context = await browser.newContext();
  tab = await context.newPage();
  site.answers[IMAGE] = () => ({ body: bytes(fixture.image) });
  visitor(0);
  t.after(async () => {
    await context.close();
    await site.stop();
  });
});

/** Whose slice the edge gives from now on. */
function visitor(nth) {
  const slice = bytes(fixture.visitors[nth].slice);
  site.answers[SLICE] = () => ({ headers: { "selvedge-image": IMAGE }, body: slice });
}

async function open(language = "en", more = {}) {
  const request = { language, country: "DE" };
  const known = { now: fixture.now, workspace: fixture.version, image: { url: IMAGE }, request };
  site.pages["/"] = page({ body: OWN, state: state(ALL, { ...known, ...more }) });
  await tab.goto(site.url);
  await tab.waitForFunction(() => !window.selvedge.calls);
}

/** All of a decision but its id, which holds the time, and what only the tag adds. */
function essence({ decision, fields, content, trace, ...rest }) {
  return { ...rest, fields: fields ?? content };
}

for (const nth of [0, 1]) {
  for (const [at, language] of ["en", "de"].entries()) {
    test(`the page decides as the edge: visitor ${nth}, ${language}`, async () => {
      visitor(nth);
      await open(language);
      const edge = fixture.visitors[nth].decisions[at];
      const here = await tab.evaluate(() => selvedge.render("tip"));
      assert.deepEqual(essence(here), essence(edge));
      assert.match(here.decision, /^[0-9a-f]{32}$/);
      assert.equal(site.of("/_selvedge/v1/decide").length, 0);
      const headline = edge.content.find((field) => field.name === "headline").text;
      assert.equal(await tab.textContent(".selvedge-headline"), headline);
    });
  }
}

test("the two visitors see different offers", () => {
  const [nobody, ada] = fixture.visitors.map((visitor) => visitor.decisions[0].offer);
  assert.notEqual(nobody, ada);
});

test("core, image and slice are fetched on the first decision, and kept", async () => {
  await open();
  const files = () => [`/_selvedge/${manifest.wasm}`, IMAGE, SLICE].map((f) => site.of(f).length);
  assert.deepEqual(files(), [0, 0, 0]);
  await tab.evaluate(() => selvedge.decide("tip"));
  await tab.evaluate(() => selvedge.decide("tip"));
  await tab.evaluate(() => Promise.all([selvedge.decide("tip"), selvedge.decide("tip")]));
  assert.deepEqual(files(), [1, 1, 1]);
});

test("after events that the edge took in, the next decision asks for the slice again", async () => {
  await open();
  await tab.evaluate(() => selvedge.decide("tip"));
  await tab.evaluate(() => selvedge.track("Order Completed"));
  await until(() => site.batches().length === 1, "the batch");
  await tab.waitForTimeout(200);
  visitor(1);
  const { offer } = await tab.evaluate(() => selvedge.decide("tip"));
  assert.equal(offer, fixture.visitors[1].decisions[0].offer);
  assert.equal(site.of(SLICE).length, 2);
});

test("a trace says why each other offer lost", async () => {
  await open();
  const { trace } = await tab.evaluate(() => selvedge.decide("tip", { trace: true }));
  assert.ok(trace.length > 1);
  assert.equal(trace.filter((one) => one.code === "won").length, 1);
});

test("a core with one byte flipped is refused, and the page stays as it is", async () => {
  const response = await fetch(`${site.url}/_selvedge/${manifest.wasm}`);
  const wasm = Buffer.from(await response.arrayBuffer());
  wasm[wasm.length >> 1] ^= 1;
  site.answers[`/_selvedge/${manifest.wasm}`] = () => ({
    headers: { "content-type": "application/wasm" },
    body: wasm,
  });
  await tab.addInitScript(() => {
    const compile = WebAssembly.compile;
    window.compiled = 0;
    WebAssembly.compile = (...given) => {
      window.compiled += 1;
      return compile(...given);
    };
  });
  await open();
  const before = await tab.evaluate(() => document.body.innerHTML);
  const { offer, reason } = await tab.evaluate(() => selvedge.render("tip"));
  assert.deepEqual([offer, reason], [null, "unavailable"]);
  assert.equal(await tab.evaluate(() => window.compiled), 0);
  assert.equal(await tab.evaluate(() => document.body.innerHTML), before);
});

test("a tag with one byte flipped is refused where the page names its hash", async () => {
  const integrity = manifest.tagIntegrity;
  const element = (src) => `<!doctype html><script src="${src}" integrity="${integrity}"></script>`;
  const response = await fetch(`${site.url}/_selvedge/tag.js`);
  const tag = await response.text();
  site.answers["/good.js"] = () => ({ headers: { "content-type": "text/javascript" }, body: tag });
  site.answers["/bad.js"] = () => ({
    headers: { "content-type": "text/javascript" },
    body: `${tag} `,
  });
  for (const [name, kind] of [
    ["/good.js", "object"],
    ["/bad.js", "undefined"],
  ]) {
    site.pages["/"] = element(name);
    await tab.goto(site.url);
    assert.equal(await tab.evaluate(() => typeof window.selvedge), kind);
  }
});

test("a slice of a newer workspace brings its image along", async () => {
  const old = { image: { url: "/_selvedge/0000000000000000.workspace" }, workspace: "0" };
  await open("en", old);
  const { offer } = await tab.evaluate(() => selvedge.decide("tip"));
  assert.equal(offer, fixture.visitors[0].decisions[0].offer);
  assert.equal(site.of(old.image.url).length, 0);
});

test("bytes that are no slice or no image decide nothing", async () => {
  site.answers["/_selvedge/v1/decide"] = () => ({ status: 503 });
  const broken = [
    [SLICE, Buffer.from("nonsense")],
    [SLICE, Buffer.alloc(0)],
    [SLICE, bytes(fixture.visitors[1].slice).subarray(0, 30)],
    [IMAGE, bytes(fixture.image).subarray(0, 200)],
    [IMAGE, Buffer.alloc(100, 255)],
  ];
  for (const [path, body] of broken) {
    visitor(0);
    site.answers[IMAGE] = () => ({ body: bytes(fixture.image) });
    site.answers[path] = () => ({ headers: { "selvedge-image": IMAGE }, body });
    await open();
    const { offer, reason } = await tab.evaluate(() => selvedge.render("tip"));
    assert.deepEqual([offer, reason], [null, "unavailable"]);
    assert.match(await tab.textContent("[data-selvedge]"), /own words/);
  }
});

test("a policy without Wasm lets the edge decide", async () => {
  site.policy = site.policy.replace("'wasm-unsafe-eval'", "");
  const said = fixture.visitors[1].decisions[0];
  site.answers["/_selvedge/v1/decide"] = () => ({ body: { decisions: [said] } });
  await open();
  const { offer } = await tab.evaluate(() => selvedge.render("tip"));
  assert.equal(offer, said.offer);
});
