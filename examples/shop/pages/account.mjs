//! The account page: the login with sample customers, and the plan of whoever is logged in.

import { readPeople, SAMPLE_IDS } from "../data/people.mjs";

const ABOUT = {
  "C-0006": "On the Linen Plan, sixteen orders, gold. The story is hers.",
  "C-0001": "Four orders, no plan.",
  "C-0002": "On the Linen Plan, reads German.",
  "C-0003": "One order, wants no marketing.",
  "C-0011": "Seven orders, reads German.",
};

export function accountMain() {
  return `<h1>Your account</h1>
<p id="account-status" class="note" hidden></p>
<section id="login" aria-labelledby="login-title">
<h2 id="login-title">Log in</h2>
<p class="muted">Choose somebody to be. Everybody’s password is <code>demo</code>.</p>
<form id="login-form">
<fieldset class="people"><legend>Customer</legend>
${samples().map(sampleRadio).join("\n")}
</fieldset>
<p class="field"><label for="login-other">Or another customer number</label>
<input id="login-other" name="other" autocomplete="username" placeholder="C-0042" pattern="C-[0-9]{4}" title="C- and four digits"></p>
<p class="field"><label for="login-password">Password</label>
<input id="login-password" name="password" type="password" value="demo" autocomplete="current-password" required></p>
<p id="login-error" class="error" role="alert"></p>
<button type="submit" class="button primary" id="login-submit">Log in</button>
</form>
</section>
<section id="account" aria-labelledby="account-title" hidden>
<h2 id="account-title" tabindex="-1">Hello</h2>
<dl class="card about">
<dt>Customer number</dt><dd id="account-id"></dd>
<dt>E-mail</dt><dd id="account-email"></dd>
<dt>Tier</dt><dd id="account-tier"></dd>
<dt>Contract</dt><dd id="account-contract"></dd>
</dl>
<div class="form-buttons">
<button type="button" class="button primary" id="extend-plan" hidden>Extend the Linen Plan by a year</button>
<button type="button" class="button" id="logout">Log out</button>
</div>
<p id="extend-done" class="note" tabindex="-1" hidden>Thank you. Your plan runs a year longer, two months of it free.</p>
</section>`;
}

function samples() {
  const people = readPeople();
  return SAMPLE_IDS.map((id) => {
    const { firstName, lastName } = people.get(id);
    return { id, name: `${firstName} ${lastName}` };
  });
}

function sampleRadio({ id, name }, nth) {
  return `<p class="person"><input type="radio" name="customerId" id="login-${id}" value="${id}"${nth === 0 ? " checked" : ""} aria-describedby="login-${id}-about">
<label for="login-${id}">${name} <span class="muted">${id}</span></label>
<span id="login-${id}-about" class="muted">${ABOUT[id]}</span></p>`;
}
