//! The slice: what a page may hold to decide by itself. Conditions over anything that is not public
//! come as answers, not as values. It must never hold a trait that the workspace does not list as
//! public.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::consent::Effective;
use crate::ids::DeviceId;
use crate::offer::Assurance;
use crate::profile::Seen;
use crate::rule::{RuleId, Slot, Value};
use crate::time::Timestamp;

/// A purpose-limited part of one profile, for the page's placements.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slice {
    /// The workspace that it belongs to.
    pub workspace: String,
    /// Not to be used from here on.
    pub expires: Timestamp,
    /// How sure the edge is.
    pub assurance: Assurance,
    /// The consent as it stands.
    pub effective: Effective,
    /// Public values.
    pub values: Vec<(Slot, Value)>,
    /// Answers to conditions that read anything else.
    pub answers: Vec<(RuleId, bool)>,
    /// Contacts of the page's offers, for caps.
    pub history: BTreeMap<String, Vec<Seen>>,
    /// Start of the device's session.
    pub session_start: Option<Timestamp>,
    /// A stand-in for the device in `history`; never the device's id.
    pub device: Option<DeviceId>,
}
