//! Holds the committed conformance cases of CEL to the package that carries them: every case of
//! every file that we take, word for word, and every other file named as left out.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { tests as suite } from "@bufbuild/cel-spec/testdata/conformance.js";

const committed = JSON.parse(
  readFileSync(new URL("../vectors/cel_conformance.json", import.meta.url), "utf8"),
);
/** What tests a part of CEL that the subset has not; tests/vectors/README.md says which. */
const LEFT_OUT = [
  ["bindings_ext", "block_ext", "encoders_ext", "macros2", "math_ext", "optionals", "string_ext"],
  ["dynamic", "enums", "proto2", "proto2_ext", "proto3", "wrappers"],
  ["unknowns"],
].flat();

/** As the file writes a case: without the prose, and doubles as text, since JSON has no NaN. */
function written(value, key) {
  if (key === "doubleValue") return Object.is(value, -0) ? "-0" : String(value);
  if (Array.isArray(value)) return value.map((entry) => written(entry));
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([name, of]) => [name, written(of, name)]));
}

function* cases(part, path) {
  for (const { original } of part.tests ?? []) {
    const { name, description, ...rest } = original;
    yield written({ name: [...path, name].join("/"), ...rest });
  }
  for (const inner of part.suites ?? []) yield* cases(inner, [...path, inner.name]);
}

test("the committed cases are those of cel-spec, whole and unaltered", () => {
  const taken = suite.suites.filter((file) => !LEFT_OUT.includes(file.name));
  const wanted = taken.flatMap((file) => [...cases(file, [file.name])]);
  assert.deepEqual(
    committed.map((known) => known.name),
    wanted.map((known) => known.name),
  );
  for (const [at, known] of committed.entries()) assert.deepEqual(known, wanted[at], known.name);
});

test("every file of cel-spec is taken or left out by name, and none is both", () => {
  const taken = new Set(committed.map((known) => known.name.split("/")[0]));
  const all = suite.suites.map((file) => file.name);
  assert.deepEqual([...taken, ...LEFT_OUT].sort(), all.sort());
});
