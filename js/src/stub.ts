//! The stub: stands in the page's head and keeps calls until the tag is there. Its text never
//! changes from page to page, so that a content security policy can name its hash. It must never
//! send anything or look at the visitor.

import { deny } from "./google.ts";
import type { Stub, StubCall } from "./tag.ts";

(() => {
  const page = window as unknown as { selvedge?: Stub };
  if (page.selvedge) return;
  const calls: StubCall[] = [];
  const stub = { calls } as Stub;
  stub.ready = new Promise((resolve) => {
    stub.open = resolve;
  });
  for (const name of "track page identify login logout reset consent decide render".split(" ")) {
    // A tag that never comes (blocked, offline) must not fill the memory.
    stub[name] = (...args: unknown[]) =>
      new Promise((resolve, reject) => {
        if (calls.length < 500) calls.push([name, args, resolve, reject]);
      });
  }
  // Where the site's own line asks for it: `<script src="/_selvedge/stub.js" data-google>`.
  const regions = document.currentScript?.dataset.google;
  stub.google = regions !== undefined;
  if (stub.google) deny(regions);
  page.selvedge = stub;
})();
