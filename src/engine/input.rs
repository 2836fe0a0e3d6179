//! What goes into the engine and what comes out of it. Plain values that cross processes; nothing
//! in here may decide anything.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::consent::{Effective, Signals};
use crate::decide::{Decision, Request};
use crate::error::Error;
use crate::event::Event;
use crate::ids::{DeviceId, EventKey, ProfileName};
use crate::offer::Assurance;
use crate::profile::{History, Profile};
use crate::rule::Value;
use crate::slice::Slice;
use crate::time::Timestamp;
use crate::wire::{Change, Chosen, FactRow, Receipt};
use crate::workspace::Where;

/// What a profile object stores.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// The object's own name; None until the first input that stores anything.
    pub name: Option<ProfileName>,
    /// What it is by now.
    pub body: Body,
    /// The last seq that was given to a fact; never reused.
    pub last_seq: u64,
    /// Bytes of queued facts, for the outbox's bound.
    pub outbox_bytes: u64,
    /// The last receipt's seq and hash.
    pub last_receipt: (u64, String),
}

impl State {
    /// When the host must send [`Input::Wake`], whatever else happens; at once where it is past.
    pub fn wake(&self) -> Option<Timestamp> {
        match &self.body {
            Body::Live(profile) => profile.memberships.wake,
            Body::Moved(_) | Body::Erased(_) => None,
        }
    }
}

/// What became of a profile object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Body {
    /// It holds a profile.
    Live(Box<Profile>),
    /// The device turned out to be a person's: everything goes there.
    Moved(ProfileName),
    /// Erased, for good; nothing is ever taken in again.
    Erased(Timestamp),
}

impl Default for Body {
    fn default() -> Self {
        Self::Live(Box::default())
    }
}

/// Who asks, and what their browser says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Speaker {
    /// The device; None before anything may be stored.
    pub device: Option<DeviceId>,
    /// The object that is asked.
    pub profile: Option<ProfileName>,
    /// Live signals.
    pub signals: Signals,
}

/// A proved login, at the person's object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Login {
    /// Who asks; `device` and `profile` (the person) are there.
    pub speaker: Speaker,
    /// The device's own object, which handed over.
    pub from: ProfileName,
    /// What it handed over; None where rule 5 or 6 forbids it, or another person used the device.
    pub history: Option<History>,
    /// The device's own choices, taken over as the person's.
    pub consent: crate::consent::Consent,
    /// The token's id and whether it was used before.
    pub evidence: String,
    /// Whether the token's id is already among the keys that the host remembers.
    pub evidence_known: bool,
    /// Traits in the token, trusted.
    pub traits: BTreeMap<String, Value>,
}

/// What the host knows around a question: nothing of it belongs to a profile.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Circumstances {
    /// Offers whose budget is spent, by index, sorted.
    pub spent: Vec<u32>,
    /// Offers that the page shows already, by key.
    pub shown: Vec<String>,
    /// Variants that a preview forces: experiments and variants, by index.
    pub forced: Vec<(u16, u16)>,
}

/// An input for one profile object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Input {
    /// Which offers to show. Changes nothing.
    Decide {
        /// Who asks.
        speaker: Speaker,
        /// Which placements.
        placements: Placements,
        /// The request's fields.
        request: Request,
        /// Whether to say why every loser lost.
        trace: bool,
    },
    /// What a page may hold to decide by itself. Changes nothing.
    Slice {
        /// Who asks.
        speaker: Speaker,
        /// The request's fields.
        request: Request,
    },
    /// The consent as it stands. Changes nothing.
    Consent {
        /// Who asks.
        speaker: Speaker,
    },
    /// For the admin: what is known, what is decided, and why. Changes nothing.
    Explain {
        /// On whose behalf.
        speaker: Speaker,
        /// Which placements.
        placements: Placements,
        /// The request's fields.
        request: Request,
    },
    /// Everything that is held. Changes nothing.
    Export,
    /// Events of one device.
    Events {
        /// Who sends.
        speaker: Speaker,
        /// Checked and bounded by the host's parser.
        events: Vec<Event>,
        /// Those of their keys that the host already remembers.
        known: BTreeSet<EventKey>,
    },
    /// The visitor chooses.
    Choose {
        /// Who chooses.
        speaker: Speaker,
        /// What.
        choices: Vec<Chosen>,
        /// Where the choice came from.
        source: String,
        /// The banner's version, or the consent string.
        evidence: String,
    },
    /// At a fresh device's object: the same browser's choices go along when its id rotates.
    Carry {
        /// The fresh device.
        speaker: Speaker,
        /// What [`Reply::LoggedOut`] said.
        consent: crate::consent::Consent,
    },
    /// A proved login, at the person's object.
    Login(Login),
    /// The device logs out, at the person's object.
    Logout {
        /// Which device.
        device: DeviceId,
    },
    /// At the device's object: say what a login may take over. Changes nothing, so that a crash
    /// before the person's object has it loses nothing.
    HandOver {
        /// The device.
        device: DeviceId,
        /// The person.
        to: ProfileName,
    },
    /// At the device's object: the person's object has it all.
    MoveTo {
        /// The person.
        to: ProfileName,
    },
    /// Changes from the central store about this person.
    Apply {
        /// In the order of their cursors.
        changes: Vec<Change>,
    },
    /// Erase, at a device's object or a person's.
    Erase,
    /// The central store has committed these facts.
    Stored {
        /// Their seqs and sizes in bytes.
        seqs: Vec<(u64, u32)>,
    },
    /// Nothing happened but time: who is in which audience now? Due at [`State::wake`].
    Wake,
    /// The subject asks to be erased: here, and then at the central store.
    EraseEverywhere,
    /// A question under circumstances. Changes nothing.
    Under {
        /// What the host knows.
        circumstances: Circumstances,
        /// One of [`Input::Decide`], [`Input::Slice`] and [`Input::Explain`]. A box, since an input
        /// cannot hold itself.
        question: Box<Input>,
    },
}

/// Which placements a decide call is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Placements {
    /// All that are filled there.
    Every(Where),
    /// These, by name.
    Named(Vec<String>),
}

/// What the host must do, in the transaction that stores the state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Effect {
    /// Queue a fact for the central store and arm the alarm.
    Queue(FactRow),
    /// Remember a key against duplicates until then.
    Remember(EventKey, Timestamp),
    /// Keep a receipt.
    Keep(Receipt),
    /// Drop queued events that a withdrawal covers; receipts and links stay queued.
    CancelQueued,
    /// Forget all remembered keys, queued facts and receipts.
    ForgetAll,
    /// Tell another profile object, until it has answered.
    Tell(ProfileName, Box<Input>),
    /// Ask the central store what it knows of this person.
    Hydrate(ProfileName),
    /// Ask the central store to erase this profile, until it has answered.
    EraseCentrally(ProfileName),
}

/// What the engine says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Output {
    /// To the caller.
    pub reply: Reply,
    /// To the host, in this order.
    pub effects: Vec<Effect>,
    /// Whether the state must be stored.
    pub changed: bool,
}

/// The answer to an input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Reply {
    /// Decisions for a page or a call.
    Decisions(Page),
    /// A slice.
    Slice(Slice),
    /// The consent as it stands (after a change, as it stands now).
    Consent(ConsentView),
    /// What happened to each event.
    Events {
        /// How many were new and kept.
        kept: u32,
        /// How many were known.
        duplicate: u32,
        /// How many were dropped, by reason code.
        dropped: BTreeMap<String, u32>,
    },
    /// A login's outcome.
    LoggedIn {
        /// The person's object.
        person: ProfileName,
        /// Whether the device's history came along.
        attached: bool,
        /// Why nothing was stored, where nothing was.
        refused: Option<String>,
    },
    /// A logout's outcome: the choices that the browser's next device id carries on.
    LoggedOut {
        /// The device's own choices.
        consent: crate::consent::Consent,
    },
    /// What a device hands over.
    HandedOver {
        /// The history, where consent allowed it when it was captured and does now.
        history: Option<History>,
        /// The device's own choices.
        consent: crate::consent::Consent,
    },
    /// Ask this object instead.
    Moved(ProfileName),
    /// The device is not (or no longer) linked to this person.
    NotLinked,
    /// Erased: expire the cookie, keep nothing.
    Erased,
    /// For the admin.
    Explained(Box<Explained>),
    /// For the data subject.
    Exported(Box<Exported>),
    /// Done.
    Done,
    /// Changes were taken; how many changed anything.
    Applied {
        /// How many changes were new.
        changed: u32,
    },
    /// Not done; the state is as it was.
    Refused(Error),
}

/// Decisions, and what the page around them must know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Page {
    /// One per placement asked for, in that order.
    pub decisions: Vec<Decision>,
    /// How sure we are of who it is.
    pub assurance: Assurance,
    /// The consent as it stands.
    pub consent: ConsentView,
    /// The workspace's version.
    pub workspace: String,
}

/// Consent as a page may see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConsentView {
    /// What may be done now, and why.
    pub effective: Effective,
    /// Whether the visitor ever chose.
    pub made: bool,
}

/// A device in a summary.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceView {
    /// Linked when.
    pub linked: Timestamp,
    /// Logged out when.
    pub logged_out: Option<Timestamp>,
    /// Whether history came along.
    pub attached: bool,
}

/// What is known, for the admin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProfileView {
    /// The object's name.
    pub profile: Option<ProfileName>,
    /// How sure we are.
    pub assurance: Assurance,
    /// Traits that are set.
    pub traits: BTreeMap<String, Value>,
    /// Computed traits with names.
    pub computed: BTreeMap<String, Value>,
    /// Audiences it is in.
    pub audiences: Vec<String>,
    /// Devices, without their ids.
    pub devices: Vec<DeviceView>,
    /// Claims that nobody proved.
    pub claims: Vec<String>,
    /// Consent.
    pub consent: ConsentView,
}

/// What is known, what is decided, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Explained {
    /// What is known.
    pub profile: ProfileView,
    /// Decisions, each with its trace.
    pub decisions: Vec<Decision>,
    /// Of each offer in the traces whose condition does not hold: where it fails first.
    pub conditions: BTreeMap<String, FailedCondition>,
    /// The workspace's version.
    pub workspace: String,
}

/// The part of a condition that does not hold, for the admin alone: it names values.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FailedCondition {
    /// Where it stands in the condition, in bytes: the offset and the length.
    pub place: Option<(u32, u32)>,
    /// What it reads, and what that holds; None is nothing.
    pub reads: BTreeMap<String, Option<Value>>,
}

/// Everything that an object holds of its subject. Receipts and queued facts are the host's to add.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Exported {
    /// The object's name.
    pub profile: Option<ProfileName>,
    /// Erased when.
    pub erased: Option<Timestamp>,
    /// The profile.
    pub live: Option<Profile>,
}
