//! Files that hold a core's memory: an evaluator that begins with one is as one that read the
//! image, and what is no such file of this build is refused.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync, symlinkSync, writeFileSync } from "node:fs";
import test from "node:test";
import { fileURLToPath } from "node:url";
import { topThree } from "../../benches/reference.mjs";
import { offers, profiles } from "../../benches/workload.mjs";
import { workspace } from "../../benches/workspace.mjs";
import { Evaluator } from "../../build/evaluator/evaluator.mjs";
import { prepare } from "../../build/evaluator/prepare.mjs";
import { compile, contextOf, inFolder, NOW, PURPOSES, wasm } from "./compile.mjs";

const PROGRAM = fileURLToPath(new URL("../../build/evaluator/prepare.mjs", import.meta.url));
const run = (...words) => spawnSync(process.execPath, [PROGRAM, ...words], { encoding: "utf8" });

/** The same file with another head. */
function changed(file, change) {
  const from = 4 + file.readUInt32LE(0);
  const names = JSON.parse(file.subarray(4, from).toString());
  change(names);
  const head = Buffer.from(JSON.stringify(names));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(head.length);
  return Buffer.concat([length, head, file.subarray(from)]);
}

test("what begins with a prepared file decides and explains as the reference does", () => {
  for (const count of [0, 1, 10, 1_500]) {
    const all = offers(count);
    const crowd = profiles(100);
    const image = compile(workspace(all, crowd[0]));
    const [plain, ready] = [image, prepare(wasm, image)].map((file) => new Evaluator(wasm, file));
    assert.equal(ready.version, plain.version);
    // First without an index, then with one.
    for (const profile of crowd) {
      const context = contextOf(profile);
      assert.deepEqual(ready.decide(context, NOW), plain.decide(context, NOW));
      assert.deepEqual(ready.winners(0, NOW), topThree(all, profile));
      assert.deepEqual(ready.trace(0, NOW), plain.trace(0, NOW));
      assert.deepEqual(ready.pack(context), plain.pack(context));
    }
    const long = { ...contextOf(crowd[0]), unit: "x".repeat(100_000) };
    assert.deepEqual(ready.decide(long, NOW), plain.decide(long, NOW));
    assert.deepEqual(
      ready.decide(contextOf(crowd[1]), NOW),
      plain.decide(contextOf(crowd[1]), NOW),
    );
    const longer = { ...long, unit: "x".repeat(2_000_000) };
    assert.throws(() => ready.decide(longer, NOW), /too large/);
  }
});

test("a file is the same whenever it is made, holds no profile, and is taken by many", () => {
  const image = compile(workspace(offers(50), profiles(1)[0]));
  const file = prepare(wasm, image);
  assert.deepEqual(prepare(wasm, image), file);
  const module = new WebAssembly.Module(wasm);
  const [one, other] = [new Evaluator(module, file), new Evaluator(module, file)];
  for (const evaluator of [one, other]) {
    assert.throws(() => evaluator.winners(0, NOW), /no profile is held under 0/);
  }
  one.hold(1, { traits: {}, purposes: PURPOSES });
  assert.throws(() => other.winners(1, NOW), /no profile is held under 1/);
});

test("what is left of the image is not in the file", () => {
  const image = compile(workspace(offers(500), profiles(1)[0]));
  const file = prepare(wasm, image);
  const names = JSON.parse(file.subarray(4, 4 + file.readUInt32LE(0)).toString());
  const { input, pieces } = names.memory;
  assert.equal(input[1], image.length - 4 - image.readUInt32LE(0));
  const ends = input[0] + input[1];
  for (let at = 0; at < pieces.length; at += 2) {
    const shared = Math.min(ends, pieces[at] + pieces[at + 1]) - Math.max(input[0], pieces[at]);
    // Memory is left out by 4 KB: at its ends other things may stand.
    assert.ok(shared < 4_096, `${shared} bytes of it`);
  }
});

test("what is no prepared file of this build is refused", () => {
  const image = compile(workspace(offers(50), profiles(1)[0]));
  const file = prepare(wasm, image);
  const with_ = (change) => changed(file, ({ memory }) => change(memory));
  const none = [
    [file.subarray(0, file.length - 1), /no workspace image/],
    [file.subarray(0, 4 + file.readUInt32LE(0)), /no workspace image/],
    [Buffer.concat([file, Buffer.from("x")]), /no workspace image/],
    [changed(file, (names) => Object.assign(names, { format: 2 })), /no workspace image/],
    [changed(file, (names) => Object.assign(names, { memory: 7 })), /another build/],
    [with_((memory) => Object.assign(memory, { build: "0".repeat(64) })), /another build/],
    [with_((memory) => Object.assign(memory, { pages: 1 })), /no workspace image/],
    [with_((memory) => Object.assign(memory, { pages: 1e9 })), /no workspace image/],
    [with_((memory) => memory.pieces.push(memory.pages * 65_536, 4_096)), /no workspace image/],
    [with_((memory) => memory.pieces.push(-4_096, 4_096)), /no workspace image/],
    [with_((memory) => Object.assign(memory, { pieces: [] })), /no workspace image/],
    [with_((memory) => Object.assign(memory, { pieces: null })), /no workspace image/],
    [with_((memory) => Object.assign(memory, { input: null })), /no workspace image/],
  ];
  for (const [at, [bytes, said]] of none.entries()) {
    assert.throws(() => new Evaluator(wasm, bytes), said, `case ${at}`);
  }
  assert.ok(
    new Evaluator(
      wasm,
      changed(file, () => {}),
    ),
  );
  // The last byte of a core's bytes belongs to what it says of itself.
  const other = Buffer.from(wasm);
  other[other.length - 1] ^= 1;
  assert.throws(() => new Evaluator(other, file), /prepared for another build of the core/);
  const silent = wasm.subarray(0, wasm.lastIndexOf("\u0005build") - 2);
  assert.throws(() => new Evaluator(silent, file), /prepared for another build of the core/);
  assert.throws(() => prepare(silent, image), /does not say which build it is/);
});

test("the program writes the file, and says what is wrong", () => {
  const image = compile(workspace(offers(10), profiles(1)[0]));
  inFolder((path) => {
    writeFileSync(path("image"), image);
    const made = run(path("image"), path("ready"));
    assert.equal(made.status, 0, made.stderr);
    assert.deepEqual(readFileSync(path("ready")), prepare(wasm, image));
    // However it is called.
    symlinkSync(PROGRAM, path("prepare.mjs"));
    const words = [path("prepare.mjs"), path("image"), path("again")];
    assert.equal(spawnSync(process.execPath, words).status, 0);
    assert.deepEqual(readFileSync(path("again")), readFileSync(path("ready")));
    writeFileSync(path("broken"), image.subarray(0, image.length - 1));
    for (const [words, said] of [
      [[], /cannot prepare an image: say IMAGE and OUT/],
      [[path("image")], /say IMAGE and OUT/],
      [[path("image"), path("out"), "more"], /say IMAGE and OUT/],
      [[path("none"), path("out")], /no such file/],
      [[path("broken"), path("out")], /no workspace image of this release/],
      [[path("ready"), path("out")], /prepared already/],
    ]) {
      const { status, stderr } = run(...words);
      assert.equal(status, 1);
      assert.match(stderr, said);
      assert.equal(stderr.trim().split("\n").length, 1, stderr);
    }
    assert.throws(() => readFileSync(path("out")), /no such file/);
  });
});
