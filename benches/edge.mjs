//! `cargo xtask bench edge`: the edge in `workerd serve` itself, beside a minimal worker in another
//! one, in turn. What the edge decides is compared with a reference first. `--json` for machines,
//! `--rounds N` (5), `--seconds N` (4) for one measurement. Exit code 1 where a goal is missed.

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { ask, firstBytes, saturate, steady } from "./edge/load.mjs";
import { open } from "./edge/site.mjs";
import { serve } from "./edge/workerd.mjs";

const OFFERS = 1_000;
const VISITORS = 32;
const STEADY_PER_S = 500;
const PAGE_TURNS = 200;
/** About what a profile of the workload takes in its object. */
const ROW_BYTES = 2_048;

const option = (name, otherwise) => {
  const at = process.argv.indexOf(name);
  return at < 0 ? otherwise : process.argv[at + 1];
};
const asJson = process.argv.includes("--json");
const rounds = Number(option("--rounds", "5"));
const seconds = Number(option("--seconds", "4"));
const note = (line) => process.stderr.write(`${line}\n`);
const median = (list) => list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)];

function needWrk() {
  try {
    execFileSync("wrk", ["--version"], { stdio: "ignore" });
  } catch (error) {
    // Asked for its version it ends with 1.
    if (error.code !== "ENOENT") return;
    throw new Error("wrk is missing, which makes the load; install it (Debian's package `wrk`)");
  }
}

async function startMinimal(folder, visitors) {
  const bytes = readFileSync(new URL("edge/minimal.mjs", import.meta.url));
  const minimal = await serve(folder, {
    modules: [{ name: "minimal.mjs", kind: "esModule", bytes }],
    objects: { ROW: "Row" },
  });
  for (const visitor of visitors) {
    const headers = { cookie: visitor.cookie };
    const body = Buffer.alloc(ROW_BYTES, 1);
    await ask(minimal.url, { method: "PUT", path: "/row", headers, body });
  }
  return minimal;
}

/** Processor microseconds that one request takes of a worker at the fixed rate. */
async function cpuUs({ url, cpuMs }, requests) {
  const before = cpuMs();
  const count = await steady(url, requests, STEADY_PER_S, seconds);
  return ((cpuMs() - before) * 1_000) / count;
}

async function measure(folders) {
  const { edge, visitors, stop } = await open(folders[0], { offers: OFFERS, visitors: VISITORS });
  let minimal;
  try {
    minimal = await startMinimal(folders[1], visitors);
    const resident = visitors.map((visitor) => visitor.decide());
    const read = visitors.map((visitor) => visitor.decide({ fresh: true }));
    const echo = resident.map((one) => ({ ...one, path: "/echo" }));
    const fields = resident.map((one) => ({ ...one, path: "/fields" }));
    const row = resident.map((one) => ({ ...one, path: "/row" }));
    const loads = {
      echo: [minimal.url, folders[1], echo],
      fields: [minimal.url, folders[1], fields],
      resident: [edge.url, folders[0], resident],
      row: [minimal.url, folders[1], row],
      object: [edge.url, folders[0], read],
    };
    const seen = { cpu: {}, pages: [[], []] };
    for (const name of Object.keys(loads)) {
      seen[name] = [];
      seen.cpu[name] = [];
    }
    for (let round = 1; round <= rounds; round++) {
      note(`round ${round} of ${rounds}`);
      for (const [name, [url, folder, requests]] of Object.entries(loads)) {
        seen[name].push(await saturate(folder, url, requests, seconds));
      }
      seen.cpu.echo.push(await cpuUs(minimal, echo));
      seen.cpu.fields.push(await cpuUs(minimal, fields));
      seen.cpu.resident.push(await cpuUs(edge, resident));
      seen.cpu.row.push(await cpuUs(minimal, row));
      seen.cpu.object.push(await cpuUs(edge, read));
      const pages = [visitors[0].page({ personal: false }), visitors[0].page({ personal: true })];
      const bytes = await firstBytes(edge.url, pages, PAGE_TURNS);
      bytes.forEach((list, at) => {
        seen.pages[at].push(...list);
      });
    }
    return seen;
  } finally {
    await minimal?.stop();
    await stop();
  }
}

function summary(seen) {
  const found = {
    node: process.version,
    cores: cpus().length,
    rounds,
    seconds,
    load: {},
    cpuUs: {},
  };
  for (const name of Object.keys(seen.cpu)) {
    const of = (field) => median(seen[name].map((one) => one[field]));
    found.load[name] = { perS: of("perS"), p50Us: of("p50Us"), p99Us: of("p99Us") };
  }
  for (const [name, list] of Object.entries(seen.cpu)) found.cpuUs[name] = median(list);
  const [passed, personal] = seen.pages.map(median);
  return { ...found, firstByteMs: { passed, personal } };
}

/** What has to hold: a name, what was seen, and the bound. */
function goals({ load, cpuUs, firstByteMs }) {
  const atLeast = (what, value, bound) => ({ what, seen: value, bound, ok: value >= bound });
  const atMost = (what, value, bound) => ({ what, seen: value, bound, ok: value <= bound });
  const perS = (name) => load[name].perS;
  const later = firstByteMs.personal - firstByteMs.passed;
  const more = cpuUs.resident - cpuUs.echo;
  return [
    atLeast("resident against an echo, requests per second", perS("resident") / perS("echo"), 0.85),
    atLeast("object against one row, requests per second", perS("object") / perS("row"), 0.8),
    atMost(`processor time beyond an echo at ${STEADY_PER_S} per second, us`, more, 40),
    atMost("first byte of a personal page after one passed through, ms", later, 1),
  ];
}

function show({ load, cpuUs, firstByteMs }, list) {
  console.log("             requests/s   p50 us   p99 us   processor us a request");
  for (const [name, { perS, p50Us, p99Us }] of Object.entries(load)) {
    const cells = [perS.toFixed(0), p50Us, p99Us].map((cell) => String(cell).padStart(9));
    console.log(`${name.padEnd(14)}${cells.join("")}${cpuUs[name].toFixed(0).padStart(12)}`);
  }
  const { passed, personal } = firstByteMs;
  console.log(`first byte: passed ${passed.toFixed(2)} ms, personal ${personal.toFixed(2)} ms\n`);
  for (const { what, seen, bound, ok } of list) {
    console.log(`${ok ? "holds " : "MISSED"} ${what}: ${seen.toFixed(2)}, goal ${bound}`);
  }
}

needWrk();
const folders = ["edge", "minimal"].map((name) => mkdtempSync(join(tmpdir(), `selvedge-${name}-`)));
try {
  const found = summary(await measure(folders));
  const list = goals(found);
  if (asJson) console.log(JSON.stringify({ ...found, goals: list }));
  else show(found, list);
  process.exitCode = list.every((goal) => goal.ok) ? 0 : 1;
} finally {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
}
