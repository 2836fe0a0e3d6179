// Bad input, over every route: each gets its stable code and the right 4xx, and what the edge
// holds is as it was.

import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { after, before, test } from "node:test";
import { gzipSync } from "node:zlib";
import {
  ask,
  Browser,
  fingerprint,
  KEYS,
  publish,
  send,
  startEdge,
  token,
  until,
} from "./edge.mjs";

const CUSTOMER = "C-held";
let edge;
let browser;
let held;
let facts;

before(async () => {
  edge = await startEdge();
  await publish(edge);
  browser = new Browser(edge);
  await browser.allowAll();
  await browser.track("Product Added");
  await browser.login(CUSTOMER);
  await until(() => edge.central.facts.length >= 3, "the facts are pushed");
  held = await fingerprint(edge, CUSTOMER);
  facts = edge.central.facts.length;
});
after(() => edge?.stop());

const JSON_TYPE = { "content-type": "application/json" };
const own = () => ({ origin: edge.url.origin, cookie: `__Host-selvedge=${browser.cookie}` });
const basic = (key) => ({ authorization: `Basic ${Buffer.from(`${key}:`).toString("base64")}` });
const bearer = (key) => ({ authorization: `Bearer ${key}` });
const deep = (depth) => `${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`;
const NOT_UTF8 = Buffer.from([0x7b, 0x22, 0x61, 0x22, 0x3a, 0x22, 0xff, 0x22, 0x7d]);
const event = (more) => JSON.stringify({ event: "Product Added", messageId: "bad-1", ...more });
const stranger = generateKeyPairSync("ed25519").privateKey;
const now = () => Math.floor(Date.now() / 1_000);

/** Routes that a page of this site calls, each with a body that would be good. */
const VISITOR = {
  "v1/consent": '{"choices":{"share":false}}',
  "v1/decide": '{"placements":["hero"],"context":{"path":"/"}}',
  "v1/login": () => JSON.stringify({ token: token("C-other") }),
  "v1/logout": "{}",
};
const EVENTS = ["batch", "track", "identify", "page", "screen", "group", "alias"].map(
  (kind) => `v1/${kind}`,
);
const ADMIN = ["explain", "export", "erase"].map((name) => `admin/v1/${name}`);

/** [what, method, path, headers, body, status, code] */
function cases() {
  const table = [];
  const add = (...line) => table.push(line);
  const good = (path) => {
    const body = VISITOR[path];
    return typeof body === "function" ? body() : body;
  };
  for (const path of Object.keys(VISITOR)) {
    const at = (what, headers, body, status, code) =>
      add(what, "POST", path, headers, body, status, code);
    at("an unknown field", { ...own(), ...JSON_TYPE }, '{"nonsense":1}', 400, "unknown_field");
    at("the wrong type", { ...own(), ...JSON_TYPE }, "[]", 400, "bad_field");
    at("a text", { ...own(), ...JSON_TYPE }, '"{}"', 400, "bad_field");
    at("no JSON", { ...own(), ...JSON_TYPE }, "{", 400, "bad_json");
    at("an empty body", { ...own(), ...JSON_TYPE }, "", 400, "bad_json");
    // A consent call may carry three consent strings.
    const much = path === "v1/consent" ? 215_000 : 17_000;
    at("too much", { ...own(), ...JSON_TYPE }, `"${"x".repeat(much)}"`, 413, "body_too_large");
    at("too deep", { ...own(), ...JSON_TYPE }, deep(40), 400, "too_deep");
    at("no UTF-8", { ...own(), ...JSON_TYPE }, NOT_UTF8, 400, "not_utf8");
    at(
      "the wrong type of content",
      { ...own(), "content-type": "text/plain" },
      good(path),
      415,
      "unsupported_media_type",
    );
    at("no type of content", own(), good(path), 415, "unsupported_media_type");
    at(
      "another charset",
      { ...own(), "content-type": "application/json; charset=utf-16" },
      good(path),
      415,
      "unsupported_media_type",
    );
    at(
      "a compressed body",
      { ...own(), ...JSON_TYPE, "content-encoding": "deflate" },
      good(path),
      415,
      "unsupported_encoding",
    );
    at(
      "another site",
      { ...own(), ...JSON_TYPE, origin: "https://evil.example" },
      good(path),
      403,
      "foreign_origin",
    );
    at(
      "a sandboxed page",
      { ...own(), ...JSON_TYPE, origin: "null" },
      good(path),
      403,
      "foreign_origin",
    );
    const { cookie } = own();
    at("no origin at all", { cookie, ...JSON_TYPE }, good(path), 403, "foreign_origin");
    at(
      "a sibling site",
      { cookie, ...JSON_TYPE, "sec-fetch-site": "same-site" },
      good(path),
      403,
      "foreign_origin",
    );
    add("the wrong method", "DELETE", path, own(), "", 405, "method_not_allowed");
    if (path !== "v1/consent")
      add("a read", "GET", path, own(), undefined, 405, "method_not_allowed");
  }
  const consent = (what, body, code) =>
    add(what, "POST", "v1/consent", { ...own(), ...JSON_TYPE }, body, 400, code);
  consent("an unknown purpose", '{"choices":{"sell":true}}', "bad_field");
  consent("a choice that is no yes or no", '{"choices":{"store":"yes"}}', "bad_field");
  consent("no choices", '{"choices":{}}', "bad_choices");
  consent("neither choices nor strings", '{"banner":"x"}', "bad_choices");
  consent("an unknown kind of string", '{"strings":{"euconsent":"x"}}', "unknown_field");
  consent(
    "a consent string without end",
    JSON.stringify({ strings: { tcf: "C".repeat(65_537) } }),
    "too_long",
  );
  consent("a prototype's name", '{"choices":{"__proto__":true}}', "bad_field");
  consent(
    "a banner without end",
    JSON.stringify({ choices: { share: false }, banner: "x".repeat(5_000) }),
    "text_too_long",
  );

  const decide = (what, body, code) =>
    add(what, "POST", "v1/decide", { ...own(), ...JSON_TYPE }, body, 400, code);
  decide("an unknown placement", '{"placements":["nowhere"]}', "unknown_placement");
  decide(
    "too many placements",
    JSON.stringify({ placements: Array(33).fill("hero") }),
    "too_many_placements",
  );
  decide("a context that is no request's", '{"context":{"is_admin":"1"}}', "unknown_field");
  decide("a context of a wrong type", '{"context":{"path":7}}', "bad_field");
  decide("a rule instead of a name", '{"placements":[{"when":"true"}]}', "bad_field");
  add(
    "an unknown field of the slice",
    "GET",
    "v1/slice?is_admin=1",
    own(),
    undefined,
    400,
    "unknown_field",
  );
  add(
    "a slice that is written",
    "POST",
    "v1/slice",
    { ...own(), ...JSON_TYPE },
    "{}",
    405,
    "method_not_allowed",
  );

  const login = (what, text, status, code) =>
    add(
      what,
      "POST",
      "v1/login",
      { ...own(), ...JSON_TYPE },
      JSON.stringify({ token: text }),
      status,
      code,
    );
  login("no token", "x", 401, "bad_token");
  login("a token without end", "x".repeat(5_000), 401, "bad_token");
  login("alg none", token("C-x", { header: { alg: "none" } }), 401, "bad_token_algorithm");
  login(
    "another algorithm",
    token("C-x", { header: { alg: "HS256" } }),
    401,
    "bad_token_algorithm",
  );
  login("an unknown key", token("C-x", { header: { kid: "t2" } }), 401, "unknown_token_key");
  login("a forged signature", token("C-x", { key: stranger }), 401, "bad_token_signature");
  login("another tenant", token("C-x", { claims: { aud: "other" } }), 401, "wrong_token_audience");
  login("an expired token", token("C-x", { claims: { exp: now() - 60 } }), 401, "token_expired");
  login(
    "a token that lives too long",
    token("C-x", { claims: { exp: now() + 3_600 } }),
    401,
    "bad_token",
  );
  login(
    "a token of tomorrow",
    token("C-x", { claims: { nbf: now() + 600 } }),
    401,
    "token_not_yet_valid",
  );
  login("a name of nobody", token("null"), 400, "blocked_identifier");
  login("an identifier without end", token("x".repeat(300)), 400, "bad_identifier");

  for (const path of EVENTS) {
    const at = (what, headers, body, status, code) =>
      add(what, "POST", path, headers, body, status, code);
    const key = { ...basic(KEYS.write), ...JSON_TYPE };
    at("no key", JSON_TYPE, event(), 401, "no_write_key");
    at("a wrong key", { ...basic("wk_wrong"), ...JSON_TYPE }, event(), 401, "bad_write_key");
    at("a wrong key in the body", JSON_TYPE, event({ writeKey: "wk_wrong" }), 401, "bad_write_key");
    at(
      "another site",
      { ...own(), ...JSON_TYPE, origin: "https://evil.example" },
      event(),
      403,
      "foreign_origin",
    );
    at("no JSON", key, "{", 400, "bad_json");
    at("a list", key, "[]", 400, "bad_batch");
    at("too deep", key, deep(40), 400, "too_deep");
    at("no UTF-8", key, NOT_UTF8, 400, "not_utf8");
    at(
      "a form",
      { ...key, "content-type": "application/x-www-form-urlencoded" },
      "a=1",
      415,
      "unsupported_media_type",
    );
    at(
      "a page's own plain text without a key",
      { ...own(), "content-type": "text/plain" },
      event(),
      403,
      "foreign_origin",
    );
    at(
      "a compressed body",
      { ...key, "content-encoding": "deflate" },
      event(),
      415,
      "unsupported_encoding",
    );
    const bytes = path === "v1/batch" ? 500 * 1_024 : 32 * 1_024;
    at("too much", key, `"${"x".repeat(bytes)}"`, 413, "body_too_large");
    add("the wrong method", "PUT", path, key, event(), 405, "method_not_allowed");
  }
  const track = (what, body, code, status = 400) =>
    add(what, "POST", "v1/track", { ...basic(KEYS.write), ...JSON_TYPE }, body, status, code);
  track("an event without a name", '{"messageId":"x"}', "bad_event_name");
  track("an id without end", event({ messageId: "x".repeat(200) }), "bad_event_id");
  track("a text without end", event({ properties: { a: "x".repeat(5_000) } }), "text_too_long");
  const many = Object.fromEntries(Array.from({ length: 300 }, (_, nth) => [`p${nth}`, nth]));
  track("too many properties", event({ properties: many }), "too_many_properties");
  const batch = (what, body, code) =>
    add(what, "POST", "v1/batch", { ...basic(KEYS.write), ...JSON_TYPE }, body, 400, code);
  batch("no batch", "{}", "bad_batch");
  batch("too many events", JSON.stringify({ batch: Array(501).fill({}) }), "too_many_events");
  batch("an event of no kind", '{"batch":[{"type":"nonsense"}]}', "bad_event_type");

  for (const path of [...ADMIN, "admin/v1/preview", "sync/v1/apply"]) {
    const right = path.startsWith("sync") ? KEYS.central : KEYS.admin;
    const at = (what, headers, body, status, code) =>
      add(what, "POST", path, headers, body, status, code);
    at("no key", JSON_TYPE, "{}", 401, "no_key");
    at("a wrong key", { ...bearer("wrong"), ...JSON_TYPE }, "{}", 401, "bad_key");
    at("the write key", { ...bearer(KEYS.write), ...JSON_TYPE }, "{}", 401, "bad_key");
    at("the write key as Basic", { ...basic(KEYS.write), ...JSON_TYPE }, "{}", 401, "no_key");
    at("an empty key", { ...bearer(""), ...JSON_TYPE }, "{}", 401, null);
    at("no JSON", { ...bearer(right), ...JSON_TYPE }, "{", 400, "bad_json");
    at(
      "the wrong type of content",
      { ...bearer(right), "content-type": "text/plain" },
      "{}",
      415,
      "unsupported_media_type",
    );
    at("no UTF-8", { ...bearer(right), ...JSON_TYPE }, NOT_UTF8, 400, "not_utf8");
    at("too deep", { ...bearer(right), ...JSON_TYPE }, deep(40), 400, "too_deep");
    add("the wrong method", "GET", path, bearer(right), undefined, 405, "method_not_allowed");
  }
  for (const path of ADMIN) {
    const key = { ...bearer(KEYS.admin), ...JSON_TYPE };
    add("nobody", "POST", path, key, "{}", 400, "no_subject");
    add("two at once", "POST", path, key, '{"visitor":"x","customerId":"y"}', 400, "no_subject");
    add("no visitor's reference", "POST", path, key, '{"visitor":"x"}', 400, "bad_visitor");
    add(
      "a customer who is nobody",
      "POST",
      path,
      key,
      '{"customerId":"null"}',
      400,
      "blocked_identifier",
    );
    add("an unknown field", "POST", path, key, '{"customer":"x"}', 400, "unknown_field");
  }
  const apply = (what, body, code) =>
    add(what, "POST", "sync/v1/apply", { ...bearer(KEYS.central), ...JSON_TYPE }, body, 400, code);
  apply(
    "another version",
    '{"wireVersion":99,"changes":[],"cursor":0,"more":false}',
    "wire_version",
  );
  apply(
    "a name that is no object's",
    JSON.stringify({
      wireVersion: 1,
      cursor: 1,
      more: false,
      changes: [{ cursor: 1, person: "../other/p_1", body: { erase: { time: 1 } } }],
    }),
    "bad_profile_name",
  );

  const put = (what, headers, body, status, code) =>
    add(what, "PUT", "admin/v1/workspace", headers, body, status, code);
  put("no key", {}, "{}", 401, "no_key");
  put("a wrong key", bearer("wrong"), "{}", 401, "bad_key");
  put("a malformed workspace", bearer(KEYS.admin), "{", 400, "bad_workspace");
  put(
    "a workspace with mistakes",
    bearer(KEYS.admin),
    '{"format":1,"nonsense":1}',
    400,
    "bad_workspace",
  );
  put("no UTF-8", bearer(KEYS.admin), NOT_UTF8, 400, "not_utf8");
  add(
    "the wrong method",
    "POST",
    "admin/v1/workspace",
    bearer(KEYS.admin),
    "{}",
    405,
    "method_not_allowed",
  );

  for (const path of [
    "nonsense",
    "v1/nonsense",
    "admin/v1/nonsense",
    "0000000000000000.workspace",
    "v1/decide/",
    "",
  ]) {
    add("no such route", "GET", path, own(), undefined, 404, "not_found");
  }
  add("a tag that is written", "POST", "tag.js", own(), "", 405, "method_not_allowed");
  return table;
}

test("each bad call gets its code, the right status and no more", async () => {
  const table = cases();
  assert.ok(table.length > 200, `${table.length} cases`);
  const wrong = [];
  for (const [what, method, path, headers, body, status, code] of table) {
    const answer = await send(edge, method, `/_selvedge/${path}`, { headers, body, raw: true });
    let said;
    try {
      said = answer.json;
    } catch {
      said = { code: `no JSON: ${answer.text.slice(0, 80)}` };
    }
    const right =
      answer.status === status &&
      (code === null || said.code === code) &&
      typeof said.message === "string" &&
      typeof said.where === "string" &&
      answer.headers["cache-control"] === "private, no-store";
    if (!right)
      wrong.push(
        `${method} ${path}, ${what}: ${answer.status} ${said.code}, not ${status} ${code}`,
      );
  }
  assert.deepEqual(wrong, []);
});

test("after all of it, what the edge holds is as it was", async () => {
  assert.equal(await fingerprint(edge, CUSTOMER), held);
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.equal(edge.central.facts.length, facts);
  for (const name of ["C-other", "C-x"]) {
    const { held: other } = (await ask(edge, "export", { customerId: name })).json;
    assert.equal(other.profile, null);
  }
  assert.equal({}.polluted, undefined);
});

test("every mistake of a workspace comes back at once, with its place", async () => {
  const source =
    '{"format":1,"nonsense":1,"offers":{"a":{"placements":["nowhere"],"when":"profile.x =="}}}';
  const answer = await publish(edge, source);
  assert.equal(answer.status, 400);
  assert.ok(answer.json.mistakes.length >= 2, answer.text);
  for (const mistake of answer.json.mistakes) assert.ok(mistake.line >= 1 && mistake.column >= 1);
});

test("405 names the methods that the route takes", async () => {
  const answer = await send(edge, "DELETE", "/_selvedge/v1/consent", { headers: own() });
  assert.equal(answer.headers.allow, "GET, HEAD, POST");
});

test("a login token works once", async () => {
  const text = token("C-once");
  const [first, second] = [new Browser(edge), new Browser(edge)];
  for (const one of [first, second]) await one.allowAll();
  assert.equal((await first.post("/v1/login", { token: text })).json.linked, true);
  assert.equal((await first.post("/v1/login", { token: text })).json.linked, true);
  const replayed = await second.post("/v1/login", { token: text });
  assert.deepEqual([replayed.status, replayed.json.code], [401, "token_replayed"]);
});

test("a write key lets events in and nothing out", async () => {
  const key = { ...basic(KEYS.write), cookie: own().cookie };
  const answer = await send(edge, "POST", "/_selvedge/v1/track", {
    headers: key,
    body: { event: "Order Completed", userId: CUSTOMER, anonymousId: "a" },
  });
  assert.deepEqual(answer.json, {
    success: true,
    kept: 0,
    duplicate: 0,
    dropped: { no_device: 1 },
    errors: [],
  });
  for (const path of ["v1/consent", "v1/slice"]) {
    const known = await send(edge, "GET", `/_selvedge/${path}`, { headers: basic(KEYS.write) });
    const nobody = await send(edge, "GET", `/_selvedge/${path}`);
    if (path === "v1/consent") assert.equal(known.text, nobody.text);
    assert.equal(known.status, 200);
    assert.doesNotMatch(known.text, /basket/i);
  }
  const explain = await send(edge, "POST", "/_selvedge/admin/v1/explain", {
    headers: bearer(KEYS.write),
    body: { customerId: CUSTOMER },
  });
  assert.equal(explain.status, 401);
});

test("a claimed id of a known person answers like one of nobody", async () => {
  const identify = async (userId) => {
    const other = new Browser(edge);
    await other.allowAll();
    const answer = await other.post("/v1/identify", { userId, messageId: `id-${userId}` });
    const page = await other.page();
    return [answer.text, page.text.replace(/"now":\d+/, "").replace(/[0-9a-f]{16,}/g, "")];
  };
  assert.deepEqual(await identify(CUSTOMER), await identify("C-nobody"));
});

test("a good event in a batch is kept beside a bad one that is named", async () => {
  const other = new Browser(edge);
  await other.allowAll();
  const batch = [
    { type: "track", event: "Product Added", messageId: "good" },
    { type: "nonsense" },
  ];
  const answer = await other.post("/v1/batch", { batch });
  assert.equal(answer.json.kept, 1, answer.text);
  assert.equal(answer.json.errors[0].code, "bad_event_type");
  assert.equal(answer.json.errors[0].where, "batch[1].type");
});

test("a compressed batch is taken, and one that grows without end is not", async () => {
  const batch = (body) =>
    send(edge, "POST", "/_selvedge/v1/batch", {
      headers: { ...basic(KEYS.write), ...JSON_TYPE, "content-encoding": "gzip" },
      body,
      raw: true,
    });
  const good = await batch(gzipSync(JSON.stringify({ batch: [{ type: "page" }] })));
  assert.deepEqual(good.json.dropped, { no_device: 1 }, good.text);
  const bomb = await batch(gzipSync(Buffer.alloc(200_000_000, 0x20)));
  assert.deepEqual([bomb.status, bomb.json.code], [413, "body_too_large"]);
  const broken = await batch("this is no gzip");
  assert.deepEqual([broken.status, broken.json.code], [400, "bad_body"]);
});
