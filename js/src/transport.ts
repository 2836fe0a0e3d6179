//! How the tag talks to the edge: JSON over the site's own hostname. It must never know what a call
//! is about, and never try again by itself: who calls knows whether that is right.

import { BASE } from "./state.ts";

const DEADLINE_MS = 10_000;

/** What the edge refused, with its stable code; `unreachable` where there was no answer. */
export class EdgeError extends Error {
  constructor(
    readonly code: string,
    message: string,
    /** HTTP status; 0 where there was no answer. */
    readonly status: number,
    /** What `Retry-After` asked for. */
    readonly retryAfterMs: number,
  ) {
    super(message);
  }

  /** Whether the same call may work later. */
  get passes(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

/** One call; anything but a 2xx is an [`EdgeError`]. */
export async function call(path: string, init: RequestInit = {}): Promise<Response> {
  let answer: Response;
  try {
    const signal = AbortSignal.timeout?.(DEADLINE_MS);
    answer = await fetch(BASE + path, { cache: "no-store", signal, ...init });
  } catch (reason) {
    throw new EdgeError("unreachable", String(reason), 0, 0);
  }
  if (answer.ok) return answer;
  // The body of a call that may outlive its page sometimes never ends in Chromium: its status is
  // enough to know whether to try again.
  const said = init.keepalive ? null : await answer.json().catch(() => null);
  const code = typeof said?.code === "string" ? said.code : `http_${answer.status}`;
  const message = typeof said?.message === "string" ? said.message : code;
  throw new EdgeError(code, message, answer.status, retryAfter(answer));
}

/** A POST of JSON text. With `keepalive` it outlives the page. */
export function post(path: string, body: string, keepalive = false): Promise<Response> {
  const headers = { "content-type": "application/json" };
  return call(path, { method: "POST", headers, body, keepalive });
}

/** The answer of a small call: a POST where there is a body, a GET otherwise. */
export async function ask<T>(path: string, body?: unknown): Promise<T> {
  const answer = await (body === undefined ? call(path) : post(path, JSON.stringify(body)));
  return (await answer.json().catch(() => ({}))) as T;
}

/** Seconds or a date (RFC 9110, section 10.2.3). */
function retryAfter(answer: Response): number {
  const said = answer.headers.get("retry-after");
  if (!said) return 0;
  const ms = /^\d+$/.test(said) ? Number(said) * 1_000 : Date.parse(said) - Date.now();
  return Math.max(ms || 0, 0);
}
