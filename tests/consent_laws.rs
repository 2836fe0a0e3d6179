//! Laws of consent: merging is a join, a withdrawal outlives every older grant, and the effective
//! consent never allows what any party denies.

use proptest::prelude::*;
use selvedge::consent::{
    Basis, Choice, Consent, ConsentSettings, Effective, Purpose, PurposeSet, Record, Region,
    Signals,
};
use selvedge::time::Timestamp;

fn records() -> impl Strategy<Value = Vec<Record>> {
    let purpose = (0..5_usize).prop_map(|at| Purpose::ALL[at]);
    let choice = prop_oneof![Just(Choice::Grant), Just(Choice::Deny), Just(Choice::Withdrawn)];
    let record =
        (purpose, choice, 0..4_u32, 0..20_i64).prop_map(|(purpose, choice, epoch, time)| Record {
            purpose,
            choice,
            epoch,
            time: Timestamp(time),
            basis: Basis::Consent,
        });
    prop::collection::vec(record, 0..12)
}

fn folded(records: &[Record]) -> Consent {
    let mut consent = Consent::default();
    records.iter().for_each(|record| consent.take(record));
    consent
}

fn joined(a: &Consent, b: &Consent) -> Consent {
    let mut joined = *a;
    joined.join(b);
    joined
}

fn granted(consent: &Consent) -> Effective {
    Effective::of(Some(consent), None, &Signals::default(), &ConsentSettings::default())
}

proptest! {
    #[test]
    fn merging_is_a_join(a in records(), b in records(), c in records()) {
        let (a, b, c) = (folded(&a), folded(&b), folded(&c));
        prop_assert_eq!(joined(&a, &b), joined(&b, &a));
        prop_assert_eq!(joined(&joined(&a, &b), &c), joined(&a, &joined(&b, &c)));
        prop_assert_eq!(joined(&a, &a), a);
    }

    #[test]
    fn the_order_of_records_does_not_matter(mut records in records(), seed in any::<u64>()) {
        let before = folded(&records);
        let len = records.len().max(1);
        for at in 0..records.len() {
            let other = usize::try_from(seed.rotate_left(at as u32) % len as u64).unwrap();
            records.swap(at, other);
        }
        prop_assert_eq!(folded(&records), before);
    }

    #[test]
    fn no_older_grant_outlives_a_withdrawal(old in records(), late in records(), at in 0..5_usize) {
        let purpose = Purpose::ALL[at];
        let mut consent = folded(&old);
        let yes = consent.next_record(purpose, true, Basis::Consent, Timestamp(30));
        consent.take(&yes);
        prop_assert_eq!(consent.choice(purpose), Some(true));
        let no = consent.next_record(purpose, false, Basis::Consent, Timestamp(31));
        prop_assert_eq!(no.choice, Choice::Withdrawn);
        consent.take(&no);
        // A late event, a stale replica, a restored snapshot: any of them, in any number, made by
        // somebody who did not know the withdrawal.
        consent.join(&folded(&old));
        late.iter().filter(|record| record.epoch < no.epoch).for_each(|r| consent.take(r));
        consent.take(&yes);
        prop_assert_eq!(consent.choice(purpose), Some(false));
        prop_assert!(!granted(&consent).allowed().has(purpose));
    }

    #[test]
    fn whoever_denies_is_obeyed(person in records(), device in records(), denied in 0..5_usize) {
        let (person, device) = (folded(&person), folded(&device));
        let signals = Signals {
            region: Region::new("US", "CA"),
            gpc: false,
            denied: PurposeSet::NONE.with(Purpose::ALL[denied]),
        };
        let never = PurposeSet::NONE.with(Purpose::Share);
        let settings = ConsentSettings { never, ..Default::default() };
        let effective = Effective::of(Some(&person), Some(&device), &signals, &settings);
        for purpose in Purpose::ALL {
            let no = person.choice(purpose) == Some(false)
                || device.choice(purpose) == Some(false)
                || signals.denied.has(purpose)
                || settings.never.has(purpose);
            prop_assert!(!(no && effective.allowed().has(purpose)));
        }
        let silent = Effective::of(None, Some(&Consent::default()), &Signals::default(), &settings);
        prop_assert_eq!(silent.allowed(), PurposeSet::NONE);
    }
}

#[test]
fn a_withdrawal_survives_the_merge_with_a_profile_that_still_holds_the_grant() {
    let mut device = Consent::default();
    device.take(&device.next_record(Purpose::Personalise, true, Basis::Consent, Timestamp(1)));
    let snapshot = device;
    device.take(&device.next_record(Purpose::Personalise, false, Basis::Consent, Timestamp(2)));
    assert_eq!(joined(&device, &snapshot).choice(Purpose::Personalise), Some(false));
    assert_eq!(joined(&snapshot, &device).choice(Purpose::Personalise), Some(false));
}

#[test]
fn equal_times_deny_wins_and_a_later_yes_counts_again() {
    let mut consent = Consent::default();
    consent.take(&consent.next_record(Purpose::Store, true, Basis::Consent, Timestamp(5)));
    consent.take(&consent.next_record(Purpose::Store, false, Basis::Consent, Timestamp(5)));
    assert_eq!(consent.choice(Purpose::Store), Some(false));
    consent.take(&consent.next_record(Purpose::Store, true, Basis::Consent, Timestamp(5)));
    assert_eq!(consent.choice(Purpose::Store), Some(true));
}

#[test]
fn silence_is_no_but_where_the_law_only_asks_for_a_way_to_object() {
    let settings = ConsentSettings::default();
    let allowed = |country: &str, subdivision: &str, gpc: bool| {
        let signals =
            Signals { region: Region::new(country, subdivision), gpc, ..Signals::default() };
        Effective::of(None, Some(&Consent::default()), &signals, &settings).allowed()
    };
    for (country, subdivision) in [
        ("DE", "BE"),
        ("GB", ""),
        ("CH", ""),
        ("BR", ""),
        ("KR", ""),
        ("CA", "QC"),
        ("", ""),
        ("XX", ""),
        ("T1", ""),
        ("JP", ""),
        ("NO", ""),
    ] {
        assert_eq!(allowed(country, subdivision, false), PurposeSet::NONE, "{country}");
    }
    assert_eq!(allowed("US", "CA", false), PurposeSet::ALL);
    let with_gpc = allowed("US", "CA", true);
    assert!(with_gpc.has(Purpose::Store) && with_gpc.has(Purpose::Measure));
    assert!(!with_gpc.has(Purpose::Share) && !with_gpc.has(Purpose::Personalise));
}
