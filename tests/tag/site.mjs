//! A small site for the tests of the tag: pages, the tag's files, and an edge that records calls
//! and answers what the test says. It must never behave better than a real edge would.

import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { chromium } from "playwright-core";

const BUILD = new URL("../../build/page/", import.meta.url);
const PURPOSES = ["store", "profile", "personalise", "measure", "share"];

function built(name) {
  const file = new URL(name, BUILD);
  if (!existsSync(file)) throw new Error("the tag is not built; run `cargo xtask build tag`");
  return readFileSync(file);
}

export const manifest = JSON.parse(built("manifest.json"));
const stub = built("stub.js").toString().trimEnd();
const stubHash = createHash("sha256").update(stub).digest("base64");

/** A strict policy: what the guide tells sites to set. */
export const POLICY = [
  "default-src 'self'",
  `script-src 'self' 'sha256-${stubHash}' 'wasm-unsafe-eval'`,
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join("; ");

/** The edge's answer about the consent, with these purposes allowed. */
export function consent(allowed, choice = "made") {
  const of = (value) => Object.fromEntries(PURPOSES.map((purpose) => [purpose, value(purpose)]));
  return {
    region: { country: "DE", subdivision: "" },
    choice,
    purposes: of((purpose) => allowed.includes(purpose)),
    reasons: of((purpose) => (allowed.includes(purpose) ? "granted" : "no_consent")),
  };
}

export const ALL = consent(PURPOSES);
export const NONE = consent([], "none");

/** A decision as the edge sends it. */
export function decision(placement, offer, fields, more = {}) {
  const content = fields.map(([name, kind, text]) => ({ name, kind, text }));
  const said = { placement, offer, variant: null, reason: offer ? "won" : "no_offer" };
  return {
    ...said,
    decision: offer ? `${placement}-${offer}` : "",
    content,
    language: "en",
    workspace: "w",
    exposures: [],
    trace: [],
    ...more,
  };
}

export function page({ body = "", state, early = "", first = "", tag = "/_selvedge/tag.js" } = {}) {
  const text = state && JSON.stringify(state).replaceAll("<", "\\u003c");
  const element = state
    ? `<script type="application/json" id="selvedge-state">${text}</script>`
    : "";
  const head = `<script>${stub}</script>${early}${element}<script async src="${tag}"></script>`;
  const title = '<!doctype html><html lang="en"><head><title>A page</title>';
  return `${title}${first}${head}</head><body>${body}</body></html>`;
}

/** The state of a page with this consent. */
export function state(answer, more = {}) {
  const image = { url: "/_selvedge/w.workspace" };
  const rest = { workspace: "w", request: {}, image, decisions: [] };
  return { version: 1, now: Date.now(), consent: answer, ...rest, ...more };
}

/** Starts a site. `answers[path]` is called with each call and gives `{status, headers, body}`. */
export async function startSite() {
  const site = { calls: [], pages: {}, answers: {}, policy: POLICY };
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const { pathname, search } = new URL(request.url, "http://site");
    const text = Buffer.concat(chunks).toString();
    const call = { method: request.method, path: pathname, search, text, at: Date.now() };
    call.headers = request.headers;
    call.json = text ? JSON.parse(text) : undefined;
    site.calls.push(call);
    const answer = site.answers[pathname]?.(call) ?? standing(site, pathname);
    const { status = 200, headers = {}, body = "" } = (await answer) ?? { status: 404 };
    if (status === 0) return request.socket.destroy();
    const plain = typeof body === "string" || Buffer.isBuffer(body);
    response.writeHead(status, {
      "cache-control": "no-store",
      ...(plain ? {} : { "content-type": "application/json" }),
      ...headers,
    });
    response.end(plain ? body : JSON.stringify(body));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  site.url = `http://127.0.0.1:${server.address().port}`;
  site.of = (path) => site.calls.filter((call) => call.path === path);
  site.batches = () => site.of("/_selvedge/v1/batch");
  site.events = () => site.batches().flatMap((call) => call.json.batch);
  site.stop = () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  };
  return site;
}

function standing(site, path) {
  if (site.pages[path] !== undefined) {
    const headers = { "content-type": "text/html", "content-security-policy": site.policy };
    return { headers, body: site.pages[path] };
  }
  if (path === "/_selvedge/tag.js") {
    return { headers: { "content-type": "text/javascript" }, body: built("tag.js") };
  }
  if (path === `/_selvedge/${manifest.wasm}`) {
    return { headers: { "content-type": "application/wasm" }, body: built(manifest.wasm) };
  }
  if (path === `/_selvedge/${manifest.signals}`) {
    return { headers: { "content-type": "text/javascript" }, body: built(manifest.signals) };
  }
  if (path === "/_selvedge/stub.js") {
    return { headers: { "content-type": "text/javascript" }, body: stub };
  }
  if (path.endsWith(".js")) {
    return { headers: { "content-type": "text/javascript" }, body: "" };
  }
  if (path === "/_selvedge/v1/batch") return { body: { success: true } };
  return undefined;
}

export async function startBrowser() {
  const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
  const args = ["--no-sandbox", "--disable-background-networking"];
  return chromium.launch({ executablePath, args });
}

/** Waits until `check` gives something true. */
export async function until(check, what, ms = 5_000) {
  const end = Date.now() + ms;
  for (;;) {
    const found = await check();
    if (found) return found;
    if (Date.now() > end) throw new Error(`never happened: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
