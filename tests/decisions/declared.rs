//! What a workspace declares, as plain values. It must never know how it is written or decided.

use std::collections::{BTreeMap, BTreeSet};

use crate::oracle::generate::{Kind, Words};
use crate::oracle::{E, Metric};

pub const HOUR: i64 = 3_600_000;
pub const DAY: i64 = 24 * HOUR;

/// Purposes, each behind those that it depends on.
pub const PURPOSES: [&str; 5] = ["store", "profile", "personalise", "measure", "share"];
pub const ASSURANCES: [&str; 3] = ["anonymous", "recognised", "authenticated"];
pub const CONTACTS: [&str; 3] = ["impression", "click", "dismissal"];

const fn metric(
    way: &'static str,
    event: &'static str,
    property: Option<&'static str>,
    days: Option<i64>,
) -> Metric {
    Metric { way, event, property, days }
}

/// Traits that are told, by name.
pub const TRAITS: [(&str, Kind); 11] = [
    ("age", Kind::Int),
    ("app", Kind::Version),
    ("basket", Kind::Texts),
    ("city", Kind::Text),
    ("mail", Kind::Bool),
    ("score", Kind::Double),
    ("seen", Kind::Time),
    ("segments", Kind::Texts),
    ("tier", Kind::Text),
    ("vip", Kind::Bool),
    ("visits", Kind::Int),
];

/// Traits that are computed, by name.
pub const COMPUTED: [(&str, Metric, Kind); 9] = [
    ("away", metric("recency", "Visited", None, None), Kind::Span),
    ("cheapest", metric("min", "Bought", Some("total"), Some(7)), Kind::Double),
    ("dearest", metric("max", "Bought", Some("total"), None), Kind::Double),
    ("first_total", metric("first", "Bought", Some("total"), None), Kind::Double),
    ("kinds", metric("distinct", "Bought", Some("category"), Some(30)), Kind::Int),
    ("latest", metric("last", "Bought", Some("category"), None), Kind::Text),
    ("orders", metric("count", "Bought", None, None), Kind::Int),
    ("row", metric("streak", "Visited", None, Some(7)), Kind::Int),
    ("spent", metric("sum", "Bought", Some("total"), Some(30)), Kind::Double),
];

/// Fields of the request.
pub const FIELDS: [&str; 3] = ["request.country", "request.language", "request.path"];

/// What conditions speak of; the same again with a dot for what is no trait.
pub static WORDS: Words = Words {
    slots: &[
        ("age", Kind::Int),
        ("app", Kind::Version),
        ("away", Kind::Span),
        ("basket", Kind::Texts),
        ("cheapest", Kind::Double),
        ("city", Kind::Text),
        ("dearest", Kind::Double),
        ("first_total", Kind::Double),
        ("kinds", Kind::Int),
        ("latest", Kind::Text),
        ("mail", Kind::Bool),
        ("orders", Kind::Int),
        ("request.country", Kind::Text),
        ("request.path", Kind::Text),
        ("row", Kind::Int),
        ("score", Kind::Double),
        ("seen", Kind::Time),
        ("segments", Kind::Texts),
        ("spent", Kind::Double),
        ("tier", Kind::Text),
        ("vip", Kind::Bool),
        ("visits", Kind::Int),
    ],
    metrics: &[
        (metric("count", "Bought", None, Some(7)), Kind::Int),
        (metric("count", "Visited", None, Some(1)), Kind::Int),
        (metric("sum", "Bought", Some("total"), Some(7)), Kind::Double),
        (metric("last", "Bought", Some("total"), None), Kind::Double),
        (metric("first", "Bought", Some("category"), Some(7)), Kind::Text),
        (metric("distinct", "Bought", Some("category"), None), Kind::Int),
        (metric("streak", "Bought", None, None), Kind::Int),
        (metric("recency", "Bought", None, None), Kind::Span),
    ],
};

/// One workspace.
#[derive(Clone, Debug, Default)]
pub struct Declared {
    /// Traits and computed traits that a page may read.
    pub public: BTreeSet<&'static str>,
    /// `a0`, `a1`, ...; each may ask for those before it.
    pub audiences: Vec<E>,
    /// By name, and whether the page fills it.
    pub placements: BTreeMap<&'static str, bool>,
    pub experiments: BTreeMap<&'static str, Experiment>,
    pub holdouts: BTreeMap<&'static str, Holdout>,
    pub offers: BTreeMap<String, Offer>,
}

#[derive(Clone, Debug)]
pub struct Experiment {
    pub variants: Vec<&'static str>,
    pub weights: Option<Vec<f64>>,
    pub coverage: Option<f64>,
    pub seed: Option<&'static str>,
    pub when: Option<E>,
    /// Its name, from, until.
    pub namespace: Option<(&'static str, f64, f64)>,
    /// Another experiment, and the variant of it that one must see.
    pub prerequisite: Option<(&'static str, &'static str)>,
}

#[derive(Clone, Debug)]
pub struct Holdout {
    pub share: f64,
    /// None is all.
    pub offers: Option<Vec<String>>,
}

#[derive(Clone, Debug)]
pub struct Offer {
    pub placements: BTreeSet<&'static str>,
    pub when: Option<E>,
    pub purpose: Option<&'static str>,
    /// An index into [`ASSURANCES`].
    pub assurance: usize,
    pub priority: i64,
    pub rollout: Option<(f64, Option<&'static str>)>,
    pub rank: Option<E>,
    pub exclusion: Option<&'static str>,
    pub repeats: bool,
    /// The experiment, and what differs in some of its variants.
    pub experiment: Option<(&'static str, BTreeMap<&'static str, Arm>)>,
    pub caps: Vec<Cap>,
    pub cool_down_hours: Option<i64>,
    pub has_budget: bool,
    pub fallback: Option<String>,
    pub schedule: Option<Schedule>,
    pub content: Content,
}

/// What an offer is in a variant.
#[derive(Clone, Debug)]
pub enum Arm {
    Nothing,
    Content(Content),
}

#[derive(Clone, Debug)]
pub struct Cap {
    pub per_device: bool,
    /// `session`, `day`, `week`, `ever`
    pub window: &'static str,
    /// An index into [`CONTACTS`].
    pub on: usize,
    pub max: usize,
}

#[derive(Clone, Debug)]
pub struct Schedule {
    /// Milliseconds since 1970.
    pub from: Option<i64>,
    pub until: Option<i64>,
    pub zone: Option<&'static str>,
    /// Days (Monday is 0), and minutes of the day.
    pub weekly: Vec<(BTreeSet<i64>, i64, i64)>,
}

/// Texts by language, the default first.
#[derive(Clone, Debug)]
pub struct Content(pub Vec<(&'static str, Vec<Piece>)>);

/// A piece of the headline; a link stands beside it.
#[derive(Clone, Debug)]
pub enum Piece {
    Text(String),
    /// A public trait, and what stands in where it is missing.
    Value(&'static str, &'static str),
}
