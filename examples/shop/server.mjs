//! The demo shop's server: a plain site with a login, a CRM and a call-centre page. It knows of
//! Selvedge only what any site would: whom to feed, whom to ask for the panel, and how to sign a
//! login. `node server.mjs`; the settings are listed in README.md.

import { createServer } from "node:http";
import { pathToFileURL } from "node:url";
import { Crm } from "./server/crm.mjs";
import { Refusal, readJson, sendFile, sendJson, sendRefusal, textField } from "./server/http.mjs";
import { Sessions, signToken } from "./server/login.mjs";
import { explain } from "./server/panel.mjs";
import { readSettings, SettingError } from "./server/settings.mjs";
import { loadSite } from "./server/site.mjs";

const PASSWORD = "demo";
const INTENTS = ["cancel", "none"];
const STRICT_CSP = [
  "default-src 'self'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "object-src 'none'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join("; ");

/** The server, not yet listening. */
export function makeShop(settings) {
  const site = loadSite();
  const shop = {
    settings,
    crm: new Crm(settings.dataDir, settings.central),
    sessions: new Sessions(),
  };
  const pageHeaders = settings.strictCsp ? { "Content-Security-Policy": STRICT_CSP } : {};

  const server = createServer((request, response) => {
    answer(request, response).catch((error) => {
      if (response.headersSent) return response.destroy();
      if (error instanceof Refusal) return sendRefusal(response, error);
      console.error(error);
      sendRefusal(response, new Refusal(500, "internal", "something went wrong in the shop"));
    });
  });

  async function answer(request, response) {
    const url = parseUrl(request.url);
    if (url.pathname.startsWith("/api/")) return answerApi(shop, request, response, url);
    if (request.method !== "GET" && request.method !== "HEAD")
      throw wrongMethod(response, "GET, HEAD");
    const found = site.files.get(url.pathname);
    if (found) return sendFile(request, response, found, 200, pageHeaders);
    if (site.files.has(`${url.pathname}/`)) {
      response.writeHead(308, { Location: `${url.pathname}/${url.search}` }).end();
      return;
    }
    sendFile(request, response, site.notFound, 404, pageHeaders);
  }

  server.requestTimeout = 15_000;
  server.headersTimeout = 10_000;
  server.on("close", () => shop.crm.close());
  return server;
}

const ROUTES = {
  "/api/login": { POST: login },
  "/api/logout": { POST: logout },
  "/api/me": { GET: me },
  "/api/customers": { GET: customers },
  "/api/call-centre/notes": { GET: notes, POST: writeNote },
  "/api/panel": { GET: panel },
};

async function answerApi(shop, request, response, url) {
  const route = ROUTES[url.pathname];
  if (!Object.hasOwn(ROUTES, url.pathname)) throw new Refusal(404, "not_found", "no such route");
  if (!Object.hasOwn(route, request.method))
    throw wrongMethod(response, Object.keys(route).join(", "));
  return route[request.method](shop, request, response, url);
}

function wrongMethod(response, allowed) {
  response.setHeader("Allow", allowed);
  return new Refusal(405, "wrong_method", `allowed here: ${allowed}`);
}

function parseUrl(target) {
  try {
    return new URL(target, "http://shop.invalid");
  } catch {
    throw new Refusal(400, "bad_url", "the address cannot be read");
  }
}

async function login({ crm, sessions, settings }, request, response) {
  const body = await readJson(request, ["customerId", "password"]);
  const person = crm.person(textField(body, "customerId", 32));
  const password = textField(body, "password", 128);
  // One answer for both mistakes: it does not tell which customers exist.
  if (!person || password !== PASSWORD) {
    throw new Refusal(401, "bad_login", "customer number and password do not match");
  }
  const nowMs = Date.now();
  const { loginKey, tenant } = settings;
  const token = loginKey ? signToken(loginKey, tenant, person, nowMs) : null;
  const cookie = sessions.begin(request, person.customerId, nowMs);
  sendJson(response, 200, { token }, { "Set-Cookie": cookie });
}

async function logout({ sessions }, request, response) {
  await readJson(request, []);
  sendJson(response, 200, { customer: null }, { "Set-Cookie": sessions.end(request) });
}

function me({ crm, sessions }, request, response) {
  const customerId = sessions.customerOf(request, Date.now());
  sendJson(response, 200, { customer: customerId ? crm.person(customerId) : null });
}

function customers({ crm }, _request, response, url) {
  sendJson(response, 200, crm.search((url.searchParams.get("query") ?? "").slice(0, 100)));
}

function notes({ crm }, _request, response, url) {
  sendJson(response, 200, { notes: crm.notesOf(url.searchParams.get("customerId") ?? "") });
}

async function writeNote({ crm }, request, response) {
  const body = await readJson(request, ["customerId", "note", "intent", "agent"]);
  const intent = textField(body, "intent", 16);
  if (!INTENTS.includes(intent)) {
    throw new Refusal(400, "bad_intent", "`intent` must be `cancel` or `none`", "intent");
  }
  const written = await crm.write({
    customerId: textField(body, "customerId", 32),
    note: textField(body, "note", 2_000),
    intent,
    agent: textField(body, "agent", 64),
  });
  sendJson(response, 201, written);
}

async function panel({ settings }, request, response, url) {
  sendJson(response, 200, await explain(settings.edge, request, url));
}

function main() {
  let server;
  let settings;
  try {
    settings = readSettings(process.env);
    server = makeShop(settings);
  } catch (error) {
    if (!(error instanceof SettingError)) throw error;
    console.error(`shop: ${error.message}`);
    process.exit(2);
  }
  server.on("error", (error) => {
    const taken = error.code === "EADDRINUSE";
    console.error(`shop: ${taken ? `port ${settings.port} is taken` : error.message}`);
    process.exit(1);
  });
  server.listen(settings.port, "127.0.0.1", () => {
    console.log(`shop: http://127.0.0.1:${server.address().port}/`);
  });
  for (const signal of ["SIGINT", "SIGTERM"]) {
    process.once(signal, () => {
      server.close(() => process.exit(0));
      server.closeAllConnections();
    });
  }
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) main();
