//! Reads the CDNOW sample: one object per purchase, in the file's order. It must never know where
//! the purchases go.

import { readFileSync } from "node:fs";

const FILE = new URL("cdnow_sample.txt", import.meta.url);

/**
 * `{customerId: "C-0001", messageId: "cdnow-0001-2", date: "1997-01-18", units: 2, total: 29.73}`.
 * The last part of `messageId` counts the customer's purchases from 1, so a second import of the
 * same file gives the same ids.
 */
export function* readPurchases() {
  const counts = new Map();
  let lineNumber = 0;
  for (const line of readFileSync(FILE, "utf8").split("\n")) {
    lineNumber += 1;
    if (line.trim() === "") continue;
    const match = /^ *\d{5} (\d{4}) (\d{4})(\d{2})(\d{2}) +(\d+) +(\d+\.\d{2})\r?$/.exec(line);
    if (!match)
      throw new Error(`cdnow_sample.txt, line ${lineNumber}: not a purchase: \`${line}\``);
    const [, id, year, month, day, units, total] = match;
    const nth = (counts.get(id) ?? 0) + 1;
    counts.set(id, nth);
    yield {
      customerId: `C-${id}`,
      messageId: `cdnow-${id}-${nth}`,
      date: `${year}-${month}-${day}`,
      units: Number(units),
      total: Number(total),
    };
  }
}
