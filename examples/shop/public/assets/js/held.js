//! The lower part of the privacy page: what is held, the receipts, download and erasure. All of it
//! is the edge's answer about whoever holds this browser; nothing is kept here.

import { getJson, PURPOSES, postJson } from "./edge.js";
import { said, saidTime } from "./language.js";

const ME = "/_selvedge/v1/me";
const byId = (id) => document.getElementById(id);
let known = null;

function element(name, text, more = {}) {
  return Object.assign(document.createElement(name), { textContent: text, ...more });
}

function pairs(list) {
  const dl = element("dl", "", { className: "card about" });
  for (const [term, value] of list) dl.append(element("dt", term), element("dd", value));
  return dl;
}

function nameOf(purpose) {
  return byId(`setting-${purpose}-name`).textContent;
}

function receipt({ time, choices, banner, region }) {
  const word = (choice) => said(`receipt-${choice}`);
  const list = PURPOSES.filter((purpose) => choices[purpose]).map(
    (purpose) => `${nameOf(purpose)}: ${word(choices[purpose])}`,
  );
  const place = [region.country, region.subdivision].filter(Boolean).join("-");
  return element(
    "li",
    said("receipt", {
      time: saidTime(time),
      choices: list.join("; "),
      banner: banner || said("receipt-none"),
      region: place || said("receipt-unknown"),
    }),
  );
}

function show() {
  const box = byId("held");
  if (!known) {
    box.replaceChildren(element("p", said("held-unknown")));
    byId("receipts").replaceChildren();
    return;
  }
  const { assurance, content, counts, device, receipts } = known;
  const about = device ? `held-${assurance}` : "held-nothing";
  const parts = [element("p", said(about))];
  if (device) {
    const counted = Object.entries(counts);
    parts.push(pairs(counted.map(([name, count]) => [said(`count-${name}`), String(count)])));
  }
  if (content) {
    const plain = (value) => (Array.isArray(value) ? value.join(", ") : String(value));
    const facts = Object.entries({ ...content.traits, ...content.computed });
    parts.push(pairs(facts.map(([name, value]) => [name, plain(value)])));
  }
  box.replaceChildren(...parts);
  byId("receipts").replaceChildren(
    ...(receipts.length > 0 ? receipts.map(receipt) : [element("li", said("receipts-none"))]),
  );
  for (const purpose of PURPOSES) {
    const { since } = known.purposes[purpose];
    byId(`since-${purpose}`).textContent = since ? said("since", { time: saidTime(since) }) : "";
  }
  const person = assurance === "authenticated";
  byId("erase-about").textContent = said(person ? "erase-about-person" : "erase-about-device");
}

export async function readHeld() {
  known = await getJson(ME).catch(() => null);
  show();
}

function ask(open) {
  byId("erase-ask").hidden = !open;
  byId("erase").setAttribute("aria-expanded", String(open));
  byId(open ? "erase-yes" : "erase").focus();
}

async function erase() {
  const status = byId("erase-status");
  try {
    const { erased } = await postJson(`${ME}/erase`, {});
    status.textContent = said(`erased-${erased}`);
    byId("erase-ask").hidden = true;
    byId("erase").setAttribute("aria-expanded", "false");
    status.focus();
    document.dispatchEvent(new CustomEvent("shop:erased"));
  } catch (error) {
    console.info("erase:", error);
    status.textContent = said("not-erased");
  }
  await readHeld();
}

export function startHeld() {
  byId("erase").addEventListener("click", () => ask(byId("erase-ask").hidden));
  byId("erase-no").addEventListener("click", () => ask(false));
  byId("erase-yes").addEventListener("click", () => void erase());
  document.addEventListener("shop:consent", () => void readHeld());
  document.addEventListener("shop:language", show);
  void readHeld();
}
