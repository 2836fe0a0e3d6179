//! What computed traits come to, by going through every event each time. It must never keep
//! anything between two questions.

use std::collections::{BTreeMap, BTreeSet};

use super::V;

const DAY: i64 = 86_400_000;

/// An event.
#[derive(Clone, Debug)]
pub struct Happened {
    pub event: &'static str,
    pub time: i64,
    pub properties: BTreeMap<&'static str, V>,
}

/// What is asked of events.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// `count`, `sum`, `min`, `max`, `first`, `last`, `distinct`, `streak`, `recency`
    pub way: &'static str,
    pub event: &'static str,
    pub property: Option<&'static str>,
    /// The sliding window; None is ever.
    pub days: Option<i64>,
}

impl Metric {
    /// What it comes to; None where there is nothing to tell.
    pub fn value(&self, events: &[Happened], now: i64) -> Option<V> {
        let since = self.days.map(|days| now - days * DAY);
        let mut all: Vec<&Happened> = events.iter().collect();
        all.retain(|one| one.event == self.event && one.time <= now);
        if self.way == "streak" {
            let days: BTreeSet<i64> = all.iter().map(|one| one.time.div_euclid(DAY)).collect();
            return Some(V::Int(streak(&days, since.map(|at| at.div_euclid(DAY)), now)));
        }
        all.retain(|one| since.is_none_or(|since| one.time > since));
        all.sort_by_key(|one| one.time);
        let value = |one: &&Happened| one.properties.get(self.property?).cloned();
        match self.way {
            "count" => Some(V::Int(all.len() as i64)),
            "recency" => all.last().map(|one| V::Span(now - one.time)),
            "first" => all.first().and_then(value),
            "last" => all.last().and_then(value),
            "sum" => {
                // `sum()` of nothing would be -0.0.
                let numbers = all.iter().filter_map(value).filter_map(|v| number(&v));
                Some(V::Double(numbers.fold(0.0, |sum, number| sum + number)))
            }
            "distinct" => {
                let values: BTreeSet<String> =
                    all.iter().filter_map(value).map(|v| format!("{v:?}")).collect();
                Some(V::Int(values.len() as i64))
            }
            way => {
                let mut best: Option<(f64, V)> = None;
                for v in all.iter().filter_map(value) {
                    let Some(number) = number(&v) else { continue };
                    let better = match &best {
                        None => true,
                        Some((known, _)) if way == "min" => number < *known,
                        Some((known, _)) => number > *known,
                    };
                    if better {
                        best = Some((number, v));
                    }
                }
                best.map(|(_, v)| v)
            }
        }
    }
}

/// Days in a row that end today or yesterday, none before the first that counts.
fn streak(days: &BTreeSet<i64>, first: Option<i64>, now: i64) -> i64 {
    let today = now.div_euclid(DAY);
    let mut day = if days.contains(&today) { today } else { today - 1 };
    let mut length = 0;
    while days.contains(&day) && first.is_none_or(|first| day >= first) {
        length += 1;
        day -= 1;
    }
    length
}

fn number(v: &V) -> Option<f64> {
    match v {
        V::Int(v) => Some(*v as f64),
        V::Double(v) => Some(*v),
        _ => None,
    }
}
