//! Exposures: that a profile met a variant of an experiment, once per session. It must never take
//! the page's word for which variant: the assignment says so, and another one is dropped.
//!
//! The event's id is made of the device, the session's start and the experiment, so that whatever
//! is sent or delivered twice counts once, here and in the central store.

use alloc::string::String;

use super::Turn;
use super::events::Permits;
use crate::event::{Event, EventKind};
use crate::ids::{DeviceId, EventKey, hex};
use crate::profile::{Assignment, Profile};
use crate::rule::Value;

/// The name by Segment's specification ("A/B testing").
const NAME: &str = "Experiment Viewed";

/// Why an exposure is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It was in this session already.
    Known,
    /// For a reason with this code.
    Dropped(&'static str),
}

/// The experiment that an event says was met, by index; None for every other event, also for one of
/// an experiment that is not ours.
pub(super) fn experiment(turn: &Turn<'_>, event: &Event) -> Option<u16> {
    if event.kind != EventKind::Track || event.name != NAME {
        return None;
    }
    turn.workspace.experiment_at(text(event, "experiment_id")?)
}

fn text<'e>(event: &'e Event, name: &str) -> Option<&'e str> {
    match event.properties.get(name) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    }
}

/// Checks an exposure, notes it and makes it the event that is kept. `unit` is what assignments
/// hash: the profile's name.
pub(super) fn take(
    profile: &mut Profile,
    turn: &Turn<'_>,
    permits: Permits<'_>,
    event: &mut Event,
    index: u16,
    device: DeviceId,
    unit: &str,
) -> Result<(), Refusal> {
    let no_consent = Refusal::Dropped("no_consent");
    // An assignment is part of the profile and is made to personalise.
    let (Some(permit), Some(_)) = (permits.profiling, permits.personalise) else {
        return Err(no_consent);
    };
    let Some(experiment) = turn.workspace.experiment(index) else { return Err(no_consent) };
    let known = profile.assignments.get(&experiment.name);
    let stands = known.filter(|one| experiment.variant_at(&one.variant).is_some()).cloned();
    let assigned = match &stands {
        Some(one) => Some(one.variant.clone()),
        // Whether its condition held was decided with the page's request, which is gone by now.
        None => experiment
            .variant_of(unit)
            .and_then(|at| experiment.variants.get(usize::from(at)).cloned()),
    };
    let claimed = text(event, "variation_id");
    let Some(variant) = assigned.filter(|assigned| claimed == Some(assigned)) else {
        return Err(Refusal::Dropped("other_variant"));
    };
    profile.touch_session(permit, device, turn.now);
    let start = profile.session_start(device, turn.now).unwrap_or(turn.now);
    if stands.as_ref().is_some_and(|one| one.exposed == Some(start)) {
        return Err(Refusal::Known);
    }
    let fresh = Assignment { time: turn.now, variant: variant.clone(), exposed: None };
    let kept = stands.unwrap_or(fresh);
    profile.expose(permit, &experiment.name, Assignment { exposed: Some(start), ..kept });
    event.id = id(device, start, &experiment.name);
    for (name, value) in [("experiment_name", &experiment.name), ("variation_name", &variant)] {
        event.properties.insert(String::from(name), Value::String(value.clone()));
    }
    Ok(())
}

fn id(device: DeviceId, start: crate::time::Timestamp, experiment: &str) -> String {
    let mut text = hex(&device.0);
    text.push('\u{1f}');
    text.push_str(&hex(&start.0.to_be_bytes()));
    text.push('\u{1f}');
    text.push_str(experiment);
    let mut id = String::from("exposure-");
    id.push_str(&hex(&EventKey::of(&text).0));
    id
}
