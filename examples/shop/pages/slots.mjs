//! The two placements, with what stands there when nothing better is known. The fallback has the
//! form that the edge writes, so that the page looks the same with and without it.

export function heroSlot() {
  return `<div class="slot slot-hero" data-selvedge="hero"><a class="selvedge-offer" href="/plan/"><strong class="selvedge-headline">Cloth that outlives its trends</strong><span class="selvedge-body">Linen and wool for bed, bath and table. Woven slowly, mended free for life.</span><span class="selvedge-cta">See the Linen Plan</span></a></div>`;
}

export function tipSlot() {
  return `<div class="slot slot-tip" data-selvedge="tip"><a class="selvedge-offer" href="/plan/"><strong class="selvedge-headline">Linen likes company</strong><span class="selvedge-body">Wash it with its own kind and skip the softener.</span><span class="selvedge-cta">More on care</span></a></div>`;
}
