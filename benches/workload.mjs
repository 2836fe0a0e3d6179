//! Workload W: seeded profiles of 42 attributes, and offers with 3 to 6 predicates that must all
//! hold, a rollout and a priority. The same seed gives the same workload everywhere.

/** Mulberry32. */
function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

const numbered = (count, prefix) => Array.from({ length: count }, (_, at) => prefix + at);
const COUNTRIES = "US DE GB FR IT ES NL SE PL BR MX CA AU JP KR IN CH AT BE DK".split(" ");
const LANGUAGES = "en de fr it es nl sv pl pt ja".split(" ");
const CITIES = numbered(50, "city_");
const ZONES = ["Europe/Berlin", "Europe/London", "America/New_York", "Asia/Tokyo", "Asia/Kolkata"];
const DEVICES = ["mobile", "desktop", "tablet"];
const SYSTEMS = ["ios", "android", "windows", "macos", "linux"];
const BROWSERS = ["chrome", "safari", "firefox", "edge", "samsung"];
const PLANS = ["free", "basic", "pro", "enterprise"];
const TIERS = ["none", "bronze", "silver", "gold"];
const SOURCES = "google meta newsletter bing tiktok affiliate direct partner".split(" ");
const CAMPAIGNS = numbered(30, "camp_");
const REFERRERS = ["https://www.google.com/search", "https://www.bing.com/", "https://t.co/x", ""];
const PATHS = [
  "/",
  "/shop/shoes/boots",
  "/shop/sale/summer",
  "/blog/how-to-run",
  "/account/orders",
];
const PATH_PARTS = ["/shop", "sale", "summer", "blog", "shoes", "/account"];
const MAILS = ["gmail.com", "corp.example", "uni.edu", "web.de", "mail.example"];
const MAIL_PARTS = ["mail", "corp", "edu", ".de"];
const REFERRER_PARTS = ["google", "bing", "t.co", "https"];
const SEGMENTS = numbered(60, "seg_");
const CATEGORIES = numbered(40, "cat_");
const STATES = numbered(16, "st_");
const CHANNELS = ["web", "app", "store", "phone"];
const NOW_S = 1_764_000_000;
const DAY_S = 86_400;

const ONE_OF = { device: DEVICES, plan: PLANS, loyalty_tier: TIERS, last_channel: CHANNELS };
/** Values, and how many of them a predicate names. */
const SOME_OF = {
  country: [COUNTRIES, 5, 12],
  language: [LANGUAGES, 3, 7],
  utm_source: [SOURCES, 3, 6],
  utm_campaign: [CAMPAIGNS, 10, 20],
  os: [SYSTEMS, 2, 4],
  browser: [BROWSERS, 2, 4],
  city: [CITIES, 15, 35],
  timezone: [ZONES, 2, 4],
  state: [STATES, 6, 12],
  last_category: [CATEGORIES.slice(0, 10), 3, 7],
};
const RANGES = {
  age: [16, 90],
  sessions_30d: [0, 60],
  pageviews_30d: [0, 400],
  orders_total: [0, 40],
  revenue_cents: [0, 500_000],
  cart_cents: [0, 40_000],
  days_since_order: [0, 720],
  days_since_signup: [0, 2_000],
  hour_of_day: [0, 24],
  churn_score: [0, 1_000],
  ltv_score: [0, 1_000],
  last_value_cents: [0, 60_000],
};
const FLAGS = ["is_subscriber", "has_app", "consent_personalization", "newsletter"];
const ROLLOUTS = [10, 25, 50, 50, 75, 100, 100];

/** What draws from a generator. */
function dice(seed) {
  const next = random(seed);
  const int = (from, until) => from + Math.floor(next() * (until - from));
  return {
    next,
    int,
    pick: (list) => list[Math.floor(next() * list.length)],
    /** The first entries more often, as in life. */
    often: (list) => list[Math.floor(list.length * next() * next())],
  };
}

function several(of, list, most) {
  const found = new Set();
  const wanted = of.int(0, most);
  for (let at = 0; at < wanted * 2 && found.size < wanted; at++) found.add(of.often(list));
  return [...found];
}

/** Flat profiles; `id` is what rollouts hash. */
export function profiles(count, seed = 42) {
  const of = dice(seed);
  const { int, pick, often, next } = of;
  return Array.from({ length: count }, (_, at) => ({
    id: `u-${String(at).padStart(6, "0")}-${int(0, 1e6).toString(36)}`,
    country: often(COUNTRIES),
    city: often(CITIES),
    language: often(LANGUAGES),
    timezone: pick(ZONES),
    device: often(DEVICES),
    os: pick(SYSTEMS),
    browser: often(BROWSERS),
    app_version: `${int(2, 6)}.${int(0, 21)}.${int(0, 10)}`,
    plan: often(PLANS),
    loyalty_tier: often(TIERS),
    utm_source: often(SOURCES),
    utm_campaign: often(CAMPAIGNS),
    referrer: pick(REFERRERS),
    landing_path: pick(PATHS),
    email_domain: pick(MAILS),
    visitor_hash: `v${int(0, 2 ** 31).toString(16)}`,
    session_id: `s${int(0, 2 ** 31).toString(16)}`,
    ...Object.fromEntries(Object.entries(RANGES).map(([name, [lo, hi]]) => [name, int(lo, hi)])),
    last_seen_ts: NOW_S - int(0, 90 * DAY_S),
    signup_ts: NOW_S - int(0, 2_000 * DAY_S),
    is_subscriber: next() < 0.5,
    has_app: next() < 0.4,
    consent_marketing: next() < 0.8,
    consent_personalization: next() < 0.85,
    newsletter: next() < 0.5,
    segments: several(of, SEGMENTS, 15),
    categories_viewed: several(of, CATEGORIES, 10),
    last_category: often(CATEGORIES.slice(0, 10)),
    last_channel: pick(CHANNELS),
    state: pick(STATES),
    postal: String(int(10_000, 99_999)),
  }));
}

function predicate({ next, int, pick, often }) {
  const kind = next();
  if (kind < 0.15) {
    const name = pick(Object.keys(ONE_OF));
    return { kind: "eq", name, value: often(ONE_OF[name]) };
  }
  if (kind < 0.22) return { kind: "eq", name: pick(FLAGS), value: next() < 0.6 };
  if (kind < 0.45) {
    const name = pick(Object.keys(SOME_OF));
    const [list, from, until] = SOME_OF[name];
    const count = int(from, until + 1);
    const values = new Set();
    while (values.size < Math.min(count, list.length)) values.add(often(list));
    return { kind: "in", name, value: [...values] };
  }
  if (kind < 0.74) {
    const name = pick(Object.keys(RANGES));
    const [lo, hi] = RANGES[name];
    if (kind >= 0.68) {
      return { kind: "gte", name, value: Math.floor(lo + (hi - lo) * (0.1 + 0.5 * next())) };
    }
    const width = 0.35 + 0.4 * next();
    const start = next() * (1 - width);
    const from = Math.floor(lo + (hi - lo) * start);
    return { kind: "range", name, from, until: Math.ceil(lo + (hi - lo) * (start + width)) };
  }
  if (kind < 0.84) {
    const [name, parts] = pick([
      ["landing_path", PATH_PARTS],
      ["email_domain", MAIL_PARTS],
      ["referrer", REFERRER_PARTS],
    ]);
    return { kind: "contains", name, value: pick(parts) };
  }
  if (kind < 0.88) {
    return { kind: "has", name: "categories_viewed", value: often(CATEGORIES.slice(0, 20)) };
  }
  if (kind < 0.95) {
    const value = `${int(2, 5)}.${int(0, 21)}.${int(0, 10)}`;
    return { kind: "version", name: "app_version", value };
  }
  const name = next() < 0.5 ? "signup_ts" : "last_seen_ts";
  return { kind: "gte", name, value: NOW_S - int(20, 800) * DAY_S };
}

/** Offers from the highest priority down; `percent` is the part of profiles that they reach. */
export function offers(count, seed = 7) {
  const of = dice(seed * 1_000 + count);
  return Array.from({ length: count }, (_, at) => {
    const wanted = of.int(3, 7);
    const found = new Map();
    if (of.next() < 0.5) {
      found.set("consent_marketing", { kind: "eq", name: "consent_marketing", value: true });
    }
    if (of.next() < 0.5) {
      found.set("segments", {
        kind: "has",
        name: "segments",
        value: of.often(SEGMENTS.slice(0, 30)),
      });
    }
    while (found.size < wanted) {
      const one = predicate(of);
      if (!found.has(one.name)) found.set(one.name, one);
    }
    const key = `offer_${String(at).padStart(5, "0")}`;
    return {
      key,
      priority: count - at,
      percent: of.pick(ROLLOUTS),
      predicates: [...found.values()],
    };
  });
}
