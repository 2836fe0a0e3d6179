// Nothing before consent: where a yes is needed first, a fresh visitor leaves no trace anywhere,
// and the same listing finds every kind of trace once the defence is taken away.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { launchBrowser, newVisitor } from "../e2e/browser.mjs";
import { Browser, PAGES, publish, until, WORKSPACE } from "./edge.mjs";
import { startBoth } from "./store.mjs";
import { KINDS, listTraces, rowsOf } from "./traces.mjs";

/** The tag sends what it has after two seconds, and at once when the page goes. */
const SENT_MS = 3_000;
let both;
let chromium;
let stranger;

before(async () => {
  stranger = createServer((_request, response) => response.writeHead(204).end());
  await new Promise((resolve) => stranger.listen(0, "127.0.0.1", resolve));
  [both, chromium] = await Promise.all([startBoth(), launchBrowser()]);
});
after(async () => {
  await chromium?.close();
  await both?.stop();
  stranger?.close();
});

const workspace = (change) => JSON.stringify(change(JSON.parse(WORKSPACE)));
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Somebody new looks around, does things, and moves on. */
async function visit(path = "/") {
  const visitor = await newVisitor(chromium);
  const { page } = visitor;
  for (let nth = 0; nth < 2; nth += 1) {
    await page.goto(new URL(path, both.edge.url).href);
    await page.evaluate(async () => {
      window.selvedge.page("Home");
      window.selvedge.track("Product Added", { value: 12 });
      window.selvedge.identify("C-1", { first_name: "Ada" });
      await window.selvedge.decide("tip");
    });
  }
  await pause(SENT_MS);
  return visitor;
}

/** Publishes, and reads what lies there before anybody comes. */
async function rowsUnder(source) {
  assert.equal((await publish(both.edge, source)).status, 200);
  // The edge's alarm, which the publication sets, is not the visitor's.
  await pause(500);
  return rowsOf(both);
}

/** Publishes, and lists what one visitor leaves once the writers have come to rest. */
async function tracesUnder(source, path) {
  const rows = await rowsUnder(source);
  const visitor = await visit(path);
  return { visitor, traces: await listTraces(both, visitor, rows) };
}

const NONE = Object.fromEntries(KINDS.map((kind) => [kind, []]));

test("a fresh visitor of an opt-in region leaves no trace anywhere", async () => {
  const { visitor, traces } = await tracesUnder(WORKSPACE);
  assert.deepEqual(traces, NONE);
  assert.ok(visitor.requests.length > 2, "the visit itself was seen");
  const offer = visitor.page.locator('[data-selvedge="hero"][data-selvedge-offer="welcome"]');
  assert.equal(await offer.count(), 1, "and offers were shown");
  const asked = both.edge.seen.filter(({ headers }) => headers.cookie);
  assert.deepEqual(asked, [], "the site was sent no cookie");
  await visitor.context.close();
});

test("without the defence the same listing finds what the edge and the tag keep", async () => {
  const open = workspace((value) => {
    value.consent.regions = { DE: "opt_out" };
    return value;
  });
  const { visitor, traces } = await tracesUnder(open);
  const found = KINDS.filter((kind) => traces[kind].length > 0);
  assert.deepEqual(found, ["cookies", "edgeRows", "centralRows", "writes"], JSON.stringify(traces));
  assert.match(traces.cookies[0], /^__Host-selvedge=/);
  assert.ok(traces.edgeRows.some((row) => /ProfileObject/.test(row)));
  await visitor.context.close();
});

test("the listing finds the kinds of traces too that the tag never leaves", async () => {
  const { port } = stranger.address();
  const leak = `<script>
    document.cookie = "leak=1";
    localStorage.setItem("leak", "1");
    sessionStorage.setItem("leak", "1");
    caches.open("leak").then((cache) => cache.put("/leak", new Response("1")));
    const opening = indexedDB.open("leak");
    opening.onupgradeneeded = () => opening.result.createObjectStore("rows").put({ a: 1 }, 1);
    opening.onsuccess = () => opening.result.close();
    fetch("http://127.0.0.1:${port}/pixel", { mode: "no-cors" });
  </script>`;
  const [status, headers, html] = PAGES["/"];
  PAGES["/leaky"] = [status, headers, html.replace("</body>", `${leak}</body>`)];
  const { visitor, traces } = await tracesUnder(WORKSPACE, "/leaky");
  const found = KINDS.filter((kind) => traces[kind].length > 0);
  const wanted = [
    "cookies",
    "documentCookie",
    "localStorage",
    "sessionStorage",
    "indexedDB",
    "caches",
    "foreignRequests",
  ];
  assert.deepEqual(found, wanted, JSON.stringify(traces));
  assert.ok(traces.indexedDB.some((row) => row === 'leak/rows: {"a":1}'));
  assert.ok(traces.caches.some((entry) => entry.endsWith("/leak")));
  delete PAGES["/leaky"];
  await visitor.context.close();
});

test("without storing, offers that need nobody's data are served, and leave no trace", async () => {
  const contextual = workspace((value) => {
    value.offers.spring = {
      placements: ["hero"],
      when: "request.utm_campaign == 'spring'",
      purpose: null,
      priority: 50,
      content: { en: { headline: "Spring, on every page of the campaign" } },
    };
    value.offers.tip_plan = {
      placements: ["tip"],
      when: "request.path == '/plan'",
      purpose: null,
      content: { en: { headline: "A tip for the plan" } },
    };
    return value;
  });
  const rows = await rowsUnder(contextual);
  const shows = (answer) =>
    answer.text.match(/data-selvedge="hero"[^>]*data-selvedge-offer="([^"]*)"/)?.[1];
  const fresh = new Browser(both.edge);
  const refused = new Browser(both.edge);
  await refused.consent({ store: false, profile: false, personalise: false });
  const kept = refused.cookie;
  const follow = async () => shows(await fresh.page("/?utm_campaign=spring")) === "spring";
  await until(follow, "the campaign's offer", 10_000);
  for (const browser of [fresh, refused]) {
    assert.equal(shows(await browser.page("/?utm_campaign=spring")), "spring");
    assert.equal(shows(await browser.page("/")), "welcome");
    const inPage = async (path) => {
      const body = { placements: ["tip"], context: { path } };
      return (await browser.post("/v1/decide", body)).json.decisions[0].offer;
    };
    assert.deepEqual([await inPage("/plan"), await inPage("/")], ["tip_plan", null]);
    assert.deepEqual((await browser.track("Product Added")).json.kept, 0);
  }
  assert.deepEqual(fresh.setCookies, []);
  // The no is all that the cookie says: the same bytes for everybody who said it.
  assert.equal(refused.cookie, kept);
  const other = new Browser(both.edge);
  await other.consent({ store: false, profile: false, personalise: false });
  assert.equal(other.cookie, kept);
  const visitor = await newVisitor(chromium);
  await visitor.page.goto(both.edge.url.href);
  const traces = await listTraces(both, visitor, rows);
  assert.deepEqual(traces, NONE);
  await visitor.context.close();
});
