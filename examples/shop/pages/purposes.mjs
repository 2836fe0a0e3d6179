//! The five purposes in the shop's words: what is held for each, and why.

export const PURPOSES = [
  {
    id: "store",
    name: "Remember this device",
    short: "A cookie that says: this browser was here before.",
    holds: "One sealed cookie with a random number, for at most 400 days.",
    why: "Without it every page begins from nothing, and nothing else below is possible.",
  },
  {
    id: "profile",
    name: "Keep what I do here",
    short: "Pages you look at, what you put in the basket, what you buy.",
    holds: "Your visits and orders; your customer record, once you have logged in.",
    why: "To know what suits you without asking twice.",
  },
  {
    id: "personalise",
    name: "Show me what suits me",
    short: "Offers picked for you instead of the general ones.",
    holds: "Which offers were chosen for you, and how often you saw them.",
    why: "So that the first thing on a page is of some use to you.",
  },
  {
    id: "measure",
    name: "Count what works",
    short: "Whether an offer was seen and followed.",
    holds: "Counts of offers seen and followed.",
    why: "To stop showing what helps nobody.",
  },
  {
    id: "share",
    name: "Tell our partners",
    short: "Our mill and our courier may learn what you like.",
    holds: "A list of what was passed on, and to whom.",
    why: "Some partners thank us with better prices. You lose nothing by saying no.",
  },
];

/** Five labelled switches; `prefix` keeps ids apart where two forms are on one page. */
export function purposeSwitches(prefix) {
  return PURPOSES.map(
    ({ id, name, short }) => `<p class="switch">
<input type="checkbox" role="switch" id="${prefix}-${id}" name="${id}" aria-describedby="${prefix}-${id}-text">
<label for="${prefix}-${id}" data-text="${id}-name">${name}</label>
<span id="${prefix}-${id}-text" class="muted" data-text="${id}-short">${short}</span>
</p>`,
  ).join("\n");
}

/** The same switches with what is held and why. */
export function purposeSettings() {
  return PURPOSES.map(
    ({
      id,
      name,
      short,
      holds,
      why,
    }) => `<section class="card setting" aria-labelledby="setting-${id}-name">
<p class="switch">
<input type="checkbox" role="switch" id="setting-${id}" name="${id}" aria-describedby="setting-${id}-text">
<label for="setting-${id}" id="setting-${id}-name" data-text="${id}-name">${name}</label>
<span id="setting-${id}-text" class="muted" data-text="${id}-short">${short}</span>
</p>
<dl>
<dt data-text="holds">What we hold</dt><dd data-text="${id}-holds">${holds}</dd>
<dt data-text="why">Why</dt><dd data-text="${id}-why">${why}</dd>
<dt data-text="now">Now</dt><dd><output id="state-${id}" for="setting-${id}">…</output> <span id="since-${id}" class="muted"></span></dd>
</dl>
</section>`,
  ).join("\n");
}
