//! Which regime holds where, when nobody has chosen yet. An engineering reading of the law, to be
//! confirmed by counsel; it must never grow looser without a source.

use alloc::format;
use alloc::string::String;

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

/// A line of the built-in table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuiltIn {
    /// Its name, for people.
    pub name: &'static str,
    /// Countries, or `CA-QC`.
    pub regions: &'static [&'static str],
    /// What silence means there.
    pub regime: Regime,
    /// The law that the reading rests on.
    pub source: &'static str,
}

/// The built-in table. A region that no line names asks first, and so does an unknown one.
pub const BUILT_IN: &[BuiltIn] = &[
    BuiltIn {
        name: "European Economic Area",
        regions: &[
            "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU",
            "IE", "IS", "IT", "LI", "LT", "LU", "LV", "MT", "NL", "NO", "PL", "PT", "RO", "SE",
            "SI", "SK",
        ],
        regime: Regime::OptIn,
        source: "Directive 2002/58/EC, Art. 5(3); Regulation (EU) 2016/679, Art. 4(11), 6 and 7",
    },
    BuiltIn {
        name: "Parts of the Union with a code of their own",
        regions: &["AX", "GF", "GP", "MF", "MQ", "RE", "YT"],
        regime: Regime::OptIn,
        source: "TFEU, Art. 355(1) and (4): Union law holds there",
    },
    BuiltIn {
        name: "United Kingdom and Crown dependencies",
        regions: &["GB", "GG", "IM", "JE"],
        regime: Regime::OptIn,
        source: "PECR 2003, regulation 6; UK GDPR, Art. 6 and 7; the dependencies' own laws after \
                 them",
    },
    BuiltIn {
        name: "Switzerland",
        regions: &["CH"],
        regime: Regime::OptIn,
        source: "FADP, Art. 6 and 31; TCA, Art. 45c: objecting may do; asking is the stricter \
                 reading",
    },
    BuiltIn {
        name: "Brazil",
        regions: &["BR"],
        regime: Regime::OptIn,
        source: "LGPD (Lei 13.709/2018), Art. 7(I) and 8",
    },
    BuiltIn {
        name: "South Korea",
        regions: &["KR"],
        regime: Regime::OptIn,
        source: "PIPA, Art. 15 and 22",
    },
    BuiltIn {
        name: "Quebec",
        regions: &["CA-QC"],
        regime: Regime::OptIn,
        source: "Act respecting the protection of personal information in the private sector \
                 (CQLR c. P-39.1), s. 8.1 and 14",
    },
    BuiltIn {
        name: "United States",
        regions: &["US"],
        regime: Regime::OptOut,
        source: "Cal. Civ. Code 1798.120 and .135 with 11 CCR 7025; the other states' laws alike: \
                 a way to object, Global Privacy Control where it is sent, and no prior yes",
    },
];

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

    /// `DE` or `US-CA`; empty is unknown. None of a text that is neither.
    pub fn parse(text: &str) -> Option<Self> {
        let (country, subdivision) = text.split_once('-').unwrap_or((text, ""));
        let region = Self::new(country, subdivision);
        let same = region.country.eq_ignore_ascii_case(country)
            && region.subdivision.eq_ignore_ascii_case(subdivision);
        same.then_some(region)
    }

    /// The regime here: the workspace's line for the subdivision, then for the country, then what
    /// [`BUILT_IN`] says. Pages decide by this too and must not carry the table's texts; a test
    /// holds the two together.
    ///
    /// INVARIANT: an unknown country asks first, whatever the workspace says.
    pub fn regime(&self, rules: &[RegionRule]) -> Regime {
        if self.country.is_empty() {
            return Regime::OptIn;
        }
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
