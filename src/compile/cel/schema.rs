//! What conditions may speak of: declared traits, fields of the request, events. It must never
//! know how a value is found.

use std::collections::BTreeMap;

use crate::rule::{Kind, Slot};

/// The declared names.
#[derive(Clone, Debug, Default)]
pub struct Schema {
    /// In the order of their slots.
    pub(super) fields: Vec<(String, Kind)>,
    pub(super) slots: BTreeMap<String, Slot>,
    pub(super) events: BTreeMap<String, BTreeMap<String, Kind>>,
}

impl Schema {
    /// Nothing declared.
    pub fn new() -> Self {
        Self::default()
    }

    /// Declares `profile.tier`, `request.country`, ..., and tells its slot. Declaring a path again
    /// changes its type.
    pub fn field(&mut self, path: &str, kind: Kind) -> Slot {
        if let Some(known) = self.slots.get(path) {
            if let Some(field) = self.fields.get_mut(usize::from(known.0)) {
                field.1 = kind;
            }
            return *known;
        }
        let slot = Slot(u16::try_from(self.fields.len()).unwrap_or(u16::MAX));
        self.fields.push((path.to_owned(), kind));
        self.slots.insert(path.to_owned(), slot);
        slot
    }

    /// Declares an event, by the name that conditions count it under.
    pub fn event(&mut self, name: &str) {
        self.events.entry(name.to_owned()).or_default();
    }

    /// Declares a property of an event, and the event.
    pub fn property(&mut self, event: &str, property: &str, kind: Kind) {
        self.events.entry(event.to_owned()).or_default().insert(property.to_owned(), kind);
    }
}

/// How a computed trait that a condition implies is derived from events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum History {
    /// Number of events: int, 0 where there is none.
    Count,
    /// Sum of a property: of its type, 0 where there is none.
    Sum,
    /// Least value of a property: missing where there is none.
    Min,
    /// Greatest value of a property: missing where there is none.
    Max,
    /// Value of a property in the first event: missing where there is none.
    First,
    /// Value of a property in the latest event: missing where there is none.
    Last,
    /// Number of different values of a property: int, 0 where there is none.
    Distinct,
    /// Time since the latest event: duration, missing where there is none.
    Recency,
    /// Days in a row, up to today or yesterday: int, 0 where there is none.
    Streak,
}

/// A computed trait that a condition implies: whoever keeps the profile fills its slot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ComputedRequest {
    /// How it is derived.
    pub kind: History,
    /// Which events.
    pub event: String,
    /// Which property; None where none is read.
    pub property: Option<String>,
    /// The sliding window; None is ever.
    pub window_ms: Option<i64>,
    /// Where conditions look for it.
    pub slot: Slot,
    /// What they expect there.
    pub value: Kind,
}
