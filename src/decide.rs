//! The order of a decision: consent, audiences, eligibility, schedule, caps, rank, content; each
//! step leaves a reason code. It must never store anything and never read a clock.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The request's fields that conditions may read: names from `workspace::REQUEST_FIELDS`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Request(pub BTreeMap<String, String>);

/// The answer for one placement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// Which placement.
    pub placement: String,
    /// The winner's key; None is an answer, not an error.
    pub offer: Option<String>,
    /// The winner's variant.
    pub variant: Option<String>,
    /// Stable code: `won`, `no_offer`, `unknown_placement`.
    pub reason: String,
    /// Names this decision in impressions and clicks: a hash of workspace, placement, offer, time.
    pub decision: String,
    /// The content, values filled in, nothing escaped yet.
    pub content: Vec<ContentField>,
    /// The language of the content.
    pub language: String,
    /// The workspace's version.
    pub workspace: String,
    /// Why each offer won or lost, where asked for.
    pub trace: Vec<OfferTrace>,
}

/// A field of a decided content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct ContentField {
    /// Its name.
    pub name: String,
    /// How to place it.
    pub kind: crate::offer::FieldKind,
    /// Its text, values filled in.
    pub text: String,
}

/// Why an offer won or lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct OfferTrace {
    /// Which offer.
    pub offer: String,
    /// Stable code.
    pub code: String,
    /// The same as a sentence.
    pub sentence: String,
}
