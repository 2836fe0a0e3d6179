//! Sequences: what they mean, against their definition read out point by point, in whatever order
//! the events arrive.

mod world;

use proptest::prelude::*;
use selvedge::event::Event;
use selvedge::profile::{Sequence, Step};
use selvedge::rule::Value;
use selvedge::time::Timestamp;
use world::{Browser, START, World};

const MINUTE: i64 = 60_000;

fn world(steps: &str, rest: &str) -> World {
    let source = format!(
        r#"{{ "format": 1, "languages": ["en"],
              "computed": {{ "it": {{ "sequence": [{steps}]{rest} }} }} }}"#
    );
    let built = selvedge::compile::workspace(&source);
    World::new(built.unwrap_or_else(|mistakes| panic!("{source}\n{mistakes:?}")))
}

fn at(minutes: i64) -> Timestamp {
    START.plus_ms(minutes * MINUTE)
}

fn event(world: &mut World, name: &str, minutes: i64, on: &str) -> Event {
    let mut event = world.event(name, &[("on", Value::String(on.into()))]);
    event.time = at(minutes);
    event
}

fn holds(world: &World, browser: &Browser, now: Timestamp) -> bool {
    let decl = world.workspace.computed.iter().find(|decl| decl.name == "it").unwrap();
    let profile = world.profile(&world.home(browser)).unwrap();
    match selvedge::decide::computed(decl, profile, now) {
        Some(Value::Bool(holds)) => holds,
        other => panic!("{other:?}"),
    }
}

fn sequence(world: &World) -> &Sequence {
    world.workspace.computed.iter().find_map(|decl| decl.sequence.as_ref()).unwrap()
}

const LEFT_BASKET: &str = r#"{ "event": "Basket Viewed" },
    { "absent": "Order Completed", "within": "30m" }"#;

#[test]
fn a_basket_is_left_once_the_time_for_the_order_is_over() {
    let mut world = world(LEFT_BASKET, r#", "for": "2h", "until": "Order Completed""#);
    let browser = world.browser("DE");
    world.agree(&browser);
    world.track(&browser, "Basket Viewed", &[]);
    let spared = |world: &World, minutes: i64| holds(world, &browser, at(minutes));
    assert!(!holds(&world, &browser, at(30).plus_ms(-1)), "she may still order");
    assert!(spared(&world, 30), "to the millisecond, and nothing happened");
    assert!(holds(&world, &browser, at(150).plus_ms(-1)));
    assert!(!spared(&world, 150), "two hours later it is of no interest");
    let profile = world.profile(&world.home(&browser)).unwrap();
    assert_eq!(sequence(&world).turns(profile, at(1)), [at(150), at(30)]);
    world.now = at(60);
    world.track(&browser, "Order Completed", &[]);
    assert!(!spared(&world, 60), "an order ends it at once");
    assert!(spared(&world, 59), "and does not change what was");
}

#[test]
fn an_order_that_arrives_late_takes_the_sequence_back() {
    let mut world = world(LEFT_BASKET, "");
    let browser = world.browser("DE");
    world.agree(&browser);
    world.track(&browser, "Basket Viewed", &[]);
    world.now = at(40);
    assert!(holds(&world, &browser, at(40)));
    let late = event(&mut world, "Order Completed", 20, "");
    world.send_events(&browser, vec![late]);
    assert!(!holds(&world, &browser, at(40)), "she had ordered within the half hour");
    let second = event(&mut world, "Basket Viewed", 35, "");
    world.send_events(&browser, vec![second]);
    assert!(!holds(&world, &browser, at(64)));
    assert!(holds(&world, &browser, at(65)), "a basket after the order counts anew");
}

#[test]
fn a_step_may_ask_for_a_value_and_numbers_are_numbers() {
    let mut world = world(
        r#"{ "event": "Product Viewed", "where": { "price": 20 } },
           { "event": "Product Added", "where": { "gift": true }, "within": "1h" }"#,
        "",
    );
    let browser = world.browser("DE");
    world.agree(&browser);
    world.track(&browser, "Product Viewed", &[("price", Value::Double(19.5))]);
    world.pass(MINUTE);
    world.track(&browser, "Product Added", &[("gift", Value::Bool(true))]);
    assert!(!holds(&world, &browser, world.now), "another price");
    world.pass(MINUTE);
    world.track(&browser, "Product Viewed", &[("price", Value::Double(20.0))]);
    world.pass(MINUTE);
    world.track(&browser, "Product Added", &[("gift", Value::Bool(false))]);
    world.track(&browser, "Product Added", &[]);
    assert!(!holds(&world, &browser, world.now), "no gift");
    world.track(&browser, "Product Added", &[("gift", Value::Bool(true))]);
    assert!(holds(&world, &browser, world.now));
}

#[test]
fn a_sequence_goes_across_the_login_of_a_device() {
    let mut world = world(LEFT_BASKET, "");
    let (mut phone, mut desk) = (world.browser("DE"), world.browser("DE"));
    world.agree(&phone);
    world.agree(&desk);
    world.track(&phone, "Basket Viewed", &[]);
    world.login(&mut phone, "C-0001");
    world.login(&mut desk, "C-0001");
    assert!(holds(&world, &desk, at(30)), "seen on the phone, left for good");
    world.now = at(20);
    world.track(&desk, "Order Completed", &[]);
    assert!(!holds(&world, &phone, at(30)), "ordered at the desk");
}

/// Whether step `nth` is reached at `t`, word for word as `src/profile/sequence.rs` defines it.
fn reached(steps: &[Step], nth: usize, t: i64, events: &[(usize, i64, bool)]) -> bool {
    let step = &steps[nth];
    let happens = |t: i64| {
        events.iter().any(|(name, at, on)| {
            NAMES[*name] == step.event && *at == t && (step.equals.is_none() || *on)
        })
    };
    if nth == 0 {
        return happens(t);
    }
    let within = step.within_ms.map(|ms| ms / MINUTE);
    if step.absent {
        let from = t - within.unwrap();
        return reached(steps, nth - 1, from, events) && !(from + 1..=t).any(happens);
    }
    let first = within.map_or(0, |within| (t - within).max(0));
    happens(t) && (first..t).any(|from| reached(steps, nth - 1, from, events))
}

const NAMES: [&str; 3] = ["A", "B", "C"];
const END: i64 = 40;

fn naive(sequence: &Sequence, events: &[(usize, i64, bool)], now: i64) -> bool {
    let past: Vec<_> = events.iter().filter(|(_, at, _)| *at <= now).copied().collect();
    let last =
        (0..=now).rev().find(|t| reached(&sequence.steps, sequence.steps.len() - 1, *t, &past));
    let Some(last) = last else { return false };
    let is_end = |name: &str| sequence.until.as_deref() == Some(name);
    let ended = past.iter().any(|(name, at, _)| is_end(NAMES[*name]) && *at > last);
    !ended && sequence.for_ms.is_none_or(|ms| now - last < ms / MINUTE)
}

fn step() -> impl Strategy<Value = (usize, bool, Option<u8>, bool)> {
    (0..3_usize, any::<bool>(), prop::option::of(1..8_u8), any::<bool>())
}

fn written((name, absent, within, on): &(usize, bool, Option<u8>, bool), is_first: bool) -> String {
    let absent = *absent && !is_first;
    let word = if absent { "absent" } else { "event" };
    let within = within.or(absent.then_some(3)).filter(|_| !is_first);
    let within = within.map_or(String::new(), |within| format!(r#", "within": "{within}m""#));
    let on = if *on { r#", "where": { "on": "yes" }"# } else { "" };
    format!(r#"{{ "{word}": "{}"{within}{on} }}"#, NAMES[*name])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Whatever the steps, the events and their order of arrival: at every minute the answer
    /// is the definition's, and every change without an event was foretold.
    #[test]
    fn a_sequence_is_what_its_definition_says(
        steps in prop::collection::vec(step(), 2..5),
        ends in (prop::option::of(1..9_u8), prop::option::of(0..3_usize)),
        events in prop::collection::vec((0..3_usize, 0..END, any::<bool>()), 0..24),
    ) {
        let steps: Vec<String> =
            steps.iter().enumerate().map(|(at, step)| written(step, at == 0)).collect();
        let (lasting, until) = ends;
        let lasting = lasting.map_or(String::new(), |m| format!(r#", "for": "{m}m""#));
        let until = until.map_or(String::new(), |at| format!(r#", "until": "{}""#, NAMES[at]));
        let mut world = world(&steps.join(", "), &format!("{lasting}{until}"));
        let browser = world.browser("DE");
        world.agree(&browser);
        world.now = at(END);
        for (name, minutes, on) in &events {
            let on = if *on { "yes" } else { "no" };
            let one = event(&mut world, NAMES[*name], *minutes, on);
            world.send_events(&browser, vec![one]);
        }
        let sequence = sequence(&world);
        for now in 0..2 * END {
            let found = holds(&world, &browser, at(now));
            prop_assert_eq!(found, naive(sequence, &events, now), "at minute {}", now);
        }
        let profile = world.profile(&world.home(&browser)).unwrap();
        let turns = sequence.turns(profile, at(END));
        for now in END + 1..2 * END {
            if holds(&world, &browser, at(now)) != holds(&world, &browser, at(now - 1)) {
                prop_assert!(turns.contains(&at(now)), "no one foretold minute {}", now);
            }
        }
        prop_assert!(turns.iter().all(|turn| *turn > at(END)));
    }
}

#[test]
fn mistakes_in_a_sequence_are_told_where_they_stand() {
    const TWO: &str = r#"{ "event": "Viewed" }, { "event": "Bought" }"#;
    let told = |one: &selvedge::compile::Mistake| {
        format!("{} {}", one.code, one.path.trim_start_matches("computed.it."))
    };
    let read = |computed: &str| {
        let source = format!(
            r#"{{ "format": 1, "languages": ["en"],
                  "events": {{ "Viewed": {{ "price": "double" }}, "Bought": {{}} }},
                  "computed": {{ "it": {computed} }} }}"#
        );
        let mistakes = selvedge::compile::workspace(&source).unwrap_err();
        mistakes.into_iter().map(|one| told(&one)).collect::<Vec<_>>()
    };
    let steps = |steps: &str| format!(r#"{{ "sequence": [{steps}] }}"#);
    let then_bought = |first: &str| steps(&format!(r#"{first}, {{ "event": "Bought" }}"#));
    let viewed_then = |second: &str| steps(&format!(r#"{{ "event": "Viewed" }}, {second}"#));
    let with = |rest: &str| format!(r#"{{ "sequence": [{TWO}], {rest} }}"#);
    for (computed, told) in [
        (steps(""), "bad_sequence sequence"),
        (steps(r#"{ "event": "Viewed" }"#), "bad_sequence sequence"),
        (steps(&[r#"{ "event": "Viewed" }"#; 9].join(", ")), "bad_sequence sequence"),
        (then_bought(r#"{ "absent": "Viewed", "within": "1h" }"#), "bad_sequence sequence[0]"),
        (
            then_bought(r#"{ "event": "Viewed", "within": "1h" }"#),
            "bad_sequence sequence[0].within",
        ),
        (then_bought(r#"{ "where": { "price": 1 } }"#), "bad_sequence sequence[0]"),
        (viewed_then(r#"{ "absent": "Bought" }"#), "bad_sequence sequence[1]"),
        (viewed_then(r#"{ "event": "Bougth" }"#), "unknown_event sequence[1].event"),
        (
            then_bought(r#"{ "event": "Viewed", "where": { "prise": 1 } }"#),
            "unknown_property sequence[0].where.prise",
        ),
        (
            then_bought(r#"{ "event": "Viewed", "where": { "price": "1" } }"#),
            "wrong_type sequence[0].where.price",
        ),
        (then_bought(r#"{ "event": "Viewed", "where": {} }"#), "bad_sequence sequence[0].where"),
        (with(r#""for": "soon""#), "bad_duration for"),
        (with(r#""until": "Sold""#), "unknown_event until"),
        (with(r#""window": "1h""#), "bad_computed window"),
        (r#"{ "count": "Viewed", "for": "1h" }"#.to_owned(), "bad_computed for"),
    ] {
        assert_eq!(read(&computed), [told], "{computed}");
    }
}

#[test]
fn a_misspelt_property_is_pointed_at_and_put_right() {
    let source = r#"{ "format": 1, "languages": ["en"],
        "events": { "Viewed": { "price": "double" } },
        "computed": { "it": { "sequence": [
            { "event": "Viewed", "where": { "prise": 1 } }, { "event": "Viewed" } ] } } }"#;
    let mistakes = selvedge::compile::workspace(source).unwrap_err();
    let [mistake] = &mistakes[..] else { panic!("{mistakes:?}") };
    let place = |number: u32| usize::try_from(number).unwrap() - 1;
    let line = source.lines().nth(place(mistake.line)).unwrap();
    assert!(line[place(mistake.column)..].starts_with(r#""prise""#), "{mistake:?}");
    assert_eq!(mistake.suggestion.as_deref(), Some("price"));
}
