//! Profiles as bytes, for the core. It must never know where the bytes go, nor what is decided.
//!
//! Each function that writes takes the place where it begins, and gives the one where it ends.

/** What conditions may read. */
export type Value = boolean | number | string | Date | readonly (boolean | number | string)[];

/** A profile and the request, as far as the caller knows them. */
export interface Context {
  /** What experiments and rollouts hash: an id that stays. Without it nobody takes part. */
  unit?: string;
  /** Declared traits, by name: what `for ... in` finds. */
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

/** A slot that callers may set: where its value is found, and where conditions look for it. */
export interface Slot {
  number: number;
  name: string;
  isTrait: boolean;
  isTime: boolean;
  /** Whether the core knows its texts by their segments alone. */
  isBrief: boolean;
}

/** What a packer has to know of a workspace. */
export interface Shape {
  slots: readonly Slot[];
  /** What every profile begins with: format, version of the workspace, and that it never ends. */
  head: readonly number[];
  /** The place of each trait among the slots, by name. */
  traits: readonly (readonly [string, number])[];
}

/** Purposes as bits of one number. */
const PURPOSES: Readonly<Record<Purpose, number>> = {
  store: 1,
  profile: 2,
  personalise: 4,
  measure: 8,
  share: 16,
};
const ASSURANCES: readonly Assurance[] = ["anonymous", "recognised", "authenticated"];
/** What stands before a value in a packed profile; of a bool it is the value. */
const INT = 2;
const DOUBLE = 3;
const TEXT = 4;
const TIME = 5;
const LIST = 7;
const SEGMENT = 8;
const SEGMENTS = 9;
/** Bytes that a slot's number and a value take at most, or the length of one that has no bound. */
const VALUE_BYTES = 24;
/** Texts of a slot whose segments are remembered; any others are brought as they are. */
const TEXTS = 256;
/** Characters of a text whose segment is remembered. */
const TEXT_LENGTH = 64;
/** Entries of a list whose segments are looked up. */
const ENTRIES = 64;
const LARGEST_SMALL = 0x3fffffff;
const LARGEST_ASCII = 0x7f;

const utf8 = new TextEncoder();

/** Gives the segment of a slot that the text in these bytes lies in; 0 where it is none. */
export type Ask = (slot: number, from: number, until: number) => number;

/** Writes the profiles of one workspace. Fields are no `#private` ones, which take a fresh process
 * longer to reach. */
export class Packer {
  /** Where profiles are written. It may be set anew, to as many bytes or more. */
  bytes: Uint8Array;
  private readonly slots: readonly Slot[];
  /** What every profile begins with. */
  private readonly head: Uint8Array;
  private readonly grow: (bytes: number) => void;
  /** Bytes that a profile takes at most beside texts and lists. */
  private readonly spare: number;
  /** The place of each trait among the slots. */
  private readonly places: Map<string, number>;
  /** The values of the slots that are being written, by place. */
  private readonly values: (Value | null | undefined)[];
  /** The names of the last profile's traits, in their order, and the place of each or -1: most
   * profiles have the same, and to walk them is much cheaper than to ask for every slot's. */
  private readonly names: string[];
  private readonly placesOfNames: number[];
  /** What the core said of texts, for slots where it needs no more, by place. */
  private readonly segments: (Map<string, number> | undefined)[];
  /** Segments of the list that is being written. */
  private readonly found: number[];
  private ask: Ask | undefined;

  /** Profiles go into `bytes`; `grow` is to set them to that many at least, without losing what
   * stands there. */
  constructor({ slots, head, traits }: Shape, bytes: Uint8Array, grow: (bytes: number) => void) {
    this.bytes = bytes;
    this.slots = slots;
    this.head = new Uint8Array(head);
    this.grow = grow;
    this.spare = (slots.length + 2) * VALUE_BYTES;
    this.places = new Map(traits);
    this.values = new Array(slots.length);
    this.names = [];
    this.placesOfNames = [];
    this.segments = [];
    this.found = [];
  }

  /** From here on profiles may bring texts as segments, which the core is asked for once. */
  remember(ask: Ask): void {
    for (const [place, slot] of this.slots.entries()) {
      if (slot.isTrait && slot.isBrief) this.segments[place] = new Map();
    }
    this.ask = ask;
  }

  /** Writes a profile; how many bytes it takes. `brief` ones are for the core that answered, others
   * for any of the same workspace. */
  pack(context: Context, brief: boolean): number {
    const { unit, traits, request, purposes, assurance = "anonymous" } = context;
    const { slots, head, names, places, placesOfNames } = this;
    // Of the profile before nothing may stay, not even where that broke off.
    const values = this.values.fill(undefined);
    let nth = 0;
    for (const name in traits) {
      if (names[nth] !== name) {
        names[nth] = name;
        placesOfNames[nth] = places.get(name) ?? -1;
      }
      const place = placesOfNames[nth++] as number;
      if (place >= 0) values[place] = traits[name];
    }
    let bytes = this.room(head.length);
    bytes.set(head);
    let at = head.length;
    let allowed = 0;
    for (const purpose of purposes) allowed |= PURPOSES[purpose] ?? 0;
    bytes[at++] = ASSURANCES.indexOf(assurance);
    bytes[at++] = allowed;
    const start = at;
    at += 2;
    let count = 0;
    for (let place = 0; place < slots.length; place++) {
      const slot = slots[place] as Slot;
      // A field that the request does not have is an empty text.
      const value = slot.isTrait ? values[place] : (request?.[slot.name] ?? "");
      if (value === undefined || value === null) continue;
      count++;
      at = putNumber(bytes, slot.number, at);
      const segments = brief ? this.segments[place] : undefined;
      if (segments !== undefined && typeof value === "string") {
        at = this.brief(segments, slot.number, value, at);
        bytes = this.bytes;
      } else if (segments !== undefined && Array.isArray(value)) {
        at = this.briefList(segments, slot.number, value, at);
        bytes = this.bytes;
      } else if (typeof value === "string") {
        at = this.text(value, at);
        bytes = this.bytes;
      } else if (typeof value === "object" && !(value instanceof Date)) {
        at = this.list(value, at);
        bytes = this.bytes;
      } else {
        at = putScalar(bytes, value, slot.isTime, at);
      }
    }
    // In two bytes, whatever it is.
    bytes[start] = (count & 0x7f) | 0x80;
    bytes[start + 1] = count >> 7;
    // No variant is settled, no contact known, no session begun, no budget spent.
    for (let none = 0; none < 5; none++) bytes[at++] = 0;
    bytes[at++] = unit === undefined ? 0 : 1;
    if (unit === undefined) return at;
    return putChars(this.room(at + 3 * unit.length), unit, at);
  }

  private list(list: readonly (boolean | number | string)[], start: number): number {
    this.bytes[start] = LIST;
    let at = putNumber(this.bytes, list.length, start + 1);
    for (const entry of list) {
      if (typeof entry === "string") {
        at = this.text(entry, at);
      } else {
        at = putScalar(this.room(at + VALUE_BYTES), entry, false, at);
      }
    }
    return at;
  }

  private text(text: string, at: number): number {
    const bytes = this.room(at + VALUE_BYTES + 3 * text.length);
    bytes[at] = TEXT;
    return putChars(bytes, text, at + 1);
  }

  /** A text as its segment, where that is known. */
  private brief(segments: Map<string, number>, slot: number, text: string, at: number): number {
    const segment = segments.get(text) ?? this.segment(segments, slot, text, at);
    if (segment === 0) return this.text(text, at);
    const bytes = this.bytes;
    bytes[at] = SEGMENT;
    return putNumber(bytes, segment, at + 1);
  }

  /** A list of texts as segments, where all of them are known. */
  private briefList(
    segments: Map<string, number>,
    slot: number,
    list: readonly (boolean | number | string)[],
    start: number,
  ): number {
    const found = this.found;
    const { length } = list;
    for (let place = 0; place < length; place++) {
      const text = list[place];
      const segment =
        typeof text === "string" && length <= ENTRIES
          ? (segments.get(text) ?? this.segment(segments, slot, text, start))
          : 0;
      if (segment === 0) return this.list(list, start);
      found[place] = segment;
    }
    const bytes = this.room(start + (length + 1) * VALUE_BYTES);
    bytes[start] = SEGMENTS;
    let at = putNumber(bytes, length, start + 1);
    for (let place = 0; place < length; place++) at = putNumber(bytes, found[place] as number, at);
    return at;
  }

  /** Asks for the segment of a text, which is written where the value is to stand; 0 where as many
   * as may be are remembered. */
  private segment(segments: Map<string, number>, slot: number, text: string, at: number): number {
    if (segments.size >= TEXTS || text.length > TEXT_LENGTH) return 0;
    const encoded = utf8.encode(text);
    const until = at + encoded.length;
    this.room(until).set(encoded, at);
    const segment = this.ask?.(slot, at, until) ?? 0;
    if (segment > 0) segments.set(text, segment);
    return segment;
  }

  /** Makes room for so many bytes, and behind them for all that takes a bounded length. */
  private room(bytes: number): Uint8Array {
    if (bytes + this.spare > this.bytes.length) this.grow(2 * (bytes + this.spare));
    return this.bytes;
  }
}

/** A value that takes a bounded length. */
function putScalar(
  bytes: Uint8Array,
  value: boolean | number | Date,
  isTime: boolean,
  at: number,
): number {
  if (typeof value === "boolean") {
    bytes[at] = value ? 1 : 0;
    return at + 1;
  }
  const isDate = typeof value !== "number";
  const number = isDate ? value.getTime() : value;
  if (Number.isSafeInteger(number) && !Object.is(number, -0)) {
    bytes[at] = isDate || isTime ? TIME : INT;
    return putNumber(bytes, number >= 0 ? 2 * number : -2 * number - 1, at + 1);
  }
  bytes[at] = DOUBLE;
  new DataView(bytes.buffer, bytes.byteOffset).setFloat64(at + 1, number, true);
  return at + 9;
}

/** A text after its length. */
function putChars(bytes: Uint8Array, text: string, at: number): number {
  const { length } = text;
  const from = putNumber(bytes, length, at);
  for (let place = 0; place < length; place++) {
    const code = text.charCodeAt(place);
    if (code > LARGEST_ASCII) return putWide(bytes, text, at);
    bytes[from + place] = code;
  }
  return from + length;
}

/** The same of one that is not plain ASCII. */
function putWide(bytes: Uint8Array, text: string, at: number): number {
  const encoded = utf8.encode(text);
  const from = putNumber(bytes, encoded.length, at);
  bytes.set(encoded, from);
  return from + encoded.length;
}

/** Little-endian base 128. */
function putNumber(bytes: Uint8Array, number: number, at: number): number {
  let end = at;
  let rest = number;
  while (rest > LARGEST_SMALL) {
    bytes[end++] = (rest % 128) | 0x80;
    rest = Math.floor(rest / 128);
  }
  while (rest > 0x7f) {
    bytes[end++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  bytes[end++] = rest;
  return end;
}
