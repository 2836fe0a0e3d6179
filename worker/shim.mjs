// Stands between workerd and the Rust instance. A panic in Wasm aborts the whole instance; this
// module lets that one call fail, takes a fresh instance for the next, and makes each Durable
// Object's Rust half anew in it. It knows no route and no rule: only how calls reach Rust.

import { DurableObject } from "cloudflare:workers";
import * as rust from "./core.js";

// Shared with the `worker` crate: it raises `criticalError` when it panics and counts instances.
const state = rust.__worker_init_state();

/** How the calls that wait for Rust are told that their instance is gone. */
const waiting = new Set();

/** Takes a fresh instance if a call broke the old one; Rust counts instances as it starts. */
function revive() {
  if (!state.criticalError) return;
  console.warn("the Wasm instance panicked; starting a fresh one");
  state.criticalError = false;
  rust.__wbg_reset_state();
}

/** Traps that are no panic (out of bounds, stack overflow) break the instance as well. */
function note(error) {
  if (!(error instanceof WebAssembly.RuntimeError)) return;
  state.criticalError = true;
  // Whatever they wait for lived in the broken instance and can never come.
  for (const fail of waiting) fail(new Error("the instance of this call panicked"));
  waiting.clear();
}

// A panic in a task that no call runs directly is seen only here.
addEventListener("error", (event) => note(event.error));
addEventListener("unhandledrejection", (event) => note(event.reason));

// Rust's futures wake up in tasks of this kind. The runtime's own function costs several times what
// a promise does, for the same place in the queue.
const settled = Promise.resolve();
globalThis.queueMicrotask = (task) => {
  settled.then(task);
};

const same = (value) => value;

/**
 * Calls into Rust, before and after which the instance is looked after. `finish` is made of what it
 * gives, also where that is a promise.
 */
function call(run, finish = same) {
  revive();
  let result;
  try {
    result = run();
  } catch (error) {
    note(error);
    throw error;
  }
  if (!(result instanceof Promise)) return finish(result);
  return new Promise((resolve, reject) => {
    waiting.add(reject);
    result.then(
      (value) => {
        waiting.delete(reject);
        resolve(finish(value));
      },
      (error) => {
        waiting.delete(reject);
        note(error);
        reject(error);
      },
    );
  });
}

/** Longest body that is read before Rust is asked, in bytes. */
const SMALL = 16_384;
/** Below it every route is Rust's own; everything else belongs to the site. */
const OURS = "/_selvedge/";

/** The fields that Rust reads of every request. */
const names = rust.fieldNames();
/** What goes with an answer that Rust gives as nothing but a text; lists would be read anew. */
const plain = { headers: new Headers(rust.plainAnswer()) };

/**
 * What Rust reads of every request, a line each: method, address, and the fields of these names,
 * empty where the request has none, else with `=` before the value. No value holds a line break.
 * One text, since one crossing costs about as much as what it brings; the rest Rust asks for.
 */
function head(method, url, headers) {
  let text = `${method}\n${url}`;
  for (const name of names) {
    const value = headers.get(name);
    text += value === null ? "\n" : `\n=${value}`;
  }
  return text;
}

/** Whether a request to Rust's own routes has a body that is worth waiting for: small and plain. */
function isSmall(method, url, headers) {
  if (method !== "POST" || !url.startsWith(OURS, url.indexOf("/", 8))) return false;
  const length = Number(headers.get("content-length") ?? Number.NaN);
  // Chunks would overrule a length that was said.
  return length <= SMALL && !headers.has("content-encoding") && !headers.has("transfer-encoding");
}

/** Rust answers with a text where its headers are the plain ones, else with a response. */
function respond(answered) {
  return typeof answered === "string" ? new Response(answered, plain) : answered;
}

export default {
  fetch(request, env) {
    // Each is made anew when it is asked for.
    const { method, url, headers } = request;
    const answer = (body) =>
      call(() => rust.fetch(request, env, head(method, url, headers), body), respond);
    if (!isSmall(method, url, headers)) return answer();
    return request.arrayBuffer().then(
      (body) => answer(new Uint8Array(body)),
      // Rust finds that it broke off, and says so.
      () => answer(),
    );
  },
};

/** The Durable Object class that workerd sees, in front of the one that Rust exports. */
function durable(name) {
  const Rust = rust[name];
  class Durable extends DurableObject {
    #arguments;
    #instance;
    #instanceId;

    constructor(...given) {
      super(...given);
      this.#arguments = given;
      call(() => this.#inner());
    }

    // The Rust half dies with its instance. What it must remember is in its storage.
    #inner() {
      if (this.#instanceId !== state.instanceId) {
        this.#instance = new Rust(...this.#arguments);
        this.#instanceId = state.instanceId;
      }
      return this.#instance;
    }

    static {
      for (const method of Object.getOwnPropertyNames(Rust.prototype)) {
        if (["constructor", "free"].includes(method) || method.startsWith("__")) continue;
        Durable.prototype[method] = function (...given) {
          return call(() => this.#inner()[method](...given));
        };
      }
    }
  }
  return Durable;
}

export const ProfileObject = durable("ProfileObject");
export const IdentityShard = durable("IdentityShard");
export const TenantObject = durable("TenantObject");
