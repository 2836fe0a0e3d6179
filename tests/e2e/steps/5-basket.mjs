//! Step 5: she leaves a basket behind, and on the next page the basket offer wins.

import { deviceCookie, waitForOffer } from "../browser.mjs";
import { fetchPage } from "../edge.mjs";
import { placementIn } from "../html.mjs";

export const title = "She leaves a basket behind; on the next page the basket offer wins";

export async function play(story, step) {
  const { demo, mira2 } = story;
  const { page } = mira2;
  await page.goto(`${demo.edgeUrl}/`);
  await page.locator("a.product-link").first().click();
  await page.locator("#add-to-basket").waitFor({ state: "visible" });
  const taken = page.waitForResponse((answer) => holdsProductAdded(answer.request()));
  const began = performance.now();
  await page.locator("#add-to-basket").click();
  await page.locator("#added").waitFor({ state: "visible" });
  const answer = await taken;
  step.prove("the edge takes the event in", answer.status() === 200, answer.statusText());
  step.time("basket to edge", performance.now() - began);
  await page.locator(".brand").click();
  const hero = await waitForOffer(page, "hero", "basket");
  step.prove("the next page shows the basket offer", hero.offer === "basket", hero);
  const { value } = await deviceCookie(mira2);
  const bytes = placementIn((await fetchPage(demo, "/", value)).text, "hero");
  step.prove("which is in the bytes that leave the edge", bytes?.offer === "basket", bytes);
  step.page = page;
}

export function holdsProductAdded(request) {
  return (
    request.url().includes("/_selvedge/v1/batch") &&
    (request.postData() ?? "").includes("Product Added")
  );
}
