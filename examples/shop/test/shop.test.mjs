//! The shop's promises to those who stand beside it: the edge, the central store, the browser.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createPublicKey, generateKeyPairSync, verify } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, request as rawRequest } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { makeCrm } from "../data/make-crm.mjs";
import { readPurchases } from "../data/purchases.mjs";
import { readSettings, SettingError } from "../server/settings.mjs";
import { makeShop } from "../server.mjs";

const HEROINE = "C-0006";
const folder = mkdtempSync(join(tmpdir(), "shop-test-"));
const { publicKey, privateKey } = generateKeyPairSync("ed25519");
const neighbour = { calls: [], status: 200, answer: {} };
let shopUrl;
let shop;
let neighbourServer;

function listen(server) {
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve(`http://127.0.0.1:${server.address().port}`));
  });
}

before(async () => {
  neighbourServer = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    neighbour.calls.push({ url: request.url, headers: request.headers, body });
    response.writeHead(neighbour.status, { "Content-Type": "application/json" });
    response.end(JSON.stringify(neighbour.answer));
  });
  const neighbourUrl = await listen(neighbourServer);
  const keyFile = join(folder, "login.json");
  writeFileSync(keyFile, JSON.stringify({ ...privateKey.export({ format: "jwk" }), kid: "k1" }));
  shop = makeShop(
    readSettings({
      CENTRAL_URL: neighbourUrl,
      CENTRAL_KEY: "central-key",
      EDGE_URL: neighbourUrl,
      ADMIN_KEY: "admin-key",
      LOGIN_KEY_FILE: keyFile,
      LOGIN_KID: "k1",
      TENANT: "weft",
      DATA_DIR: join(folder, "crm"),
    }),
  );
  shopUrl = await listen(shop);
});

after(() => {
  for (const server of [shop, neighbourServer]) {
    server.close();
    server.closeAllConnections();
  }
  rmSync(folder, { recursive: true });
});

function post(path, body, headers = { "Content-Type": "application/json" }) {
  const text = typeof body === "string" || body instanceof Uint8Array ? body : JSON.stringify(body);
  return fetch(`${shopUrl}${path}`, { method: "POST", headers, body: text });
}

/** A request whose path is sent as it stands: fetch would tidy it first. */
function rawGet(path) {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(shopUrl);
    rawRequest({ hostname, port, path }, (response) => {
      let text = "";
      response.on("data", (chunk) => (text += chunk));
      response.on("end", () => resolve({ status: response.statusCode, text }));
    })
      .on("error", reject)
      .end();
  });
}

test("pages are cacheable, the same for everybody, and set no cookie", async () => {
  for (const path of ["/", "/products/moor-wool-throw/", "/privacy/", "/account/", "/basket/"]) {
    const answer = await fetch(`${shopUrl}${path}`);
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get("content-type"), "text/html; charset=utf-8");
    assert.equal(answer.headers.get("cache-control"), "public, max-age=60");
    assert.equal(answer.headers.get("set-cookie"), null);
    const html = await answer.text();
    assert.doesNotMatch(html, /\son[a-z]+=|<script>|style="|https?:\/\//);
    const again = await fetch(`${shopUrl}${path}`, {
      headers: { "If-None-Match": answer.headers.get("etag") },
    });
    assert.equal(again.status, 304);
  }
});

test("a path that climbs out of the site finds nothing", async () => {
  const paths = [
    "/../server.mjs",
    "/assets/../../server.mjs",
    "/assets/..%2f..%2fserver.mjs",
    "/%2e%2e/README.md",
    "//etc/passwd",
    "/data/crm.csv",
  ];
  for (const path of paths) {
    const { status, text } = await rawGet(path);
    assert.equal(status, 404, path);
    assert.match(text, /Nothing is woven here/);
  }
});

test("a login gives a session and a token that the public key verifies", async () => {
  const answer = await post("/api/login", { customerId: HEROINE, password: "demo" });
  assert.equal(answer.status, 200);
  const cookie = answer.headers.get("set-cookie");
  assert.match(cookie, /^shop_session=[\w-]{32}; Path=\/; HttpOnly; SameSite=Lax; Max-Age=\d+$/);
  const { token } = await answer.json();
  const [head, claims, signature] = token.split(".");
  const decode = (part) => JSON.parse(Buffer.from(part, "base64url"));
  assert.deepEqual(decode(head), { alg: "EdDSA", kid: "k1", typ: "JWT" });
  const { iss, aud, sub, email, iat, exp, jti } = decode(claims);
  assert.deepEqual(
    [iss, aud, sub, email],
    ["weft-and-wold", "weft", HEROINE, "mira.holm@example.com"],
  );
  assert.equal(exp - iat, 120);
  assert.match(jti, /^[0-9a-f-]{36}$/);
  const signed = Buffer.from(`${head}.${claims}`);
  const key = createPublicKey(publicKey.export({ format: "pem", type: "spki" }));
  assert.ok(verify(null, signed, key, Buffer.from(signature, "base64url")));

  const session = { Cookie: cookie.split(";")[0] };
  const me = await (await fetch(`${shopUrl}/api/me`, { headers: session })).json();
  assert.equal(me.customer.customerId, HEROINE);
  await post("/api/logout", {}, { "Content-Type": "application/json", ...session });
  const gone = await (await fetch(`${shopUrl}/api/me`, { headers: session })).json();
  assert.equal(gone.customer, null);
});

test("an unknown customer and a wrong password get the same answer", async () => {
  const unknown = await post("/api/login", { customerId: "C-9999", password: "demo" });
  const wrong = await post("/api/login", { customerId: HEROINE, password: "guess" });
  assert.equal(unknown.status, 401);
  assert.equal(wrong.status, 401);
  assert.equal(await unknown.text(), await wrong.text());
});

test("bad input gets its code and changes nothing", async () => {
  const json = { "Content-Type": "application/json" };
  const note = { customerId: HEROINE, note: "n", intent: "cancel", agent: "a" };
  const cases = [
    ["not JSON", "{", json, 400, "bad_json"],
    ["not an object", "[]", json, 400, "bad_json"],
    ["not UTF-8", new Uint8Array([0x7b, 0xff, 0x7d]), json, 400, "bad_json"],
    ["wrong content type", "{}", { "Content-Type": "text/plain" }, 415, "wrong_content_type"],
    ["too large", "x".repeat(20_000), json, 413, "too_large"],
    ["unknown field", { ...note, extra: 1 }, json, 400, "unknown_field"],
    ["missing field", { ...note, note: " " }, json, 400, "missing_field"],
    ["wrong type", { ...note, note: 7 }, json, 400, "missing_field"],
    ["unknown intent", { ...note, intent: "marry" }, json, 400, "bad_intent"],
    ["unknown customer", { ...note, customerId: "C-9999" }, json, 404, "unknown_customer"],
    ["too long", { ...note, agent: "a".repeat(65) }, json, 400, "too_long"],
  ];
  neighbour.calls = [];
  for (const [name, body, headers, status, code] of cases) {
    const answer = await post("/api/call-centre/notes", body, headers);
    assert.equal(answer.status, status, name);
    assert.equal((await answer.json()).code, code, name);
  }
  const { notes } = await (
    await fetch(`${shopUrl}/api/call-centre/notes?customerId=${HEROINE}`)
  ).json();
  assert.deepEqual(notes, []);
  assert.deepEqual(neighbour.calls, []);
});

test("a wrong method says which are right", async () => {
  const answer = await fetch(`${shopUrl}/api/login`);
  assert.equal(answer.status, 405);
  assert.equal(answer.headers.get("allow"), "POST");
  assert.equal((await fetch(`${shopUrl}/`, { method: "DELETE" })).status, 405);
});

test("a note reaches the central store as one identify row", async () => {
  neighbour.calls = [];
  neighbour.status = 200;
  neighbour.answer = { accepted: 1, duplicates: 0, refused: [] };
  const said = { customerId: "C-0002", note: "Too many towels.", intent: "cancel", agent: "Robin" };
  const answer = await post("/api/call-centre/notes", said);
  assert.equal(answer.status, 201);
  const { note, feed } = await answer.json();
  assert.equal(feed.sent, true);
  assert.deepEqual(feed.report, neighbour.answer);
  const [call] = neighbour.calls;
  assert.equal(call.url, "/v1/import/crm");
  assert.equal(call.headers.authorization, "Bearer central-key");
  assert.equal(call.headers["content-type"], "application/x-ndjson");
  assert.ok(call.body.endsWith("\n"));
  assert.deepEqual(JSON.parse(call.body), {
    type: "identify",
    messageId: note.messageId,
    userId: "C-0002",
    timestamp: note.timestamp,
    traits: { cancel_intent: true },
  });
  assert.match(note.messageId, /^crm-[0-9a-f-]{36}$/);
  const kept = readFileSync(join(folder, "crm", "crm-notes.ndjson"), "utf8");
  assert.equal(JSON.parse(kept.trim().split("\n").pop()).note, "Too many towels.");
});

test("a note that the central store missed goes out again under the same id", async () => {
  neighbour.calls = [];
  neighbour.status = 503;
  const said = { customerId: "C-0003", note: "Stays.", intent: "none", agent: "Robin" };
  const { note, feed } = await (await post("/api/call-centre/notes", said)).json();
  assert.deepEqual(feed, { sent: false, code: "central_refused" });
  neighbour.status = 200;
  const deadlineMs = Date.now() + 5_000;
  while (neighbour.calls.length < 2 && Date.now() < deadlineMs) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const rows = neighbour.calls.map(({ body }) => JSON.parse(body));
  assert.equal(rows.length, 2);
  assert.equal(rows[1].messageId, note.messageId);
  assert.deepEqual(rows[1].traits, { cancel_intent: false });
});

test("the panel asks the edge with the visitor's sealed reference, and is silent without one", async () => {
  neighbour.calls = [];
  neighbour.status = 200;
  neighbour.answer = { profile: { assurance: "recognised" }, placements: {} };
  assert.deepEqual(await (await fetch(`${shopUrl}/api/panel`)).json(), { known: false });
  assert.equal(neighbour.calls.length, 0);
  const headers = { "Selvedge-Visitor": "sealed.reference" };
  const answer = await fetch(`${shopUrl}/api/panel?path=/basket/`, { headers });
  assert.equal(answer.headers.get("cache-control"), "private, no-store");
  assert.deepEqual(await answer.json(), neighbour.answer);
  const [call] = neighbour.calls;
  assert.equal(call.url, "/_selvedge/admin/v1/explain");
  assert.equal(call.headers.authorization, "Bearer admin-key");
  assert.deepEqual(JSON.parse(call.body), {
    visitor: "sealed.reference",
    placements: ["hero", "tip"],
    context: { path: "/basket/" },
  });
  neighbour.status = 403;
  const refused = await fetch(`${shopUrl}/api/panel`, { headers });
  assert.equal(refused.status, 502);
  assert.equal((await refused.json()).code, "edge_refused");
});

test("the search folds accents and finds by id, name, e-mail and phone", async () => {
  const search = async (query) =>
    (await fetch(`${shopUrl}/api/customers?query=${encodeURIComponent(query)}`)).json();
  for (const query of ["c-0011", "jurgen kohler", "JÜRGEN", "juergen.koehler@", "+492214710100"]) {
    const { customers } = await search(query);
    assert.ok(
      customers.some(({ customerId }) => customerId === "C-0011"),
      query,
    );
  }
  assert.deepEqual(await search("nobody-of-that-name"), { customers: [], total: 0 });
  assert.equal((await search("")).customers[0].customerId, HEROINE);
});

test("the CRM file is what its script makes, one unique person for each customer of the sample", () => {
  const kept = readFileSync(new URL("../data/crm.csv", import.meta.url), "utf8");
  assert.equal(kept, makeCrm());
  const rows = kept
    .trimEnd()
    .split("\n")
    .slice(1)
    .map((row) => row.split(","));
  assert.equal(rows.length, 2_357);
  for (const column of [0, 1, 4]) {
    assert.equal(new Set(rows.map((row) => row[column])).size, rows.length);
  }
  const purchases = [...readPurchases()];
  assert.equal(purchases.length, 6_919);
  assert.equal(new Set(purchases.map(({ messageId }) => messageId)).size, 6_919);
  assert.equal(new Set(purchases.map(({ customerId }) => customerId)).size, 2_357);
});

function fill(env) {
  const program = fileURLToPath(new URL("../fill.mjs", import.meta.url));
  return new Promise((resolve) => {
    execFile(process.execPath, [program], { env }, (error, stdout, stderr) => {
      resolve({ code: error?.code ?? 0, stdout, stderr });
    });
  });
}

test("filling sends the people as CSV and the purchases as NDJSON, and shows what was refused", async () => {
  neighbour.calls = [];
  neighbour.status = 200;
  neighbour.answer = { accepted: 9, duplicates: 0, refused: [] };
  const env = {
    CENTRAL_URL: `http://127.0.0.1:${neighbourServer.address().port}`,
    CENTRAL_KEY: "k",
  };
  assert.equal((await fill(env)).code, 0);
  const [people, purchases] = neighbour.calls;
  assert.deepEqual(
    neighbour.calls.map(({ url, headers }) => [
      url,
      headers["content-type"],
      headers.authorization,
    ]),
    [
      ["/v1/import/crm", "text/csv", "Bearer k"],
      ["/v1/import/shop", "application/x-ndjson", "Bearer k"],
    ],
  );
  assert.equal(people.body, makeCrm());
  const rows = purchases.body
    .trimEnd()
    .split("\n")
    .map((row) => JSON.parse(row));
  assert.equal(rows.length, 6_919);
  assert.deepEqual(rows[1], {
    type: "track",
    messageId: "cdnow-0001-2",
    userId: "C-0001",
    event: "Order Completed",
    timestamp: "1997-01-18T00:00:00Z",
    properties: { total: 29.73, units: 2, currency: "USD" },
  });

  neighbour.answer.refused = [{ line: 3, code: "bad_time", message: "not a time" }];
  const refused = await fill(env);
  assert.equal(refused.code, 1);
  assert.match(refused.stdout, /line 3: bad_time: not a time/);
  assert.match(
    (await fill({ CENTRAL_URL: "" })).stderr,
    /^fill: CENTRAL_URL and CENTRAL_KEY must be set/,
  );
});

test("a bad setting is one sentence", () => {
  const refused = (env, message) =>
    assert.throws(
      () => readSettings({ DATA_DIR: folder, ...env }),
      (error) => {
        assert.ok(error instanceof SettingError);
        assert.match(error.message, message);
        return true;
      },
    );
  refused({ PORT: "eighty" }, /^PORT must be a number/);
  refused({ EDGE_URL: "ftp://edge" }, /^EDGE_URL must be an http or https address/);
  refused({ LOGIN_KEY_FILE: join(folder, "none.json") }, /^LOGIN_KEY_FILE .* cannot be used/);
});
