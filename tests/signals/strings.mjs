//! TC strings, made by the official library, and the official platforms' code for a page. It must
//! never write a string by hand.

import { GVL, TCModel, TCString } from "@iabtechlabtcf/core";
import { buildSync } from "esbuild";

const TEN = Array.from({ length: 10 }, (_, nth) => nth + 1);
const named = (ids) =>
  Object.fromEntries(
    ids.map((id) => [id, { id, name: `No. ${id}`, description: "", illustrations: [] }]),
  );

/** The smallest vendor list: one vendor for everything. */
function vendorList() {
  const vendor = {
    id: 1,
    name: "The shop",
    purposes: TEN,
    legIntPurposes: [],
    flexiblePurposes: [],
    specialPurposes: [],
    features: [],
    specialFeatures: [],
    policyUrl: "https://shop.example/privacy",
  };
  return new GVL({
    gvlSpecificationVersion: 3,
    vendorListVersion: 1,
    tcfPolicyVersion: 5,
    lastUpdated: "2026-01-01T00:00:00Z",
    purposes: named(TEN),
    specialPurposes: {},
    features: {},
    specialFeatures: {},
    stacks: {},
    vendors: { 1: vendor },
  });
}

/** A string in which the publisher itself may serve these purposes. */
export function tcString(purposes) {
  const model = new TCModel(vendorList());
  model.cmpId = 31;
  model.cmpVersion = 1;
  model.isServiceSpecific = true;
  model.consentLanguage = "DE";
  model.publisherCountryCode = "DE";
  model.purposeConsents.set(purposes);
  model.publisherConsents.set(purposes);
  if (purposes.length) model.vendorConsents.set([1]);
  model.vendorsDisclosed.set([1]);
  return TCString.encode(model);
}

export const EVERYTHING = tcString(TEN);
/** All but those for measuring. */
export const UNCOUNTED = tcString([1, 2, 3, 4, 5, 6, 10]);
export const NOTHING = tcString([]);

/** The platforms as a page loads them: `window.TcfApi` and `window.GppApi`. */
export function platforms() {
  const contents = `
    export { CmpApi as TcfApi } from "@iabtechlabtcf/cmpapi";
    export { CmpApi as GppApi } from "@iabgpp/cmpapi";`;
  const resolveDir = new URL("../..", import.meta.url).pathname;
  const { outputFiles } = buildSync({
    stdin: { contents, resolveDir },
    bundle: true,
    write: false,
    format: "iife",
    globalName: "platforms",
    footer: { js: "Object.assign(window, platforms);" },
    logLevel: "error",
  });
  return outputFiles[0].text;
}
