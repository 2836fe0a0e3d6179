//! Google's Consent Mode, version 2: what Google's tags are told. The keys of each purpose are
//! those of the core's table (`consent::mapping`). It must never say `granted` where the
//! edge does not.

import type { Purpose } from "./types.gen.ts";

/** A key is granted where all of its purposes are allowed; security is not ours to deny. */
export const KEYS: Record<string, Purpose[]> = {
  ad_storage: ["share"],
  ad_user_data: ["share"],
  ad_personalization: ["personalise", "share"],
  analytics_storage: ["measure"],
  functionality_storage: ["store"],
  personalization_storage: ["profile", "personalise"],
  security_storage: [],
};
/** How long Google's tags wait for the first `update`. */
const WAIT_MS = 500;

/** Calls Google's queue as `gtag` does, which takes an `arguments` object and no array. */
function gtag(..._: unknown[]): void {
  const page = window as { dataLayer?: unknown[] };
  page.dataLayer ??= [];
  // biome-ignore lint/complexity/noArguments: Google's tags ignore arrays.
  page.dataLayer.push(arguments);
}

function say(command: string, granted: (purposes: Purpose[]) => boolean, more = {}): void {
  const keys = Object.entries(KEYS).map(([key, of]) => [key, granted(of) ? "granted" : "denied"]);
  gtag("consent", command, { ...Object.fromEntries(keys), ...more });
}

/** The default before anything else: no, and yes only in the regions that the site names (codes of
 *  ISO 3166, with spaces between), less what Global Privacy Control denies. */
export function deny(regions = ""): void {
  say("default", (purposes) => !purposes.length, { wait_for_update: WAIT_MS });
  const region = regions.match(/\S+/g);
  const gpc = (navigator as { globalPrivacyControl?: boolean }).globalPrivacyControl;
  const objected: Purpose[] = gpc ? ["share", "personalise"] : [];
  const free = (purposes: Purpose[]) => !purposes.some((purpose) => objected.includes(purpose));
  if (region) say("default", free, { region, wait_for_update: WAIT_MS });
}

/** The consent as it stands now. */
export function update(allowed: Record<Purpose, boolean>): void {
  say("update", (purposes) => purposes.every((purpose) => allowed[purpose]));
}
