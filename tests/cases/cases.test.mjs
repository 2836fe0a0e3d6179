//! Many made-up decisions: compared with naive ones natively, then asked again of the core as Wasm,
//! whose answers have to be the same to the byte. `CASES` sets how many, `CASES_SEED` where they
//! begin.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const ROOT = new URL("../../", import.meta.url);
const WANTED = Number(process.env.CASES ?? 100_000);
const SEED = process.env.CASES_SEED ?? "1";
const DIGEST_BYTES = 32;
const core = await import(new URL("build/replay/core.js", ROOT).href);
core.initSync({ module: readFileSync(new URL("build/replay/core_bg.wasm", ROOT)) });

const digest = (bytes) => createHash("sha256").update(bytes).digest();

/** The blocks of a stream; `tests/cases/blocks.rs` says what is in them. */
async function* blocks(stream) {
  let held = Buffer.alloc(0);
  for await (const chunk of stream) {
    held = Buffer.concat([held, chunk]);
    for (;;) {
      const length = held.length < 4 ? Number.POSITIVE_INFINITY : held.readUInt32LE(0);
      const end = 4 + length + 4 + DIGEST_BYTES;
      if (held.length < end) break;
      const questions = held.subarray(4, 4 + length);
      const count = held.readUInt32LE(4 + length);
      yield { questions, count, wanted: held.subarray(end - DIGEST_BYTES, end) };
      held = held.subarray(end);
    }
  }
  assert.equal(held.length, 0, "the last block is whole");
}

test("decisions are the naive ones, and the same bytes in Wasm", async () => {
  const maker = spawn(process.env.SELVEDGE_BLOCKS, [String(WANTED), SEED], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  maker.stderr.on("data", (text) => {
    said += text;
  });
  const ended = new Promise((resolve) => maker.on("close", resolve));
  let [asked, differ, changed] = [0, 0, false];
  for await (const { questions, count, wanted } of blocks(maker.stdout)) {
    asked += count;
    if (!digest(core.runCases(questions)).equals(wanted)) differ += 1;
    if (!changed) {
      // The comparison bites: other bytes have another digest.
      const answers = core.runCases(questions);
      answers[answers.length >> 1] ^= 1;
      assert.ok(!digest(answers).equals(wanted));
      changed = true;
    }
  }
  assert.equal(await ended, 0, said);
  console.log(said.trim());
  assert.equal(differ, 0, `${differ} blocks differ in Wasm`);
  assert.ok(asked >= WANTED, `${asked} of ${WANTED} were asked`);
});

test("bytes that are no questions are refused", () => {
  assert.throws(() => core.runCases(new Uint8Array([1, 2, 3])), /bad_cases|bad_image/);
});
