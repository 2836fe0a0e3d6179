//! The story as a test: each of its steps is one.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { openDemo } from "./demo.mjs";
import { playStory, STEPS } from "./story.mjs";

let opened;
let story;

before(async () => {
  opened = await openDemo("story");
  story = playStory(opened.demo);
});

after(async () => {
  await story?.return();
  await opened?.close();
});

for (const { title } of STEPS) {
  test(title, async (t) => {
    const { value, done } = await story.next();
    assert.ok(!done, "an earlier step failed");
    assert.equal(value.title, title);
    assert.ok(value.proven.length > 0, "a step that proves nothing");
    for (const sentence of value.proven) t.diagnostic(sentence);
    for (const { name, ms } of value.timings) t.diagnostic(`${name}: ${ms} ms`);
  });
}
