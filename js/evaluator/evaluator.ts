//! Decisions on a server that holds profiles itself: in Node, or in any worker. A profile crosses
//! into Wasm as bytes and may stay there; what comes back are numbers, and the names are here. It
//! must never decide anything itself, and never assume a consent: a purpose that the caller does
//! not list is denied.

import * as glue from "selvedge-evaluator-core";

/** What conditions may read. */
export type Value = boolean | number | string | Date | readonly (boolean | number | string)[];

/** A profile and the request, as far as the caller knows them. */
export interface Context {
  /** What experiments and rollouts hash: an id that stays. Without it nobody takes part. */
  unit?: string;
  /** Declared traits, by name. */
  traits: Readonly<Record<string, Value | null | undefined>>;
  /** Fields of the request, by name. */
  request?: Readonly<Record<string, string>>;
  /** Purposes that the person allows. */
  purposes: readonly Purpose[];
  /** How sure the caller is of who it is. Default `anonymous`. */
  assurance?: Assurance;
}

export type Purpose = "store" | "profile" | "personalise" | "measure" | "share";
export type Assurance = "anonymous" | "recognised" | "authenticated";

/** The answer for one placement. */
export interface Decision {
  placement: string;
  offer: string | null;
  variant: string | null;
  /** `won` or `no_offer`. */
  reason: string;
}

const PURPOSES: readonly Purpose[] = ["store", "profile", "personalise", "measure", "share"];
const ASSURANCES: readonly Assurance[] = ["anonymous", "recognised", "authenticated"];
/** The type of a slot that holds a time, by its number in an image. */
const TIMESTAMP_KIND = 4;
/** What stands before a value in a packed profile; of a bool it is the value. */
const INT = 2;
const DOUBLE = 3;
const TEXT = 4;
const TIME = 5;
const LIST = 7;
/** The format of packed profiles that this file writes. */
const FORMAT = 1;
/** The number under which `decide` holds what it decides on. */
const TRANSIENT = 0;
const FIRST_INPUT_BYTES = 16 * 1024;
/** A time beyond all others, as a packed profile holds it: 2^53 - 1 milliseconds. */
const NEVER_EXPIRES = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f];
/** Bytes that a number takes at most, with what stands before it. */
const NUMBER_BYTES = 16;
const LARGEST_SMALL = 0x3fffffff;
/** From here on the codes of a page share one buffer. */
const LONG_TRACE_WORDS = 64;

/** A slot that callers may set: where its value is found, and where conditions look for it. */
interface Slot {
  number: number;
  name: string;
  isTrait: boolean;
  isTime: boolean;
}

interface Offer {
  key: string;
  /** Variants of its experiment. */
  variants: readonly string[];
}

const utf8 = new TextEncoder();

/** The evaluator of one workspace. A module instance holds one: a new one replaces it. */
export class Evaluator {
  readonly version: string;
  readonly placements: readonly string[];
  readonly #memory: WebAssembly.Memory;
  readonly #slots: readonly Slot[];
  /** Offers that have won, by their numbers. */
  readonly #offers: Offer[] = [];
  readonly #variants: readonly (readonly string[])[];
  readonly #codes: readonly string[];
  readonly #head: Uint8Array;
  #bytes = new Uint8Array();
  #view = new DataView(new ArrayBuffer(0));
  #words = new Uint32Array();
  #at = 0;

  /** `wasm` is the core, `image` what `selvedge image` made of the workspace. */
  constructor(wasm: WebAssembly.Module | BufferSource, image: Uint8Array) {
    const module = wasm instanceof WebAssembly.Module ? wasm : new WebAssembly.Module(wasm);
    this.#memory = glue.initSync({ module }).memory;
    if (!glue.load(image)) throw new Error("these bytes are no workspace image of this release");
    const parts = glue.catalog().split("\0");
    let place = 0;
    const next = () => parts[place++] ?? "";
    const list = <T>(read: (at: number) => T): T[] =>
      Array.from({ length: Number(next()) }, (_, at) => read(at));
    this.version = next();
    this.#slots = list((number) => slotOf(number, next(), Number(next()))).filter(
      (slot) => slot.name !== "",
    );
    this.placements = list(next);
    this.#variants = list(() => list(next));
    this.#codes = list(next);
    const version = utf8.encode(this.version);
    this.#head = Uint8Array.from([FORMAT, version.length, ...version, ...NEVER_EXPIRES]);
    this.#room(FIRST_INPUT_BYTES);
  }

  /** Decides every placement for a profile. */
  decide(context: Context, now = Date.now()): Decision[] {
    this.hold(TRANSIENT, context);
    return this.decideHeld(TRANSIENT, now);
  }

  /** Keeps a profile in Wasm memory under a number of the caller's; 0 is what `decide` uses. */
  hold(profile: number, context: Context): void {
    this.#take(profile, this.#pack(context));
  }

  /** The same of bytes that `pack` made. */
  holdBytes(profile: number, bytes: Uint8Array): void {
    this.#room(bytes.length);
    this.#bytes.set(bytes);
    this.#take(profile, bytes.length);
  }

  /** A profile's bytes, to be stored or sent; they belong to this workspace. */
  pack(context: Context): Uint8Array {
    return this.#bytes.slice(0, this.#pack(context));
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

  /** For each placement, why each of its offers won or lost, by rank: numbers of `codeWord`. */
  trace(profile: number, now = Date.now()): Uint32Array[] {
    const begin = this.#choose(profile, now, true) + 2 * this.placements.length;
    const count = this.placements.length;
    let end = begin;
    for (let at = 0; at < count; at++) end += 1 + (this.#words[end] ?? 0);
    // Each long array costs more to make room for than to fill: then one holds all.
    const isLong = end - begin > LONG_TRACE_WORDS;
    const words = isLong ? this.#words.slice(begin, end) : this.#words;
    const all: Uint32Array[] = [];
    let from = isLong ? 0 : begin;
    for (let at = 0; at < count; at++) {
      const until = from + 1 + (words[from] ?? 0);
      all.push(isLong ? words.subarray(from + 1, until) : words.slice(from + 1, until));
      from = until;
    }
    return all;
  }

  /** The stable word of a reason. */
  codeWord(code: number): string {
    return this.#codes[code & 0xff] ?? "";
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
    this.#room(Math.max(this.#bytes.length, FIRST_INPUT_BYTES));
  }

  /** Makes the input hold so many bytes. What stood in it stays. */
  #room(bytes: number): void {
    if (bytes <= this.#bytes.length) return;
    const pointer = glue.input(bytes);
    if (pointer === 0) throw new Error(`a profile of ${bytes} bytes is too large`);
    this.#bytes = new Uint8Array(this.#memory.buffer, pointer, bytes);
    this.#view = new DataView(this.#memory.buffer, pointer, bytes);
    if (this.#words.length === 0) this.#words = new Uint32Array(this.#memory.buffer);
  }

  /** Writes a profile into the input; how many bytes it takes. */
  #pack({ unit, traits, request, purposes, assurance = "anonymous" }: Context): number {
    this.#bytes.set(this.#head);
    this.#at = this.#head.length;
    this.#byte(ASSURANCES.indexOf(assurance));
    this.#byte(purposes.reduce((set, purpose) => set | (1 << PURPOSES.indexOf(purpose)), 0));
    const count = this.#at;
    this.#at += 2;
    let values = 0;
    for (const slot of this.#slots) {
      // A field that the request does not have is an empty text.
      const value = slot.isTrait ? traits[slot.name] : (request?.[slot.name] ?? "");
      if (value === undefined || value === null) continue;
      this.#need(2 * NUMBER_BYTES);
      this.#number(slot.number);
      this.#value(value, slot.isTime);
      values++;
    }
    // In two bytes, whatever it is.
    this.#bytes[count] = (values & 0x7f) | 0x80;
    this.#bytes[count + 1] = values >> 7;
    this.#need(2 * NUMBER_BYTES);
    // No variant is settled, no contact known, no session begun, no budget spent.
    for (let none = 0; none < 5; none++) this.#byte(0);
    this.#byte(unit === undefined ? 0 : 1);
    if (unit !== undefined) this.#text(unit);
    return this.#at;
  }

  #value(value: Value, isTime: boolean): void {
    if (typeof value === "string") {
      this.#bytes[this.#at++] = TEXT;
      this.#text(value);
    } else if (typeof value === "number") {
      this.#numeric(value, isTime);
    } else if (typeof value === "boolean") {
      this.#bytes[this.#at++] = value ? 1 : 0;
    } else if (value instanceof Date) {
      this.#numeric(value.getTime(), true);
    } else {
      this.#bytes[this.#at++] = LIST;
      this.#number(value.length);
      for (let at = 0; at < value.length; at++) {
        this.#need(2 * NUMBER_BYTES);
        this.#value(value[at] as Value, false);
      }
    }
  }

  #numeric(value: number, isTime: boolean): void {
    if (Number.isSafeInteger(value) && !Object.is(value, -0)) {
      this.#byte(isTime ? TIME : INT);
      this.#number(value >= 0 ? 2 * value : -2 * value - 1);
    } else {
      this.#byte(DOUBLE);
      this.#view.setFloat64(this.#at, value, true);
      this.#at += 8;
    }
  }

  #text(text: string): void {
    const length = text.length;
    this.#need(3 * length + NUMBER_BYTES);
    const bytes = this.#bytes;
    const start = this.#at;
    let from = start;
    if (length < 0x80) {
      bytes[from++] = length;
    } else {
      this.#number(length);
      from = this.#at;
    }
    for (let at = 0; at < length; at++) {
      const code = text.charCodeAt(at);
      if (code > 0x7f) {
        this.#wideText(text, start);
        return;
      }
      bytes[from + at] = code;
    }
    this.#at = from + length;
  }

  /** A text that is not plain ASCII. */
  #wideText(text: string, start: number): void {
    const encoded = utf8.encode(text);
    this.#at = start;
    this.#number(encoded.length);
    this.#bytes.set(encoded, this.#at);
    this.#at += encoded.length;
  }

  #byte(byte: number): void {
    this.#bytes[this.#at++] = byte;
  }

  /** Little-endian base 128. */
  #number(number: number): void {
    const bytes = this.#bytes;
    let at = this.#at;
    let rest = number;
    while (rest > LARGEST_SMALL) {
      bytes[at++] = (rest % 128) | 0x80;
      rest = Math.floor(rest / 128);
    }
    while (rest > 0x7f) {
      bytes[at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    bytes[at++] = rest;
    this.#at = at;
  }

  #need(bytes: number): void {
    if (this.#at + bytes > this.#bytes.length) this.#room(2 * (this.#at + bytes));
  }
}

/** Where conditions read `profile.NAME`, `profile['NAME']` or `request.NAME`. */
function slotOf(number: number, path: string, kind: number): Slot {
  const [, owner, plain] = /^(profile|request)\.(.*)$/s.exec(path) ?? [];
  return {
    number,
    name: plain ?? "",
    isTrait: owner === "profile",
    isTime: kind === TIMESTAMP_KIND,
  };
}
