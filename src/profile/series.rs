//! The series behind computed traits: entries with their own times, bounded, and the aggregate that
//! older ones fold into. It must never read a clock; windows are given as times.
//!
//! INVARIANT: one node writes a series, others copy it; joining two copies loses nothing and counts
//! nothing twice.

use alloc::vec::Vec;
use core::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::days::Days;
use super::distinct::Distinct;
use crate::ids::EventKey;
use crate::limits;
use crate::rule::Value;
use crate::time::Timestamp;

/// One counted event. Ordered by time, then key, so that equal times have one order everywhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// When it happened.
    pub time: Timestamp,
    /// Which event.
    pub key: EventKey,
    /// The property's value, where the metric reads one.
    pub value: Option<Value>,
}

/// What remains of entries that are no longer kept one by one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Aggregate {
    /// How many.
    pub count: u64,
    /// Sum of the numbers among the values.
    pub sum: f64,
    /// The earliest time.
    pub first: Option<Timestamp>,
    /// The value at that time, where the entry had one.
    #[serde(default)]
    pub first_value: Option<Value>,
    /// The least number among the values.
    #[serde(default)]
    pub least: Option<Value>,
    /// The greatest number among the values.
    #[serde(default)]
    pub greatest: Option<Value>,
    /// The latest entry.
    pub last: Option<(Timestamp, Option<Value>)>,
    /// Everything up to here has been folded in; grows only.
    pub until: Option<(Timestamp, EventKey)>,
}

/// Entries and the aggregate of what came before them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Series {
    folded: Aggregate,
    entries: Vec<Entry>,
    /// The different values among what was folded.
    #[serde(default)]
    distinct: Distinct,
    /// The days of what was folded.
    #[serde(default)]
    days: Days,
}

/// A value as a number, where it is one.
pub fn number(value: &Value) -> Option<f64> {
    match value {
        #[expect(clippy::cast_precision_loss, reason = "sums are doubles, as CEL's are")]
        Value::Int(int) => Some(*int as f64),
        Value::Double(double) => Some(*double),
        _ => None,
    }
}

impl Series {
    fn order(entry: &Entry) -> (Timestamp, EventKey) {
        (entry.time, entry.key)
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.folded.count == 0
    }

    /// Adds an entry once. Beyond `limits::SERIES_ENTRIES` the oldest folds into the aggregate.
    pub fn add(&mut self, entry: Entry) {
        let order = Self::order(&entry);
        if self.folded.until.is_some_and(|until| order <= until) {
            // Older than what is kept one by one: it is new (duplicates are dropped before), so it
            // goes straight into the aggregate.
            self.fold(&entry);
            return;
        }
        match self.entries.binary_search_by(|known| Self::order(known).cmp(&order)) {
            Ok(_) => {}
            Err(at) => self.entries.insert(at, entry),
        }
        while self.entries.len() > limits::SERIES_ENTRIES {
            let oldest = self.entries.remove(0);
            self.folded.until = Some(Self::order(&oldest));
            self.fold(&oldest);
        }
    }

    fn fold(&mut self, entry: &Entry) {
        self.folded.fold(entry);
        self.days.add(entry.time);
        if let Some(value) = &entry.value {
            self.distinct.add(value);
        }
    }

    /// Joins another copy of the same series: the one that folded more keeps its aggregate, and
    /// entries that either holds beyond it are united.
    pub fn join(&mut self, other: &Self) {
        let newer =
            (other.folded.until, other.folded.count) > (self.folded.until, self.folded.count);
        self.distinct.join(&other.distinct);
        self.days.join(&other.days);
        if newer {
            self.folded = other.folded.clone();
            let until = self.folded.until;
            self.entries.retain(|entry| Some(Self::order(entry)) > until);
        }
        for entry in &other.entries {
            if Some(Self::order(entry)) > self.folded.until {
                self.add(entry.clone());
            }
        }
    }

    /// The part from `from` on, without the aggregate.
    pub fn since(&self, from: Timestamp) -> Self {
        Self {
            entries: self.entries.iter().filter(|entry| entry.time >= from).cloned().collect(),
            ..Self::default()
        }
    }

    /// The entries in the window that starts after `from`; None is ever.
    fn window(&self, from: Option<Timestamp>) -> impl Iterator<Item = &Entry> {
        let start = match from {
            Some(from) => self.entries.partition_point(|entry| entry.time <= from),
            None => 0,
        };
        self.entries.iter().skip(start)
    }

    /// The entries up to a time, oldest first.
    pub fn entries(&self, to: Timestamp) -> impl Iterator<Item = &Entry> {
        self.entries.iter().take_while(move |entry| entry.time <= to)
    }

    /// The aggregate of a window that starts after `from`; None is ever. Exact as long as the
    /// window holds at most `limits::SERIES_ENTRIES` entries.
    pub fn aggregate(&self, from: Option<Timestamp>, to: Timestamp) -> Aggregate {
        let mut total = match from {
            None => self.folded.clone(),
            Some(_) => Aggregate::default(),
        };
        for entry in self.window(from).filter(|entry| entry.time <= to) {
            total.fold(entry);
        }
        total
    }

    /// The different values in a window, as [`aggregate`](Self::aggregate).
    pub fn distinct(&self, from: Option<Timestamp>, to: Timestamp) -> Distinct {
        let mut found = if from.is_none() { self.distinct.clone() } else { Distinct::default() };
        for entry in self.window(from).filter(|entry| entry.time <= to) {
            if let Some(value) = &entry.value {
                found.add(value);
            }
        }
        found
    }

    /// The days up to a time on which there was an entry.
    pub fn days(&self, to: Timestamp) -> Days {
        let mut found = self.days.clone();
        self.entries.iter().filter(|entry| entry.time <= to).for_each(|e| found.add(e.time));
        found
    }
}

/// The one of two values that is the `wanted` number; what is no number is none.
fn extreme(known: &Option<Value>, other: &Option<Value>, wanted: Ordering) -> Option<Value> {
    let numbers = |value: &&Value| number(value).is_some_and(|number| !number.is_nan());
    match (known.as_ref().filter(numbers), other.as_ref().filter(numbers)) {
        (Some(known), Some(other)) => {
            let better = number(other).partial_cmp(&number(known)) == Some(wanted);
            Some(if better { other } else { known }.clone())
        }
        (known, other) => known.or(other).cloned(),
    }
}

impl Aggregate {
    fn fold(&mut self, entry: &Entry) {
        self.count = self.count.saturating_add(1);
        if let Some(value) = entry.value.as_ref().and_then(number) {
            self.sum += value;
        }
        if self.first.is_none_or(|first| entry.time < first) {
            self.first = Some(entry.time);
            self.first_value.clone_from(&entry.value);
        }
        self.least = extreme(&self.least, &entry.value, Ordering::Less);
        self.greatest = extreme(&self.greatest, &entry.value, Ordering::Greater);
        if self.last.as_ref().is_none_or(|(time, _)| *time <= entry.time) {
            self.last = Some((entry.time, entry.value.clone()));
        }
    }

    /// Adds what another node counted.
    pub fn plus(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.sum += other.sum;
        let earlier = other.first.is_some_and(|b| self.first.is_none_or(|a| b < a));
        if earlier {
            self.first = other.first;
            self.first_value.clone_from(&other.first_value);
        }
        self.least = extreme(&self.least, &other.least, Ordering::Less);
        self.greatest = extreme(&self.greatest, &other.greatest, Ordering::Greater);
        let newer = match (&self.last, &other.last) {
            (Some((a, _)), Some((b, _))) => b > a,
            (None, Some(_)) => true,
            _ => false,
        };
        if newer {
            self.last.clone_from(&other.last);
        }
    }
}
