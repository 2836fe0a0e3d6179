//! When time alone may change who is in an audience: the points in time ahead at which something
//! that its condition reads changes or crosses what it is compared with. It must never decide
//! whether anything changes there: who asks looks.

use alloc::collections::BTreeSet;

use crate::decide;
use crate::limits;
use crate::profile::{Profile, metric_key};
use crate::rule::Value;
use crate::time::Timestamp;
use crate::workspace::{ComputedDecl, ComputedKind, Workspace};

/// Every zone is a whole number of quarter hours from UTC, so hours and days begin with one.
const QUARTER_HOUR: i64 = limits::HOUR / 4;
/// So few lengths of time that each is added to each other as well.
const FEW_LENGTHS: usize = 8;

/// What lies ahead where nothing else happens.
#[derive(Debug)]
pub(super) struct Ahead {
    now: Timestamp,
    /// The points in time, all after now.
    pub times: BTreeSet<Timestamp>,
    /// Up to when these are all of them; None is for good.
    pub until: Option<Timestamp>,
}

impl Ahead {
    pub fn of(workspace: &Workspace, profile: &Profile, now: Timestamp) -> Self {
        let watch = &workspace.watch;
        let mut ahead = Self { now, times: BTreeSet::new(), until: None };
        let mut anchors: BTreeSet<i64> = watch.times.iter().copied().collect();
        let read = |slot| watch.slots.contains(slot);
        for decl in workspace.traits.iter().filter(|decl| read(&decl.slot)) {
            let known = profile.traits.get(&decl.name).and_then(|known| known.value.as_ref());
            anchors.extend(known.and_then(point));
        }
        for decl in workspace.computed.iter().filter(|decl| read(&decl.slot)) {
            ahead.take_computed(decl, profile, &mut anchors);
        }
        ahead.take_distances(&anchors, &watch.lengths);
        if watch.is_calendar {
            ahead.take_quarters();
        }
        if let Some(until) = ahead.until {
            ahead.times.retain(|time| *time <= until);
            ahead.times.insert(until);
        }
        ahead
    }

    fn add(&mut self, time: Timestamp) {
        if time > self.now {
            self.times.insert(time);
        }
    }

    fn end_at(&mut self, until: Timestamp) {
        self.until = Some(self.until.map_or(until, |known| known.min(until)));
    }

    /// Where a computed trait changes by itself, or the time that it is measured from.
    fn take_computed(
        &mut self,
        decl: &ComputedDecl,
        profile: &Profile,
        anchors: &mut BTreeSet<i64>,
    ) {
        if let Some(sequence) = &decl.sequence {
            for turn in sequence.turns(profile, self.now) {
                self.add(turn);
            }
            return;
        }
        let metric = metric_key(&decl.event, &decl.property);
        if let Some(window_ms) = decl.window_ms {
            let series = profile.series.values().filter_map(|metrics| metrics.get(&metric));
            for one in series {
                let now = self.now;
                let leaving = one.entries(now).map(|entry| entry.time.plus_ms(window_ms));
                let leaving = leaving.filter(|time| *time > now);
                // One more than is looked at, so that it shows that there are more.
                for time in leaving.take(limits::AUDIENCE_LOOKS.saturating_add(1)) {
                    self.add(time);
                }
            }
        }
        match decl.kind {
            ComputedKind::Streak => self.take_midnights(decl.window_ms),
            ComputedKind::Recency => {
                if let Some(Value::Duration(since_ms)) = decide::computed(decl, profile, self.now) {
                    anchors.insert(self.now.plus_ms(since_ms.saturating_neg()).0);
                }
            }
            ComputedKind::First | ComputedKind::Last => {
                let value = decide::computed(decl, profile, self.now);
                anchors.extend(value.as_ref().and_then(point));
            }
            _ => {}
        }
    }

    /// A streak ends at the latest at the second midnight without an event; until then it may lose
    /// days that its window leaves behind.
    fn take_midnights(&mut self, window_ms: Option<i64>) {
        for lag_ms in [0].into_iter().chain(window_ms) {
            let day = self.now.plus_ms(-lag_ms).0.div_euclid(limits::DAY);
            for later in 1..=2 {
                let midnight = day.saturating_add(later).saturating_mul(limits::DAY);
                self.add(Timestamp(midnight).plus_ms(lag_ms));
            }
        }
    }

    /// Where the time is one of some lengths away from one of some points, and just past it.
    fn take_distances(&mut self, anchors: &BTreeSet<i64>, lengths: &[i64]) {
        let mut sums: BTreeSet<i64> = lengths.iter().copied().collect();
        if lengths.len() <= FEW_LENGTHS {
            let pairs = lengths.iter().flat_map(|a| lengths.iter().map(move |b| (*a, *b)));
            sums.extend(pairs.flat_map(|(a, b)| [a.saturating_add(b), a.saturating_sub(b)]));
        }
        sums.insert(0);
        let room = limits::AUDIENCE_PAIRS / anchors.len().max(1);
        if sums.len() > room {
            self.end_at(self.now.plus_ms(limits::HOUR));
        }
        for anchor in anchors.iter().take(limits::AUDIENCE_PAIRS) {
            for length in sums.iter().take(room.max(1)) {
                for signed in [*length, length.saturating_neg()] {
                    let time = Timestamp(*anchor).plus_ms(signed);
                    self.add(time);
                    self.add(time.plus_ms(1));
                }
            }
        }
    }

    fn take_quarters(&mut self) {
        let quarter = self.now.0.div_euclid(QUARTER_HOUR);
        let mut last = self.now;
        for later in (1..).take(limits::AUDIENCE_LOOKS) {
            last = Timestamp(quarter.saturating_add(later).saturating_mul(QUARTER_HOUR));
            self.add(last);
        }
        self.end_at(last);
    }
}

/// A value that is a point in time.
fn point(value: &Value) -> Option<i64> {
    match value {
        Value::Timestamp(ms) => Some(*ms),
        _ => None,
    }
}
