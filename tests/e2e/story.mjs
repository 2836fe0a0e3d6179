//! Plays the story of the design, step by step, against a demo that runs, and says what each step
//! proved and how long it took.
//!
//!     node tests/e2e/story.mjs --demo .selvedge/demo.json --shots FOLDER [--pictures FOLDER]
//!
//! `--shots` saves a picture of every step, `--pictures` the two that the README shows. The demo
//! must be a fresh one: the story ends with the erasure of its heroine, who never returns.

import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { launchBrowser } from "./browser.mjs";
import { readDemo } from "./demo.mjs";
import { Step, Unproven } from "./proof.mjs";
import * as visit from "./steps/1-visit.mjs";
import * as login from "./steps/2-login.mjs";
import * as call from "./steps/3-call.mjs";
import * as comeBack from "./steps/4-return.mjs";
import * as basket from "./steps/5-basket.mjs";
import * as withdrawal from "./steps/6-withdrawal.mjs";
import * as erasure from "./steps/7-erasure.mjs";

export const STEPS = [visit, login, call, comeBack, basket, withdrawal, erasure];

/** What the README shows, and the most that a picture may weigh in the checkout. */
const README_PICTURES = { "4-return": "extension", "4-panel": "panel" };
const NAMES = ["visit", "login", "call", "return", "basket", "withdrawal", "erasure"];
const PICTURE_BYTES = 200 * 1024;

/**
 * Yields `{title, proven, timings, pictures, ms}` per step, pictures being `{name, bytes}`. A claim
 * that does not hold is thrown as `Unproven`, with the step in `step`.
 */
export async function* playStory(demo) {
  const browser = await launchBrowser();
  try {
    const story = { demo, browser };
    for (const [index, { title, play }] of STEPS.entries()) {
      const step = new Step(title);
      const began = performance.now();
      try {
        await play(story, step);
      } catch (error) {
        error.step = step;
        throw error;
      }
      const ms = Math.round(performance.now() - began);
      yield {
        title,
        proven: step.proven,
        timings: step.timings,
        ms,
        pictures: await pictures(step, index),
      };
    }
  } finally {
    await browser.close();
  }
}

async function pictures(step, index) {
  const name = (what) => `${index + 1}-${what}`;
  const own = step.pictures.map((picture) => ({ ...picture, name: name(picture.name) }));
  return [{ name: name(NAMES[index]), bytes: await step.page.screenshot() }, ...own];
}

function save(folder, name, bytes) {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${name}.png`), bytes);
}

function saveForReadme(folder, { name, bytes }) {
  const shownAs = README_PICTURES[name];
  if (!shownAs) return;
  if (bytes.length > PICTURE_BYTES) {
    throw new Error(`the picture \`${shownAs}\` has ${bytes.length} bytes of ${PICTURE_BYTES}`);
  }
  save(folder, shownAs, bytes);
}

function print(nth, { title, proven, timings, ms }) {
  console.log(`\n${nth}. ${title}`);
  for (const sentence of proven) console.log(`   ✓ ${sentence}`);
  for (const { name, ms: took } of timings) console.log(`   ⏱ ${name}: ${took} ms`);
  console.log(`   (${(ms / 1_000).toFixed(1)} s)`);
}

function printFailure(nth, error) {
  const { step } = error;
  console.log(`\n${nth}. ${step?.title ?? "The story"}`);
  for (const sentence of step?.proven ?? []) console.log(`   ✓ ${sentence}`);
  const isUnproven = error instanceof Unproven;
  console.log(`   ✗ ${isUnproven ? error.message : "the step could not be played"}`);
  const seen = isUnproven ? error.seen : error.stack;
  if (seen) console.log(String(seen).replace(/^/gm, "     "));
}

function readOptions() {
  const options = {
    demo: { type: "string" },
    shots: { type: "string" },
    pictures: { type: "string" },
  };
  const { values } = parseArgs({ options });
  const { SELVEDGE_DEMO, SELVEDGE_PICTURES } = process.env;
  return {
    demo: values.demo ?? SELVEDGE_DEMO ?? ".selvedge/demo.json",
    shots: values.shots ?? SELVEDGE_PICTURES ?? null,
    pictures: values.pictures ?? null,
  };
}

async function main() {
  const options = readOptions();
  let demo;
  try {
    demo = readDemo(resolve(options.demo));
  } catch {
    console.error(`no demo answers to \`${options.demo}\`; start one with \`cargo xtask demo\``);
    return 1;
  }
  let nth = 0;
  try {
    for await (const step of playStory(demo)) {
      nth += 1;
      print(nth, step);
      for (const picture of step.pictures) {
        if (options.shots) save(options.shots, picture.name, picture.bytes);
        if (options.pictures) saveForReadme(options.pictures, picture);
      }
    }
  } catch (error) {
    printFailure(nth + 1, error);
    return 1;
  }
  console.log(`\nAll ${STEPS.length} steps hold.`);
  return 0;
}

if (process.argv[1] && import.meta.url === pathToFileURL(resolve(process.argv[1])).href) {
  process.exitCode = await main();
}
