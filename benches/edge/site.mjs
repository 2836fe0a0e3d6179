//! The edge's surroundings: a site's origin, a central store that knows everybody's traits, the
//! edge itself with its workspace, and visitors who logged in and allowed everything.

import { generateKeyPairSync, sign } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { topThree } from "../reference.mjs";
import { offers, profiles } from "../workload.mjs";
import { workspace } from "../workspace.mjs";
import { ask } from "./load.mjs";
import { serve } from "./workerd.mjs";

const TENANT = "bench";
const KEYS = { write: "write", admin: "admin", central: "central" };
const PLACEMENTS = ["first", "second", "third"];
const BODY = JSON.stringify({ placements: PLACEMENTS, context: { path: "/shop/shoes/boots" } });
/** About as long as a page of a shop. */
const PAGE = `<!doctype html><html><head><title>Shop</title></head><body>
<div data-selvedge="hero">fallback</div>
${"<p>Boots, shoes, and everything else that is worn on feet.</p>\n".repeat(400)}</body></html>`;

const login = generateKeyPairSync("ed25519");

/** A login token as a site signs it. */
function token(customer) {
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const now = Math.floor(Date.now() / 1_000);
  const claims = { aud: TENANT, sub: customer, iat: now, exp: now + 300, jti: customer };
  const signed = `${encode({ alg: "EdDSA", kid: "b" })}.${encode(claims)}`;
  return `${signed}.${sign(null, Buffer.from(signed), login.privateKey).toString("base64url")}`;
}

function listen(answer) {
  const server = createServer((request, response) => {
    const chunks = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", () => {
      const [type, text] = answer(request.url, Buffer.concat(chunks).toString());
      response.writeHead(200, { "content-type": type }).end(text);
    });
  });
  server.keepAliveTimeout = 60_000;
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      resolve({ server, url: `http://127.0.0.1:${server.address().port}` });
    });
  });
}

/** A value as the central store writes it: named by its type. */
function typed(value) {
  if (Array.isArray(value)) return { List: value.map(typed) };
  return { [{ boolean: "Bool", number: "Int", string: "String" }[typeof value]]: value };
}

/** Tells the traits of persons in the order in which they come up: who it is does not matter. */
function central(known) {
  let next = 0;
  const traits = ({ id: _, ...values }) => {
    const stamp = { time: Date.now(), counter: 0, source: "central" };
    return Object.entries(values).map(([name, value]) => ({ name, value: typed(value), stamp }));
  };
  const answers = {
    push: ({ facts }) => {
      const stored = {};
      for (const { producer, seq } of facts) stored[producer] = [...(stored[producer] ?? []), seq];
      return { stored };
    },
    hydrate: ({ person }) => {
      const body = { traits: traits(known[next++ % known.length]) };
      return { wireVersion: 1, changes: [{ cursor: 1, person, body }], cursor: 1, more: false };
    },
    declare: () => ({ asOf: 0, offers: {} }),
  };
  return listen((path, body) => {
    const answer = answers[path.split("?")[0].split("/").at(-1)];
    const value = answer?.(JSON.parse(body)) ?? {
      wireVersion: 1,
      changes: [],
      cursor: 1,
      more: false,
    };
    return ["application/json", JSON.stringify(value)];
  });
}

/** The workload's workspace, with a placement in the page's own HTML beside the others. */
function configuration(list, profile) {
  const whole = workspace(list, profile);
  whole.placements.hero = { where: "edge" };
  for (const offer of Object.values(whole.offers)) offer.placements.push("hero");
  return JSON.stringify(whole);
}

class Visitor {
  constructor(url, customer) {
    Object.assign(this, { url, customer, cookie: "" });
  }

  headers() {
    return {
      origin: this.url.origin,
      "content-type": "application/json",
      "accept-language": "en-GB,en;q=0.9,de;q=0.8",
      "user-agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36",
      referer: `${this.url.origin}/shop/shoes/boots`,
      ...(this.cookie && { cookie: this.cookie }),
    };
  }

  async call(path, value) {
    const body = JSON.stringify(value);
    const request = {
      method: "POST",
      path: `/_selvedge/v1/${path}`,
      headers: this.headers(),
      body,
    };
    const answer = await ask(this.url, request);
    if (answer.status !== 200) throw new Error(`${path}: ${answer.status} ${answer.text}`);
    const [line] = answer.headers["set-cookie"] ?? [];
    if (line) this.cookie = line.split(";")[0];
    return JSON.parse(answer.text);
  }

  /** Consent and login; the central store tells her traits while she waits. */
  async arrive() {
    const purposes = ["store", "profile", "personalise", "measure", "share"];
    const choices = Object.fromEntries(purposes.map((purpose) => [purpose, true]));
    await this.call("consent", { choices });
    await this.call("login", { token: token(this.customer) });
  }

  /** `fresh` says that nothing kept may answer: the profile is read from its object. */
  decide({ fresh = false } = {}) {
    const headers = { ...this.headers(), ...(fresh && { "cache-control": "no-cache" }) };
    return { method: "POST", path: "/_selvedge/v1/decide", headers, body: BODY };
  }

  page({ personal }) {
    const accept = personal ? "text/html" : "application/json";
    const headers = { ...this.headers(), accept };
    return { method: "GET", path: "/shop/shoes/boots", headers };
  }
}

/** Compares what the edge decides for a visitor with the reference. */
async function check(visitor, list, profile) {
  const admin = { authorization: `Bearer ${KEYS.admin}`, "content-type": "application/json" };
  const body = JSON.stringify({ customerId: visitor.customer });
  const path = "/_selvedge/admin/v1/export";
  const exported = await ask(visitor.url, { method: "POST", path, headers: admin, body });
  const { profile: id } = JSON.parse(exported.text);
  const wanted = JSON.stringify(topThree(list, { ...profile, id }));
  for (const fresh of [true, false]) {
    const answer = await ask(visitor.url, visitor.decide({ fresh }));
    const { decisions } = JSON.parse(answer.text);
    const seen = JSON.stringify(decisions.map(({ offer }) => offer).filter(Boolean));
    if (seen !== wanted) throw new Error(`the edge decides ${seen}, the reference ${wanted}`);
  }
}

/** Starts it all: `{edge, visitors, stop}`. */
export async function open(folder, { offers: offerCount, visitors: visitorCount }) {
  const list = offers(offerCount);
  const known = profiles(visitorCount);
  const origin = await listen(() => ["text/html; charset=utf-8", PAGE]);
  const store = await central(known);
  const built = (name) => readFileSync(new URL(`../../build/worker/${name}`, import.meta.url));
  const key = { ...login.publicKey.export({ format: "jwk" }), kid: "b" };
  const edge = await serve(folder, {
    modules: [
      { name: "index.js", kind: "esModule", bytes: built("index.js") },
      { name: "core_bg.wasm", kind: "wasm", bytes: built("core_bg.wasm") },
    ],
    objects: { PROFILE: "ProfileObject", IDENTITY: "IdentityShard", TENANT_OBJECT: "TenantObject" },
    bindings: {
      TENANT,
      TENANT_KEY: "11".repeat(32),
      COOKIE_KEYS: `a:${"22".repeat(32)}`,
      WRITE_KEY: KEYS.write,
      ADMIN_KEY: KEYS.admin,
      CENTRAL_KEY: KEYS.central,
      ORIGIN_URL: origin.url,
      CENTRAL_URL: store.url,
      REGION: "DE",
      LOGIN_KEYS: JSON.stringify({ keys: [key] }),
    },
  });
  const stop = async () => {
    await edge.stop();
    for (const { server } of [origin, store]) {
      server.closeAllConnections();
      server.close();
    }
  };
  try {
    const headers = { authorization: `Bearer ${KEYS.admin}`, "content-type": "application/json" };
    const body = configuration(list, known[0]);
    const path = "/_selvedge/admin/v1/workspace";
    const published = await ask(edge.url, { method: "PUT", path, headers, body });
    if (published.status !== 200) throw new Error(`publishing: ${published.text}`);
    const visitors = known.map((_, at) => new Visitor(edge.url, `C-${at}`));
    for (const [at, visitor] of visitors.entries()) {
      await visitor.arrive();
      await check(visitor, list, known[at]);
    }
    return { edge, visitors, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
