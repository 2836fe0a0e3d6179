//! Purposes, consent records, the effective consent, and the permits that only this module makes.
//! It must never know what a permit is used for, and it reads no clock: `now` is an argument.
//!
//! INVARIANT: absent means the region's default, and unreadable means no. A [`Permit`] is made in
//! one place, [`Effective::permit`], and cannot outlive the answer that it was read from.

pub mod bits;
pub mod gpp;
#[cfg(feature = "json")]
pub mod json;
pub mod mapping;
pub mod region;
pub mod signals;
pub mod tcf;
pub mod usp;
pub mod vendors;

use alloc::string::String;
use alloc::vec::Vec;
use core::marker::PhantomData;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

pub use region::{Regime, Region, RegionRule};

/// What data is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Keep a device id and what belongs to it, here and in the browser.
    Store,
    /// Build a profile: traits, counters, audiences, links.
    Profile,
    /// Choose what the visitor sees from the profile.
    Personalise,
    /// Count impressions and clicks.
    Measure,
    /// Hand data to somebody else.
    Share,
}

impl Purpose {
    /// Every purpose, in the order in which they are written.
    pub const ALL: [Self; 5] =
        [Self::Store, Self::Profile, Self::Personalise, Self::Measure, Self::Share];

    /// The word for it in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::Profile => "profile",
            Self::Personalise => "personalise",
            Self::Measure => "measure",
            Self::Share => "share",
        }
    }

    /// The purpose of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.word() == word)
    }

    fn bit(self) -> u8 {
        match self {
            Self::Store => 1,
            Self::Profile => 2,
            Self::Personalise => 4,
            Self::Measure => 8,
            Self::Share => 16,
        }
    }
}

crate::pack::pack_words!(Purpose { Store, Profile, Personalise, Measure, Share });

/// A set of purposes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PurposeSet(u8);

impl crate::pack::Pack for PurposeSet {
    fn pack(&self, out: &mut Vec<u8>) {
        out.push(self.0);
    }

    fn unpack(from: &mut crate::pack::Reader<'_>) -> Self {
        Self(from.byte() & Self::ALL.0)
    }
}

impl PurposeSet {
    /// No purpose.
    pub const NONE: Self = Self(0);
    /// Every purpose.
    pub const ALL: Self = Self(31);

    /// This set and `purpose`.
    #[must_use]
    pub fn with(self, purpose: Purpose) -> Self {
        Self(self.0 | purpose.bit())
    }

    /// This set without `purpose`.
    #[must_use]
    pub fn without(self, purpose: Purpose) -> Self {
        Self(self.0 & !purpose.bit())
    }

    /// Whether `purpose` is in it.
    pub fn has(self, purpose: Purpose) -> bool {
        self.0 & purpose.bit() != 0
    }

    /// What is in either.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

/// What somebody chose for one purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// Yes.
    Grant,
    /// No, said before anything was granted.
    Deny,
    /// No, taken back: starts a new epoch.
    Withdrawn,
}

/// Why the law lets the purpose be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// The person agreed (GDPR Art. 6(1)(a)).
    Consent,
    /// A contract needs it (Art. 6(1)(b)).
    Contract,
    /// A legitimate interest that was weighed (Art. 6(1)(f)).
    LegitimateInterest,
}

/// One choice as it was made. Records become receipts; they are never changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// For what.
    pub purpose: Purpose,
    /// Which way.
    pub choice: Choice,
    /// The epoch that the chooser knew; a grant of an older epoch is dead.
    pub epoch: u32,
    /// When, on the edge's or the central store's clock.
    pub time: Timestamp,
    /// The legal basis.
    pub basis: Basis,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Register {
    /// Counts withdrawals; joined by maximum, so that it never falls.
    epoch: u32,
    /// The greatest (epoch, time) of a grant.
    granted: Option<(u32, Timestamp)>,
    /// The latest no.
    denied: Option<Timestamp>,
}

impl Register {
    fn join(self, other: Self) -> Self {
        Self {
            epoch: self.epoch.max(other.epoch),
            granted: self.granted.max(other.granted),
            denied: self.denied.max(other.denied),
        }
    }

    /// Some(true) for a living grant, Some(false) for a no, None where nobody said anything.
    fn answer(self) -> Option<bool> {
        match (self.granted, self.denied) {
            (None, None) if self.epoch == 0 => None,
            (Some((epoch, time)), denied) => {
                Some(epoch == self.epoch && denied.is_none_or(|no| time > no))
            }
            (None, _) => Some(false),
        }
    }
}

/// The consent of one subject (a person or a device), as a join of all its records.
///
/// INVARIANT: joining is commutative, associative and idempotent, since each part is a maximum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consent {
    store: Register,
    profile: Register,
    personalise: Register,
    measure: Register,
    share: Register,
}

impl Consent {
    fn register(&self, purpose: Purpose) -> Register {
        match purpose {
            Purpose::Store => self.store,
            Purpose::Profile => self.profile,
            Purpose::Personalise => self.personalise,
            Purpose::Measure => self.measure,
            Purpose::Share => self.share,
        }
    }

    fn register_mut(&mut self, purpose: Purpose) -> &mut Register {
        match purpose {
            Purpose::Store => &mut self.store,
            Purpose::Profile => &mut self.profile,
            Purpose::Personalise => &mut self.personalise,
            Purpose::Measure => &mut self.measure,
            Purpose::Share => &mut self.share,
        }
    }

    /// What was explicitly chosen for `purpose`: a living grant, a no, or nothing.
    pub fn choice(&self, purpose: Purpose) -> Option<bool> {
        self.register(purpose).answer()
    }

    /// When the choice that stands for `purpose` was made; None where nobody chose, or where only
    /// the number of withdrawals is known.
    pub fn since(&self, purpose: Purpose) -> Option<Timestamp> {
        let register = self.register(purpose);
        if register.answer()? { register.granted.map(|(_, time)| time) } else { register.denied }
    }

    /// Whether any explicit choice is known.
    pub fn is_made(&self) -> bool {
        Purpose::ALL.into_iter().any(|purpose| self.choice(purpose).is_some())
    }

    /// The epoch that the next record for `purpose` is made in.
    pub fn epoch(&self, purpose: Purpose) -> u32 {
        self.register(purpose).epoch
    }

    /// The record for a choice made now by somebody who knows this consent: a no after a living
    /// grant is a withdrawal and starts the next epoch. A record made in the same millisecond as a
    /// no comes later than it, or a change of mind would be lost.
    pub fn next_record(&self, purpose: Purpose, yes: bool, basis: Basis, now: Timestamp) -> Record {
        let register = self.register(purpose);
        let time = match (yes, register.denied) {
            (true, Some(no)) if no >= now => no.plus_ms(1),
            _ => now,
        };
        let time = match (yes, register.granted) {
            (false, Some((_, grant))) if grant > time => grant,
            _ => time,
        };
        let (choice, epoch) = if yes {
            (Choice::Grant, register.epoch)
        } else if register.granted.is_some() {
            (Choice::Withdrawn, register.epoch.saturating_add(1))
        } else {
            (Choice::Deny, register.epoch)
        };
        Record { purpose, choice, epoch, time, basis }
    }

    /// Takes a record in, whatever its age; an old one changes nothing.
    pub fn take(&mut self, record: &Record) {
        let other = match record.choice {
            Choice::Grant => Register {
                epoch: record.epoch,
                granted: Some((record.epoch, record.time)),
                denied: None,
            },
            Choice::Deny | Choice::Withdrawn => {
                Register { epoch: record.epoch, granted: None, denied: Some(record.time) }
            }
        };
        let register = self.register_mut(record.purpose);
        *register = register.join(other);
    }

    /// Takes over what a device chose before its visitor proved to be this person: a living grant
    /// that is later than the person's last no is the person's latest choice, so it is made again
    /// in the person's epoch. Joined alone it would count as older than any withdrawal.
    pub fn adopt(&mut self, device: &Self) {
        self.join(device);
        for purpose in Purpose::ALL {
            let own = self.register(purpose);
            let said = device.register(purpose);
            if let Some((epoch, time)) = said.granted
                && epoch == said.epoch
                && own.denied.is_none_or(|no| time > no)
            {
                self.register_mut(purpose).granted = own.granted.max(Some((own.epoch, time)));
            }
        }
    }

    /// Joins another consent of the same subject, or of one that merges into it.
    pub fn join(&mut self, other: &Self) {
        for purpose in Purpose::ALL {
            let joined = self.register(purpose).join(other.register(purpose));
            *self.register_mut(purpose) = joined;
        }
    }
}

/// What the browser and the network say at this moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Signals {
    /// Where the request comes from, as far as the edge knows.
    pub region: Region,
    /// `Sec-GPC: 1` or `navigator.globalPrivacyControl`.
    pub gpc: bool,
    /// Purposes that a consent string of the page denies, or leaves unreadable.
    pub denied: PurposeSet,
}

/// Why a purpose is allowed or not; stable words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// An explicit grant.
    Granted,
    /// The region's default, where nobody asked for anything else.
    AllowedByRegion,
    /// The region asks for a yes, and there is none.
    NoConsent,
    /// The person said no, or took it back.
    DeniedByPerson,
    /// This device said no, or took it back.
    DeniedByDevice,
    /// Global Privacy Control.
    DeniedByGpc,
    /// A consent string of the page.
    DeniedBySignal,
    /// The workspace does not use the purpose.
    DeniedByWorkspace,
    /// Nothing may be built on what may not be stored.
    NeedsStore,
    /// Nothing may be chosen from a profile that may not be built.
    NeedsProfile,
}

/// The workspace's part in consent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsentSettings {
    /// The version of the banner that the site shows.
    pub banner: String,
    /// Purposes that the workspace never uses.
    pub never: PurposeSet,
    /// Regions whose regime differs from the built-in table.
    pub regions: Vec<RegionRule>,
    /// How consent strings are read.
    pub signals: signals::SignalSettings,
}

/// What may be done now, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effective {
    allowed: PurposeSet,
    reasons: [Reason; 5],
}

impl Effective {
    /// effective(purpose) = AND over person, device, live signal and workspace. `person` is None
    /// for an unlinked device.
    pub fn of(
        person: Option<&Consent>,
        device: Option<&Consent>,
        signals: &Signals,
        settings: &ConsentSettings,
    ) -> Self {
        let regime = signals.region.regime(&settings.regions);
        let mut allowed = PurposeSet::NONE;
        let mut reasons = [Reason::NoConsent; 5];
        for (purpose, slot) in Purpose::ALL.into_iter().zip(reasons.iter_mut()) {
            let reason = reason(purpose, person, device, signals, settings, regime);
            let reason = match reason {
                Reason::Granted | Reason::AllowedByRegion => depends(purpose, allowed, reason),
                no => no,
            };
            if matches!(reason, Reason::Granted | Reason::AllowedByRegion) {
                allowed = allowed.with(purpose);
            }
            *slot = reason;
        }
        Self { allowed, reasons }
    }

    /// Nothing is allowed: the answer whenever something went wrong.
    pub fn nothing() -> Self {
        Self { allowed: PurposeSet::NONE, reasons: [Reason::NoConsent; 5] }
    }

    /// The allowed purposes.
    pub fn allowed(&self) -> PurposeSet {
        self.allowed
    }

    /// Each purpose with its reason.
    pub fn reasons(&self) -> impl Iterator<Item = (Purpose, Reason)> {
        Purpose::ALL.into_iter().zip(self.reasons)
    }

    /// The permit for `P`, where it is allowed.
    pub fn permit<P: Use>(&self) -> Option<Permit<'_, P>> {
        self.allowed
            .has(P::PURPOSE)
            .then_some(Permit { effective: PhantomData, purpose: PhantomData })
    }
}

fn depends(purpose: Purpose, allowed: PurposeSet, reason: Reason) -> Reason {
    match purpose {
        Purpose::Store => reason,
        _ if !allowed.has(Purpose::Store) => Reason::NeedsStore,
        Purpose::Personalise if !allowed.has(Purpose::Profile) => Reason::NeedsProfile,
        _ => reason,
    }
}

fn reason(
    purpose: Purpose,
    person: Option<&Consent>,
    device: Option<&Consent>,
    signals: &Signals,
    settings: &ConsentSettings,
    regime: Regime,
) -> Reason {
    let by_person = person.and_then(|consent| consent.choice(purpose));
    let by_device = device.and_then(|consent| consent.choice(purpose));
    if settings.never.has(purpose) {
        return Reason::DeniedByWorkspace;
    }
    if signals.denied.has(purpose) {
        return Reason::DeniedBySignal;
    }
    // GPC is an objection to selling and sharing (GPC specification, section 3; CCPA regulations,
    // section 7025). It also overrules what only a region's default would allow for offers.
    let explicit = by_person == Some(true) && by_device != Some(false) || by_device == Some(true);
    if signals.gpc && (purpose == Purpose::Share || purpose == Purpose::Personalise && !explicit) {
        return Reason::DeniedByGpc;
    }
    if by_person == Some(false) {
        return Reason::DeniedByPerson;
    }
    if by_device == Some(false) {
        return Reason::DeniedByDevice;
    }
    let default = regime == Regime::OptOut;
    let person_says = person.is_none_or(|_| by_person == Some(true) || default);
    let device_says = device.is_none_or(|_| by_device == Some(true) || default);
    match (person_says && device_says, explicit) {
        (true, true) => Reason::Granted,
        (true, false) if default => Reason::AllowedByRegion,
        _ => Reason::NoConsent,
    }
}

mod sealed {
    pub trait Sealed {}
}

/// A purpose as a type, for permits.
pub trait Use: sealed::Sealed {
    /// The purpose that it stands for.
    const PURPOSE: Purpose;
}

macro_rules! uses {
    ($($(#[$doc:meta])* $name:ident => $purpose:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name;
        impl sealed::Sealed for $name {}
        impl Use for $name {
            const PURPOSE: Purpose = Purpose::$purpose;
        }
    )*};
}

uses! {
    /// Permits storing.
    Store => Store;
    /// Permits profiling.
    Profiling => Profile;
    /// Permits personalising.
    Personalise => Personalise;
    /// Permits measuring.
    Measure => Measure;
    /// Permits sharing.
    Share => Share;
}

/// The right to act for purpose `P`, for as long as the effective consent that it came from is at
/// hand. Only [`Effective::permit`] makes one.
#[derive(Clone, Copy, Debug)]
pub struct Permit<'effective, P: Use> {
    effective: PhantomData<&'effective Effective>,
    purpose: PhantomData<P>,
}
