// The worker's shim in workerd, before a stand-in for Rust that breaks on demand as a panicked Wasm
// instance does. It knows nothing of the real worker's routes.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { build } from "esbuild";
import { Miniflare } from "miniflare";

/** Exports what the bindings of the worker crate export; one instance after the other. */
const RUST = `
  const state = { criticalError: false, instanceId: 1 };
  let instance = 1;
  export const __worker_init_state = () => state;
  export function __wbg_reset_state() {
    instance += 1;
    state.instanceId += 1;
  }

  // A panic in a task: the promise that the caller holds is never settled, and the trap is seen by
  // nobody but the runtime.
  function panic() {
    state.criticalError = true;
    queueMicrotask(() => { throw new WebAssembly.RuntimeError("unreachable"); });
    return new Promise(() => {});
  }

  export const fieldNames = () => ["cookie", "origin"];
  export const plainAnswer = () => [["content-type", "text/plain"], ["cache-control", "private"]];

  export function fetch(request, env, head, body) {
    const path = new URL(request.url).pathname;
    if (path.startsWith("/_selvedge/")) {
      if (path.endsWith("/panic")) return panic();
      const text = JSON.stringify({ head: head.split("\\n"), body: body?.length ?? null });
      return path.endsWith("/later") ? Promise.resolve(text) : text;
    }
    return later(request, env, path);
  }

  async function later(request, env, path) {
    if (path === "/panic") return panic();
    if (path === "/trap") throw new WebAssembly.RuntimeError("out of bounds");
    if (path === "/error") throw new Error("an ordinary error");
    if (path === "/slow") {
      await new Promise((resolve) => setTimeout(resolve, 300));
      return new Response("slow");
    }
    if (path.startsWith("/object")) {
      return env.PROFILE.get(env.PROFILE.idFromName("one")).fetch(request);
    }
    return new Response(String(instance));
  }

  class Half {
    constructor() { this.born = instance; this.calls = 0; }
    free() {}
    fetch(request) {
      if (new URL(request.url).pathname === "/object/panic") return panic();
      if (this.born !== instance) throw new Error("a stale object");
      this.calls += 1;
      return Promise.resolve(Response.json({ born: this.born, calls: this.calls }));
    }
  }
  export class ProfileObject extends Half {
    fetch(request) { return super.fetch(request); }
  }
  export class IdentityShard { fetch() {} }
  export class TenantObject { fetch() {} }
`;

let miniflare;

before(async () => {
  const shim = new URL("../../worker/shim.mjs", import.meta.url);
  const bundled = await build({
    stdin: { contents: await readFile(shim, "utf8"), resolveDir: "." },
    bundle: true,
    format: "esm",
    write: false,
    external: ["cloudflare:*"],
    plugins: [
      {
        name: "rust",
        setup(builder) {
          builder.onResolve({ filter: /core\.js$/ }, () => ({ path: "rust", namespace: "rust" }));
          builder.onLoad({ filter: /.*/, namespace: "rust" }, () => ({ contents: RUST }));
        },
      },
    ],
    logLevel: "silent",
  });
  miniflare = new Miniflare({
    host: "127.0.0.1",
    modules: [{ type: "ESModule", path: "index.js", contents: bundled.outputFiles[0].text }],
    compatibilityDate: "2026-07-30",
    durableObjects: { PROFILE: { className: "ProfileObject", useSQLite: true } },
    cf: false,
    handleRuntimeStdio() {},
  });
  await miniflare.ready;
});

after(() => miniflare?.dispose());

const get = async (path) => {
  const answer = await miniflare.dispatchFetch(`http://edge.example${path}`);
  return { status: answer.status, text: await answer.text() };
};

test("a call whose task panics fails at once instead of hanging", async () => {
  const began = performance.now();
  assert.equal((await get("/panic")).status, 500);
  assert.ok(performance.now() - began < 2_000);
});

test("the call after a panic runs in a fresh instance", async () => {
  const first = Number((await get("/")).text);
  await get("/panic");
  assert.equal(Number((await get("/")).text), first + 1);
  assert.equal(Number((await get("/")).text), first + 1);
});

test("a trap that is no panic takes a fresh instance as well", async () => {
  const first = Number((await get("/")).text);
  assert.equal((await get("/trap")).status, 500);
  assert.equal(Number((await get("/")).text), first + 1);
});

test("an ordinary error keeps the instance", async () => {
  const first = Number((await get("/")).text);
  assert.equal((await get("/error")).status, 500);
  assert.equal(Number((await get("/")).text), first);
});

test("a Durable Object makes its Rust half anew after another call's panic", async () => {
  const before = JSON.parse((await get("/object")).text);
  assert.equal(JSON.parse((await get("/object")).text).calls, before.calls + 1);
  await get("/panic");
  const later = JSON.parse((await get("/object")).text);
  assert.deepEqual(later, { born: before.born + 1, calls: 1 });
});

test("a panic inside a Durable Object fails its caller and heals", async () => {
  await get("/object");
  assert.equal((await get("/object/panic")).status, 500);
  assert.equal(JSON.parse((await get("/object")).text).calls, 1);
});

test("a call in flight during another's panic fails instead of hanging", async () => {
  const slow = get("/slow");
  await new Promise((resolve) => setTimeout(resolve, 50));
  await get("/panic");
  assert.equal((await slow).status, 500);
});

test("a text that Rust gives, at once or later, is the answer, with its headers", async () => {
  for (const path of ["any", "later"]) {
    const url = `http://edge.example/_selvedge/v1/${path}?a=b`;
    const answer = await miniflare.dispatchFetch(url, { headers: { cookie: "=x" } });
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get("content-type"), "text/plain");
    assert.equal(answer.headers.get("cache-control"), "private");
    assert.deepEqual(await answer.json(), { head: ["GET", url, "==x", ""], body: null });
  }
});

test("a small plain body of a route of Rust's is read before Rust is asked", async () => {
  const origin = await miniflare.ready;
  const bytes = async (path, body, headers = {}) => {
    const answer = await fetch(new URL(path, origin), { method: "POST", body, headers });
    return (await answer.json()).body;
  };
  assert.equal(await bytes("/_selvedge/v1/any", ""), 0);
  assert.equal(await bytes("/_selvedge/v1/any", "é"), 2);
  assert.equal(await bytes("/_selvedge/v1/any", "x".repeat(16_384)), 16_384);
  assert.equal(await bytes("/_selvedge/v1/any", "x".repeat(16_385)), null, "too long");
  const packed = { "content-encoding": "gzip" };
  assert.equal(await bytes("/_selvedge/v1/any", "x", packed), null, "to be unpacked in pieces");
});

test("a body of the site's is left alone, whatever its address says", async () => {
  const url = "http://edge.example/shop?next=/_selvedge/v1/any";
  const answer = await miniflare.dispatchFetch(url, { method: "POST", body: "x" });
  // The stand-in answers such requests with the number of its instance.
  assert.match(await answer.text(), /^\d+$/);
});
