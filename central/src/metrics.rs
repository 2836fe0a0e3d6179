//! Counters for Prometheus. It must never count by anything that a caller chooses.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows.
#[derive(Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds to it.
    pub fn add(&self, more: usize) {
        self.0.fetch_add(more as u64, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Every counter of the process.
#[derive(Default)]
pub struct Metrics {
    /// Imported rows that changed something.
    pub rows_accepted: Counter,
    /// Imported rows that were known.
    pub rows_duplicate: Counter,
    /// Imported rows that were refused.
    pub rows_refused: Counter,
    /// Facts that were new.
    pub facts_stored: Counter,
    /// Facts that were known.
    pub facts_duplicate: Counter,
    /// Facts that consent or an erasure let go of.
    pub facts_dropped: Counter,
    /// Hydrations answered.
    pub hydrations: Counter,
    /// Erasures done.
    pub erasures: Counter,
    /// Pushes that the edge took.
    pub pushes_taken: Counter,
    /// Pushes that failed.
    pub pushes_failed: Counter,
    /// Changes that the edge took by push.
    pub changes_pushed: Counter,
    /// Requests refused with a status of 4xx.
    pub requests_refused: Counter,
    /// Requests that failed with a status of 5xx.
    pub requests_failed: Counter,
}

impl Metrics {
    /// In the text format of Prometheus, version 0.0.4.
    pub fn text(&self) -> String {
        let all = [
            ("import_rows_accepted", "imported rows that changed something", &self.rows_accepted),
            ("import_rows_duplicate", "imported rows that were known", &self.rows_duplicate),
            ("import_rows_refused", "imported rows that were refused", &self.rows_refused),
            ("facts_stored", "facts from the edge that were new", &self.facts_stored),
            ("facts_duplicate", "facts from the edge that were known", &self.facts_duplicate),
            ("facts_dropped", "facts let go for consent or an erasure", &self.facts_dropped),
            ("hydrations", "people whom the edge asked for", &self.hydrations),
            ("erasures", "people who were erased", &self.erasures),
            ("pushes_taken", "pushes that the edge took", &self.pushes_taken),
            ("pushes_failed", "pushes that failed", &self.pushes_failed),
            ("changes_pushed", "changes that the edge took by push", &self.changes_pushed),
            ("requests_refused", "requests answered with 4xx", &self.requests_refused),
            ("requests_failed", "requests answered with 5xx", &self.requests_failed),
        ];
        let mut text = String::new();
        for (name, help, counter) in all {
            let name = format!("selvedge_central_{name}_total");
            // Writing to a String cannot fail.
            let _ = writeln!(text, "# HELP {name} {help}");
            let _ = writeln!(text, "# TYPE {name} counter\n{name} {}", counter.get());
        }
        text
    }
}
