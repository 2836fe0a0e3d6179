// What the edge does with everything that is not its own: the origin's bytes stay the origin's
// bytes, and only confirmed HTML is touched.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import { gunzipSync } from "node:zlib";
import { Browser, PAGES, publish, send, startEdge } from "./edge.mjs";

let edge;
before(async () => {
  edge = await startEdge();
  await publish(edge);
});
after(() => edge?.stop());

const last = () => edge.seen.at(-1);
const navigation = { accept: "text/html", "sec-fetch-dest": "document" };

for (const path of ["/binary", "/data.json.gz", "/lies", "/not-found", "/no-transform"]) {
  test(`${path} passes byte for byte with its headers`, async () => {
    const [status, headers, body] = PAGES[path];
    // Local workerd would compress what the origin did not.
    const encoding = headers["content-encoding"] ?? "identity";
    const answer = await send(edge, "GET", path, {
      headers: { ...navigation, "accept-encoding": encoding },
    });
    assert.equal(answer.status, status);
    assert.ok(answer.body.equals(Buffer.from(body)), "the bytes are the origin's");
    for (const [name, value] of Object.entries(headers)) assert.equal(answer.headers[name], value);
    assert.equal(answer.headers["set-cookie"], undefined);
  });
}

test("a compressed page is rewritten and leaves no validator of the origin behind", async () => {
  const answer = await send(edge, "GET", "/gzip", {
    headers: { ...navigation, "accept-encoding": "gzip" },
  });
  const unpacked = gunzipSync(answer.body).toString("utf8");
  assert.equal(answer.headers["content-encoding"], "gzip");
  assert.match(unpacked, /data-selvedge-offer="welcome"/);
  const plain = await send(edge, "GET", "/", { headers: navigation });
  for (const one of [answer, plain]) {
    assert.equal(one.headers["cache-control"], "private, no-store");
    for (const name of ["etag", "last-modified"]) assert.equal(one.headers[name], undefined);
  }
  assert.match(plain.text, /data-selvedge-offer="welcome"/);
  assert.match(plain.text, /<script async[^>]* src="\/_selvedge\/tag.js" integrity="sha256-/);
});

test("a conditional request for a page never ends in an empty answer", async () => {
  const answer = await send(edge, "GET", "/", {
    headers: {
      ...navigation,
      "if-none-match": '"v1"',
      "if-modified-since": new Date().toUTCString(),
    },
  });
  assert.equal(answer.status, 200);
  assert.match(answer.text, /data-selvedge-offer="welcome"/);
  const asset = await send(edge, "GET", "/", {
    headers: { accept: "image/png", "sec-fetch-dest": "image", "if-none-match": '"v1"' },
  });
  assert.equal(asset.status, 304);
});

test("a page without a head still gets its entry", async () => {
  const answer = await send(edge, "GET", "/no-head", { headers: navigation });
  assert.match(answer.text, /data-selvedge-offer="welcome"/);
  assert.match(answer.text, /id="selvedge-state"/);
});

test("a page that forbids inline scripts gets none", async () => {
  const answer = await send(edge, "GET", "/csp", { headers: navigation });
  assert.match(answer.text, /id="selvedge-state"/);
  assert.match(answer.text, /src="\/_selvedge\/tag.js"/);
  const inline = answer.text.match(/<script(?![^>]*(src=|application\/json))[^>]*>/g);
  assert.equal(inline, null);
});

test("the method, the query and the body reach the origin", async () => {
  const body = randomBytes(100_000);
  const answer = await send(edge, "POST", "/echo?a=1&b=%2F", {
    headers: { "content-type": "application/octet-stream", "x-own": "1" },
    body,
    raw: true,
  });
  assert.equal(answer.json.method, "POST");
  assert.equal(answer.json.length, body.length);
  assert.equal(answer.json.headers["x-own"], "1");
  assert.ok(last().body.equals(body));
  assert.equal(last().url, "/echo?a=1&b=%2F");
  assert.equal(last().headers["x-forwarded-host"], edge.url.host);
});

test("the origin never sees our cookie, nor a header that a visitor made up", async () => {
  const browser = new Browser(edge);
  await browser.allowAll();
  const cookie = `a=1; __Host-selvedge=${browser.cookie}; b=2`;
  await send(edge, "GET", "/echo", {
    headers: { cookie, "selvedge-visitor": "forged", "Selvedge-Other": "x" },
  });
  const { headers } = last();
  assert.equal(headers.cookie, "a=1; b=2");
  assert.equal(headers["selvedge-other"], undefined);
  assert.notEqual(headers["selvedge-visitor"], "forged");
  assert.ok(headers["selvedge-visitor"].length > 40);
  await send(edge, "GET", "/echo", { headers: { "selvedge-visitor": "forged" } });
  assert.equal(last().headers["selvedge-visitor"], undefined);
});

test("the visitor's reference explains the visitor, and nothing else opens with it", async () => {
  const browser = new Browser(edge);
  await browser.allowAll();
  await browser.track("Product Added");
  await browser.page("/echo");
  const visitor = last().headers["selvedge-visitor"];
  const explain = (reference) =>
    send(edge, "POST", "/_selvedge/admin/v1/explain", {
      headers: { authorization: "Bearer ak_test" },
      body: { visitor: reference, placements: ["hero"], context: { path: "/" } },
    });
  const answer = await explain(visitor);
  assert.equal(answer.json.known, true, answer.text);
  assert.equal(answer.json.decisions[0].offer, "basket");
  assert.equal((await explain(browser.cookie)).json.code, "bad_visitor");
  const impostor = new Browser(edge);
  impostor.cookie = visitor;
  assert.equal((await impostor.get("/v1/consent")).json.choice, "none");
});

test("a redirect is passed on, and stays on this site", async () => {
  const answer = await send(edge, "GET", "/redirect", { headers: navigation });
  assert.equal(answer.status, 302);
  assert.equal(answer.headers.location, "/target?a=1");
});

test("a forged cookie is nobody's, and is taken away", async () => {
  const browser = new Browser(edge);
  await browser.allowAll();
  await browser.track("Product Added");
  const forged = new Browser(edge);
  forged.cookie = `${browser.cookie.slice(0, -4)}AAAA`;
  const page = await forged.page();
  assert.match(page.text, /data-selvedge-offer="welcome"/);
  assert.equal(forged.cookie, null);
});

test("the tag and the compiled workspace are served with their cache classes", async () => {
  const tag = await send(edge, "GET", "/_selvedge/tag.js");
  assert.equal(tag.status, 200);
  assert.match(tag.headers["cache-control"], /^public, max-age=60/);
  const again = await send(edge, "GET", "/_selvedge/tag.js", {
    headers: { "if-none-match": tag.headers.etag },
  });
  assert.equal(again.status, 304);
  const page = await send(edge, "GET", "/", { headers: navigation });
  const state = JSON.parse(page.text.match(/id="selvedge-state">([^<]*)</)[1]);
  const image = await send(edge, "GET", state.image.url);
  assert.equal(image.status, 200);
  assert.match(image.headers["cache-control"], /immutable/);
  // Offers that only the edge places stay at the edge, and so do the rules of identity.
  assert.match(image.body.toString("latin1"), /A tip/);
  assert.doesNotMatch(image.body.toString("latin1"), /Stay,|wants_to_cancel|Your basket/);
  const slice = await send(edge, "GET", "/_selvedge/v1/slice?path=/x&country=US");
  assert.equal(slice.status, 200, slice.text);
  assert.equal(slice.headers["selvedge-image"], state.image.url);
  assert.equal(slice.headers["cache-control"], "private, no-store");
  const gpc = await send(edge, "GET", "/.well-known/gpc.json");
  assert.equal(gpc.json.gpc, true);
});

test("an origin that is gone is a 502, not a leak", async () => {
  const alone = await startEdge({ ORIGIN_URL: "http://127.0.0.1:9" });
  try {
    const answer = await send(alone, "GET", "/", { headers: navigation });
    assert.equal(answer.status, 502);
    assert.equal(answer.json.code, "origin_unreachable");
  } finally {
    await alone.stop();
  }
});

test("without its keys the edge lets the site go on, and says nothing of its own", async () => {
  const bare = await startEdge({ TENANT_KEY: "too short" });
  try {
    const page = await send(bare, "GET", "/", { headers: navigation });
    assert.equal(page.status, 200);
    assert.equal(page.text, PAGES["/"][2]);
    const answer = await send(bare, "GET", "/_selvedge/v1/consent");
    assert.deepEqual([answer.status, answer.json.code], [503, "misconfigured"]);
  } finally {
    await bare.stop();
  }
});
