//! How an offer appears: typed content as DOM nodes, in the form that the edge writes too (see
//! `state.ts`). It must never make HTML out of text, never hide a page that waits, and never follow
//! an address that is not a path on this site or https.

import type { Decision } from "./decide.ts";

/** What the page had in a placement before the tag put an offer there. */
const originals = new WeakMap<HTMLElement, Node[]>();

/** Every element of a placement. */
export function placements(name?: string): HTMLElement[] {
  const all = [...document.querySelectorAll<HTMLElement>("[data-selvedge]")];
  return name === undefined ? all : all.filter((element) => element.dataset.selvedge === name);
}

/** The offers that stand in the page's other placements. */
export function shownOffers(except: string): string[] {
  const others = placements().filter((element) => element.dataset.selvedge !== except);
  return others.map((element) => element.dataset.selvedgeOffer ?? "").filter(Boolean);
}

/** Puts a decision into a placement's element; without an offer, the page's own content. */
export function show(element: HTMLElement, decision: Decision): void {
  const data = element.dataset;
  const made = decision.offer === null ? null : build(decision);
  if (!made || decision.offer === null) {
    clear(element);
    return;
  }
  const same = element.childElementCount === 1 && element.firstElementChild?.isEqualNode(made);
  // What stands there already stays, with its decision: it was seen once.
  if (same && data.selvedgeOffer === decision.offer) return;
  if (!data.selvedgeOffer) originals.set(element, [...element.childNodes]);
  element.replaceChildren(made);
  data.selvedgeOffer = decision.offer;
  data.selvedgeDecision = decision.decision;
  if (decision.variant === null) delete data.selvedgeVariant;
  else data.selvedgeVariant = decision.variant;
}

/** Takes an offer out of a placement. */
export function clear(element: HTMLElement): void {
  const data = element.dataset;
  if (!data.selvedgeOffer) return;
  element.replaceChildren(...(originals.get(element) ?? []));
  originals.delete(element);
  delete data.selvedgeOffer;
  delete data.selvedgeDecision;
  delete data.selvedgeVariant;
}

/** An offer's element; null where it has nothing to show. */
function build({ fields }: Decision): HTMLElement | null {
  const link = fields.find((field) => field.kind === "link");
  const href = link ? address(link.text) : null;
  const root = document.createElement(href ? "a" : "div");
  root.className = "selvedge-offer";
  if (href) root.setAttribute("href", href);
  for (const { name, kind, text } of fields) {
    const source = kind === "image" ? address(text) : null;
    if (kind !== "text" && !source) continue;
    const tag = source ? "img" : name === "headline" ? "strong" : "span";
    const child = document.createElement(tag);
    if (/^[\w-]+$/.test(name)) child.className = `selvedge-${name}`;
    if (source) {
      child.setAttribute("alt", "");
      child.setAttribute("src", source);
    } else {
      child.textContent = text;
    }
    root.append(child);
  }
  return root.hasChildNodes() ? root : null;
}

/**
 * A path on this site or an https address, or null. Two parsers must agree: a strict reading of the
 * text, so that nothing depends on how a browser repairs it, and the browser's own.
 */
export function address(text: string): string | null {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: browsers drop some of them
  if (/[\u0000-\u0020\u007f-\u00a0\\\u2028\u2029\ufeff]/.test(text)) return null;
  const path = /^\/(?!\/)/.test(text);
  if (!path && !/^https:\/\/[^/?#@]+([/?#]|$)/i.test(text)) return null;
  try {
    const url = new URL(text, location.origin);
    if (path) return url.origin === location.origin ? text : null;
    return url.protocol === "https:" && !url.username ? text : null;
  } catch {
    return null;
  }
}
