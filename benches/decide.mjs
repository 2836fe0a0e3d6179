//! `cargo xtask bench decide`: decisions of Selvedge beside those of others, in fresh processes in
//! turn. Results are compared first: who disagrees is not timed. `--json` for machines,
//! `--rounds N` (5), `--counts 10,100` (10, 100, 1000, 10000). Exit code 1 where a goal is missed.

import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants } from "node:zlib";
import { ENGINES } from "./engines.mjs";
import { offers, profiles } from "./workload.mjs";
import { workspace } from "./workspace.mjs";

const path = (name) => fileURLToPath(new URL(name, import.meta.url));
const FOLDER = path("../target/bench/");
const CLI = path("../target/release/selvedge");
const option = (name, otherwise) => {
  const at = process.argv.indexOf(name);
  return at < 0 ? otherwise : process.argv[at + 1];
};
const asJson = process.argv.includes("--json");
const rounds = Number(option("--rounds", "5"));
const counts = option("--counts", "10,100,1000,10000").split(",").map(Number);
/** Beyond this many offers the slow ones take minutes and show nothing new. */
const PEER_OFFERS = 1_000;

const note = (line) => process.stderr.write(`${line}\n`);
const median = (list) => list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)];

function run(engine, count, task, file = "image") {
  const words = [path("one.mjs"), engine, String(count), `${FOLDER}${count}.${file}`, task];
  return JSON.parse(execFileSync(process.execPath, words, { encoding: "utf8" }));
}

/** Compiles the workload; how long the publishing compiler took, its own start included. */
function compile(count) {
  const source = `${FOLDER}${count}.json`;
  writeFileSync(source, JSON.stringify(workspace(offers(count), profiles(1)[0])));
  const begun = performance.now();
  execFileSync(CLI, ["image", source, `${FOLDER}${count}.image`], { stdio: "pipe" });
  return performance.now() - begun;
}

function brotli(file) {
  const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_LGWIN]: 22 };
  return brotliCompressSync(readFileSync(file), { params }).length;
}

function measure() {
  const found = { node: process.version, cores: cpus().length, rounds, publishMs: {}, engines: {} };
  mkdirSync(FOLDER, { recursive: true });
  for (const count of counts) found.publishMs[count] = compile(count);
  const entries = [];
  for (const count of counts) {
    for (const [name, { ours }] of Object.entries(ENGINES)) {
      if (count > PEER_OFFERS && !ours && name !== "bitset") continue;
      const { differ, of } = run(name, count, "check");
      note(`${name} with ${count} offers: ${differ} of ${of} answers differ`);
      if (differ === 0) entries.push({ name, count, seen: [] });
    }
  }
  for (let round = 1; round <= rounds; round++) {
    note(`round ${round} of ${rounds}`);
    for (const entry of entries) entry.seen.push(run(entry.name, entry.count, "time"));
  }
  for (const { name, count, seen } of entries) {
    found.engines[name] ??= {};
    const of = (field) => median(seen.map((one) => one[field]));
    found.engines[name][count] = { allNs: of("all"), earlyNs: of("early") };
    if (seen[0].trace !== undefined) found.engines[name][count].traceNs = of("trace");
  }
  const largest = counts.includes(1_000) ? 1_000 : counts.at(-1);
  found.cold = measureCold(largest);
  found.image = {
    offers: largest,
    bytes: statSync(`${FOLDER}${largest}.image`).size,
    brotliBytes: brotli(`${FOLDER}${largest}.image`),
  };
  return found;
}

/** Fresh processes to their first decision: from a prepared file, from an image, and GrowthBook. */
function measureCold(count) {
  const files = [`${FOLDER}${count}.image`, `${FOLDER}${count}.ready`];
  execFileSync(process.execPath, [path("../build/evaluator/prepare.mjs"), ...files]);
  const ways = { prepared: [], image: [], growthbook: [] };
  for (let round = 1; round <= Math.max(rounds, 5); round++) {
    ways.prepared.push(run("resident", count, "cold", "ready"));
    ways.image.push(run("resident", count, "cold"));
    ways.growthbook.push(run("growthbook", count, "cold"));
  }
  const seen = { offers: count };
  for (const [name, list] of Object.entries(ways)) {
    const of = (field) => median(list.map((one) => one[field]));
    seen[name] = { ms: of("ms"), allMs: of("allMs") };
  }
  return seen;
}

/** What has to hold: a name, what was seen, and the bound. */
function goals({ engines, cold, image, publishMs }) {
  const list = [];
  const ns = (name, count, field) => engines[name]?.[count]?.[field];
  const atLeast = (what, seen, bound) => list.push({ what, seen, bound, ok: seen >= bound });
  const atMost = (what, seen, bound) => list.push({ what, seen, bound, ok: seen <= bound });
  const ratio = (way, peer, count, field, bound) => {
    const [theirs, ours] = [ns(peer, count, field), ns(way, count, "allNs")];
    if (theirs === undefined || ours === undefined) return;
    const kind = field === "allNs" ? "all" : "early";
    atLeast(`${way} against ${peer}, ${kind}, ${count} offers`, theirs / ours, bound);
  };
  ratio("object", "growthbook", 1_000, "allNs", 200);
  ratio("object", "growthbook", 1_000, "earlyNs", 15);
  ratio("object", "unleash", 1_000, "earlyNs", 6);
  ratio("object", "json-logic-engine", 1_000, "earlyNs", 3);
  ratio("resident", "growthbook", 1_000, "allNs", 600);
  ratio("resident", "bitset", 1_000, "allNs", 2.5);
  ratio("resident", "json-logic-engine", 10, "allNs", 1);
  ratio("object", "growthbook", 10, "allNs", 2.5);
  const grows = (from, to, bound) => {
    const [small, large] = [ns("resident", from, "allNs"), ns("resident", to, "allNs")];
    if (small && large) atMost(`resident, from ${from} to ${to} offers`, large / small, bound);
  };
  grows(10, 1_000, 8);
  grows(1_000, 10_000, 5);
  const resident = engines.resident?.[1_000];
  if (resident) {
    const slower = resident.traceNs / resident.allNs;
    atMost("trace of all losers, 1000 offers, against the plain decision", slower, 10);
  }
  // Whatever the machine: four milliseconds, where GrowthBook took thirty.
  if (cold.offers === 1_000) {
    const { prepared, growthbook } = cold;
    const bound = 30 / 4;
    atLeast("cold against growthbook, 1000 offers", growthbook.ms / prepared.ms, bound);
    const all = growthbook.allMs / prepared.allMs;
    atLeast("cold against growthbook, 1000 offers, with all imports", all, bound);
  }
  atMost(`image of ${image.offers} offers, brotli bytes`, image.brotliBytes, 40_000);
  if (publishMs[10_000]) atMost("compile 10000 offers, ms", publishMs[10_000], 2_000);
  return list;
}

function show({ engines, cold, image }, list) {
  const heads = counts.map((count) => String(count).padStart(11)).join("");
  console.log(`nanoseconds for the first three offers of a page\n${"".padEnd(26)}${heads}`);
  for (const [name, byCount] of Object.entries(engines)) {
    for (const field of ["allNs", "earlyNs", "traceNs"]) {
      const cells = counts.map((count) => byCount[count]?.[field]);
      const isPeer = !ENGINES[name].ours && name !== "bitset";
      if (cells.every((cell) => cell === undefined) || (field === "earlyNs" && !isPeer)) continue;
      const shown = cells.map((cell) => (cell === undefined ? "-" : cell.toFixed(0)).padStart(11));
      console.log(`${name} ${field.slice(0, -2)}`.padEnd(26) + shown.join(""));
    }
  }
  for (const name of ["prepared", "image", "growthbook"]) {
    const { ms, allMs } = cold[name];
    console.log(`cold, ${name}: ${ms.toFixed(2)} ms, with imports ${allMs.toFixed(2)} ms`);
  }
  console.log(`image ${image.brotliBytes} bytes in brotli\n`);
  for (const { what, seen, bound, ok } of list) {
    console.log(`${ok ? "holds " : "MISSED"} ${what}: ${seen.toFixed(2)}, goal ${bound}`);
  }
}

const found = measure();
const list = goals(found);
if (asJson) console.log(JSON.stringify({ ...found, goals: list }));
else show(found, list);
process.exitCode = list.every((goal) => goal.ok) ? 0 : 1;
