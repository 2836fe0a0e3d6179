//! Workspaces compiled for the evaluator by the real tool, and profiles as it takes them.

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = new URL("../../", import.meta.url);
export const NOW = 1_764_000_000_000;
export const PURPOSES = ["store", "profile", "personalise", "measure"];
export const wasm = readFileSync(new URL("build/evaluator/core_bg.wasm", ROOT));

/** Calls `act` with a folder that is gone afterwards. */
export function inFolder(act) {
  const folder = mkdtempSync(join(tmpdir(), "selvedge-"));
  try {
    return act((name) => join(folder, name));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export function compile(source) {
  return inFolder((path) => {
    writeFileSync(path("workspace.json"), JSON.stringify(source));
    const words = ["image", path("workspace.json"), path("image")];
    const cli = fileURLToPath(new URL("target/debug/selvedge", ROOT));
    execFileSync(cli, words, { stdio: "pipe" });
    return readFileSync(path("image"));
  });
}

export const contextOf = ({ id, ...traits }) => ({ unit: id, traits, purposes: PURPOSES });
