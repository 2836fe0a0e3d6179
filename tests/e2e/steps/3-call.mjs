//! Step 3: she calls; within a second the edge knows.

import { newVisitor } from "../browser.mjs";
import { explain, fetchPage, readFeed } from "../edge.mjs";
import { placementIn } from "../html.mjs";
import { until } from "../wait.mjs";
import { bare, CUSTOMER, PERSON } from "./heroine.mjs";

export const title = "She phones and wants to cancel; within a second the edge knows";

const SECOND_MS = 1_000;
/** Asking takes the processor from what is asked about. */
const POLL_MS = 20;

export async function play(story, step) {
  const { demo, browser, device } = story;
  const agent = await newVisitor(browser);
  await agent.page.goto(`${demo.edgeUrl}/call-centre/`);
  await agent.page.locator("#search-query").fill(`${PERSON.firstName} ${PERSON.lastName}`);
  await agent.page.locator("#search-submit").click();
  await agent.page.locator(`[data-customer="${CUSTOMER}"]`).click();
  await agent.page.locator("#note-text").fill("Called about her Linen Plan; wants to cancel.");
  await agent.page.locator("#intent-cancel").check();

  const before = await explain(demo, device);
  step.prove(
    "until now the edge does not take her for somebody who wants to cancel",
    !before.profile.audiences.includes("wants_to_cancel"),
    before.profile.audiences,
  );
  // The clock starts with the click: the CRM's own work is part of the second.
  const began = performance.now();
  const [known] = await Promise.all([
    until(() => wantsToCancel(demo, device).then((yes) => yes && performance.now() - began), {
      everyMs: POLL_MS,
    }),
    agent.page.locator("#note-save").click({ noWaitAfter: true }),
  ]);
  step.prove("the note reaches the edge", known !== null, await explain(demo, device));
  step.prove("within a second of the click", known < SECOND_MS, `it took ${known} ms`);
  step.time("CRM note to edge", known);
  const status = agent.page.locator("#note-status[data-sent]");
  await status.waitFor({ state: "visible" });
  step.prove(
    "the agent reads that the central store has the note",
    (await status.getAttribute("data-sent")) === "true",
    await status.textContent(),
  );
  const page = await fetchPage(demo, "/", device);
  const hero = placementIn(page.text, "hero");
  step.prove(
    "the very next page that she asks for holds the answer",
    hero?.offer === "extension",
    hero,
  );
  step.time("edge to page", page.ms);
  const feed = await readFeed(demo);
  const { personObject } = story;
  story.oldPush = {
    ...feed,
    changes: feed.changes.filter(({ person }) => person === personObject),
  };
  step.page = agent.page;
}

async function wantsToCancel(demo, device) {
  const { profile } = await explain(demo, device);
  return bare(profile?.traits?.cancel_intent) === true;
}
