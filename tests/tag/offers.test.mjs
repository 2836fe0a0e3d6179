//! Offers in the page: how they appear, what is measured, and what never runs.

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import {
  ALL,
  consent,
  decision,
  page,
  sleep,
  startBrowser,
  startSite,
  state,
  until,
} from "./site.mjs";

const HERO =
  '<div data-selvedge="hero" data-selvedge-offer="o" data-selvedge-decision="d1">' +
  '<a class="selvedge-offer" href="/plan/"><b class="selvedge-headline">Hello</b></a></div>';
const OWN = '<div data-selvedge="tip"><p>The page\'s own <b>words</b></p></div>';

let browser;
let site;
let tab;
/** What the browser said about forbidden things. */
let violations;

before(async () => {
  browser = await startBrowser();
});
after(() => browser.close());

beforeEach(async (t) => {
  site = await startSite();
  const context = await browser.newContext({ viewport: { width: 800, height: 600 } });
  tab = await context.newPage();
  violations = [];
  tab.on("console", (message) => {
    if (/Content Security Policy|TrustedHTML/.test(message.text())) violations.push(message.text());
  });
  // Without the core in the page, the edge decides; the core has tests of its own.
  await tab.addInitScript(() => {
    WebAssembly.compile = () => Promise.reject(new Error("no Wasm in this test"));
  });
  site.answers["/_selvedge/v1/slice"] = () => ({ body: "" });
  t.after(async () => {
    await context.close();
    await site.stop();
  });
});

async function open(options) {
  site.pages["/"] = page(options);
  await tab.goto(site.url);
  await tab.waitForFunction(() => !window.selvedge.calls);
}

function answer(...decisions) {
  site.answers["/_selvedge/v1/decide"] = ({ json }) => ({
    body: { decisions: decisions.filter((one) => json.placements.includes(one.placement)) },
  });
}

const events = (name) => site.events().filter((event) => event.event === name);

test("an offer of the edge is measured once, as it was decided", async () => {
  const decided = { placement: "hero", offer: "o", variant: null, reason: "won", decision: "d1" };
  await open({ body: HERO, state: state(ALL, { decisions: [decided] }) });
  const began = Date.now();
  await until(() => events("Promotion Viewed").length > 0, "the impression");
  assert.ok(Date.now() - began > 500, "only what stays in sight for a second was seen");
  assert.deepEqual(events("Promotion Viewed")[0].properties, {
    promotion_id: "o",
    placement: "hero",
    decision: "d1",
    variant: null,
  });
  site.pages["/plan/"] = "<!doctype html><title>Plan</title>";
  await tab.click(".selvedge-headline");
  await until(() => events("Promotion Clicked").length > 0, "the click");
  assert.equal(events("Promotion Viewed").length, 1);
  assert.equal(events("Promotion Clicked")[0].properties.decision, "d1");
  assert.equal(site.of("/_selvedge/v1/decide").length, 0, "nothing was decided again");
});

/** Exposures as they were reported. */
const exposed = () =>
  events("Experiment Viewed").map(({ properties }) =>
    [properties.experiment_id, properties.variation_id].join(" "),
  );

test("the variants behind a placement are reported, also where they left it empty", async () => {
  const of = (experiment, variant) => ({ experiment, variant });
  const none = { offer: null, variant: null, reason: "no_offer", decision: "" };
  const decisions = [
    { placement: "hero", ...none, exposures: [of("show", "nothing"), of("holdout.all", "shown")] },
    { placement: "elsewhere", ...none, exposures: [of("copy", "short")] },
    // A page that an older edge made names none.
    { placement: "tip", ...none },
  ];
  await open({ body: `<div data-selvedge="hero"></div>${OWN}`, state: state(ALL, { decisions }) });
  await until(() => exposed().length > 0, "the exposures");
  assert.deepEqual(exposed(), ["show nothing", "holdout.all shown"]);
  const exposures = [of("words", "long")];
  answer(decision("tip", "o", [["headline", "text", "Hello"]], { exposures }));
  await tab.evaluate(() => selvedge.render("tip"));
  await until(() => exposed().length > 2, "the exposure of the page's own decision");
  assert.deepEqual(exposed().slice(2), ["words long"]);
});

test("no variant is reported before the consent allows it", async () => {
  const exposures = [{ experiment: "show", variant: "nothing" }];
  const said = { placement: "hero", offer: null, variant: null, reason: "no_offer", exposures };
  const without = consent(["store", "profile", "personalise"]);
  await open({
    body: '<div data-selvedge="hero"></div>',
    state: state(without, { decisions: [{ ...said, decision: "" }] }),
  });
  await tab.evaluate(() => selvedge.track("Something"));
  await until(() => events("Something").length > 0, "another event");
  assert.deepEqual(exposed(), []);
  site.answers["/_selvedge/v1/consent"] = () => ({ body: ALL });
  await tab.evaluate(() => selvedge.consent({ measure: true }));
  await until(() => exposed().length > 0, "the exposure, once it may be measured");
});

test("the edge is told what the page shows already", async () => {
  await open({ body: HERO + OWN, state: state(ALL) });
  answer(decision("tip", null, []));
  await tab.evaluate(() => selvedge.render("tip"));
  assert.deepEqual(site.of("/_selvedge/v1/decide")[0].json.shown, ["o"]);
});

test("an offer below the fold is seen when it is scrolled to", async () => {
  const body = `<div style="height:3000px"></div>${HERO}`;
  site.policy = site.policy.replace("default-src", "style-src 'unsafe-inline'; default-src");
  await open({ body, state: state(ALL) });
  await sleep(1_800);
  assert.equal(events("Promotion Viewed").length, 0);
  await tab.evaluate(() => scrollTo(0, 5_000));
  await until(() => events("Promotion Viewed").length > 0, "the impression");
});

test("without an observer what is there counts as seen", async () => {
  await tab.addInitScript(() => {
    delete window.IntersectionObserver;
  });
  await open({ body: HERO, state: state(ALL) });
  await until(() => events("Promotion Viewed").length > 0, "the impression");
});

test("without consent to measure nothing is measured", async () => {
  await open({ body: HERO, state: state(consent(["store", "profile", "personalise"])) });
  site.pages["/plan/"] = "<!doctype html><title>Plan</title>";
  await sleep(1_500);
  await tab.click(".selvedge-headline");
  await sleep(1_500);
  assert.equal(site.events().length, 0);
});

test("a dismissed offer is reported and gone", async () => {
  const closing = HERO.replace("</a></div>", "</a><button data-selvedge-dismiss>x</button></div>");
  await open({ body: closing, state: state(ALL) });
  await tab.click("button");
  await until(() => events("Promotion Dismissed").length > 0, "the dismissal");
  assert.equal(events("Promotion Clicked").length, 0);
  assert.equal(await tab.textContent("[data-selvedge]"), "");
});

test("a rendered offer has the edge's form, and goes as it came", async () => {
  await open({ body: OWN, state: state(ALL) });
  const fields = [
    ["headline", "text", "A tip"],
    ["picture", "image", "/a.png"],
    ["body", "text", "Use & <enjoy>"],
    ["href", "link", "/tips/?a=1&b=2"],
  ];
  answer(decision("tip", "t", fields));
  const said = await tab.evaluate(async () => {
    const heard = [];
    document.addEventListener("selvedge:decision", ({ detail }) => heard.push(detail.offer));
    const { content, offer } = await selvedge.render("tip");
    return { offer, headline: content.headline, heard };
  });
  assert.deepEqual(said, { offer: "t", headline: "A tip", heard: ["t"] });
  const shown = () => tab.evaluate(() => document.querySelector("[data-selvedge]").outerHTML);
  assert.equal(
    await shown(),
    '<div data-selvedge="tip" data-selvedge-offer="t" data-selvedge-decision="tip-t">' +
      '<a class="selvedge-offer" href="/tips/?a=1&amp;b=2">' +
      '<strong class="selvedge-headline">A tip</strong>' +
      '<img class="selvedge-picture" alt="" src="/a.png">' +
      '<span class="selvedge-body">Use &amp; &lt;enjoy&gt;</span></a></div>',
  );
  const [asked] = site.of("/_selvedge/v1/decide");
  assert.equal(asked.json.context.path, "/");
  assert.ok(!("host" in asked.json.context) && !("country" in asked.json.context));
  answer(decision("tip", null, []));
  await tab.evaluate(() => selvedge.render("tip"));
  assert.equal(await shown(), OWN.replace("'", "'"));
});

test("where nothing can be decided the page stays as it is", async () => {
  site.answers["/_selvedge/v1/decide"] = () => ({ status: 503 });
  await open({ body: OWN + HERO, state: state(ALL) });
  const both = () => tab.evaluate(() => document.body.innerHTML);
  const kept = await both();
  for (const placement of ["tip", "hero", "nowhere", "__proto__"]) {
    const { offer, reason } = await tab.evaluate((name) => selvedge.render(name), placement);
    assert.deepEqual([offer, reason], [null, "unavailable"]);
  }
  assert.equal(await both(), kept);
});

const MARKUP = [
  "<script>window.ran = 1</script>",
  '<img src="x" onerror="window.ran = 1">',
  '"><svg onload="window.ran = 1">',
  "<iframe srcdoc='<script>parent.ran = 1</script>'></iframe>",
  "<math><mtext></form><form><mglyph><style></math><img src onerror=window.ran=1>",
  "{{constructor.constructor('window.ran = 1')()}}",
  "<noscript><p title='</noscript><img src=x onerror=window.ran=1>'>",
  "&lt;script&gt;window.ran = 1&lt;/script&gt;",
  "<a href='javascript:window.ran=1' id='x'>x</a>",
  "\u0000<script>window.ran = 1</script>",
];

const ADDRESSES = [
  "javascript:window.ran=1",
  "JaVaScRiPt:window.ran=1",
  " javascript:window.ran=1",
  "java\tscript:window.ran=1",
  "java\nscript:window.ran=1",
  "\u0001javascript:window.ran=1",
  "javascript\u003awindow.ran=1",
  "javascript&colon;window.ran=1",
  "javascript:/*--></title></style>*/window.ran=1//https://shop.example/",
  "data:text/html,<script>parent.ran=1</script>",
  "data:text/html;base64,PHNjcmlwdD5wYXJlbnQucmFuPTE8L3NjcmlwdD4=",
  "vbscript:window.ran=1",
  "blob:https://shop.example/x",
  "filesystem:https://shop.example/x",
  "//evil.example/",
  "/\\evil.example/",
  "\\\\evil.example/",
  "/\t/evil.example/",
  "http://evil.example/",
  "https:evil.example",
  "https:\\\\evil.example",
  "https://",
  "https://user@evil.example/",
  "https://shop.example@evil.example/",
  "view-source:https://shop.example/",
  "x.html",
  "?q=1",
  "#top",
  "",
];

test("markup in an offer is text, and no address runs", async () => {
  await open({ body: OWN, state: state(ALL) });
  const cases = [
    ...MARKUP.map((text) => [
      ["headline", "text", text],
      [text, "text", text],
    ]),
    ...ADDRESSES.map((text) => [
      ["headline", "text", "x"],
      ["href", "link", text],
      ["p", "image", text],
    ]),
  ];
  for (const [at, fields] of cases.entries()) {
    answer(decision("tip", `offer-${at}`, fields));
    const shown = await tab.evaluate(async () => {
      await selvedge.render("tip");
      const element = document.querySelector("[data-selvedge]");
      const all = [...element.querySelectorAll("*")];
      for (const one of all) one.click?.();
      return {
        names: [...new Set(all.map((one) => one.localName))],
        text: element.textContent,
        addresses: all.flatMap((one) => [one.getAttribute("href"), one.getAttribute("src")]),
      };
    });
    assert.deepEqual(
      shown.names.filter((name) => !["div", "span", "strong"].includes(name)),
      [],
    );
    assert.deepEqual(shown.addresses.filter(Boolean), [], JSON.stringify(fields));
    const texts = fields.filter(([, kind]) => kind === "text").map(([, , text]) => text);
    assert.equal(shown.text, texts.join(""));
  }
  await sleep(300);
  assert.equal(await tab.evaluate(() => window.ran), undefined);
  assert.deepEqual(violations, []);
  assert.equal(tab.url(), `${site.url}/`);
});

test("safe addresses stay as they are", async () => {
  await open({ body: OWN, state: state(ALL) });
  const safe = ["/", "/a/?b=c#d", "/ä", "https://shop.example", "HTTPS://shop.example/x?y@z"];
  for (const href of safe) {
    answer(
      decision("tip", href, [
        ["headline", "text", "x"],
        ["href", "link", href],
      ]),
    );
    await tab.evaluate(() => selvedge.render("tip"));
    assert.equal(await tab.getAttribute("a.selvedge-offer", "href"), href);
  }
});

test("field names that mean something to JavaScript change no prototype", async () => {
  await open({ body: OWN, state: state(ALL) });
  const fields = ["__proto__", "constructor", "prototype", "toString"];
  answer(
    decision(
      "tip",
      "t",
      fields.map((name) => [name, "text", "polluted"]),
    ),
  );
  const seen = await tab.evaluate(async () => {
    const { content } = await selvedge.render("tip");
    return [Object.keys(content), {}.toString(), "polluted" in {}, Object.getPrototypeOf(content)];
  });
  assert.deepEqual(seen, [fields, "[object Object]", false, null]);
});

test("state that is no state is as good as none", async () => {
  site.answers["/_selvedge/v1/consent"] = () => ({ body: ALL });
  for (const bad of [{ version: 2 }, [], "x", { version: 1, now: 0, consent: null }]) {
    await open({ body: OWN, state: bad });
    const { choice } = await tab.evaluate(() => selvedge.consent());
    assert.equal(choice, "made");
  }
});
