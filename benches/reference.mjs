//! What every engine must say, by the plainest means.

/** FNV-1a with 32 bits, over UTF-16 units as GrowthBook computes it; the workload is ASCII. */
function fnv1a(text) {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) {
    hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  }
  return hash >>> 0;
}

/** GrowthBook's hash version 2, in ten thousandths. */
export const bucket = (seed, id) => fnv1a(String(fnv1a(seed + id))) % 10_000;

export function compareVersions(left, right) {
  const a = left.split(".");
  const b = right.split(".");
  for (let at = 0; at < 3; at++) {
    const difference = Number(a[at]) - Number(b[at]);
    if (difference !== 0) return difference;
  }
  return 0;
}

export function holds(predicate, profile) {
  const value = profile[predicate.name];
  switch (predicate.kind) {
    case "eq":
      return value === predicate.value;
    case "in":
      return predicate.value.includes(value);
    case "range":
      return value >= predicate.from && value < predicate.until;
    case "gte":
      return value >= predicate.value;
    case "version":
      return compareVersions(value, predicate.value) >= 0;
    default:
      return value.includes(predicate.value);
  }
}

export function reaches(offer, profile) {
  return offer.percent === 100 || bucket(offer.key, profile.id) <= offer.percent * 100;
}

/** The first three offers by rank. */
export function topThree(offers, profile) {
  const found = [];
  for (const offer of offers) {
    if (offer.predicates.every((one) => holds(one, profile)) && reaches(offer, profile)) {
      found.push(offer.key);
      if (found.length === 3) break;
    }
  }
  return found;
}
