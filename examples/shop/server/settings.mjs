//! Reads the server's settings from the environment, each once, and says in one sentence what is
//! wrong with one. It must never know a request.

import { createPrivateKey } from "node:crypto";
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export class SettingError extends Error {}

/**
 * All settings are optional: without `CENTRAL_URL` the CRM keeps its notes to itself, without
 * `EDGE_URL` the panel knows nothing, without `LOGIN_KEY_FILE` a login gives no token.
 */
export function readSettings(env) {
  return {
    port: portOf(env.PORT),
    tenant: env.TENANT || "shop",
    central: env.CENTRAL_URL
      ? { url: urlOf("CENTRAL_URL", env), key: env.CENTRAL_KEY ?? "" }
      : null,
    edge: env.EDGE_URL ? { url: urlOf("EDGE_URL", env), key: env.ADMIN_KEY ?? "" } : null,
    loginKey: env.LOGIN_KEY_FILE ? readLoginKey(env.LOGIN_KEY_FILE, env.LOGIN_KID) : null,
    dataDir: env.DATA_DIR || mkdtempSync(join(tmpdir(), "weft-and-wold-")),
    strictCsp: env.CSP === "strict",
  };
}

function portOf(text) {
  if (text === undefined || text === "") return 8080;
  const port = Number(text);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new SettingError(`PORT must be a number from 0 to 65535, not \`${text}\``);
  }
  return port;
}

function urlOf(name, env) {
  try {
    const url = new URL(env[name]);
    if (url.protocol === "http:" || url.protocol === "https:") return url.origin;
  } catch {
    // Answered below, together with a scheme that no fetch speaks.
  }
  throw new SettingError(`${name} must be an http or https address, not \`${env[name]}\``);
}

function readLoginKey(file, kid) {
  try {
    const jwk = JSON.parse(readFileSync(file, "utf8"));
    if (jwk.kty !== "OKP" || jwk.crv !== "Ed25519" || typeof jwk.d !== "string") {
      throw new Error("it holds no Ed25519 private key");
    }
    const { kty, crv, d, x } = jwk;
    const key = createPrivateKey({ key: { kty, crv, d, x }, format: "jwk" });
    return { key, kid: kid || jwk.kid || "shop-1" };
  } catch (error) {
    throw new SettingError(`LOGIN_KEY_FILE \`${file}\` cannot be used: ${error.message}`);
  }
}
