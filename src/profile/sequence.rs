//! Sequences: events in an order, each within a time of the one before, and events that stayed away
//! for a time. Nothing of them is stored: they are read from the series, so that late events,
//! merges and repeats come out the same in every order. It must never read a clock.
//!
//! A step is reached at a point in time: the first by each of its events; one that follows, by each
//! of its events within its time of a point at which the step before was reached; one that waits
//! for an absence, once its time is over without such an event. A sequence is complete where its
//! last step is reached.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::series::number;
use super::{Profile, metric_key};
use crate::rule::Value;
use crate::time::Timestamp;

/// One step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Which events.
    pub event: String,
    /// Which of its properties is looked at; empty where none is.
    pub property: String,
    /// What the property must be, where one is looked at.
    pub equals: Option<Value>,
    /// Whether the events must stay away.
    pub absent: bool,
    /// Within how long after the step before; None is ever.
    pub within_ms: Option<i64>,
}

/// Steps, and how long having done them counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sequence {
    /// At least two, the first an event.
    pub steps: Vec<Step>,
    /// How long it holds once complete; None is for good.
    pub for_ms: Option<i64>,
    /// The event that ends it at once.
    pub until: Option<String>,
}

impl Sequence {
    /// The metrics that it reads: event and property.
    pub fn metrics(&self) -> impl Iterator<Item = (&str, &str)> {
        let steps = self.steps.iter().map(|step| (step.event.as_str(), step.property.as_str()));
        steps.chain(self.until.iter().map(|event| (event.as_str(), "")))
    }

    /// Whether it is complete now, and neither over nor ended.
    pub fn holds(&self, profile: &Profile, now: Timestamp) -> bool {
        let complete = self.complete(profile, now);
        let Some(last) = complete.into_iter().rev().find(|time| *time <= now) else { return false };
        self.for_ms.is_none_or(|for_ms| now.since_ms(last) < for_ms)
            && !self.ends(profile, now).into_iter().any(|end| end > last)
    }

    /// The points in time after now at which it changes unless something happens.
    pub fn turns(&self, profile: &Profile, now: Timestamp) -> Vec<Timestamp> {
        let complete = self.complete(profile, now);
        let over = self.for_ms.into_iter();
        let over = over.flat_map(|for_ms| complete.iter().map(move |time| time.plus_ms(for_ms)));
        let mut turns: Vec<Timestamp> = over.chain(complete.iter().copied()).collect();
        turns.retain(|time| *time > now);
        turns
    }

    /// When it was complete, ascending; what lies ahead stands where nothing else happens.
    fn complete(&self, profile: &Profile, now: Timestamp) -> Vec<Timestamp> {
        let mut steps = self.steps.iter();
        let Some(first) = steps.next() else { return Vec::new() };
        let mut reached = first.times(profile, now);
        for step in steps {
            if reached.is_empty() {
                break;
            }
            reached = step.after(&reached, &step.times(profile, now));
        }
        reached
    }

    fn ends(&self, profile: &Profile, now: Timestamp) -> Vec<Timestamp> {
        self.until.as_ref().map_or_else(Vec::new, |event| times(profile, event, "", None, now))
    }
}

impl Step {
    fn times(&self, profile: &Profile, now: Timestamp) -> Vec<Timestamp> {
        times(profile, &self.event, &self.property, self.equals.as_ref(), now)
    }

    /// The points at which this step is reached, from those of the step before and its own events;
    /// all ascending.
    fn after(&self, before: &[Timestamp], events: &[Timestamp]) -> Vec<Timestamp> {
        if self.absent {
            let within_ms = self.within_ms.unwrap_or(0);
            let spared = before.iter().filter(|from| {
                let next = events.get(events.partition_point(|event| event <= from));
                next.is_none_or(|next| next.since_ms(**from) > within_ms)
            });
            return spared.map(|from| from.plus_ms(within_ms)).collect();
        }
        let follows = |event: &&Timestamp| {
            let at = before.partition_point(|from| from < event).checked_sub(1);
            let from = at.and_then(|at| before.get(at));
            from.is_some_and(|from| self.within_ms.is_none_or(|ms| event.since_ms(*from) <= ms))
        };
        events.iter().filter(follows).copied().collect()
    }
}

/// When such events happened up to now, ascending, whichever node counted them.
fn times(
    profile: &Profile,
    event: &str,
    property: &str,
    equals: Option<&Value>,
    now: Timestamp,
) -> Vec<Timestamp> {
    let metric = metric_key(event, property);
    let series = profile.series.values().filter_map(|metrics| metrics.get(&metric));
    let entries = series.flat_map(|series| series.entries(now));
    let fits = |value: Option<&Value>| equals.is_none_or(|wanted| value.is_some_and(is(wanted)));
    let mut times: Vec<Timestamp> =
        entries.filter(|entry| fits(entry.value.as_ref())).map(|entry| entry.time).collect();
    times.sort_unstable();
    times.dedup();
    times
}

/// Equal as conditions see it: whole numbers and doubles are numbers.
fn is(wanted: &Value) -> impl Fn(&Value) -> bool {
    move |value| match (number(wanted), number(value)) {
        (Some(wanted), Some(value)) => wanted.total_cmp(&value).is_eq(),
        _ => wanted == value,
    }
}
