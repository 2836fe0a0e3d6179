//! One engine, one number of offers, one round, in a process of its own: the parent reads one line
//! of JSON. `node one.mjs ENGINE COUNT IMAGE [check|cold]`; cold, IMAGE may be a prepared one.

import { readFileSync } from "node:fs";
import { ENGINES } from "./engines.mjs";
import { topThree } from "./reference.mjs";
import { offers, profiles } from "./workload.mjs";

const [name, count, image, task = "time"] = process.argv.slice(2);
const WARM_MS = 300;
const TIMED_MS = 500;
const PROFILES = 500;
const CHECKED = 200;

/** Nanoseconds of a call, over profiles in turn. */
function time(call, contexts) {
  const run = (until) => {
    let calls = 0;
    let used = 0;
    const begun = performance.now();
    while (performance.now() < begun + until) {
      for (let at = 0; at < 20; at++) used += call(contexts[calls++ % contexts.length]).length;
    }
    return { ns: ((performance.now() - begun) * 1e6) / calls, used };
  };
  run(WARM_MS);
  return run(TIMED_MS).ns;
}

async function check() {
  const engine = ENGINES[name];
  const all = offers(Number(count));
  // By another hash other profiles are reached: then who is reached is left out.
  const compared = engine.ownHash ? all.map((offer) => ({ ...offer, percent: 100 })) : all;
  const made = await engine.make(compared, image);
  let differ = 0;
  for (const profile of profiles(CHECKED)) {
    const wanted = JSON.stringify(topThree(compared, profile));
    const context = made.prepare(profile);
    if (JSON.stringify(made.all(context)) !== wanted) differ += 1;
    else if (JSON.stringify(made.early(context)) !== wanted) differ += 1;
  }
  return { differ, of: CHECKED };
}

async function timed() {
  const { make, ours } = ENGINES[name];
  const made = await make(offers(Number(count)), image);
  const contexts = profiles(PROFILES).map((profile) => made.prepare(profile));
  const all = time(made.all, contexts);
  const early = ours || name === "bitset" ? all : time(made.early, contexts);
  return { all, early, ...(made.trace && { trace: time(made.trace, contexts) }) };
}

/** From nothing to the first decision; what the process itself took before is not in it. `ms`
 * begins when modules are imported and files read, `allMs` before. */
async function cold() {
  const build = new URL("../build/evaluator/", import.meta.url);
  const [{ id, ...traits }] = profiles(1);
  const asked = performance.now();
  const { Evaluator } = await import(new URL("evaluator.mjs", build));
  const wasm = readFileSync(new URL("core_bg.wasm", build));
  const bytes = readFileSync(image);
  const begun = performance.now();
  const evaluator = new Evaluator(wasm, bytes);
  evaluator.decide({ unit: id, traits, purposes: ["store", "profile", "personalise"] }, 0);
  const done = performance.now();
  return { ms: done - begun, allMs: done - asked };
}

/** The same of GrowthBook, from its features to all of them evaluated once. */
async function coldGrowthBook() {
  const all = offers(Number(count));
  const [profile] = profiles(1);
  const asked = performance.now();
  await import("@growthbook/growthbook");
  const begun = performance.now();
  const made = await ENGINES.growthbook.make(all, image);
  made.all(made.prepare(profile));
  const done = performance.now();
  return { ms: done - begun, allMs: done - asked };
}

const tasks = { check, time: timed, cold: name === "growthbook" ? coldGrowthBook : cold };
console.log(JSON.stringify(await tasks[task]()));
process.exit(0);
