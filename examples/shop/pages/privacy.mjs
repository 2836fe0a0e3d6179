//! The privacy page: switches, what is held, receipts, download, erasure. Its English is here, its
//! German in `texts.js`, by the names in `data-text`.

import { purposeSettings } from "./purposes.mjs";
import { heroSlot } from "./slots.mjs";

export function privacyMain() {
  return `<div data-translated>
<p class="crumbs"><a href="?language=en" data-language="en" lang="en" hreflang="en">English</a> <span aria-hidden="true">/</span> <a href="?language=de" data-language="de" lang="de" hreflang="de">Deutsch</a></p>
<h1 data-text="title">Privacy settings</h1>
<p class="lead" data-text="lead">Five switches. Each works at once, in the same moment and for good.</p>
<p id="privacy-status" class="note" role="status">Reading your settings …</p>
<form id="privacy-form" class="settings">
${purposeSettings()}
<div class="form-buttons">
<button type="submit" class="button primary" id="privacy-save" data-text="save">Save</button>
<button type="button" class="button" id="privacy-withdraw" data-text="withdraw">Withdraw everything</button>
</div>
</form>
<section aria-labelledby="held-title">
<h2 id="held-title" data-text="held-title">What we hold on you</h2>
<div id="held"></div>
</section>
<section aria-labelledby="receipts-title">
<h2 id="receipts-title" data-text="receipts-title">Your receipts</h2>
<p class="muted" data-text="receipts-text">Each choice that you made is here: when, where, and to which question. Receipts are never changed.</p>
<ol id="receipts" class="notes"></ol>
</section>
<section aria-labelledby="yours-title">
<h2 id="yours-title" data-text="yours-title">Take it with you, or erase it</h2>
<div class="form-buttons">
<a class="button" id="download" href="/_selvedge/v1/me/export" download data-text="download">Download my data (JSON)</a>
<button type="button" class="button" id="erase" aria-expanded="false" aria-controls="erase-ask" data-text="erase">Erase my data</button>
</div>
<div id="erase-ask" class="card setting" role="group" aria-labelledby="erase" hidden>
<p><span id="erase-about"></span> <strong data-text="erase-sure">This cannot be undone.</strong></p>
<div class="form-buttons">
<button type="button" class="button primary" id="erase-yes" data-text="erase-yes">Yes, erase it now</button>
<button type="button" class="button" id="erase-no" data-text="erase-no">No, keep it</button>
</div>
</div>
<p id="erase-status" role="status" tabindex="-1"></p>
</section>
<h2 data-text="front-title">What your settings make of our front page</h2>
<p class="muted" data-text="front-text">This is its first slot, as you would see it now.</p>
</div>
<div class="hero hero-small"><div class="hero-text">${heroSlot()}</div></div>`;
}
