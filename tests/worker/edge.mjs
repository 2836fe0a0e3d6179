// The built worker in workerd, in front of a small origin and a small central store, for the tests
// in this folder. It talks plain HTTP, so that headers and bytes are what went over the wire.

import { createHash, generateKeyPairSync, randomUUID, sign } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer, request as httpRequest } from "node:http";
import { gzipSync } from "node:zlib";
import { Miniflare } from "miniflare";

export const KEYS = {
  tenant: "11".repeat(32),
  cookie: `a:${"22".repeat(32)}`,
  write: "wk_test",
  admin: "ak_test",
  central: "ck_test_0123456789",
};
export const TENANT = "shop";
const COOKIE = "__Host-selvedge";
const NAMES = ["PROFILE", "IDENTITY", "TENANT_OBJECT"];
const CLASSES = ["ProfileObject", "IdentityShard", "TenantObject"];

const login = generateKeyPairSync("ed25519");
const publicKey = { ...login.publicKey.export({ format: "jwk" }), kid: "t1" };

export const WORKSPACE = JSON.stringify({
  format: 1,
  languages: ["en"],
  consent: { banner: "test-1" },
  traits: {
    first_name: { type: "string", public: true },
    cancel_intent: { type: "bool" },
  },
  computed: { orders: { count: "Order Completed" }, added: { count: "Product Added" } },
  audiences: { wants_to_cancel: { when: "profile.cancel_intent == true" } },
  placements: { hero: { where: "edge" }, tip: { where: "page" } },
  offers: {
    basket: {
      placements: ["hero"],
      when: "count('Product Added', hours(24)) > count('Order Completed', hours(24))",
      purpose: "personalise",
      priority: 100,
      content: { en: { headline: "Your basket", href: "/basket/" } },
    },
    extension: {
      placements: ["hero"],
      when: "inAudience('wants_to_cancel')",
      purpose: "personalise",
      assurance: "recognised",
      priority: 90,
      content: { en: { headline: "Stay, {{profile.first_name}}?", href: "/account/" } },
    },
    welcome: {
      placements: ["hero"],
      purpose: null,
      priority: 1,
      content: { en: { headline: "Welcome", body: "To the shop", href: "/plan/" } },
    },
    tip_basket: {
      placements: ["tip"],
      when: "count('Product Added', hours(24)) > 0",
      purpose: "personalise",
      content: { en: { headline: "A tip" } },
    },
  },
});

const BINARY = Buffer.from(Array.from({ length: 4096 }, (_, nth) => (nth * 7) % 256));
const PAGE = `<!doctype html><html><head><title>Shop</title></head><body>
<div data-selvedge="hero"><p>fallback of the shop</p></div>
<div data-selvedge="tip"></div></body></html>`;

/** What the origin serves: path -> [status, headers, body]. */
export const PAGES = {
  "/": [200, { "content-type": "text/html; charset=utf-8", etag: '"v1"' }, PAGE],
  "/gzip": [
    200,
    { "content-type": "text/html", "content-encoding": "gzip", "cache-control": "max-age=60" },
    gzipSync(PAGE),
  ],
  "/no-head": [200, { "content-type": "text/html" }, '<p data-selvedge="hero">x</p>'],
  "/csp": [
    200,
    { "content-type": "text/html", "content-security-policy": "script-src 'self'" },
    PAGE,
  ],
  "/no-transform": [200, { "content-type": "text/html", "cache-control": "no-transform" }, PAGE],
  "/not-found": [404, { "content-type": "text/html" }, PAGE],
  "/binary": [200, { "content-type": "application/octet-stream" }, BINARY],
  "/lies": [200, { "content-type": "image/png" }, PAGE],
  "/data.json.gz": [
    200,
    { "content-type": "application/json", "content-encoding": "gzip" },
    gzipSync('{"a":1}'),
  ],
};

async function listen(handler) {
  const server = createServer(handler);
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { server, url: `http://127.0.0.1:${server.address().port}` };
}

async function read(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function startOrigin(seen) {
  const origin = await listen(async (request, response) => {
    const body = await read(request);
    seen.push({ method: request.method, url: request.url, headers: request.headers, body });
    const path = request.url.split("?")[0];
    if (path === "/redirect") {
      response.writeHead(302, { location: `${origin.url}/target?a=1` }).end();
      return;
    }
    if (path === "/echo") {
      const said = { method: request.method, headers: request.headers, length: body.length };
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(said));
      return;
    }
    const [status, headers, bytes] = PAGES[path] ?? [404, { "content-type": "text/plain" }, "no"];
    if (headers.etag && request.headers["if-none-match"] === headers.etag) {
      response.writeHead(304, { etag: headers.etag }).end();
      return;
    }
    response.writeHead(status, headers).end(bytes);
  });
  return origin;
}

/** Stores what is pushed; `state.mode` makes it fail, or store a part. */
async function startCentral(state) {
  return listen(async (request, response) => {
    const body = await read(request);
    const json = (value, status = 200) =>
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
    if (request.headers.authorization !== `Bearer ${KEYS.central}`) return json({}, 401);
    if (state.mode === "down") return json({ code: "unavailable" }, 503);
    const path = request.url.split("?")[0];
    if (path === "/sync/v1/push") {
      const { facts } = JSON.parse(body);
      const stored = {};
      const taken = state.mode === "half" ? facts.slice(0, 1) : facts;
      for (const fact of taken) {
        const known = state.facts.some(
          (other) => other.producer === fact.producer && other.seq === fact.seq,
        );
        if (!known) state.facts.push(fact);
        stored[fact.producer] = [...(stored[fact.producer] ?? []), fact.seq];
      }
      state.pushes += 1;
      return json({ stored });
    }
    if (path === "/sync/v1/hydrate") {
      const { person, metrics } = JSON.parse(body);
      state.hydrated.push({ person, metrics });
      const changes = state.changes(person);
      return json({ wireVersion: 1, changes, cursor: 1, more: false });
    }
    if (path === "/sync/v1/erase") {
      state.erased.push(JSON.parse(body).profile);
      return json({ acknowledged: false });
    }
    if (path === "/sync/v1/declare") {
      if (state.mode === "old") return json({ code: "no_route" }, 404);
      state.declared.push(JSON.parse(body));
      return json({ asOf: 0, offers: {} });
    }
    const waiting = state.feed.splice(0);
    return json({ wireVersion: 1, changes: waiting, cursor: state.cursor, more: false });
  });
}

/** What the worker's code is begun with, so that its clock is not the machine's. */
function clock(aheadMs) {
  if (aheadMs === 0) return "";
  return `{
    const Real = Date;
    globalThis.Date = class extends Real {
      constructor(...given) {
        super(...(given.length === 0 ? [Real.now() + ${aheadMs}] : given));
      }
      static now() {
        return Real.now() + ${aheadMs};
      }
    };
  }\n`;
}

/** Traits as the central store tells them. */
export function traits(person, values, cursor = 1) {
  const stamp = { time: Date.now(), counter: 0, source: "central" };
  const updates = Object.entries(values).map(([name, value]) => ({ name, value, stamp }));
  return { cursor, person, body: { traits: updates } };
}

/**
 * `folder` keeps the objects over several starts, `port` the place; `aheadMs` puts the edge's clock
 * forward. With `second` another isolate of the same worker, `edge.second`, has the same objects.
 */
export async function startEdge(more = {}, { folder, port, aheadMs = 0, second = false } = {}) {
  const seen = [];
  const central = {
    mode: "up",
    facts: [],
    hydrated: [],
    erased: [],
    declared: [],
    feed: [],
    cursor: 0,
    pushes: 0,
    changes: () => [],
  };
  const origin = await startOrigin(seen);
  const store = await startCentral(central);
  const built = new URL("../../build/worker/", import.meta.url);
  const logs = [];
  const objects = (of) =>
    Object.fromEntries(
      NAMES.map((name, nth) => [name, { className: CLASSES[nth], useSQLite: true, ...of }]),
    );
  const isolate = {
    modules: [
      {
        type: "ESModule",
        path: "index.js",
        contents: `${clock(aheadMs)}${await readFile(new URL("index.js", built), "utf8")}`,
      },
      {
        type: "CompiledWasm",
        path: "core_bg.wasm",
        contents: await readFile(new URL("core_bg.wasm", built)),
      },
    ],
    compatibilityDate: "2026-07-30",
    bindings: {
      TENANT,
      TENANT_KEY: KEYS.tenant,
      COOKIE_KEYS: KEYS.cookie,
      WRITE_KEY: KEYS.write,
      ADMIN_KEY: KEYS.admin,
      CENTRAL_KEY: KEYS.central,
      ORIGIN_URL: origin.url,
      CENTRAL_URL: store.url,
      REGION: "DE",
      LOGIN_KEYS: JSON.stringify({ keys: [publicKey] }),
      ...more,
    },
  };
  const workers = [{ ...isolate, name: "selvedge", durableObjects: objects({}) }];
  if (second) {
    const durableObjects = objects({ scriptName: "selvedge" });
    const unsafeDirectSockets = [{ host: "127.0.0.1", port: 0 }];
    workers.push({ ...isolate, name: "second", durableObjects, unsafeDirectSockets });
  }
  const miniflare = new Miniflare({
    host: "127.0.0.1",
    workers,
    ...(folder ? { durableObjectsPersist: folder } : {}),
    ...(port ? { port } : {}),
    cf: false,
    handleRuntimeStdio(out, err) {
      for (const stream of [out, err]) stream.on("data", (data) => logs.push(String(data)));
    },
  });
  const url = new URL(await miniflare.ready);
  const edge = { miniflare, url, origin, store, seen, central, logs };
  if (second) edge.second = { url: await miniflare.unsafeGetDirectURL("second") };
  edge.stop = async () => {
    await miniflare.dispose();
    for (const { server } of [origin, store]) {
      server.closeAllConnections();
      server.close();
    }
  };
  return edge;
}

/** One request, byte for byte: `{status, headers, body, text, json}`. */
export function send(edge, method, path, { headers = {}, body, raw } = {}) {
  const given = body !== undefined && !raw ? JSON.stringify(body) : body;
  const typed = body !== undefined && !raw ? { "content-type": "application/json" } : {};
  const chunked = given === undefined || headers["transfer-encoding"];
  const length = chunked ? {} : { "content-length": Buffer.byteLength(given) };
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      new URL(path, edge.url),
      // One connection each: a refusal may leave a body unread, which ends its connection.
      { method, agent: false, headers: { ...typed, ...length, ...headers } },
      async (response) => {
        const bytes = await read(response);
        resolve({
          status: response.statusCode,
          headers: response.headers,
          body: bytes,
          text: bytes.toString("utf8"),
          get json() {
            return JSON.parse(bytes.toString("utf8"));
          },
        });
      },
    );
    request.on("error", reject);
    request.end(given);
  });
}

/** A browser: keeps the cookie, sends its origin. */
export class Browser {
  constructor(edge, headers = {}) {
    this.edge = edge;
    this.cookie = null;
    this.headers = headers;
    this.setCookies = [];
  }

  async #send(method, path, headers, body) {
    const cookie = this.cookie ? { cookie: `${COOKIE}=${this.cookie}` } : {};
    const answer = await send(this.edge, method, path, {
      headers: { ...this.headers, ...cookie, ...headers },
      body,
    });
    for (const line of answer.headers["set-cookie"] ?? []) {
      const [, value] = line.match(/^__Host-selvedge=([^;]*)/) ?? [];
      if (value === undefined) continue;
      this.setCookies.push(line);
      this.cookie = value === "" ? null : value;
    }
    return answer;
  }

  page(path = "/", headers = {}) {
    const accept = {
      accept: "text/html",
      "sec-fetch-dest": "document",
      "sec-fetch-mode": "navigate",
    };
    return this.#send("GET", path, { ...accept, ...headers });
  }

  get(path) {
    return this.#send("GET", `/_selvedge${path}`, { "sec-fetch-site": "same-origin" });
  }

  post(path, body, headers = {}) {
    return this.#send(
      "POST",
      `/_selvedge${path}`,
      { origin: this.edge.url.origin, ...headers },
      body,
    );
  }

  consent(choices, banner = "test-1") {
    return this.post("/v1/consent", { choices, banner });
  }

  allowAll() {
    return this.consent({
      store: true,
      profile: true,
      personalise: true,
      measure: true,
      share: false,
    });
  }

  track(event, properties = {}, id = randomUUID()) {
    return this.post("/v1/track", { event, properties, messageId: id });
  }

  login(customer, more) {
    return this.post("/v1/login", { token: token(customer, more) });
  }
}

/** A login token as the site would sign it. */
export function token(sub, { claims = {}, header = {}, key = login.privateKey } = {}) {
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const now = Math.floor(Date.now() / 1_000);
  const body = { aud: TENANT, sub, iat: now, exp: now + 300, jti: randomUUID(), ...claims };
  const signed = `${encode({ alg: "EdDSA", kid: "t1", ...header })}.${encode(body)}`;
  return `${signed}.${sign(null, Buffer.from(signed), key).toString("base64url")}`;
}

export const admin = { authorization: `Bearer ${KEYS.admin}` };

export async function publish(edge, source = WORKSPACE) {
  return send(edge, "PUT", "/_selvedge/admin/v1/workspace", {
    headers: { ...admin, "content-type": "application/json" },
    body: source,
    raw: true,
  });
}

export function ask(edge, path, body) {
  return send(edge, "POST", `/_selvedge/admin/v1/${path}`, { headers: admin, body });
}

export async function until(check, what, deadlineMs = 5_000) {
  const end = Date.now() + deadlineMs;
  for (;;) {
    const value = await check();
    if (value) return value;
    if (Date.now() > end) throw new Error(`it never came to this: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

/** Those that do not run cannot be evicted; that none at all ran would be a test of nothing. */
export async function evictAll(edge) {
  const ids = await edge.miniflare.listDurableObjectIds("PROFILE");
  const evict = (id) =>
    edge.miniflare.unsafeEvictDurableObject("selvedge", "ProfileObject", { id });
  // At once: the copies of a state that some of them gave soon run out.
  const evictions = await Promise.allSettled(ids.map(evict));
  const evicted = evictions.filter(({ status }) => status === "fulfilled").length;
  if (evicted === 0) throw new Error("no object ran that could be evicted");
}

/** The hash of everything that the edge holds of a customer, but not of who asks. */
export async function fingerprint(edge, customerId) {
  const { held, receipts } = (await ask(edge, "export", { customerId })).json;
  return createHash("sha256")
    .update(JSON.stringify([held, receipts]))
    .digest("hex");
}
