//! Reads `crm.csv` for the shop: its people by customer id, and those whom the login page offers.

import { readFileSync } from "node:fs";

const FILE = new URL("crm.csv", import.meta.url);

/** The heroine of the story first. */
export const SAMPLE_IDS = ["C-0006", "C-0001", "C-0002", "C-0003", "C-0011"];

/** Customer id -> `{customerId, email, firstName, ...}`; every value is a text. */
export function readPeople() {
  const [header, ...lines] = readFileSync(FILE, "utf8").trimEnd().split("\n");
  const columns = header.split(",").map(camelCase);
  const people = new Map();
  for (const line of lines) {
    // The generator writes no quoted field: a plain split is the whole format.
    const cells = line.split(",");
    const person = Object.fromEntries(columns.map((column, nth) => [column, cells[nth] ?? ""]));
    people.set(person.customerId, person);
  }
  return people;
}

function camelCase(name) {
  return name.replace(/_(\w)/g, (_, letter) => letter.toUpperCase());
}
