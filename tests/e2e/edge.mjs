//! Requests that no browser makes for us: raw bytes with one cookie, calls of the page's routes,
//! and the routes behind the secret keys. It must never follow a redirect or keep a cookie.

import { createPrivateKey, randomUUID, sign } from "node:crypto";
import { request } from "node:http";

export const DEVICE_COOKIE = "__Host-selvedge";
const DEADLINE_MS = 10_000;

/** `{status, headers, body, text, ms}` of one request. */
export function fetchRaw(url, { method = "GET", headers = {}, body = "" } = {}) {
  const began = performance.now();
  return new Promise((resolve, reject) => {
    const sent = request(url, { method, headers, agent: false }, (answer) => {
      const chunks = [];
      answer.on("data", (chunk) => chunks.push(chunk));
      answer.on("error", reject);
      answer.on("end", () => {
        const bytes = Buffer.concat(chunks);
        const ms = performance.now() - began;
        const { statusCode: status, headers: got } = answer;
        resolve({ status, headers: got, body: bytes, text: bytes.toString("utf8"), ms });
      });
    });
    sent.setTimeout(DEADLINE_MS, () => sent.destroy(new Error(`${url} did not answer in time`)));
    sent.on("error", reject);
    sent.end(body);
  });
}

/** A page as it leaves the edge for whoever holds this device cookie. */
export function fetchPage(demo, path, device, headers = {}) {
  const cookie = device ? { cookie: `${DEVICE_COOKIE}=${device}` } : {};
  const accept = "text/html,application/xhtml+xml,*/*;q=0.8";
  return fetchRaw(demo.edgeUrl + path, { headers: { accept, ...cookie, ...headers } });
}

/** A call that a page of the site would make; `json` is its answer. */
export async function callEdge(demo, path, { device, body } = {}) {
  const headers = { accept: "application/json", origin: demo.edgeUrl };
  if (device) headers.cookie = `${DEVICE_COOKIE}=${device}`;
  if (body !== undefined) headers["content-type"] = "application/json";
  const method = body === undefined ? "GET" : "POST";
  const text = body === undefined ? "" : JSON.stringify(body);
  const answer = await fetchRaw(`${demo.edgeUrl}/_selvedge${path}`, {
    method,
    headers,
    body: text,
  });
  return { ...answer, json: readJson(answer.text) };
}

/** One event, as a tab that holds this device cookie would send it. */
export function sendEvent(demo, device, event, properties = {}) {
  const timestamp = new Date().toISOString();
  const one = { type: "track", messageId: randomUUID(), event, timestamp, properties };
  return callEdge(demo, "/v1/batch", { device, body: { batch: [one], sentAt: timestamp } });
}

/** What the edge says to the shop's panel about whoever holds this device cookie. */
export async function explain(demo, device, path = "/") {
  const url = `${demo.edgeUrl}/api/panel?path=${encodeURIComponent(path)}`;
  const headers = { accept: "application/json" };
  if (device) headers.cookie = `${DEVICE_COOKIE}=${device}`;
  const answer = await fetchRaw(url, { headers });
  if (answer.status !== 200) throw new Error(`the panel answered ${answer.status}: ${answer.text}`);
  return readJson(answer.text);
}

/** The central store's feed from its beginning, as the edge's alarm reads it. */
export async function readFeed(demo) {
  const changes = [];
  let last;
  for (let cursor = 0, more = true; more; ) {
    const url = `${demo.centralUrl}/sync/v1/changes?cursor=${cursor}`;
    const answer = await fetchRaw(url, { headers: bearer(demo.centralKey) });
    if (answer.status !== 200)
      throw new Error(`the feed answered ${answer.status}: ${answer.text}`);
    last = readJson(answer.text);
    changes.push(...last.changes);
    more = last.more && last.cursor !== cursor;
    cursor = last.cursor;
  }
  return { wireVersion: last.wireVersion, changes, cursor: last.cursor, more: false };
}

/** A push of the central store. */
export async function pushToEdge(demo, changes) {
  return fetchRaw(`${demo.edgeUrl}/_selvedge/sync/v1/apply`, {
    method: "POST",
    headers: { ...bearer(demo.centralKey), "content-type": "application/json" },
    body: JSON.stringify(changes),
  });
}

/** Rows into the central store; `rows` are objects, sent as NDJSON. */
export async function importRows(demo, source, rows) {
  const answer = await fetchRaw(`${demo.centralUrl}/v1/import/${source}`, {
    method: "POST",
    headers: { ...bearer(demo.centralKey), "content-type": "application/x-ndjson" },
    body: rows.map((row) => `${JSON.stringify(row)}\n`).join(""),
  });
  return { ...answer, json: readJson(answer.text) };
}

/** A login token as the shop would sign it (EdDSA, RFC 8037). */
export function signToken(demo, customerId, claims = {}) {
  const issuedS = Math.floor(Date.now() / 1000);
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const head = encode({ alg: "EdDSA", kid: demo.loginKid, typ: "JWT" });
  const body = encode({
    iss: "weft-and-wold",
    aud: demo.tenant,
    sub: customerId,
    iat: issuedS,
    exp: issuedS + 120,
    jti: randomUUID(),
    ...claims,
  });
  const key = createPrivateKey({ key: demo.loginKey, format: "jwk" });
  const signature = sign(null, Buffer.from(`${head}.${body}`), key).toString("base64url");
  return `${head}.${body}.${signature}`;
}

function bearer(key) {
  return { authorization: `Bearer ${key}`, accept: "application/json" };
}

function readJson(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
