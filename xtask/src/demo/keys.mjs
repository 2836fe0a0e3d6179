// Draws the demo's secrets and prints them as one line of JSON. It stores nothing.

import { generateKeyPairSync, randomBytes } from "node:crypto";

const hex = (bytes) => randomBytes(bytes).toString("hex");
const { privateKey } = generateKeyPairSync("ed25519");

console.log(
  JSON.stringify({
    tenantKey: hex(32),
    cookieKeys: `k1:${hex(32)}`,
    writeKey: `wk_${hex(16)}`,
    adminKey: `ak_${hex(24)}`,
    centralKey: `ck_${hex(24)}`,
    loginKey: { ...privateKey.export({ format: "jwk" }), kid: "demo-1", alg: "EdDSA" },
  }),
);
