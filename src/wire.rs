//! All that crosses a process: facts from the edge, changes from the central store. It must never
//! lose the ability to read what an older release wrote within one major version of the format.
//!
//! History of [`WIRE_VERSION`]: 1, the first.

mod declared;

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::budget::Spent;
use crate::consent::{Choice, Purpose, Record, Region};
use crate::error::Error;
use crate::event::Event;
use crate::ids::{DeviceId, ProfileName};
use crate::profile::{Series, Stamp};
use crate::rule::Value;
use crate::time::Timestamp;

pub use declared::{Declare, Shares};

/// Version of the messages between edge and central store.
pub const WIRE_VERSION: u16 = 1;

/// An immutable fact, known by (tenant, producer, seq).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FactRow {
    /// The profile object that wrote it.
    pub producer: ProfileName,
    /// Counts up by one per producer, from 1.
    pub seq: u64,
    /// When the edge accepted it.
    pub time: Timestamp,
    /// What it says.
    pub fact: Fact,
}

impl FactRow {
    /// What this row counts against the outbox's bound: its text and a flat part for the rest.
    pub fn size_bytes(&self) -> u32 {
        let text = match &self.fact {
            Fact::Event { event, .. } => event.payload.len(),
            Fact::Consent(receipt) => receipt.evidence.len(),
            Fact::Link { .. } | Fact::Unlink { .. } => 0,
        };
        u32::try_from(text).unwrap_or(u32::MAX).saturating_add(256)
    }
}

/// What the edge tells the central store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Fact {
    /// Something happened on a device. The producer is the person, or the unlinked device.
    Event {
        /// Where it happened.
        device: DeviceId,
        /// What happened.
        event: Event,
    },
    /// A device was proved to be a person's.
    Link {
        /// The device.
        device: DeviceId,
        /// The device's own object, whose earlier events are the person's if `attached`.
        from: ProfileName,
        /// Whether its history was attached backwards.
        attached: bool,
        /// The token's id.
        evidence: String,
    },
    /// A device stopped speaking for the person.
    Unlink {
        /// The device.
        device: DeviceId,
    },
    /// A consent receipt.
    Consent(Receipt),
}

/// What was chosen, when, where, shown by what. Chained: each names the hash of the one before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    /// Counts up by one per profile object, from 1.
    pub seq: u64,
    /// Hash of the receipt before, in hexadecimal; empty for the first.
    pub previous: String,
    /// The records that it made.
    pub records: Vec<Record>,
    /// The device where it was chosen.
    pub device: DeviceId,
    /// Where the choice came from: `banner`, `api`, `signal`, `central`.
    pub source: String,
    /// The banner's version, or the consent string.
    pub evidence: String,
    /// Where the visitor was.
    pub region: Region,
    /// When.
    pub time: Timestamp,
    /// Hash of all of the above, in hexadecimal.
    pub hash: String,
}

/// What the central store tells the edge, known by its cursor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// Grows with every change of the tenant.
    pub cursor: u64,
    /// Whom it is about.
    pub person: ProfileName,
    /// What changed.
    pub body: ChangeBody,
}

/// What changed. All of it merges by a join, so a change may arrive twice, late, or out of order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ChangeBody {
    /// Traits that were said; None removes.
    Traits(Vec<TraitUpdate>),
    /// Series that the central store counted from imports, by metric.
    Series(BTreeMap<String, Series>),
    /// Consent records from other channels.
    Consent(Vec<Record>),
    /// The person is erased, for good.
    Erase {
        /// When.
        time: Timestamp,
    },
}

/// One trait as the central store knows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TraitUpdate {
    /// Its name.
    pub name: String,
    /// Its value; None removes it.
    pub value: Option<Value>,
    /// When it was said.
    pub stamp: Stamp,
}

/// `POST /sync/v1/push`: edge to central store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Push {
    /// [`WIRE_VERSION`] of the sender.
    pub wire_version: u16,
    /// At most `limits::PUSH_FACTS`.
    pub facts: Vec<FactRow>,
}

/// Its answer, given after commit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PushAnswer {
    /// Per producer, the seqs that are stored now, those that were stored before included.
    pub stored: BTreeMap<ProfileName, Vec<u64>>,
}

/// `POST /_selvedge/sync/v1/apply`, and the answers of `/sync/v1/changes` and `/sync/v1/hydrate`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Changes {
    /// [`WIRE_VERSION`] of the sender.
    pub wire_version: u16,
    /// At most `limits::CHANGES`, in the order of their cursors.
    pub changes: Vec<Change>,
    /// Ask again from here.
    pub cursor: u64,
    /// Whether more wait behind `cursor`.
    pub more: bool,
    /// Which offers are spent, where the sender says so. An older release says nothing of it and
    /// reads over it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spent: Option<Spent>,
}

/// `POST /sync/v1/hydrate`: a device first links to this person; send what is known, and from now
/// on push what changes. The answer is [`Changes`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hydrate {
    /// [`WIRE_VERSION`] of the sender.
    pub wire_version: u16,
    /// Whom.
    pub person: ProfileName,
    /// The metrics that the workspace counts: (event, property).
    pub metrics: Vec<(String, String)>,
}

/// `POST /sync/v1/erase`: the subject of a profile asked the edge to be erased. The edge has erased
/// its part; the central store erases its own, and keeps the profile from ever coming back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Erase {
    /// [`WIRE_VERSION`] of the sender.
    pub wire_version: u16,
    /// A person's, or a device's that is linked to nobody.
    pub profile: ProfileName,
}

/// Refuses a message of a version that this release cannot read. Errors: `wire_version`.
pub fn check_version(version: u16) -> Result<(), Error> {
    if version == WIRE_VERSION {
        Ok(())
    } else {
        Err(Error::new(
            "wire_version",
            format!("this end speaks version {WIRE_VERSION} of the sync messages, not {version}"),
            "wireVersion",
        ))
    }
}

/// One choice of a consent call, before it became a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chosen {
    /// For what.
    pub purpose: Purpose,
    /// Which way.
    pub yes: bool,
}

impl Receipt {
    /// Whether any record of it takes something back.
    pub fn withdraws(&self) -> bool {
        self.records.iter().any(|record| record.choice != Choice::Grant)
    }
}
