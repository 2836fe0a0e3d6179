//! Step 7: the data engineer exports and erases her. A late event from an old tab is dropped.

import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { explain, fetchPage, importRows, pushToEdge, sendEvent } from "../edge.mjs";
import { placementIn } from "../html.mjs";
import { came, fileOf, holding, readQuietRows, shown } from "../rows.mjs";
import { until } from "../wait.mjs";
import { isCentral } from "./1-visit.mjs";
import { CUSTOMER, MARKS, ordersOf, PERSON } from "./heroine.mjs";

export const title = "She is exported, then erased; a late event does not bring her back";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const CLI_MS = 30_000;

export async function play(story, step) {
  const { demo, mira } = story;
  await proveExport(story, step);
  const before = await readQuietRows(demo.folder);
  step.prove(
    "the stores are full of her before",
    hers(story, before).length > ordersOf(CUSTOMER).count,
    shown(hers(story, before)),
  );
  const began = performance.now();
  await run(demo, ["erase", CUSTOMER, "--yes"]);
  const gone = await until(async () => (await explain(demo, story.device)).known === false);
  step.prove("`selvedge erase` reaches the edge", gone === true, await explain(demo, story.device));
  step.time("erasure to edge", performance.now() - began);
  const erased = await readQuietRows(demo.folder);
  proveRows(story, step, erased);
  await late(story, step, erased);
  await mira.page.goto(`${demo.edgeUrl}/`);
  step.page = mira.page;
}

/** The command that `cargo xtask` built, with the demo's keys. */
async function run(demo, words) {
  const target = process.env.CARGO_TARGET_DIR ?? "target";
  const folder = process.env.SELVEDGE_BIN || join(ROOT, target, "debug");
  const env = {
    ...process.env,
    SELVEDGE_CENTRAL: demo.centralUrl,
    SELVEDGE_CENTRAL_KEY: demo.centralKey,
  };
  const options = { cwd: ROOT, env, timeout: CLI_MS, maxBuffer: 64 * 1024 * 1024 };
  const { stdout } = await promisify(execFile)(join(folder, "selvedge"), words, options);
  return stdout;
}

async function proveExport(story, step) {
  const text = await run(story.demo, ["export", CUSTOMER]);
  const lines = text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  const orders = lines.filter((line) => line.kind === "event" && isOrder(line)).length;
  step.prove(
    `\`selvedge export\` holds her traits, her device, her receipts and ${orders} orders`,
    orders === ordersOf(CUSTOMER).count &&
      text.includes(PERSON.email) &&
      text.includes(story.deviceObject) &&
      text.includes("shop-banner"),
    text.slice(0, 2_000),
  );
}

function isOrder(line) {
  return JSON.stringify(line).includes('"Order Completed"');
}

/** Rows that are about her: by what she is called, and by the names of her objects. */
function hers({ personObject, deviceObject }, rows) {
  return holding(rows, [...MARKS, personObject, deviceObject]);
}

function proveRows(story, step, rows) {
  const named = holding(rows, MARKS);
  step.prove(
    "no row anywhere holds her name, address, number or phone",
    named.length === 0,
    shown(named),
  );
  const left = hers(story, rows);
  const central = left.filter(({ place }) => isCentral(place));
  const stones = /central\.sqlite (tombstones|buried|erasures|changes)$/;
  step.prove(
    "the central store keeps no row of hers but the tombstone",
    central.every(({ place }) => stones.test(place)) && central.length > 0,
    shown(central.filter(({ place }) => !stones.test(place))),
  );
  const edge = left.filter(({ place }) => !isCentral(place) && !/ (_cf|__miniflare)_/.test(place));
  const objects = edge.filter(({ place }) => / state$/.test(place));
  // A login by her e-mail address alone still leads here, to the object that says: erased.
  const filed = edge.filter(({ place }) => /IdentityShard.* filed$/.test(place));
  step.prove(
    "the edge keeps tombstones made of keyed hashes: her two objects, and where her address leads",
    objects.length === 2 &&
      filed.length <= 1 &&
      objects.length + filed.length === edge.length &&
      edge.every(({ text }) => text.length < 120),
    shown(edge),
  );
  const files = new Set(objects.map(fileOf));
  const beside = rows.filter(
    (row) => files.has(fileOf(row)) && !/ (state|_cf_\w+|__miniflare_\w+)$/.test(row.place),
  );
  step.prove(
    "no event, key, receipt or message lies beside it",
    beside.length === 0,
    shown(beside),
  );
  const bytes = centralBytes(story.demo);
  step.prove(
    "nor do the central store's files hold her address anywhere between their rows",
    bytes.length > 0 && !bytes.includes(PERSON.email) && bytes.includes("theo.marlow@example.com"),
  );
}

/** The database as it lies on the disk, with what deleted rows left behind. */
function centralBytes({ folder }) {
  const files = ["central.sqlite", "central.sqlite-wal"].map((name) => join(folder, name));
  return files
    .filter(existsSync)
    .map((file) => readFileSync(file).toString("latin1"))
    .join("");
}

/** Everything that could bring her back. */
async function late(story, step, before) {
  const { demo, device, mira, oldPush } = story;
  const sent = await sendEvent(demo, device, "Product Added", { product_id: "late", value: 1 });
  step.prove("a late event with the old cookie is answered", sent.status < 500, sent.text);
  // The tab that was open all the while, with the old cookie in its browser.
  await mira.page.evaluate(() => window.selvedge.track("Product Added", { value: 2 }));
  await pushToEdge(demo, oldPush);
  await importRows(demo, "crm", [
    {
      type: "identify",
      messageId: `crm-late-${Date.now()}`,
      userId: CUSTOMER,
      timestamp: new Date().toISOString(),
      traits: { first_name: PERSON.firstName, cancel_intent: true },
    },
  ]);
  const after = await readQuietRows(demo.folder);
  const left = came(before, after);
  step.prove(
    "a late event, an old tab, an old push and one more import leave no new row anywhere",
    left.length === 0,
    shown(left),
  );
  const page = await fetchPage(demo, "/", device);
  const hero = placementIn(page.text, "hero");
  step.prove(
    "her old cookie gets the general page, and is taken away",
    [null, "welcome"].includes(hero?.offer) &&
      !page.text.includes(PERSON.firstName) &&
      /__Host-selvedge=;.*Max-Age=0/.test(String(page.headers["set-cookie"])),
    { hero, cookie: page.headers["set-cookie"] },
  );
}
