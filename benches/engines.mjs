//! What is measured: Selvedge by its three ways in, and the peers, each with the configuration
//! that a server of its own would ship. An engine is made from offers and gives `prepare(profile)`,
//! which is not timed, and `all` and `early`, which are: `all` evaluates every offer, `early` stops
//! at the third match in the order of priority.

import { readFileSync } from "node:fs";
import { Bitset } from "./bitset.mjs";
import { bucket, compareVersions } from "./reference.mjs";

const BUILD = new URL("../build/evaluator/", import.meta.url);
const PURPOSES = ["store", "profile", "personalise", "measure"];
const NOW_MS = 1_764_000_000_000;
const SILENT = { debug() {}, info() {}, warn() {}, error() {} };

/** The loops that every engine of single flags needs. */
function loops(offers, isOn) {
  const walk = (context, most) => {
    const found = [];
    for (const offer of offers) {
      if (isOn(offer.key, context)) {
        if (found.length < 3) found.push(offer.key);
        if (found.length === most) break;
      }
    }
    return found;
  };
  return {
    all: (context) => walk(context, Number.POSITIVE_INFINITY),
    early: (context) => walk(context, 3),
  };
}

const joined = (list) => `,${list.join(",")},`;

/** Peers without lists look for an entry in a text. */
const withTexts = (profile) => ({
  ...profile,
  segments: joined(profile.segments),
  categories_viewed: joined(profile.categories_viewed),
});

async function selvedge(image) {
  const { Evaluator } = await import(new URL("evaluator.mjs", BUILD));
  return new Evaluator(readFileSync(new URL("core_bg.wasm", BUILD)), readFileSync(image));
}

const contextOf = ({ id, ...traits }) => ({ unit: id, traits, purposes: PURPOSES });

async function selvedgeObject(_offers, image) {
  const evaluator = await selvedge(image);
  const all = (context) => {
    evaluator.hold(0, context);
    return evaluator.winners(0, NOW_MS);
  };
  return { prepare: contextOf, all, early: all };
}

async function selvedgeBytes(_offers, image) {
  const evaluator = await selvedge(image);
  const all = (bytes) => {
    evaluator.holdBytes(0, bytes);
    return evaluator.winners(0, NOW_MS);
  };
  return { prepare: (profile) => evaluator.pack(contextOf(profile)), all, early: all };
}

async function selvedgeResident(_offers, image) {
  const evaluator = await selvedge(image);
  let held = 0;
  const prepare = (profile) => {
    held += 1;
    evaluator.hold(held, contextOf(profile));
    return held;
  };
  const all = (profile) => evaluator.winners(profile, NOW_MS);
  return { prepare, all, early: all, trace: (profile) => evaluator.trace(profile, NOW_MS) };
}

async function bitset(offers) {
  const engine = new Bitset(offers);
  const all = (profile) => engine.topThree(profile);
  return { prepare: (profile) => profile, all, early: all };
}

const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");

function growthbookCondition(one) {
  switch (one.kind) {
    case "eq":
      return one.value;
    case "in":
      return { $in: one.value };
    case "range":
      return { $gte: one.from, $lt: one.until };
    case "gte":
      return { $gte: one.value };
    case "version":
      return { $vgte: one.value };
    case "contains":
      return { $regex: escaped(one.value) };
    default:
      return { $in: [one.value] };
  }
}

async function growthbook(offers) {
  const { GrowthBookClient } = await import("@growthbook/growthbook");
  const rule = (offer) => ({
    condition: Object.fromEntries(
      offer.predicates.map((one) => [one.name, growthbookCondition(one)]),
    ),
    force: true,
    ...(offer.percent < 100 && {
      coverage: offer.percent / 100,
      hashAttribute: "id",
      seed: offer.key,
      hashVersion: 2,
    }),
  });
  const feature = (offer) => [offer.key, { defaultValue: false, rules: [rule(offer)] }];
  const client = new GrowthBookClient();
  client.initSync({ payload: { features: Object.fromEntries(offers.map(feature)) } });
  const { all, early } = loops(offers, (key, scoped) => scoped.isOn(key));
  const scoped = (attributes) => client.createScopedInstance({ attributes });
  return {
    prepare: (profile) => profile,
    all: (profile) => all(scoped(profile)),
    early: (profile) => early(scoped(profile)),
  };
}

function unleashConstraints(one) {
  const of = { contextName: one.name, inverted: false, caseInsensitive: false, values: [] };
  switch (one.kind) {
    case "eq":
      return [{ ...of, operator: "IN", values: [String(one.value)] }];
    case "in":
      return [{ ...of, operator: "IN", values: one.value }];
    case "range":
      return [
        { ...of, operator: "NUM_GTE", value: String(one.from) },
        { ...of, operator: "NUM_LT", value: String(one.until) },
      ];
    case "gte":
      return [{ ...of, operator: "NUM_GTE", value: String(one.value) }];
    case "version":
      return [{ ...of, operator: "SEMVER_LT", inverted: true, value: one.value }];
    default: {
      const value = one.kind === "has" ? `,${one.value},` : one.value;
      return [{ ...of, operator: "STR_CONTAINS", values: [value] }];
    }
  }
}

async function unleash(offers) {
  const { Unleash, InMemStorageProvider } = await import("unleash-client");
  const feature = (offer) => ({
    name: offer.key,
    type: "release",
    enabled: true,
    project: "default",
    stale: false,
    impressionData: false,
    variants: [],
    strategies: [
      {
        name: "flexibleRollout",
        parameters: { rollout: String(offer.percent), stickiness: "userId", groupId: offer.key },
        constraints: offer.predicates.flatMap(unleashConstraints),
        variants: [],
      },
    ],
  });
  const client = new Unleash({
    appName: "bench",
    url: "http://127.0.0.1:1/api",
    bootstrap: { data: offers.map(feature) },
    bootstrapOverride: true,
    refreshInterval: 0,
    disableMetrics: true,
    metricsInterval: 0,
    storageProvider: new InMemStorageProvider(),
    skipInstanceCountWarning: true,
    disableAutoStart: true,
  });
  client.on("error", () => {});
  client.on("warn", () => {});
  await client.repository.loadBootstrap();
  client.repository.emit("ready");
  client.ready = true;
  const prepare = (profile) => {
    const texts = Object.entries(withTexts(profile)).map(([name, value]) => [name, String(value)]);
    return { userId: profile.id, properties: Object.fromEntries(texts) };
  };
  return { prepare, ...loops(offers, (key, context) => client.isEnabled(key, context)) };
}

function logic(one) {
  const value = { var: one.name };
  switch (one.kind) {
    case "eq":
      return [{ "===": [value, one.value] }];
    case "in":
      return [{ in: [value, one.value] }];
    case "range":
      return [{ ">=": [value, one.from] }, { "<": [value, one.until] }];
    case "gte":
      return [{ ">=": [value, one.value] }];
    case "version":
      return [{ version_gte: [value, one.value] }];
    default:
      return [{ in: [one.value, value] }];
  }
}

/** Compiled by `new Function`, which Cloudflare's workers forbid. */
async function jsonLogicEngine(offers) {
  const { LogicEngine } = await import("json-logic-engine");
  const engine = new LogicEngine();
  const of = { deterministic: true, sync: true };
  engine.addMethod("version_gte", ([a, b]) => compareVersions(a, b) >= 0, of);
  engine.addMethod("rollout", ([id, key, most]) => bucket(key, id) <= most, of);
  const rules = new Map(
    offers.map((offer) => {
      const all = offer.predicates.flatMap(logic);
      if (offer.percent < 100)
        all.push({ rollout: [{ var: "id" }, offer.key, offer.percent * 100] });
      return [offer.key, engine.build({ and: all })];
    }),
  );
  const prepare = (profile) => profile;
  return { prepare, ...loops(offers, (key, profile) => rules.get(key)(profile)) };
}

async function flagd(offers) {
  const { FlagdCore } = await import("@openfeature/flagd-core");
  const condition = (one) => {
    if (one.kind === "version") return [{ sem_ver: [{ var: one.name }, ">=", one.value] }];
    return logic(one);
  };
  const flag = (offer) => {
    const { percent, predicates } = offer;
    const seed = { cat: [{ var: "$flagd.flagKey" }, { var: "targetingKey" }] };
    const part = { fractional: [seed, ["on", percent], ["off", 100 - percent]] };
    const when = { and: predicates.flatMap(condition) };
    const targeting = { if: [when, percent === 100 ? "on" : part, "off"] };
    const variants = { on: true, off: false };
    return [offer.key, { state: "ENABLED", variants, defaultVariant: "off", targeting }];
  };
  const core = new FlagdCore(undefined, SILENT);
  core.setConfigurations(JSON.stringify({ flags: Object.fromEntries(offers.map(flag)) }));
  const isOn = (key, context) => core.resolveBooleanEvaluation(key, false, context, SILENT).value;
  return {
    prepare: (profile) => ({ targetingKey: profile.id, ...profile }),
    ...loops(offers, isOn),
  };
}

/** `ownHash`: rollouts by another hash, so that it is compared on offers that reach everybody. */
export const ENGINES = {
  resident: { make: selvedgeResident, ours: true },
  object: { make: selvedgeObject, ours: true },
  bytes: { make: selvedgeBytes, ours: true },
  bitset: { make: bitset },
  growthbook: { make: growthbook },
  unleash: { make: unleash, ownHash: true },
  "json-logic-engine": { make: jsonLogicEngine },
  flagd: { make: flagd, ownHash: true },
};
