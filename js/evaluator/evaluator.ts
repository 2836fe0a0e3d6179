//! Decisions on a server that holds profiles itself: in Node, or in any worker. A profile crosses
//! into Wasm as bytes and may stay there; what comes back are numbers, and the names are here. It
//! must never decide anything itself, and never assume a consent: a purpose that the caller does
//! not list is denied.

import * as glue from "selvedge-evaluator-core";
import { type Context, Packer, type Slot } from "./pack";

export type { Assurance, Context, Purpose, Value } from "./pack";

/** The answer for one placement. */
export interface Decision {
  placement: string;
  offer: string | null;
  variant: string | null;
  /** `won` or `no_offer`. */
  reason: string;
}

/** The type of a slot that holds a time, by its number in an image. */
const TIMESTAMP_KIND = 4;
/** What stands before the names of traits and of a request's fields in the paths of slots. */
const TRAIT = "profile.";
const FIELD = "request.";
/** The number under which `decide` holds what it decides on. */
const TRANSIENT = 0;
const FIRST_INPUT_BYTES = 16 * 1024;
/** As many profiles are held before it pays to remember what the core says of texts. */
const FIRST_PROFILES = 16;
/** To make room costs more than to fill it: the codes of several traces share what is made. */
const SHARED_CODES = 32 * 1024;

interface Offer {
  key: string;
  /** Variants of its experiment. */
  variants: readonly string[];
}

/** The evaluator of one workspace. A module instance holds one: a new one replaces it. */
export class Evaluator {
  readonly version: string;
  readonly placements: readonly string[];
  readonly #memory: WebAssembly.Memory;
  readonly #packer: Packer;
  /** Offers that have won, by their numbers. */
  readonly #offers: Offer[] = [];
  readonly #variants: readonly (readonly string[])[];
  readonly #codes: readonly string[];
  #words = new Uint32Array();
  /** Where the codes of the next traces go, and how many stand there. */
  #shared = new Uint8Array();
  #used = 0;
  /** How many profiles were held, up to `FIRST_PROFILES`. */
  #held = 0;

  /** `wasm` is the core, `image` what `selvedge image` made of the workspace. */
  constructor(wasm: WebAssembly.Module | BufferSource, image: Uint8Array) {
    const module = wasm instanceof WebAssembly.Module ? wasm : new WebAssembly.Module(wasm);
    this.#memory = glue.initSync({ module }).memory;
    if (!glue.load(image)) throw new Error("these bytes are no workspace image of this release");
    const parts = glue.catalog().split("\0");
    let place = 0;
    const next = () => parts[place++] ?? "";
    const list = () => {
      const count = Number(next());
      place += count;
      return parts.slice(place - count, place);
    };
    this.version = next();
    const slots: Slot[] = [];
    for (let number = 0, count = Number(next()); number < count; number++) {
      const slot = slotOf(number, next(), Number(next()));
      if (slot !== null) slots.push(slot);
    }
    this.placements = list();
    const variants: string[][] = [];
    for (let count = Number(next()); count > 0; count--) variants.push(list());
    this.#variants = variants;
    this.#codes = list();
    this.#packer = new Packer(this.version, slots, (bytes) => this.#room(bytes));
    this.#room(FIRST_INPUT_BYTES);
  }

  /** Decides every placement for a profile. */
  decide(context: Context, now = Date.now()): Decision[] {
    this.hold(TRANSIENT, context);
    return this.decideHeld(TRANSIENT, now);
  }

  /** Keeps a profile in Wasm memory under a number of the caller's; 0 is what `decide` uses. */
  hold(profile: number, context: Context): void {
    if (this.#held < FIRST_PROFILES && ++this.#held === FIRST_PROFILES) {
      this.#packer.remember([...glue.brief_slots()], glue.segment);
      this.#refresh();
    }
    this.#take(profile, this.#packer.pack(context, true));
  }

  /** The same of bytes that `pack` made. */
  holdBytes(profile: number, bytes: Uint8Array): void {
    this.#room(bytes.length);
    this.#packer.bytes.set(bytes);
    this.#take(profile, bytes.length);
  }

  /** A profile's bytes, to be stored or sent; they belong to this workspace. */
  pack(context: Context): Uint8Array {
    const length = this.#packer.pack(context, false);
    return this.#packer.bytes.slice(0, length);
  }

  /** Decides every placement for a profile that is held. */
  decideHeld(profile: number, now = Date.now()): Decision[] {
    const from = this.#choose(profile, now, false);
    return this.placements.map((placement, at) => {
      const offer = this.#offer(this.#words[from + 2 * at] ?? 0);
      const variant = offer?.variants[(this.#words[from + 2 * at + 1] ?? 0) - 1] ?? null;
      return { placement, offer: offer?.key ?? null, variant, reason: offer ? "won" : "no_offer" };
    });
  }

  /** The keys of the offers that win, in the order of the placements. */
  winners(profile: number, now = Date.now()): string[] {
    const from = this.#choose(profile, now, false);
    const keys: string[] = [];
    for (let at = 0; at < this.placements.length; at++) {
      const offer = this.#offer(this.#words[from + 2 * at] ?? 0);
      if (offer !== null) keys.push(offer.key);
    }
    return keys;
  }

  /**
   * For each placement, why each of its offers won or lost, by rank: numbers of `codeWord`. They
   * look into a buffer that other traces share: copy what is kept for long, or transferred.
   */
  trace(profile: number, now = Date.now()): Uint8Array[] {
    const count = this.placements.length;
    const ends = this.#choose(profile, now, true) + 2 * count;
    const begin = this.#words[ends + count] ?? 0;
    const length = count === 0 ? 0 : (this.#words[ends + count - 1] ?? 0);
    if (this.#used + length > this.#shared.length) {
      this.#shared = new Uint8Array(Math.max(length, SHARED_CODES));
      this.#used = 0;
    }
    const first = this.#used;
    this.#shared.set(new Uint8Array(this.#words.buffer, begin, length), first);
    this.#used += length;
    const { buffer } = this.#shared;
    const all: Uint8Array[] = [];
    let from = 0;
    for (let at = 0; at < count; at++) {
      const until = this.#words[ends + at] ?? 0;
      all.push(new Uint8Array(buffer, first + from, until - from));
      from = until;
    }
    return all;
  }

  /** The stable word of a reason. */
  codeWord(code: number): string {
    return this.#codes[code] ?? "";
  }

  /** The offer whose number plus one this is; null of 0. */
  #offer(word: number): Offer | null {
    if (word === 0) return null;
    let offer = this.#offers[word - 1];
    if (offer === undefined) {
      offer = this.#named(word - 1);
      this.#offers[word - 1] = offer;
    }
    return offer;
  }

  #named(at: number): Offer {
    const [key = "", experiment] = glue.offer(at).split("\0");
    this.#refresh();
    return { key, variants: this.#variants[Number(experiment) - 1] ?? [] };
  }

  #take(profile: number, bytes: number): void {
    const held = glue.hold(profile, bytes);
    this.#refresh();
    if (!held) throw new Error("these bytes are no profile of this workspace");
  }

  /** Where the answer begins, as an index into the words. */
  #choose(profile: number, now: number, trace: boolean): number {
    const pointer = glue.choose(profile, now, trace);
    if (pointer === 0) throw new Error(`no profile is held under ${profile}`);
    this.#refresh();
    return pointer / 4;
  }

  /** Wasm memory that grew is another buffer, and what looked at the old one has no length: to ask
   * for that is much cheaper than to ask for the buffers. */
  #refresh(): void {
    if (this.#words.length > 0) return;
    this.#words = new Uint32Array(this.#memory.buffer);
    this.#room(Math.max(this.#packer.bytes.length, FIRST_INPUT_BYTES));
  }

  /** Makes the input hold so many bytes. What stood in it stays. */
  #room(bytes: number): void {
    if (bytes <= this.#packer.bytes.length) return;
    const pointer = glue.input(bytes);
    if (pointer === 0) throw new Error(`a profile of ${bytes} bytes is too large`);
    const { buffer } = this.#memory;
    this.#packer.bytes = new Uint8Array(buffer, pointer, bytes);
    if (this.#words.length === 0) this.#words = new Uint32Array(buffer);
  }
}

/** The slot that conditions read as `profile.NAME`, `profile['NAME']` or `request.NAME`; null of
 * any other. */
function slotOf(number: number, path: string, kind: number): Slot | null {
  const isTrait = path.startsWith(TRAIT);
  if (!isTrait && !path.startsWith(FIELD)) return null;
  const name = path.slice(isTrait ? TRAIT.length : FIELD.length);
  return { number, name, isTrait, isTime: kind === TIMESTAMP_KIND };
}
