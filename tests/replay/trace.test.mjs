//! One recorded trace, the same bytes on every host: here in Node, workerd and Chromium, each with
//! the core as Wasm; natively in `tests/trace.rs`, which records the trace and the outcome's hash.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { Miniflare } from "miniflare";
import { launchBrowser } from "../e2e/browser.mjs";

const ROOT = new URL("../../", import.meta.url);
const SITE = "http://127.0.0.1:1";

/** A module worker that does nothing but replay what is posted to it. */
const WORKER = `
  import module from "./core_bg.wasm";
  import { initSync, replay } from "./core.js";
  initSync({ module });
  export default {
    async fetch(request) {
      try {
        return new Response(replay(new Uint8Array(await request.arrayBuffer())));
      } catch (error) {
        return new Response(error.message, { status: 400 });
      }
    },
  };
`;

let files;
let wanted;
const hosts = {};
const closings = [];

before(async () => {
  const read = (path) => readFile(new URL(path, ROOT));
  files = {
    trace: await read("tests/vectors/story.trace"),
    glue: await read("build/replay/core.js"),
    wasm: await read("build/replay/core_bg.wasm"),
  };
  wanted = (await read("tests/vectors/story.outcome.sha256")).toString("utf8").trim();
  hosts.Node = await inNode();
  hosts.workerd = await inWorkerd();
  hosts.Chromium = await inChromium();
});

after(async () => {
  for (const close of closings) await close();
});

/** Each host is a function from a trace's bytes to the outcome's; it throws the error's code. */
async function inNode() {
  const { initSync, replay } = await import(new URL("build/replay/core.js", ROOT).href);
  initSync({ module: files.wasm });
  return async (trace) => Buffer.from(replay(trace));
}

async function inWorkerd() {
  const miniflare = new Miniflare({
    compatibilityDate: "2026-08-01",
    modules: [
      { type: "ESModule", path: "worker.js", contents: WORKER },
      { type: "ESModule", path: "core.js", contents: files.glue.toString("utf8") },
      { type: "CompiledWasm", path: "core_bg.wasm", contents: files.wasm },
    ],
  });
  closings.push(() => miniflare.dispose());
  await miniflare.ready;
  return async (trace) => {
    const answer = await miniflare.dispatchFetch(SITE, { method: "POST", body: trace });
    const bytes = Buffer.from(await answer.arrayBuffer());
    if (answer.status !== 200) throw new Error(bytes.toString("utf8"));
    return bytes;
  };
}

async function inChromium() {
  const browser = await launchBrowser();
  closings.push(() => browser.close());
  const page = await browser.newPage();
  // No server: the browser is handed these files, and nothing else exists for it.
  const served = {
    "/": { contentType: "text/html", body: "<!doctype html><title>replay</title>" },
    "/core.js": { contentType: "text/javascript", body: files.glue },
    "/core_bg.wasm": { contentType: "application/wasm", body: files.wasm },
  };
  await page.route("**/*", (route) => {
    const file = served[new URL(route.request().url()).pathname];
    return file ? route.fulfill(file) : route.fulfill({ status: 404 });
  });
  await page.goto(`${SITE}/`);
  await page.evaluate(async () => {
    const { default: load, replay } = await import("/core.js");
    await load({ module_or_path: "/core_bg.wasm" });
    window.replay = replay;
  });
  return async (trace) => {
    const encoded = await page.evaluate((text) => {
      const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
      let out = "";
      for (const byte of window.replay(bytes)) out += String.fromCharCode(byte);
      return btoa(out);
    }, trace.toString("base64"));
    return Buffer.from(encoded, "base64");
  };
}

for (const name of ["Node", "workerd", "Chromium"]) {
  test(`${name} gives the bytes that the native core gave`, async () => {
    const outcome = await hosts[name](files.trace);
    assert.ok(outcome.length > 1_000, `only ${outcome.length} bytes`);
    assert.equal(createHash("sha256").update(outcome).digest("hex"), wanted);
  });

  test(`${name} gives them again, and other bytes for another trace`, async () => {
    const first = await hosts[name](files.trace);
    assert.ok(first.equals(await hosts[name](files.trace)));
    // The last byte belongs to the last input; whatever it meant, it means something else now.
    const other = Buffer.from(files.trace);
    other[other.length - 1] ^= 1;
    const changed = await hosts[name](other).catch((error) => Buffer.from(error.message));
    assert.ok(!first.equals(changed));
  });

  test(`${name} refuses what is no trace`, async () => {
    await assert.rejects(hosts[name](Buffer.from("no trace")), /bad_trace|bad_image/);
  });
}
