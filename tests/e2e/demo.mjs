//! The demo that a test talks to: the one that `cargo xtask test` started, or one of its own. It
//! must never end a process that it did not start.

import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { until } from "./wait.mjs";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
/** A first build takes minutes. */
const START_MS = 15 * 60_000;
const STOP_MS = 20_000;

/** The contents of a demo.json, with the folder in which everything of that demo lies. */
export function readDemo(file) {
  return { ...JSON.parse(readFileSync(file, "utf8")), folder: dirname(file) };
}

/** `{demo, close}`. */
export async function openDemo(name) {
  if (process.env.SELVEDGE_DEMO) {
    return { demo: readDemo(process.env.SELVEDGE_DEMO), close: async () => {} };
  }
  const state = join(process.env.CARGO_TARGET_DIR ?? join(ROOT, "target"), "e2e", name);
  const port = await freePort();
  const words = ["xtask", "demo", "--fresh", "--port", String(port), "--state", state];
  // Its own process group, so that ending it ends cargo and what cargo runs, and nothing else.
  const child = spawn("cargo", words, {
    cwd: ROOT,
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk) => {
      said = (said + chunk).slice(-4_000);
    });
  }
  let ended = false;
  const end = new Promise((resolve) => {
    child.once("close", () => {
      ended = true;
      resolve();
    });
  });
  const close = async () => {
    if (ended) return;
    process.kill(-child.pid, "SIGINT");
    const late = setTimeout(() => process.kill(-child.pid, "SIGKILL"), STOP_MS);
    await end;
    clearTimeout(late);
  };
  // The demo writes demo.json last and removes the one before first.
  const demo = await until(() => !ended && said.includes("The shop is open") && read(state), {
    withinMs: START_MS,
    everyMs: 200,
  });
  if (demo) return { demo, close };
  await close();
  throw new Error(`the demo did not start:\n${said}`);
}

function read(state) {
  try {
    return readDemo(join(state, "demo.json"));
  } catch {
    return null;
  }
}

/** A port with two free ones after it, for the central store and the shop. */
async function freePort() {
  for (let attempt = 0; attempt < 20; attempt += 1) {
    const first = await listen(0);
    const port = first.address().port;
    const others = await Promise.all(
      [listen(port + 1), listen(port + 2)].map((one) => one.catch(() => null)),
    );
    await Promise.all([first, ...others].filter(Boolean).map(close));
    if (others.every(Boolean)) return port;
  }
  throw new Error("no three free ports in a row");
}

function listen(port) {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => resolve(server));
  });
}

function close(server) {
  return new Promise((resolve) => server.close(resolve));
}
