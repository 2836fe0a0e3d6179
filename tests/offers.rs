//! Offers: caps, cool-downs, budgets, fallbacks and languages, told as they happen to a visitor.

mod world;

use selvedge::limits;
use selvedge::rule::Value;
use world::{Browser, DAY, HOUR, World};

/// A workspace with `offers` for the placements `hero` (edge) and `tip` (page).
fn source(offers: &str) -> String {
    format!(
        r#"{{"format": 1, "languages": ["en", "de", "de-at"],
        "placements": {{"hero": {{}}, "aside": {{}}, "tip": {{"where": "page"}}}},
        "offers": {{{offers}}}}}"#
    )
}

/// One offer for the hero with these fields, above a plain one.
fn with(fields: &str) -> String {
    source(&format!(
        r#""special": {{"placements": ["hero"], "priority": 10, {fields},
            "content": {{"en": {{"headline": "special"}}}}}},
        "plain": {{"placements": ["hero"], "content": {{"en": {{"headline": "plain"}}}}}}"#
    ))
}

fn world(source: &str) -> World {
    World::new(selvedge::compile::workspace(source).unwrap_or_else(|mistakes| {
        panic!("{mistakes:#?}");
    }))
}

fn codes(source: &str) -> Vec<String> {
    let mistakes = selvedge::compile::workspace(source).err().unwrap_or_default();
    mistakes.iter().map(|mistake| mistake.code.to_string()).collect()
}

fn agreed(world: &mut World) -> Browser {
    let browser = world.browser("DE");
    world.agree(&browser);
    browser
}

fn report(world: &mut World, browser: &Browser, what: &str, offer: &str) {
    world.track(browser, what, &[("promotion_id", Value::String(offer.into()))]);
}

fn capped(per: &str, window: &str, on: &str, max: u32) -> String {
    with(&format!(
        r#""caps": [{{"per": "{per}", "window": "{window}", "on": "{on}", "max": {max}}}]"#
    ))
}

#[test]
fn a_cap_counts_its_own_kind_of_contact() {
    let kinds = [
        ("impression", "Promotion Viewed"),
        ("click", "Promotion Clicked"),
        ("dismissal", "Promotion Dismissed"),
    ];
    for (on, event) in kinds {
        let mut world = world(&capped("person", "ever", on, 2));
        let browser = agreed(&mut world);
        for (other, event) in kinds {
            if other != on {
                report(&mut world, &browser, event, "special");
                report(&mut world, &browser, event, "special");
            }
        }
        report(&mut world, &browser, event, "special");
        assert_eq!(world.offer(&browser, "hero"), "special", "one {on} of two");
        report(&mut world, &browser, event, "special");
        assert_eq!(world.offer(&browser, "hero"), "plain", "two times {on}");
        world.pass(400 * DAY);
        assert_eq!(world.offer(&browser, "hero"), "plain", "{on}, and ever is ever");
    }
}

#[test]
fn a_day_and_a_week_slide() {
    for (window, length) in [("day", DAY), ("week", 7 * DAY)] {
        let mut world = world(&capped("person", window, "impression", 1));
        let browser = agreed(&mut world);
        report(&mut world, &browser, "Promotion Viewed", "special");
        world.pass(length);
        assert_eq!(world.offer(&browser, "hero"), "plain", "at the end of the {window}");
        world.pass(1);
        assert_eq!(world.offer(&browser, "hero"), "special", "after the {window}");
    }
}

#[test]
fn a_session_ends_with_a_pause_and_not_only_with_the_next_event() {
    let mut world = world(&capped("person", "session", "impression", 1));
    let browser = agreed(&mut world);
    report(&mut world, &browser, "Promotion Viewed", "special");
    world.pass(limits::SESSION_MS);
    assert_eq!(world.offer(&browser, "hero"), "plain", "the session goes on");
    world.pass(1);
    assert_eq!(world.offer(&browser, "hero"), "special", "nothing was said since");
    world.track(&browser, "Page Viewed", &[]);
    assert_eq!(world.offer(&browser, "hero"), "special", "in the next session");
}

#[test]
fn a_device_counts_for_itself_and_a_person_for_all_of_hers() {
    for (per, elsewhere) in [("device", "special"), ("person", "plain")] {
        let mut world = world(&capped(per, "ever", "impression", 1));
        let (mut phone, mut laptop) = (agreed(&mut world), agreed(&mut world));
        world.login(&mut phone, "C-1");
        world.login(&mut laptop, "C-1");
        report(&mut world, &phone, "Promotion Viewed", "special");
        assert_eq!(world.offer(&phone, "hero"), "plain");
        assert_eq!(world.offer(&laptop, "hero"), elsewhere, "per {per}");
    }
}

#[test]
fn a_click_is_remembered_behind_any_number_of_impressions() {
    let mut world = world(&capped("person", "ever", "click", 1));
    let browser = agreed(&mut world);
    report(&mut world, &browser, "Promotion Clicked", "special");
    for _ in 0..limits::HISTORY_TIMES + 50 {
        world.pass(1);
        report(&mut world, &browser, "Promotion Viewed", "special");
    }
    assert_eq!(world.offer(&browser, "hero"), "plain");
    let seen = &world.profile(&world.home(&browser)).unwrap().history["special"];
    assert_eq!(seen.len(), limits::HISTORY_TIMES + 1, "and no more is kept than is counted");
}

#[test]
fn a_dismissed_offer_stays_away_for_its_cool_down() {
    let mut world = world(&with(r#""coolDown": "3d""#));
    let browser = agreed(&mut world);
    report(&mut world, &browser, "Promotion Dismissed", "special");
    assert_eq!(world.offer(&browser, "hero"), "plain");
    world.pass(3 * DAY - 1);
    assert_eq!(world.offer(&browser, "hero"), "plain");
    world.pass(1);
    assert_eq!(world.offer(&browser, "hero"), "special");
}

#[test]
fn a_recurring_window_follows_the_clocks_of_its_zone() {
    // The world begins on Sunday, 2026-11-22, at 16:00 UTC: 17:00 in Berlin.
    let weekly = r#""schedule": {"zone": "Europe/Berlin",
        "weekly": [{"days": ["mon"], "from": "09:00", "until": "17:00"}]}"#;
    let mut world = world(&with(weekly));
    let browser = agreed(&mut world);
    let mut at = |hours: i64, ms: i64| {
        let start = world.now;
        world.pass(hours * HOUR + ms);
        let offer = world.offer(&browser, "hero");
        world.now = start;
        offer
    };
    assert_eq!(at(16, -1), "plain");
    assert_eq!(at(16, 0), "special");
    assert_eq!(at(24, -1), "special");
    assert_eq!(at(24, 0), "plain");
    // In the summer the same hours are one hour earlier in UTC: Monday, 2027-06-28.
    assert_eq!(at(217 * 24 + 15, 0), "special");
    assert_eq!(at(217 * 24 + 23, 0), "plain");
}

#[test]
fn mistakes_in_caps_are_found_when_published() {
    assert_eq!(codes(&capped("person", "day", "impression", 0)), ["cap_of_zero"]);
    assert_eq!(codes(&capped("person", "day", "impression", 101)), ["out_of_range"]);
    assert_eq!(codes(&capped("crowd", "day", "impression", 1)), ["unknown_per"]);
    assert_eq!(codes(&capped("person", "year", "impression", 1)), ["unknown_window"]);
    assert_eq!(codes(&capped("person", "day", "view", 1)), ["unknown_contact"]);
}

#[test]
fn mistakes_in_budgets_are_found_when_published() {
    let of = |budget: &str| codes(&with(&format!("\"budget\": {budget}")));
    assert_eq!(
        of(r#"{"max": 10000, "on": "click", "per": "day", "zone": "Europe/Berlin"}"#),
        [""; 0]
    );
    assert_eq!(of(r#"{"max": 0, "on": "click", "per": "ever"}"#), ["budget_of_zero"]);
    assert_eq!(of(r#"{"max": -1, "on": "click", "per": "ever"}"#), ["out_of_range"]);
    assert_eq!(of(r#"{"max": 1e400, "on": "click", "per": "ever"}"#).len(), 1);
    assert_eq!(of(r#"{"max": 1, "on": "dismissal", "per": "ever"}"#), ["unknown_contact"]);
    assert_eq!(of(r#"{"max": 1, "on": "click", "per": "week"}"#), ["unknown_period"]);
    assert_eq!(of(r#"{"max": 1, "on": "click"}"#), ["missing_field"]);
    let zoned = of(r#"{"max": 1, "on": "click", "per": "ever", "zone": "Europe/Berlin"}"#);
    assert_eq!(zoned, ["zone_without_days"]);
    let unknown = of(r#"{"max": 1, "on": "click", "per": "day", "zone": "Europe/Berlim"}"#);
    assert_eq!(unknown, ["unknown_zone"]);
}

#[test]
fn a_page_is_told_of_no_budget() {
    let budget = r#""budget": {"max": 31337, "on": "impression", "per": "ever"}"#;
    let workspace = selvedge::compile::workspace(&with(budget)).unwrap();
    assert_eq!(workspace.budgets.len(), 1);
    let loaded =
        selvedge::workspace::Workspace::from_bytes(&workspace.to_bytes().unwrap()).unwrap();
    assert_eq!(loaded.budgets, workspace.budgets);
    let page = workspace.for_page().to_bytes().unwrap();
    let page = selvedge::workspace::Workspace::from_bytes(&page).unwrap();
    assert!(page.budgets.is_empty());
}
