//! Audiences as they are kept: who enters and leaves is told once, with the reason, when it
//! happens, though nothing but time may have passed.

mod world;

use std::collections::BTreeSet;

use proptest::prelude::*;
use selvedge::consent::Purpose;
use selvedge::engine::{Input, Placements, Reply};
use selvedge::ids::ProfileName;
use selvedge::rule::Value;
use selvedge::time::Timestamp;
use selvedge::wire::{ChangeBody, Fact};
use world::{Browser, DAY, HOUR, START, World};

const MINUTE: i64 = 60_000;

fn world_of(audiences: &str) -> World {
    World::new(workspace(audiences))
}

fn workspace(audiences: &str) -> selvedge::workspace::Workspace {
    let source = format!(
        r#"{{ "format": 1, "languages": ["en"],
              "traits": {{ "tier": {{ "type": "string" }}, "until": {{ "type": "timestamp" }} }},
              "computed": {{
                "left": {{ "sequence": [ {{ "event": "Basket Viewed" }},
                    {{ "absent": "Order Completed", "within": "30m" }} ],
                    "for": "2h", "until": "Order Completed" }},
                "worth": {{ "sum": "Basket Viewed", "property": "value" }},
                "run": {{ "streak": "Order Completed", "window": "36h" }},
                "seen": {{ "last": "Basket Viewed", "property": "at", "type": "timestamp" }}
              }},
              "audiences": {{ {audiences} }} }}"#
    );
    let built = selvedge::compile::workspace(&source);
    built.unwrap_or_else(|mistakes| panic!("{source}\n{mistakes:?}"))
}

/// One entry or exit as it was queued.
#[derive(Clone, Debug, PartialEq)]
struct Move {
    time: Timestamp,
    event: String,
    audience: String,
    reason: String,
    events: Vec<Value>,
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => panic!("{other:?}"),
    }
}

fn moves(world: &World, name: &ProfileName) -> Vec<Move> {
    let Some(object) = world.objects.get(name) else { return Vec::new() };
    let events = object.queue.iter().filter_map(|row| match &row.fact {
        Fact::Event { event, .. } if event.name.starts_with("Audience ") => Some((row, event)),
        _ => None,
    });
    events
        .map(|(row, event)| {
            assert_eq!(event.id, format!("audience-{}-{}", row.producer, row.seq));
            Move {
                time: event.time,
                event: event.name.clone(),
                audience: text(&event.properties["audience_key"]),
                reason: text(&event.properties["reason"]),
                events: match event.properties.get("events") {
                    Some(Value::List(names)) => names.clone(),
                    _ => Vec::new(),
                },
            }
        })
        .collect()
}

/// The same in short: `+loyal event`.
fn told(world: &World, name: &ProfileName) -> Vec<String> {
    let short = |one: Move| {
        let sign = if one.event == "Audience Entered" { '+' } else { '-' };
        format!("{sign}{} {}", one.audience, one.reason)
    };
    moves(world, name).into_iter().map(short).collect()
}

fn kept(world: &World, name: &ProfileName) -> BTreeSet<String> {
    let profile = world.profile(name);
    profile.map_or_else(BTreeSet::new, |one| one.memberships.since.keys().cloned().collect())
}

const LEFT: &str = r#""left_basket": { "when": "profile.left" },
    "buyers": { "when": "count('Order Completed') > 0" },
    "here": { "when": "request.path == '/'" }"#;

#[test]
fn time_alone_brings_somebody_into_an_audience_and_an_order_takes_her_out() {
    let mut world = world_of(LEFT);
    let browser = world.browser("DE");
    world.agree(&browser);
    world.track(&browser, "Basket Viewed", &[]);
    let home = world.home(&browser);
    world.wait(30 * MINUTE - 1);
    assert!(moves(&world, &home).is_empty());
    world.wait(1);
    let entered = moves(&world, &home).pop().unwrap();
    assert_eq!(entered.time, START.plus_ms(30 * MINUTE));
    assert_eq!((entered.audience.as_str(), entered.reason.as_str()), ("left_basket", "time"));
    world.wait(MINUTE);
    world.track(&browser, "Order Completed", &[]);
    assert_eq!(
        told(&world, &home),
        ["+left_basket time", "-left_basket event", "+buyers event"],
        "an audience over requests is nobody's to be in"
    );
    let caused = moves(&world, &home).pop().unwrap();
    assert_eq!(caused.events, [Value::String("Order Completed".into())]);
    assert_eq!(kept(&world, &home), ["buyers".to_owned()].into());
}

#[test]
fn what_nobody_ends_ends_by_itself_and_nothing_is_asked_afterwards() {
    let mut world = world_of(LEFT);
    let browser = world.browser("DE");
    world.agree(&browser);
    world.track(&browser, "Basket Viewed", &[]);
    let home = world.home(&browser);
    world.wait(DAY);
    assert_eq!(told(&world, &home), ["+left_basket time", "-left_basket time"]);
    let times: Vec<Timestamp> = moves(&world, &home).iter().map(|one| one.time).collect();
    assert_eq!(times, [START.plus_ms(30 * MINUTE), START.plus_ms(150 * MINUTE)]);
    assert_eq!(world.objects[&home].state.wake(), None);
    let wakes = world.steps.iter().filter(|step| step.input == Input::Wake).count();
    assert_eq!(wakes, 2, "it was woken when something changed, and never else");
}

#[test]
fn a_late_wake_notices_what_it_missed_before_the_next_event_does() {
    let mut world = world_of(LEFT);
    let browser = world.browser("DE");
    world.agree(&browser);
    world.track(&browser, "Basket Viewed", &[]);
    world.pass(40 * MINUTE);
    world.track(&browser, "Order Completed", &[]);
    let home = world.home(&browser);
    assert_eq!(told(&world, &home), ["+left_basket time", "-left_basket event", "+buyers event"]);
}

#[test]
fn without_consent_nobody_is_in_anything() {
    let mut world = world_of(&format!(r#""all": {{ "when": "true" }}, {LEFT}"#));
    let browser = world.browser("DE");
    let home = world.home(&browser);
    world.track(&browser, "Basket Viewed", &[]);
    assert_eq!(kept(&world, &home), BTreeSet::new());
    world.choose(&browser, &[(Purpose::Store, true)]);
    assert_eq!(kept(&world, &home), BTreeSet::new());
    world.choose(&browser, &[(Purpose::Profile, true)]);
    assert_eq!(told(&world, &home), ["+all consent"]);
    world.track(&browser, "Basket Viewed", &[]);
    assert!(world.objects[&home].state.wake().is_some());
    world.choose(&browser, &[(Purpose::Profile, false)]);
    assert_eq!(kept(&world, &home), BTreeSet::new());
    assert_eq!(told(&world, &home), Vec::<String>::new(), "what was queued went with it");
    assert_eq!(world.objects[&home].state.wake(), None);
    world.wait(DAY);
    assert_eq!(told(&world, &home), Vec::<String>::new());
}

#[test]
fn what_the_browser_denied_last_holds_while_nobody_speaks() {
    let mut world = world_of(LEFT);
    let mut browser = world.browser("US");
    world.track(&browser, "Basket Viewed", &[]);
    let home = world.home(&browser);
    assert!(world.objects[&home].state.wake().is_some(), "allowed by the region's default");
    browser.signals.denied = browser.signals.denied.with(Purpose::Profile);
    world.wait(MINUTE);
    world.track(&browser, "Product Viewed", &[]);
    let wakes = |world: &World| world.steps.iter().filter(|one| one.input == Input::Wake).count();
    world.wait(DAY);
    assert_eq!((wakes(&world), told(&world, &home).len()), (0, 0));
    browser.signals.denied = browser.signals.denied.without(Purpose::Profile);
    world.track(&browser, "Basket Viewed", &[]);
    world.wait(30 * MINUTE);
    assert_eq!(told(&world, &home), ["+left_basket time"]);
}

#[test]
fn what_the_browser_denied_last_holds_for_changes_of_the_central_store() {
    let gold = r#""gold": { "when": "profile.tier == 'gold'" }"#;
    for denies in [false, true] {
        let mut world = world_of(gold);
        let mut browser = world.browser("DE");
        world.agree(&browser);
        world.login(&mut browser, "C-0001");
        if denies {
            browser.signals.denied = browser.signals.denied.with(Purpose::Profile);
        }
        world.track(&browser, "Product Viewed", &[]);
        let person = world.home(&browser);
        world.crm(&person, "tier", Value::String("gold".into()));
        let told = told(&world, &person);
        assert_eq!(told.len(), usize::from(!denies), "{told:?}");
    }
}

#[test]
fn a_login_moves_what_a_device_was_in_to_the_person() {
    let mut world = world_of(LEFT);
    let mut browser = world.browser("DE");
    world.agree(&browser);
    world.track(&browser, "Order Completed", &[]);
    let device = world.home(&browser);
    world.login(&mut browser, "C-0001");
    let person = world.home(&browser);
    assert_eq!(told(&world, &device), ["+buyers event", "-buyers moved"]);
    assert_eq!(told(&world, &person), ["+buyers login"]);
    assert_eq!(world.objects[&device].state.wake(), None);
}

#[test]
fn the_central_store_brings_people_in_and_an_erasure_ends_everything() {
    let mut world = world_of(
        r#""gold": { "when": "profile.tier == 'gold'" },
           "valid": { "when": "now < profile.until" }"#,
    );
    let mut browser = world.browser("DE");
    world.agree(&browser);
    world.login(&mut browser, "C-0001");
    let person = world.home(&browser);
    world.crm(&person, "tier", Value::String("gold".into()));
    world.crm(&person, "until", Value::Timestamp(START.plus_ms(HOUR).0));
    assert_eq!(told(&world, &person), ["+gold change", "+valid change"]);
    world.wait(2 * HOUR);
    let left = moves(&world, &person).pop().unwrap();
    assert_eq!((left.event.as_str(), left.time), ("Audience Exited", START.plus_ms(HOUR)));
    world.crm(&person, "until", Value::Timestamp(world.now.plus_ms(HOUR).0));
    let time = world.now;
    world.change(&person, ChangeBody::Erase { time });
    world.wait(DAY);
    assert_eq!(world.objects[&person].state.wake(), None);
    assert_eq!(told(&world, &person), Vec::<String>::new());
}

#[test]
fn a_new_workspace_is_noticed_at_the_next_call_or_wake() {
    let mut world = world_of(LEFT);
    let browser = world.browser("DE");
    world.agree(&browser);
    world.track(&browser, "Order Completed", &[]);
    let home = world.home(&browser);
    world.workspace = workspace(r#""customers": { "when": "count('Order Completed') > 0" }"#);
    world.track(&browser, "Product Viewed", &[]);
    assert_eq!(told(&world, &home), ["+buyers event", "-buyers workspace", "+customers workspace"]);
    world.workspace = workspace("");
    world.track(&browser, "Product Viewed", &[]);
    assert_eq!(told(&world, &home).pop().unwrap(), "-customers workspace");
}

#[test]
fn nobody_sends_an_entry_from_outside() {
    let mut world = world_of(LEFT);
    let browser = world.browser("DE");
    world.agree(&browser);
    let entered = [("audience_key", Value::String("buyers".into()))];
    match world.track(&browser, "Audience Entered", &entered) {
        Reply::Events { kept: 0, dropped, .. } => assert_eq!(dropped["reserved_event"], 1),
        other => panic!("{other:?}"),
    }
    assert_eq!(told(&world, &world.home(&browser)), Vec::<String>::new());
}

#[test]
fn more_entries_than_one_turn_takes_follow_in_the_next() {
    let many: Vec<String> =
        (0..450).map(|at| format!(r#""a{at:03}": {{ "when": "true" }}"#)).collect();
    let mut world = world_of(&many.join(", "));
    let browser = world.browser("DE");
    world.agree(&browser);
    let home = world.home(&browser);
    assert_eq!(moves(&world, &home).len(), 200);
    world.wait(1);
    assert_eq!(moves(&world, &home).len(), 450);
    assert_eq!(world.objects[&home].state.wake(), None);
}

#[test]
fn many_points_in_time_are_looked_at_a_few_at_a_time() {
    let mut world = world_of(r#""busy": { "when": "count('Basket Viewed', hours(9)) >= 2" }"#);
    let browser = world.browser("DE");
    world.agree(&browser);
    for _ in 0..60 {
        world.track(&browser, "Basket Viewed", &[]);
        world.wait(MINUTE);
    }
    let home = world.home(&browser);
    world.wait(DAY);
    let left = moves(&world, &home).pop().unwrap();
    assert_eq!(left.event, "Audience Exited");
    assert_eq!(left.time, START.plus_ms(9 * HOUR + 58 * MINUTE), "when the last but one is over");
    let wakes = world.steps.iter().filter(|step| step.input == Input::Wake).count();
    assert!((2..=8).contains(&wakes), "{wakes}: some wakes look further, not one for each event");
}

#[test]
fn more_times_and_lengths_than_are_added_up_are_looked_at_every_hour() {
    let many: Vec<String> =
        (1..=4_200).map(|at| format!("now - profile.seen > minutes({})", 600 + at)).collect();
    let parts = many.chunks(100).enumerate();
    let some =
        parts.map(|(at, part)| format!(r#""a{at:02}": {{ "when": "{}" }}"#, part.join(" || ")));
    let mut world = world_of(&some.collect::<Vec<_>>().join(", "));
    let browser = world.browser("DE");
    world.agree(&browser);
    world.track(&browser, "Basket Viewed", &[("at", Value::Timestamp(START.0))]);
    let home = world.home(&browser);
    assert_eq!(world.objects[&home].state.wake(), Some(START.plus_ms(HOUR)));
    world.wait(12 * HOUR);
    let entered = moves(&world, &home);
    let first = entered.first().unwrap();
    assert!(first.time.since_ms(START) > 601 * MINUTE, "{first:?}");
    assert!(first.time.since_ms(START) <= 601 * MINUTE + HOUR, "{first:?}");
    assert_eq!(kept(&world, &home), live(&mut world, &browser));
}

/// Conditions that time moves in every way that is promised to be noticed.
const CONDITIONS: [&str; 18] = [
    "profile.left",
    "count('Basket Viewed', minutes(7)) >= 2",
    "count('Basket Viewed', hours(30)) > 1 && !inAudience('a00')",
    "sum('Basket Viewed', 'value', minutes(20)) < 3.0",
    "recency('Basket Viewed') > minutes(5)",
    "recency('Basket Viewed') <= minutes(3) || profile.tier == 'gold'",
    "now > timestamp('2026-11-22T16:13:00Z')",
    "now < timestamp('2026-11-22T18:00:00Z') && now >= timestamp('2026-11-22T17:59:30Z')",
    "now - profile.seen > minutes(9)",
    "now - minutes(2) < profile.seen + minutes(3)",
    "profile.seen + hours(25) <= now",
    "now.getMinutes() >= 30",
    "now.getHours('+05:45') == 10 || now.getDayOfWeek() == 1",
    "streak('Order Completed') >= 2",
    "profile.run >= 2",
    "distinct('Basket Viewed', 'value', minutes(11)) == 2",
    "last('Basket Viewed', 'value', minutes(4)) > 1.0",
    "!(now > profile.seen) || recency('Order Completed') > days(1)",
];

fn live(world: &mut World, browser: &Browser) -> BTreeSet<String> {
    let (speaker, placements) = (world.speaker(browser), Placements::Named(Vec::new()));
    let input = Input::Explain { speaker, placements, request: world::request() };
    match world.send(&world.home(browser), input) {
        Reply::Explained(explained) => explained.profile.audiences.into_iter().collect(),
        other => panic!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 250, ..ProptestConfig::default() })]

    /// At every moment the kept audiences are those that a decision sees, and what time changed was
    /// noticed in the millisecond in which it changed.
    #[test]
    fn kept_audiences_are_what_a_decision_sees(
        picked in prop::collection::btree_set(0..CONDITIONS.len(), 1..5),
        steps in prop::collection::vec((0..5_usize, 0..4_i64, 0..6_usize), 1..14),
    ) {
        let picked: Vec<String> = picked
            .into_iter()
            .map(|at| format!(r#""a{at:02}": {{ "when": "{}" }}"#, CONDITIONS[at]))
            .collect();
        let mut text = picked.join(", ");
        if text.contains("inAudience('a00')") && !text.contains(r#""a00""#) {
            text = format!(r#""a00": {{ "when": "profile.left" }}, {text}"#);
        }
        let mut world = world_of(&text);
        let browser = world.browser("DE");
        world.agree(&browser);
        let home = world.home(&browser);
        for (pause, value, event) in steps {
            let pause = [1, 40_000, 7 * MINUTE, 3 * HOUR, DAY][pause];
            world.wait(pause);
            prop_assert_eq!(kept(&world, &home), live(&mut world, &browser), "{}", world.now.0);
            let at = ("at", Value::Timestamp(world.now.0));
            let worth = ("value", Value::Double(value as f64));
            match event {
                0..3 => drop(world.track(&browser, "Basket Viewed", &[at, worth])),
                3 | 5 => drop(world.track(&browser, "Order Completed", &[])),
                4 => drop(world.track(&browser, "Basket Viewed", &[worth])),
                _ => {}
            }
            prop_assert_eq!(kept(&world, &home), live(&mut world, &browser), "{}", world.now.0);
        }
        // Nothing happens any more: a step at a time, each change is noticed where it lies.
        let told = moves(&world, &home).len();
        let mut seen = kept(&world, &home);
        for _ in 0..48 {
            world.wait(47 * MINUTE + 333);
            prop_assert_eq!(kept(&world, &home), live(&mut world, &browser), "{}", world.now.0);
        }
        let end = world.now;
        for one in moves(&world, &home).split_off(told) {
            world.now = one.time.plus_ms(-1);
            prop_assert_eq!(&live(&mut world, &browser), &seen, "before {:?}", one);
            world.now = one.time;
            let now = live(&mut world, &browser);
            prop_assert!(now != seen, "nothing changed at {:?}", one);
            prop_assert_eq!(now.contains(&one.audience), one.event == "Audience Entered");
            let last = moves(&world, &home).into_iter().rfind(|two| two.time == one.time);
            if last.as_ref() == Some(&one) {
                seen = now;
            }
        }
        world.now = end;
    }
}
