//! Computed traits: every kind against a naive fold of all events, beyond the bound too, and the
//! laws of joining what one node counted.

mod world;

use proptest::prelude::*;
use selvedge::engine::{Input, Placements, Reply};
use selvedge::ids::EventKey;
use selvedge::limits;
use selvedge::profile::{Distinct, Entry, Series};
use selvedge::rule::Value;
use selvedge::time::Timestamp;
use world::{DAY, HOUR, World};

fn source() -> String {
    let ways = ["sum", "min", "max", "first", "last", "distinct"];
    let mut computed = vec![
        r#""count": { "count": "Bought" }"#.to_owned(),
        r#""streak": { "streak": "Bought" }"#.to_owned(),
    ];
    for way in ways {
        let what = format!(r#""{way}": "Bought", "property": "total""#);
        computed
            .push(format!(r#""{way}": {{ {what} }}, "{way}_week": {{ {what}, "window": "7d" }}"#));
    }
    format!(
        r#"{{ "format": 1, "languages": ["en"], "events": {{ "Bought": {{ "total": "int" }} }},
            "computed": {{ {} }},
            "audiences": {{ "all": {{ "when": "min('Bought', 'total') < 3 && \
            max('Bought', 'total') > 3 && first('Bought', 'total') == 4 && \
            distinct('Bought', 'total', days(9)) > 1 && streak('Bought') >= 2" }} }} }}"#,
        computed.join(", ")
    )
    .replace("\\\n            ", "")
}

fn world() -> World {
    World::new(selvedge::compile::workspace(&source()).unwrap())
}

fn value(world: &World, browser: &world::Browser, name: &str) -> Option<Value> {
    let decl = world.workspace.computed.iter().find(|decl| decl.name == name).unwrap();
    let profile = world.profile(&world.home(browser)).unwrap();
    selvedge::decide::computed(decl, profile, world.now)
}

fn audiences(world: &mut World, browser: &world::Browser) -> Vec<String> {
    let (speaker, placements) = (world.speaker(browser), Placements::Named(Vec::new()));
    let input = Input::Explain { speaker, placements, request: world::request() };
    match world.send(&world.home(browser), input) {
        Reply::Explained(explained) => explained.profile.audiences,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_kind_is_kept_ever_and_in_a_window() {
    let mut world = world();
    let browser = world.browser("DE");
    world.agree(&browser);
    for (total, pause) in [(4, 9 * DAY), (9, DAY), (2, DAY), (2, 0)] {
        world.track(&browser, "Bought", &[("total", Value::Int(total))]);
        world.pass(pause);
    }
    for (name, ever, week) in
        [("min", 2, 2), ("max", 9, 9), ("first", 4, 9), ("last", 2, 2), ("distinct", 3, 2)]
    {
        assert_eq!(value(&world, &browser, name), Some(Value::Int(ever)), "{name}");
        let name = format!("{name}_week");
        assert_eq!(value(&world, &browser, &name), Some(Value::Int(week)), "{name}");
    }
    assert_eq!(audiences(&mut world, &browser), ["all"], "conditions see the same");
    world.pass(8 * DAY);
    assert!(audiences(&mut world, &browser).is_empty(), "the streak is over");
    assert_eq!(value(&world, &browser, "min_week"), None);
    assert_eq!(value(&world, &browser, "distinct_week"), Some(Value::Int(0)));
    assert_eq!(value(&world, &browser, "first"), Some(Value::Int(4)));
}

#[test]
fn a_streak_counts_days_in_a_row_and_breaks_after_a_day_without() {
    let mut world = world();
    let browser = world.browser("DE");
    world.agree(&browser);
    for (pause, streak) in [(0, 1), (HOUR, 1), (DAY, 2), (DAY, 3), (3 * DAY, 1)] {
        world.pass(pause);
        world.track(&browser, "Bought", &[("total", Value::Int(1))]);
        assert_eq!(value(&world, &browser, "streak"), Some(Value::Int(streak)), "{pause}");
    }
    world.pass(DAY);
    assert_eq!(value(&world, &browser, "streak"), Some(Value::Int(1)), "today is young");
    world.pass(DAY);
    assert_eq!(value(&world, &browser, "streak"), Some(Value::Int(0)));
}

fn entry((time, total): (i64, i64)) -> Entry {
    let time = Timestamp(time * DAY / 7);
    let key = EventKey::of(&format!("{time:?} {total}"));
    Entry { time, key, value: Some(Value::Int(total)) }
}

/// Everything that conditions can see of a series.
fn seen(series: &Series, from: Option<Timestamp>) -> impl PartialEq + core::fmt::Debug {
    let now = Timestamp(i64::MAX / 2);
    let mut total = series.aggregate(from, now);
    total.until = None;
    let (distinct, days) = (series.distinct(from, now), series.days(now));
    (total, distinct, days.streak(None, Timestamp(1_000 * DAY / 7)))
}

fn events() -> impl Strategy<Value = Vec<Entry>> {
    let one = (0..1_000_i64, -40..40_i64);
    prop::collection::hash_set(one, 0..900).prop_map(|set| {
        let mut entries: Vec<Entry> = set.into_iter().map(entry).collect();
        entries.sort_by_key(|entry| entry.key);
        entries
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_folded_loses_nothing_that_a_naive_fold_knows(entries in events()) {
        let mut series = Series::default();
        let mut sorted = entries.clone();
        sorted.sort_by_key(|entry| (entry.time, entry.key));
        sorted.iter().for_each(|entry| series.add(entry.clone()));
        let total = series.aggregate(None, Timestamp(i64::MAX / 2));
        let int = |entry: &Entry| match entry.value { Some(Value::Int(int)) => int, _ => 0 };
        prop_assert_eq!(total.count, sorted.len() as u64);
        let least = sorted.iter().map(int).min().map(Value::Int);
        let greatest = sorted.iter().map(int).max().map(Value::Int);
        prop_assert_eq!((total.least, total.greatest), (least, greatest));
        prop_assert_eq!(total.first_value, sorted.first().and_then(|e| e.value.clone()));
        let different: std::collections::BTreeSet<i64> = sorted.iter().map(int).collect();
        let distinct = series.distinct(None, Timestamp(i64::MAX / 2));
        prop_assert_eq!(distinct.count(), different.len() as i64);
    }

    #[test]
    fn copies_of_one_nodes_series_join_in_any_order(
        entries in events(), cuts in prop::collection::vec(0..900_usize, 3),
    ) {
        let mut sorted = entries;
        sorted.sort_by_key(|entry| (entry.time, entry.key));
        let mut whole = Series::default();
        let mut copies: Vec<Series> = Vec::new();
        for (at, entry) in sorted.iter().enumerate() {
            if cuts.contains(&at) { copies.push(whole.clone()); }
            whole.add(entry.clone());
        }
        copies.push(whole.clone());
        let mut forwards = Series::default();
        copies.iter().for_each(|copy| forwards.join(copy));
        let mut backwards = Series::default();
        copies.iter().rev().for_each(|copy| backwards.join(copy));
        let mut twice = forwards.clone();
        twice.join(&whole);
        twice.join(&forwards);
        prop_assert_eq!(&forwards, &whole);
        prop_assert_eq!(&backwards, &whole);
        prop_assert_eq!(&twice, &whole);
        prop_assert_eq!(seen(&twice, Some(Timestamp(0))), seen(&whole, Some(Timestamp(0))));
    }

    #[test]
    fn different_values_join_as_sets_do(
        a in prop::collection::vec(0..4_000_i64, 0..1_500),
        b in prop::collection::vec(0..4_000_i64, 0..1_500),
    ) {
        let of = |values: &[i64]| {
            let mut distinct = Distinct::default();
            values.iter().for_each(|value| distinct.add(&Value::Int(*value)));
            distinct
        };
        let joined = |a: &Distinct, b: &Distinct| { let mut c = a.clone(); c.join(b); c };
        let both = of(&[a.as_slice(), b.as_slice()].concat());
        prop_assert_eq!(&joined(&of(&a), &of(&b)), &both);
        prop_assert_eq!(&joined(&of(&b), &of(&a)), &both);
        prop_assert_eq!(&joined(&both, &of(&a)), &both);
    }
}

#[test]
fn the_estimate_of_many_different_values_keeps_near_the_truth() {
    for truth in [100_i64, 511, 600, 2_000, 50_000] {
        let mut distinct = Distinct::default();
        (0..truth).for_each(|value| distinct.add(&Value::String(format!("sku-{value}"))));
        let count = distinct.count();
        if truth < i64::try_from(limits::DISTINCT_VALUES).unwrap() {
            assert_eq!(count, truth);
        }
        // Three standard errors.
        assert!((count - truth).abs() * 100 <= truth * 14, "{count} of {truth}");
    }
}

#[test]
fn a_late_event_closes_the_gap_of_a_streak_that_was_folded() {
    let mut series = Series::default();
    for day in [0_i64, 2] {
        for at in 0..600 {
            series.add(entry((day * 7, at)));
        }
    }
    let now = Timestamp(2 * DAY);
    assert_eq!(series.days(now).streak(None, now), 1);
    series.add(entry((7, 1)));
    assert_eq!(series.days(now).streak(None, now), 3);
}
