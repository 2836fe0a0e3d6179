//! All pages of the shop: `{path, html}`.

import { accountMain } from "./account.mjs";
import { drawHero, drawProduct } from "./art.mjs";
import { callCentreMain } from "./call-centre.mjs";
import { CURRENCY, PLAN, PRODUCTS } from "./catalogue.mjs";
import { layout } from "./layout.mjs";
import { privacyMain } from "./privacy.mjs";
import { heroSlot, tipSlot } from "./slots.mjs";

export function allPages() {
  return [
    page("/", "home", "Linen and wool for the house", homeMain()),
    page("/plan/", "plan", "The Linen Plan", planMain()),
    page("/basket/", "basket", "Your basket", basketMain()),
    page("/account/", "account", "Your account", accountMain()),
    page("/privacy/", "privacy", "Privacy settings", privacyMain()),
    page("/call-centre/", "call-centre", "Call centre", callCentreMain()),
    ...PRODUCTS.map(productPage),
  ];
}

export function notFoundPage() {
  const main = `<h1>Nothing is woven here</h1>
<p>This page does not exist. <a href="/">Back to the shop</a></p>`;
  return page("/404", "not-found", "Not found", main).html;
}

function page(path, kind, title, main, data = "") {
  const description = `${title}: Weft & Wold, household textiles.`.replaceAll("&", "&amp;");
  return { path, html: layout({ path, kind, title, description, main, data }) };
}

function homeMain() {
  return `<div class="hero">
<div class="hero-text"><p class="eyebrow">Linen &amp; wool since last Tuesday</p>
${heroSlot()}</div>
${drawHero()}
</div>
<h1 class="section-title">For bed, bath and table</h1>
<ul class="grid">
${PRODUCTS.map(productCard).join("\n")}
</ul>
${tipSlot()}`;
}

function productCard({ slug, name, line, price, art, palette }) {
  return `<li class="card product"><a class="product-link" href="/products/${slug}/">${drawProduct(art, palette)}
<span class="product-name">${name}</span></a>
<span class="muted">${line}</span>
<span class="price">$${price}</span></li>`;
}

function productPage(product) {
  const { id, slug, name, category, line, text, facts, price, art, palette } = product;
  const main = `<nav aria-label="Breadcrumb"><p class="crumbs"><a href="/">Shop</a> <span aria-hidden="true">/</span> ${category}</p></nav>
<div class="detail">
<div class="detail-art">${drawProduct(art, palette, `Drawing: ${name}`)}</div>
<div>
<p class="eyebrow">${category}</p>
<h1>${name}</h1>
<p class="lead">${line}</p>
<p class="price big">$${price}</p>
<form id="add-form" class="add">
<label for="quantity">Quantity</label>
<input id="quantity" name="quantity" type="number" inputmode="numeric" min="1" max="9" step="1" value="1" required>
<button class="button primary" type="submit" id="add-to-basket">Add to basket</button>
</form>
<p id="added" class="note" hidden>In your basket. <a href="/basket/">Go to the basket</a></p>
<p>${text}</p>
<ul class="facts">${facts.map((fact) => `<li>${fact}</li>`).join("")}</ul>
</div>
</div>
${tipSlot()}`;
  const data = ` data-product-id="${id}" data-product-name="${name}" data-category="${category}" data-price="${price}" data-currency="${CURRENCY}" data-slug="${slug}"`;
  return page(`/products/${slug}/`, "product", name, main, data);
}

function planMain() {
  return `<h1>The Linen Plan</h1>
<p class="lead">Fresh linen each season, and the tired pieces come back to us. $${PLAN.price} a month, a year at a time.</p>
<ol class="steps">
<li class="card"><h2>Choose a set</h2><p>Bed, bath or table. Each March, June, September and December a fresh set arrives in a box that you keep.</p></li>
<li class="card"><h2>Live with it</h2><p>Stains, tears, a cat: send it back and we mend it, or weave the thread into something else.</p></li>
<li class="card"><h2>Stay or go</h2><p>The plan runs for a year. Whoever extends it pays two months less; whoever leaves keeps the last set.</p></li>
</ol>
<p><a class="button primary" href="/account/">Look after your plan</a></p>
${tipSlot()}`;
}

function basketMain() {
  return `<h1>Your basket</h1>
<p class="note" id="order-done" tabindex="-1" hidden></p>
<p id="basket-empty">The basket is empty. <a href="/">Look around</a></p>
<div id="basket-full" hidden>
<ul id="basket-lines" class="lines" aria-label="Items in your basket"></ul>
<p class="total">Total <strong id="basket-total">$0</strong></p>
<button type="button" class="button primary" id="place-order">Place the order</button>
<p class="muted">It is only a demo: no money, no parcel.</p>
</div>`;
}
