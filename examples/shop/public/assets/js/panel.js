//! The panel in the corner: what stands in this page's placements, and what the edge says of the
//! visitor and of every offer. It shows whatever the answer holds and must never decide anything.

import { getJson, slots } from "./edge.js";

const decided = new Map();

export function startPanel() {
  const panel = document.getElementById("panel");
  const toggle = document.getElementById("panel-toggle");

  function open(on) {
    panel.hidden = !on;
    toggle.setAttribute("aria-expanded", String(on));
    if (on) {
      panel.focus({ preventScroll: true });
      void show();
    } else {
      toggle.focus({ preventScroll: true });
    }
  }
  const refresh = () => {
    if (!panel.hidden) void show();
  };
  toggle.addEventListener("click", () => open(panel.hidden));
  document.getElementById("panel-close").addEventListener("click", () => open(false));
  document.getElementById("panel-refresh").addEventListener("click", refresh);
  panel.addEventListener("keydown", (event) => {
    if (event.key === "Escape") open(false);
  });
  document.addEventListener("selvedge:decision", ({ detail }) => {
    if (detail?.placement) decided.set(detail.placement, detail);
    refresh();
  });
  document.addEventListener("shop:consent", refresh);
}

async function show() {
  const body = document.getElementById("panel-body");
  let parts;
  try {
    const answer = await getJson(`/api/panel?path=${encodeURIComponent(location.pathname)}`);
    parts = answer.known === false ? [unknown(answer)] : explained(answer);
  } catch (error) {
    parts = [text("p", `The edge could not be asked: ${error.message}.`)];
  }
  body.replaceChildren(inThisPage(), ...parts);
}

function inThisPage() {
  const rows = slots().map((slot) => {
    const { selvedge: placement, selvedgeOffer: offer, selvedgeDecision: decision } = slot.dataset;
    const reason = decided.get(placement)?.reason;
    const value = offer
      ? `${offer}${reason ? `, ${sentence(reason)}` : ""}`
      : "the shop’s own text";
    return [placement, decision ? `${value} (${decision})` : value];
  });
  const box = section("In this page");
  box.append(rows.length ? list(rows) : text("p", "No placement here."));
  return box;
}

function unknown({ reason }) {
  const box = section("The visitor");
  const said =
    reason === "not_configured"
      ? "The shop has no edge to ask."
      : "Nothing. No cookie, no entry, no row: this visitor was not remembered.";
  box.append(text("p", said));
  return box;
}

function explained(answer) {
  const { placements, decisions, workspace, ...rest } = answer;
  const profile = answer.profile ?? rest;
  const parts = [];
  const visitor = section("The visitor");
  visitor.append(
    list(
      Object.entries(profile)
        .filter(([name]) => name !== "known")
        .map(rowOf),
    ),
  );
  parts.push(visitor);
  for (const [name, placement] of entriesOf(decisions ?? placements))
    parts.push(explainedPlacement(name, placement));
  const raw = document.createElement("details");
  raw.append(text("summary", "All of it, as JSON"), text("pre", JSON.stringify(answer, null, 2)));
  parts.push(raw);
  return parts;
}

/** One row per part of the profile; a map in it reads better as `name: value` than as JSON. */
function rowOf([name, value]) {
  if (Array.isArray(value)) return [name, value.map(sentence).join(", ") || "none"];
  if (typeof value !== "object" || value === null) return [name, sentence(value)];
  const held = Object.entries(value.purposes ?? value);
  return [name, held.map(([key, item]) => `${key}: ${sentence(item)}`).join(", ") || "none"];
}

function explainedPlacement(name, placement) {
  const winner = nameOf(placement.winner ?? placement.offer);
  const box = section(`Placement “${name}”: ${winner ?? "no offer"}`);
  const offers = placement.offers ?? placement.trace ?? placement.reasons ?? [];
  const rows = entriesOf(offers).map(([key, offer]) => {
    const { code, reason } = offer ?? {};
    const said = offer?.sentence ?? offer?.message ?? reason ?? "";
    return [offer?.offer ?? key, [code, sentence(said)].filter(Boolean).join(": ")];
  });
  box.append(list(rows, winner));
  return box;
}

function nameOf(value) {
  return typeof value === "object" && value !== null ? (value.offer ?? null) : (value ?? null);
}

/** Pairs of name and value, of an array of named things or of a map. */
function entriesOf(value) {
  if (Array.isArray(value)) {
    return value.map((item, nth) => [item?.placement ?? item?.offer ?? String(nth + 1), item]);
  }
  return Object.entries(value ?? {});
}

function sentence(value) {
  if (value === null || value === undefined) return "–";
  if (value === true) return "yes";
  if (value === false) return "no";
  if (typeof value !== "object") return String(value);
  const values = Object.values(value);
  // A value that is wrapped in the name of its type is shown without it.
  if (values.length === 1 && typeof values[0] !== "object") return sentence(values[0]);
  return value.sentence ?? value.message ?? value.code ?? JSON.stringify(value);
}

function section(title) {
  const box = document.createElement("section");
  box.append(text("h3", title));
  return box;
}

function list(rows, marked) {
  const box = document.createElement("dl");
  for (const [name, value] of rows) {
    const term = text("dt", name);
    if (marked !== undefined && marked !== null && name === marked) term.className = "winner";
    box.append(term, text("dd", value));
  }
  return box;
}

function text(tag, content) {
  const made = document.createElement(tag);
  made.textContent = content;
  return made;
}
