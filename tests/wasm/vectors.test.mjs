//! The vectors through the core as Wasm, in Node: the same files that the native tests read, and
//! the same expectations.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const ROOT = new URL("../../", import.meta.url);
const core = await import(new URL("build/replay/core.js", ROOT).href);
core.initSync({ module: readFileSync(new URL("build/replay/core_bg.wasm", ROOT)) });

function vectors(name) {
  return JSON.parse(readFileSync(new URL(`tests/vectors/${name}`, ROOT), "utf8"));
}

function near(found, wanted) {
  assert.equal(found.length, wanted.length);
  for (const [at, value] of found.entries()) assert.ok(Math.abs(value - wanted[at]) < 1e-6);
}

function meets(expected, found) {
  if (typeof expected.error === "string") {
    assert.equal(found.error.code, expected.error);
    assert.equal(typeof found.error.at, "number");
    return;
  }
  const sections = Object.values(expected);
  if (!sections.some((section) => section?.error !== undefined)) {
    assert.deepEqual(found, expected);
    return;
  }
  assert.deepEqual(Object.keys(found).sort(), Object.keys(expected).sort());
  for (const name of Object.keys(expected)) meets(expected[name], found[name]);
}

test("every public consent string decodes as told", () => {
  const all = vectors("consent_strings.json");
  const exceptions = new Map(
    vectors("consent_exceptions.json").map((exception) => [exception.string, exception]),
  );
  assert.equal(all.length, 130);
  for (const vector of all) {
    const found = JSON.parse(core.decodeConsent(vector.string));
    const exception = exceptions.get(vector.string);
    if (exception) {
      meets(exception.expect, found);
      continue;
    }
    const oracle =
      vector.kind === "gpp" ? vector["oracle_iabgpp_3.2.0"] : vector["oracle_iabtechlabtcf_1.5.21"];
    if (typeof oracle === "string" || oracle.rejects !== undefined) {
      assert.notEqual(found.error, undefined, vector.string);
    } else {
      assert.deepEqual(found, oracle, vector.string);
    }
  }
});

test("every situation of consent is answered as told", () => {
  const situations = vectors("consent_gate.json");
  assert.ok(situations.length > 10);
  for (const { situation, given, expect } of situations) {
    assert.deepEqual(JSON.parse(core.answerGate(JSON.stringify(given))), expect, situation);
  }
  assert.throws(() => core.answerGate('{"regoin":"DE"}'), /bad_shape/);
});

test("experiments are bucketed as GrowthBook's cases tell", () => {
  const cases = vectors("growthbook_bucketing.json");
  for (const [seed, value, version, wanted] of cases.hash) {
    assert.equal(core.bucketHash(seed, value, version) ?? null, wanted);
  }
  for (const [, [count, coverage, weights], wanted] of cases.getBucketRange) {
    const given = weights === null ? undefined : new Float64Array(weights);
    near([...core.bucketRanges(count, coverage, given)], wanted.flat());
  }
  for (const [, at, ranges, wanted] of cases.chooseVariation) {
    assert.equal(core.chooseVariant(at, new Float64Array(ranges.flat())) ?? -1, wanted);
  }
  for (const [, unit, [name, from, until], wanted] of cases.inNamespace) {
    assert.equal(core.inNamespace(unit, name, from, until), wanted);
  }
});

test("hostile consent strings end in an error, never in a trap", () => {
  for (const text of ["", "C", "A".repeat(1_000_000), `DB${"~".repeat(5_000)}`, "1YN\u0000", "ü"]) {
    const { code, at } = JSON.parse(core.decodeConsent(text)).error;
    assert.match(code, /^[a-z_]+$/);
    assert.ok(at >= 0);
  }
});
