//! Hears the consent platforms of a page (TCF, GPP, US Privacy, Google's Consent Mode) and hands
//! their strings to the edge; tells Google's tags where the site asks for it. A file of its own,
//! for pages that have a platform. It must never read a string: what one means, the edge says.
//!
//! A string is either an act of the visitor in this page, or what a platform repeats of an older
//! one. What is repeated never grants where a choice was made: somebody who withdrew elsewhere
//! would otherwise be brought back by the next page.

import type { Choices, Strings } from "./consent.ts";
import { KEYS, update } from "./google.ts";
import type { ConsentAnswer, Purpose } from "./types.gen.ts";

type Tcf = { eventStatus?: string; gdprApplies?: boolean; tcString?: unknown; listenerId?: number };
type Ping = {
  signalStatus?: string;
  cmpDisplayStatus?: string;
  gppString?: unknown;
  applicableSections?: number[];
};
type Gpp = { eventName?: string; pingData?: Ping; listenerId?: number };
type Platform = (...args: unknown[]) => void;
type Kind = keyof Strings;

interface Page {
  selvedge: {
    google?: boolean;
    ready: Promise<void>;
    consent(
      choices?: Choices,
      more?: { strings: Strings; repeated: boolean },
    ): Promise<ConsentAnswer>;
  };
  __tcfapi?: Platform;
  __gpp?: Platform;
  __uspapi?: Platform;
  dataLayer?: ArrayLike<unknown>[];
}

/** What the edge takes (`consent::bits::MAX_STRING_BYTES`); a longer string is unreadable. */
const LONGEST = 65_536;
/** Platforms say the same in several frameworks, one right after the other. */
const TOGETHER_MS = 50;
/** A platform that speaks more often than any visitor could choose is not listened to. */
const MOST_CALLS = 100;
/** Platforms that come late are waited for; none holds up the page. */
const LOOK_MS = 250;
const LOOKS = 60;
/** What this tab handed over last, kept only where something may be stored. */
const KEPT = "selvedge:strings";

const page = window as unknown as Page;
const said: Strings = {};
/** The kinds that were heard: the first word of most platforms repeats what was chosen before. */
const heard = new Set<Kind>();
let sent = "";
let acted = false;
let calls = 0;
let timer = 0;

/** Takes a string, or its absence where the framework does not apply. */
function hear<K extends Kind>(kind: K, value: Strings[K] | undefined, act: boolean): void {
  const news = JSON.stringify(value) !== JSON.stringify(said[kind]);
  if (value === undefined) delete said[kind];
  else said[kind] = value;
  heard.add(kind);
  if (!news) return;
  acted ||= act;
  schedule();
}

/** The string as it goes to the edge; empty, which denies, where there is none to read. */
function string(value: unknown): string {
  return typeof value === "string" && value.length <= LONGEST ? value : "";
}

/** What was handed over last; null where nothing is stored, or may be. */
function kept(): string | null {
  try {
    return sessionStorage.getItem(KEPT);
  } catch {
    return null;
  }
}

function keep(text: string | null): void {
  try {
    if (text) sessionStorage.setItem(KEPT, text);
    else sessionStorage.removeItem(KEPT);
  } catch {
    // Blocked storage: the strings go to the edge once per page.
  }
}

function schedule(): void {
  clearTimeout(timer);
  timer = setTimeout(() => void handOver(), TOGETHER_MS) as unknown as number;
}

async function handOver(): Promise<void> {
  const repeated = !acted;
  acted = false;
  await page.selvedge.ready;
  const strings: Strings = { ...said };
  const text = JSON.stringify(strings);
  if (text === "{}" || text === sent || calls >= MOST_CALLS) return;
  const choices: Choices = {};
  if (repeated) {
    const { choice, purposes } = await page.selvedge.consent();
    if (choice === "made") {
      // Nothing is left to deny, or it was said already.
      if (!purposes.store || text === kept()) return;
      // Of a choice and a string, the edge takes the no.
      for (const purpose of Object.keys(purposes) as Purpose[]) {
        if (!purposes[purpose]) choices[purpose] = false;
      }
    }
  }
  calls += 1;
  sent = text;
  try {
    const { purposes } = await page.selvedge.consent(choices, { strings, repeated });
    keep(purposes.store ? text : null);
  } catch (reason) {
    console.info("selvedge: the consent could not be told:", reason);
    // The platform says it again on the next page.
    if (sent === text) sent = "";
    keep(null);
  }
}

function hearTcf(call: Platform): void {
  call("addEventListener", 2, (data: Tcf | null, success: boolean) => {
    if (!success || !data) return hear("tcf", "", true);
    if (data.gdprApplies === false) {
      call("removeEventListener", 2, () => {}, data.listenerId);
      return hear("tcf", undefined, false);
    }
    const act = data.eventStatus === "useractioncomplete";
    // While its window is open, the visitor has not chosen.
    if (act || data.eventStatus === "tcloaded") hear("tcf", string(data.tcString), act);
  });
}

/** Whether the visitor was asked in this page: then the next string is an act. */
let shown = false;

function hearGpp(call: Platform): void {
  const take = (ping: Ping | null | undefined) => {
    const open = ping?.cmpDisplayStatus === "visible";
    shown ||= open;
    if (ping?.signalStatus !== "ready" || open) return;
    const applies = !ping.applicableSections?.includes(-1);
    hear("gpp", applies ? string(ping.gppString) : undefined, shown || heard.has("gpp"));
  };
  call("addEventListener", (event: Gpp | null, success: boolean) => {
    if (!success || !event) return hear("gpp", "", true);
    if (event.eventName !== "error") take(event.pingData);
  });
  call("ping", (ping: Ping | null) => take(ping));
}

function hearUsPrivacy(call: Platform): void {
  const askAgain = () =>
    call("getUSPData", 1, (data: { uspString?: unknown } | null, success: boolean) => {
      const text = success ? string(data?.uspString) : "";
      const applies = text !== "1---";
      hear("usPrivacy", applies ? text : undefined, heard.has("usPrivacy"));
    });
  askAgain();
  // It has no events: it is asked when the visitor has clicked, and when the page is back in sight.
  addEventListener("click", () => setTimeout(askAgain, TOGETHER_MS));
  addEventListener("visibilitychange", askAgain);
}

/** Google's queue: an `update` is what the visitor chose; a `default` is the site's own. */
function hearGoogle(queue: ArrayLike<unknown>[]): void {
  const take = (entry: ArrayLike<unknown> | undefined) => {
    const [first, command, keys] = entry?.length ? Array.from(entry) : [];
    if (first !== "consent" || command !== "update" || typeof keys !== "object") return;
    const known = Object.entries(keys ?? {}).filter(([key]) => key in KEYS);
    const values = known.map(([key, value]) => [key, value === "granted" ? value : "denied"]);
    if (!values.length) return;
    hear("google", { ...said.google, ...Object.fromEntries(values) }, heard.has("google"));
  };
  Array.from(queue).forEach(take);
  const push = queue.push;
  queue.push = (...entries) => {
    const length = push.apply(queue, entries);
    entries.forEach(take);
    return length;
  };
}

/** Somebody else, or nobody any more: what the platforms say counts for them as well. */
function hearOthers(event: Event): void {
  if ((event as CustomEvent<ConsentAnswer>).detail.choice !== "none") return;
  sent = "";
  schedule();
}

async function tellGoogle(): Promise<void> {
  await page.selvedge.ready;
  update((await page.selvedge.consent()).purposes);
  document.addEventListener("selvedge:consent", (event) =>
    update((event as CustomEvent<ConsentAnswer>).detail.purposes),
  );
}

type Listen = [name: "__tcfapi" | "__gpp" | "__uspapi" | "dataLayer", listen: (it: never) => void];
const LISTEN: Listen[] = [
  ["__tcfapi", hearTcf],
  ["__gpp", hearGpp],
  ["__uspapi", hearUsPrivacy],
];
// Who tells Google does not listen to itself.
if (page.selvedge.google) void tellGoogle();
else LISTEN.push(["dataLayer", hearGoogle]);

const heardFrom = new Map<string, unknown>();
let looks = 0;

/** Listens to what is there. Not every platform takes over the listeners of its own stand-in. */
function look(): void {
  for (const [name, listen] of LISTEN) {
    const platform = page[name];
    if (!platform || heardFrom.get(name) === platform) continue;
    heardFrom.set(name, platform);
    try {
      listen(platform as never);
    } catch (reason) {
      // One that throws is one that does not answer.
      console.info("selvedge: a consent platform failed:", reason);
    }
  }
  looks += 1;
  if (looks < LOOKS) setTimeout(look, LOOK_MS);
}

document.addEventListener("selvedge:consent", hearOthers);
look();
