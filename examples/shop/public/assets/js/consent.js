//! The consent banner and the privacy settings. Both write through one function, so that what
//! follows a choice is the same wherever it was made.

import { announce, BANNER, call, fill, PURPOSES, slots } from "./edge.js";
import { said } from "./language.js";

/** How long the page says that all is erased before it begins anew. */
const ERASED_MS = 4_000;
let known = null;

async function choose(purposes) {
  const before = known;
  const after = await call("consent", purposes, { banner: BANNER });
  if (!after) return null;
  known = after;
  await refreshSlots(before, after);
  // Somebody who chose again meanwhile sees the later choice, not this one.
  if (known === after) {
    document.dispatchEvent(new CustomEvent("shop:consent", { detail: { before, after } }));
  }
  return known;
}

/** Nothing personal stays on the screen after a withdrawal, whatever else fails. */
async function refreshSlots(before, after) {
  const withdrawn = before?.purposes?.personalise && !after.purposes.personalise;
  for (const slot of slots()) {
    const decision = await fill(slot.dataset.selvedge);
    if (withdrawn && !decision?.offer) {
      location.reload();
      return;
    }
  }
}

function allOf(value) {
  return Object.fromEntries(PURPOSES.map((purpose) => [purpose, value]));
}

function read(form) {
  return Object.fromEntries(PURPOSES.map((purpose) => [purpose, form.elements[purpose].checked]));
}

export async function startBanner() {
  const banner = document.getElementById("consent-banner");
  const choices = document.getElementById("consent-choices");
  const button = (name) => document.getElementById(`consent-${name}`);

  async function decide(purposes) {
    const after = await choose(purposes);
    if (!after) return announce(said("choice-not-saved"));
    announce(said("choice-saved"));
  }
  button("accept").addEventListener("click", () => decide(allOf(true)));
  button("necessary").addEventListener("click", () => decide(allOf(false)));
  button("choose").addEventListener("click", () => {
    const open = choices.hidden;
    choices.hidden = !open;
    button("save").hidden = !open;
    button("choose").setAttribute("aria-expanded", String(open));
    if (open) choices.elements.store.focus();
  });
  choices.addEventListener("submit", (event) => {
    event.preventDefault();
    void decide(read(choices));
  });
  document.addEventListener("shop:consent", () => {
    const focused = banner.contains(document.activeElement);
    banner.hidden = true;
    if (focused) document.getElementById("main").focus({ preventScroll: true });
  });

  known = await call("consent");
  banner.hidden = known?.choice !== "none";
}

export async function startPrivacy() {
  const form = document.getElementById("privacy-form");
  const status = document.getElementById("privacy-status");
  let standing = "reading";

  function say(key) {
    standing = key;
    status.textContent = said(key);
  }
  function show({ purposes, reasons }) {
    for (const purpose of PURPOSES) {
      const allowed = Boolean(purposes[purpose]);
      // The edge's code in words: a browser's signal or a rule can say no where the switch said yes.
      const reason = reasons?.[purpose];
      form.elements[purpose].checked = allowed;
      const text = [said(allowed ? "yes" : "no"), reason && said(reason)];
      document.getElementById(`state-${purpose}`).textContent = text.filter(Boolean).join(", ");
    }
  }
  let saves = 0;
  async function save(purposes, key) {
    saves += 1;
    const mine = saves;
    const after = await choose(purposes);
    if (mine !== saves) return;
    if (!after) return say("not-saved");
    show(after);
    say(key);
  }
  async function readAgain() {
    known = await call("consent");
    if (!known) return say("no-edge");
    show(known);
    say(known.choice === "none" ? "not-chosen" : "chosen");
  }
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void save(read(form), "saved");
  });
  document.getElementById("privacy-withdraw").addEventListener("click", () => {
    void save(allOf(false), "withdrawn");
  });
  document.addEventListener("shop:consent", ({ detail }) => show(detail.after));
  document.addEventListener("shop:language", () => {
    say(standing);
    if (known) show(known);
  });
  // The tag in this page still knows who was there; a fresh page does not.
  document.addEventListener("shop:erased", () => setTimeout(() => location.reload(), ERASED_MS));
  say(standing);
  await readAgain();
}
