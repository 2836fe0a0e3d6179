//! What conditions compare times with, found out when a workspace is published: from it follows
//! when time alone can change what they come to. It must never know what a condition is for.

use alloc::collections::BTreeSet;

use super::image::{Column, Op};
use super::{Kind, RuleId, Rules, Slot};

/// What some conditions read of times.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    /// Every slot that they read.
    pub slots: BTreeSet<Slot>,
    /// Points in time that they name, in milliseconds.
    pub times: BTreeSet<i64>,
    /// Lengths of time that they name, in milliseconds.
    pub lengths: BTreeSet<i64>,
    /// Whether they read the time.
    pub reads_now: bool,
    /// Whether they take a time apart: its hour, its day.
    pub is_calendar: bool,
}

impl Clock {
    /// Takes in what other conditions read.
    pub fn join(&mut self, other: &Self) {
        self.slots.extend(&other.slots);
        self.times.extend(&other.times);
        self.lengths.extend(&other.lengths);
        self.reads_now |= other.reads_now;
        self.is_calendar |= other.is_calendar;
    }
}

impl Rules {
    /// What a condition reads of times, with the audiences that it asks for.
    pub fn clock(&self, rule: RuleId) -> Clock {
        let mut clock = Clock::default();
        self.visit_under(self.conjuncts(rule.0).to_vec(), |node| {
            clock.slots.extend(self.slot_read_by(node));
            match node.op {
                Op::Timestamp => clock.times.extend(self.image.int(node.a)),
                Op::Duration => clock.lengths.extend(self.image.int(node.a)),
                Op::Part | Op::ToInt | Op::ToText => clock.is_calendar = true,
                Op::Key => self.cuts_of(node.a, &mut clock),
                _ => {}
            }
        });
        clock.reads_now = self.slot("now").is_some_and(|now| clock.slots.contains(&now));
        clock.is_calendar &= clock.reads_now;
        clock
    }

    /// Where a key set begins and ends, of a slot that holds times or lengths of time.
    fn cuts_of(&self, key: u32, clock: &mut Clock) {
        let Some((key, bounds)) = self.key(key) else { return };
        let found = match self.image.kind(key.slot) {
            Some(Kind::Timestamp) => &mut clock.times,
            Some(Kind::Duration) => &mut clock.lengths,
            _ => return,
        };
        let range = self.image.range(Column::CutStarts, key.slot.into()).unwrap_or(0..0);
        let cuts = self.image.cuts.get(range).unwrap_or(&[]);
        for bound in bounds {
            // Segment 1 lies before all cuts, segment 2 begins at the first of them.
            let at = usize::try_from(*bound).ok().and_then(|bound| bound.checked_sub(2));
            found.extend(at.and_then(|at| cuts.get(at)));
        }
    }
}
