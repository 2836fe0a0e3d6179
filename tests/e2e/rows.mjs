//! Every row that the edge and the central store keep on disk, as text, so that a test can say what
//! came and what went. It reads copies of the SQLite files and must never write to the originals.

import { copyFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { wait } from "./wait.mjs";

const QUIET_MS = 400;
const QUIET_WITHIN_MS = 15_000;
const COPIES = 5;

/** `{place, text}` of every row: `place` is file and table. */
export async function readRows(folder) {
  const { DatabaseSync } = await sqlite();
  const rows = [];
  for (const name of ["edge", "central.sqlite"]) {
    for (const file of filesUnder(join(folder, name))) {
      // The write-ahead log belongs to its database and is read with it.
      if (/-(wal|shm)$/.test(file)) continue;
      const place = relative(folder, file);
      if (file.endsWith(".sqlite")) rows.push(...readDatabase(DatabaseSync, file, place));
      else rows.push({ place, text: readFileSync(file).toString("latin1") });
    }
  }
  return rows;
}

/** The rows once nobody writes any more: two readings in a row are the same. */
export async function readQuietRows(folder) {
  const deadline = Date.now() + QUIET_WITHIN_MS;
  let before = await readRows(folder);
  for (;;) {
    await wait(QUIET_MS);
    const now = await readRows(folder);
    if (added(before, now).length + added(now, before).length === 0) return now;
    if (Date.now() > deadline) throw new Error("the stores went on writing and never came to rest");
    before = now;
  }
}

/** What is in `after` and not in `before`. */
export function added(before, after) {
  const known = new Map();
  for (const row of before) known.set(keyOf(row), (known.get(keyOf(row)) ?? 0) + 1);
  return after.filter((row) => {
    const left = known.get(keyOf(row)) ?? 0;
    known.set(keyOf(row), left - 1);
    return left <= 0;
  });
}

/** Rows that hold any of these texts, whether in a text or within the bytes of a blob. */
export function holding(rows, marks) {
  return rows.filter(({ text }) => marks.some((mark) => text.includes(mark)));
}

/**
 * The rows that came, but for the machinery's clocks: alarms of objects that were there before, and
 * how far the edge has read the central store's feed.
 */
export function came(before, after) {
  const files = new Set(before.map(fileOf));
  return added(before, after).filter((row) => {
    if (/ _cf_/.test(row.place)) return !files.has(fileOf(row));
    const isTenants = /TenantObject.* setting$/.test(row.place);
    return !(isTenants && row.text.startsWith("cursor|"));
  });
}

/** The database that holds a row. */
export function fileOf({ place }) {
  return place.split(" ")[0];
}

/** For a message: where the rows are, each with the beginning of what it says. */
export function shown(rows) {
  const one = ({ place, text }) => `${place}: ${text.replace(/[^ -~]/g, "·").slice(0, 160)}`;
  const more = rows.length > 5 ? [`and ${rows.length - 5} more`] : [];
  return [...rows.slice(0, 5).map(one), ...more].join("\n");
}

function keyOf({ place, text }) {
  return `${place}\n${text}`;
}

/** Node's own SQLite, without the warning that it is young, which would stand amid the story. */
async function sqlite() {
  const { emitWarning } = process;
  try {
    process.emitWarning = () => {};
    return await import("node:sqlite");
  } catch {
    throw new Error(
      `Node ${process.versions.node} has no SQLite; run the story through \`cargo xtask demo ` +
        "--story`, or with Node 22.13 or newer",
    );
  } finally {
    process.emitWarning = emitWarning;
  }
}

function filesUnder(path) {
  if (!existsSync(path)) return [];
  try {
    const names = readdirSync(path);
    return names.sort().flatMap((name) => filesUnder(join(path, name)));
  } catch (error) {
    if (error.code === "ENOTDIR") return [path];
    // It went away while we looked: what is gone holds nothing.
    if (error.code === "ENOENT") return [];
    throw error;
  }
}

/** A copy taken in the middle of a write may not open; the next one does. */
function readDatabase(DatabaseSync, file, place) {
  for (let attempt = 1; ; attempt += 1) {
    const folder = mkdtempSync(join(tmpdir(), "selvedge-rows-"));
    try {
      const copy = join(folder, "copy.sqlite");
      copyFileSync(file, copy);
      if (existsSync(`${file}-wal`)) copyFileSync(`${file}-wal`, `${copy}-wal`);
      return readTables(new DatabaseSync(copy), place);
    } catch (error) {
      if (attempt === COPIES) throw new Error(`cannot read ${place}: ${error.message}`);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
}

function readTables(database, place) {
  try {
    const tables = database.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all();
    return tables.flatMap(({ name }) => {
      const statement = database.prepare(`SELECT * FROM "${name.replaceAll('"', '""')}"`);
      statement.setReadBigInts(true);
      const rows = statement.all().map((row) => Object.values(row).map(cell).join("|"));
      return rows.map((text) => ({ place: `${place} ${name}`, text }));
    });
  } finally {
    database.close();
  }
}

/** Bytes as Latin-1, one character each, so that a name within a blob is found by its letters. */
function cell(value) {
  return value instanceof Uint8Array ? Buffer.from(value).toString("latin1") : String(value);
}
