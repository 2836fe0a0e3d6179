//! Entries and exits of audiences: after every call that may change who is in one, and when time
//! alone does. They are told as events of Segment's names, so that whoever reads events reads them.
//! It must never decide who is in an audience: conditions do.
//!
//! INVARIANT: an entry or exit is queued in the transaction that stores that it was noticed.

use alloc::borrow::ToOwned;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::ahead::Ahead;
use super::consenting::at_rest;
use super::reading::stand;
use super::{Body, Input, Speaker, State, Turn};
use crate::consent::{Effective, Permit, Profiling, Store};
use crate::decide;
use crate::error::Error;
use crate::event::{Event, EventKind};
use crate::ids::{DeviceId, ProfileName};
use crate::limits;
use crate::profile::Profile;
use crate::rule::{Scratch, Truth, Value};
use crate::time::Timestamp;
use crate::wire::Fact;
use crate::workspace::{Audience, Workspace};

/// The events' names (Segment's "Spec: Engage", the same two).
const ENTERED: &str = "Audience Entered";
const EXITED: &str = "Audience Exited";

/// Whether an event is the engine's own to make.
pub(super) fn is_ours(event: &Event) -> bool {
    event.kind == EventKind::Track && (event.name == ENTERED || event.name == EXITED)
}

/// What made somebody enter or leave.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reason {
    Event,
    Consent,
    Login,
    Change,
    Time,
    Workspace,
    Moved,
}

impl Reason {
    fn word(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Consent => "consent",
            Self::Login => "login",
            Self::Change => "change",
            Self::Time => "time",
            Self::Workspace => "workspace",
            Self::Moved => "moved",
        }
    }
}

/// What is known of a call once it is over.
pub(super) struct Call {
    reason: Reason,
    speaker: Option<Speaker>,
    /// The names of its events.
    names: BTreeSet<String>,
}

impl Call {
    /// None of a call after which nobody's audiences are looked at.
    pub fn of(state: &State, workspace: &Workspace, input: &Input) -> Option<Self> {
        let call = |reason, speaker: Option<&Speaker>| {
            Some(Self { reason, speaker: speaker.cloned(), names: BTreeSet::new() })
        };
        let is_in_any = match &state.body {
            Body::Live(profile) => !profile.memberships.since.is_empty(),
            Body::Moved(_) | Body::Erased(_) => false,
        };
        if !is_in_any && !workspace.audiences.iter().any(|audience| audience.kept) {
            return None;
        }
        match input {
            Input::Events { speaker, events, .. } => {
                let names = events.iter().map(|event| event.name.as_str());
                let names = names.filter(|name| !name.is_empty()).take(limits::LIST_ENTRIES);
                let names = names.map(str::to_owned).collect();
                Some(Self { reason: Reason::Event, speaker: Some(speaker.clone()), names })
            }
            Input::Choose { speaker, .. } => call(Reason::Consent, Some(speaker)),
            Input::Login(login) => call(Reason::Login, Some(&login.speaker)),
            Input::Apply { .. } => call(Reason::Change, None),
            Input::Wake => call(Reason::Time, None),
            _ => None,
        }
    }
}

/// Who is looked at, on whose device, and what may be done.
struct Subject {
    effective: Effective,
    device: DeviceId,
    name: ProfileName,
}

/// The subject of a call without a speaker: as the device that spoke last left it.
fn unattended(state: &State, turn: &Turn<'_>) -> Option<Subject> {
    let (Body::Live(profile), Some(name)) = (&state.body, state.name.clone()) else { return None };
    let kept = &profile.memberships;
    let of = |person, device| Effective::of(person, device, &kept.signals, &turn.workspace.consent);
    let speaks =
        |device: &DeviceId| profile.devices.get(device).filter(|link| link.logged_out.is_none());
    let (effective, device) = if !name.is_person() {
        (of(None, Some(&profile.consent)), kept.device?)
    } else if let Some((device, link)) = kept.device.and_then(|one| Some((one, speaks(&one)?))) {
        (of(Some(&profile.consent), Some(&link.consent)), device)
    } else {
        let device = kept.device.or_else(|| profile.devices.keys().next().copied())?;
        (at_rest(profile, turn), device)
    };
    Some(Subject { effective, device, name })
}

/// Before a call: what time or a new workspace has changed since the last one.
pub(super) fn catch_up(state: &mut State, turn: &mut Turn<'_>) -> Result<(), Error> {
    let Body::Live(profile) = &state.body else { return Ok(()) };
    let kept = &profile.memberships;
    if kept.workspace.is_empty() {
        return Ok(());
    }
    let reason = if kept.wake.is_some_and(|wake| wake <= turn.now) {
        Reason::Time
    } else if kept.workspace != turn.workspace.version {
        Reason::Workspace
    } else {
        return Ok(());
    };
    let subject = unattended(state, turn);
    look(state, turn, subject, reason, &BTreeSet::new())
}

/// After a call.
pub(super) fn follow(state: &mut State, turn: &mut Turn<'_>, call: &Call) -> Result<(), Error> {
    let Some(speaker) = &call.speaker else {
        let subject = unattended(state, turn);
        return look(state, turn, subject, call.reason, &call.names);
    };
    let Ok(standing) = stand(state, turn.workspace, turn.now, speaker) else { return Ok(()) };
    let effective = standing.effective;
    let (Some(device), Some(name)) = (speaker.device, state.name.clone()) else { return Ok(()) };
    if let (Some(_), Body::Live(profile)) = (effective.permit::<Store>(), &mut state.body) {
        // Also what denies profiling: it holds until the browser says something else.
        profile.memberships.device = Some(device);
        profile.memberships.signals.clone_from(&speaker.signals);
    }
    look(state, turn, Some(Subject { effective, device, name }), call.reason, &call.names)
}

/// Before a device's profile moves into a person's: it leaves what it was in.
pub(super) fn leave(state: &mut State, turn: &mut Turn<'_>) -> Result<(), Error> {
    let Some(subject) = unattended(state, turn) else { return Ok(()) };
    if subject.may_be_profiled().is_none() {
        return Ok(());
    }
    let Body::Live(profile) = &mut state.body else { return Ok(()) };
    let left = core::mem::take(&mut profile.memberships.since);
    for name in left.keys() {
        tell(state, turn, &subject, EXITED, name, Reason::Moved, &BTreeSet::new())?;
    }
    Ok(())
}

impl Subject {
    fn may_be_profiled(&self) -> Option<Permit<'_, Profiling>> {
        self.effective.permit::<Store>()?;
        self.effective.permit::<Profiling>()
    }
}

/// Looks who is in what, tells what changed, and plans when to look again.
fn look(
    state: &mut State,
    turn: &mut Turn<'_>,
    subject: Option<Subject>,
    reason: Reason,
    names: &BTreeSet<String>,
) -> Result<(), Error> {
    let Body::Live(profile) = &mut state.body else { return Ok(()) };
    let permitted = subject.as_ref().and_then(|one| Some((one, one.may_be_profiled()?)));
    let Some((subject, permit)) = permitted else {
        // Nobody is looked at without consent, now or later.
        profile.memberships.wake = None;
        return Ok(());
    };
    let workspace = turn.workspace;
    if state.outbox_bytes > limits::OUTBOX_BYTES as u64 {
        profile.memberships.wake = Some(turn.now.plus_ms(limits::RETRY_LAST_MS));
        return Ok(());
    }
    let sight = Sight { workspace, permit, profile };
    let found = sight.members(turn.now);
    let known = &profile.memberships.since;
    let left = known.keys().filter(|name| !found.contains(name.as_str()));
    let joined = found.iter().filter(|name| !known.contains_key(**name));
    let moves = left.map(|name| (EXITED, name.clone()));
    let moves = moves.chain(joined.map(|name| (ENTERED, (*name).to_owned())));
    let mut moves: Vec<(&str, String)> = moves.collect();
    let rest = moves.len() > limits::AUDIENCE_MOVES;
    moves.truncate(limits::AUDIENCE_MOVES);
    let wake = if rest { Some(turn.now) } else { sight.next_change(&found, turn.now) };
    let kept = &mut profile.memberships;
    for (event, name) in &moves {
        match *event {
            ENTERED => kept.since.insert(name.clone(), turn.now),
            _ => kept.since.remove(name),
        };
    }
    kept.wake = wake;
    kept.workspace.clone_from(&workspace.version);
    for (event, name) in &moves {
        tell(state, turn, subject, event, name, reason, names)?;
    }
    Ok(())
}

/// Queues an entry or exit as an event. Its payload is left to the central store, which writes the
/// properties out.
fn tell(
    state: &mut State,
    turn: &mut Turn<'_>,
    subject: &Subject,
    event: &str,
    audience: &str,
    reason: Reason,
    names: &BTreeSet<String>,
) -> Result<(), Error> {
    let mut properties = BTreeMap::from([
        ("audience_key".to_owned(), Value::String(audience.to_owned())),
        ("reason".to_owned(), Value::String(reason.word().to_owned())),
    ]);
    if !names.is_empty() {
        let names = names.iter().cloned().map(Value::String).collect();
        properties.insert("events".to_owned(), Value::List(names));
    }
    let event = Event {
        // Unique, since a seq is never used again.
        id: format!("audience-{}-{}", subject.name, state.last_seq.saturating_add(1)),
        kind: EventKind::Track,
        name: event.to_owned(),
        time: turn.now,
        user_id: None,
        properties,
        payload: String::new(),
    };
    turn.queue(state, Fact::Event { device: subject.device, event })
}

/// A profile that may be profiled, as its audiences see it.
struct Sight<'a> {
    workspace: &'a Workspace,
    permit: Permit<'a, Profiling>,
    profile: &'a Profile,
}

impl<'a> Sight<'a> {
    fn kept(&self) -> impl Iterator<Item = &'a Audience> {
        self.workspace.audiences.iter().filter(|audience| audience.kept)
    }

    /// The names of those among some audiences that the profile is in at a time.
    fn among(&self, some: impl Iterator<Item = &'a Audience>, at: Timestamp) -> BTreeSet<&'a str> {
        let Self { workspace, permit, profile } = *self;
        let facts = decide::audience_facts(workspace, permit, profile, at);
        let mut scratch = Scratch::default();
        scratch.begin();
        let mut is_in = |audience: &&Audience| {
            workspace.rules.truth(audience.rule, &facts, &mut scratch) == Truth::Match
        };
        some.filter(|one| is_in(one)).map(|audience| audience.name.as_str()).collect()
    }

    fn members(&self, now: Timestamp) -> BTreeSet<&'a str> {
        self.among(self.kept(), now)
    }

    /// When time alone changes who is in what, or else when to look for that again.
    fn next_change(&self, members: &BTreeSet<&str>, now: Timestamp) -> Option<Timestamp> {
        let timed = || self.kept().filter(|audience| audience.timed);
        timed().next()?;
        let now_in: BTreeSet<&str> =
            timed().map(|one| one.name.as_str()).filter(|name| members.contains(name)).collect();
        let ahead = Ahead::of(self.workspace, self.profile, now);
        let mut looked = None;
        for at in ahead.times.iter().take(limits::AUDIENCE_LOOKS) {
            looked = Some(*at);
            if self.among(timed(), *at) != now_in {
                return looked;
            }
        }
        let all = ahead.times.len() <= limits::AUDIENCE_LOOKS;
        if all { ahead.until } else { looked }
    }
}
