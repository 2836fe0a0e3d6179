//! Every page and file of the site, read or made once when the server starts: what is not in this
//! map does not exist, so no path of a request ever reaches the disk.

import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { allPages, notFoundPage } from "../pages/pages.mjs";

const PUBLIC = new URL("../public/", import.meta.url);

const TYPES = {
  css: "text/css; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  svg: "image/svg+xml",
  txt: "text/plain; charset=utf-8",
};
const HTML = "text/html; charset=utf-8";

export function loadSite() {
  const files = new Map();
  for (const { path, html } of allPages()) files.set(path, file(Buffer.from(html), HTML));
  for (const name of readdirSync(PUBLIC, { recursive: true })) {
    const path = String(name).replaceAll("\\", "/");
    const type = TYPES[path.split(".").pop()];
    if (type) files.set(`/${path}`, file(readFileSync(new URL(path, PUBLIC)), type));
  }
  return { files, notFound: file(Buffer.from(notFoundPage()), HTML) };
}

function file(body, type) {
  const hash = createHash("sha256").update(body).digest("base64url").slice(0, 27);
  return { body, type, etag: `"${hash}"` };
}
