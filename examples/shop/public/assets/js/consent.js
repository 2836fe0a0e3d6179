//! The consent banner and the privacy settings. Both write through one function, so that what
//! follows a choice is the same wherever it was made.

import { announce, BANNER, call, fill, PURPOSES, slots } from "./edge.js";

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
    if (!after) return announce("Your choice could not be saved. Please try again.");
    announce("Your choice is saved.");
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

  function show({ purposes, reasons }) {
    for (const purpose of PURPOSES) {
      const allowed = Boolean(purposes[purpose]);
      // The edge's code in words: a browser's signal or a rule can say no where the switch said yes.
      const reason = reasons?.[purpose]?.replaceAll("_", " ");
      form.elements[purpose].checked = allowed;
      const said = document.getElementById(`state-${purpose}`);
      said.textContent = [allowed ? "yes" : "no", reason].filter(Boolean).join(", ");
    }
  }
  let saves = 0;
  async function save(purposes, said) {
    saves += 1;
    const mine = saves;
    const after = await choose(purposes);
    if (mine !== saves) return;
    if (!after) {
      status.textContent = "That could not be saved. Please try again.";
      return;
    }
    show(after);
    status.textContent = said;
  }
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void save(read(form), "Saved. It holds from this moment on.");
  });
  document.getElementById("privacy-withdraw").addEventListener("click", () => {
    void save(allOf(false), "Withdrawn. What was kept for these purposes is gone.");
  });
  document.addEventListener("shop:consent", ({ detail }) => show(detail.after));

  known = await call("consent");
  if (!known) {
    status.textContent = "The edge is not here: nothing is kept, so there is nothing to set.";
    return;
  }
  show(known);
  status.textContent =
    known.choice === "none"
      ? "You have not chosen yet."
      : "These are your settings on this device.";
}
