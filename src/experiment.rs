//! Experiments: which variant a profile sees, by GrowthBook's public hash (version 2), so that its
//! SDKs and published cases agree with us. It must never draw randomness: the same profile and seed
//! give the same variant everywhere.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use crate::pack::pack_struct;
use crate::rule::RuleId;

/// Whether this build assigns at all: a page never learns the name that is hashed, and is told the
/// variants instead.
pub(crate) const ASSIGNS: bool = cfg!(any(feature = "keys", feature = "server", test));

/// A part of the unit interval, from inclusive, until exclusive.
pub type Range = (f64, f64);

/// FNV-1a with 32 bits over UTF-8 (draft-eastlake-fnv), from the hash of what came before.
fn fnv1a(hash: u32, text: &str) -> u32 {
    text.bytes().fold(hash, |hash, byte| fnv1a_byte(hash, u32::from(byte)))
}

fn fnv1a_byte(hash: u32, byte: u32) -> u32 {
    (hash ^ byte).wrapping_mul(0x0100_0193)
}

/// The hash of nothing.
const NOTHING: u32 = 0x811c_9dc5;

/// The hash of a number's decimal digits, without the formatting machinery and without a branch
/// that depends on the number.
fn fnv1a_digits(number: u32) -> u32 {
    // The number over a hundred million, as a fixed-point number with 57 bits behind the point:
    // what stands before it are its two highest digits, and those behind follow by taking it a
    // hundredfold. Rounded up it is too large by less than a hundred-millionth, so that every digit
    // is right.
    const HUNDRED_MILLIONTH: u64 = (1 << 57) / 100_000_000 + 1;
    let mut rest = u64::from(number) * HUNDRED_MILLIONTH;
    let mut hash = NOTHING;
    let mut seen = 0;
    for _ in 0..5 {
        let digits = u32::try_from(rest >> 57).unwrap_or(0);
        rest = (rest & ((1 << 57) - 1)) * 100;
        for digit in [digits / 10, digits % 10] {
            seen |= digit;
            let more = fnv1a_byte(hash, 0x30 | digit);
            hash = if seen > 0 { more } else { hash };
        }
    }
    if number == 0 { fnv1a_byte(NOTHING, 0x30) } else { hash }
}

/// Where a value falls in the unit interval. Version 2 (ten thousand steps, two passes) is ours;
/// version 1 (a thousand steps) is kept for namespaces. None for any other version.
pub fn hash(seed: &str, value: &str, version: u8) -> Option<f64> {
    match version {
        1 => Some(f64::from(fnv1a(fnv1a(NOTHING, value), seed) % 1_000) / 1_000.0),
        2 => Some(f64::from(bucket(seed, value)) / 10_000.0),
        _ => None,
    }
}

/// The bucket of a value, from 0 to 9,999: version 2 of the hash before it is divided.
pub fn bucket(seed: &str, value: &str) -> u32 {
    bucket_behind(begin(seed), value)
}

/// The hash of a seed alone, with which that of every value begins.
pub(crate) fn begin(seed: &str) -> u32 {
    fnv1a(NOTHING, seed)
}

/// The bucket of a value behind a seed that was hashed.
pub(crate) fn bucket_behind(begun: u32, value: &str) -> u32 {
    let [bucket] = buckets_behind([begun], value);
    bucket
}

/// The same behind several seeds at a time, which takes less: a hash is a chain of multiplications,
/// each of which waits for the one before, and several chains wait together.
pub(crate) fn buckets_behind<const SEEDS: usize>(begun: [u32; SEEDS], value: &str) -> [u32; SEEDS] {
    let mut hashes = begun;
    for byte in value.bytes() {
        for hash in &mut hashes {
            *hash = fnv1a_byte(*hash, u32::from(byte));
        }
    }
    hashes.map(|hash| fnv1a_digits(hash) % 10_000)
}

/// Equal weights for `count` variants.
pub fn equal_weights(count: usize) -> Vec<f64> {
    let count_u32 = u32::try_from(count).unwrap_or(u32::MAX);
    vec![1.0 / f64::from(count_u32.max(1)); count]
}

/// The ranges of `count` variants: coverage is held to 0..=1, and weights that do not fit the count
/// or do not add up to about one become equal. A workspace with such weights is refused when
/// published; the rule is here so that both ends compute the same.
pub fn bucket_ranges(count: usize, coverage: f64, weights: Option<&[f64]>) -> Vec<Range> {
    let coverage = if coverage.is_nan() { 0.0 } else { coverage.clamp(0.0, 1.0) };
    let fits = |weights: &&[f64]| {
        weights.len() == count && (0.99..=1.01).contains(&weights.iter().sum::<f64>())
    };
    let equal;
    let weights = match weights.filter(fits) {
        Some(weights) => weights,
        None => {
            equal = equal_weights(count);
            &equal
        }
    };
    let mut start = 0.0;
    weights
        .iter()
        .map(|weight| {
            let range = (start, start + coverage * weight);
            start += weight;
            range
        })
        .collect()
}

/// The variant whose range holds `at`.
pub fn choose(at: f64, ranges: &[Range]) -> Option<usize> {
    ranges.iter().position(|(from, until)| at >= *from && at < *until)
}

/// A part of a namespace: experiments that share one never overlap in people.
#[derive(Clone, Debug, PartialEq)]
pub struct Namespace {
    /// Its name.
    pub name: String,
    /// The part that belongs to the experiment.
    pub range: Range,
}

pack_struct!(Namespace { name, range });

impl Namespace {
    /// Whether a unit falls into this part.
    pub fn holds(&self, unit: &str) -> bool {
        let mut seed = String::with_capacity(self.name.len().saturating_add(2));
        seed.push_str("__");
        seed.push_str(&self.name);
        hash(&seed, unit, 1).is_some_and(|at| at >= self.range.0 && at < self.range.1)
    }
}

/// An experiment: variants by weight, for the part of the profiles that it covers.
#[derive(Clone, Debug, PartialEq)]
pub struct Experiment {
    /// Its name.
    pub name: String,
    /// The hash's seed.
    pub seed: String,
    /// Names of its variants.
    pub variants: Vec<String>,
    /// Their ranges.
    pub ranges: Vec<Range>,
    /// Who takes part; None is everybody.
    pub rule: Option<RuleId>,
    /// Its part of a namespace.
    pub namespace: Option<Namespace>,
    /// Another experiment, and the variant of it that one must see: indices.
    pub prerequisite: Option<(u16, u16)>,
    /// Whether this is a holdout: its first variant sees no offer that names it.
    pub holdout: bool,
}

pack_struct!(Experiment { name, seed, variants, ranges, rule, namespace, prerequisite, holdout });

impl Experiment {
    /// The weights that the ranges were made of.
    pub fn weights(&self) -> Vec<f64> {
        let starts = self.ranges.iter().skip(1).map(|(start, _)| *start);
        let ends = starts.chain(core::iter::once(1.0));
        self.ranges.iter().zip(ends).map(|((start, _), end)| end - start).collect()
    }

    /// The index of a variant, by its name.
    pub fn variant_at(&self, name: &str) -> Option<u16> {
        let at = self.variants.iter().position(|known| known == name)?;
        u16::try_from(at).ok()
    }

    /// The variant that the hash gives a unit; rule and prerequisite are the caller's to check.
    pub fn variant_of(&self, unit: &str) -> Option<u16> {
        if self.namespace.as_ref().is_some_and(|namespace| !namespace.holds(unit)) {
            return None;
        }
        let at = hash(&self.seed, unit, 2)?;
        choose(at, &self.ranges).and_then(|variant| u16::try_from(variant).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_hashes_are_those_of_each_by_itself() {
        for value in ["", "u", "visitor-4711", "Zoë"] {
            for seed in 0..500_u32 {
                let begun = [0, 1, 2, 3].map(|lane| begin(&format!("seed {}", 4 * seed + lane)));
                let each = begun.map(|begun| bucket_behind(begun, value));
                assert_eq!(buckets_behind(begun, value), each);
            }
        }
    }
}
