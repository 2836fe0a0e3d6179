//! Asks the edge what it knows of the visitor of a request, and why it decided so. The visitor is
//! an opaque reference that the edge itself added; this file must never read or keep it.

import { Refusal } from "./http.mjs";

const PLACEMENTS = ["hero", "tip"];
const REFERENCE_MAX_CHARS = 4_096;
const PATH_MAX_CHARS = 512;
const DEADLINE_MS = 3_000;

export async function explain(edge, request, url) {
  const visitor = request.headers["selvedge-visitor"];
  if (!visitor) return { known: false };
  if (!edge) return { known: false, reason: "not_configured" };
  if (visitor.length > REFERENCE_MAX_CHARS) {
    throw new Refusal(400, "too_long", "the visitor's reference is too long");
  }
  const path = url.searchParams.get("path") ?? "/";
  if (!path.startsWith("/") || path.length > PATH_MAX_CHARS) {
    throw new Refusal(400, "bad_path", "`path` must be a path of this site", "path");
  }
  return ask(edge, { visitor, placements: PLACEMENTS, context: { path } });
}

async function ask(edge, question) {
  let answer;
  let body;
  try {
    answer = await fetch(`${edge.url}/_selvedge/admin/v1/explain`, {
      method: "POST",
      headers: { Authorization: `Bearer ${edge.key}`, "Content-Type": "application/json" },
      body: JSON.stringify(question),
      signal: AbortSignal.timeout(DEADLINE_MS),
    });
    body = await answer.json();
  } catch {
    throw new Refusal(502, "edge_unreachable", "the edge did not answer");
  }
  if (!answer.ok) {
    const code = typeof body?.code === "string" ? body.code : answer.status;
    throw new Refusal(502, "edge_refused", `the edge refused to explain: \`${code}\``);
  }
  return body;
}
