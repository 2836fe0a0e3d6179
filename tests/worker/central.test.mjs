// The edge with the real central store behind it: what a CRM says reaches the page, what happens in
// the page reaches the store, and an erasure reaches both.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { Browser, KEYS, publish, startEdge, TENANT, until, WORKSPACE } from "./edge.mjs";

const PROGRAMS = process.env.SELVEDGE_BIN ?? "target/debug/";
let edge;
let central;
let folder;
let url;

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

before(async () => {
  const port = await freePort();
  url = `http://127.0.0.1:${port}`;
  folder = await mkdtemp(join(tmpdir(), "selvedge-"));
  edge = await startEdge({ CENTRAL_URL: url });
  central = spawn(join(PROGRAMS, "selvedge-central"), {
    env: {
      SELVEDGE_CENTRAL_LISTEN: `127.0.0.1:${port}`,
      SELVEDGE_CENTRAL_DATABASE: join(folder, "central.sqlite"),
      SELVEDGE_CENTRAL_KEY: KEYS.central,
      SELVEDGE_EDGE_URL: edge.url.origin,
      SELVEDGE_TENANT: TENANT,
      SELVEDGE_TENANT_KEY: KEYS.tenant,
      SELVEDGE_LOG: "warn",
    },
    stdio: ["ignore", "inherit", "inherit"],
  });
  const up = () =>
    fetch(`${url}/healthz`).then(
      (answer) => answer.ok,
      () => false,
    );
  await until(up, "the central store answers", 20_000);
  await publish(edge);
});

after(async () => {
  const ended = central && new Promise((resolve) => central.once("exit", resolve));
  central?.kill("SIGTERM");
  await ended;
  await edge?.stop();
  if (folder) await rm(folder, { recursive: true });
});

const key = { authorization: `Bearer ${KEYS.central}` };
const person = async (id) => {
  const answer = await fetch(`${url}/v1/people/${id}`, { headers: key });
  return answer.ok ? answer.json() : null;
};

async function say(userId, traits) {
  const answer = await fetch(`${url}/v1/import/crm`, {
    method: "POST",
    headers: { ...key, "content-type": "application/x-ndjson" },
    body: `${JSON.stringify({ type: "identify", userId, traits })}\n`,
  });
  assert.equal((await answer.json()).accepted, 1);
}

const offer = async (browser) =>
  (await browser.page()).text.match(/data-selvedge="hero"[^>]*data-selvedge-offer="([^"]*)"/)?.[1];

test("what the CRM knew before the login decides the first page after it", async () => {
  await say("C-1", { first_name: "Ada", cancel_intent: true });
  const browser = new Browser(edge);
  await browser.allowAll();
  assert.equal((await browser.login("C-1")).json.linked, true);
  assert.equal(await offer(browser), "extension");
  assert.match((await browser.page()).text, /Stay, Ada\?/);
});

test("a note of the CRM reaches the page within a second", async () => {
  await say("C-2", { first_name: "Bea" });
  const browser = new Browser(edge);
  await browser.allowAll();
  await browser.login("C-2");
  assert.equal(await offer(browser), "welcome");
  const began = performance.now();
  await say("C-2", { cancel_intent: true });
  await until(async () => (await offer(browser)) === "extension", "the offer", 5_000);
  const took = performance.now() - began;
  assert.ok(took < 1_000, `${took.toFixed(0)} ms`);
});

test("an event and a link reach the central store within a second", async () => {
  const browser = new Browser(edge);
  await browser.allowAll();
  await browser.track("Product Added");
  await browser.login("C-3");
  const began = performance.now();
  await browser.track("Order Completed", { total: 10 });
  const stored = async () => {
    const known = await person("C-3");
    return known?.devices && JSON.stringify(known.events).includes("Order Completed");
  };
  await until(stored, "the event in the central store", 5_000);
  const took = performance.now() - began;
  assert.ok(took < 1_000, `${took.toFixed(0)} ms`);
});

test("an erasure reaches the edge, and a late event brings nobody back", async () => {
  const browser = new Browser(edge);
  await browser.allowAll();
  await browser.track("Product Added");
  await browser.login("C-4");
  await until(() => person("C-4"), "the person in the central store");
  const tab = browser.cookie;
  const answer = await fetch(`${url}/v1/erasures`, {
    method: "POST",
    headers: { ...key, "content-type": "application/json" },
    body: JSON.stringify({ customerId: "C-4" }),
  });
  assert.equal(answer.status, 200, await answer.clone().text());
  const { id } = await answer.json();
  const confirmed = async () => {
    const status = await fetch(`${url}/v1/erasures/${id}`, { headers: key });
    return (await status.json()).acknowledged;
  };
  await until(confirmed, "the edge confirms");
  browser.cookie = tab;
  assert.deepEqual((await browser.track("Product Added")).json.dropped, { erased: 1 });
  assert.equal(await offer(browser), "welcome");
  assert.equal(await person("C-4"), null);
});

test("the command counts whom the edge puts into an audience, and nobody who said no", async () => {
  const file = join(folder, "workspace.json");
  await writeFile(file, WORKSPACE);
  const told = async (...more) => {
    const words = ["audiences", file, "--central", url, "--key", KEYS.central, ...more];
    return (await promisify(execFile)(join(PROGRAMS, "selvedge"), words)).stdout;
  };
  const size = async () => {
    const answer = JSON.parse(await told("--json"));
    assert.equal(answer.exact, true);
    return answer.audiences.find((one) => one.audience === "wants_to_cancel").size;
  };
  await say("C-5", { first_name: "Eve", cancel_intent: true });
  const before = await size();
  const browser = new Browser(edge);
  await browser.allowAll();
  await browser.login("C-5");
  assert.equal(await offer(browser), "extension");
  await until(async () => (await size()) === before + 1, "she is counted");
  // What people read is made of the fields that programs get.
  const text = await told();
  assert.match(text, /^counted: everybody was looked at$/m);
  assert.match(text, new RegExp(`^wants_to_cancel +${before + 1} `, "m"));
  await browser.consent({ profile: false });
  assert.equal(await offer(browser), "welcome");
  await until(async () => (await size()) === before, "she is not counted any more");
});
