//! Which regime holds where, when nobody has chosen yet. An engineering reading of the law, to be
//! confirmed by counsel; it must never grow looser without a source.

use serde::{Deserialize, Serialize};

/// What silence means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Regime {
    /// Silence is no.
    OptIn,
    /// Silence is yes, until somebody objects.
    OptOut,
}

/// Where a request comes from: ISO 3166-1 alpha-2 and the part after the hyphen of ISO 3166-2, in
/// capitals; empty where unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Region {
    /// `DE`, `US`; empty where unknown.
    pub country: String,
    /// `CA` of `US-CA`; empty where unknown.
    pub subdivision: String,
}

/// A line of the workspace's own table: `US`, or `CA-QC`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegionRule {
    /// Country, or country and subdivision with a hyphen.
    pub region: String,
    /// What silence means there.
    pub regime: Regime,
}

impl Region {
    /// From the words of the request; anything that is not two letters counts as unknown.
    pub fn new(country: &str, subdivision: &str) -> Self {
        let known = country.len() == 2 && country.bytes().all(|b| b.is_ascii_alphabetic());
        if !known || matches!(country, "XX" | "T1") {
            return Self::default();
        }
        let part = subdivision.len() <= 3 && subdivision.bytes().all(|b| b.is_ascii_alphanumeric());
        Self {
            country: country.to_ascii_uppercase(),
            subdivision: if part { subdivision.to_ascii_uppercase() } else { String::new() },
        }
    }

    /// The regime here: the workspace's line for the subdivision, then for the country, then the
    /// built-in table, in which only the United States opt out (their state laws ask for a way to
    /// object, not for a prior yes). EEA, UK, CH, BR, KR, Quebec, everywhere else and unknown ask
    /// first.
    pub fn regime(&self, rules: &[RegionRule]) -> Regime {
        let full = format!("{}-{}", self.country, self.subdivision);
        let of = |name: &str| {
            rules.iter().find(|rule| !name.is_empty() && rule.region == name).map(|r| r.regime)
        };
        of(&full).or_else(|| of(&self.country)).unwrap_or(match self.country.as_str() {
            "US" => Regime::OptOut,
            _ => Regime::OptIn,
        })
    }
}
