//! Login, logout and the account. The shop knows who is logged in by its own session; the edge is
//! told by the signed token, and may say no where the visitor's consent does.

import { call, getJson, postJson } from "./edge.js";

const TIERS = { standard: "Standard", silver: "Silver", gold: "Gold" };

/** Marks the account's link for whoever is logged in. */
export async function showLogin() {
  const { customer } = await getJson("/api/me").catch(() => ({ customer: null }));
  document.getElementById("account-dot").hidden = !customer;
  if (document.body.dataset.page === "account") showCustomer(customer);
}

function showCustomer(customer) {
  document.getElementById("login").hidden = Boolean(customer);
  document.getElementById("account").hidden = !customer;
  document.getElementById("account-dot").hidden = !customer;
  document.getElementById("extend-done").hidden = true;
  if (!customer) return;
  const { customerId, firstName, lastName, email, tier, contract, contractEnd } = customer;
  const onPlan = contract === "linen_plan";
  set("account-title", `Hello, ${firstName} ${lastName}`);
  set("account-id", customerId);
  set("account-email", email);
  set("account-tier", TIERS[tier] ?? tier);
  set("account-contract", onPlan ? `Linen Plan, until ${day(contractEnd)}` : "None");
  document.getElementById("extend-plan").hidden = !onPlan;
}

function set(id, text) {
  document.getElementById(id).textContent = text;
}

function day(timestamp) {
  const format = { day: "numeric", month: "long", year: "numeric", timeZone: "UTC" };
  return new Intl.DateTimeFormat("en-GB", format).format(new Date(timestamp));
}

function say(text) {
  const status = document.getElementById("account-status");
  status.textContent = text;
  status.hidden = text === "";
}

export function startAccount() {
  document.getElementById("login-form").addEventListener("submit", (event) => {
    event.preventDefault();
    void login(event.currentTarget);
  });
  document.getElementById("logout").addEventListener("click", () => void logout());
  document.getElementById("extend-plan").addEventListener("click", () => {
    const done = document.getElementById("extend-done");
    done.hidden = false;
    done.focus();
  });
}

async function login(form) {
  const error = document.getElementById("login-error");
  const button = document.getElementById("login-submit");
  error.textContent = "";
  button.disabled = true;
  try {
    const customerId = form.elements.other.value.trim() || form.elements.customerId.value;
    const password = form.elements.password.value;
    const { token } = await postJson("/api/login", { customerId, password });
    const linked = token ? await linkedBy(token) : false;
    await showLogin();
    say(
      linked
        ? "You are logged in, and this device is linked to you."
        : "You are logged in. This device is not linked to you.",
    );
    document.getElementById("account-title").focus();
  } catch (failure) {
    error.textContent = `Not logged in: ${failure.message}.`;
  } finally {
    button.disabled = false;
  }
}

/** The edge may refuse: then the shop's own login stands, and no device is linked. */
async function linkedBy(token) {
  if (typeof window.selvedge?.login !== "function") return false;
  try {
    const answer = await window.selvedge.login(token);
    return answer?.linked !== false && !answer?.refused;
  } catch (error) {
    console.info("selvedge.login:", error);
    return false;
  }
}

async function logout() {
  await postJson("/api/logout", {});
  await call("logout");
  await showLogin();
  say("You are logged out.");
  document.getElementById("login-submit").focus();
}
