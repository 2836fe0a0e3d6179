//! The shop's side of the tag's API. The shop works without it: a call that finds no tag, fails or
//! does not come back in time gives null, and the page stays as it is.

const DEADLINE_MS = 4_000;

export const BANNER = "shop-banner-2026-11";
export const PURPOSES = ["store", "profile", "personalise", "measure", "share"];

export async function call(method, ...args) {
  const tag = window.selvedge;
  if (typeof tag?.[method] !== "function") return null;
  let timer;
  const late = new Promise((resolve) => {
    timer = setTimeout(resolve, DEADLINE_MS, null);
  });
  try {
    return (await Promise.race([tag[method](...args), late])) ?? null;
  } catch (error) {
    console.info(`selvedge.${method}:`, error);
    return null;
  } finally {
    clearTimeout(timer);
  }
}

export function track(event, properties) {
  void call("track", event, properties);
}

/** Decides a placement in the page and puts the answer in place. */
export async function fill(placement) {
  const decision = await call("decide", placement);
  if (decision) await call("render", placement);
  return decision;
}

/** Placements of this page, by name. */
export function slots() {
  return [...document.querySelectorAll("[data-selvedge]")];
}

/** Says something to those who cannot see it happen. */
export function announce(text) {
  const live = document.getElementById("live");
  if (live) live.textContent = text;
}

export async function postJson(path, body) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  const value = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(value.message ?? `the shop answered ${answer.status}`);
  return value;
}

export async function getJson(path) {
  const answer = await fetch(path, { headers: { Accept: "application/json" } });
  const value = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(value.message ?? `the shop answered ${answer.status}`);
  return value;
}
