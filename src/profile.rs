//! The profile: what is known of one person or unlinked device, and how two replicas of it merge.
//! It must never know where it is stored, and never decide whether it may be: the functions that
//! add to it take a permit.
//!
//! INVARIANT: every part merges by a join (maximum, union), so arrival order does not matter.

mod days;
mod distinct;
mod membership;
mod sequence;
mod series;

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::consent::{Consent, Permit, Profiling, Region};
use crate::ids::{DeviceId, EventKey, ProfileName};
use crate::limits;
use crate::rule::Value;
use crate::time::Timestamp;

pub use days::Days;
pub use distinct::Distinct;
pub use membership::Memberships;
pub use sequence::{Sequence, Step};
pub use series::{Aggregate, Entry, Series};

/// Who told us a trait; the later one in this order wins where the times are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The page said so; nobody proved it.
    Claimed,
    /// A signed token said so.
    Token,
    /// The central store said so.
    Central,
}

/// A hybrid logical clock's reading with its source: the order in which traits overwrite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Stamp {
    /// Physical part.
    pub time: Timestamp,
    /// Logical part: tells apart what one producer wrote in one millisecond.
    pub counter: u32,
    /// The tie-break.
    pub source: Source,
}

/// A trait's value and when it was said. `None` is a trait that was removed, kept as a tombstone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trait {
    /// The value.
    pub value: Option<Value>,
    /// When, by whom.
    pub stamp: Stamp,
}

/// What happened to an offer in front of this profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Contact {
    /// It was seen.
    Impression,
    /// It was clicked.
    Click,
    /// It was closed.
    Dismissal,
}

crate::pack::pack_words!(Contact { Impression, Click, Dismissal });

/// One contact; the key makes a repeated report count once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Seen {
    /// When.
    pub time: Timestamp,
    /// What.
    pub contact: Contact,
    /// On which device.
    pub device: DeviceId,
    /// The reporting event.
    pub key: EventKey,
}

crate::pack::pack_struct!(Seen { time, contact, device, key });

/// How a device belongs to a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceLink {
    /// The device's own object.
    pub object: ProfileName,
    /// When the link was proved.
    pub linked: Timestamp,
    /// Until when the last login proves who is in front of the screen.
    pub authenticated_until: Timestamp,
    /// Set by logout: the device no longer speaks for the person.
    pub logged_out: Option<Timestamp>,
    /// Whether the device's earlier history was taken over, so that it is taken at most once.
    pub attached: bool,
    /// This device's own choices.
    pub consent: Consent,
    /// Where it was last seen, for what the region's default allows.
    pub region: Region,
}

/// A session of one device: events with pauses shorter than `limits::SESSION_MS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// The first event.
    pub start: Timestamp,
    /// The last event so far.
    pub last: Timestamp,
}

/// What is known of one person or unlinked device.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// Facts told to us.
    pub traits: BTreeMap<String, Trait>,
    /// Series for computed traits: by the node that counted them, then by metric. A node writes
    /// only under its own name, so copies never conflict.
    pub series: BTreeMap<String, BTreeMap<String, Series>>,
    /// Contacts per offer, oldest first.
    pub history: BTreeMap<String, Vec<Seen>>,
    /// The subject's consent; for a person, the join of the devices' and the central store's.
    pub consent: Consent,
    /// A person's devices.
    pub devices: BTreeMap<DeviceId, DeviceLink>,
    /// Ids that the page claimed, never proved, with the time of the claim.
    pub claims: BTreeMap<String, Timestamp>,
    /// Sessions per device.
    pub sessions: BTreeMap<DeviceId, Session>,
    /// Experiment and holdout assignments: experiment -> variant and the time of assignment.
    pub assignments: BTreeMap<String, Assignment>,
    /// The audiences that it was in when it was last looked at. Never handed over: whoever takes
    /// the rest in looks anew.
    #[serde(default)]
    pub memberships: Memberships,
}

/// A sticky assignment to an experiment's variant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Assignment {
    /// When it was made; the earlier one stands when two profiles merge.
    pub time: Timestamp,
    /// The variant's name: a later workspace may list its variants in another order.
    pub variant: String,
    /// The start of the latest session in which it was reported as seen.
    pub exposed: Option<Timestamp>,
}

impl Assignment {
    /// Joins what another profile of the same person knows: the earlier assignment stands.
    pub fn join(&mut self, other: &Self) {
        let exposed = self.exposed.max(other.exposed);
        if (other.time, &other.variant) < (self.time, &self.variant) {
            *self = other.clone();
        }
        self.exposed = exposed;
    }
}

/// What a device's profile hands to the person that it turns out to be.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// As in [`Profile`].
    pub series: BTreeMap<String, BTreeMap<String, Series>>,
    /// As in [`Profile`].
    pub contacts: BTreeMap<String, Vec<Seen>>,
    /// As in [`Profile`].
    pub assignments: BTreeMap<String, Assignment>,
    /// Session of the device.
    pub session: Option<Session>,
}

/// The key of a metric: the event's name and the property, if one is read.
pub fn metric_key(event: &str, property: &str) -> String {
    format!("{event}\u{1f}{property}")
}

impl Profile {
    /// Sets a trait where the stamp is newer than what is known. Returns whether it changed.
    pub fn set_trait(
        &mut self,
        _permit: Permit<'_, Profiling>,
        name: &str,
        value: Option<Value>,
        stamp: Stamp,
    ) -> bool {
        let full = self.traits.len() >= limits::TRAITS;
        match self.traits.get_mut(name) {
            Some(known) if known.stamp >= stamp => false,
            Some(known) => {
                *known = Trait { value, stamp };
                true
            }
            None if full => false,
            None => {
                self.traits.insert(name.to_owned(), Trait { value, stamp });
                true
            }
        }
    }

    /// Adds one entry to a series that `node` counts.
    pub fn count(
        &mut self,
        _permit: Permit<'_, Profiling>,
        node: &str,
        metric: String,
        entry: Entry,
    ) {
        let metrics = self.series.entry(node.to_owned()).or_default();
        metrics.entry(metric).or_default().add(entry);
    }

    /// Notes a contact with an offer, once per reporting event.
    pub fn note_contact(&mut self, _permit: Permit<'_, Profiling>, offer: &str, seen: Seen) {
        if !self.history.contains_key(offer) && self.history.len() >= limits::HISTORY_OFFERS {
            self.forget_oldest_offer();
        }
        insert_seen(self.history.entry(offer.to_owned()).or_default(), seen);
    }

    fn forget_oldest_offer(&mut self) {
        let oldest = self
            .history
            .iter()
            .min_by_key(|(_, seen)| seen.last().map(|last| last.time))
            .map(|(offer, _)| offer.clone());
        if let Some(offer) = oldest {
            self.history.remove(&offer);
        }
    }

    /// Keeps an assignment, unless there is one: the first stands.
    pub fn assign(&mut self, _permit: Permit<'_, Profiling>, experiment: &str, to: Assignment) {
        let room = self.assignments.len() < limits::EXPERIMENTS;
        if room && !self.assignments.contains_key(experiment) {
            self.assignments.insert(experiment.to_owned(), to);
        }
    }

    /// Notes that an assignment was met, and makes it where there was none that stands.
    pub fn expose(&mut self, _permit: Permit<'_, Profiling>, experiment: &str, to: Assignment) {
        let known = self.assignments.contains_key(experiment);
        if known || self.assignments.len() < limits::EXPERIMENTS {
            self.assignments.insert(experiment.to_owned(), to);
        }
    }

    /// The start of a device's session, where it is not over.
    pub fn session_start(&self, device: DeviceId, now: Timestamp) -> Option<Timestamp> {
        let session = self.sessions.get(&device)?;
        (now.since_ms(session.last) <= limits::SESSION_MS).then_some(session.start)
    }

    /// Moves a device's session on; a pause of `limits::SESSION_MS` starts a new one.
    pub fn touch_session(
        &mut self,
        _permit: Permit<'_, Profiling>,
        device: DeviceId,
        at: Timestamp,
    ) {
        let fresh = Session { start: at, last: at };
        let session = self.sessions.entry(device).or_insert(fresh);
        if at.since_ms(session.last) > limits::SESSION_MS {
            *session = fresh;
        } else {
            session.last = session.last.max(at);
            session.start = session.start.min(at);
        }
    }

    /// Everything that the `profile` purpose holds, taken away; consent and links stay.
    pub fn drop_profile(&mut self) {
        self.traits.clear();
        self.series.clear();
        self.history.clear();
        self.claims.clear();
        self.sessions.clear();
        self.assignments.clear();
        self.memberships = Memberships::default();
    }

    /// Whether anything of the `profile` purpose is held that says more than memberships do, which
    /// follow from it.
    pub fn holds_profile(&self) -> bool {
        !(self.traits.is_empty()
            && self.series.is_empty()
            && self.history.is_empty()
            && self.claims.is_empty()
            && self.sessions.is_empty()
            && self.assignments.is_empty())
    }

    /// What this device's profile hands over (DESIGN.md section 6, rule 6): entries that are at
    /// most `limits::ATTACH_AGE_MS` old. Traits stay: they are claims.
    pub fn hand_over(&self, device: DeviceId, now: Timestamp) -> History {
        let from = now.plus_ms(-limits::ATTACH_AGE_MS);
        let mut history = History {
            assignments: self.assignments.clone(),
            session: self.sessions.get(&device).copied(),
            ..History::default()
        };
        for (node, metrics) in &self.series {
            let kept: BTreeMap<String, Series> = metrics
                .iter()
                .map(|(metric, series)| (metric.clone(), series.since(from)))
                .filter(|(_, series)| !series.is_empty())
                .collect();
            if !kept.is_empty() {
                history.series.insert(node.clone(), kept);
            }
        }
        for (offer, seen) in &self.history {
            let kept: Vec<Seen> = seen.iter().filter(|s| s.time >= from).copied().collect();
            if !kept.is_empty() {
                history.contacts.insert(offer.clone(), kept);
            }
        }
        history
    }

    /// Takes a handed-over history in. Taking it twice changes nothing.
    pub fn attach(&mut self, _permit: Permit<'_, Profiling>, device: DeviceId, history: &History) {
        self.join_series(&history.series);
        for (offer, seen) in &history.contacts {
            for one in seen {
                insert_seen(self.history.entry(offer.clone()).or_default(), *one);
            }
        }
        for (experiment, assignment) in &history.assignments {
            let known = self.assignments.entry(experiment.clone()).or_insert(assignment.clone());
            known.join(assignment);
        }
        if let Some(session) = history.session {
            self.sessions.entry(device).or_insert(session);
        }
    }

    /// Joins series that other nodes counted.
    pub fn join_series(&mut self, other: &BTreeMap<String, BTreeMap<String, Series>>) {
        for (node, metrics) in other {
            let own = self.series.entry(node.clone()).or_default();
            for (metric, series) in metrics {
                own.entry(metric.clone()).or_default().join(series);
            }
        }
    }
}

fn insert_seen(list: &mut Vec<Seen>, seen: Seen) {
    if let Err(at) = list.binary_search(&seen) {
        if list.iter().any(|known| known.key == seen.key) {
            return;
        }
        list.insert(at, seen);
        // Per kind: a hundred impressions must not push out the one click that a cap counts.
        let same = |one: &Seen| one.contact == seen.contact;
        if list.iter().filter(|one| same(one)).count() > limits::HISTORY_TIMES
            && let Some(oldest) = list.iter().position(same)
        {
            list.remove(oldest);
        }
    }
}
