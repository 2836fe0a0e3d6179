//! Situations: what the engine promises to people, each told as it happens to somebody.

mod world;

use selvedge::consent::Purpose;
use selvedge::engine::{Body, Input, Placements, Reply, receipts};
use selvedge::limits;
use selvedge::offer::Assurance;
use selvedge::rule::Value;
use selvedge::slice::Slice;
use selvedge::wire::{ChangeBody, Fact};
use world::{DAY, HOUR, World, request};

const PURPOSES: [(Purpose, bool); 4] = [
    (Purpose::Store, true),
    (Purpose::Profile, true),
    (Purpose::Personalise, true),
    (Purpose::Measure, true),
];

fn kept(reply: &Reply) -> (u32, u32, u32) {
    match reply {
        Reply::Events { kept, duplicate, dropped } => {
            (*kept, *duplicate, dropped.values().sum::<u32>())
        }
        other => panic!("{other:?}"),
    }
}

fn orders(world: &World, profile: &selvedge::ids::ProfileName) -> i64 {
    let decl = world.workspace.computed.iter().find(|decl| decl.name == "orders_ever").unwrap();
    match selvedge::decide::computed(decl, world.profile(profile).unwrap(), world.now) {
        Some(Value::Int(count)) => count,
        other => panic!("{other:?}"),
    }
}

#[test]
fn nothing_is_kept_before_consent() {
    let mut world = World::of_the_shop();
    let browser = world.browser("DE");
    assert_eq!(kept(&world.track(&browser, "Product Viewed", &[])), (0, 0, 1));
    let object = &world.objects[&world.home(&browser)];
    assert_eq!(object.state, selvedge::engine::State::default());
    assert!(object.queue.is_empty() && object.known.is_empty());
    assert_eq!(world.offer(&browser, "hero"), "welcome");
}

#[test]
fn a_region_that_opts_out_keeps_until_somebody_objects() {
    let mut world = World::of_the_shop();
    let mut browser = world.browser("US");
    assert_eq!(kept(&world.track(&browser, "Product Viewed", &[])), (1, 0, 0));
    browser.signals.gpc = true;
    let Reply::Decisions(page) = world.send(
        &world.home(&browser),
        Input::Decide {
            speaker: world.speaker(&browser),
            placements: Placements::Named(vec!["hero".into()]),
            request: request(),
            trace: true,
        },
    ) else {
        panic!("no decisions")
    };
    assert!(!page.consent.effective.allowed().has(Purpose::Personalise));
    let codes: Vec<&str> = page.decisions[0].trace.iter().map(|line| line.code.as_str()).collect();
    assert!(codes.contains(&"no_consent") && codes.last() == Some(&"won"), "{codes:?}");
}

#[test]
fn an_event_counts_once_however_often_it_arrives() {
    let mut world = World::of_the_shop();
    let browser = world.browser("DE");
    world.choose(&browser, &PURPOSES);
    let event = world.event("Order Completed", &[("total", Value::Double(10.0))]);
    let twice = vec![event.clone(), event.clone()];
    assert_eq!(kept(&world.send_events(&browser, twice)), (1, 1, 0));
    world.pass(20 * DAY);
    assert_eq!(kept(&world.send_events(&browser, vec![event])), (0, 1, 0));
    assert_eq!(orders(&world, &world.home(&browser)), 1);
}

#[test]
fn a_login_brings_the_devices_history_and_only_once() {
    let mut world = World::of_the_shop();
    let mut browser = world.browser("DE");
    world.choose(&browser, &PURPOSES);
    world.track(&browser, "Order Completed", &[("total", Value::Double(10.0))]);
    let person = world.person("C-0006");
    let reply = world.login_with(&mut browser, "C-0006", "token-1");
    assert!(matches!(reply, Reply::LoggedIn { attached: true, refused: None, .. }), "{reply:?}");
    assert_eq!(world.hydrations.as_slice(), std::slice::from_ref(&person));
    assert_eq!(orders(&world, &person), 1);
    // The answer was lost and the page asks again, with the same token and with a fresh one.
    world.login_with(&mut browser, "C-0006", "token-1");
    world.login_with(&mut browser, "C-0006", "token-2");
    assert_eq!(orders(&world, &person), 1);
    assert_eq!(world.profile(&person).unwrap().devices.len(), 1);
    let own = world.key.device(browser.device);
    assert_eq!(world.objects[&own].state.body, Body::Moved(person));
}

#[test]
fn a_replayed_token_links_no_other_device() {
    let mut world = World::of_the_shop();
    let (mut hers, mut thiefs) = (world.browser("DE"), world.browser("DE"));
    world.agree(&hers);
    world.agree(&thiefs);
    world.login_with(&mut hers, "C-0006", "token-1");
    let reply = world.login_with(&mut thiefs, "C-0006", "token-1");
    assert!(matches!(&reply, Reply::Refused(error) if error.code() == "token_replayed"));
    assert_eq!(world.profile(&world.person("C-0006")).unwrap().devices.len(), 1);
}

#[test]
fn old_history_is_not_attached() {
    let mut world = World::of_the_shop();
    let mut browser = world.browser("DE");
    world.choose(&browser, &PURPOSES);
    world.track(&browser, "Order Completed", &[]);
    world.pass(31 * DAY);
    world.track(&browser, "Order Completed", &[]);
    world.login(&mut browser, "C-0006");
    assert_eq!(orders(&world, &world.person("C-0006")), 1);
}

#[test]
fn the_second_person_on_a_device_gets_nothing_of_the_first() {
    let mut world = World::of_the_shop();
    let mut browser = world.browser("DE");
    world.choose(&browser, &PURPOSES);
    world.login(&mut browser, "C-0006");
    let (ada, device) = (world.person("C-0006"), browser.device);
    world.crm(&ada, "cancel_intent", Value::Bool(true));
    world.login(&mut browser, "C-0001");
    assert_ne!(browser.device, device);
    world.track(&browser, "Order Completed", &[]);
    let ben = world.person("C-0001");
    assert_eq!((orders(&world, &ada), orders(&world, &ben)), (0, 1));
    assert!(world.profile(&ada).unwrap().devices[&device].logged_out.is_some());
    assert!(!world.profile(&ben).unwrap().devices[&browser.device].attached);
    assert!(world.profile(&ben).unwrap().traits.is_empty());
    assert_ne!(world.offer(&browser, "hero"), "extension");
}

#[test]
fn after_logout_the_device_speaks_for_nobody() {
    let mut world = World::of_the_shop();
    let mut browser = world.browser("DE");
    world.choose(&browser, &PURPOSES);
    world.login(&mut browser, "C-0006");
    let old = browser.clone();
    world.logout(&mut browser);
    world.track(&browser, "Order Completed", &[]);
    assert_eq!(orders(&world, &world.person("C-0006")), 0);
    // An old tab that still holds the cookie of before.
    assert_eq!(world.track(&old, "Order Completed", &[]), Reply::NotLinked);
    assert_eq!(world.decide(&old, "hero"), Err(Reply::NotLinked));
    // The browser's own choices go on.
    let view =
        world.send(&world.home(&browser), Input::Consent { speaker: world.speaker(&browser) });
    assert!(matches!(view, Reply::Consent(view) if view.made
        && view.effective.allowed().has(Purpose::Profile)));
}

#[test]
fn the_edge_recognises_her_and_serves_the_extension_offer() {
    let mut world = World::of_the_shop();
    let mut browser = world.browser("DE");
    world.choose(&browser, &PURPOSES);
    world.login(&mut browser, "C-0006");
    let person = world.person("C-0006");
    world.crm(&person, "first_name", Value::String("Mira".into()));
    world.crm(&person, "cancel_intent", Value::Bool(true));
    world.pass(2 * HOUR);
    let decision = world.decide(&browser, "hero").unwrap();
    assert_eq!(decision.offer.as_deref(), Some("extension"));
    world.track(
        &browser,
        "Product Added",
        &[("value", Value::Double(49.0)), ("product_id", Value::String("ww-112".into()))],
    );
    assert_eq!(world.offer(&browser, "hero"), "basket");
}

#[test]
fn a_withdrawal_takes_traits_at_once_and_nothing_brings_them_back() {
    let mut world = World::of_the_shop();
    let mut browser = world.browser("DE");
    world.choose(&browser, &PURPOSES);
    world.login(&mut browser, "C-0006");
    let person = world.person("C-0006");
    world.crm(&person, "cancel_intent", Value::Bool(true));
    let reply = world.choose(&browser, &[(Purpose::Personalise, false)]);
    let Reply::Consent(view) = reply else { panic!("{reply:?}") };
    assert!(!view.effective.allowed().has(Purpose::Personalise));
    assert!(world.profile(&person).unwrap().traits.is_empty());
    assert_eq!(world.offer(&browser, "hero"), "welcome");
    world.pass(1_000);
    world.crm(&person, "cancel_intent", Value::Bool(true));
    assert!(world.profile(&person).unwrap().traits.is_empty());
    // A yes of before the withdrawal, from another replica.
    let mut stale = selvedge::consent::Consent::default();
    let yes = stale.next_record(
        Purpose::Personalise,
        true,
        selvedge::consent::Basis::Consent,
        world.now.plus_ms(-2_000),
    );
    stale.take(&yes);
    world.change(&person, ChangeBody::Consent(vec![yes]));
    assert_eq!(world.offer(&browser, "hero"), "welcome");
    // A new yes asks the central store again.
    world.hydrations.clear();
    world.choose(&browser, &[(Purpose::Personalise, true)]);
    assert_eq!(world.hydrations, [person]);
}

#[test]
fn a_new_yes_on_another_device_counts_from_login_on_and_an_old_one_does_not() {
    let mut world = World::of_the_shop();
    let (mut phone, mut old_laptop) = (world.browser("DE"), world.browser("DE"));
    world.choose(&old_laptop, &PURPOSES);
    world.choose(&phone, &PURPOSES);
    world.login(&mut phone, "C-0006");
    world.pass(HOUR);
    world.choose(&phone, &[(Purpose::Personalise, false)]);
    world.pass(HOUR);
    world.login(&mut old_laptop, "C-0006");
    let person = world.person("C-0006");
    assert_eq!(world.profile(&person).unwrap().consent.choice(Purpose::Personalise), Some(false));
    let mut tablet = world.browser("DE");
    world.choose(&tablet, &PURPOSES);
    world.login(&mut tablet, "C-0006");
    assert_eq!(world.profile(&person).unwrap().consent.choice(Purpose::Personalise), Some(true));
    // The phone keeps its own no.
    world.crm(&person, "cancel_intent", Value::Bool(true));
    assert_eq!(world.offer(&phone, "hero"), "welcome");
    assert_eq!(world.offer(&tablet, "hero"), "extension");
}

#[test]
fn withdrawing_the_profile_drops_counters_and_queued_events_but_no_receipt() {
    let mut world = World::of_the_shop();
    let browser = world.browser("DE");
    world.choose(&browser, &PURPOSES);
    world.track(&browser, "Product Viewed", &[]);
    world.choose(&browser, &[(Purpose::Profile, false)]);
    let object = &world.objects[&world.home(&browser)];
    let Body::Live(profile) = &object.state.body else { panic!() };
    assert!(!profile.holds_profile());
    assert!(object.queue.iter().all(|row| matches!(row.fact, Fact::Consent(_))));
    assert_eq!(object.queue.len(), 2);
    assert_eq!(receipts::verify(&object.receipts), Ok(()));
    assert_eq!(kept(&world.track(&browser, "Product Viewed", &[])), (0, 0, 1));
}

#[test]
fn a_changed_or_missing_receipt_shows() {
    let mut world = World::of_the_shop();
    let browser = world.browser("DE");
    for yes in [true, false, true] {
        world.pass(1);
        world.choose(&browser, &[(Purpose::Store, yes)]);
    }
    let chain = world.objects[&world.home(&browser)].receipts.clone();
    assert_eq!((chain.len(), receipts::verify(&chain)), (3, Ok(())));
    let mut changed = chain.clone();
    changed[1].evidence = "another banner".into();
    assert_eq!(receipts::verify(&changed).unwrap_err().code(), "receipt_changed");
    let mut missing = chain;
    missing.remove(1);
    assert_eq!(receipts::verify(&missing).unwrap_err().code(), "receipt_missing");
}

#[test]
fn an_erased_person_never_returns() {
    let mut world = World::of_the_shop();
    let mut browser = world.browser("DE");
    world.choose(&browser, &PURPOSES);
    world.track(&browser, "Order Completed", &[]);
    let tab = browser.clone();
    world.login(&mut browser, "C-0006");
    let person = world.person("C-0006");
    let time = world.now;
    world.change(&person, ChangeBody::Erase { time });
    assert!(matches!(world.objects[&person].state.body, Body::Erased(_)));
    for late in [&browser, &tab] {
        let reply = world.track(late, "Order Completed", &[]);
        assert_eq!(reply, Reply::Erased);
        assert_eq!(world.choose(late, &PURPOSES), Reply::Erased);
    }
    world.crm(&person, "cancel_intent", Value::Bool(true));
    assert_eq!(world.login(&mut browser, "C-0006"), Reply::Erased);
    let mut other = world.browser("DE");
    world.choose(&other, &PURPOSES);
    assert_eq!(world.login(&mut other, "C-0006"), Reply::Erased);
    for name in [&person, &world.key.device(tab.device)] {
        let object = &world.objects[name];
        assert!(matches!(object.state.body, Body::Erased(_)));
        assert!(object.queue.is_empty() && object.known.is_empty() && object.receipts.is_empty());
    }
}

#[test]
fn claims_do_not_touch_a_persons_traits() {
    let mut world = World::of_the_shop();
    let mut browser = world.browser("DE");
    world.choose(&browser, &PURPOSES);
    let mut claim = world.event("", &[("tier", Value::String("gold".into()))]);
    claim.kind = selvedge::event::EventKind::Identify;
    claim.user_id = Some("C-0006".into());
    world.send_events(&browser, vec![claim.clone()]);
    assert_eq!(world.profile(&world.home(&browser)).unwrap().traits.len(), 1);
    world.login(&mut browser, "C-0001");
    claim.id = "again".into();
    world.send_events(&browser, vec![claim]);
    let person = world.person("C-0001");
    let profile = world.profile(&person).unwrap();
    assert!(profile.traits.is_empty() && profile.claims.contains_key("C-0006"));
    assert!(world.profile(&world.person("C-0006")).is_none());
}

#[test]
fn a_person_without_devices_is_not_kept_at_the_edge() {
    let mut world = World::of_the_shop();
    let person = world.person("C-0099");
    assert_eq!(
        world.crm(&person, "tier", Value::String("gold".into())),
        Reply::Applied { changed: 0 }
    );
    assert_eq!(world.objects[&person].state, selvedge::engine::State::default());
}

#[test]
fn the_eleventh_device_of_a_year_is_refused() {
    let mut world = World::of_the_shop();
    for _ in 0..limits::DEVICES_PER_YEAR {
        let mut browser = world.browser("DE");
        world.agree(&browser);
        assert!(matches!(
            world.login(&mut browser, "C-0006"),
            Reply::LoggedIn { refused: None, .. }
        ));
    }
    let mut browser = world.browser("DE");
    world.agree(&browser);
    let reply = world.login(&mut browser, "C-0006");
    assert!(
        matches!(reply, Reply::LoggedIn { refused: Some(code), .. } if code == "too_many_devices")
    );
}

#[test]
fn a_full_outbox_says_so_and_takes_nothing() {
    let mut world = World::of_the_shop();
    let browser = world.browser("DE");
    world.choose(&browser, &PURPOSES);
    let mut refused = None;
    for _ in 0..300 {
        let mut event = world.event("Product Viewed", &[]);
        event.payload = format!("\"{}\"", "x".repeat(30_000));
        let before = world.objects[&world.home(&browser)].state.clone();
        if let Reply::Refused(error) = world.send_events(&browser, vec![event]) {
            assert_eq!(world.objects[&world.home(&browser)].state, before);
            refused = Some(error);
            break;
        }
    }
    assert_eq!(refused.unwrap().code(), "outbox_full");
    let home = world.home(&browser);
    let stored: Vec<(u64, u32)> =
        world.objects[&home].queue.iter().map(|row| (row.seq, row.size_bytes())).collect();
    world.send(&home, Input::Stored { seqs: stored });
    assert_eq!(world.objects[&home].state.outbox_bytes, 0);
    assert_eq!(kept(&world.track(&browser, "Product Viewed", &[])), (1, 0, 0));
}

#[test]
fn caps_count_contacts_and_a_dismissal_cools_down() {
    let mut world = World::of_the_shop();
    let mut browser = world.browser("DE");
    world.choose(&browser, &PURPOSES);
    world.login(&mut browser, "C-0006");
    world.crm(&world.person("C-0006"), "cancel_intent", Value::Bool(true));
    let cap = world.workspace.offer("extension").unwrap().caps()[0].max;
    for _ in 0..cap {
        assert_eq!(world.offer(&browser, "hero"), "extension");
        let offer = Value::String("extension".into());
        world.track(&browser, "Promotion Viewed", &[("promotion_id", offer)]);
    }
    assert_ne!(world.offer(&browser, "hero"), "extension");
    world.pass(DAY + 1);
    assert_eq!(world.offer(&browser, "hero"), "extension");
}

#[test]
fn the_page_decides_what_the_edge_would() {
    let mut world = World::of_the_shop();
    let mut browser = world.browser("DE");
    world.choose(&browser, &PURPOSES);
    world.login(&mut browser, "C-0006");
    for _ in 0..3 {
        world.track(&browser, "Order Completed", &[("total", Value::Double(5.0))]);
    }
    let reply = world.send(
        &world.home(&browser),
        Input::Slice { speaker: world.speaker(&browser), request: request() },
    );
    let Reply::Slice(slice) = reply else { panic!("{reply:?}") };
    let slice = Slice::from_bytes(&slice.to_bytes()).unwrap();
    assert_eq!(slice.assurance, Assurance::Authenticated);
    let image = world.workspace.for_page();
    let page = slice.decide(&image, &request(), world.now, "tip", &[], false);
    assert_eq!(Ok(page), world.decide(&browser, "tip"));
    let stale = world.now.plus_ms(limits::SLICE_AGE_MS);
    let late = slice.decide(&image, &request(), stale, "tip", &[], false);
    assert_eq!((late.offer, late.reason.as_str()), (None, "stale_slice"));
}

#[test]
fn a_slice_without_consent_holds_nothing() {
    let mut world = World::of_the_shop();
    let mut browser = world.browser("DE");
    world.choose(&browser, &PURPOSES);
    world.login(&mut browser, "C-0006");
    world.crm(&world.person("C-0006"), "tier", Value::String("gold".into()));
    world.choose(&browser, &[(Purpose::Personalise, false)]);
    let reply = world.send(
        &world.home(&browser),
        Input::Slice { speaker: world.speaker(&browser), request: request() },
    );
    let Reply::Slice(slice) = reply else { panic!("{reply:?}") };
    assert!(slice.contacts.is_empty() && slice.variants.is_empty());
    let told = |value: &Value| !matches!(value, Value::Bool(false) | Value::Double(0.0));
    assert!(!slice.values.iter().any(|(_, value)| told(value)), "{:?}", slice.values);
}

#[test]
fn reading_changes_nothing() {
    let mut world = World::of_the_shop();
    let browser = world.browser("DE");
    world.agree(&browser);
    let home = world.home(&browser);
    let before = world.objects[&home].state.clone();
    let speaker = world.speaker(&browser);
    let placements = Placements::Named(vec!["hero".into(), "tip".into()]);
    for input in [
        Input::Decide {
            speaker: speaker.clone(),
            placements: placements.clone(),
            request: request(),
            trace: true,
        },
        Input::Explain { speaker: speaker.clone(), placements, request: request() },
        Input::Consent { speaker: speaker.clone() },
        Input::Slice { speaker, request: request() },
        Input::Export,
    ] {
        world.send(&home, input);
        assert_eq!(world.objects[&home].state, before);
    }
    let unknown = Placements::Named(vec!["nowhere".into()]);
    let reply = world.send(
        &home,
        Input::Decide {
            speaker: world.speaker(&browser),
            placements: unknown,
            request: request(),
            trace: false,
        },
    );
    assert!(matches!(reply, Reply::Refused(error) if error.code() == "unknown_placement"));
}
