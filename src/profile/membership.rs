//! Which audiences a profile was in when it was last looked at, so that entries and exits can be
//! told, and when time alone may change them. It must never decide who is in an audience.

use alloc::collections::BTreeMap;
use alloc::string::String;

use serde::{Deserialize, Serialize};

use crate::consent::Signals;
use crate::ids::DeviceId;
use crate::time::Timestamp;

/// What is kept between calls.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Memberships {
    /// The audiences, each with when it was entered.
    pub since: BTreeMap<String, Timestamp>,
    /// The version of the workspace that they were looked at with; empty where nobody looked yet.
    pub workspace: String,
    /// The device that spoke last: nobody speaks when time passes.
    pub device: Option<DeviceId>,
    /// What its browser said of consent.
    pub signals: Signals,
    /// When to look again, although nothing happened.
    pub wake: Option<Timestamp>,
}
