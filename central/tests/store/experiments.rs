//! Budgets and experiments: what the edge declares, what is counted, and what follows from it.

use axum::http::StatusCode;
use selvedge::consent::{Choice, Purpose};
use selvedge::event::{Event, EventKind};
use selvedge::ids::ProfileName;
use selvedge::rule::Value;
use selvedge::time::Timestamp;
use selvedge::wire::{Fact, FactRow};
use serde_json::json;

use crate::harness::{Edge, Store, choice, device, eventually, link, object, person};

const DAY: i64 = 86_400_000;

fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

fn fact(
    producer: &ProfileName,
    seq: u64,
    name: &str,
    properties: &[(&str, &str)],
    time: i64,
) -> FactRow {
    let value = |text: &str| Value::String(text.to_owned());
    let event = Event {
        id: format!("{producer}-{seq}"),
        kind: EventKind::Track,
        name: name.to_owned(),
        time: Timestamp(time),
        user_id: None,
        properties: properties.iter().map(|(n, v)| ((*n).to_owned(), value(v))).collect(),
        payload: "{}".to_owned(),
    };
    let fact = Fact::Event { device: device(1), event };
    FactRow { producer: producer.clone(), seq, time: Timestamp(time), fact }
}

fn viewed(producer: &ProfileName, seq: u64, offer: &str, time: i64) -> FactRow {
    fact(producer, seq, "Promotion Viewed", &[("promotion_id", offer)], time)
}

fn exposed(producer: &ProfileName, seq: u64, variant: &str, time: i64) -> FactRow {
    let properties = [("experiment_id", "copy"), ("variation_id", variant)];
    fact(producer, seq, "Experiment Viewed", &properties, time)
}

fn budget(offer: &str, max: u64, per: &str) -> serde_json::Value {
    json!({ "offer": offer, "max": max, "on": "impression", "per": per, "offsets": [] })
}

fn shares(weights: [f64; 2]) -> serde_json::Value {
    json!({ "experiment": "copy", "variants": ["control", "short"], "weights": weights })
}

async fn declare(
    store: &Store,
    published: i64,
    budgets: &[serde_json::Value],
    experiments: &[serde_json::Value],
) -> serde_json::Value {
    let body = json!({
        "wireVersion": 1, "workspace": format!("w{published}"), "published": published,
        "experiments": experiments, "budgets": budgets,
    });
    let answer = store.post_json("/sync/v1/declare", &body).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    answer.json()
}

#[tokio::test]
async fn a_spent_budget_reaches_the_edge_by_push_and_by_asking() {
    let edge = Edge::start().await;
    let store = Store::start_with(Some(&edge)).await;
    let nobody = store.changes(0, 10).await;
    assert_eq!(nobody.spent, None, "nothing was declared");
    let answer = declare(&store, 1, &[budget("deal", 3, "ever")], &[]).await;
    assert_eq!(answer["offers"], json!({}));
    let (ada, ben) = (object(1), object(2));
    let two = vec![viewed(&ada, 1, "deal", now()), viewed(&ben, 1, "deal", now())];
    store.push(two.clone()).await;
    // The same facts again, and contacts that no budget counts.
    store.push(two).await;
    let click = [("promotion_id", "deal")];
    store.push(vec![fact(&ada, 2, "Promotion Clicked", &click, now())]).await;
    store.push(vec![viewed(&ada, 3, "other", now())]).await;
    let used = store.get("/v1/budgets").await.json();
    assert_eq!(used["budgets"][0]["used"], 2, "{used}");
    assert_eq!(used["budgets"][0]["spent"], false);
    assert_ne!(edge.spent(), Some(vec!["deal".to_owned()]));
    store.push(vec![viewed(&ada, 4, "deal", now())]).await;
    eventually(|| async { (edge.spent()? == ["deal"]).then_some(()) }).await;
    let asked = store.changes(0, 10).await.spent.unwrap();
    assert_eq!(asked.offers, [("deal".to_owned(), None)].into());
}

#[tokio::test]
async fn a_raised_budget_opens_the_offer_again_and_an_older_declaration_changes_nothing() {
    let edge = Edge::start().await;
    let store = Store::start_with(Some(&edge)).await;
    declare(&store, 2, &[budget("deal", 1, "ever")], &[]).await;
    store.push(vec![viewed(&object(1), 1, "deal", now())]).await;
    eventually(|| async { (edge.spent()? == ["deal"]).then_some(()) }).await;
    let old = declare(&store, 1, &[budget("deal", 100, "ever")], &[]).await;
    assert_eq!(old["offers"], json!({ "deal": null }));
    let new = declare(&store, 3, &[budget("deal", 2, "ever")], &[]).await;
    assert_eq!(new["offers"], json!({}));
    eventually(|| async { edge.spent()?.is_empty().then_some(()) }).await;
}

#[tokio::test]
async fn a_days_budget_counts_its_day_and_opens_at_midnight() {
    let store = Store::start().await;
    declare(&store, 1, &[budget("deal", 2, "day")], &[]).await;
    let ada = object(1);
    // Contacts of yesterday that arrive late are yesterday's.
    store.push(vec![viewed(&ada, 1, "deal", now() - DAY), viewed(&ada, 2, "deal", now())]).await;
    assert!(store.changes(0, 10).await.spent.is_none_or(|spent| spent.offers.is_empty()));
    store.push(vec![viewed(&ada, 3, "deal", now())]).await;
    let spent = store.changes(0, 10).await.spent.unwrap();
    let midnight = Timestamp((now().div_euclid(DAY) + 1) * DAY);
    assert_eq!(spent.offers, [("deal".to_owned(), Some(midnight))].into());
}

#[tokio::test]
async fn an_erasure_gives_no_budget_back_and_takes_its_exposures_along() {
    let store = Store::start().await;
    let ada = person("C-1");
    declare(&store, 1, &[budget("deal", 1, "ever")], &[shares([0.5, 0.5])]).await;
    let facts = vec![
        link(&ada, 1, 1, true, now()),
        viewed(&ada, 2, "deal", now()),
        exposed(&ada, 3, "short", now()),
    ];
    store.push(facts.clone()).await;
    let of = || async { store.get("/v1/experiments").await.json()["experiments"][0].clone() };
    assert_eq!(of().await["profiles"], 1);
    store.post_json("/v1/erasures", &json!({ "customerId": "C-1" })).await;
    assert_eq!(of().await["profiles"], 0);
    assert!(store.changes(0, 10).await.spent.unwrap().offers.contains_key("deal"));
    // What the edge sends once more counts for nothing.
    store.push(facts).await;
    assert_eq!(store.get("/v1/budgets").await.json()["budgets"][0]["used"], 1);
}

#[tokio::test]
async fn profiles_count_once_for_the_variant_that_they_saw() {
    let store = Store::start().await;
    declare(&store, 1, &[], &[shares([0.5, 0.5])]).await;
    let mut facts = Vec::new();
    for number in 1..=60_u8 {
        let variant = if number <= 20 { "control" } else { "short" };
        // Two sessions each.
        facts.push(exposed(&object(number), 1, variant, now()));
        facts.push(exposed(&object(number), 2, variant, now()));
    }
    // One who saw both, one experiment that nobody declared, one variant that it does not have.
    facts.push(exposed(&object(70), 1, "control", now()));
    facts.push(exposed(&object(70), 2, "short", now()));
    let other = [("experiment_id", "other"), ("variation_id", "x")];
    facts.push(fact(&object(71), 1, "Experiment Viewed", &other, now()));
    facts.push(exposed(&object(72), 1, "long", now()));
    store.push(facts).await;
    let answer = store.get("/v1/experiments").await.json();
    assert_eq!(answer["workspace"], "w1");
    assert_eq!(answer["experiments"].as_array().unwrap().len(), 1);
    let copy = &answer["experiments"][0];
    assert_eq!((&copy["profiles"], &copy["several"]), (&json!(60), &json!(1)));
    let counts: Vec<_> = copy["variants"].as_array().unwrap().iter().collect();
    assert_eq!((&counts[0]["variant"], &counts[0]["profiles"]), (&json!("control"), &json!(20)));
    assert_eq!((&counts[1]["profiles"], &counts[1]["expected"]), (&json!(40), &json!(30.0)));
    // (20-30)^2/30 + (40-30)^2/30 = 6.667: p = 0.0098.
    let p = copy["pValue"].as_f64().unwrap();
    assert!((p - 0.009_823).abs() < 1e-5, "{p}");
    assert_eq!(copy["sampleRatioMismatch"], false);
    let more = (80..=120).map(|number| exposed(&object(number), 1, "short", now())).collect();
    store.push(more).await;
    let copy = &store.get("/v1/experiments").await.json()["experiments"][0];
    assert_eq!(copy["sampleRatioMismatch"], true, "{copy}");
}

#[tokio::test]
async fn new_shares_begin_anew_and_an_attached_device_is_its_person() {
    let store = Store::start().await;
    let ada = person("C-1");
    declare(&store, now() - DAY, &[], &[shares([0.5, 0.5])]).await;
    store.push(vec![exposed(&object(1), 1, "short", now() - 2)]).await;
    store.push(vec![link(&ada, 1, 1, true, now()), exposed(&ada, 2, "short", now() - 1)]).await;
    let of = || async { store.get("/v1/experiments").await.json()["experiments"][0].clone() };
    assert_eq!(of().await["profiles"], 1, "the device's exposure is the person's");
    // The same shares under a later workspace go on counting.
    let since = of().await["since"].clone();
    declare(&store, now() - DAY / 2, &[], &[shares([0.5, 0.5])]).await;
    assert_eq!((&of().await["profiles"], &of().await["since"]), (&json!(1), &since));
    declare(&store, now(), &[], &[shares([0.9, 0.1])]).await;
    // She comes again, as what she was before.
    store.push(vec![exposed(&ada, 3, "short", now() + 5)]).await;
    store.push(vec![exposed(&object(9), 1, "control", now() + 5)]).await;
    let copy = of().await;
    assert_eq!(copy["profiles"], 1, "{copy}");
    assert_eq!(copy["variants"][0]["profiles"], 1);
}

#[tokio::test]
async fn a_withdrawal_takes_exposures_along() {
    let store = Store::start().await;
    declare(&store, 1, &[], &[shares([0.5, 0.5])]).await;
    let ada = object(1);
    store.push(vec![exposed(&ada, 1, "short", now())]).await;
    store.push(vec![choice(&ada, 2, Purpose::Profile, Choice::Withdrawn, 1, now())]).await;
    let copy = &store.get("/v1/experiments").await.json()["experiments"][0];
    assert_eq!(copy["profiles"], 0);
}

#[tokio::test]
async fn a_declaration_is_checked() {
    let store = Store::start().await;
    let send = |body: serde_json::Value| async {
        let body = body;
        store.post_json("/sync/v1/declare", &body).await
    };
    let whole = json!({ "wireVersion": 1, "workspace": "w", "published": 1,
                        "experiments": [], "budgets": [] });
    let with = |name: &str, value: serde_json::Value| {
        let mut body = whole.clone();
        body[name] = value;
        body
    };
    for (body, code) in [
        (with("wireVersion", json!(9)), "wire_version"),
        (with("budgets", json!([budget("", 1, "day")])), "bad_budget"),
        (with("budgets", json!([budget("deal", 0, "day")])), "bad_budget"),
        (with("budgets", json!([{ "offer": "deal" }])), "bad_shape"),
        (with("experiments", json!([shares([0.5, 7.0])])), "bad_shares"),
        (
            with("experiments", json!([{"experiment": "e", "variants": ["a"], "weights": []}])),
            "bad_shares",
        ),
    ] {
        let answer = send(body).await;
        assert_eq!((answer.status, answer.code().as_str()), (StatusCode::BAD_REQUEST, code));
    }
    let empty = store.get("/v1/experiments").await.json();
    assert_eq!(empty, json!({ "workspace": null, "experiments": [] }));
}
