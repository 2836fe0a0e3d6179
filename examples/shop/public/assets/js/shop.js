//! The entry of every page: what all pages do, then what the page's kind does.

import { showLogin, startAccount } from "./account.js";
import { showBadge, startBasket, startProduct, viewProduct } from "./basket.js";
import { startCallCentre } from "./call-centre.js";
import { startBanner, startPrivacy } from "./consent.js";
import { call, fill, slots } from "./edge.js";
import { startHeld } from "./held.js";
import { startLanguage } from "./language.js";
import { startPanel } from "./panel.js";

const kind = document.body.dataset.page;

function view() {
  void call("page", document.title.split(" · ")[0], { kind });
  if (kind === "product") viewProduct();
}

startPanel();
showBadge();
void showLogin();
view();
// After the view, which is reported under the page's own name.
startLanguage();
if (kind === "product") startProduct();
if (kind === "basket") startBasket();
if (kind === "account") startAccount();
if (kind === "privacy") {
  void startPrivacy();
  startHeld();
}
if (kind === "call-centre") startCallCentre();
if (slots().some((slot) => slot.dataset.selvedge === "tip")) void fill("tip");
void startBanner();

document.addEventListener("shop:consent", ({ detail: { before, after } }) => {
  // What was seen before the consent was not kept; the visit begins with it.
  if (!before?.purposes?.profile && after.purposes.profile) view();
});
