//! What the central store asks of a database: batches, pages and transactions over plain rows. It
//! must never hold a rule of the business, so that another database need not repeat one.
//!
//! INVARIANT: a storage is opened for one tenant, which stands in the key of every row it touches.

pub mod sqlite;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use async_trait::async_trait;
use selvedge::ids::{DeviceId, EventKey, ProfileName};
use selvedge::profile::Stamp;
use selvedge::rule::Value;
use selvedge::time::Timestamp;
use serde::{Deserialize, Serialize};

/// The database did not do what it was asked. It names no row.
#[derive(Debug)]
pub struct Error(String);

impl Error {
    /// An error with the reason for the log.
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

/// What a storage answers.
pub type Result<T> = std::result::Result<T, Error>;

/// Whether an event came through the edge or through an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// From the edge: a web event.
    Edge,
    /// From an import.
    Import,
}

impl Origin {
    /// The word for it in rows and answers.
    pub fn word(self) -> &'static str {
        match self {
            Self::Edge => "edge",
            Self::Import => "import",
        }
    }
}

/// A known person.
#[derive(Clone, Debug)]
pub struct PersonRow {
    /// The company's own id, once an import told it.
    pub customer_id: Option<String>,
    /// Whether the edge asked for this person.
    pub active: bool,
    /// When the person became known.
    pub since: Timestamp,
}

/// A person's trait.
#[derive(Clone, Debug)]
pub struct TraitRow {
    /// Its name.
    pub name: String,
    /// Its value; None was removed.
    pub value: Option<Value>,
    /// When it was said.
    pub stamp: Stamp,
}

/// An event as it is stored.
#[derive(Clone, Debug)]
pub struct EventRow {
    /// Where it came from.
    pub origin: Origin,
    /// What it is deduplicated by.
    pub key: EventKey,
    /// The sender's id.
    pub id: String,
    /// Whose it is.
    pub owner: ProfileName,
    /// Who wrote it down.
    pub producer: String,
    /// `edge`, or the import's source.
    pub source: String,
    /// On which device.
    pub device: Option<DeviceId>,
    /// The person that the sender claims; a keyed hash.
    pub claimed: Option<ProfileName>,
    /// The call that it came as, in snake_case.
    pub kind: String,
    /// The event's name.
    pub name: String,
    /// When it happened.
    pub time: Timestamp,
    /// When it was accepted.
    pub accepted: Timestamp,
    /// Its scalar properties.
    pub properties: BTreeMap<String, Value>,
    /// All of it, as JSON text.
    pub payload: String,
}

/// A device that was linked to a person, or unlinked.
#[derive(Clone, Debug)]
pub struct LinkRow {
    /// Whom.
    pub person: ProfileName,
    /// The fact's number.
    pub seq: u64,
    /// True for a link, false for an end of one.
    pub linked: bool,
    /// The device.
    pub device: DeviceId,
    /// The device's own profile.
    pub object: Option<ProfileName>,
    /// Whether its history was attached.
    pub attached: bool,
    /// The token's id.
    pub evidence: String,
    /// When.
    pub time: Timestamp,
}

/// A consent receipt, as JSON.
#[derive(Clone, Debug)]
pub struct ReceiptRow {
    /// Whose consent.
    pub owner: ProfileName,
    /// Who wrote it: a profile, or `central`.
    pub producer: String,
    /// The fact's number, or the receipt's own for `central`.
    pub seq: u64,
    /// When it was chosen.
    pub time: Timestamp,
    /// The receipt.
    pub body: serde_json::Value,
}

/// How often an event of one name and source happened.
#[derive(Clone, Debug)]
pub struct CountRow {
    /// The event's name.
    pub name: String,
    /// `edge`, or the import's source.
    pub source: String,
    /// How often.
    pub count: u64,
    /// The earliest.
    pub first: Timestamp,
    /// The latest.
    pub last: Timestamp,
}

/// What computed traits read of an event.
#[derive(Clone, Debug)]
pub struct OccurrenceRow {
    /// Where it came from.
    pub origin: Origin,
    /// The event's name.
    pub name: String,
    /// When it happened.
    pub time: Timestamp,
    /// What it is deduplicated by.
    pub key: EventKey,
    /// The call that it came as, in snake_case.
    pub kind: String,
    /// When it was accepted.
    pub accepted: Timestamp,
    /// Its scalar properties.
    pub properties: BTreeMap<String, Value>,
}

/// What kind of change waits for the edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeKind {
    /// Traits.
    Traits,
    /// Series.
    Series,
    /// Consent records.
    Consent,
    /// The person is erased.
    Erase,
}

impl ChangeKind {
    /// The word for it in rows.
    pub fn word(self) -> &'static str {
        match self {
            Self::Traits => "traits",
            Self::Series => "series",
            Self::Consent => "consent",
            Self::Erase => "erase",
        }
    }
}

/// A person of whom something changed.
#[derive(Clone, Debug)]
pub struct ChangeRow {
    /// The place in the feed.
    pub cursor: u64,
    /// Whom.
    pub person: ProfileName,
    /// What.
    pub kind: ChangeKind,
    /// When.
    pub time: Timestamp,
}

/// What an erasure left of a receipt.
#[derive(Clone, Debug)]
pub struct StubRow {
    /// The chain that it stands in: a keyed hash of who wrote it.
    pub chain: String,
    /// Its place there.
    pub seq: u64,
    /// The stub, as JSON.
    pub body: serde_json::Value,
}

/// What an erasure took away, in rows.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Deleted {
    /// Person records.
    pub people: u64,
    /// Traits.
    pub traits: u64,
    /// Events.
    pub events: u64,
    /// Links.
    pub links: u64,
    /// Receipts.
    pub receipts: u64,
}

/// An erasure and how far it got.
#[derive(Clone, Debug)]
pub struct ErasureRow {
    /// Its id.
    pub id: String,
    /// Whom; a keyed hash.
    pub person: ProfileName,
    /// When.
    pub time: Timestamp,
    /// Its place in the feed.
    pub cursor: u64,
    /// What it took away.
    pub deleted: Deleted,
    /// When the edge confirmed it.
    pub acknowledged: Option<Timestamp>,
}

/// A document of the tenant: one JSON text per name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Document {
    /// What the edge declared last.
    Declared,
    /// Which offers are spent.
    Spent,
}

impl Document {
    /// The word for it in rows.
    pub fn word(self) -> &'static str {
        match self {
            Self::Declared => "declared",
            Self::Spent => "spent",
        }
    }
}

/// How many profiles saw a variant of an experiment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExposedRow {
    /// The experiment's name.
    pub experiment: String,
    /// The variant's name; None counts the profiles that saw more than one.
    pub variant: Option<String>,
    /// How many profiles.
    pub profiles: u64,
}

/// Named numbers of the tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counter {
    /// The last cursor that was given out.
    Change,
    /// The last cursor that the edge confirmed to the pusher.
    Pushed,
    /// The time of the last word on spent offers that the edge confirmed to the pusher.
    SpentPushed,
}

impl Counter {
    /// The word for it in rows.
    pub fn word(self) -> &'static str {
        match self {
            Self::Change => "change",
            Self::Pushed => "pushed",
            Self::SpentPushed => "spent_pushed",
        }
    }
}

/// A database, opened for one tenant.
#[async_trait]
pub trait Storage: Send + Sync {
    /// One consistent view.
    async fn read(&self) -> Result<Box<dyn Snapshot>>;
    /// A transaction that writes; dropped without a commit it leaves nothing.
    async fn begin(&self) -> Result<Box<dyn Transaction>>;
    /// Makes what was deleted unreadable in the files too, as far as the database can.
    async fn scrub(&self) -> Result<()>;
    /// Finishes what is open and lets go.
    async fn close(&self);
}

/// What can be read.
#[async_trait]
pub trait Snapshot: Send {
    /// A document; None where it was never put.
    async fn document(&mut self, document: Document) -> Result<Option<String>>;
    /// The contacts of one kind with an offer, on a day or ever.
    async fn contacts(&mut self, offer: &str, contact: &str, day: Option<i64>) -> Result<u64>;
    /// How many profiles saw what of these experiments, where they first did at or after a time.
    async fn exposed(&mut self, since: &BTreeMap<String, Timestamp>) -> Result<Vec<ExposedRow>>;
    /// Which of these keys are tombstones.
    async fn tombstoned(&mut self, keys: &BTreeSet<[u8; 32]>) -> Result<BTreeSet<[u8; 32]>>;
    /// Which of these profiles are erased.
    async fn buried(&mut self, profiles: &BTreeSet<ProfileName>) -> Result<BTreeSet<ProfileName>>;
    /// A person.
    async fn person(&mut self, person: &ProfileName) -> Result<Option<PersonRow>>;
    /// Which of these people the edge asked for.
    async fn active(&mut self, people: &BTreeSet<ProfileName>) -> Result<BTreeSet<ProfileName>>;
    /// A page of the people whom the edge asked for, by name.
    async fn active_page(
        &mut self,
        after: Option<&ProfileName>,
        limit: u32,
    ) -> Result<Vec<ProfileName>>;
    /// How many people are known.
    async fn people(&mut self) -> Result<u64>;
    /// A page of all people, by name. Names are keyed hashes, so the first of them are a random
    /// sample of all.
    async fn people_page(
        &mut self,
        after: Option<&ProfileName>,
        limit: u32,
    ) -> Result<Vec<ProfileName>>;
    /// A person's traits, by name.
    async fn traits(&mut self, person: &ProfileName) -> Result<Vec<TraitRow>>;
    /// Every link of a person, in the order of the facts.
    async fn links(&mut self, person: &ProfileName) -> Result<Vec<LinkRow>>;
    /// The links that name these devices' profiles.
    async fn links_of(&mut self, objects: &BTreeSet<ProfileName>) -> Result<Vec<LinkRow>>;
    /// The receipts of these owners, by time.
    async fn receipts(&mut self, owners: &BTreeSet<ProfileName>) -> Result<Vec<ReceiptRow>>;
    /// What an erasure left of the receipts, by chain and seq.
    async fn stubs(&mut self, erasure: &str) -> Result<Vec<StubRow>>;
    /// How often what happened to an owner.
    async fn counts(&mut self, owner: &ProfileName) -> Result<Vec<CountRow>>;
    /// A page of an owner's events, by origin, name, time and key.
    async fn events(
        &mut self,
        owner: &ProfileName,
        after: Option<&EventRow>,
        limit: u32,
    ) -> Result<Vec<EventRow>>;
    /// A page of an owner's imported events of one name, by time and key.
    async fn imported(
        &mut self,
        owner: &ProfileName,
        name: &str,
        after: Option<(Timestamp, EventKey)>,
        limit: u32,
    ) -> Result<Vec<(Timestamp, EventKey, BTreeMap<String, Value>)>>;
    /// A page of an owner's events that have one of these names or kinds, by origin, name, time and
    /// key.
    async fn occurrences(
        &mut self,
        owner: &ProfileName,
        named: &BTreeSet<String>,
        kinds: &BTreeSet<String>,
        after: Option<&OccurrenceRow>,
        limit: u32,
    ) -> Result<Vec<OccurrenceRow>>;
    /// The metrics that the edge asked for.
    async fn metrics(&mut self) -> Result<BTreeSet<(String, String)>>;
    /// A page of the feed, by cursor.
    async fn changes(&mut self, after: u64, limit: u32) -> Result<Vec<ChangeRow>>;
    /// A named number; 0 where it was never set.
    async fn counter(&mut self, counter: Counter) -> Result<u64>;
    /// An erasure.
    async fn erasure(&mut self, id: &str) -> Result<Option<ErasureRow>>;
    /// Whether an erasure up to this cursor waits for the edge.
    async fn erasure_waits(&mut self, until: u64) -> Result<bool>;
}

/// What can be written, all or nothing.
#[async_trait]
pub trait Transaction: Snapshot {
    /// Puts a document in the place of the one before.
    async fn put_document(&mut self, document: Document, body: &str) -> Result<()>;
    /// Counts one contact with an offer on a day.
    async fn count_contact(&mut self, offer: &str, contact: &str, day: i64) -> Result<()>;
    /// Makes people known; a customer id once known stays.
    async fn put_people(
        &mut self,
        people: &BTreeMap<ProfileName, Option<String>>,
        now: Timestamp,
    ) -> Result<()>;
    /// Notes that the edge asked for a person.
    async fn activate(&mut self, person: &ProfileName) -> Result<()>;
    /// Notes rows that are no events; true for each that is new.
    async fn insert_messages(&mut self, messages: &[(EventKey, ProfileName)]) -> Result<Vec<bool>>;
    /// Stores events; true for each that is new.
    async fn insert_events(&mut self, events: &[EventRow]) -> Result<Vec<bool>>;
    /// Notes facts; true for each that is new.
    async fn insert_facts(&mut self, facts: &[(ProfileName, u64)]) -> Result<Vec<bool>>;
    /// Sets traits.
    async fn put_traits(&mut self, person: &ProfileName, traits: &[TraitRow]) -> Result<()>;
    /// Stores links.
    async fn insert_links(&mut self, links: &[LinkRow]) -> Result<()>;
    /// Stores receipts.
    async fn insert_receipts(&mut self, receipts: &[ReceiptRow]) -> Result<()>;
    /// Gives a device's events from `since` on to a person.
    async fn move_events(
        &mut self,
        from: &ProfileName,
        to: &ProfileName,
        since: Timestamp,
    ) -> Result<u64>;
    /// Deletes an owner's web events that were accepted up to `until`; None is all.
    async fn delete_web_events(
        &mut self,
        owner: &ProfileName,
        until: Option<Timestamp>,
    ) -> Result<u64>;
    /// Remembers metrics; true where any is new.
    async fn put_metrics(&mut self, metrics: &BTreeSet<(String, String)>) -> Result<bool>;
    /// Puts a change at the end of the feed, in place of an older one of the same person and kind.
    async fn mark(&mut self, person: &ProfileName, kind: ChangeKind, now: Timestamp)
    -> Result<u64>;
    /// Sets a named number.
    async fn set_counter(&mut self, counter: Counter, value: u64) -> Result<()>;
    /// Deletes all of a person: own rows, those of these devices' profiles, and events whose sender
    /// claimed to be this person.
    async fn erase(
        &mut self,
        person: &ProfileName,
        objects: &BTreeSet<ProfileName>,
    ) -> Result<Deleted>;
    /// Keeps profiles from ever coming back.
    async fn bury(&mut self, profiles: &BTreeSet<ProfileName>, now: Timestamp) -> Result<()>;
    /// Keeps an identifier from ever coming back.
    async fn entomb(&mut self, key: &[u8; 32], now: Timestamp) -> Result<()>;
    /// Keeps what an erasure leaves of the receipts.
    async fn keep_stubs(&mut self, erasure: &str, stubs: &[StubRow]) -> Result<()>;
    /// Stores an erasure.
    async fn put_erasure(&mut self, erasure: &ErasureRow) -> Result<()>;
    /// Notes that the edge has applied everything up to a cursor.
    async fn acknowledge_erasures(&mut self, until: u64, now: Timestamp) -> Result<u64>;
    /// Makes all of it durable.
    async fn commit(self: Box<Self>) -> Result<()>;
}
