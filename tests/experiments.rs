//! Experiments, holdouts, ranks and exclusion groups, as workspaces declare them.

mod world;

use std::collections::BTreeMap;

use selvedge::decide::Decision;
use selvedge::engine::{Input, Placements, Reply};
use selvedge::rule::Value;
use selvedge::slice::Slice;
use world::{Browser, World, request};

fn offer(extra: &str) -> String {
    format!(r#"{{"placements": ["hero"], "content": {{"en": {{"headline": "base"}}}}, {extra}}}"#)
}

fn workspace(extra: &str, offers: &[(&str, String)]) -> String {
    let offers: Vec<String> =
        offers.iter().map(|(key, offer)| format!("\"{key}\": {offer}")).collect();
    format!(
        r#"{{"format": 1, "languages": ["en"], "traits": {{"points": {{"type": "int"}}}},
        "placements": {{"hero": {{"where": "page"}}, "side": {{"where": "page"}}}}, {extra}
        "offers": {{{}}}}}"#,
        offers.join(", ")
    )
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

const COPY: &str = r#""experiments": {"copy": {"variants": ["control", "short"]}},"#;

fn copy_offer() -> String {
    offer(
        r#""experiment": "copy",
        "variants": {"short": {"en": {"headline": "short"}}}"#,
    )
}

fn agreed(world: &mut World) -> Browser {
    let browser = world.browser("DE");
    world.agree(&browser);
    browser
}

fn headline(decision: &Decision) -> &str {
    decision.content.first().map_or("", |field| field.text.as_str())
}

#[test]
fn variants_split_the_crowd_and_stay_the_same() {
    let mut world = world(&workspace(COPY, &[("welcome", copy_offer())]));
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for _ in 0..400 {
        let browser = agreed(&mut world);
        let decision = world.decide(&browser, "hero").unwrap();
        let variant = decision.variant.clone().unwrap();
        assert_eq!(headline(&decision), if variant == "short" { "short" } else { "base" });
        world.pass(1_000);
        assert_eq!(world.decide(&browser, "hero").unwrap().variant.unwrap(), variant);
        *counts.entry(variant).or_default() += 1;
    }
    // 400 fair throws: 10 standard deviations would be 100.
    assert!(counts.len() == 2 && counts.values().all(|count| (140..=260).contains(count)));
}

#[test]
fn what_was_seen_survives_login() {
    let mut world = world(&workspace(COPY, &[("welcome", copy_offer())]));
    let mut moved = 0;
    for customer in 0..40 {
        let mut browser = agreed(&mut world);
        let before = world.decide(&browser, "hero").unwrap().variant;
        let shown = [("promotion_id", Value::String("welcome".into()))];
        world.track(&browser, "Promotion Viewed", &shown);
        world.login(&mut browser, &format!("C-{customer}"));
        assert_eq!(world.decide(&browser, "hero").unwrap().variant, before);
        let unseen = selvedge::decide::variant(
            &world.workspace,
            &selvedge::rule::Facts::new(&world.workspace.rules),
            selvedge::decide::Unit { name: Some(world.home(&browser).as_str()), known: &[] },
            0,
        );
        let name = |at: u16| world.workspace.experiments[0].variants[usize::from(at)].clone();
        moved += u32::from(unseen.map(name) != before);
    }
    assert!(moved > 5, "the person's own hash would have changed some: {moved}");
}

#[test]
fn what_was_seen_survives_a_workspace_that_lists_its_variants_otherwise() {
    let publish = |variants: &str, weights: &str| {
        let extra = format!(
            r#""experiments": {{"copy": {{"variants": {variants}, "weights": {weights}}}}},"#
        );
        selvedge::compile::workspace(&workspace(&extra, &[("welcome", copy_offer())])).unwrap()
    };
    let mut world = world(&workspace(COPY, &[("welcome", copy_offer())]));
    let mut seen = Vec::new();
    for _ in 0..20 {
        let browser = agreed(&mut world);
        let variant = world.decide(&browser, "hero").unwrap().variant.unwrap();
        world.track(
            &browser,
            "Promotion Viewed",
            &[("promotion_id", Value::String("welcome".into()))],
        );
        seen.push((browser, variant));
    }
    world.workspace = publish(r#"["long", "short", "control"]"#, "[1, 0, 0]");
    for (browser, variant) in &seen {
        assert_eq!(world.decide(browser, "hero").unwrap().variant.as_ref(), Some(variant));
    }
    let fresh = agreed(&mut world);
    assert_eq!(world.decide(&fresh, "hero").unwrap().variant.as_deref(), Some("long"));
    // A variant that is gone binds nobody.
    world.workspace = publish(r#"["short", "tall"]"#, "[0, 1]");
    for (browser, variant) in &seen {
        let now = world.decide(browser, "hero").unwrap().variant.unwrap();
        assert_eq!(now, if variant == "short" { "short" } else { "tall" });
    }
}

#[test]
fn nobody_is_assigned_without_consent() {
    let source = workspace(COPY, &[("welcome", copy_offer())]);
    let mut world = world(&source);
    let browser = world.browser("DE");
    let decision = world.decide(&browser, "hero").unwrap();
    assert_eq!((decision.offer, decision.variant), (None, None));
}

#[test]
fn a_control_sees_nothing_and_a_holdout_neither() {
    let nothing = offer(r#""experiment": "copy", "variants": {"control": null}"#);
    let mut world_of_two = world(&workspace(COPY, &[("welcome", nothing)]));
    let mut shown = 0;
    for _ in 0..100 {
        let browser = agreed(&mut world_of_two);
        shown += u32::from(world_of_two.decide(&browser, "hero").unwrap().offer.is_some());
    }
    assert!((20..=80).contains(&shown), "{shown}");

    let held = r#""holdouts": {"all": {"share": 0.5}},"#;
    let mut world = world(&workspace(held, &[("welcome", offer(r#""priority": 1"#))]));
    let mut codes: BTreeMap<String, u32> = BTreeMap::new();
    for _ in 0..100 {
        let browser = agreed(&mut world);
        let reply = world.send(
            &world.home(&browser),
            Input::Decide {
                speaker: world.speaker(&browser),
                placements: Placements::Named(vec!["hero".into()]),
                request: request(),
                trace: true,
            },
        );
        let Reply::Decisions(page) = reply else { panic!("{reply:?}") };
        *codes.entry(page.decisions[0].trace[0].code.clone()).or_default() += 1;
    }
    assert_eq!(codes.keys().collect::<Vec<_>>(), ["held_out", "won"]);
    assert!(codes["held_out"] >= 20 && codes["won"] >= 20, "{codes:?}");
}

#[test]
fn a_prerequisite_and_namespaces_keep_experiments_apart() {
    let extra = r#""experiments": {
        "a": {"variants": ["x", "y"], "namespace": {"name": "n", "from": 0, "until": 0.5}},
        "b": {"variants": ["x", "y"], "namespace": {"name": "n", "from": 0.5, "until": 1}},
        "c": {"variants": ["x", "y"], "prerequisite": {"experiment": "a", "variant": "y"}}},"#;
    let world = world(&workspace(extra, &[("welcome", offer(r#""experiment": "a""#))]));
    let facts = selvedge::rule::Facts::new(&world.workspace.rules);
    let mut took_part = [0; 3];
    for at in 0..300 {
        let unit = format!("p_{at}");
        let of = |experiment| {
            let unit = selvedge::decide::Unit { name: Some(&unit), known: &[] };
            selvedge::decide::variant(&world.workspace, &facts, unit, experiment)
        };
        assert!(of(0).is_none() || of(1).is_none());
        assert!(of(2).is_none() || of(0) == Some(1));
        for (count, experiment) in took_part.iter_mut().zip(0..) {
            *count += u32::from(of(experiment).is_some());
        }
    }
    assert!(took_part.iter().all(|count| *count > 30), "{took_part:?}");
}

#[test]
fn a_formula_ranks_offers_of_equal_priority() {
    let offers = [
        ("by_points", offer(r#""priority": 5, "rank": "double(profile.points)""#)),
        ("fixed", offer(r#""priority": 5, "rank": "10.0""#)),
        ("low", offer(r#""priority": 1, "rank": "1000.0""#)),
        ("plain", offer(r#""priority": 5"#)),
    ];
    let mut world = world(&workspace("", &offers));
    let mut browser = agreed(&mut world);
    assert_eq!(world.offer(&browser, "hero"), "fixed");
    world.login(&mut browser, "C-1");
    let person = world.person("C-1");
    for (points, winner) in [(3, "fixed"), (30, "by_points"), (-5, "fixed")] {
        world.pass(1_000);
        world.crm(&person, "points", Value::Int(points));
        assert_eq!(world.offer(&browser, "hero"), winner);
        let reply = world
            .send(&person, Input::Slice { speaker: world.speaker(&browser), request: request() });
        let Reply::Slice(slice) = reply else { panic!("{reply:?}") };
        let slice = Slice::from_bytes(&slice.to_bytes()).unwrap();
        let page = world.workspace.for_page();
        let decision = slice.decide(&page, &request(), world.now, "hero", &[], false);
        assert_eq!(decision.offer.as_deref(), Some(winner), "in the page");
    }
}

#[test]
fn a_page_shows_one_of_an_exclusion_group_and_no_offer_twice() {
    let both = |extra: &str| {
        format!(
            r#"{{"placements": ["hero", "side"], {extra},
            "content": {{"en": {{"headline": "x"}}}}}}"#
        )
    };
    let decide = |offers: &[(&str, String)]| {
        let mut world = world(&workspace("", offers));
        let browser = agreed(&mut world);
        let reply = world.send(
            &world.home(&browser),
            Input::Decide {
                speaker: world.speaker(&browser),
                placements: Placements::Named(vec!["hero".into(), "side".into()]),
                request: request(),
                trace: false,
            },
        );
        let Reply::Decisions(page) = reply else { panic!("{reply:?}") };
        page.decisions.into_iter().map(|d| d.offer.unwrap_or_default()).collect::<Vec<_>>()
    };
    let plain = [("a", both(r#""priority": 2"#)), ("b", both(r#""priority": 1"#))];
    assert_eq!(decide(&plain), ["a", "b"]);
    let group = [
        ("a", both(r#""priority": 2, "exclusion": "g""#)),
        ("b", both(r#""priority": 1, "exclusion": "g""#)),
        ("c", both(r#""priority": 0"#)),
    ];
    assert_eq!(decide(&group), ["a", "c"]);
    let twice = [("a", both(r#""priority": 2, "repeats": true"#)), ("b", both(r#""priority": 1"#))];
    assert_eq!(decide(&twice), ["a", "a"]);
}

#[test]
fn mistakes_in_experiments_are_found_when_published() {
    let experiments = |body: &str| {
        workspace(&format!("\"experiments\": {{{body}}},"), &[("o", offer(r#""priority": 1"#))])
    };
    let of = |body: &str| codes(&experiments(body));
    assert_eq!(of(r#""e": {"variants": ["a"]}"#), ["bad_variants"]);
    assert_eq!(of(r#""e": {"variants": ["a", "a"]}"#), ["duplicate_entry"]);
    let weights = r#""e": {"variants": ["a", "b"], "weights": [0.5, 0.6]}"#;
    assert_eq!(of(weights), ["bad_weights"]);
    assert_eq!(of(r#""e": {"variants": ["a", "b"], "weights": [1]}"#), ["bad_weights"]);
    assert_eq!(of(r#""e": {"variants": ["a", "b"], "coverage": 1.5}"#), ["out_of_range"]);
    let ring = r#"
        "e": {"variants": ["a", "b"], "prerequisite": {"experiment": "f", "variant": "a"}},
        "f": {"variants": ["a", "b"], "prerequisite": {"experiment": "e", "variant": "a"}}"#;
    assert_eq!(of(ring), ["cyclic_prerequisite", "cyclic_prerequisite"]);
    let unknown =
        r#""e": {"variants": ["a", "b"], "prerequisite": {"experiment": "x", "variant": "a"}}"#;
    assert_eq!(of(unknown), ["unknown_experiment"]);
    let empty =
        r#""e": {"variants": ["a", "b"], "namespace": {"name": "n", "from": 0.5, "until": 0.5}}"#;
    assert_eq!(of(empty), ["empty_namespace"]);
    let offers = |extra: &str| codes(&workspace(COPY, &[("o", offer(extra))]));
    assert_eq!(offers(r#""experiment": "copi""#), ["unknown_experiment"]);
    assert_eq!(offers(r#""experiment": "copy", "variants": {"long": null}"#), ["unknown_variant"]);
    assert_eq!(offers(r#""variants": {"short": null}"#), ["unknown_experiment"]);
    assert_eq!(offers(r#""rank": "profile.pionts""#), ["unknown_trait"]);
    let contextual = offers(r#""purpose": null, "experiment": "copy""#);
    assert_eq!(contextual, ["contextual_reads_profile"]);
}

#[test]
fn a_rollout_reaches_the_profiles_that_growthbook_would_reach() {
    let part = r#""rollout": {"coverage": 0.25, "seed": "spring"}"#;
    let mut world = world(&workspace("", &[("welcome", offer(part))]));
    let mut reached = 0;
    for _ in 0..200 {
        let browser = agreed(&mut world);
        let decision = world.decide(&browser, "hero").unwrap();
        let bucket = selvedge::experiment::bucket("spring", world.home(&browser).as_str());
        assert_eq!(decision.offer.is_some(), bucket <= 2_500, "{bucket}");
        reached += u32::from(decision.offer.is_some());
    }
    assert!((20..=80).contains(&reached), "{reached}");
}
