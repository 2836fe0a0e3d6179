//! The language of the banner and the privacy page. The page comes in English; German is put in its
//! place. The choice lives in the address alone: a language that was stored would be a trace before
//! anybody said yes.

import { GERMAN, SAID } from "./texts.js";

const LANGUAGES = ["en", "de"];
const english = new Map();
let current = "en";

/** The address's word, else what the browser likes best. */
function wanted() {
  const asked = new URLSearchParams(location.search).get("language");
  if (LANGUAGES.includes(asked)) return asked;
  return navigator.language.toLowerCase().startsWith("de") ? "de" : "en";
}

export const language = () => current;

/** A sentence that a script says, in the current language. */
export function said(key, fields = {}) {
  const text = SAID[current][key] ?? key;
  return text.replace(/\{(\w+)\}/g, (_, name) => String(fields[name] ?? ""));
}

/** A time as people of this language write it. */
export function saidTime(text) {
  const format = new Intl.DateTimeFormat(current, { dateStyle: "long", timeStyle: "medium" });
  return format.format(new Date(text));
}

function translate() {
  // The other pages are English but for the banner; the privacy page is all in one language.
  const whole = document.body.dataset.page === "privacy";
  const texts = whole ? "[data-text]" : "[data-translated] [data-text]";
  for (const element of document.querySelectorAll(texts)) {
    const key = element.dataset.text;
    if (!english.has(element)) english.set(element, element.textContent);
    element.textContent = current === "en" ? english.get(element) : (GERMAN[key] ?? key);
  }
  for (const part of document.querySelectorAll("[data-translated]")) part.lang = current;
  if (whole) {
    document.documentElement.lang = current;
    document.title = `${document.querySelector("h1").textContent} · Weft & Wold`;
  }
  for (const link of document.querySelectorAll("[data-language]")) {
    if (link.dataset.language === current) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}

export function startLanguage() {
  current = wanted();
  translate();
  for (const link of document.querySelectorAll("[data-language]")) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      current = link.dataset.language;
      const address = new URL(location.href);
      address.searchParams.set("language", current);
      history.replaceState(history.state, "", address);
      translate();
      document.dispatchEvent(new CustomEvent("shop:language"));
    });
  }
}
