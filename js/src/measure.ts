//! What became of the offers in the page: seen, clicked, dismissed, as events of Segment's
//! specification. It must never decide anything, and measures only what the consent lets it.

import { allows } from "./consent.ts";
import { add } from "./queue.ts";
import { clear, placements } from "./render.ts";
import type { Exposure } from "./types.gen.ts";

const SEEN_RATIO = 0.5;
const SEEN_MS = 1_000;

/** Decisions that were seen. */
const seen = new Set<string>();
/** Variants behind what stands in the page, not reported yet. */
const exposures: Exposure[] = [];
const timers = new Map<Element, ReturnType<typeof setTimeout>>();
const observer =
  "IntersectionObserver" in window
    ? new IntersectionObserver(look, { threshold: SEEN_RATIO })
    : null;

export function startMeasuring(): void {
  document.addEventListener("click", clicked, true);
  document.addEventListener("visibilitychange", watch);
}

/** Notes which experiments decided about a placement, where the page has it: also where they left
 *  it empty, or the variants could not be compared. A page of an older edge names none. */
export function expose(decision: { placement: string; exposures?: Exposure[] }): void {
  if (placements(decision.placement)[0]) exposures.push(...(decision.exposures ?? []));
}

/** Watches every offer in the page that was not seen yet. */
export function watch(): void {
  for (const timer of timers.values()) clearTimeout(timer);
  timers.clear();
  observer?.disconnect();
  if (!allows("measure") || document.visibilityState !== "visible") return;
  // The edge counts each once per session.
  for (const { experiment, variant } of exposures.splice(0)) {
    const properties = { experiment_id: experiment, variation_id: variant };
    add({ type: "track", event: "Experiment Viewed", properties });
  }
  for (const element of placements()) {
    const { selvedgeOffer, selvedgeDecision } = element.dataset;
    if (!selvedgeOffer || seen.has(selvedgeDecision ?? "")) continue;
    if (observer) observer.observe(element);
    else saw(element);
  }
}

function look(entries: IntersectionObserverEntry[]): void {
  for (const { target, isIntersecting, intersectionRatio } of entries) {
    clearTimeout(timers.get(target));
    timers.delete(target);
    if (isIntersecting && intersectionRatio >= SEEN_RATIO) {
      timers.set(
        target,
        setTimeout(() => saw(target as HTMLElement), SEEN_MS),
      );
    }
  }
}

function saw(element: HTMLElement): void {
  observer?.unobserve(element);
  const decision = element.dataset.selvedgeDecision ?? "";
  if (seen.has(decision) || !report("Promotion Viewed", element)) return;
  seen.add(decision);
}

function clicked(event: MouseEvent): void {
  const target = event.target as Element | null;
  const element = target?.closest?.<HTMLElement>("[data-selvedge-offer]");
  if (!target || !element) return;
  if (target.closest("[data-selvedge-dismiss]")) {
    report("Promotion Dismissed", element);
    event.preventDefault();
    clear(element);
  } else if (target.closest("a,button,input,[role=button]")) {
    report("Promotion Clicked", element);
  }
}

function report(event: string, element: HTMLElement): boolean {
  const { selvedgeOffer, selvedgeDecision, selvedgeVariant, selvedge } = element.dataset;
  if (!allows("measure") || !selvedgeOffer) return false;
  const properties = {
    promotion_id: selvedgeOffer,
    placement: selvedge,
    decision: selvedgeDecision,
    variant: selvedgeVariant ?? null,
  };
  add({ type: "track", event, properties });
  return true;
}
