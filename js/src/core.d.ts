//! The bindings of the core, as wasm-bindgen makes them from `js/wasm`; the bundle puts the real
//! ones in this module's place.

declare module "selvedge-core" {
  /** Starts the core. */
  export function initSync(from: { module: WebAssembly.Module }): unknown;
  /** Takes a workspace image in; false if it cannot be read. */
  export function load(image: Uint8Array): boolean;
  /** Takes a slice in: the time at which it expires, or 0 where it does not fit the image. */
  export function set_slice(bytes: Uint8Array): number;
  /** Decides: the JSON of a `Decision`, or "" where only the edge can. `request` holds names and
   *  values, `taken` the offers that the page shows already; both parted by NUL. */
  export function decide(
    placement: string,
    request: string,
    taken: string,
    now_ms: number,
    trace: boolean,
  ): string;
}
