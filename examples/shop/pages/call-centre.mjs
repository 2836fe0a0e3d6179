//! The call centre's page: find the caller, write the note.

export function callCentreMain() {
  return `<h1>Call centre</h1>
<p class="lead">Somebody is on the phone. Find the customer, note what was said; the CRM tells the rest of the house.</p>
<form id="search-form" role="search" class="search">
<label for="search-query">Customer number, name, e-mail or phone</label>
<div class="row"><input id="search-query" name="query" type="search" autocomplete="off" maxlength="100">
<button class="button" type="submit" id="search-submit">Search</button></div>
</form>
<p id="search-count" class="muted" role="status"></p>
<ul id="search-results" class="results" aria-label="Customers found"></ul>
<section id="note-section" class="card" aria-labelledby="note-title" hidden>
<h2 id="note-title" tabindex="-1">Note</h2>
<p id="note-about" class="muted"></p>
<form id="note-form">
<input type="hidden" id="note-customer" name="customerId">
<p class="field"><label for="note-text">What was said</label>
<textarea id="note-text" name="note" rows="3" maxlength="2000" required></textarea></p>
<fieldset class="choices"><legend>What does the customer want?</legend>
<p><input type="radio" name="intent" id="intent-cancel" value="cancel" checked><label for="intent-cancel">To cancel the contract</label></p>
<p><input type="radio" name="intent" id="intent-none" value="none"><label for="intent-none">Not to cancel</label></p>
</fieldset>
<p class="field"><label for="note-agent">Agent</label>
<input id="note-agent" name="agent" value="Robin" maxlength="64" required></p>
<button type="submit" class="button primary" id="note-save">Write the note</button>
<p id="note-status" class="note" role="status" hidden></p>
</form>
<h3>Earlier notes</h3>
<ul id="note-list" class="notes"></ul>
</section>`;
}
