//! What every answer of the shop has in common: bounded JSON bodies, one form of error, and cache
//! rules set in one place. It must never know what a route does.

const BODY_MAX_BYTES = 16 * 1024;

/** An answer for the caller: status, stable code, and a message in plain words. */
export class Refusal extends Error {
  constructor(status, code, message, where) {
    super(message);
    this.status = status;
    this.code = code;
    this.where = where;
  }
}

export function sendJson(response, status, value, headers = {}) {
  const body = Buffer.from(`${JSON.stringify(value)}\n`);
  response.writeHead(status, {
    "Content-Type": "application/json; charset=utf-8",
    "Content-Length": body.length,
    "Cache-Control": "private, no-store",
    "X-Content-Type-Options": "nosniff",
    ...headers,
  });
  response.end(response.req.method === "HEAD" ? undefined : body);
}

export function sendRefusal(response, refusal) {
  const { status, code, message, where } = refusal;
  const headers = status === 413 ? { Connection: "close" } : {};
  sendJson(response, status, { code, message, ...(where ? { where } : {}) }, headers);
}

/**
 * Pages and files are the same for everybody, so any cache may keep them; what is personal is
 * added at the edge, behind that cache.
 */
export function sendFile(request, response, file, status = 200, headers = {}) {
  const common = {
    "Cache-Control": status === 200 ? "public, max-age=60" : "no-store",
    ETag: file.etag,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    ...headers,
  };
  if (status === 200 && matches(request.headers["if-none-match"], file.etag)) {
    response.writeHead(304, common).end();
    return;
  }
  response.writeHead(status, {
    ...common,
    "Content-Type": file.type,
    "Content-Length": file.body.length,
  });
  response.end(request.method === "HEAD" ? undefined : file.body);
}

function matches(header, etag) {
  if (typeof header !== "string") return false;
  return header.split(",").some((tag) => ["*", etag, `W/${etag}`].includes(tag.trim()));
}

/** The body as a JSON object whose fields are all in `fields`. */
export async function readJson(request, fields) {
  const type = (request.headers["content-type"] ?? "").split(";")[0].trim().toLowerCase();
  if (type !== "application/json") {
    throw new Refusal(415, "wrong_content_type", "the body must be `application/json`");
  }
  const value = parse(await readBody(request));
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new Refusal(400, "bad_json", "the body must be a JSON object");
  }
  for (const field of Object.keys(value)) {
    if (!fields.includes(field)) {
      throw new Refusal(
        400,
        "unknown_field",
        `unknown field \`${field.slice(0, 64)}\``,
        field.slice(0, 64),
      );
    }
  }
  return value;
}

async function readBody(request) {
  const tooLarge = new Refusal(413, "too_large", `a body has at most ${BODY_MAX_BYTES} bytes`);
  if (Number(request.headers["content-length"] ?? 0) > BODY_MAX_BYTES) throw tooLarge;
  const chunks = [];
  let size = 0;
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    size += chunk.length;
    if (size > BODY_MAX_BYTES) throw tooLarge;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function parse(bytes) {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw new Refusal(400, "bad_json", "the body must be JSON in UTF-8");
  }
}

/** A text field of `value`, trimmed, of 1 to `maxLength` characters. */
export function textField(value, field, maxLength) {
  const text = value[field];
  if (typeof text !== "string" || text.trim() === "") {
    throw new Refusal(400, "missing_field", `\`${field}\` must be a text`, field);
  }
  if (text.length > maxLength) {
    throw new Refusal(400, "too_long", `\`${field}\` has at most ${maxLength} characters`, field);
  }
  return text.trim();
}
