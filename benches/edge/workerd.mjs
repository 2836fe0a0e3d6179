//! `workerd serve` itself, as a process of its own: one worker, its SQLite objects in a folder, on
//! loopback alone. It knows no route, and ends only what it started.

import { spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const START_MS = 20_000;
const require = createRequire(import.meta.url);
/** The kernel counts processor time in hundredths of a second for programs, whatever its own. */
const TICKS_PER_S = 100;

/** The program that npm brought for this machine; `workerd`'s start script would be a second. */
function program() {
  const own = createRequire(require.resolve("workerd/package.json"));
  const platform = { "linux-x64": "linux-64", "linux-arm64": "linux-arm64" };
  const name = platform[`${process.platform}-${process.arch}`];
  if (!name) throw new Error("processor time is read from /proc, which only Linux has");
  return own.resolve(`@cloudflare/workerd-${name}/bin/workerd`);
}

export async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** JSON's texts are texts of Cap'n Proto too. */
const text = JSON.stringify;

function config({ date, port, disk, modules, objects, bindings }) {
  const list = (entries) => entries.join(",\n      ");
  const embedded = ({ name, kind }) => `(name = ${text(name)}, ${kind} = embed ${text(name)})`;
  return `using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "main", worker = .main),
    (name = "internet", network = (allow = ["127.0.0.1/32"])),
    (name = "disk", disk = (path = ${text(disk)}, writable = true)),
  ],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "main")],
);

const main :Workerd.Worker = (
    compatibilityDate = ${text(date)},
    durableObjectStorage = (localDisk = "disk"),
    modules = [
      ${list(modules.map(embedded))}
    ],
    durableObjectNamespaces = [
      ${list(
        Object.values(objects).map(
          (name) => `(className = ${text(name)}, uniqueKey = ${text(name)}, enableSql = true)`,
        ),
      )}
    ],
    bindings = [
      ${list([
        ...Object.entries(objects).map(
          ([name, kind]) => `(name = ${text(name)}, durableObjectNamespace = ${text(kind)})`,
        ),
        ...Object.entries(bindings).map(
          ([name, value]) => `(name = ${text(name)}, text = ${text(value)})`,
        ),
      ])}
    ],
);
`;
}

async function answers(port, child) {
  const end = Date.now() + START_MS;
  while (Date.now() < end) {
    if (child.exitCode !== null) throw new Error(`workerd ended with ${child.exitCode}`);
    try {
      await fetch(`http://127.0.0.1:${port}/_selvedge/tag.js`, { method: "HEAD" });
      return;
    } catch {
      await sleep(50);
    }
  }
  throw new Error("workerd does not answer");
}

/**
 * Starts a worker. `modules` are `{name, kind, bytes}` with workerd's kinds, `objects` binding
 * names and classes, `bindings` texts. The answer: `{url, cpuMs, stop}`.
 */
export async function serve(folder, { modules, objects, bindings = {} }) {
  const disk = join(folder, "objects");
  mkdirSync(disk, { recursive: true });
  for (const { name, bytes } of modules) writeFileSync(join(folder, name), bytes);
  const settings = readFileSync(new URL("../../wrangler.toml", import.meta.url), "utf8");
  const [, date] = settings.match(/^compatibility_date = "(.*)"$/m);
  const port = await freePort();
  const file = join(folder, "config.capnp");
  writeFileSync(file, config({ date, port, disk, modules, objects, bindings }));
  const log = openSync(join(folder, "log"), "w");
  const child = spawn(program(), ["serve", file], { stdio: ["ignore", log, log] });
  closeSync(log);
  const stop = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGTERM");
    await ended;
  };
  await answers(port, child).catch(async (error) => {
    await stop();
    throw new Error(`${error.message}; ${readFileSync(join(folder, "log"), "utf8")}`);
  });
  return { url: new URL(`http://127.0.0.1:${port}`), cpuMs: () => cpuMs(child.pid), stop };
}

/** Processor time that a process took so far, in user and kernel mode (proc(5), fields 14, 15). */
function cpuMs(pid) {
  const line = readFileSync(`/proc/${pid}/stat`, "utf8");
  // The second field is a name in brackets that may hold spaces.
  const fields = line.slice(line.lastIndexOf(")") + 2).split(" ");
  return ((Number(fields[11]) + Number(fields[12])) * 1_000) / TICKS_PER_S;
}
