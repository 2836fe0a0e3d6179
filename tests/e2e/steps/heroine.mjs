//! Who the story is about, and every text by which a row of hers would be known. Her purchases are
//! counted from the shop's own file, so that what the edge says is compared with the source.

import { readPeople } from "../../../examples/shop/data/people.mjs";
import { readPurchases } from "../../../examples/shop/data/purchases.mjs";

export const CUSTOMER = "C-0006";
export const PERSON = readPeople().get(CUSTOMER);

/** Texts that no row may hold which is not about her. */
export const MARKS = [PERSON.email, PERSON.phone, CUSTOMER, `${PERSON.lastName}`];

/** How many orders she made, and their sum. */
export function ordersOf(customerId) {
  const totals = [...readPurchases()]
    .filter((purchase) => purchase.customerId === customerId)
    .map(({ total }) => total);
  return { count: totals.length, sum: totals.reduce((sum, total) => sum + total, 0) };
}

/** The only value of a computed or plain trait: `{"number": 16}` and 16 are the same here. */
export function bare(value) {
  if (typeof value !== "object" || value === null) return value;
  const values = Object.values(value);
  return values.length === 1 ? values[0] : value;
}
