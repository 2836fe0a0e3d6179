//! Events: each counts once, and only for what consent allows when it arrives.

use alloc::borrow::ToOwned;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::audiences;
use super::exposing::{self, Refusal};
use super::reading::stand;
use super::{Answer, Body, Effect, Reply, Speaker, State, Turn};
use crate::consent::{Effective, Measure, Permit, Personalise, Profiling, Store};
use crate::decide::{self, Request, Unit};
use crate::error::Error;
use crate::event::{Event, EventKind};
use crate::ids::{DeviceId, EventKey, ProfileName};
use crate::limits;
use crate::offer::Offer;
use crate::profile::{Assignment, Contact, Entry, Profile, Seen, Source, Stamp, metric_key};
use crate::wire::Fact;
use crate::workspace::Workspace;

/// How long a key is remembered: as long as an event may still count, and a day of clock trouble.
const REMEMBER_MS: i64 = limits::EVENT_AGE_MS + limits::DAY;

/// The contact that an event reports, by the names of Segment's specification.
fn contact(event: &Event) -> Option<Contact> {
    match (event.kind, event.name.as_str()) {
        (EventKind::Track, "Promotion Viewed") => Some(Contact::Impression),
        (EventKind::Track, "Promotion Clicked") => Some(Contact::Click),
        (EventKind::Track, "Promotion Dismissed") => Some(Contact::Dismissal),
        _ => None,
    }
}

pub(super) fn take(
    state: &mut State,
    turn: &mut Turn<'_>,
    speaker: &Speaker,
    events: Vec<Event>,
    known: &BTreeSet<EventKey>,
) -> Answer {
    if events.len() > limits::BATCH_EVENTS {
        return Err(Error::new(
            "too_many_events",
            format!("one batch holds at most {} events", limits::BATCH_EVENTS),
            "batch",
        ));
    }
    events.iter().try_for_each(Event::check)?;
    let (effective, is_person) = match stand(state, turn.workspace, turn.now, speaker) {
        Ok(standing) => (standing.effective, standing.link.is_some()),
        Err(reply) => return Ok(reply),
    };
    let (Some(device), Some(name)) = (speaker.device, speaker.profile.clone()) else {
        return Ok(dropped(&events));
    };
    let Some(store) = effective.permit::<Store>() else { return Ok(dropped(&events)) };
    let mut tally = Tally::default();
    let mut fresh = BTreeSet::new();
    for mut event in events {
        let mut key = event.key();
        if known.contains(&key) || !fresh.insert(key) {
            tally.duplicate = tally.duplicate.saturating_add(1);
            continue;
        }
        if audiences::is_ours(&event) {
            tally.drop("reserved_event");
            continue;
        }
        let exposed = exposing::experiment(turn, &event);
        let Some(permits) = Permits::of(&effective, &event, exposed.is_some()) else {
            tally.drop("no_consent");
            continue;
        };
        if state.outbox_bytes > limits::OUTBOX_BYTES as u64 {
            return Err(Error::new(
                "outbox_full",
                "the central store has not answered for long; try again later",
                "",
            ));
        }
        if let (Some(index), Body::Live(profile)) = (exposed, &mut state.body) {
            let unit = name.as_str();
            match exposing::take(profile, turn, permits, &mut event, index, device, unit) {
                Ok(()) => key = event.key(),
                Err(refusal) => {
                    tally.refuse(refusal);
                    continue;
                }
            }
        }
        state.name.get_or_insert_with(|| name.clone());
        fold(state, turn, store, permits, &event, key, device, &name, is_person);
        turn.effects.push(Effect::Remember(key, turn.now.plus_ms(REMEMBER_MS)));
        turn.queue(state, Fact::Event { device, event })?;
        tally.kept = tally.kept.saturating_add(1);
    }
    Ok(tally.reply())
}

/// What may be done with one event: profiling, or, for contacts with offers and for exposures,
/// measuring.
#[derive(Clone, Copy)]
pub(super) struct Permits<'e> {
    pub profiling: Option<Permit<'e, Profiling>>,
    pub personalise: Option<Permit<'e, Personalise>>,
}

impl<'e> Permits<'e> {
    fn of(effective: &'e Effective, event: &Event, is_exposure: bool) -> Option<Self> {
        let profiling = effective.permit::<Profiling>();
        let measures = is_exposure || contact(event).is_some();
        let allowed = match measures {
            true => effective.permit::<Measure>().is_some(),
            false => profiling.is_some(),
        };
        allowed.then_some(Self { profiling, personalise: effective.permit::<Personalise>() })
    }
}

#[expect(clippy::too_many_arguments, reason = "one event in its whole setting")]
fn fold(
    state: &mut State,
    turn: &Turn<'_>,
    _store: Permit<'_, Store>,
    permits: Permits<'_>,
    event: &Event,
    key: EventKey,
    device: DeviceId,
    node: &ProfileName,
    is_person: bool,
) {
    let Body::Live(profile) = &mut state.body else { return };
    let Some(permit) = permits.profiling else { return };
    profile.touch_session(permit, device, turn.now);
    if event.kind == EventKind::Identify {
        claim(profile, turn.workspace, permit, event, is_person);
    }
    // The key is remembered for REMEMBER_MS only; what is older is the central store's to count.
    if turn.now.since_ms(event.time) > limits::EVENT_AGE_MS {
        return;
    }
    if let Some(contact) = contact(event)
        && let Some(crate::rule::Value::String(offer)) = event.properties.get("promotion_id")
        && let Some(known) = turn.workspace.offer(offer)
    {
        if contact == Contact::Impression {
            assign(profile, turn, permits, known, node.as_str());
        }
        profile.note_contact(permit, offer, Seen { time: event.time, contact, device, key });
    }
    count(profile, turn.workspace, permit, event, key, node.as_str());
}

/// Whoever has seen a variant keeps it: across logins, and when the experiment's weights change.
fn assign(profile: &mut Profile, turn: &Turn<'_>, permits: Permits<'_>, offer: &Offer, unit: &str) {
    let (Some(part), Some(personalise)) = (&offer.experiment, permits.personalise) else { return };
    let Some(experiment) = turn.workspace.experiment(part.experiment) else { return };
    if profile.assignments.contains_key(&experiment.name) {
        return;
    }
    let request = Request::default();
    let facts = decide::facts(turn.workspace, Some(personalise), profile, &request, turn.now);
    let known = decide::settled(turn.workspace, &profile.assignments);
    let unit = Unit { name: Some(unit), known: &known };
    let variant = decide::variant(turn.workspace, &facts, unit, part.experiment);
    let variant = variant.and_then(|at| experiment.variants.get(usize::from(at)).cloned());
    if let (Some(variant), Some(permit)) = (variant, permits.profiling) {
        let to = Assignment { time: turn.now, variant, exposed: None };
        profile.assign(permit, &experiment.name, to);
    }
}

/// Adds an event to every metric of the workspace that counts it.
pub(crate) fn count(
    profile: &mut Profile,
    workspace: &Workspace,
    permit: Permit<'_, Profiling>,
    event: &Event,
    key: EventKey,
    node: &str,
) {
    let Some(name) = event.kind.metric_name(&event.name) else { return };
    let mut metrics: Vec<&str> = workspace
        .computed
        .iter()
        .flat_map(|decl| decl.metrics())
        .filter(|(event, _)| *event == name)
        .map(|(_, property)| property)
        .collect();
    metrics.sort_unstable();
    metrics.dedup();
    for property in metrics {
        let value = event.properties.get(property).cloned();
        let entry = Entry { time: event.time, key, value };
        profile.count(permit, node, metric_key(name, property), entry);
    }
}

/// Claims: kept on the profile, but a person's traits are never a visitor's to set.
fn claim(
    profile: &mut Profile,
    workspace: &Workspace,
    permit: Permit<'_, Profiling>,
    event: &Event,
    is_person: bool,
) {
    if let Some(user) = &event.user_id
        && (profile.claims.contains_key(user) || profile.claims.len() < limits::CLAIMS)
    {
        let at = profile.claims.entry(user.clone()).or_insert(event.time);
        *at = event.time.max(*at);
    }
    if is_person {
        return;
    }
    for (name, value) in &event.properties {
        if workspace.trait_decl(name).is_some() {
            let stamp = Stamp { time: event.time, counter: 0, source: Source::Claimed };
            profile.set_trait(permit, name, Some(value.clone()), stamp);
        }
    }
}

#[derive(Default)]
struct Tally {
    kept: u32,
    duplicate: u32,
    dropped: BTreeMap<String, u32>,
}

impl Tally {
    fn refuse(&mut self, refusal: Refusal) {
        match refusal {
            Refusal::Known => self.duplicate = self.duplicate.saturating_add(1),
            Refusal::Dropped(code) => self.drop(code),
        }
    }

    fn drop(&mut self, code: &str) {
        let count = self.dropped.entry(code.to_owned()).or_default();
        *count = count.saturating_add(1);
    }

    fn reply(self) -> Reply {
        Reply::Events { kept: self.kept, duplicate: self.duplicate, dropped: self.dropped }
    }
}

fn dropped(events: &[Event]) -> Reply {
    let mut tally = Tally::default();
    for _ in events {
        tally.drop("no_consent");
    }
    tally.reply()
}
