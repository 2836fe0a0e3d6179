//! The days on which something happened, as runs of consecutive days, for streaks. A day is one of
//! UTC: a profile has no time zone of its own. It must never read a clock.
//!
//! INVARIANT: joining is a union of days that keeps the latest runs.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::limits;
use crate::time::Timestamp;

/// Runs of days since 1970, first and last, ascending, none touching another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Days(Vec<(i64, i64)>);

fn day_of(time: Timestamp) -> i64 {
    time.0.div_euclid(limits::DAY)
}

impl Days {
    /// Takes a day in. Taking it twice changes nothing.
    pub fn add(&mut self, time: Timestamp) {
        let day = day_of(time);
        self.take(day, day);
    }

    fn take(&mut self, mut first: i64, mut last: i64) {
        self.0.retain(|(from, to)| {
            let apart = *to < first.saturating_sub(1) || *from > last.saturating_add(1);
            if !apart {
                first = first.min(*from);
                last = last.max(*to);
            }
            apart
        });
        let at = self.0.partition_point(|(from, _)| *from < first);
        self.0.insert(at, (first, last));
        if self.0.len() > limits::STREAK_RUNS {
            self.0.remove(0);
        }
    }

    /// Takes in what another one holds.
    pub fn join(&mut self, other: &Self) {
        other.0.iter().for_each(|(first, last)| self.take(*first, *last));
    }

    /// How many days in a row there were up to today, or up to yesterday while today is young;
    /// days before the one that `from` falls on do not count.
    pub fn streak(&self, from: Option<Timestamp>, now: Timestamp) -> i64 {
        let today = day_of(now);
        let Some((first, last)) = self.0.iter().rev().find(|(first, _)| *first <= today) else {
            return 0;
        };
        if *last < today.saturating_sub(1) {
            return 0;
        }
        let first = from.map_or(*first, |from| day_of(from).max(*first));
        (*last).min(today).saturating_sub(first).saturating_add(1).max(0)
    }
}
