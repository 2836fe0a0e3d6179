//! The binding of the core: bytes in, texts out, through one buffer in its memory. `js/wasm` is the
//! other side. It must never decide anything, nor know what the bytes mean that it hands in.

import type { ContentField, Decision } from "./types.gen.ts";

/** What `js/wasm` exports. */
interface Core {
  memory: WebAssembly.Memory;
  room(length: number): number;
  load(): number;
  set_slice(): number;
  decide(now: number, trace: boolean): number;
}

let core: Core;

/** Starts the core. */
export async function start(bytes: ArrayBuffer): Promise<void> {
  const { exports } = await WebAssembly.instantiate(await WebAssembly.compile(bytes));
  core = exports as unknown as Core;
}

/** The buffer, as long as asked for. */
function room(length: number): Uint8Array {
  // Before the view: it may make the memory grow, which takes all views away.
  const at = core.room(length);
  return new Uint8Array(core.memory.buffer, at, length);
}

function give(bytes: Uint8Array): void {
  room(bytes.length).set(bytes);
}

/** Takes a workspace image in; 0 if it cannot be read. */
export function load(image: Uint8Array): number {
  give(image);
  return core.load();
}

/** Takes a slice in: the time at which it expires, or 0 where it does not fit the image. */
export function setSlice(bytes: Uint8Array): number {
  give(bytes);
  return core.set_slice();
}

/** Decides; null where only the edge can. What is asked are texts without NUL: the placement, the
 *  offers that the page shows already, an empty one, names and values of the request's fields. */
export function decide(asked: string[], now: number, trace: boolean): Decision | null {
  give(new TextEncoder().encode(asked.join("\0")));
  const bytes = room(core.decide(now, trace));
  if (!bytes.length) return null;
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  let at = 0;
  // Each text ends at a byte that UTF-8 does not have.
  const next = () => {
    const from = at;
    const to = bytes.indexOf(255, from);
    at = to + 1;
    return decoder.decode(bytes.subarray(from, to));
  };
  const said: Decision = {
    placement: asked[0] ?? "",
    offer: next() || null,
    variant: next() || null,
    reason: next(),
    decision: next(),
    language: next(),
    workspace: next(),
    content: [],
    exposures: [],
    trace: [],
  };
  for (let name = next(); name; name = next()) {
    said.content.push({ name, kind: next() as ContentField["kind"], text: next() });
  }
  for (let name = next(); name; name = next()) {
    said.exposures.push({ experiment: name, variant: next() });
  }
  while (at < bytes.length) said.trace.push({ offer: next(), code: next(), sentence: "" });
  return said;
}
