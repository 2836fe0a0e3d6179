//! Budgets: how many contacts with an offer all people together may have. The central store counts
//! and says which offers are spent; a decision leaves those out. It must never know who the people
//! are, and it is approximate by design: contacts on their way were not counted yet (the bound
//! stands in docs/reference/offers.md).

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::limits;
use crate::profile::Contact;
use crate::time::Timestamp;
use crate::workspace::Workspace;

/// Over which time a budget counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// A calendar day of the budget's zone.
    Day,
    /// From the first publish with this budget on.
    Ever,
}

/// A bound on the contacts of all people with one offer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Budget {
    /// Which offer.
    pub offer: String,
    /// At this many contacts it is spent.
    pub max: u64,
    /// Which contacts count.
    pub on: Contact,
    /// Over which time.
    pub per: Period,
    /// The offsets of the days' zone, as in a schedule; empty is UTC.
    pub offsets: Vec<(Timestamp, i16)>,
}

const MINUTE_MS: i64 = 60_000;

impl Budget {
    /// The day that a time falls on, in days since 1970 of the budget's zone. Contacts are filed
    /// by day whatever the period, so that a budget may change its period.
    pub fn day(&self, time: Timestamp) -> i64 {
        time.plus_ms(self.offset_ms(time)).0.div_euclid(limits::DAY)
    }

    /// When a budget that is spent at `time` opens again; None is never.
    pub fn opens_again(&self, time: Timestamp) -> Option<Timestamp> {
        if self.per == Period::Ever {
            return None;
        }
        let midnight = Timestamp(self.day(time).saturating_add(1).saturating_mul(limits::DAY));
        // The offset of the coming midnight: clocks may change before it.
        let near = midnight.plus_ms(self.offset_ms(time).saturating_neg());
        Some(midnight.plus_ms(self.offset_ms(near).saturating_neg()))
    }

    fn offset_ms(&self, time: Timestamp) -> i64 {
        let known = self.offsets.iter().take_while(|(from, _)| *from <= time).last();
        known.map_or(0, |(_, minutes)| i64::from(*minutes).saturating_mul(MINUTE_MS))
    }

    /// The budget in words, after its number.
    pub fn sentence(&self) -> &'static str {
        match (self.on, self.per) {
            (Contact::Impression, Period::Day) => "impressions a day",
            (Contact::Impression, Period::Ever) => "impressions",
            (Contact::Click, Period::Day) => "clicks a day",
            (Contact::Click, Period::Ever) => "clicks",
            (Contact::Dismissal, Period::Day) => "dismissals a day",
            (Contact::Dismissal, Period::Ever) => "dismissals",
        }
    }
}

/// Which offers are spent, as the central store says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Spent {
    /// When the central store said so, by its clock: the later one stands, whatever came first.
    pub as_of: Timestamp,
    /// The offers, each with the time from which it is open again; None is never.
    pub offers: BTreeMap<String, Option<Timestamp>>,
}

impl Spent {
    /// The offers by a workspace's indices, so that asking for those of a moment is cheap.
    pub fn indexed(&self, workspace: &Workspace) -> SpentIndex {
        // Names in order give indices in order, since a workspace's offers are sorted by name.
        let known = self.offers.iter();
        SpentIndex(
            known.filter_map(|(offer, until)| Some((workspace.offer_at(offer)?, *until))).collect(),
        )
    }
}

/// Which offers of one workspace are spent, by index, ascending.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpentIndex(Vec<(u32, Option<Timestamp>)>);

impl SpentIndex {
    /// Those that are spent at `now`: a day that is over has opened its offers again.
    pub fn at(&self, now: Timestamp) -> Vec<u32> {
        let spent = self.0.iter().filter(|(_, until)| until.is_none_or(|until| now < until));
        spent.map(|(offer, _)| *offer).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn budget(per: Period, offsets: Vec<(Timestamp, i16)>) -> Budget {
        Budget { offer: "o".into(), max: 1, on: Contact::Click, per, offsets }
    }

    #[test]
    fn a_day_is_one_of_the_budgets_zone() {
        let utc = budget(Period::Day, Vec::new());
        let noon = Timestamp(10 * limits::DAY + 12 * HOUR);
        assert_eq!((utc.day(noon), utc.opens_again(noon)), (10, Some(Timestamp(11 * limits::DAY))));
        let tokyo = budget(Period::Day, vec![(Timestamp(i64::MIN), 540)]);
        let late = Timestamp(10 * limits::DAY + 16 * HOUR);
        assert_eq!(tokyo.day(late), 11);
        let midnight = Timestamp(11 * limits::DAY + 15 * HOUR);
        assert_eq!(tokyo.opens_again(late), Some(midnight));
        assert_eq!((tokyo.day(midnight.plus_ms(-1)), tokyo.day(midnight)), (11, 12));
        assert_eq!(budget(Period::Ever, Vec::new()).opens_again(noon), None);
    }

    #[test]
    fn a_day_on_which_clocks_change_ends_at_its_own_midnight() {
        // Berlin, 2026-03-29: at 01:00 UTC the offset grows from one hour to two.
        let change = Timestamp(1_774_746_000_000);
        let berlin = budget(Period::Day, vec![(Timestamp(i64::MIN), 60), (change, 120)]);
        let early = change.plus_ms(-HOUR);
        let end = berlin.opens_again(early).unwrap_or_default();
        assert_eq!(end.since_ms(early), 22 * HOUR);
        assert_eq!(berlin.day(end), berlin.day(early) + 1);
        assert_eq!(berlin.day(end.plus_ms(-1)), berlin.day(early));
    }
}
