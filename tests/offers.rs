//! Offers: caps, cool-downs, budgets, fallbacks and languages, told as they happen to a visitor.

mod world;

use selvedge::budget::Spent;
use selvedge::decide::Decision;
use selvedge::engine::{Circumstances, Input, Placements, Reply};
use selvedge::limits;
use selvedge::rule::Value;
use selvedge::slice::Slice;
use world::{Browser, DAY, HOUR, World, request};

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

/// Decides these placements in one call, with a trace, under circumstances.
fn decide(
    world: &mut World,
    browser: &Browser,
    placements: &[&str],
    circumstances: &Circumstances,
    language: &str,
) -> Vec<Decision> {
    let mut fields = request();
    fields.0.insert("language".into(), language.into());
    let question = Input::Decide {
        speaker: world.speaker(browser),
        placements: Placements::Named(placements.iter().map(|name| (*name).into()).collect()),
        request: fields,
        trace: true,
    };
    let circumstances = circumstances.clone();
    let input = Input::Under { circumstances, question: Box::new(question) };
    match world.send(&world.home(browser), input) {
        Reply::Decisions(page) => page.decisions,
        other => panic!("{other:?}"),
    }
}

fn code<'d>(decision: &'d Decision, offer: &str) -> (&'d str, &'d str) {
    let line = decision.trace.iter().find(|line| line.offer == offer).unwrap();
    (&line.code, &line.sentence)
}

fn spent(world: &World, offers: &[&str]) -> Circumstances {
    let offers = offers.iter().map(|offer| ((*offer).to_owned(), None)).collect();
    let spent = Spent { as_of: world.now, offers }.indexed(&world.workspace).at(world.now);
    Circumstances { spent, ..Circumstances::default() }
}

#[test]
fn a_spent_offer_is_left_out_here_and_in_the_page() {
    let budget = r#""budget": {"max": 10000, "on": "impression", "per": "day"}"#;
    let source = with(budget).replace("[\"hero\"]", "[\"hero\", \"tip\"]");
    let mut world = world(&source);
    let browser = agreed(&mut world);
    let open = Circumstances::default();
    assert_eq!(
        decide(&mut world, &browser, &["hero"], &open, "en")[0].offer.as_deref(),
        Some("special")
    );
    let around = spent(&world, &["special", "gone"]);
    assert_eq!(around.spent.len(), 1, "an offer that the workspace no longer has is none");
    let decision = &decide(&mut world, &browser, &["hero"], &around, "en")[0];
    assert_eq!(decision.offer.as_deref(), Some("plain"));
    let sentence = "its budget of 10000 impressions a day is spent";
    assert_eq!(code(decision, "special"), ("budget_spent", sentence));
    for (circumstances, offer) in [(open, "special"), (around, "plain")] {
        let speaker = world.speaker(&browser);
        let question = Box::new(Input::Slice { speaker, request: request() });
        let input = Input::Under { circumstances, question };
        let Reply::Slice(slice) = world.send(&world.home(&browser), input) else {
            panic!("no slice")
        };
        let slice = Slice::from_bytes(&slice.to_bytes()).unwrap();
        assert_eq!(slice.expires.since_ms(world.now), limits::BUDGET_SLICE_MS);
        let page = world.workspace.for_page();
        let here = slice.decide(&page, &request(), world.now, "tip", &[], false);
        assert_eq!(here.offer.as_deref(), Some(offer));
    }
}

#[test]
fn a_day_that_is_over_opens_an_offer_whatever_the_central_store_says_later() {
    let world = world(&with(r#""budget": {"max": 1, "on": "click", "per": "day"}"#));
    let midnight = world.now.plus_ms(8 * HOUR);
    let spent = Spent { as_of: world.now, offers: [("special".into(), Some(midnight))].into() };
    let spent = spent.indexed(&world.workspace);
    let at = |ms: i64| spent.at(midnight.plus_ms(ms)).len();
    assert_eq!((at(-1), at(0)), (1, 0));
}

#[test]
fn a_fallback_takes_the_place_of_an_offer_that_is_held_back() {
    let offers = |deal: &str| {
        source(&format!(
            r#""deal": {{"placements": ["hero"], "priority": 10, "fallback": "small_deal", {deal}
                "content": {{"en": {{"headline": "deal"}}}}}},
            "between": {{"placements": ["hero"], "priority": 5,
                "content": {{"en": {{"headline": "between"}}}}}},
            "small_deal": {{"placements": ["hero"], "fallback": "least",
                "caps": [{{"per": "person", "window": "ever", "on": "click", "max": 1}}],
                "content": {{"en": {{"headline": "small"}}}}}},
            "least": {{"placements": ["hero"], "content": {{"en": {{"headline": "least"}}}}}}"#
        ))
    };
    let open = Circumstances::default();
    let mut world = world(&offers(r#""coolDown": "1d","#));
    let browser = agreed(&mut world);
    assert_eq!(world.offer(&browser, "hero"), "deal");
    report(&mut world, &browser, "Promotion Dismissed", "deal");
    assert_eq!(world.offer(&browser, "hero"), "small_deal", "before the one between");
    let decision = &decide(&mut world, &browser, &["hero"], &open, "en")[0];
    assert_eq!(decision.offer.as_deref(), Some("small_deal"), "the same with a trace");
    assert_eq!(code(decision, "deal").0, "cooling_down");
    assert_eq!((code(decision, "small_deal").0, code(decision, "between").0), ("won", "outranked"));
    report(&mut world, &browser, "Promotion Clicked", "small_deal");
    assert_eq!(world.offer(&browser, "hero"), "least", "the fallback's fallback");
    world.pass(DAY);
    assert_eq!(world.offer(&browser, "hero"), "deal");
    let around = spent(&world, &["deal"]);
    let decision = &decide(&mut world, &browser, &["hero"], &around, "en")[0];
    assert_eq!(decision.offer.as_deref(), Some("least"), "a spent budget holds back too");
    // Who is not meant is given no fallback either.
    let mut world = self::world(&offers(r#""when": "request.path == '/no'","#));
    let browser = agreed(&mut world);
    assert_eq!(world.offer(&browser, "hero"), "between");
}

#[test]
fn mistakes_in_fallbacks_are_found_when_published() {
    let two = |first: &str, second: &str| {
        codes(&source(&format!(
            r#""a": {{"placements": ["hero", "tip"], {first}
                "content": {{"en": {{"headline": "a"}}}}}},
            "b": {{"placements": ["hero"], {second} "content": {{"en": {{"headline": "b"}}}}}}"#
        )))
    };
    assert_eq!(two("", r#""fallback": "a","#), [""; 0]);
    assert_eq!(two("", r#""fallback": "c","#), ["unknown_offer"]);
    assert_eq!(two(r#""fallback": "b","#, ""), ["fallback_elsewhere"]);
    assert_eq!(two("", r#""fallback": "b","#), ["cyclic_fallback"]);
    // An offer with a mistake is an offer.
    assert_eq!(two(r#""when": "tru","#, r#""fallback": "a","#), ["unknown_name"]);
    let ring = two(r#""fallback": "b","#, r#""fallback": "a","#);
    assert_eq!(ring, ["fallback_elsewhere", "cyclic_fallback", "cyclic_fallback"]);
    assert_eq!(two("", r#""purpose": null, "fallback": "a","#), ["contextual_reads_profile"]);
}

#[test]
fn no_offer_twice_and_one_of_a_group_across_edge_and_page() {
    let offers = r#"
        "both": {"placements": ["hero", "tip"], "priority": 3,
            "content": {"en": {"headline": "both"}}},
        "edge": {"placements": ["aside"], "exclusion": "g",
            "content": {"en": {"headline": "edge"}}},
        "page": {"placements": ["tip"], "priority": 2, "exclusion": "g",
            "content": {"en": {"headline": "page"}}},
        "other": {"placements": ["tip"], "priority": 1,
            "content": {"en": {"headline": "other"}}}"#;
    let mut world = world(&source(offers));
    let browser = agreed(&mut world);
    let speaker = world.speaker(&browser);
    let input = Input::Slice { speaker, request: request() };
    let Reply::Slice(slice) = world.send(&world.home(&browser), input) else { panic!("no slice") };
    let page = world.workspace.for_page().to_bytes().unwrap();
    let page = selvedge::workspace::Workspace::from_bytes(&page).unwrap();
    assert!(page.offer("edge").is_none(), "its content stays at the edge");
    for (shown, tip) in [
        (vec![], "both"),
        (vec!["both"], "page"),
        (vec!["both", "edge"], "other"),
        (vec!["edge"], "both"),
    ] {
        let shown: Vec<String> = shown.into_iter().map(str::to_owned).collect();
        let here = slice.decide(&page, &request(), world.now, "tip", &shown, false);
        assert_eq!(here.offer.as_deref(), Some(tip), "{shown:?} in the page");
        // The same where the page asks the edge.
        let around = Circumstances { shown, ..Circumstances::default() };
        let there = &decide(&mut world, &browser, &["tip"], &around, "en")[0];
        assert_eq!(there.offer.as_deref(), Some(tip), "{around:?} at the edge");
    }
}

#[test]
fn a_language_falls_back_part_by_part() {
    let offers = r#""one": {"placements": ["hero"], "content": {
        "en": {"headline": "english"}, "de": {"headline": "german"},
        "de-at": {"headline": "austrian"}}}"#;
    let mut world = world(&source(offers));
    let browser = agreed(&mut world);
    let open = Circumstances::default();
    for (asked, language) in [
        ("de-AT", "de-at"),
        ("de-at-1996", "de-at"),
        ("de-AT-x-wien", "de-at"),
        ("de-CH", "de"),
        ("de", "de"),
        ("den", "en"),
        ("fr-FR", "en"),
        ("en-GB", "en"),
        ("", "en"),
    ] {
        let decision = &decide(&mut world, &browser, &["hero"], &open, asked)[0];
        assert_eq!(decision.language, language, "asked for {asked}");
    }
}
