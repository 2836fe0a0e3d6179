//! What a step claims and whether it holds. A claim that does not hold ends the story with its own
//! sentence. It must never know what the claims are about.

import { inspect } from "node:util";

/** A sentence that turned out not to be true, and what was seen instead. */
export class Unproven extends Error {
  constructor(sentence, seen) {
    super(sentence);
    this.name = "Unproven";
    this.seen = seen;
  }
}

/** One step: its sentences in the order in which they were proved, and how long things took. */
export class Step {
  proven = [];
  timings = [];
  /** The page to take a picture of, once the step is done. */
  page = null;
  /** Further pictures: `{name, bytes}`. */
  pictures = [];

  constructor(title) {
    this.title = title;
  }

  /** `holds` is whether the sentence is true, `seen` what was seen, for when it is not. */
  prove(sentence, holds, seen) {
    if (holds !== true) throw new Unproven(sentence, describe(seen));
    this.proven.push(sentence);
  }

  /** As `prove`, for values that must be equal in all their parts. */
  proveEqual(sentence, value, wanted) {
    const [left, right] = [value, wanted].map((one) => JSON.stringify(sorted(one)));
    this.prove(sentence, left === right, `seen ${left}, wanted ${right}`);
  }

  time(name, ms) {
    this.timings.push({ name, ms: Math.round(ms * 1_000) / 1_000 });
  }
}

function sorted(value) {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, one]) => [key, sorted(one)]));
}

function describe(seen) {
  if (typeof seen === "string") return seen;
  return seen === undefined ? "" : inspect(seen, { depth: 6, breakLength: 100 });
}
