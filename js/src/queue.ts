//! Events on their way to the edge. They wait in memory only: nothing of this file touches a
//! browser's storage, whatever the consent, because what the keepalive request does not carry on
//! pagehide is not worth a copy of the visit on disk. It must never know what an event means.
//!
//! INVARIANT: while the consent is unknown nothing leaves; once it says no, nothing stays.

import { mayReport } from "./consent.ts";
import { EdgeError, post } from "./transport.ts";

/** The edge refuses larger events. */
const EVENT_BYTES = 32 * 1_024;
/** Browsers let a page have 64 KiB of keepalive requests in flight; this leaves some to others. */
const BATCH_BYTES = 48 * 1_024;
const BATCH_EVENTS = 100;
const QUEUE_BYTES = 256 * 1_024;
const SOON_MS = 50;
const LATER_MS = 1_000;
const BACKOFF_FIRST_MS = 1_000;
const BACKOFF_LAST_MS = 5 * 60_000;
/** The next page is often already asked for when these happen, and should know of them. */
const COMMERCE = /^(Product|Cart|Coupon|Checkout|Payment|Order|Promotion (Clicked|Dismissed))/;

interface Waiting {
  text: string;
  bytes: number;
}

export interface Event {
  type: "track" | "page" | "identify";
  event?: string;
  name?: string;
  userId?: string;
  properties?: object;
  traits?: object;
}

let waiting: Waiting[] = [];
/** Grows when the queue is dropped, so that an answer that comes later puts nothing back. */
let generation = 0;
let failures = 0;
let timer: ReturnType<typeof setTimeout> | undefined;
let timerAt = Number.POSITIVE_INFINITY;
let pausedUntil = 0;
let inFlight: Promise<void> | null = null;
let onAnswered: () => void = () => {};

/** Calls back whenever the edge has taken events in, since they may change decisions. */
export function startQueue(answered: () => void): void {
  onAnswered = answered;
  addEventListener("pagehide", leave);
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "hidden") leave();
  });
}

/** Takes an event as it is now; later changes to its objects do not matter. */
export function add(event: Event): void {
  if (mayReport() === false) return;
  const messageId = crypto.randomUUID();
  let text: string;
  try {
    text = JSON.stringify({ ...event, messageId, timestamp: new Date().toISOString() });
  } catch (reason) {
    console.warn("selvedge: an event that is no JSON was dropped:", reason);
    return;
  }
  const bytes = new TextEncoder().encode(text).length;
  if (bytes > EVENT_BYTES) {
    console.warn(`selvedge: an event of ${bytes} bytes was dropped; ${EVENT_BYTES} is the most`);
    return;
  }
  waiting.push({ text, bytes });
  bound();
  const soon = event.type === "track" && COMMERCE.test(event.event ?? "");
  if (mayReport()) schedule(soon ? SOON_MS : LATER_MS);
}

/** Sends what waits. Resolves once the edge has it, or has not: true if nothing is left. */
export async function flush(): Promise<boolean> {
  while (waiting.length > 0 && mayReport() && Date.now() >= pausedUntil) await send();
  await inFlight;
  return waiting.length === 0;
}

/** Forgets everything that was not sent. */
export function drop(): void {
  generation += 1;
  waiting = [];
  failures = 0;
  pausedUntil = 0;
  unschedule();
}

/** What to do with the events that waited for the consent. */
export function consentSettled(): void {
  if (mayReport() === false) drop();
  else if (waiting.length > 0) schedule(SOON_MS);
}

/** The oldest go first: the newest say most about what to show next. */
function bound(): void {
  let bytes = waiting.reduce((sum, one) => sum + one.bytes, 0);
  while (bytes > QUEUE_BYTES) bytes -= waiting.shift()?.bytes ?? bytes;
}

function schedule(ms: number): void {
  const at = Math.max(Date.now() + ms, pausedUntil);
  if (at >= timerAt) return;
  unschedule();
  timerAt = at;
  timer = setTimeout(() => {
    unschedule();
    // A timer may come a moment early, by another clock; then what waits must not be left there.
    if (Date.now() < pausedUntil) schedule(1);
    else void flush();
  }, at - Date.now());
}

function unschedule(): void {
  clearTimeout(timer);
  timerAt = Number.POSITIVE_INFINITY;
}

function takeBatch(): Waiting[] {
  let bytes = 0;
  let count = 0;
  for (const one of waiting) {
    bytes += one.bytes;
    if (count >= BATCH_EVENTS || (bytes > BATCH_BYTES && count > 0)) break;
    count += 1;
  }
  return waiting.splice(0, count);
}

/** One batch at a time while the page lives. */
async function send(): Promise<void> {
  if (inFlight) return inFlight;
  inFlight = deliver(takeBatch());
  await inFlight;
  inFlight = null;
}

/** Everything at once: the page may be gone in a moment. A copy too many is known by its id. */
function leave(): void {
  if (!mayReport()) return;
  while (waiting.length > 0) void deliver(takeBatch());
}

async function deliver(batch: Waiting[]): Promise<void> {
  const mine = generation;
  const texts = batch.map((one) => one.text).join();
  try {
    await post("/v1/batch", `{"batch":[${texts}],"sentAt":"${new Date().toISOString()}"}`, true);
    failures = 0;
    if (mine === generation) onAnswered();
  } catch (reason) {
    if (mine !== generation) return;
    if (!(reason instanceof EdgeError && reason.passes)) {
      console.warn(`selvedge: ${batch.length} events were refused:`, reason);
      return;
    }
    waiting = [...batch, ...waiting];
    bound();
    // Half of the wait is random, so that pages do not come back in step after an outage.
    const backoff = Math.min(BACKOFF_FIRST_MS * 2 ** failures, BACKOFF_LAST_MS);
    failures += 1;
    pausedUntil =
      Date.now() + Math.ceil(Math.max(reason.retryAfterMs, backoff * (0.5 + Math.random() / 2)));
    schedule(0);
  }
}
