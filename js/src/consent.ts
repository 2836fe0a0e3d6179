//! The consent as the page knows it: what the edge said last, never more, and less where this page
//! or browser knows of a no that the edge does not. It must never grant anything by itself.
//!
//! A change in one tab reaches the others at once by a channel, and by asking again when a tab
//! becomes visible.

import { ask } from "./transport.ts";
import type { ConsentAnswer, Decision, Purpose, Reason } from "./types.gen.ts";

const PURPOSES: Purpose[] = ["store", "profile", "personalise", "measure", "share"];
const RETRY_FIRST_MS = 2_000;
const RETRY_LAST_MS = 5 * 60_000;

export type Choices = Partial<Record<Purpose, boolean>>;
/** What a consent platform says, in the frameworks' own strings; `google` by Google's keys. */
export type Strings = {
  tcf?: string;
  gpp?: string;
  usPrivacy?: string;
  google?: Record<string, string>;
};
/** What another tab of this site says. */
type News = { consent: ConsentAnswer } | { identity: true };
/** What the visitor saw, or what their platform says; `repeated` where that is nothing new. */
export type Shown = { banner?: string; strings?: Strings; repeated?: boolean };

let known: ConsentAnswer | null = null;
/** Purposes refused in this page that the edge has not confirmed, with the call that refused them;
 *  they hold whatever it says. */
const refused = new Map<Purpose, number>();
let calls = 0;
/** Grows with every answer taken, so that a slow read does not overwrite a newer choice. */
let turn = 0;
let failures = 0;
let listener: (now: ConsentAnswer, before: ConsentAnswer | null) => void = () => {};
/** What the edge's placements show under the consent that it confirmed last. */
let confirmed: Decision[] = [];
let identityListener: () => void = () => {};
/** The choices on their way, one after the other. */
let choosing: Promise<unknown> = Promise.resolve();
const channel = "BroadcastChannel" in window ? new BroadcastChannel("selvedge") : null;

/** Starts from the edge's answer in the page, or asks. `changed` runs at every change. */
export async function startConsent(
  answer: ConsentAnswer | undefined,
  changed: typeof listener,
  identityChanged: () => void,
): Promise<void> {
  listener = changed;
  identityListener = identityChanged;
  channel?.addEventListener("message", ({ data }: MessageEvent<News>) => hear(data));
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") void reread();
  });
  // A page out of the back/forward cache is as old as it was left.
  addEventListener("pageshow", (event) => {
    if (event.persisted) void reread();
  });
  if (answer) take(answer);
  else await reread();
}

/** Whether a purpose is allowed; false while nothing is known. */
export function allows(purpose: Purpose): boolean {
  return known?.purposes[purpose] === true;
}

/** Whether events may be sent at all; null while nothing is known. */
export function mayReport(): boolean | null {
  return known && (allows("profile") || allows("measure"));
}

/** Waits for choices on their way: false if the edge does not know of a no that was said here. */
export async function settled(): Promise<boolean> {
  await choosing;
  return refused.size === 0;
}

/** The decision that came with the answer to the last choice, once: the next one is asked for. */
export function takeConfirmed(placement: string): Decision | undefined {
  const found = confirmed.find((decision) => decision.placement === placement);
  confirmed = confirmed.filter((decision) => decision !== found);
  return found;
}

/** The consent as it stands. */
export async function readConsent(): Promise<ConsentAnswer> {
  if (!known) await fetchConsent();
  if (!known) throw new Error("the consent is not known");
  return known;
}

/** Makes a choice. A no holds in this page at once, whatever the network does. What strings say
 *  only the edge knows: until it has answered, they refuse what they may speak of. */
export function choose(
  choices: Choices,
  { banner = "", strings, repeated }: Shown,
): Promise<ConsentAnswer> {
  calls += 1;
  const mine = calls;
  const said = PURPOSES.filter((purpose) => typeof choices[purpose] === "boolean");
  const body = { choices: Object.fromEntries(said.map((p) => [p, choices[p]])), banner, strings };
  const sent = choosing.then(async () => {
    type Answer = ConsentAnswer & { decisions?: Decision[] };
    const { decisions, ...answer } = await ask<Answer>("/v1/consent", body);
    for (const purpose of strings ? PURPOSES : said) {
      if ((refused.get(purpose) ?? 0) <= mine) refused.delete(purpose);
    }
    take(answer);
    confirmed = decisions ?? [];
    const now = known as ConsentAnswer;
    channel?.postMessage({ consent: now } satisfies News);
    return now;
  });
  choosing = sent.catch(() => {});
  for (const purpose of PURPOSES) {
    if (choices[purpose] === false || (strings && !repeated)) refused.set(purpose, mine);
  }
  if (known) take(known);
  return sent;
}

/** Login, logout: the consent is another's now, and so is everything else. */
export async function identityChanged(): Promise<void> {
  channel?.postMessage({ identity: true } satisfies News);
  await reread();
}

/** Another tab's answer only ever narrows; what it allows is asked of the edge. */
function hear(news: News): void {
  if ("identity" in news) identityListener();
  else if (known) {
    const { purposes, reasons } = news.consent;
    const denied = PURPOSES.filter((purpose) => !purposes[purpose] && allows(purpose));
    take(denied.reduce((answer, purpose) => deny(answer, purpose, reasons[purpose]), known));
  }
  void reread();
}

async function fetchConsent(): Promise<void> {
  const mine = turn;
  const answer = await ask<ConsentAnswer>("/v1/consent");
  if (mine === turn) take(answer);
}

async function reread(): Promise<void> {
  try {
    await fetchConsent();
    failures = 0;
  } catch (reason) {
    console.info("selvedge: the consent could not be read:", reason);
    if (known) return;
    setTimeout(reread, Math.min(RETRY_FIRST_MS * 2 ** failures, RETRY_LAST_MS));
    failures += 1;
  }
}

function deny(answer: ConsentAnswer, purpose: Purpose, reason: Reason): ConsentAnswer {
  return {
    ...answer,
    purposes: { ...answer.purposes, [purpose]: false },
    reasons: { ...answer.reasons, [purpose]: reason },
  };
}

/** The answer, less what this page and this browser refuse. The rules are those of the core. */
function narrowed(answer: ConsentAnswer): ConsentAnswer {
  let now = answer;
  const no = (purpose: Purpose, reason: Reason) => {
    if (now.purposes[purpose]) now = deny(now, purpose, reason);
  };
  for (const purpose of refused.keys()) no(purpose, "denied_by_device");
  if ((navigator as { globalPrivacyControl?: boolean }).globalPrivacyControl) {
    no("share", "denied_by_gpc");
    if (now.reasons.personalise === "allowed_by_region") no("personalise", "denied_by_gpc");
  }
  if (!now.purposes.profile) no("personalise", "needs_profile");
  if (!now.purposes.store) for (const purpose of PURPOSES) no(purpose, "needs_store");
  return now;
}

function take(answer: ConsentAnswer): void {
  if (typeof answer?.purposes !== "object" || typeof answer.reasons !== "object") {
    throw new Error("this is not the consent");
  }
  const before = known;
  known = narrowed(answer);
  turn += 1;
  const text = (value: ConsentAnswer | null) => JSON.stringify([value?.choice, ...sorted(value)]);
  if (text(before) !== text(known)) listener(known, before);
}

function sorted(answer: ConsentAnswer | null): unknown[] {
  return PURPOSES.map((purpose) => [answer?.purposes[purpose], answer?.reasons[purpose]]);
}
