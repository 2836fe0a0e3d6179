//! When an offer may be shown. Time zones were resolved when the workspace was published: a
//! schedule carries the zone's offsets, so that no host needs a zone database. It must never read a
//! clock.

use alloc::vec::Vec;

use crate::pack::{Pack, Packed, Reader, pack_struct};
use crate::time::Timestamp;

/// A window that comes back every week, in minutes of the zone's local week (Monday 00:00 is 0).
/// One that passes Sunday midnight was split in two when published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WeeklyWindow {
    /// First minute.
    pub from: u16,
    /// First minute after it, at most 10,080.
    pub until: u16,
}

/// When an offer may be shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    /// Not before.
    pub from: Option<Timestamp>,
    /// No longer at.
    pub until: Option<Timestamp>,
    /// Windows of the local week; empty is always.
    pub weekly: Vec<WeeklyWindow>,
    /// The zone's offsets from UTC in minutes, each valid from its time on; sorted.
    pub offsets: Vec<(Timestamp, i16)>,
}

pack_struct!(WeeklyWindow { from, until });
pack_struct!(Schedule { from, until, offsets, weekly });

const MINUTE_MS: i64 = 60_000;
const WEEK_MINUTES: i64 = 10_080;
/// 1970-01-01 was a Thursday.
const EPOCH_MINUTE: i64 = 3 * 1_440;

impl Schedule {
    /// Whether the schedule is open.
    pub fn is_open(&self, now: Timestamp) -> bool {
        Packed::new(self).open().is_none_or(|from| is_open(from, now))
    }
}

/// The same of a packed one.
#[cfg_attr(feature = "server", inline(never))]
pub(super) fn is_open(mut from: Reader<'_>, now: Timestamp) -> bool {
    let (start, end): (Option<Timestamp>, Option<Timestamp>) = Pack::unpack(&mut from);
    if start.is_some_and(|start| now < start) || end.is_some_and(|end| now >= end) {
        return false;
    }
    let mut offset = 0;
    for _ in 0..from.len() {
        let (since, minutes) = (from.int(), from.int());
        if since <= now.0 {
            offset = minutes;
        }
    }
    let local = now.0.div_euclid(MINUTE_MS).saturating_add(offset);
    let minute = local.saturating_add(EPOCH_MINUTE).rem_euclid(WEEK_MINUTES);
    let windows = from.len();
    let mut open = windows == 0;
    for _ in 0..windows {
        let (first, until) = (from.number_u32(), from.number_u32());
        open |= i64::from(first) <= minute && minute < i64::from(until);
    }
    open
}
