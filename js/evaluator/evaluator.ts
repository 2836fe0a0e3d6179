//! Decisions on a server that holds profiles itself: in Node, or in any worker. A profile crosses
//! into Wasm as bytes and may stay there; what comes back are numbers, and the names are here. It
//! must never decide anything itself, and never assume a consent: a purpose that the caller does
//! not list is denied.

import { type Core, FIRST_INPUT_BYTES, open, utf8 } from "./open";
import { type Context, Packer } from "./pack";

export type { Assurance, Context, Purpose, Value } from "./pack";

/** The answer for one placement. */
export interface Decision {
  placement: string;
  offer: string | null;
  variant: string | null;
  /** `won` or `no_offer`. */
  reason: string;
}

/** The number under which `decide` holds what it decides on. */
const TRANSIENT = 0;
/** As many profiles are held before it pays to remember what the core says of texts. */
const FIRST_PROFILES = 16;
/** To make room costs more than to fill it: the codes of several traces share what is made. */
const SHARED_CODES = 32 * 1024;

interface Offer {
  key: string;
  /** Variants of its experiment. */
  variants: readonly string[];
}

/** The evaluator of one workspace. Fields are no `#private` ones, which take a fresh process longer
 * to reach. */
export class Evaluator {
  readonly version: string;
  readonly placements: readonly string[];
  private readonly core: Core;
  private readonly packer: Packer;
  /** Offers that have won, by their numbers. */
  private readonly offers: Offer[];
  private readonly variants: readonly (readonly string[])[];
  private readonly codes: readonly string[];
  /** Wasm memory. One that grew is another buffer, and what looked at the old one has no length: to
   * ask for that is much cheaper than to ask for the buffers. */
  private words: Uint32Array;
  /** Where the codes of the next traces go, and how many stand there. */
  private shared: Uint8Array;
  private used: number;
  /** How many profiles were held, up to `FIRST_PROFILES`. */
  private held: number;

  /** `wasm` is the core, `file` what `selvedge image` or `prepare.mjs` made of the workspace. */
  constructor(wasm: WebAssembly.Module | BufferSource, file: Uint8Array) {
    const module = wasm instanceof WebAssembly.Module ? wasm : new WebAssembly.Module(wasm);
    const { core, names, input } = open(module, file);
    this.version = names.version;
    this.placements = names.placements;
    this.core = core;
    this.offers = [];
    this.variants = names.variants;
    this.codes = names.codes;
    this.words = new Uint32Array(core.memory.buffer);
    this.shared = new Uint8Array();
    this.used = 0;
    this.held = 0;
    // No more than that: what the core takes of a profile is bounded where it is asked for room.
    const first = input.subarray(0, FIRST_INPUT_BYTES);
    this.packer = new Packer(names, first, (bytes) => this.room(bytes));
  }

  /** Decides every placement for a profile. */
  decide(context: Context, now = Date.now()): Decision[] {
    this.hold(TRANSIENT, context);
    return this.decideHeld(TRANSIENT, now);
  }

  /** Keeps a profile in Wasm memory under a number of the caller's; 0 is what `decide` uses. */
  hold(profile: number, context: Context): void {
    if (this.held < FIRST_PROFILES && ++this.held === FIRST_PROFILES) {
      this.packer.remember(this.core.segment);
    }
    this.take(profile, this.packer.pack(context, true));
  }

  /** The same of bytes that `pack` made. */
  holdBytes(profile: number, bytes: Uint8Array): void {
    this.room(bytes.length);
    this.packer.bytes.set(bytes);
    this.take(profile, bytes.length);
  }

  /** A profile's bytes, to be stored or sent; they belong to this workspace. */
  pack(context: Context): Uint8Array {
    const length = this.packer.pack(context, false);
    return this.packer.bytes.slice(0, length);
  }

  /** Decides every placement for a profile that is held. */
  decideHeld(profile: number, now = Date.now()): Decision[] {
    const from = this.choose(profile, now, 0);
    const decisions: Decision[] = [];
    for (const placement of this.placements) {
      const at = from + 2 * decisions.length;
      const offer = this.offer(this.words[at] ?? 0);
      const variant = offer?.variants[(this.words[at + 1] ?? 0) - 1] ?? null;
      const reason = offer ? "won" : "no_offer";
      decisions.push({ placement, offer: offer?.key ?? null, variant, reason });
    }
    return decisions;
  }

  /** The keys of the offers that win, in the order of the placements. */
  winners(profile: number, now = Date.now()): string[] {
    const from = this.choose(profile, now, 0);
    const keys: string[] = [];
    for (let at = 0; at < this.placements.length; at++) {
      const offer = this.offer(this.words[from + 2 * at] ?? 0);
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
    const ends = this.choose(profile, now, 1) + 2 * count;
    const begin = this.words[ends + count] ?? 0;
    const length = count === 0 ? 0 : (this.words[ends + count - 1] ?? 0);
    if (this.used + length > this.shared.length) {
      this.shared = new Uint8Array(Math.max(length, SHARED_CODES));
      this.used = 0;
    }
    const first = this.used;
    this.shared.set(new Uint8Array(this.words.buffer, begin, length), first);
    this.used += length;
    const { buffer } = this.shared;
    const all: Uint8Array[] = [];
    let from = 0;
    for (let at = 0; at < count; at++) {
      const until = this.words[ends + at] ?? 0;
      all.push(new Uint8Array(buffer, first + from, until - from));
      from = until;
    }
    return all;
  }

  /** The stable word of a reason. */
  codeWord(code: number): string {
    return this.codes[code] ?? "";
  }

  /** The offer whose number plus one this is; null of 0. */
  private offer(word: number): Offer | null {
    if (word === 0) return null;
    const at = word - 1;
    const known = this.offers[at];
    if (known !== undefined) return known;
    const core = this.core;
    // It has won, so the core holds it unpacked: asking makes no memory grow.
    const key = utf8.decode(new Uint8Array(core.memory.buffer, core.key(at), core.key_len(at)));
    const offer = { key, variants: this.variants[core.experiment(at) - 1] ?? [] };
    this.offers[at] = offer;
    return offer;
  }

  private take(profile: number, bytes: number): void {
    const held = this.core.hold(profile, bytes);
    if (this.words.length === 0) this.refresh();
    if (held === 0) throw new Error("these bytes are no profile of this workspace");
  }

  /** Where the answer begins, as an index into the words. */
  private choose(profile: number, now: number, trace: number): number {
    const pointer = this.core.choose(profile, now, trace);
    if (pointer === 0) throw new Error(`no profile is held under ${profile}`);
    if (this.words.length === 0) this.refresh();
    return pointer / 4;
  }

  /** Looks at memory anew after it grew. */
  private refresh(): void {
    this.words = new Uint32Array(this.core.memory.buffer);
    this.room(Math.max(this.packer.bytes.length, FIRST_INPUT_BYTES));
  }

  /** Makes the input hold so many bytes. What stood in it stays. */
  private room(bytes: number): void {
    if (bytes <= this.packer.bytes.length) return;
    const pointer = this.core.input(bytes);
    if (pointer === 0) throw new Error(`a profile of ${bytes} bytes is too large`);
    const { buffer } = this.core.memory;
    this.packer.bytes = new Uint8Array(buffer, pointer, bytes);
    if (this.words.length === 0) this.words = new Uint32Array(buffer);
  }
}
