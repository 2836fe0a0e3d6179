// What a visitor is told of what is held, and erasure at a visitor's word: whose it is, only the
// sealed cookie says; what it is, only a login of this very session opens.

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import {
  ask,
  Browser,
  fingerprint,
  KEYS,
  publish,
  send,
  startEdge,
  traits,
  until,
} from "./edge.mjs";

const HOUR_MS = 3_600_000;
const NAME = "Ada-of-the-secret-name";
const PURPOSES = ["store", "profile", "personalise", "measure", "share"];
let edge;
let folder;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "selvedge-me-"));
  edge = await startEdge({}, { folder });
  await publish(edge);
});
after(async () => {
  await edge?.stop();
  if (folder) await rm(folder, { recursive: true });
});

const me = (browser) => browser.get("/v1/me");
const cookieOf = (browser) => ({ cookie: `__Host-selvedge=${browser.cookie}` });
const JSON_TYPE = { "content-type": "application/json" };

/** A customer of this name, logged in. */
async function customer(id, name = NAME) {
  edge.central.changes = (person) => [traits(person, { first_name: { String: name } })];
  const browser = new Browser(edge);
  await browser.allowAll();
  await browser.track("Product Added");
  assert.equal((await browser.login(id)).json.linked, true);
  edge.central.changes = () => [];
  return browser;
}

test("nobody, a forged cookie and somebody erased read the same bytes", async () => {
  const nobody = new Browser(edge);
  const forged = new Browser(edge);
  forged.cookie = "a.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
  const erased = await customer("M-gone");
  await ask(edge, "erase", { customerId: "M-gone" });
  for (const path of ["/v1/me", "/v1/me/export"]) {
    const plain = await nobody.get(path);
    assert.equal(plain.status, 200, plain.text);
    assert.equal(plain.headers["cache-control"], "private, no-store");
    const without = (answer) => answer.text.replace(/"time":"[^"]*"/, "");
    const again = new Browser(edge);
    again.cookie = erased.cookie;
    for (const other of [forged, again]) {
      assert.equal(without(await other.get(path)), without(plain));
    }
  }
  const value = (await me(nobody)).json;
  assert.equal(value.content, null);
  assert.deepEqual(value.receipts, []);
  assert.deepEqual([...new Set(Object.values(value.counts))], [0]);
  assert.deepEqual(nobody.setCookies, []);
});

test("a device reads its choices, since when, its receipt and counts, but no content", async () => {
  const browser = new Browser(edge);
  const began = Date.now() - 1;
  await browser.allowAll();
  await browser.track("Product Added");
  await browser.post("/v1/identify", { userId: "claimed-id", traits: { first_name: NAME } });
  const answer = await me(browser);
  assert.equal(answer.status, 200, answer.text);
  assert.equal(answer.headers["cache-control"], "private, no-store");
  const value = answer.json;
  assert.equal(value.assurance, "anonymous");
  assert.deepEqual(Object.keys(value.purposes).sort(), [...PURPOSES].sort());
  assert.equal(value.purposes.store.allowed, true);
  assert.equal(value.purposes.store.reason, "granted");
  assert.equal(value.purposes.share.allowed, false);
  for (const purpose of PURPOSES) {
    const since = Date.parse(value.purposes[purpose].since);
    assert.ok(since >= began && since <= Date.now() + 1, `${purpose}: ${since}`);
  }
  assert.equal(value.receipts.length, 1);
  const [receipt] = value.receipts;
  assert.deepEqual([receipt.banner, receipt.source], ["test-1", "banner"]);
  assert.equal(receipt.region.country, "DE");
  assert.equal(receipt.choices.share, "deny");
  assert.equal(value.counts.traits, 1);
  assert.ok(value.counts.counters >= 1);
  const file = await browser.get("/v1/me/export");
  assert.equal(file.json.complete, false);
  for (const { text } of [answer, file]) {
    assert.doesNotMatch(text, new RegExp(`${NAME}|claimed-id|Product Added|first_name`));
  }
});

test("whoever has logged in reads and downloads everything of her own", async () => {
  const browser = await customer("M-1");
  const { assurance, content, counts } = (await me(browser)).json;
  assert.equal(assurance, "authenticated");
  assert.equal(content.traits.first_name, NAME);
  assert.equal(content.computed.added, 1);
  assert.equal(content.devices.length, 1);
  assert.equal(counts.devices, 1);
  const file = await browser.get("/v1/me/export");
  assert.match(file.headers["content-disposition"], /^attachment; filename="[\w.-]+"$/);
  assert.equal(file.headers["cache-control"], "private, no-store");
  assert.equal(file.json.complete, true);
  assert.equal(file.json.held.live.traits.first_name.value.String, NAME);
  assert.ok(Array.isArray(file.json.queued));
  // What she chose before the login is in the chain of her device's own profile.
  const chains = Object.values(file.json.chains).filter((chain) => chain.length > 0);
  assert.deepEqual(
    chains.map((chain) => chain.map(({ seq, source }) => [seq, source])),
    [[[1, "banner"]]],
  );
});

test("nothing of a request names whom it is about but the cookie", async () => {
  const [ada, bea] = [await customer("M-2"), await customer("M-3", "Bea")];
  const own = (await me(bea)).text;
  const page = await ada.page();
  const reference = page.text.match(/"visitor":"([^"]+)"/)?.[1] ?? ada.cookie;
  const held = await fingerprint(edge, "M-2");
  const query = `?visitor=${encodeURIComponent(reference)}&customerId=M-2&person=M-2&device=M-2`;
  const guesses = [
    [`v1/me${query}`, {}],
    ["v1/me", { "x-visitor": reference, "x-customer-id": "M-2" }],
    ["v1/me", { authorization: `Bearer ${KEYS.admin}` }],
    ["v1/me", { authorization: `Basic ${Buffer.from(`${KEYS.write}:`).toString("base64")}` }],
  ];
  for (const [path, headers] of guesses) {
    const answer = await send(edge, "GET", `/_selvedge/${path}`, {
      headers: { ...cookieOf(bea), "sec-fetch-site": "same-origin", ...headers },
    });
    assert.equal(answer.text, own, path);
  }
  for (const body of [{ customerId: "M-2" }, { visitor: reference }, { person: "M-2" }]) {
    const answer = await bea.post("/v1/me/erase", body);
    assert.deepEqual([answer.status, answer.json.code], [400, "unknown_field"]);
  }
  assert.equal((await bea.post("/v1/me/erase", {})).json.erased, "person");
  assert.equal(await fingerprint(edge, "M-2"), held);
  assert.equal((await me(ada)).json.content.traits.first_name, NAME);
});

test("bad calls get their codes and change nothing", async () => {
  const browser = await customer("M-4");
  const held = await fingerprint(edge, "M-4");
  const own = { ...cookieOf(browser), origin: edge.url.origin };
  const cookie = cookieOf(browser);
  const evil = { origin: "https://evil.example" };
  const table = [
    ["another site", "GET", "me", { ...cookie, ...evil }, undefined, 403, "foreign_origin"],
    ["a frame", "GET", "me", { ...cookie, "sec-fetch-site": "cross-site" }, undefined, 403],
    ["a sibling", "GET", "me/export", { ...cookie, "sec-fetch-site": "same-site" }, undefined, 403],
    ["a sandbox", "GET", "me", { ...cookie, origin: "null" }, undefined, 403, "foreign_origin"],
    ["a write", "POST", "me", { ...own, ...JSON_TYPE }, "{}", 405, "method_not_allowed"],
    ["a write", "PUT", "me/export", { ...own, ...JSON_TYPE }, "{}", 405, "method_not_allowed"],
    ["a read", "GET", "me/erase", own, undefined, 405, "method_not_allowed"],
    ["a path beyond", "GET", "me/M-4", own, undefined, 404, "not_found"],
    ["another site", "POST", "me/erase", { ...cookie, ...JSON_TYPE, ...evil }, "{}", 403],
    ["no origin", "POST", "me/erase", { ...cookie, ...JSON_TYPE }, "{}", 403, "foreign_origin"],
    ["a form", "POST", "me/erase", { ...own, "content-type": "text/plain" }, "{}", 415],
    ["no type", "POST", "me/erase", own, "{}", 415, "unsupported_media_type"],
    ["no JSON", "POST", "me/erase", { ...own, ...JSON_TYPE }, "{", 400, "bad_json"],
    ["a list", "POST", "me/erase", { ...own, ...JSON_TYPE }, "[]", 400, "bad_field"],
    ["empty", "POST", "me/erase", { ...own, ...JSON_TYPE }, "", 400, "bad_json"],
    ["a field", "POST", "me/erase", { ...own, ...JSON_TYPE }, '{"all":true}', 400, "unknown_field"],
    ["a prototype", "POST", "me/erase", { ...own, ...JSON_TYPE }, '{"__proto__":1}', 400],
    [
      "too much",
      "POST",
      "me/erase",
      { ...own, ...JSON_TYPE },
      `"${"x".repeat(17_000)}"`,
      413,
      "body_too_large",
    ],
  ];
  for (const [what, method, path, headers, body, status, code] of table) {
    const answer = await send(edge, method, `/_selvedge/v1/${path}`, { headers, body, raw: true });
    const said = `${method} ${path}, ${what}: ${answer.status} ${answer.text}`;
    assert.equal(answer.status, status, said);
    assert.equal(answer.headers["cache-control"], "private, no-store", said);
    if (code) assert.equal(answer.json.code, code, said);
    assert.match(answer.json.code, /^[a-z_]+$/, said);
    assert.doesNotMatch(answer.text, new RegExp(`${NAME}|M-4`), said);
  }
  assert.equal(await fingerprint(edge, "M-4"), held);
  const head = await send(edge, "HEAD", "/_selvedge/v1/me", { headers: cookie });
  assert.deepEqual([head.status, head.text], [200, ""]);
});

test("a device erases itself, here and at the central store", async () => {
  const browser = new Browser(edge);
  await browser.allowAll();
  await browser.track("Product Added");
  const tab = browser.cookie;
  const before = edge.central.erased.length;
  const answer = await browser.post("/v1/me/erase", {});
  assert.deepEqual(answer.json, { erased: "device" });
  assert.match(answer.headers["set-cookie"][0], /^__Host-selvedge=;.*Max-Age=0/);
  assert.equal(browser.cookie, null);
  await until(() => edge.central.erased.length === before + 1, "the central store is told");
  assert.match(edge.central.erased.at(-1), /^d/);
  browser.cookie = tab;
  assert.deepEqual((await browser.track("Product Added")).json.dropped, { erased: 1 });
  const nobody = await new Browser(edge).post("/v1/me/erase", {});
  assert.equal(nobody.text, answer.text);
});

test("a person who is logged in erases herself, also while the central store is down", async () => {
  const browser = await customer("M-5");
  const { person } = edge.central.hydrated.at(-1);
  const tab = browser.cookie;
  edge.central.mode = "down";
  const answer = await browser.post("/v1/me/erase", {});
  assert.deepEqual(answer.json, { erased: "person" });
  assert.equal(browser.cookie, null);
  const { held, receipts, queued } = (await ask(edge, "export", { customerId: "M-5" })).json;
  assert.equal(held.live, null);
  assert.deepEqual([receipts, queued], [[], []]);
  assert.ok(!edge.central.erased.includes(person));
  edge.central.mode = "up";
  await until(() => edge.central.erased.includes(person), "the erasure arrives", 20_000);
  browser.cookie = tab;
  assert.deepEqual((await browser.track("Product Added")).json.dropped, { erased: 1 });
  const back = new Browser(edge);
  await back.allowAll();
  assert.equal((await back.login("M-5")).json.refused, "erased");
});

test("an hour after the login the device is only recognised: counts, no content", async () => {
  const browser = await customer("M-6");
  const elsewhere = await customer("M-6");
  await elsewhere.consent({ share: true });
  await edge.stop();
  edge = await startEdge({}, { folder, aheadMs: HOUR_MS });
  await publish(edge);
  browser.edge = edge;
  const answer = await me(browser);
  assert.equal(answer.json.assurance, "recognised", answer.text);
  assert.equal(answer.json.content, null);
  assert.equal(answer.json.counts.traits, 1);
  assert.equal(answer.json.counts.devices, 2);
  assert.equal(answer.json.receipts.length, 1, "what was chosen on this device before the login");
  // The other device's choice, its time and place are not this device's to read.
  assert.ok(answer.json.receipts.every((receipt) => receipt.choices.share !== "grant"));
  const file = await browser.get("/v1/me/export");
  assert.equal(file.json.complete, false);
  for (const { text } of [answer, file]) assert.doesNotMatch(text, new RegExp(NAME));

  const tab = browser.cookie;
  assert.deepEqual((await browser.post("/v1/me/erase", {})).json, { erased: "device" });
  assert.equal(browser.cookie, null);
  assert.ok((await ask(edge, "export", { customerId: "M-6" })).json.held.live, "she stays");
  browser.cookie = tab;
  assert.deepEqual((await browser.track("Product Added")).json.dropped, { erased: 1 });
});
