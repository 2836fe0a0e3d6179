// OpenFeature's Remote Evaluation Protocol on the real worker: every answer is held against the
// official OpenAPI document, and the real providers ask.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { OFREPProvider } from "@openfeature/ofrep-provider";
import { OFREPWebProvider } from "@openfeature/ofrep-web-provider";
import { OpenFeature } from "@openfeature/server-sdk";
import { OpenFeature as WebOpenFeature } from "@openfeature/web-sdk";
import Ajv from "ajv/dist/2020.js";
import { parse } from "yaml";
import { Browser, KEYS, publish, send, startEdge, traits, until } from "./edge.mjs";

const FLAGS = "/_selvedge/ofrep/v1/evaluate/flags";
const bearer = { authorization: `Bearer ${KEYS.write}` };
const consent = ["store", "profile", "personalise"];
const gold = { targetingKey: "someone", tier: "gold", consent };

const content = (headline) => ({ en: { headline }, de: { headline: `${headline} (de)` } });
const WORKSPACE = {
  format: 1,
  languages: ["en", "de"],
  consent: { banner: "test-1" },
  traits: { tier: { type: "string" }, first_name: { type: "string", public: true } },
  placements: {
    hero: { where: "edge" },
    side: { where: "edge" },
    tip: { where: "page" },
    empty: { where: "page" },
  },
  experiments: { copy: { variants: ["control", "short"] } },
  offers: {
    vip: {
      placements: ["hero", "tip"],
      when: "profile.tier == 'gold'",
      purpose: "personalise",
      priority: 9,
      content: content("For {{profile.first_name|you}}"),
    },
    known: {
      placements: ["hero"],
      purpose: "personalise",
      assurance: "recognised",
      priority: 10,
      content: content("Welcome back"),
    },
    welcome: { placements: ["hero"], purpose: null, priority: 1, content: content("Welcome") },
    words: {
      placements: ["side"],
      purpose: "personalise",
      experiment: "copy",
      variants: { short: content("Short") },
      content: content("Long"),
    },
  },
};

let edge;
let document;
let ajv;

before(async () => {
  const file = new URL("../vectors/ofrep_openapi.yaml", import.meta.url);
  document = parse(await readFile(file, "utf8"));
  // What OpenAPI adds to JSON Schema is not checked as one; `properties` stand without a `type`.
  ajv = new Ajv({ strict: false, allErrors: true });
  ajv.addSchema(document, "ofrep");
  edge = await startEdge();
  const answer = await publish(edge, JSON.stringify(WORKSPACE));
  assert.equal(answer.status, 200, answer.text);
});

after(() => edge?.stop());

/** Holds an answer against what the document says of this path and status. */
function conforms(answer, single) {
  const path = single ? "/ofrep/v1/evaluate/flags/{key}" : "/ofrep/v1/evaluate/flags";
  const said = document.paths[path].post.responses[answer.status];
  assert.equal(answer.headers["cache-control"], "private, no-store");
  if (!said) {
    assert.ok([405, 503].includes(answer.status), `${answer.status} is not in the document`);
    return answer;
  }
  if (answer.status === 304) {
    assert.equal(answer.text, "");
    return answer;
  }
  assert.match(answer.headers["content-type"], /^application\/json/);
  if (!said.content) return answer;
  const reference = said.content["application/json"].schema.$ref;
  const validate = ajv.getSchema(`ofrep${reference}`);
  assert.ok(validate(answer.json), `${answer.text}\n${JSON.stringify(validate.errors)}`);
  return answer;
}

async function ask(context, { key, headers = bearer, body = { context } } = {}) {
  const path = key === undefined ? FLAGS : `${FLAGS}/${key}`;
  return conforms(await send(edge, "POST", path, { headers, body }), key !== undefined);
}

const of = (answer, key) => answer.json.flags.find((flag) => flag.key === key);

test("the validator refuses what the document refuses", () => {
  const validate = ajv.getSchema("ofrep#/components/schemas/bulkEvaluationSuccess");
  assert.ok(validate({ flags: [{ key: "a", value: {}, metadata: { a: "b" } }] }));
  assert.ok(!validate({ flags: [{ key: "a" }] }));
  assert.ok(!validate({ flags: [{ key: "a", value: {}, metadata: { a: {} } }] }));
  assert.ok(!validate({}));
});

test("a placement is a flag, its offer the variant, its content the value", async () => {
  const answer = await ask(gold, { key: "hero" });
  const { metadata, ...rest } = answer.json;
  const expected = { headline: "For you" };
  assert.deepEqual(rest, {
    key: "hero",
    value: expected,
    variant: "vip",
    reason: "TARGETING_MATCH",
  });
  assert.match(metadata.decision, /^[0-9a-f]{32}$/);
  assert.match(metadata.workspace, /^[0-9a-f]{16}$/);
  assert.deepEqual([metadata.offer, metadata.language], ["vip", "en"]);

  const all = await ask(gold);
  assert.deepEqual(all.json.flags.map((flag) => flag.key).sort(), ["empty", "hero", "side", "tip"]);
  assert.match(of(all, "side").variant, /^words:(control|short)$/);
  assert.equal(of(all, "side").reason, "SPLIT");
  assert.deepEqual([of(all, "empty").reason, of(all, "empty").value], ["DISABLED", {}]);
  // One page shows no offer twice; a flag that is asked for alone is decided alone.
  assert.deepEqual([of(all, "tip").reason, of(all, "tip").variant], ["DEFAULT", undefined]);
  assert.equal((await ask(gold, { key: "tip" })).json.variant, "vip");
});

test("the targeting key alone decides on variants, and one key always the same", async () => {
  const seen = new Set();
  for (let nth = 0; nth < 40; nth += 1) {
    const named = { ...gold, targetingKey: `person-${nth}` };
    const first = await ask(named, { key: "side" });
    seen.add(first.json.variant);
    if (nth % 8 === 0) {
      const again = await ask({ ...named, tier: "x" }, { key: "side" });
      assert.equal(again.json.variant, first.json.variant);
    }
  }
  assert.deepEqual([...seen].sort(), ["words:control", "words:short"]);

  const nobody = { consent };
  const refused = await ask(nobody, { key: "side" });
  assert.deepEqual([refused.status, refused.json.errorCode], [400, "TARGETING_KEY_MISSING"]);
  const all = await ask(nobody);
  assert.equal(of(all, "side").errorCode, "TARGETING_KEY_MISSING");
  assert.equal(of(all, "hero").variant, "welcome");
});

test("without consent that the caller vouches for nothing personal decides", async () => {
  const less = [undefined, [], ["personalise"], ["store", "profile", "measure"]];
  for (const words of less) {
    const answer = await ask({ ...gold, consent: words });
    assert.equal(of(answer, "hero").variant, "welcome");
    assert.deepEqual(of(answer, "side").value, {});
  }
  // Where the server stands is no word of the visitor's, and neither is a claimed country.
  const american = { ...gold, consent: [], request: { country: "US", subdivision: "NY" } };
  assert.equal(of(await ask(american), "hero").variant, "welcome");
});

test("fields of the request are read from `request`", async () => {
  const german = await ask({ ...gold, request: { language: "de-AT" } }, { key: "hero" });
  assert.deepEqual(german.json.value, { headline: "For you (de)" });
  for (const request of [{ pth: "/" }, { path: 7 }, [], { path: "x".repeat(2_000) }]) {
    const refused = await ask({ request }, { key: "hero" });
    assert.deepEqual([refused.status, refused.json.errorCode], [400, "INVALID_CONTEXT"]);
  }
});

test("a write key reads no profile: known and unknown people give the same bytes", async () => {
  const browser = new Browser(edge);
  await browser.allowAll();
  const known = { tier: { String: "gold" }, first_name: { String: "Ada" } };
  edge.central.changes = (person) => [traits(person, known)];
  assert.equal((await browser.login("customer-1")).status, 200);
  const own = await until(async () => {
    const answer = await browser.post("/ofrep/v1/evaluate/flags", { context: {} });
    return of(conforms(answer, false), "tip").variant && answer;
  }, "the edge knows the customer's traits");
  assert.equal(of(own, "hero").variant, "known");
  assert.deepEqual(of(own, "tip").value, { headline: "For Ada" });

  const strip = (answer) => answer.text.replaceAll(/"decision":"[0-9a-f]+"/g, "");
  const ofKey = async (targetingKey, headers = bearer) => {
    const body = { context: { targetingKey } };
    const answer = await send(edge, "POST", FLAGS, { headers, body });
    assert.equal(answer.headers["set-cookie"], undefined);
    return strip(answer);
  };
  const unknown = await ofKey("customer-0");
  assert.equal(await ofKey("customer-1"), unknown);
  // The key speaks for the server, also where a visitor's cookie comes along.
  const both = { ...bearer, cookie: `__Host-selvedge=${browser.cookie}` };
  assert.equal(await ofKey("customer-1", both), unknown);
});

test("a visitor gets what `v1/decide` gives, whoever the context names", async () => {
  const browser = new Browser(edge);
  const claimed = { context: { ...gold, targetingKey: "customer-1" } };
  const silent = await browser.post("/ofrep/v1/evaluate/flags", claimed);
  conforms(silent, false);
  assert.equal(of(silent, "hero").variant, "welcome");
  assert.equal(silent.headers["set-cookie"], undefined);
  const asked = { placements: ["hero"], context: { language: "de" } };
  const decided = (await browser.post("/v1/decide", asked)).json.decisions[0];
  const flag = (
    await browser.post("/ofrep/v1/evaluate/flags/hero", {
      context: { request: { language: "de" } },
    })
  ).json;
  assert.equal(flag.variant, decided.offer);
  assert.equal(flag.value.headline, decided.content[0].text);
});

test("the same answer has the same tag, and is not sent again", async () => {
  const first = await ask(gold);
  const { etag } = first.headers;
  assert.match(etag, /^W\/"[0-9a-f]{32}"$/);
  const with_ = (tag) => ask(gold, { headers: { ...bearer, "if-none-match": tag } });
  for (const tag of [etag, etag.slice(2), `"x", ${etag}`, "*"]) {
    const again = await with_(tag);
    assert.deepEqual([again.status, again.headers.etag], [304, etag]);
  }
  assert.equal((await with_('W/"0"')).status, 200);
  const other = { ...gold, tier: "silver" };
  const changed = await ask(other, { headers: { ...bearer, "if-none-match": etag } });
  assert.equal(changed.status, 200);
  assert.notEqual(changed.headers.etag, etag);
});

test("who may not ask is told so", async () => {
  const status = async (headers) => (await ask({}, { headers })).status;
  assert.equal(await status({}), 401);
  assert.equal(await status({ authorization: "Bearer wrong" }), 401);
  assert.equal(await status({ authorization: `Bearer ${KEYS.admin}` }), 401);
  assert.equal(await status({ "x-api-key": KEYS.write }), 200);
  assert.equal(await status({ "x-api-key": "wrong", origin: edge.url.origin }), 401);
  assert.equal(await status({ origin: "https://elsewhere.example" }), 403);
});

test("bad input is refused with a code, and never breaks anything", async () => {
  const raw = async (body, headers = {}) =>
    conforms(
      await send(edge, "POST", `${FLAGS}/hero`, {
        headers: { ...bearer, "content-type": "application/json", ...headers },
        body,
        raw: true,
      }),
      true,
    );
  const deep = `{"context":{"a":${"[".repeat(500)}${"]".repeat(500)}}}`;
  for (const body of [
    "",
    "{",
    "[]",
    "null",
    '"x"',
    deep,
    `{"context":{"a":"${"x".repeat(20_000)}"}}`,
  ]) {
    const answer = await raw(body);
    assert.deepEqual(
      [answer.status, answer.json.errorCode, answer.json.key],
      [400, "PARSE_ERROR", "hero"],
    );
  }
  assert.equal((await raw("{}", { "content-type": "text/plain" })).json.errorCode, "PARSE_ERROR");
  const many = Object.fromEntries(Array.from({ length: 300 }, (_, nth) => [`a${nth}`, nth]));
  for (const context of [
    null,
    [],
    "x",
    many,
    { targetingKey: 7 },
    { targetingKey: "x".repeat(300) },
    { consent: "personalise" },
    { consent: ["marketing"] },
    { tier: { a: 1 } },
    { tier: [[1]] },
    { tier: "x".repeat(5_000) },
  ]) {
    const answer = await ask(context, { key: "hero" });
    assert.deepEqual([answer.status, answer.json.errorCode], [400, "INVALID_CONTEXT"], answer.text);
    assert.ok(answer.json.errorDetails && answer.json.code, answer.text);
    assert.equal((await ask(context)).json.errorCode, "INVALID_CONTEXT");
  }
  const proto = await raw(
    '{"context":{"__proto__":{"tier":"gold"},"constructor":1},"__proto__":1}',
  );
  assert.deepEqual([proto.status, proto.json.variant], [200, "welcome"]);
  // A trait of another type is a condition that does not match.
  assert.equal((await ask({ ...gold, tier: 7 }, { key: "hero" })).json.variant, "welcome");
});

test("an unknown flag is not found, whatever its name", async () => {
  for (const key of ["heroo", "__proto__", "a/b", "%ff", "x".repeat(3_000), "hero%00"]) {
    const answer = await ask({}, { key });
    assert.deepEqual([answer.status, answer.json.errorCode], [404, "FLAG_NOT_FOUND"], key);
  }
  const read = await send(edge, "GET", FLAGS, { headers: bearer });
  assert.deepEqual([read.status, read.headers.allow], [405, "POST"]);
});

test("an edge without a workspace says when to try again", async () => {
  const fresh = await startEdge();
  try {
    const answer = await send(fresh, "POST", `${FLAGS}/hero`, { headers: bearer, body: {} });
    assert.deepEqual([answer.status, answer.json.errorCode], [503, "GENERAL"]);
    assert.equal(answer.json.code, "no_workspace");
    assert.match(answer.headers["retry-after"], /^\d+$/);
  } finally {
    await fresh.stop();
  }
});

test("OpenFeature's provider for servers gets values, variants, reasons and errors", async () => {
  const baseUrl = `${edge.url.origin}/_selvedge`;
  const headers = [["Authorization", `Bearer ${KEYS.write}`]];
  await OpenFeature.setProviderAndWait(new OFREPProvider({ baseUrl, headers }));
  const client = OpenFeature.getClient();
  const details = await client.getObjectDetails("hero", { headline: "code" }, gold);
  assert.deepEqual(details.value, { headline: "For you" });
  assert.deepEqual([details.variant, details.reason], ["vip", "TARGETING_MATCH"]);
  assert.equal(details.flagMetadata.offer, "vip");
  assert.equal((await client.getObjectDetails("side", {}, gold)).reason, "SPLIT");
  const failed = async (key, context) =>
    (await client.getObjectDetails(key, {}, context)).errorCode;
  assert.equal(await failed("heroo", gold), "FLAG_NOT_FOUND");
  assert.equal(await failed("side", { consent }), "TARGETING_KEY_MISSING");
  assert.equal(await failed("hero", { ...gold, consent: ["x"] }), "INVALID_CONTEXT");
  assert.equal((await client.getStringDetails("hero", "x", gold)).errorCode, "TYPE_MISMATCH");
  await OpenFeature.close();
});

test("OpenFeature's provider for pages gets all flags at once, and asks again by tag", async () => {
  const answers = [];
  const provider = new OFREPWebProvider({
    baseUrl: `${edge.url.origin}/_selvedge`,
    pollInterval: 50,
    cacheMode: "disabled",
    fetchImplementation: async (input, init) => {
      const request = new Request(input, init);
      // What a browser sends of its own accord.
      request.headers.set("origin", edge.url.origin);
      const answer = await fetch(request, { headers: request.headers });
      answers.push(answer.status);
      return answer;
    },
  });
  await WebOpenFeature.setContext({ request: { language: "de" } });
  await WebOpenFeature.setProviderAndWait(provider);
  const client = WebOpenFeature.getClient();
  const details = client.getObjectDetails("hero", {});
  assert.deepEqual(details.value, { headline: "Welcome (de)" });
  assert.deepEqual([details.variant, details.reason], ["welcome", "TARGETING_MATCH"]);
  assert.equal(client.getObjectDetails("heroo", {}).errorCode, "FLAG_NOT_FOUND");
  const end = Date.now() + 5_000;
  while (!answers.includes(304) && Date.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  assert.ok(answers.includes(304), answers.join());
  await WebOpenFeature.close();
});
