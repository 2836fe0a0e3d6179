//! The CRM of the demo: its people, the notes that call-centre agents write, and the feed that
//! tells the central store of a note. It must never know the edge or a visitor's device.

import { randomUUID } from "node:crypto";
import { appendFileSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { readPeople, SAMPLE_IDS } from "../data/people.mjs";
import { Refusal } from "./http.mjs";

const RESULTS_MAX = 20;
const NOTES_SHOWN_MAX = 10;
const FEED_DEADLINE_MS = 3_000;
const RETRY_MIN_MS = 1_000;
const RETRY_MAX_MS = 30_000;

export class Crm {
  #people = readPeople();
  #notes = [];
  #unsent = [];
  #notesFile;
  #sentFile;
  #central;
  #retryTimer = null;
  #retryMs = RETRY_MIN_MS;

  constructor(dataDir, central) {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    this.#notesFile = join(dataDir, "crm-notes.ndjson");
    this.#sentFile = join(dataDir, "crm-sent.ndjson");
    this.#central = central;
    this.#recover();
  }

  person(customerId) {
    return this.#people.get(customerId);
  }

  samples() {
    return SAMPLE_IDS.map((id) => this.#people.get(id));
  }

  /** People of whom every word of `query` is in the id, name, e-mail address or phone number. */
  search(query) {
    const words = fold(query).split(/\s+/).filter(Boolean);
    if (words.length === 0) return { customers: this.samples(), total: this.#people.size };
    const found = [];
    for (const person of this.#people.values()) {
      const text = fold(
        `${person.customerId} ${person.firstName} ${person.lastName} ${person.email} ${person.phone}`,
      );
      if (words.every((word) => text.includes(word))) found.push(person);
    }
    return { customers: found.slice(0, RESULTS_MAX), total: found.length };
  }

  notesOf(customerId) {
    const notes = this.#notes.filter((note) => note.customerId === customerId);
    return notes.slice(-NOTES_SHOWN_MAX).reverse();
  }

  /** Writes the note, then feeds it; the note stands even while the central store is away. */
  async write({ customerId, note, intent, agent }) {
    if (!this.#people.has(customerId)) {
      throw new Refusal(404, "unknown_customer", `no customer \`${customerId}\``, "customerId");
    }
    const entry = {
      messageId: `crm-${randomUUID()}`,
      timestamp: new Date().toISOString(),
      customerId,
      note,
      intent,
      agent,
    };
    appendFileSync(this.#notesFile, `${JSON.stringify(entry)}\n`, { mode: 0o600 });
    this.#notes.push(entry);
    this.#unsent.push(entry);
    return { note: entry, feed: await this.#feed() };
  }

  close() {
    clearTimeout(this.#retryTimer);
  }

  async #feed() {
    if (!this.#central) return { sent: false, code: "not_configured" };
    const batch = [...this.#unsent];
    const startedMs = performance.now();
    try {
      const report = await postRows(this.#central, batch.map(identifyRow));
      for (const { messageId } of batch) {
        appendFileSync(this.#sentFile, `${JSON.stringify({ messageId })}\n`, { mode: 0o600 });
      }
      this.#unsent = this.#unsent.filter((entry) => !batch.includes(entry));
      this.#retryMs = RETRY_MIN_MS;
      return { sent: true, tookMs: Math.round(performance.now() - startedMs), report };
    } catch (error) {
      // The same message ids go out again, so a note whose answer was lost counts once.
      this.#retryLater();
      return {
        sent: false,
        code: error.code === "central_refused" ? error.code : "central_unreachable",
      };
    }
  }

  #retryLater() {
    clearTimeout(this.#retryTimer);
    this.#retryTimer = setTimeout(() => this.#feed(), this.#retryMs);
    this.#retryTimer.unref();
    this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MAX_MS);
  }

  #recover() {
    const sent = new Set(readLines(this.#sentFile).map(({ messageId }) => messageId));
    this.#notes = readLines(this.#notesFile);
    this.#unsent = this.#notes.filter(({ messageId }) => !sent.has(messageId));
    if (this.#unsent.length > 0 && this.#central) this.#retryLater();
  }
}

function identifyRow({ messageId, customerId, timestamp, intent }) {
  return {
    type: "identify",
    messageId,
    userId: customerId,
    timestamp,
    traits: { cancel_intent: intent === "cancel" },
  };
}

async function postRows(central, rows) {
  const answer = await fetch(`${central.url}/v1/import/crm`, {
    method: "POST",
    headers: {
      Authorization: `Bearer ${central.key}`,
      "Content-Type": "application/x-ndjson",
    },
    body: rows.map((row) => `${JSON.stringify(row)}\n`).join(""),
    signal: AbortSignal.timeout(FEED_DEADLINE_MS),
  });
  const report = await answer.json().catch(() => null);
  if (!answer.ok) {
    throw Object.assign(new Error(`central store: ${answer.status}`), { code: "central_refused" });
  }
  return report;
}

function readLines(file) {
  let text;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    if (error.code === "ENOENT") return [];
    throw error;
  }
  // A crash can leave half a last line; it was never answered, so it is no note.
  return text.split("\n").flatMap((line) => {
    try {
      return [JSON.parse(line)];
    } catch {
      return [];
    }
  });
}

function fold(text) {
  return text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
}
