//! The call centre's page: search, choose, write the note, see how long the feed took.

import { getJson, postJson } from "./edge.js";

const element = (id) => document.getElementById(id);

export function startCallCentre() {
  element("search-form").addEventListener("submit", (event) => {
    event.preventDefault();
    void search();
  });
  element("note-form").addEventListener("submit", (event) => {
    event.preventDefault();
    void write(event.currentTarget);
  });
  void search();
}

async function search() {
  const query = element("search-query").value.trim();
  const count = element("search-count");
  try {
    const { customers, total } = await getJson(`/api/customers?query=${encodeURIComponent(query)}`);
    element("search-results").replaceChildren(...customers.map(result));
    count.textContent =
      query === ""
        ? `${total} customers; these are some of them.`
        : countText(customers.length, total);
  } catch (error) {
    count.textContent = `The search failed: ${error.message}.`;
  }
}

function countText(shown, total) {
  if (total === 0) return "Nobody found.";
  if (shown < total) return `${total} found; the first ${shown} are shown.`;
  return `${total} found.`;
}

function result(customer) {
  const item = document.createElement("li");
  const button = document.createElement("button");
  button.type = "button";
  button.className = "card result";
  button.dataset.customer = customer.customerId;
  const name = document.createElement("strong");
  name.textContent = `${customer.firstName} ${customer.lastName}`;
  const about = document.createElement("span");
  about.className = "muted";
  about.textContent = `${customer.customerId} · ${customer.email} · ${customer.phone}`;
  button.append(name, about);
  button.addEventListener("click", () => void open(customer));
  item.append(button);
  return item;
}

async function open(customer) {
  const { customerId, firstName, lastName, contract, contractEnd, tier } = customer;
  element("note-section").hidden = false;
  element("note-status").hidden = true;
  element("note-customer").value = customerId;
  element("note-title").textContent = `${firstName} ${lastName}, ${customerId}`;
  const plan =
    contract === "linen_plan" ? `Linen Plan until ${contractEnd.slice(0, 10)}` : "no contract";
  element("note-about").textContent = `${plan}, tier ${tier}`;
  element("note-title").focus();
  await showNotes(customerId);
}

async function showNotes(customerId) {
  const { notes } = await getJson(
    `/api/call-centre/notes?customerId=${encodeURIComponent(customerId)}`,
  );
  element("note-list").replaceChildren(...(notes.length ? notes.map(noteItem) : [emptyItem()]));
}

function noteItem({ timestamp, note, intent, agent }) {
  const item = document.createElement("li");
  const wish = intent === "cancel" ? "wants to cancel" : "does not want to cancel";
  item.textContent = `${timestamp.slice(0, 16).replace("T", " ")} UTC, ${agent}: ${note} (${wish})`;
  return item;
}

function emptyItem() {
  const item = document.createElement("li");
  item.className = "muted";
  item.textContent = "None.";
  return item;
}

async function write(form) {
  const status = element("note-status");
  const button = element("note-save");
  const { customerId, note, intent, agent } = form.elements;
  button.disabled = true;
  try {
    const { feed } = await postJson("/api/call-centre/notes", {
      customerId: customerId.value,
      note: note.value,
      intent: intent.value,
      agent: agent.value,
    });
    status.textContent = feedText(feed);
    status.dataset.sent = String(feed.sent);
    note.value = "";
    await showNotes(customerId.value);
  } catch (error) {
    status.textContent = `The note was not written: ${error.message}.`;
    status.dataset.sent = "false";
  } finally {
    status.hidden = false;
    button.disabled = false;
  }
}

function feedText(feed) {
  if (feed.sent) return `Written. The central store had it ${feed.tookMs} ms later.`;
  if (feed.code === "not_configured") return "Written. The CRM feeds no central store here.";
  return "Written. The central store does not answer now; the CRM keeps trying.";
}
