//! The tag: `window.selvedge`. It takes over from the stub and wires the parts together; every rule
//! is in one of them or in the core. It must never make a request that the page's first paint waits
//! for.

import {
  allows,
  type Choices,
  choose,
  identityChanged,
  readConsent,
  type Shown,
  type Strings,
  settled,
  startConsent,
  takeConfirmed,
} from "./consent.ts";
import {
  type Decision,
  decide,
  dropSlice,
  readable,
  sliceIsStale,
  startDecisions,
  UNAVAILABLE,
  unavailable,
} from "./decide.ts";
import { expose, startMeasuring, watch } from "./measure.ts";
import { add, consentSettled, drop, flush, startQueue } from "./queue.ts";
import { clear, placements, show } from "./render.ts";
import { BASE, readState } from "./state.ts";
import { ask } from "./transport.ts";
import type { ConsentAnswer, LoginAnswer, PageDecision } from "./types.gen.ts";

export type { Choices, ConsentAnswer, Decision, LoginAnswer, Strings };

/** A call that the stub kept: method, arguments, and how to answer. */
export type StubCall = [
  name: string,
  args: unknown[],
  resolve: (value: unknown) => void,
  reject: (reason: unknown) => void,
];

/** What the stub leaves behind. */
export interface Stub {
  calls: StubCall[];
  ready: Promise<void>;
  open: () => void;
  /** Whether Google's tags are told; see `google.ts`. */
  google?: boolean;
  [method: string]: unknown;
}

type Properties = Record<string, unknown>;

const state = readState();

const api = {
  /** Something that the visitor did, by a name of Segment's specification where it has one. */
  track(event: string, properties: Properties = {}): void {
    add({ type: "track", event, properties });
  },

  /** A page was shown. */
  page(name?: string, properties: Properties = {}): void {
    const path = location.pathname;
    const about = { path, title: document.title, referrer: document.referrer };
    add({ type: "page", name: name ?? "", properties: { ...about, ...properties } });
  },

  /** Who the visitor says to be: a claim, which links nobody to anything. */
  identify(userId: string, traits: Properties = {}): void {
    add({ type: "identify", userId, traits });
  },

  /** Proves who the visitor is, by a token that the site signed. */
  async login(token: string): Promise<LoginAnswer> {
    await flush();
    const answer = await ask<LoginAnswer>("/v1/login", { token });
    await becomeOther();
    return answer;
  },

  /** The device no longer speaks for the person. */
  async logout(): Promise<void> {
    await flush();
    await ask("/v1/logout", {});
    await becomeOther();
  },

  /** Logs out and forgets, even where the edge cannot be told: then nothing of it stays on the
   *  screen. */
  async reset(): Promise<void> {
    try {
      await api.logout();
    } catch (reason) {
      forget();
      placements().forEach(clear);
      throw reason;
    }
  },

  /** The consent as it stands; with choices, or strings of a consent platform, makes them first. */
  consent(choices?: Choices, more: Shown = {}): Promise<ConsentAnswer> {
    return choices ? choose(choices, more) : readConsent();
  },

  /** Which offer to show in a placement; with `trace`, why each other lost. Changes no page. */
  async decide(placement: string, { trace = false } = {}): Promise<Decision> {
    const known = await settled();
    const decision = known ? await decide(placement, trace) : unavailable(placement);
    tell("decision", decision);
    return decision;
  },

  /** Decides and puts the answer into every element of the placement. */
  async render(placement: string): Promise<Decision> {
    return place(await api.decide(placement));
  },

  /** Resolves once the consent is known and the edge's decisions are taken over. */
  ready: Promise.resolve() as Promise<void>,
};

export type Selvedge = typeof api;

function tell(name: string, detail: Decision | PageDecision | ConsentAnswer | null): void {
  document.dispatchEvent(new CustomEvent(`selvedge:${name}`, { detail }));
}

/** Somebody else is in front of the screen, or the same person as somebody else. */
async function becomeOther(): Promise<void> {
  forget();
  await identityChanged();
  await redecide();
}

/** What was not sent belonged to whoever was there before. */
function forget(): void {
  drop();
  dropSlice();
}

function place(decision: Decision): Decision {
  if (decision.reason === UNAVAILABLE) return decision;
  for (const element of placements(decision.placement)) show(element, decision);
  expose(decision);
  watch();
  return decision;
}

/** Decides every shown offer again; what cannot be decided must not stay. */
async function redecide(): Promise<void> {
  const shown = placements().filter((element) => element.dataset.selvedgeOffer);
  const names = new Set(shown.map((element) => element.dataset.selvedge ?? ""));
  const known = await settled();
  for (const name of names) {
    // The very answer that confirms a withdrawal says what to show now.
    const said = known ? takeConfirmed(name) : undefined;
    const { reason } = said ? place(readable(said)) : await api.render(name);
    if (reason === UNAVAILABLE) placements(name).forEach(clear);
  }
}

function consentChanged(now: ConsentAnswer, before: ConsentAnswer | null): void {
  consentSettled();
  if (!before) return;
  dropSlice();
  watch();
  tell("consent", now);
  if (before.purposes.personalise && !allows("personalise")) void redecide();
}

function otherTabChangedIdentity(): void {
  forget();
  void redecide();
}

/** The name of the file that hears consent platforms, and its integrity. */
declare const SELVEDGE_SIGNALS: string;
declare const SELVEDGE_SIGNALS_INTEGRITY: string;
const PLATFORMS = ["__tcfapi", "__gpp", "__uspapi", "dataLayer"];
const { nonce } = document.currentScript ?? {};
let hearing = false;

/** Fetches what hears consent platforms, once a page has one. */
function hearPlatforms(): void {
  if (hearing || !(stub?.google || PLATFORMS.some((name) => name in window))) return;
  hearing = true;
  // An import cannot name a hash, but it takes what a preload with one has brought.
  const link = document.createElement("link");
  link.rel = "modulepreload";
  link.href = `${BASE}/${SELVEDGE_SIGNALS}`;
  link.integrity = SELVEDGE_SIGNALS_INTEGRITY;
  if (nonce) link.nonce = nonce;
  link.onload = () => import(link.href);
  document.head.append(link);
}

async function start(stub: Stub | undefined): Promise<void> {
  startDecisions(state);
  startQueue(sliceIsStale);
  startMeasuring();
  hearPlatforms();
  addEventListener("load", hearPlatforms);
  await startConsent(state?.consent, consentChanged, otherTabChangedIdentity);
  for (const decision of state?.decisions ?? []) {
    tell("decision", decision);
    expose(decision);
  }
  watch();
  stub?.open();
  tell("ready", null);
}

const page = window as unknown as { selvedge?: Stub };
const stub = page.selvedge;
// A second copy of the tag in the same page does nothing.
if (!stub || stub.calls) {
  const calls = stub?.calls ?? [];
  api.ready = start(stub);
  // The stub's object stays the same, since the page may hold it.
  const client = Object.assign(stub ?? ({} as Stub), api);
  delete (client as Partial<Stub>).calls;
  page.selvedge = client;
  for (const [name, args, resolve, reject] of calls) {
    const method = api[name as "track"] as (...given: unknown[]) => unknown;
    try {
      resolve(method(...args));
    } catch (reason) {
      reject(reason);
    }
  }
}
