//! Exposures and previews: who met which variant, told as it happens to visitors and marketers.

mod world;

use std::collections::{BTreeMap, BTreeSet};

use selvedge::consent::Purpose;
use selvedge::decide::{Decision, Exposure};
use selvedge::engine::{Circumstances, Input, Placements, Reply};
use selvedge::event::Event;
use selvedge::limits;
use selvedge::rule::Value;
use selvedge::slice::Slice;
use selvedge::wire::Fact;
use world::{Browser, World, request};

const EXPERIMENTS: &str = r#""experiments": {
    "copy": {"variants": ["control", "short"]},
    "show": {"variants": ["nothing", "shown"]}},
    "holdouts": {"all": {"share": 0.3}},"#;

/// Two offers for the hero; the better one shows nothing in half of the profiles.
fn workspace(better: &str) -> String {
    format!(
        r#"{{"format": 1, "languages": ["en"], "traits": {{"points": {{"type": "int"}}}},
        "placements": {{"hero": {{"where": "page"}}}}, {EXPERIMENTS}
        "offers": {{
            "better": {{"placements": ["hero"], "priority": 2, "experiment": "show",
                "variants": {{"nothing": null}}, {better}
                "content": {{"en": {{"headline": "better"}}}}}},
            "good": {{"placements": ["hero"], "priority": 1, "experiment": "copy",
                "variants": {{"short": {{"en": {{"headline": "short"}}}}}},
                "content": {{"en": {{"headline": "good"}}}}}}}}}}"#
    )
}

fn world(source: &str) -> World {
    World::new(selvedge::compile::workspace(source).unwrap_or_else(|mistakes| {
        panic!("{mistakes:#?}");
    }))
}

fn agreed(world: &mut World) -> Browser {
    let browser = world.browser("DE");
    world.agree(&browser);
    browser
}

fn seen(decision: &Decision) -> BTreeMap<&str, &str> {
    let pairs =
        decision.exposures.iter().map(|one| (one.experiment.as_str(), one.variant.as_str()));
    let seen: BTreeMap<_, _> = pairs.collect();
    assert_eq!(seen.len(), decision.exposures.len(), "each experiment once");
    seen
}

fn exposure(world: &mut World, experiment: &str, variant: &str) -> Event {
    let text = |text: &str| Value::String(text.into());
    let properties = [("experiment_id", text(experiment)), ("variation_id", text(variant))];
    world.event("Experiment Viewed", &properties)
}

/// Reports the exposures of a decision, as the tag does; how many were kept, known and dropped.
fn report(world: &mut World, browser: &Browser, exposures: &[Exposure]) -> (u32, u32, u32) {
    let events = exposures
        .iter()
        .map(|one| exposure(world, &one.experiment, &one.variant))
        .collect::<Vec<_>>();
    tally(&world.send_events(browser, events))
}

fn tally(reply: &Reply) -> (u32, u32, u32) {
    match reply {
        Reply::Events { kept, duplicate, dropped } => {
            (*kept, *duplicate, dropped.values().sum::<u32>())
        }
        other => panic!("{other:?}"),
    }
}

/// The events that wait for the central store.
fn queued(world: &World, browser: &Browser) -> Vec<Event> {
    let rows = &world.objects[&world.home(browser)].queue;
    let event = |row: &selvedge::wire::FactRow| match &row.fact {
        Fact::Event { event, .. } => Some(event.clone()),
        _ => None,
    };
    rows.iter().filter_map(event).collect()
}

#[test]
fn a_decision_names_the_experiments_that_made_it() {
    let mut world = world(&workspace(""));
    let mut met: BTreeSet<Vec<(String, String)>> = BTreeSet::new();
    for _ in 0..200 {
        let browser = agreed(&mut world);
        let decision = world.decide(&browser, "hero").unwrap();
        let seen = seen(&decision);
        match (decision.offer.as_deref(), seen.get("holdout.all"), seen.get("show")) {
            // Held out: the holdout made the difference, whatever the experiments would have.
            (None, Some(&"held_out"), None) => {}
            // The better offer hides what the other's experiment would have shown.
            (Some("better"), Some(&"shown"), Some(&"shown")) => assert_eq!(seen.get("copy"), None),
            // Nothing of the better one: that is an exposure too, and the next one's shows.
            (Some("good"), Some(&"shown"), Some(&"nothing")) => {
                assert_eq!(seen.get("copy").copied(), decision.variant.as_deref());
            }
            other => panic!("{other:?} {seen:?}"),
        }
        let owned = seen.iter().map(|(name, variant)| ((*name).to_owned(), (*variant).to_owned()));
        met.insert(owned.collect());
    }
    assert_eq!(met.len(), 4, "held out, better, and two of good: {met:?}");
}

#[test]
fn an_offer_that_would_not_have_shown_exposes_nobody() {
    // Not eligible: its experiment and the holdout made no difference by it.
    let mut world = world(&workspace(r#""when": "profile.points > 10","#));
    for _ in 0..50 {
        let browser = agreed(&mut world);
        let decision = world.decide(&browser, "hero").unwrap();
        assert_eq!(seen(&decision).get("show"), None);
    }
    // Beaten anyway: the control of a worse offer is no exposure.
    let source = workspace("").replace("\"priority\": 2", "\"priority\": 0");
    let mut world = self::world(&source);
    for _ in 0..50 {
        let browser = agreed(&mut world);
        let decision = world.decide(&browser, "hero").unwrap();
        assert_eq!(seen(&decision).get("show"), None, "{decision:?}");
    }
}

#[test]
fn ranks_say_whether_a_control_would_have_won() {
    for (rank, exposed) in [("10.0", true), ("1.0", false)] {
        let source = workspace(&format!("\"rank\": \"{rank}\","))
            .replace("\"priority\": 2", "\"priority\": 1")
            .replace("\"experiment\": \"copy\"", "\"rank\": \"5.0\", \"experiment\": \"copy\"");
        let mut world = world(&source);
        let mut controls = 0;
        for _ in 0..50 {
            let browser = agreed(&mut world);
            let decision = world.decide(&browser, "hero").unwrap();
            let control = seen(&decision).get("show") == Some(&"nothing");
            assert!(exposed || !control, "{decision:?}");
            controls += u32::from(control);
        }
        assert_eq!(controls > 5, exposed);
    }
}

#[test]
fn explaining_and_the_page_name_the_same_experiments() {
    let mut world = world(&workspace(""));
    for _ in 0..40 {
        let browser = agreed(&mut world);
        let home = world.home(&browser);
        let speaker = world.speaker(&browser);
        let decided = world.decide(&browser, "hero").unwrap();
        let placements = Placements::Named(vec!["hero".into()]);
        let input = Input::Explain { speaker: speaker.clone(), placements, request: request() };
        let Reply::Explained(explained) = world.send(&home, input) else { panic!("no answer") };
        assert_eq!(explained.decisions[0].exposures, decided.exposures);
        let Reply::Slice(slice) = world.send(&home, Input::Slice { speaker, request: request() })
        else {
            panic!("no slice")
        };
        let slice = Slice::from_bytes(&slice.to_bytes()).unwrap();
        let page = world.workspace.for_page();
        let here = slice.decide(&page, &request(), world.now, "hero", &[], false);
        assert_eq!(here.exposures, decided.exposures);
    }
}

#[test]
fn an_exposure_is_one_fact_per_session() {
    let mut world = world(&workspace(""));
    let browser = agreed(&mut world);
    let exposures = world.decide(&browser, "hero").unwrap().exposures;
    let count = u32::try_from(exposures.len()).unwrap();
    assert_eq!(report(&mut world, &browser, &exposures), (count, 0, 0));
    world.pass(60_000);
    assert_eq!(report(&mut world, &browser, &exposures), (0, count, 0), "the next page");
    world.pass(limits::SESSION_MS + 1);
    assert_eq!(report(&mut world, &browser, &exposures), (count, 0, 0), "the next session");
    let facts = queued(&world, &browser);
    let ids: BTreeSet<&str> = facts.iter().map(|event| event.id.as_str()).collect();
    assert_eq!(ids.len(), facts.len());
    let first = &facts[0];
    assert!(first.id.starts_with("exposure-") && first.id.len() <= limits::EVENT_ID_BYTES);
    for (name, value) in [
        ("experiment_id", &exposures[0].experiment),
        ("experiment_name", &exposures[0].experiment),
        ("variation_id", &exposures[0].variant),
        ("variation_name", &exposures[0].variant),
    ] {
        assert_eq!(first.properties[name], Value::String(value.clone()));
    }
}

#[test]
fn a_login_in_the_middle_of_a_session_counts_nobody_twice() {
    let mut world = world(&workspace(""));
    for customer in 0..20 {
        let mut browser = agreed(&mut world);
        let before = world.decide(&browser, "hero").unwrap();
        report(&mut world, &browser, &before.exposures);
        world.pass(1_000);
        world.login(&mut browser, &format!("C-{customer}"));
        // Controls and holdouts stay as well: they were seen, though nothing was shown.
        let after = world.decide(&browser, "hero").unwrap();
        assert_eq!((&after.offer, &after.exposures), (&before.offer, &before.exposures));
        let known = u32::try_from(after.exposures.len()).unwrap();
        assert_eq!(report(&mut world, &browser, &after.exposures), (0, known, 0));
    }
}

#[test]
fn the_pages_word_for_a_variant_is_not_taken() {
    let mut world = world(&workspace(""));
    let browser = agreed(&mut world);
    let unit = world.home(&browser);
    let at = world.workspace.experiment_at("copy").unwrap();
    let experiment = world.workspace.experiment(at).unwrap();
    let own = usize::from(experiment.variant_of(unit.as_str()).unwrap());
    let other = experiment.variants[1 - own].clone();
    let event = exposure(&mut world, "copy", &other);
    let Reply::Events { kept, dropped, .. } = world.send_events(&browser, vec![event]) else {
        panic!("no tally")
    };
    assert_eq!((kept, dropped["other_variant"]), (0, 1));
    assert!(world.profile(&unit).unwrap().assignments.is_empty());
    // An experiment of somebody else's tool is an event like any other.
    let event = exposure(&mut world, "checkout_colour", "red");
    assert_eq!(tally(&world.send_events(&browser, vec![event])), (1, 0, 0));
    assert!(!queued(&world, &browser)[0].id.starts_with("exposure-"));
}

#[test]
fn an_exposure_needs_consent_to_measure_profile_and_personalise() {
    for missing in [Purpose::Measure, Purpose::Profile, Purpose::Personalise] {
        let mut world = world(&workspace(""));
        let browser = agreed(&mut world);
        let exposures = world.decide(&browser, "hero").unwrap().exposures;
        world.choose(&browser, &[(missing, false)]);
        let count = u32::try_from(exposures.len()).unwrap();
        assert_eq!(report(&mut world, &browser, &exposures), (0, 0, count), "{missing:?}");
        assert!(queued(&world, &browser).is_empty());
    }
}

fn under(circumstances: Circumstances, question: Input) -> Input {
    Input::Under { circumstances, question: Box::new(question) }
}

#[test]
fn a_preview_forces_a_variant_and_leaves_no_trace() {
    let mut world = world(&workspace(""));
    let at = |world: &World, name: &str| world.workspace.experiment_at(name).unwrap();
    let (copy, show) = (at(&world, "copy"), at(&world, "show"));
    let holdout = at(&world, "holdout.all");
    for _ in 0..20 {
        let browser = agreed(&mut world);
        let home = world.home(&browser);
        let before = world.objects[&home].state.clone();
        for (forced, offer, headline) in [
            (vec![(holdout, 1), (show, 1)], Some("better"), "better"),
            (vec![(show, 0), (copy, 1), (holdout, 1)], Some("good"), "short"),
            (vec![(show, 0), (copy, 0), (holdout, 1)], Some("good"), "good"),
            (vec![(holdout, 0)], None, ""),
        ] {
            let circumstances = Circumstances { forced, ..Circumstances::default() };
            let speaker = world.speaker(&browser);
            let placements = Placements::Named(vec!["hero".into()]);
            let (ask, trace) = (request(), false);
            let question =
                Input::Decide { speaker: speaker.clone(), placements, request: ask, trace };
            let reply = world.send(&home, under(circumstances.clone(), question));
            let Reply::Decisions(page) = reply else { panic!("{reply:?}") };
            assert_eq!(page.decisions[0].offer.as_deref(), offer);
            let text = page.decisions[0].content.first().map_or("", |field| field.text.as_str());
            assert_eq!(text, headline);
            let question = Input::Slice { speaker, request: request() };
            let reply = world.send(&home, under(circumstances, question));
            let Reply::Slice(slice) = reply else { panic!("{reply:?}") };
            let page = world.workspace.for_page();
            let here = slice.decide(&page, &request(), world.now, "hero", &[], false);
            assert_eq!(here.offer.as_deref(), offer, "in the page");
        }
        assert_eq!(world.objects[&home].state, before);
    }
}

#[test]
fn only_a_question_has_circumstances() {
    let mut world = world(&workspace(""));
    let browser = agreed(&mut world);
    let home = world.home(&browser);
    let before = world.objects[&home].state.clone();
    let nested = under(Circumstances::default(), under(Circumstances::default(), Input::Erase));
    for input in [under(Circumstances::default(), Input::Erase), nested] {
        let reply = world.send(&home, input);
        assert!(matches!(&reply, Reply::Refused(error) if error.code() == "not_a_change"));
        assert_eq!(world.objects[&home].state, before);
    }
}
