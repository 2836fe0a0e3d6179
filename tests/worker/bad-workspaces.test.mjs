// What must be told when a workspace is published, through the edge's own route: the cases of
// tests/vectors/bad_workspaces.json, which the compiler's own tests run too.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { admin, Browser, publish, send, startEdge } from "./edge.mjs";

const CASES = JSON.parse(
  readFileSync(new URL("../vectors/bad_workspaces.json", import.meta.url), "utf8"),
);
let edge;

before(async () => {
  edge = await startEdge();
  await publish(edge);
});
after(() => edge?.stop());

/** Writes `@part*times@` out. */
const grown = (text = "") =>
  text.replace(/@([^@]*)\*(\d+)@/g, (_, part, times) => part.repeat(Number(times)));

/** A workspace that is fine but for what the case puts into it. */
function source(one) {
  const workspace = grown(one.workspace);
  const offer = grown(one.offer);
  const parts = [
    '"format": 1, "languages": ["en"]',
    '"traits": { "tier": { "type": "string" }, "score": { "type": "int" } }',
    '"computed": { "orders": { "count": "Order Completed" } }',
  ];
  if (!workspace.startsWith('"placements"')) {
    parts.push('"placements": { "hero": { "where": "edge" }, "tip": { "where": "page" } }');
  }
  if (!workspace.startsWith('"offers"')) {
    const fields = ['"content": { "en": { "headline": "x" } }'];
    if (!offer.startsWith('"placements"')) fields.push('"placements": ["hero"]');
    if (offer) fields.push(offer);
    parts.push(`"offers": { "one": { ${fields.join(", ")} } }`);
  }
  if (workspace) parts.push(workspace);
  return `{ ${parts.join(",\n")} }`;
}

test("what would surprise at run time is refused when it is published", async () => {
  const published = async () =>
    (await send(edge, "GET", "/_selvedge/admin/v1/workspace", { headers: admin })).json.version;
  const version = await published();
  for (const one of CASES) {
    const answer = await publish(edge, source(one));
    assert.deepEqual([answer.status, answer.json.code], [400, "bad_workspace"], one.name);
    const told = answer.json.mistakes.map(({ code, path }) => `${code} ${path}`);
    assert.equal(told[0], `${one.code} ${one.path}`, one.name);
  }
  assert.equal(await published(), version, "what was published stands");
  assert.equal((await publish(edge, source({}))).status, 200, "and the rest of it is fine");
});

test("a schedule that is over is published, and told", async () => {
  const until = (year) =>
    source({
      offer: `"schedule": { "from": "2020-01-01T00:00:00Z", "until": "${year}-01-01T00:00:00Z" }`,
    });
  const { status, json } = await publish(edge, until(2021));
  assert.equal(status, 200);
  assert.deepEqual(
    json.notes.map(({ code, path }) => [code, path]),
    [["schedule_over", "offers.one.schedule.until"]],
  );
  assert.deepEqual((await publish(edge, until(9999))).json.notes, []);
});

test("numbers without an end or a value decide nothing and break nothing", async () => {
  assert.equal(
    (
      await publish(
        edge,
        JSON.stringify({
          format: 1,
          languages: ["en"],
          computed: { spent: { sum: "Order Completed", property: "total" } },
          placements: { hero: { where: "edge" } },
          offers: {
            rich: {
              placements: ["hero"],
              when: "profile.spent > 100.0",
              content: { en: { headline: "x" } },
            },
          },
        }),
      )
    ).status,
    200,
  );
  const browser = new Browser(edge);
  await browser.allowAll();
  // As text: JSON.stringify would write none of these numbers.
  const track = (total) =>
    send(edge, "POST", "/_selvedge/v1/track", {
      headers: {
        origin: edge.url.origin,
        cookie: `__Host-selvedge=${browser.cookie}`,
        "content-type": "application/json",
      },
      body: `{"event":"Order Completed","properties":{"total":${total}}}`,
      raw: true,
    });
  const offer = async () =>
    (await browser.post("/v1/decide", { placements: ["hero"] })).json.decisions[0].offer;
  for (const [total, code] of [
    ["1e999", "bad_json"],
    ["-1e999", "bad_json"],
    ["NaN", "bad_json"],
    ["Infinity", "bad_json"],
  ]) {
    const answer = await track(total);
    assert.deepEqual([answer.status, answer.json.code], [400, code], total);
    assert.equal(await offer(), null, total);
  }
  for (const total of ['"1e999"', "true", "null", "[1e308]"]) {
    assert.equal((await track(total)).status, 200, total);
    assert.equal(await offer(), null, `${total} is no number to add up`);
  }
  // Two that are finite add up to infinity, which is more than a hundred and stays a number.
  for (const total of ["1.7e308", "1.7e308"]) assert.equal((await track(total)).status, 200);
  assert.equal(await offer(), "rich");
  assert.equal((await track("-1.7e308")).status, 200);
  assert.equal(await offer(), "rich");
});
