//! Load on a worker: as much as it takes, from wrk; a fixed rate, however long answers take; and
//! one request after the other, for first bytes. It knows what a request is, not what it asks.

import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { Agent, request as send } from "node:http";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const LUA = fileURLToPath(new URL("requests.lua", import.meta.url));
/** What keeps one thread of workerd busy, and waits for little more. */
const CONNECTIONS = 16;
const run = promisify(execFile);

/** `{method, path, headers, body}` as bytes for wrk. */
function wire(url, { method, path, headers, body = "" }) {
  const lines = Object.entries({ host: url.host, ...headers, "content-length": body.length });
  const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  return `${method} ${path} HTTP/1.1\r\n${head}\r\n${body}`;
}

/** Requests, in turn, as fast as they are answered: `{perS, p50Us, p99Us}`. */
export async function saturate(folder, url, requests, seconds) {
  const file = join(folder, "requests");
  writeFileSync(file, requests.map((one) => wire(url, one)).join("\u0001"));
  const words = ["-t1", `-c${CONNECTIONS}`, `-d${seconds}s`, "-s", LUA, url.origin, "--", file];
  const { stdout } = await run("wrk", words);
  const seen = JSON.parse(stdout.slice(stdout.lastIndexOf("{")));
  if (seen.failed > 0) throw new Error(`${seen.failed} of ${seen.requests} requests failed`);
  return { perS: seen.requests / (seen.us / 1e6), p50Us: seen.p50Us, p99Us: seen.p99Us };
}

/** One request: `{status, headers, text, firstByteMs}`. */
export function ask(url, { method, path, headers, body }, agent) {
  return new Promise((resolve, reject) => {
    const begun = performance.now();
    const sent = send(new URL(path, url), { method, headers, agent }, (response) => {
      let firstByteMs;
      const chunks = [];
      response.on("data", (chunk) => {
        firstByteMs ??= performance.now() - begun;
        chunks.push(chunk);
      });
      response.on("end", () => {
        const text = Buffer.concat(chunks).toString();
        resolve({ status: response.statusCode, headers: response.headers, text, firstByteMs });
      });
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

/** Requests, in turn, at a rate that waits for nobody; how many there were. */
export async function steady(url, requests, perS, seconds) {
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  const begun = performance.now();
  const count = perS * seconds;
  const answers = [];
  for (let at = 0; at < count; at++) {
    const waitMs = begun + (at * 1_000) / perS - performance.now();
    if (waitMs > 1) await sleep(waitMs);
    answers.push(ask(url, requests[at % requests.length], agent));
  }
  const failed = (await Promise.all(answers)).filter(({ status }) => status !== 200);
  agent.destroy();
  if (failed.length > 0) throw new Error(`${failed.length} of ${count} requests failed`);
  return count;
}

/** Milliseconds to the first byte of requests that take turns: a list for each. */
export async function firstBytes(url, requests, turns) {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const seen = requests.map(() => []);
  for (let turn = 0; turn < turns; turn++) {
    for (const [at, one] of requests.entries()) {
      const { firstByteMs, status } = await ask(url, one, agent);
      if (status !== 200) throw new Error(`${one.path} answered ${status}`);
      seen[at].push(firstByteMs);
    }
  }
  agent.destroy();
  return seen;
}
