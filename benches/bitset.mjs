//! The critic's peer: the same idea as the core's index, in plain JavaScript. For each attribute a
//! row of bits per stretch of values; a decision ands the rows of the profile's values.

import { bucket, compareVersions } from "./reference.mjs";

const set = (bits, at) => {
  bits[at >> 5] |= 1 << (at & 31);
};

export class Bitset {
  #keys;
  #limits;
  #full;
  #steps;
  #left;

  /** Offers come from the highest priority down. */
  constructor(offers) {
    this.#keys = offers.map((offer) => offer.key);
    this.#limits = offers.map((offer) => (offer.percent === 100 ? -1 : offer.percent * 100));
    this.#full = new Int32Array((offers.length + 31) >>> 5);
    this.#left = new Int32Array(this.#full.length);
    const byName = new Map();
    for (const [at, offer] of offers.entries()) {
      set(this.#full, at);
      for (const one of offer.predicates) {
        if (!byName.has(one.name)) byName.set(one.name, []);
        byName.get(one.name).push([at, one]);
      }
    }
    this.#steps = [...byName].map(([name, looks]) => this.#step(name, looks));
  }

  #step(name, looks) {
    const free = Int32Array.from(this.#full);
    for (const [at] of looks) free[at >> 5] &= ~(1 << (at & 31));
    const kind = looks[0][1].kind;
    if (kind === "has") return this.#list(name, looks, free);
    if (kind === "contains") return this.#parts(name, looks);
    return kind === "eq" || kind === "in"
      ? this.#values(name, looks, free)
      : this.#stretches(name, looks, free);
  }

  #rows(looks, free, valuesOf) {
    const rows = new Map();
    for (const [at, one] of looks) {
      for (const value of valuesOf(one)) {
        if (!rows.has(value)) rows.set(value, Int32Array.from(free));
        set(rows.get(value), at);
      }
    }
    return rows;
  }

  #list(name, looks, free) {
    const rows = this.#rows(looks, new Int32Array(free.length), (one) => [one.value]);
    const through = new Int32Array(free.length);
    return (profile, left) => {
      through.set(free);
      for (const value of profile[name]) {
        const row = rows.get(value);
        if (row !== undefined) for (let at = 0; at < row.length; at++) through[at] |= row[at];
      }
      for (let at = 0; at < left.length; at++) left[at] &= through[at];
    };
  }

  #parts(name, looks) {
    const rows = [...this.#rows(looks, new Int32Array(this.#full.length), (one) => [one.value])];
    return (profile, left) => {
      for (const [part, row] of rows) {
        if (!profile[name].includes(part)) {
          for (let at = 0; at < left.length; at++) left[at] &= ~row[at];
        }
      }
    };
  }

  #values(name, looks, free) {
    const rows = this.#rows(looks, free, (one) => (one.kind === "eq" ? [one.value] : one.value));
    return (profile, left) => {
      const row = rows.get(profile[name]) ?? free;
      for (let at = 0; at < left.length; at++) left[at] &= row[at];
    };
  }

  #stretches(name, looks, free) {
    const isVersion = looks[0][1].kind === "version";
    const compare = isVersion ? compareVersions : (a, b) => a - b;
    const ends = (one) => (one.kind === "range" ? [one.from, one.until] : [one.value]);
    const cuts = [...new Set(looks.flatMap(([, one]) => ends(one)))].sort(compare);
    const covers = (one, cut) =>
      one.kind === "range" ? cut >= one.from && cut < one.until : compare(cut, one.value) >= 0;
    const rows = [
      free,
      ...cuts.map((cut) => {
        const row = Int32Array.from(free);
        for (const [at, one] of looks) if (covers(one, cut)) set(row, at);
        return row;
      }),
    ];
    return (profile, left) => {
      const value = profile[name];
      let from = 0;
      let until = cuts.length;
      while (from < until) {
        const middle = (from + until) >> 1;
        if (compare(cuts[middle], value) <= 0) from = middle + 1;
        else until = middle;
      }
      const row = rows[from];
      for (let at = 0; at < left.length; at++) left[at] &= row[at];
    };
  }

  topThree(profile) {
    const left = this.#left;
    left.set(this.#full);
    for (const step of this.#steps) step(profile, left);
    const found = [];
    for (let word = 0; word < left.length; word++) {
      let bits = left[word];
      while (bits !== 0) {
        const at = (word << 5) + (31 - Math.clz32(bits & -bits));
        bits &= bits - 1;
        const limit = this.#limits[at];
        if (limit < 0 || bucket(this.#keys[at], profile.id) <= limit) {
          found.push(this.#keys[at]);
          if (found.length === 3) return found;
        }
      }
    }
    return found;
  }
}
