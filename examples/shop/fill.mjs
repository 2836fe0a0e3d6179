//! Fills the central store with the shop's people and their purchases, streamed in two imports.
//! `CENTRAL_URL=… CENTRAL_KEY=… node fill.mjs`. Both imports carry stable ids: running it again
//! counts nothing twice.

import { open, stat } from "node:fs/promises";
import { readPurchases } from "./data/purchases.mjs";

const CRM = new URL("data/crm.csv", import.meta.url);
const CHUNK_BYTES = 64 * 1024;
const PURCHASES = 6_919;
const REFUSED_SHOWN_MAX = 10;

/** The rows of `POST /v1/import/shop`, as NDJSON lines. */
function* purchaseLines() {
  for (const { customerId, messageId, date, units, total } of readPurchases()) {
    const row = {
      type: "track",
      messageId,
      userId: customerId,
      event: "Order Completed",
      timestamp: `${date}T00:00:00Z`,
      properties: { total, units, currency: "USD" },
    };
    yield `${JSON.stringify(row)}\n`;
  }
}

async function* purchaseChunks(progress) {
  let chunk = "";
  let rows = 0;
  for (const line of purchaseLines()) {
    chunk += line;
    rows += 1;
    if (chunk.length < CHUNK_BYTES) continue;
    yield Buffer.from(chunk);
    chunk = "";
    progress(rows / PURCHASES);
  }
  yield Buffer.from(chunk);
  progress(1);
}

async function* crmChunks(progress) {
  const { size } = await stat(CRM);
  const file = await open(CRM);
  let sent = 0;
  for await (const chunk of file.createReadStream({ highWaterMark: CHUNK_BYTES })) {
    yield chunk;
    sent += chunk.length;
    progress(sent / size);
  }
}

async function importInto(central, source, contentType, chunksOf) {
  const progress = progressOf(source);
  let answer;
  try {
    answer = await fetch(`${central.url}/v1/import/${source}`, {
      method: "POST",
      headers: { Authorization: `Bearer ${central.key}`, "Content-Type": contentType },
      body: ReadableStream.from(chunksOf(progress)),
      duplex: "half",
    });
  } catch (error) {
    throw new Error(
      `the central store at ${central.url} does not answer: ${error.cause?.message ?? error.message}`,
    );
  }
  const report = await answer.json().catch(() => null);
  if (!answer.ok || report === null) {
    throw new Error(
      `the central store refused the import \`${source}\`: ${answer.status} ${report?.code ?? ""} ${report?.message ?? ""}`,
    );
  }
  const { accepted, duplicates, refused = [] } = report;
  console.log(
    `${source}: ${accepted} accepted, ${duplicates} duplicates, ${refused.length} refused`,
  );
  for (const { line, code, message } of refused.slice(0, REFUSED_SHOWN_MAX)) {
    console.log(`  line ${line}: ${code}: ${message}`);
  }
  if (refused.length > REFUSED_SHOWN_MAX) console.log("  …");
  return refused.length;
}

/** One line that is written over on a terminal; quarters elsewhere. */
function progressOf(source) {
  let shown = -1;
  return (share) => {
    const percent = Math.floor(share * 100);
    if (process.stderr.isTTY) {
      process.stderr.write(`\r${source}: ${percent} % sent${percent === 100 ? "\n" : ""}`);
      return;
    }
    const quarter = Math.floor(percent / 25) * 25;
    if (quarter > shown) {
      shown = quarter;
      process.stderr.write(`${source}: ${quarter} % sent\n`);
    }
  };
}

async function main() {
  const { CENTRAL_URL, CENTRAL_KEY } = process.env;
  if (!CENTRAL_URL || !CENTRAL_KEY) throw new Error("CENTRAL_URL and CENTRAL_KEY must be set");
  const central = { url: CENTRAL_URL.replace(/\/+$/, ""), key: CENTRAL_KEY };
  const refusedPeople = await importInto(central, "crm", "text/csv", crmChunks);
  const refusedPurchases = await importInto(
    central,
    "shop",
    "application/x-ndjson",
    purchaseChunks,
  );
  if (refusedPeople + refusedPurchases > 0) process.exitCode = 1;
}

main().catch((error) => {
  console.error(`fill: ${error.message}`);
  process.exitCode = 1;
});
