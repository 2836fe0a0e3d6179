//! Reads placements out of the bytes of a page, as a reader without any script would. It must never
//! need a browser.

const ENTITIES = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", "#39": "'", "#x27": "'" };

/** `{offer, decision, html, text}` of a placement in the page's bytes; null where there is none. */
export function placementIn(html, name) {
  const open = new RegExp(`<(\\w+)([^>]*\\sdata-selvedge="${name}"[^>]*)>`).exec(html);
  if (!open) return null;
  const [start, tag, attributes] = open;
  const inner = innerHtml(html.slice(open.index + start.length), tag);
  return {
    offer: attribute(attributes, "data-selvedge-offer"),
    decision: attribute(attributes, "data-selvedge-decision"),
    html: inner,
    text: textOf(inner),
  };
}

/** The state that the edge wrote into the page for the tag; null where there is none. */
export function stateIn(html) {
  const found = /<script[^>]*id="selvedge-state"[^>]*>([^<]*)<\/script>/.exec(html);
  return found ? JSON.parse(found[1]) : null;
}

function attribute(attributes, name) {
  const found = new RegExp(`\\s${name}="([^"]*)"`).exec(attributes);
  return found ? decode(found[1]) : null;
}

/** Up to the end tag that belongs to the opened one. */
function innerHtml(rest, tag) {
  const tags = new RegExp(`<(/?)${tag}[\\s>]`, "g");
  let depth = 1;
  for (const found of rest.matchAll(tags)) {
    depth += found[1] ? -1 : 1;
    if (depth === 0) return rest.slice(0, found.index);
  }
  return rest;
}

function textOf(html) {
  return decode(html.replace(/<[^>]*>/g, " "))
    .replace(/\s+/g, " ")
    .trim();
}

function decode(text) {
  return text.replace(/&(#?\w+);/g, (whole, name) => ENTITIES[name] ?? whole);
}
