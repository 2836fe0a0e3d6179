// The real central store beside the edge, for tests that need both ends.

import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { KEYS, startEdge, TENANT, until } from "./edge.mjs";

const PROGRAMS = process.env.SELVEDGE_BIN ?? "target/debug/";
export const key = { authorization: `Bearer ${KEYS.central}` };

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/**
 * `{edge, url, folder, restart, stop}`: the objects lie under `folder`/edge, and `restart` stops
 * the edge, lets `between` do what it likes with them, and starts it again at the same place.
 */
export async function startBoth() {
  const folder = await mkdtemp(join(tmpdir(), "selvedge-both-"));
  const [port, edgePort] = [await freePort(), await freePort()];
  const url = `http://127.0.0.1:${port}`;
  const open = () =>
    startEdge({ CENTRAL_URL: url }, { folder: join(folder, "edge"), port: edgePort });
  const both = { edge: await open(), url, folder };
  const child = spawn(join(PROGRAMS, "selvedge-central"), {
    env: {
      SELVEDGE_CENTRAL_LISTEN: `127.0.0.1:${port}`,
      SELVEDGE_CENTRAL_DATABASE: join(folder, "central.sqlite"),
      SELVEDGE_CENTRAL_KEY: KEYS.central,
      SELVEDGE_EDGE_URL: both.edge.url.origin,
      SELVEDGE_TENANT: TENANT,
      SELVEDGE_TENANT_KEY: KEYS.tenant,
      SELVEDGE_LOG: "error",
    },
    stdio: ["ignore", "inherit", "inherit"],
  });
  both.restart = async (between = async () => {}) => {
    await both.edge.stop();
    await between(join(folder, "edge"));
    both.edge = await open();
    return both.edge;
  };
  both.stop = async () => {
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGTERM");
    await ended;
    await both.edge.stop();
    await rm(folder, { recursive: true });
  };
  const up = () =>
    fetch(`${url}/healthz`).then(
      (answer) => answer.ok,
      () => false,
    );
  await until(up, "the central store answers", 20_000);
  return both;
}

/** What the central store holds on a customer; null where it knows nobody. */
export async function personAt(url, id) {
  const answer = await fetch(`${url}/v1/people/${id}`, { headers: key });
  return answer.ok ? answer.json() : null;
}

/** The CRM says something of a customer. */
export async function say(url, userId, traits) {
  const answer = await fetch(`${url}/v1/import/crm`, {
    method: "POST",
    headers: { ...key, "content-type": "application/x-ndjson" },
    body: `${JSON.stringify({ type: "identify", userId, traits })}\n`,
  });
  if ((await answer.json()).accepted !== 1) throw new Error("the import was not taken");
}

/** The central store's feed from its beginning. */
export async function feed(url) {
  const answer = await fetch(`${url}/sync/v1/changes?cursor=0`, { headers: key });
  return answer.json();
}
