//! The conversation with the edge.

use std::time::Instant;

use selvedge::consent::{Choice, Purpose};
use selvedge::profile::metric_key;
use selvedge::rule::Value;
use selvedge::time::Timestamp;
use selvedge::wire::ChangeBody;
use serde_json::json;

use crate::harness::{
    Edge, Store, choice, event, eventually, identify, link, object, order, person, told,
};

const NOW: i64 = 1_760_000_000_000;
const DAY: i64 = 86_400_000;

#[tokio::test]
async fn a_row_of_an_active_person_reaches_the_edge_at_once() {
    let edge = Edge::start().await;
    let store = Store::start_with(Some(&edge)).await;
    let ada = person("C-1");
    store.import("crm", &[identify("C-1", json!({ "tier": "gold" }))]).await;
    store.import("shop", &[order("C-1", "o-1", 10.5), order("C-2", "o-2", 1.0)]).await;
    let known = store.hydrate(&ada, &[("Order Completed", "total")]).await;
    assert_eq!(told(&known.changes, "tier"), Some(Value::String("gold".into())));
    let series = known.changes.iter().find_map(|change| match &change.body {
        ChangeBody::Series(series) => series.get(&metric_key("Order Completed", "total")),
        _ => None,
    });
    let total = series.unwrap().aggregate(None, Timestamp(i64::MAX));
    assert_eq!((total.count, total.sum), (1, 10.5));

    let start = Instant::now();
    store.import("crm", &[identify("C-1", json!({ "cancel_intent": true }))]).await;
    let (came, _) = edge
        .meets(|c| told(std::slice::from_ref(c), "cancel_intent") == Some(Value::Bool(true)))
        .await;
    let took = came.duration_since(start);
    println!("row to edge: {took:?}");
    assert!(took.as_millis() < 100, "a change took {took:?}");

    store.import("shop", &[order("C-1", "o-3", 2.0)]).await;
    edge.meets(|change| match &change.body {
        ChangeBody::Series(series) => series
            .get(&metric_key("Order Completed", "total"))
            .is_some_and(|series| series.aggregate(None, Timestamp(i64::MAX)).sum == 12.5),
        _ => false,
    })
    .await;
    store.import("crm", &[identify("C-2", json!({ "tier": "gold" }))]).await;
    assert!(edge.taken().iter().all(|change| change.person == ada), "a dormant person was told");
}

#[tokio::test]
async fn a_feed_that_stays_open_is_committed_row_by_row() {
    use tokio::io::AsyncWriteExt;
    let store = Store::start().await;
    let address = store.url.strip_prefix("http://").unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /v1/import/crm HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
         content-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n",
        crate::harness::KEY
    );
    let row = format!("{}\n", identify("C-1", json!({ "tier": "gold" })));
    let chunk = format!("{:x}\r\n{row}\r\n", row.len());
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(chunk.as_bytes()).await.unwrap();
    eventually(|| async { (store.get("/v1/people/C-1").await.status == 200).then_some(()) }).await;
}

#[tokio::test]
async fn facts_count_once_in_any_order_and_are_answered_after_the_commit() {
    let mut store = Store::start().await;
    let (ada, unlinked) = (person("C-1"), object(1));
    let facts = vec![
        event(&ada, 2, "e-2", NOW),
        event(&ada, 1, "e-1", NOW),
        // The same event by another producer.
        event(&unlinked, 1, "e-1", NOW),
        event(&ada, 2, "e-2", NOW),
    ];
    let first = store.push(facts.clone()).await;
    assert_eq!(first["stored"][ada.as_str()], json!([1, 2]));
    assert_eq!(first["stored"][unlinked.as_str()], json!([1]));
    // The process goes away right after its answer: what was answered is there.
    store.stop().await;
    store.resume().await;
    assert_eq!(store.count("C-1", "Product Viewed").await, 2);
    let again = store.push(facts.into_iter().rev().collect()).await;
    assert_eq!(again, first);
    assert_eq!(store.count("C-1", "Product Viewed").await, 2);
}

#[tokio::test]
async fn a_devices_history_moves_with_an_attached_link_whichever_comes_first() {
    let store = Store::start().await;
    let ada = person("C-1");
    store.push(vec![event(&object(1), 1, "early", NOW - DAY)]).await;
    store.push(vec![link(&ada, 1, 1, true, NOW), link(&ada, 2, 2, false, NOW)]).await;
    assert_eq!(store.count("C-1", "Product Viewed").await, 1);
    store.push(vec![event(&object(1), 2, "late", NOW - 2 * DAY)]).await;
    store.push(vec![event(&object(1), 3, "too old", NOW - 31 * DAY)]).await;
    store.push(vec![event(&object(2), 1, "not attached", NOW - DAY)]).await;
    let exported = store.post_json("/v1/exports", &json!({ "customerId": "C-1" })).await.text;
    assert_eq!(store.count("C-1", "Product Viewed").await, 2);
    assert_eq!(exported.matches("\"kind\":\"event\"").count(), 4);
    let of = |owner: &str| exported.matches(&format!("\"owner\":\"{owner}\"")).count();
    assert_eq!((of(ada.as_str()), of(object(1).as_str()), of(object(2).as_str())), (2, 1, 1));
    let held = store.person("C-1").await;
    assert_eq!(held["devices"].as_array().unwrap().len(), 2);
    assert_eq!(held["devices"][0]["attached"], true);
    assert_eq!(held["devices"][1]["attached"], false);
}

#[tokio::test]
async fn the_feed_heals_a_lost_push() {
    let edge = Edge::start().await;
    let store = Store::start_with(Some(&edge)).await;
    let ada = person("C-1");
    edge.refuse(true);
    store.import("crm", &[identify("C-1", json!({ "tier": "gold" }))]).await;
    let start = store.hydrate(&ada, &[]).await.cursor;
    store.import("crm", &[identify("C-1", json!({ "tier": "silver" }))]).await;
    store.import("crm", &[identify("C-1", json!({ "city": "Oslo" }))]).await;
    eventually(|| async { (edge.tries() > 0).then_some(()) }).await;
    assert!(edge.taken().is_empty());
    let page = store.changes(start, 1).await;
    assert_eq!(told(&page.changes, "tier"), Some(Value::String("silver".into())));
    assert_eq!(told(&page.changes, "city"), Some(Value::String("Oslo".into())));
    assert!(!page.more && page.cursor > start);
    assert!(store.changes(page.cursor, 500).await.changes.is_empty());
    // A cursor of another database begins anew.
    assert!(!store.changes(page.cursor + 1_000, 500).await.changes.is_empty());
    edge.refuse(false);
    edge.meets(|change| told(std::slice::from_ref(change), "city").is_some()).await;
}

#[tokio::test]
async fn the_feed_comes_in_pages_that_lose_nothing() {
    let store = Store::start().await;
    let ids: Vec<String> = (1..=7).map(|n| format!("C-{n}")).collect();
    for id in &ids {
        store.hydrate(&person(id), &[]).await;
        store.import("crm", &[identify(id, json!({ "a": 1 }))]).await;
    }
    let first = store.changes(0, 3).await;
    assert!(first.more);
    // Between two pages the first person changes again, and moves to the end.
    store.import("crm", &[identify("C-6", json!({ "b": 2 }))]).await;
    let mut all = first.changes.clone();
    let (mut cursor, mut more) = (first.cursor, first.more);
    while more {
        let page = store.changes(cursor, 3).await;
        assert!(page.cursor > cursor);
        (cursor, more) = (page.cursor, page.more);
        all.extend(page.changes);
    }
    for id in &ids {
        let of: Vec<_> = all.iter().filter(|c| c.person == person(id)).cloned().collect();
        assert_eq!(told(&of, "a"), Some(Value::Int(1)), "{id}");
    }
    let six: Vec<_> = all.iter().filter(|c| c.person == person("C-6")).cloned().collect();
    assert_eq!(told(&six, "b"), Some(Value::Int(2)));
    assert!(all.windows(2).all(|pair| pair[0].cursor < pair[1].cursor));
}

#[tokio::test]
async fn a_new_metric_brings_series_for_everybody_at_the_edge() {
    let store = Store::start().await;
    store.import("shop", &[order("C-1", "o-1", 3.0)]).await;
    store.hydrate(&person("C-1"), &[]).await;
    let cursor = store.changes(0, 500).await.cursor;
    store.hydrate(&person("C-2"), &[("Order Completed", "")]).await;
    let page = store.changes(cursor, 500).await;
    let ada = page.changes.iter().find(|change| change.person == person("C-1")).unwrap();
    assert!(matches!(&ada.body, ChangeBody::Series(series) if series.len() == 1));
}

#[tokio::test]
async fn a_withdrawal_deletes_web_events_and_stops_changes_until_a_new_grant() {
    let edge = Edge::start().await;
    let store = Store::start_with(Some(&edge)).await;
    let ada = person("C-1");
    store.import("shop", &[order("C-1", "o-1", 3.0)]).await;
    store.import("crm", &[identify("C-1", json!({ "tier": "gold" }))]).await;
    store.hydrate(&ada, &[("Order Completed", "total")]).await;
    store
        .push(vec![
            choice(&ada, 1, Purpose::Profile, Choice::Grant, 0, NOW),
            event(&ada, 2, "seen", NOW + 1),
        ])
        .await;
    assert_eq!(store.count("C-1", "Product Viewed").await, 1);
    // In one push, and the event before the choice in the list.
    store
        .push(vec![
            event(&ada, 4, "after", NOW + 3),
            choice(&ada, 3, Purpose::Profile, Choice::Withdrawn, 1, NOW + 2),
        ])
        .await;
    assert_eq!(store.count("C-1", "Product Viewed").await, 0);
    assert_eq!(store.count("C-1", "Order Completed").await, 1);
    let before = store.changes(0, 500).await;
    store.import("crm", &[identify("C-1", json!({ "tier": "silver" }))]).await;
    store.import("shop", &[order("C-1", "o-2", 3.0)]).await;
    let after = store.changes(before.cursor, 500).await;
    assert!(after.changes.is_empty(), "{after:?}");
    let known = store.hydrate(&ada, &[("Order Completed", "total")]).await;
    assert!(known.changes.iter().all(|c| matches!(c.body, ChangeBody::Consent(_))));
    // A late event from before the no stays away, even after a new yes; a new one is kept.
    store
        .push(vec![
            choice(&ada, 5, Purpose::Profile, Choice::Grant, 1, NOW + 10),
            event(&ada, 6, "old", NOW + 1),
            event(&ada, 7, "new", NOW + 11),
        ])
        .await;
    assert_eq!(store.count("C-1", "Product Viewed").await, 1);
    edge.meets(|c| told(std::slice::from_ref(c), "tier") == Some(Value::String("silver".into())))
        .await;
    let receipts = store.person("C-1").await["receipts"].as_array().unwrap().len();
    assert_eq!(receipts, 3);
}

#[tokio::test]
async fn a_choice_of_another_channel_reaches_the_edge_and_outlives_older_ones() {
    let edge = Edge::start().await;
    let store = Store::start_with(Some(&edge)).await;
    let ada = person("C-1");
    store.hydrate(&ada, &[]).await;
    let row = |choice: &str, time: &str| {
        json!({
            "type": "consent", "userId": "C-1", "timestamp": time, "evidence": "form 7",
            "purposes": { "personalise": choice },
        })
    };
    let no = row("deny", "2026-03-01T00:00:00Z");
    let report = store.import("call-centre", std::slice::from_ref(&no)).await;
    assert_eq!(report["accepted"], 1);
    edge.meets(|change| {
        matches!(&change.body, ChangeBody::Consent(records)
        if records.iter().any(|r| r.purpose == Purpose::Personalise && r.choice == Choice::Deny))
    })
    .await;
    assert_eq!(store.import("call-centre", &[no]).await["duplicates"], 1);
    store.import("call-centre", &[row("grant", "2026-02-01T00:00:00Z")]).await;
    let held = store.person("C-1").await;
    assert_eq!(held["consent"]["personalise"], false);
    assert_eq!(held["receipts"].as_array().unwrap().len(), 2);
    assert_eq!(held["receipts"][0]["previous"], held["receipts"][1]["hash"]);
    store.import("call-centre", &[row("grant", "2026-04-01T00:00:00Z")]).await;
    assert_eq!(store.person("C-1").await["consent"]["personalise"], true);
}
