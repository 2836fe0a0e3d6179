//! Decisions in the page, by the same core that the edge runs. The core, the workspace image and
//! the slice are fetched when the first decision is asked for and stay in Wasm memory; only bytes
//! and texts cross. It must never decide anything in TypeScript.

import * as glue from "./core.ts";
import { shownOffers } from "./render.ts";
import { BASE, clock, contextOf, requestFields } from "./state.ts";
import { ask, call } from "./transport.ts";
import type { ContentField, DecideAnswer, PageState, Decision as Said } from "./types.gen.ts";

/** The core's file and its hash, set when the tag is built: the tag trusts no other. */
declare const SELVEDGE_WASM: string;
declare const SELVEDGE_WASM_INTEGRITY: string;

/** The answer for one placement. */
export interface Decision extends Omit<Said, "content"> {
  /** Text per field, values filled in, nothing escaped. */
  content: Record<string, string>;
  /** The same with the kind of each field, in the offer's order. */
  fields: ContentField[];
}

/** Where the page's own core cannot answer. */
type Where = "page" | "edge";

let state: PageState | null = null;
let now: () => number = Date.now;
let core: Promise<Where> | null = null;
/** The image that the core holds. */
let image = "";
let slice: Promise<Where> | null = null;
/** The request that the slice was made for, and until when it may be used. */
let asked = "";
let expires = 0;
/** Grows when the slice becomes somebody else's, or may no longer be held. */
let generation = 0;

export function startDecisions(from: PageState | null): void {
  state = from;
  now = clock(from);
}

/** Something happened that may change decisions: the next one asks for the slice again. */
export function sliceIsStale(): void {
  slice = null;
}

/** The slice may no longer be held: it leaves the Wasm memory now. */
export function dropSlice(): void {
  generation += 1;
  slice = null;
  if (image) glue.setSlice(new Uint8Array());
}

/** Decides one placement. Where that fails, the answer holds no offer and says why. */
export async function decide(placement: string, trace: boolean): Promise<Decision> {
  const mine = generation;
  const said = await decideSomewhere(placement, trace).catch((reason) => {
    console.info(`selvedge: \`${placement}\` was not decided:`, reason);
    return null;
  });
  // Decided from what was withdrawn meanwhile: not to be seen by anybody.
  if (mine !== generation) return decide(placement, trace);
  return said ? readable(said) : unavailable(placement);
}

/** The reason of an answer that is none: the page stays as it is. */
export const UNAVAILABLE = "unavailable";

export function unavailable(placement: string): Decision {
  const none = { content: [], exposures: [], trace: [] };
  const empty = { ...none, language: "", workspace: "", decision: "" };
  return readable({ placement, offer: null, variant: null, reason: UNAVAILABLE, ...empty });
}

async function decideSomewhere(placement: string, trace: boolean): Promise<Said | undefined> {
  const fields = requestFields(state);
  const context = contextOf(fields);
  const request = Object.entries(fields).flat();
  const name = request.join("\0");
  if (now() >= expires || name !== asked) slice = null;
  if (!slice) {
    asked = name;
    slice = fetchSlice(context);
    slice.catch(sliceIsStale);
  }
  if ((await slice) === "page") {
    const said = decideHere(placement, request, trace);
    if (said) return said;
  }
  const shown = shownOffers(placement);
  // Why an offer lost is not answered by this route, so `trace` is not asked for.
  const body = { placements: [placement], shown, context };
  return (await ask<DecideAnswer>("/v1/decide", body)).decisions[0];
}

function decideHere(placement: string, request: string[], trace: boolean): Said | null {
  try {
    const asked = [placement, ...shownOffers(placement), "", ...request];
    // No answer: a placement that only the edge fills.
    return glue.decide(asked, now(), trace);
  } catch (reason) {
    // What trapped once is broken for good; the edge can still answer.
    console.warn("selvedge: the core failed:", reason);
    core = Promise.resolve("edge");
    image = "";
    return null;
  }
}

/** Brings core, image and slice together. Nothing is kept if the consent changed meanwhile. */
async function fetchSlice(context: Record<string, string>): Promise<Where> {
  const mine = generation;
  core ??= loadCore();
  core.catch(() => {
    core = null;
  });
  const fetched = call(`/v1/slice?${new URLSearchParams(context)}`).then(async (answer) => ({
    bytes: new Uint8Array(await answer.arrayBuffer()),
    path: answer.headers.get("selvedge-image") ?? state?.image.url ?? "",
  }));
  const [where, { bytes, path }] = await Promise.all([core, fetched]);
  if (where === "edge") return where;
  if (path !== image) await loadImage(path);
  if (mine !== generation) return fetchSlice(context);
  expires = glue.setSlice(bytes);
  if (!expires) throw new Error("the slice does not belong to the workspace image");
  return where;
}

/**
 * Fetches the core. The browser refuses bytes that do not have the pinned hash, and then nothing is
 * decided in this page; where a policy forbids Wasm, the edge is asked instead.
 */
async function loadCore(): Promise<Where> {
  const url = `${BASE}/${SELVEDGE_WASM}`;
  const answer = await fetch(url, { integrity: SELVEDGE_WASM_INTEGRITY });
  try {
    await glue.start(await answer.arrayBuffer());
    return "page";
  } catch (reason) {
    console.info("selvedge: Wasm does not run here, so the edge decides:", reason);
    return "edge";
  }
}

async function loadImage(path: string): Promise<void> {
  if (!path.startsWith(`${BASE}/`)) throw new Error("the slice names no workspace image");
  const answer = await call(path.slice(BASE.length), { cache: "default" });
  const bytes = new Uint8Array(await answer.arrayBuffer());
  if (!glue.load(bytes)) throw new Error("the workspace image cannot be read");
  image = path;
}

/** Names come from the workspace: without a prototype, none means anything to JavaScript. */
export function readable(said: Said): Decision {
  const content: Record<string, string> = Object.create(null);
  for (const { name, text } of said.content) content[name] = text;
  return { ...said, content, fields: said.content };
}
