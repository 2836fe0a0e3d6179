//! `node prepare.mjs IMAGE OUT`: reads an image once, and writes what the core made of it in its
//! memory, so that a process that starts has nothing to read. It must never decide anything, so
//! that nothing of a person can stand in what it writes.

import { readFileSync, realpathSync, writeFileSync } from "node:fs";
import { argv } from "node:process";
import { fileURLToPath } from "node:url";
import { buildOf, LENGTH_BYTES, open, WASM_PAGE } from "./open";

/** What is equal to a fresh core's is left out, by so many bytes. */
const PIECE = 4_096;

/** The file for a core (its bytes, `core_bg.wasm`) and an image that `selvedge image` made. */
export function prepare(wasm, image) {
  const module = new WebAssembly.Module(wasm);
  const build = buildOf(module);
  if (build === "") throw new Error("this core does not say which build it is");
  const { core, names, input } = open(module, image);
  if (names.memory !== undefined) throw new Error("this file is prepared already");
  // What is left of the image stands where profiles go; zeros are left out.
  input.fill(0);
  const fresh = new WebAssembly.Instance(module).exports;
  const after = Buffer.from(core.memory.buffer);
  const pieces = differing(Buffer.from(fresh.memory.buffer), after);
  names.memory = {
    build,
    pages: after.length / WASM_PAGE,
    input: [input.byteOffset, input.length],
    pieces: pieces.flat(),
  };
  const head = Buffer.from(JSON.stringify(names));
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32LE(head.length);
  const contents = pieces.map(([from, bytes]) => after.subarray(from, from + bytes));
  return Buffer.concat([length, head, ...contents]);
}

/** `[from, bytes]` of what is not as it was; memory beyond `before` was zeros. */
function differing(before, after) {
  const pieces = [];
  const zeros = Buffer.alloc(PIECE);
  for (let from = 0; from < after.length; from += PIECE) {
    const was = from < before.length ? before.subarray(from, from + PIECE) : zeros;
    if (was.equals(after.subarray(from, from + PIECE))) continue;
    const last = pieces.at(-1);
    if (last !== undefined && last[0] + last[1] === from) last[1] += PIECE;
    else pieces.push([from, PIECE]);
  }
  return pieces;
}

if (argv[1] !== undefined && realpathSync(argv[1]) === fileURLToPath(import.meta.url)) {
  const [, , image, out, ...more] = argv;
  try {
    if (out === undefined || more.length > 0) throw new Error("say IMAGE and OUT");
    const wasm = readFileSync(new URL("core_bg.wasm", import.meta.url));
    writeFileSync(out, prepare(wasm, readFileSync(image)));
  } catch (error) {
    console.error(`error: cannot prepare ${image ?? "an image"}: ${error.message}`);
    process.exitCode = 1;
  }
}
