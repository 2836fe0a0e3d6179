//! The evaluator for servers, in Node: its answers are those of the plainest reference, by every
//! way in, and what is wrong is said.

import assert from "node:assert/strict";
import test from "node:test";
import { topThree } from "../../benches/reference.mjs";
import { offers, profiles } from "../../benches/workload.mjs";
import { workspace } from "../../benches/workspace.mjs";
import { Evaluator } from "../../build/evaluator/evaluator.mjs";
import { compile, contextOf, NOW, PURPOSES, wasm } from "./compile.mjs";

test("objects, bytes and held profiles decide as the reference does", () => {
  for (const count of [10, 100, 1_500]) {
    const all = offers(count);
    const crowd = profiles(300);
    const evaluator = new Evaluator(wasm, compile(workspace(all, crowd[0])));
    for (const [at, profile] of crowd.entries()) {
      const wanted = topThree(all, profile);
      const context = contextOf(profile);
      evaluator.hold(at + 1, context);
      const decided = evaluator.decide(context, NOW);
      assert.deepEqual(
        decided.flatMap((one) => one.offer ?? []),
        wanted,
      );
      assert.ok(decided.every((one) => one.reason === (one.offer ? "won" : "no_offer")));
      evaluator.holdBytes(0, evaluator.pack(context));
      assert.deepEqual(evaluator.winners(0, NOW), wanted);
    }
    for (const [at, profile] of crowd.entries()) {
      assert.deepEqual(evaluator.winners(at + 1, NOW), topThree(all, profile));
    }
  }
});

test("a trace has one reason for each offer, and one winner at most", () => {
  const all = offers(200);
  const evaluator = new Evaluator(wasm, compile(workspace(all, profiles(1)[0])));
  for (const profile of profiles(100)) {
    evaluator.hold(0, contextOf(profile));
    const wanted = topThree(all, profile);
    const traces = evaluator.trace(0, NOW);
    for (const [at, codes] of traces.entries()) {
      const words = [...codes].map((code) => evaluator.codeWord(code));
      assert.equal(words.length, all.length);
      const won = words.flatMap((word, place) => (word === "won" ? all[place].key : []));
      assert.deepEqual(won, wanted.slice(at, at + 1));
      const taken = words.flatMap((word, place) =>
        word === "on_page_already" ? all[place].key : [],
      );
      assert.deepEqual(taken, wanted.slice(0, at));
    }
  }
});

test("traces that are kept stay as they are, whatever is traced behind them", () => {
  // Nearly nothing, a part of what traces share, and more than that.
  for (const [count, more] of [
    [3, 0],
    [500, 0],
    [2_100, 13],
  ]) {
    const all = offers(count);
    const source = workspace(all, profiles(1)[0]);
    const names = Array.from({ length: more }, (_, at) => `more_${at}`);
    for (const name of names) source.placements[name] = { where: "page" };
    for (const offer of Object.values(source.offers)) offer.placements.push(...names);
    const evaluator = new Evaluator(wasm, compile(source));
    const kept = profiles(60).map((profile) => {
      evaluator.hold(0, contextOf(profile));
      const traces = evaluator.trace(0, NOW);
      return { traces, before: traces.map((codes) => codes.slice()) };
    });
    for (const { traces, before } of kept) {
      assert.deepEqual(traces, before);
      assert.deepEqual(new Set(traces.map((codes) => codes.length)), new Set([count]));
    }
  }
});

test("the first questions, which no index answers, are answered alike", () => {
  const all = offers(300);
  const image = compile(workspace(all, profiles(1)[0]));
  const warm = new Evaluator(wasm, image);
  const crowd = profiles(60).map(contextOf);
  const told = (evaluator, context) => {
    evaluator.hold(1, context);
    const words = (codes) => [...codes].map((code) => evaluator.codeWord(code));
    return [evaluator.winners(1, NOW), evaluator.trace(1, NOW).map(words)];
  };
  // The second half by the index, which the sixteenth question builds.
  const late = crowd.map((context) => told(warm, context));
  for (const [at, context] of crowd.entries()) {
    assert.deepEqual(told(new Evaluator(wasm, image), context), late[at]);
  }
});

test("a purpose that is not listed is denied", () => {
  const all = offers(50);
  const evaluator = new Evaluator(wasm, compile(workspace(all, profiles(1)[0])));
  for (const profile of profiles(50)) {
    const context = { ...contextOf(profile), purposes: ["store", "profile", "measure"] };
    assert.ok(evaluator.decide(context, NOW).every((one) => one.offer === null));
    evaluator.hold(0, context);
    const words = [...evaluator.trace(0, NOW)[0]].map((code) => evaluator.codeWord(code));
    assert.ok(words.every((word) => word === "no_consent"));
  }
});

test("texts beyond ASCII, times and variants cross", () => {
  const evaluator = new Evaluator(
    wasm,
    compile({
      format: 1,
      languages: ["en"],
      traits: { city: { type: "string" }, since: { type: "timestamp" }, tags: { type: "strings" } },
      placements: { tip: { where: "page" } },
      experiments: { copy: { variants: ["plain", "warm"], weights: [0, 1] } },
      offers: {
        local: {
          placements: ["tip"],
          experiment: "copy",
          when:
            "profile.city == 'Köln ❤' && profile.since > timestamp('2025-01-01T00:00:00Z') && " +
            "'ü' in profile.tags && request.path.startsWith('/é')",
          content: { en: { headline: "Hello" } },
        },
      },
    }),
  );
  const context = {
    unit: "u-1",
    traits: { city: "Köln ❤", since: new Date("2025-06-01"), tags: ["a", "ü"] },
    request: { path: "/été" },
    purposes: ["store", "profile", "personalise"],
  };
  const [said] = evaluator.decide(context, NOW);
  assert.deepEqual(said, { placement: "tip", offer: "local", variant: "warm", reason: "won" });
  const earlier = { ...context.traits, since: "2024-06-01T00:00:00Z" };
  assert.equal(evaluator.decide({ ...context, traits: earlier }, NOW)[0].offer, null);
  assert.equal(evaluator.decide({ ...context, request: {} }, NOW)[0].offer, null);
});

test("the order of traits does not matter, and of the profile before nothing stays", () => {
  const evaluator = new Evaluator(wasm, compile(workspace(offers(100), profiles(1)[0])));
  const [{ id: unit, ...first }, { id: _, ...second }] = profiles(2);
  const pack = (traits) => evaluator.pack({ unit, traits, purposes: PURPOSES });
  const turned = (traits) => Object.fromEntries(Object.entries(traits).reverse());
  const [wanted, other, none] = [pack(first), pack(second), pack({})];
  assert.notDeepEqual(wanted, other);
  for (const traits of [turned(first), { unknown: 1, ...first }, first, turned(first)]) {
    assert.deepEqual(pack(traits), wanted);
    assert.deepEqual(pack(second), other);
    assert.deepEqual(pack({}), none);
  }
  const tooLong = { ...first, app_version: "x".repeat(2_000_000) };
  assert.throws(() => pack(tooLong), /too large/);
  assert.deepEqual(pack({}), none);
});

test("texts and lists of any length that a profile may have cross", () => {
  const compiled = compile({
    format: 1,
    languages: ["en"],
    traits: { tags: { type: "strings" }, name: { type: "string" }, zone: { type: "string" } },
    placements: { tip: { where: "page" } },
    offers: {
      tagged: {
        placements: ["tip"],
        when: "'last' in profile.tags && profile.name.endsWith('!') && profile.zone == 'z'",
        content: { en: { headline: "Hello" } },
      },
    },
  });
  const lengths = [1, 126, 127, 128, 5_000, 16_200, 16_384, 40_000];
  // Around those whose three bytes each fill the first input.
  for (let length = 5_400; length < 5_470; length++) lengths.push(length);
  for (const length of lengths) {
    const evaluator = new Evaluator(wasm, compiled);
    for (const [tag, count] of [
      ["❤".repeat(length), 2],
      ["t", length],
    ]) {
      const tags = [...Array.from({ length: count }, () => tag), "last"];
      const traits = { tags, name: `${"❤".repeat(length)}!`, zone: "z" };
      const said = evaluator.decide({ unit: "u", traits, purposes: PURPOSES }, NOW);
      assert.equal(said[0].offer, "tagged", `${count} tags of ${tag.length} characters`);
    }
  }
});

test("what follows a text that fills the input has room", () => {
  const numbers = Array.from({ length: 40 }, (_, at) => `n${at}`);
  const compiled = compile({
    format: 1,
    languages: ["en"],
    traits: {
      a: { type: "string" },
      ...Object.fromEntries(numbers.map((name) => [name, { type: "int" }])),
    },
    placements: { tip: { where: "page" } },
    offers: {
      all: {
        placements: ["tip"],
        when: ["profile.a.endsWith('!')", ...numbers.map((name) => `profile.${name} > 5`)].join(
          " && ",
        ),
        content: { en: { headline: "Hello" } },
      },
    },
  });
  const values = Object.fromEntries(numbers.map((name) => [name, 2 ** 50]));
  for (let length = 5_350; length < 5_460; length++) {
    const evaluator = new Evaluator(wasm, compiled);
    const traits = { a: `${"❤".repeat(length)}!`, ...values };
    const said = evaluator.decide({ unit: "u", traits, purposes: PURPOSES }, NOW);
    assert.equal(said[0].offer, "all", `${length} characters`);
  }
});

test("more texts than are remembered decide alike, and lists with what is no text", () => {
  const evaluator = new Evaluator(
    wasm,
    compile({
      format: 1,
      languages: ["en"],
      traits: { city: { type: "string" }, tags: { type: "strings" } },
      placements: { tip: { where: "page" } },
      offers: {
        here: {
          placements: ["tip"],
          when: "profile.city in ['Köln ❤', 'c599', ''] || 'ü' in profile.tags",
          content: { en: { headline: "Hello" } },
        },
      },
    }),
  );
  const wins = (traits) =>
    evaluator.decide({ unit: "u", traits, purposes: PURPOSES }, NOW)[0].offer === "here";
  const many = Array.from({ length: 100 }, (_, at) => `t${at}`);
  for (let at = 0; at < 600; at++) {
    const named = { city: `c${at}`, tags: [`t${at}`, "x"] };
    assert.equal(wins(named), at === 599, named.city);
    assert.ok(wins({ ...named, city: "Köln ❤" }));
    assert.ok(wins({ ...named, city: "" }));
    assert.ok(wins({ ...named, tags: ["x", "ü"] }));
    assert.ok(wins({ tags: ["ü", 1, true] }));
    assert.ok(!wins({ city: at, tags: [at, "x"] }));
    assert.ok(!wins({ city: "c".repeat(at + 5), tags: many }));
    assert.ok(wins({ tags: [...many, "ü"] }));
    assert.ok(!wins({ tags: [] }));
    assert.ok(!wins({}));
  }
});

test("a workspace without placements decides nothing and explains nothing", () => {
  const source = { format: 1, languages: ["en"], traits: { city: { type: "string" } } };
  const evaluator = new Evaluator(wasm, compile(source));
  const context = { unit: "u", traits: { city: "x" }, purposes: PURPOSES };
  for (let at = 0; at < 40; at++) {
    assert.deepEqual(evaluator.decide(context, NOW), []);
    assert.deepEqual(evaluator.trace(0, NOW), []);
  }
});

test("evaluators of several workspaces stand side by side", () => {
  const [all, crowd] = [offers(200), profiles(60)];
  const module = new WebAssembly.Module(wasm);
  const counts = [20, 60, 200];
  const several = counts.map((count) => {
    return new Evaluator(module, compile(workspace(all.slice(0, count), crowd[0])));
  });
  for (const profile of crowd) {
    for (const evaluator of several) evaluator.hold(1, contextOf(profile));
    for (const [at, evaluator] of several.entries()) {
      assert.deepEqual(evaluator.winners(1, NOW), topThree(all.slice(0, counts[at]), profile));
    }
  }
});

test("what offers say is not in an evaluator's file", () => {
  const source = workspace(offers(5), profiles(1)[0]);
  for (const offer of Object.values(source.offers)) offer.content = { en: { headline: "Psst" } };
  assert.ok(JSON.stringify(source).includes("Psst"));
  assert.ok(!compile(source).includes("Psst"));
});

test("what is no image, no profile or not held is said", () => {
  const image = compile(workspace(offers(10), profiles(1)[0]));
  const names = 4 + image.readUInt32LE(0);
  const none = [
    image.subarray(0, 0),
    image.subarray(0, 3),
    image.subarray(0, 100),
    image.subarray(0, names),
    image.subarray(names),
    image.subarray(0, image.length - 1),
    Buffer.concat([image, Buffer.from("x")]),
    Buffer.from(image.toString("latin1").replace('"format":1', '"format":2'), "latin1"),
    Buffer.from(image.toString("latin1").replace('"format"', "?format?"), "latin1"),
    Buffer.alloc(image.length, 0xff),
    Buffer.alloc(image.length),
  ];
  for (const [at, bytes] of none.entries()) {
    assert.throws(() => new Evaluator(wasm, bytes), /no workspace image/, `case ${at}`);
  }
  const evaluator = new Evaluator(wasm, image);
  assert.throws(() => evaluator.holdBytes(0, new Uint8Array([1, 2, 3])), /no profile/);
  assert.throws(() => evaluator.winners(0, NOW), /no profile is held under 0/);
  assert.throws(() => evaluator.winners(9, NOW), /no profile is held under 9/);
  const long = { ...contextOf(profiles(1)[0]), unit: "x".repeat(2_000_000) };
  assert.throws(() => evaluator.decide(long, NOW), /too large/);
  assert.equal(evaluator.decide(contextOf(profiles(1)[0]), NOW).length, 3);
});
