//! From a file to a core that holds its workspace. It must never decide anything.

import type { Shape } from "./pack";

/** The format of the files that this release reads. */
const FORMAT = 1;
/** Bytes of the length that a file begins with. */
export const LENGTH_BYTES = 4;
/** Bytes of Wasm's own unit of memory. */
export const WASM_PAGE = 65_536;
/** The room for profiles that a core begins with. */
export const FIRST_INPUT_BYTES = 16 * 1024;

export const utf8 = new TextDecoder();

/** The functions of the core, as `js/evaluator/src` has them. */
export interface Core {
  memory: WebAssembly.Memory;
  /** Room for an image of so many bytes: where it begins, or 0. */
  image(bytes: number): number;
  /** Takes in the image that stands there; 0 where it is none. */
  load(bytes: number): number;
  /** Room for so many bytes of a packed profile: where it begins, or 0. */
  input(bytes: number): number;
  /** The segment of a slot that the text in these bytes of the input lies in; 0 of what is none. */
  segment(slot: number, from: number, until: number): number;
  /** Holds the profile that stands in the input; 0 where it is none. */
  hold(profile: number, bytes: number): number;
  /** Decides every placement: where the answer's 32-bit words begin, or 0. */
  choose(profile: number, nowMs: number, trace: number): number;
  /** Where the key of an offer stands. */
  key(offer: number): number;
  /** How many bytes it has. */
  key_len(offer: number): number;
  /** The number of an offer's experiment plus one; 0 where it is in none. */
  experiment(offer: number): number;
}

/** What stands before the image: names that the core has no use for. */
export interface Names extends Shape {
  format: number;
  version: string;
  placements: string[];
  /** Of each experiment. */
  variants: string[][];
  /** The words of reasons. */
  codes: string[];
  /** Where `prepare.mjs` made the file: what follows is memory in place of an image. */
  memory?: Prepared;
}

/** The memory of a core that has read its image. */
interface Prepared {
  /** Which core it was. */
  build: string;
  /** How much memory it had, in units of 64 KB. */
  pages: number;
  /** Where profiles go, and how many bytes they may take there. */
  input: [from: number, bytes: number];
  /** What follows, piece after piece: where each begins, and how many bytes it has. */
  pieces: number[];
}

/** A core that holds a workspace. */
export interface Opened {
  core: Core;
  names: Names;
  /** Where profiles go: all of the room that there is. */
  input: Uint8Array;
}

/** The build of the core that a module is; empty where it does not say. */
export function buildOf(module: WebAssembly.Module): string {
  return utf8.decode(WebAssembly.Module.customSections(module, "build")[0]);
}

/** Takes in what `selvedge image` or `prepare.mjs` made of a workspace. */
export function open(module: WebAssembly.Module, file: Uint8Array): Opened {
  const core = new WebAssembly.Instance(module).exports as unknown as Core;
  const { memory } = core;
  const { buffer, byteOffset, byteLength } = file;
  try {
    const length = new DataView(buffer, byteOffset, byteLength).getUint32(0, true);
    const text = new Uint8Array(buffer, byteOffset + LENGTH_BYTES, length);
    const names: Names = JSON.parse(utf8.decode(text));
    const end = byteOffset + byteLength;
    let from = byteOffset + LENGTH_BYTES + length;
    if (names.format !== FORMAT) throw new Error("it is of another format: make it anew");
    const prepared = names.memory;
    if (prepared === undefined) {
      const bytes = end - from;
      const room = core.image(bytes);
      if (room === 0) throw new Error("it is too large");
      new Uint8Array(memory.buffer).set(new Uint8Array(buffer, from, bytes), room);
      if (core.load(bytes) === 0) throw new Error("it is damaged, or of another release");
      // Where the image stood, unless that is too small for them.
      const place = core.input(FIRST_INPUT_BYTES);
      const most = Math.max(bytes, FIRST_INPUT_BYTES);
      return { core, names, input: new Uint8Array(memory.buffer, place, most) };
    }
    if (buildOf(module) !== prepared.build) {
      throw new Error("it was prepared for another build of the core: prepare it anew");
    }
    memory.grow(prepared.pages - memory.buffer.byteLength / WASM_PAGE);
    const all = new Uint8Array(memory.buffer);
    const { pieces, input } = prepared;
    for (let at = 0; at < pieces.length; at += 2) {
      const piece = new Uint8Array(buffer, from, pieces[at + 1]);
      all.set(piece, pieces[at]);
      from += piece.length;
    }
    if (from !== end) throw new Error("it is longer than it says");
    return { core, names, input: all.subarray(input[0], input[0] + input[1]) };
  } catch (cause) {
    const why = cause instanceof Error ? `: ${cause.message}` : "";
    throw new Error(`these bytes are no workspace image of this release${why}`, { cause });
  }
}
