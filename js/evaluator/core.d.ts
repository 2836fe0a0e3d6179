//! The bindings of the evaluator's core, as wasm-bindgen makes them from `js/evaluator/src`; the
//! bundle puts the real ones in this module's place.

declare module "selvedge-evaluator-core" {
  /** Starts the core. */
  export function initSync(from: { module: WebAssembly.Module }): { memory: WebAssembly.Memory };
  /** Takes an image in; false if it cannot be read. */
  export function load(image: Uint8Array): boolean;
  /** The workspace's names, parted by NUL. */
  export function catalog(): string;
  /** An offer's key, and behind a NUL the number of its experiment plus one. */
  export function offer(at: number): string;
  /** Room for so many bytes of a packed profile: where it begins, or 0. */
  export function input(bytes: number): number;
  /** The slots of texts, and of lists of texts, that profiles may bring as segments. */
  export function brief_slots(): Uint16Array;
  /** The segment of a slot that the text in these bytes of the input lies in; 0 of what is none. */
  export function segment(slot: number, from: number, until: number): number;
  /** Holds the profile that stands in the input. */
  export function hold(profile: number, bytes: number): boolean;
  /** Decides every placement: where the answer's 32-bit words begin, or 0. */
  export function choose(profile: number, now_ms: number, trace: boolean): number;
}
