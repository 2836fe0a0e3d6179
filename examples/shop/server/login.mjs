//! The shop's own login: sessions in memory, and the signed token that proves to the edge who
//! has logged in. It must never know what the edge does with it.

import { randomBytes, randomUUID, sign } from "node:crypto";

const COOKIE = "shop_session";
const SESSION_TTL_MS = 8 * 60 * 60 * 1000;
const SESSIONS_MAX = 10_000;
const TOKEN_TTL_S = 120;
const ISSUER = "weft-and-wold";

export class Sessions {
  #byId = new Map();

  /** The customer id of the request's session, or null. */
  customerOf(request, nowMs) {
    const session = this.#byId.get(sessionId(request));
    return session && session.endsMs > nowMs ? session.customerId : null;
  }

  /** Begins a session and gives the cookie that names it; an older one of the request ends. */
  begin(request, customerId, nowMs) {
    this.#byId.delete(sessionId(request));
    if (this.#byId.size >= SESSIONS_MAX) this.#byId.delete(this.#byId.keys().next().value);
    const id = randomBytes(24).toString("base64url");
    this.#byId.set(id, { customerId, endsMs: nowMs + SESSION_TTL_MS });
    return `${COOKIE}=${id}; Path=/; HttpOnly; SameSite=Lax; Max-Age=${SESSION_TTL_MS / 1000}`;
  }

  end(request) {
    this.#byId.delete(sessionId(request));
    return `${COOKIE}=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0`;
  }
}

function sessionId(request) {
  const found = /(?:^|;\s*)shop_session=([\w-]{32})(?:;|$)/.exec(request.headers.cookie ?? "");
  return found?.[1];
}

/** A JWT (EdDSA, RFC 8037) that says: this is `person`, just now, once, for this tenant. */
export function signToken({ key, kid }, tenant, person, nowMs) {
  const issuedS = Math.floor(nowMs / 1000);
  const head = encode({ alg: "EdDSA", kid, typ: "JWT" });
  const claims = encode({
    iss: ISSUER,
    aud: tenant,
    sub: person.customerId,
    email: person.email,
    iat: issuedS,
    exp: issuedS + TOKEN_TTL_S,
    jti: randomUUID(),
  });
  const signature = sign(null, Buffer.from(`${head}.${claims}`), key).toString("base64url");
  return `${head}.${claims}.${signature}`;
}

function encode(value) {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}
