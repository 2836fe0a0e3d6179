//! Makes `crm.csv`: one fictitious person for each customer of the CDNOW sample. Seeded, so the
//! same file comes out byte for byte; it must never know a clock, a locale or a random source.
//!
//! `node make-crm.mjs` writes the file, `node make-crm.mjs --check` says whether it is fresh.

import { readFileSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { readPurchases } from "./purchases.mjs";

const SEED = 0x5e1fed6e;
const OUT = new URL("crm.csv", import.meta.url);

const COLUMNS = [
  "customer_id",
  "email",
  "first_name",
  "last_name",
  "phone",
  "language",
  "contract",
  "contract_end",
  "tier",
  "marketing",
];

const FIRST = {
  en: [
    "Ada",
    "Alice",
    "Amara",
    "Arthur",
    "Beatrix",
    "Ben",
    "Caleb",
    "Carys",
    "Clara",
    "Conor",
    "Daisy",
    "Desmond",
    "Edith",
    "Elijah",
    "Esme",
    "Fern",
    "Finn",
    "Freya",
    "George",
    "Grace",
    "Hana",
    "Harold",
    "Hugo",
    "Imogen",
    "Iris",
    "Isaac",
    "Jasper",
    "Joan",
    "Kezia",
    "Kofi",
    "Leila",
    "Lionel",
    "Mabel",
    "Malik",
    "Maya",
    "Nadia",
    "Ned",
    "Nora",
    "Olive",
    "Omar",
    "Otis",
    "Pearl",
    "Priya",
    "Quentin",
    "Ravi",
    "Rosa",
    "Ruben",
    "Saoirse",
    "Silas",
    "Tamsin",
    "Theo",
    "Una",
    "Vera",
    "Wanda",
    "Wilfred",
    "Yusuf",
    "Zadie",
    "Zora",
  ],
  de: [
    "Anke",
    "Annika",
    "Bärbel",
    "Bastian",
    "Birte",
    "Carsten",
    "Dörte",
    "Elif",
    "Emre",
    "Fabian",
    "Frieda",
    "Greta",
    "Günther",
    "Hannes",
    "Heike",
    "Ida",
    "Ingo",
    "Jonas",
    "Jürgen",
    "Käthe",
    "Katrin",
    "Lasse",
    "Lena",
    "Lotte",
    "Malte",
    "Marlene",
    "Matthias",
    "Mehmet",
    "Nele",
    "Nils",
    "Ole",
    "Paula",
    "Ruth",
    "Sören",
    "Silke",
    "Swantje",
    "Tilda",
    "Torben",
    "Ulrike",
    "Uwe",
    "Veit",
    "Wiebke",
    "Wolfgang",
    "Xaver",
    "Yasemin",
    "Zoe",
  ],
};

const LAST = {
  en: [
    "Abbott",
    "Achebe",
    "Ashdown",
    "Barlow",
    "Bellamy",
    "Birch",
    "Brook",
    "Calloway",
    "Carver",
    "Chandra",
    "Clough",
    "Dalton",
    "Delacroix",
    "Dunmore",
    "Eastwood",
    "Ellery",
    "Farrow",
    "Fenwick",
    "Flax",
    "Garland",
    "Grainger",
    "Hale",
    "Hartley",
    "Holloway",
    "Iyer",
    "Jessop",
    "Keane",
    "Kendrick",
    "Langley",
    "Lockwood",
    "Marlow",
    "Mensah",
    "Merrick",
    "Nightingale",
    "O'Hara",
    "O'Shea",
    "Okafor",
    "Palmer",
    "Penrose",
    "Quigley",
    "Ramsey",
    "Redfern",
    "Sandhu",
    "Sharpe",
    "Stirling",
    "Tanner",
    "Thorne",
    "Upton",
    "Vale",
    "Weaver",
    "Whitlock",
    "Yardley",
  ],
  de: [
    "Ackermann",
    "Albrecht",
    "Bachmeier",
    "Böhm",
    "Brandt",
    "Claussen",
    "Demir",
    "Dietrich",
    "Ehlers",
    "Färber",
    "Feldmann",
    "Göbel",
    "Grünewald",
    "Hagedorn",
    "Hinrichs",
    "Jansen",
    "Kaya",
    "Kessler",
    "Köhler",
    "Lehmann",
    "Lindner",
    "Lüders",
    "Matthiesen",
    "Mühlbauer",
    "Neumann",
    "Otto",
    "Petersen",
    "Quast",
    "Reuter",
    "Rosenthal",
    "Schäfer",
    "Schneider",
    "Tiedemann",
    "Uhlig",
    "Vogt",
    "Weber",
    "Weidlich",
    "Yılmaz",
    "Zeller",
    "Zimmermann",
  ],
};

// Number ranges that no subscriber ever gets: 555-0100 to 555-0199 of each area in North America,
// and the blocks that the Bundesnetzagentur keeps for films and books.
const AREAS_EN = [
  "202",
  "206",
  "212",
  "213",
  "215",
  "303",
  "305",
  "312",
  "313",
  "404",
  "415",
  "503",
  "512",
  "602",
  "612",
  "617",
  "702",
  "713",
  "804",
  "919",
];
const BLOCKS_DE = ["+493023125", "+496990009", "+494066969", "+492214710", "+498999998"];

// The people whom the demo offers for login; everybody else is made by the seed.
const CAST = {
  "C-0006": {
    first_name: "Mira",
    last_name: "Holm",
    language: "en",
    contract: "linen_plan",
    contract_end: "2027-01-31T00:00:00Z",
    tier: "gold",
    marketing: "true",
  },
  "C-0001": {
    first_name: "Theo",
    last_name: "Marlow",
    language: "en",
    contract: "none",
    contract_end: "",
    tier: "silver",
    marketing: "true",
  },
  "C-0002": {
    first_name: "Greta",
    last_name: "Lindner",
    language: "de",
    contract: "linen_plan",
    contract_end: "2026-12-31T00:00:00Z",
    tier: "standard",
    marketing: "true",
  },
  "C-0003": {
    first_name: "Omar",
    last_name: "Sandhu",
    language: "en",
    contract: "none",
    contract_end: "",
    tier: "standard",
    marketing: "false",
  },
  "C-0011": {
    first_name: "Jürgen",
    last_name: "Köhler",
    language: "de",
    contract: "none",
    contract_end: "",
    tier: "silver",
    marketing: "false",
  },
};

/** Mulberry32: small, seeded, and the same on every machine (32-bit integer arithmetic only). */
function seeded(seed) {
  let state = seed >>> 0;
  return function below(bound) {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % bound;
  };
}

const ASCII = {
  ä: "ae",
  ö: "oe",
  ü: "ue",
  ß: "ss",
  ı: "i",
  "'": "",
};

function mailName(first, last) {
  return `${first}.${last}`.toLowerCase().replace(/[äöüßı']/g, (letter) => ASCII[letter]);
}

function phoneOf(language, nth) {
  if (language === "de") {
    return `${BLOCKS_DE[nth % BLOCKS_DE.length]}${pad(Math.floor(nth / BLOCKS_DE.length) + 100, 3)}`;
  }
  return `+1${AREAS_EN[nth % AREAS_EN.length]}55501${pad(Math.floor(nth / AREAS_EN.length), 2)}`;
}

function pad(number, width) {
  return String(number).padStart(width, "0");
}

/** Cents spent and orders made, by customer id. */
function histories() {
  const byCustomer = new Map();
  for (const purchase of readPurchases()) {
    const history = byCustomer.get(purchase.customerId) ?? { cents: 0, orders: 0 };
    history.cents += Math.round(purchase.total * 100);
    history.orders += 1;
    byCustomer.set(purchase.customerId, history);
  }
  return byCustomer;
}

function tierOf(history) {
  if (history.cents >= 40_000) return "gold";
  if (history.cents >= 10_000) return "silver";
  return "standard";
}

export function makeCrm() {
  const below = seeded(SEED);
  const taken = new Map();
  const phones = { en: 0, de: 0 };
  const lines = [COLUMNS.join(",")];
  for (const [customerId, history] of [...histories()].sort(byId)) {
    // Every draw is made for everybody, so that a change to the cast moves nobody else.
    let language = below(100) < 72 ? "en" : "de";
    const draws = [below(997), below(991), below(100), below(15), below(28), below(100)];
    const cast = CAST[customerId];
    language = cast?.language ?? language;
    const first = cast?.first_name ?? FIRST[language][draws[0] % FIRST[language].length];
    const last = cast?.last_name ?? LAST[language][draws[1] % LAST[language].length];
    const name = mailName(first, last);
    const namesakes = (taken.get(name) ?? 0) + 1;
    taken.set(name, namesakes);
    const onPlan = draws[2] < (history.orders >= 3 ? 55 : 20);
    // From October 2026 on for fifteen months, so that the demo's contracts run out at all times.
    const month = 9 + draws[3];
    const end = `${2026 + Math.floor(month / 12)}-${pad((month % 12) + 1, 2)}-${pad(draws[4] + 1, 2)}`;
    const row = {
      customer_id: customerId,
      email: `${name}${namesakes > 1 ? namesakes : ""}@example.${language === "de" ? "org" : "com"}`,
      first_name: first,
      last_name: last,
      phone: phoneOf(language, phones[language]++),
      language,
      contract: onPlan ? "linen_plan" : "none",
      contract_end: onPlan ? `${end}T00:00:00Z` : "",
      tier: tierOf(history),
      marketing: draws[5] < 60 ? "true" : "false",
      ...cast,
    };
    lines.push(COLUMNS.map((column) => row[column]).join(","));
  }
  return `${lines.join("\n")}\n`;
}

function byId([left], [right]) {
  return left < right ? -1 : 1;
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const made = makeCrm();
  if (process.argv.includes("--check")) {
    if (readFileSync(OUT, "utf8") !== made) {
      console.error("crm.csv is stale: run `node make-crm.mjs`");
      process.exit(1);
    }
    console.log("crm.csv is fresh");
  } else {
    writeFileSync(OUT, made);
    console.log(`crm.csv: ${made.split("\n").length - 2} people`);
  }
}
