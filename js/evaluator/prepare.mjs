//! `node prepare.mjs IMAGE OUT`: reads an image once, and writes what the core made of it in its
//! memory, so that a process that starts has nothing to read. It must never decide anything, so
//! that nothing of a person can stand in what it writes.

import { readFileSync, realpathSync, writeFileSync } from "node:fs";
import { argv } from "node:process";
import { fileURLToPath } from "node:url";

const LENGTH_BYTES = 4;
/** Bytes of Wasm's own unit of memory. */
const WASM_PAGE = 65_536;
/** What is equal to a fresh core's is left out, by so many bytes. */
const PIECE = 4_096;
/** The room for profiles that an evaluator begins with. */
const INPUT_BYTES = 16_384;

/** The file for a core (its bytes, `core_bg.wasm`) and an image that `selvedge image` made. */
export function prepare(wasm, image) {
  const module = new WebAssembly.Module(wasm);
  const fresh = new WebAssembly.Instance(module).exports;
  const core = new WebAssembly.Instance(module).exports;
  const [build] = WebAssembly.Module.customSections(module, "build");
  if (build === undefined) throw new Error("this core does not say which build it is");
  const { names, input } = taken(core, image);
  const before = Buffer.from(fresh.memory.buffer);
  const after = Buffer.from(core.memory.buffer);
  const pieces = differing(before, after);
  names.memory = {
    build: new TextDecoder().decode(build),
    pages: after.length / WASM_PAGE,
    input,
    pieces: pieces.flat(),
  };
  const head = Buffer.from(JSON.stringify(names));
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32LE(head.length);
  const contents = pieces.map(([from, bytes]) => after.subarray(from, from + bytes));
  return Buffer.concat([length, head, ...contents]);
}

/** Has the core read an image; its names, and where profiles go from then on. */
function taken(core, file) {
  const bytes = Buffer.from(file);
  try {
    const from = LENGTH_BYTES + bytes.readUInt32LE();
    const names = JSON.parse(bytes.subarray(LENGTH_BYTES, from).toString());
    const image = bytes.subarray(from);
    const room = names.memory === undefined ? core.image(image.length) : 0;
    if (room !== 0) {
      new Uint8Array(core.memory.buffer).set(image, room);
      if (core.load(image.length) !== 0) {
        // Where the image stands, profiles go; zeros are left out.
        new Uint8Array(core.memory.buffer).fill(0, room, room + image.length);
        return { names, input: [core.input(INPUT_BYTES), INPUT_BYTES] };
      }
    }
  } catch (cause) {
    throw new Error("this is no workspace image of this release", { cause });
  }
  throw new Error("this is no workspace image of this release");
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
