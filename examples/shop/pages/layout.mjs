//! The frame of every page: head, skip link, consent banner, header, footer, panel. Pages are the
//! same for everybody; nothing here may depend on who asks.

import { drawMark } from "./art.mjs";
import { purposeSwitches } from "./purposes.mjs";

const NAV = [
  ["/", "Shop", "nav-shop"],
  ["/plan/", "Linen Plan", "nav-plan"],
  ["/account/", "Account", "nav-account"],
  ["/basket/", "Basket", "nav-basket"],
];

const FOOT = [
  ["/privacy/", "Privacy settings", "title"],
  ["/call-centre/", "Call centre (staff)", "foot-call-centre"],
];

/** `page`: `{path, title, description, kind, main, data?}`; `main` is trusted HTML. */
export function layout({ path, title, description, kind, main, data = "" }) {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title} · Weft &amp; Wold</title>
<meta name="description" content="${description}">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="/assets/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/assets/shop.css">
<script type="module" src="/assets/js/shop.js"></script>
</head>
<body data-page="${kind}"${data}>
<a class="skip" href="#main" data-text="skip">Skip to the content</a>
${banner()}
<header class="site-head">
<div class="wrap head-row">
<a class="brand" href="/">${drawMark()}<span>Weft &amp; Wold</span></a>
<nav aria-label="Main"><ul class="nav">
${NAV.map(([href, text, key]) => navItem(path, href, text, key)).join("\n")}
</ul></nav>
</div>
</header>
<main id="main" class="wrap" tabindex="-1">
${main}
</main>
<footer class="site-foot">
<div class="wrap foot-row">
<p data-text="foot-about">Weft &amp; Wold is an invented shop: a demo of Selvedge. Nothing here can be bought, and nobody here is real.</p>
<ul>
${FOOT.map(([href, text, key]) => `<li><a href="${href}"${current(path, href)} data-text="${key}">${text}</a></li>`).join("\n")}
</ul>
</div>
</footer>
${panel()}
<p id="live" class="visually-hidden" role="status" aria-live="polite"></p>
</body>
</html>
`;
}

function navItem(path, href, text, key) {
  const badge =
    href === "/basket/"
      ? ' <span id="basket-count" class="badge" data-count="0"><span class="visually-hidden">, items: </span><span id="basket-count-number">0</span></span>'
      : "";
  const dot =
    href === "/account/"
      ? ' <span id="account-dot" class="dot" hidden><span class="visually-hidden">, logged in</span></span>'
      : "";
  return `<li><a href="${href}"${current(path, href)}><span data-text="${key}">${text}</span>${badge}${dot}</a></li>`;
}

function current(path, href) {
  return path === href ? ' aria-current="page"' : "";
}

function banner() {
  return `<section id="consent-banner" class="banner" aria-labelledby="consent-title" data-translated hidden>
<h2 id="consent-title" data-text="banner-title">May we remember you?</h2>
<p><span data-text="banner-text">The shop works either way. With your consent we keep your visit, see what suits you, and show you that instead of anything else.</span> <a href="/privacy/" data-text="banner-more">What each choice means</a></p>
<form id="consent-choices" hidden>
${purposeSwitches("banner")}
</form>
<div class="banner-buttons">
<button type="button" class="button" id="consent-accept" data-text="banner-accept">Accept all</button>
<button type="button" class="button" id="consent-necessary" data-text="banner-necessary">Only necessary</button>
<button type="button" class="button quiet" id="consent-choose" aria-expanded="false" aria-controls="consent-choices" data-text="banner-choose">Choose</button>
<button type="submit" class="button quiet" id="consent-save" form="consent-choices" data-text="banner-save" hidden>Save my choice</button>
</div>
</section>`;
}

function panel() {
  return `<aside aria-label="Selvedge" lang="en">
<button type="button" id="panel-toggle" class="panel-toggle" aria-expanded="false" aria-controls="panel"><span class="long">What the </span><span>edge</span><span class="long"> knows</span></button>
<section id="panel" class="panel" aria-labelledby="panel-title" tabindex="-1" hidden>
<div class="panel-head"><h2 id="panel-title">What the edge knows</h2>
<button type="button" id="panel-refresh" class="link">Refresh</button>
<button type="button" id="panel-close" class="link">Close</button></div>
<div id="panel-body" class="panel-body"><p>Loading …</p></div>
</section>
</aside>`;
}
