//! The workload as a workspace of Selvedge, with full semantics: three placements over the same
//! offers, none of which stands twice on a page; consent, assurance, caps, rollouts, experiments.

const text = (value) => JSON.stringify(value);

function condition(one) {
  const read = `profile.${one.name}`;
  switch (one.kind) {
    case "eq":
      return `${read} == ${text(one.value)}`;
    case "in":
      return `${read} in ${text(one.value)}`;
    case "range":
      return `${read} >= ${one.from} && ${read} < ${one.until}`;
    case "gte":
      return `${read} >= ${one.value}`;
    case "version":
      return `semver(${read}) >= semver(${text(one.value)})`;
    case "contains":
      return `${read}.contains(${text(one.value)})`;
    default:
      return `${text(one.value)} in ${read}`;
  }
}

function typeOf(value) {
  if (Array.isArray(value)) return "strings";
  return { boolean: "bool", number: "int", string: "string" }[typeof value];
}

const CAPS = [
  { per: "person", window: "day", on: "impression", max: 3 },
  { per: "device", window: "ever", on: "dismissal", max: 1 },
];

export function workspace(offers, { id: _, ...traits }) {
  const offer = (one, at) => ({
    placements: ["first", "second", "third"],
    when: one.predicates.map(condition).join(" && "),
    priority: one.priority,
    assurance: "anonymous",
    caps: at % 3 === 0 ? CAPS : [],
    ...(one.percent < 100 && { rollout: { coverage: one.percent / 100, seed: one.key } }),
    ...(at % 10 === 0 && { experiment: "copy" }),
    content: { en: { headline: `Offer ${at}`, href: `/offers/${at}` } },
  });
  return {
    format: 1,
    languages: ["en"],
    traits: Object.fromEntries(
      Object.entries(traits).map(([name, value]) => [name, { type: typeOf(value), public: true }]),
    ),
    placements: { first: { where: "page" }, second: { where: "page" }, third: { where: "page" } },
    experiments: { copy: { variants: ["plain", "warm"] } },
    offers: Object.fromEntries(offers.map((one, at) => [one.key, offer(one, at)])),
  };
}
