//! What the page knows when it starts: the state that the edge wrote into the HTML. This file is
//! the contract between the edge and the tag; it must never ask anybody and never decide anything.
//!
//! The edge writes, into the HTML of every page that it rewrites,
//!
//!     <script type="application/json" id="selvedge-state">{"version":1,...}</script>
//!
//! with the JSON of the core's `page::PageState` (`page::script_text` escapes it), before the tag's
//! own element. A page without it works too: the tag then asks `GET /_selvedge/v1/consent`.
//!
//! A placement that the edge filled, or that the tag fills, looks the same:
//!
//!     <div data-selvedge="hero" data-selvedge-offer="OFFER" data-selvedge-decision="ID"
//!          data-selvedge-variant="VARIANT, where there is one">
//!       <a class="selvedge-offer" href="TEXT OF THE FIRST link FIELD">   (`div` without one)
//!         <strong class="selvedge-headline">TEXT</strong>   (the field named `headline`)
//!         <img class="selvedge-NAME" src="TEXT" alt="">     (fields of kind `image`)
//!         <span class="selvedge-NAME">TEXT</span>           (every other field of kind `text`)
//!       </a>
//!     </div>
//!
//! in the order of the fields. Further `link` fields are not shown. A link or image that is neither
//! a path on this site nor an https address is left out. An offer without anything to show leaves
//! the placement as it was.
//!
//! Routes, all under `/_selvedge`, answers in JSON, errors `{code, message, where}`:
//!
//! | call | body | answer |
//! |---|---|---|
//! | `GET /v1/consent` | | `ConsentAnswer` |
//! | `POST /v1/consent` | `{choices: {PURPOSE: boolean}, banner: string, strings?: {tcf?, gpp?, usPrivacy?, google?: {KEY: string}}}` | `ConsentAnswer`, with `decisions` of the placements that the edge fills as they are now |
//! | `POST /v1/login` | `{token}` | `LoginAnswer` |
//! | `POST /v1/logout` | `{}` | any |
//! | `POST /v1/batch` | `{batch: [{type, messageId, event/name/userId, timestamp, properties/traits}], sentAt}` | any; 429 and 5xx are tried again |
//! | `POST /v1/decide` | `{placements: [NAME], shown: [OFFER that stands in another placement], context: {REQUEST FIELD: string}}` | `DecideAnswer` |
//! | `GET /v1/slice?REQUEST_FIELD=...&...` | | the bytes of `slice::Slice`, with the header `selvedge-image: PATH` of the workspace image that it belongs to |
//! | `GET PATH` of an image | | the bytes of a `Workspace` for pages, immutable |
//! | `GET /HASH.wasm` | | the core; the tag pins its hash |

import type { PageState } from "./types.gen.ts";

export const BASE = "/_selvedge";
const VERSION = 1;

/** The state in the page; null where the edge wrote none, or one that this tag cannot read. */
export function readState(): PageState | null {
  const element = document.getElementById("selvedge-state");
  try {
    const state = JSON.parse(element?.textContent ?? "null") as PageState | null;
    return state?.version === VERSION ? state : null;
  } catch {
    return null;
  }
}

/** A clock that agrees with the edge's, whatever the browser's own says. */
export function clock(state: PageState | null): () => number {
  const ahead = state ? state.now - Date.now() : 0;
  return () => Date.now() + ahead;
}

/** Longer fields are left out, as the edge does. */
const FIELD_LENGTH = 1_024;
/** What the edge reads from the network, and takes from no page. */
const NETWORK = ["host", "country", "subdivision"];

/** The request's fields for a decision now: the edge's, with this page's own address over
 *  them, since a page may change it without asking the edge. */
export function requestFields(state: PageState | null): Record<string, string> {
  const query = new URLSearchParams(location.search);
  const fields: Record<string, string> = {
    language: navigator.language,
    host: location.hostname,
    referrer: document.referrer,
    ...state?.request,
    path: location.pathname,
    query: location.search.slice(1),
  };
  for (const name of ["utm_source", "utm_medium", "utm_campaign"]) {
    fields[name] = query.get(name) ?? "";
  }
  return only(fields, (_, value) => value.length <= FIELD_LENGTH);
}

/** Those of the fields that a call to the edge may say. */
export function contextOf(fields: Record<string, string>): Record<string, string> {
  return only(fields, (name) => !NETWORK.includes(name));
}

function only(
  fields: Record<string, string>,
  wanted: (name: string, value: string) => boolean,
): Record<string, string> {
  return Object.fromEntries(Object.entries(fields).filter(([name, value]) => wanted(name, value)));
}
