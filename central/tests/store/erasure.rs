//! Erasure and export.

use axum::http::StatusCode;
use selvedge::consent::{Choice, Purpose};
use selvedge::wire::ChangeBody;
use serde_json::{Value, json};

use crate::harness::{
    Edge, Store, choice, event, event_claiming, eventually, identify, link, object, order, person,
};

const NOW: i64 = 1_760_000_000_000;
const EMAIL: &str = "ada.lovelace.1815@example.com";
const ID: &str = "CUSTOMER-ADA-4711";

/// The files of the database that hold any of these texts, in any common encoding.
fn files_with(store: &Store, needles: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(store.folder.path()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        for needle in needles {
            let wide: Vec<u8> = needle.bytes().flat_map(|byte| [byte, 0]).collect();
            for form in [needle.as_bytes(), &wide] {
                if bytes.windows(form.len()).any(|window| window == form) {
                    found.push(format!("{needle} in {}", path.display()));
                }
            }
        }
    }
    found
}

async fn fill(store: &Store) {
    // Enough neighbours that pages split and move while she is written.
    for round in 0..4 {
        let crowd: Vec<Value> = (0..150)
            .map(|n| identify(&format!("N-{round}-{n}"), json!({ "note": "x".repeat(n % 97) })))
            .collect();
        store.import("crm", &crowd).await;
        let email = json!({ "email": EMAIL, "round": round, "id_again": ID });
        store.import("crm", &[identify(ID, email)]).await;
        let mut long = order(ID, &format!("{ID}-{round}"), 1.0);
        long["properties"]["comment"] = format!("{EMAIL} {}", "y".repeat(4_000)).into();
        store.import("shop", &[long]).await;
    }
    let ada = person(ID);
    store.hydrate(&ada, &[("Order Completed", "total")]).await;
    store
        .push(vec![
            event(&object(1), 1, "before-login", NOW - 1_000),
            link(&ada, 1, 1, true, NOW),
            choice(&ada, 2, Purpose::Store, Choice::Grant, 0, NOW),
            event(&ada, 3, "seen", NOW + 1),
            event_claiming(&object(9), 1, "claim", NOW, Some(ID)),
        ])
        .await;
}

#[tokio::test]
async fn an_erased_person_never_returns_and_leaves_no_plain_identifier() {
    let edge = Edge::start().await;
    let mut store = Store::start_with(Some(&edge)).await;
    fill(&store).await;
    assert!(!files_with(&store, &[EMAIL, ID]).is_empty(), "the test would see nothing");

    edge.refuse(true);
    let erasure = store.post_json("/v1/erasures", &json!({ "customerId": ID })).await;
    assert_eq!(erasure.status, StatusCode::OK, "{}", erasure.text);
    let erasure = erasure.json();
    assert_eq!(erasure["deleted"]["people"], 1);
    assert_eq!(erasure["deleted"]["traits"], 3);
    assert_eq!(erasure["deleted"]["events"], 4 + 2 + 1);
    assert_eq!(erasure["deleted"]["links"], 1);
    assert_eq!(erasure["deleted"]["receipts"], 1);
    assert_eq!(erasure["acknowledged"], false);
    let proof = format!("/v1/erasures/{}/receipts", erasure["id"].as_str().unwrap());
    let kept = store.get(&proof).await.json();
    let stub = &kept["receipts"][0]["stub"];
    assert_eq!(stub["records"][0]["choice"], "grant");
    assert_eq!((stub.get("device"), stub.get("evidence")), (None, None));
    assert_eq!(kept["receipts"].as_array().map(Vec::len), Some(1));
    assert_eq!(store.get("/v1/erasures/e_0/receipts").await.code(), "unknown_erasure");
    assert_eq!(files_with(&store, &[EMAIL, ID]), Vec::<String>::new());

    edge.refuse(false);
    edge.meets(|c| c.person == person(ID) && matches!(c.body, ChangeBody::Erase { .. })).await;
    let path = format!("/v1/erasures/{}", erasure["id"].as_str().unwrap());
    eventually(|| async {
        let status = store.get(&path).await.json();
        (status["acknowledged"] == true).then_some(())
    })
    .await;

    // Imports of her, facts of hers and of her devices, known and new, come to nothing.
    let rows = [
        identify(ID, json!({ "email": EMAIL })),
        order(ID, "o-9", 1.0),
        identify("N-0-1", json!({ "fine": true })),
    ];
    let report = store.import("crm", &rows).await;
    assert_eq!((&report["accepted"], &report["refusedTotal"]), (&json!(1), &json!(2)));
    assert_eq!(report["refused"][0]["code"], "erased");
    assert_eq!(report["refused"][1]["line"], 2);
    let ada = person(ID);
    let answer = store
        .push(vec![
            event(&ada, 9, "late", NOW + 9),
            event(&object(1), 9, "late tab", NOW + 9),
            event(&object(3), 1, "before the late link", NOW + 9),
            link(&ada, 10, 3, true, NOW + 10),
            event(&object(3), 2, "with the late link", NOW + 11),
            event_claiming(&object(8), 1, "claims her", NOW, Some(ID)),
            choice(&ada, 11, Purpose::Store, Choice::Grant, 0, NOW + 12),
        ])
        .await;
    assert_eq!(answer["stored"][ada.as_str()], json!([9, 10, 11]));
    assert_eq!(answer["stored"][object(3).as_str()], json!([1, 2]));
    store.push(vec![event(&object(3), 3, "after the late link", NOW + 12)]).await;
    // Five facts were stored in her lifetime, and none after it.
    let metrics = store.get("/metrics").await.text;
    assert!(metrics.contains("selvedge_central_facts_stored_total 5\n"), "{metrics}");
    assert!(metrics.contains("selvedge_central_facts_dropped_total 8\n"), "{metrics}");
    assert_eq!(store.get(&format!("/v1/people/{ID}")).await.code(), "unknown_person");
    let known = store.hydrate(&ada, &[]).await;
    assert!(matches!(known.changes[..], [ref c] if matches!(c.body, ChangeBody::Erase { .. })));
    store.stop().await;
    assert_eq!(files_with(&store, &[EMAIL, ID]), Vec::<String>::new());
    store.resume().await;
    let again = store.post_json("/v1/erasures", &json!({ "customerId": ID })).await.json();
    assert_eq!(again["id"], erasure["id"]);
    assert_eq!(again["deleted"]["events"], 0);
}

/// SQLite overwrites what is freed, but a page whose cells moved can keep an old copy: with this
/// filling some of these people were still in the file before erasure rewrote it.
#[tokio::test]
async fn pages_that_split_and_merged_keep_no_copy_of_the_erased() {
    let store = Store::start().await;
    let mut seed = 3_u64;
    let mut random = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((seed >> 33) % below).unwrap()
    };
    let ids: Vec<String> = (0..100).map(|n| format!("{ID}-{n}")).collect();
    for (round, id) in ids.iter().enumerate() {
        let mut rows: Vec<Value> = (0..30)
            .map(|n| {
                identify(&format!("N-{round}-{n}"), json!({ "note": "x".repeat(random(400)) }))
            })
            .collect();
        let note = format!("{EMAIL}{}", "z".repeat(random(300)));
        rows.push(identify(id, json!({ "email": EMAIL, "note": note })));
        assert_eq!(store.import("crm", &rows).await["accepted"], 31);
    }
    for id in &ids {
        store.post_json("/v1/erasures", &json!({ "customerId": id })).await;
    }
    assert_eq!(files_with(&store, &[EMAIL, ID]), Vec::<String>::new());
}

#[tokio::test]
async fn a_poll_behind_an_erasure_confirms_it() {
    let store = Store::start().await;
    store.import("crm", &[identify(ID, json!({ "a": 1 }))]).await;
    let erasure = store.post_json("/v1/erasures", &json!({ "customerId": ID })).await.json();
    let path = format!("/v1/erasures/{}", erasure["id"].as_str().unwrap());
    let page = store.changes(0, 500).await;
    assert!(matches!(page.changes[..], [ref c] if matches!(c.body, ChangeBody::Erase { .. })));
    assert_eq!(store.get(&path).await.json()["acknowledged"], false);
    store.changes(page.cursor, 500).await;
    assert_eq!(store.get(&path).await.json()["acknowledged"], true);
    assert_eq!(store.get("/v1/erasures/e_0").await.code(), "unknown_erasure");
}

#[tokio::test]
async fn an_export_holds_everything_and_says_where_it_ends() {
    let store = Store::start().await;
    fill(&store).await;
    let orders: Vec<Value> = (0..1_200).map(|n| order(ID, &format!("bulk-{n}"), 1.0)).collect();
    store.import("till", &orders).await;
    let answer = store.post_json("/v1/exports", &json!({ "customerId": ID })).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.headers["content-type"], "application/x-ndjson");
    let lines: Vec<Value> =
        answer.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |kind: &str| lines.iter().filter(|line| line["kind"] == kind).count();
    assert_eq!((of("person"), of("trait"), of("link"), of("receipt")), (1, 3, 1, 1));
    assert_eq!(of("event"), 4 + 2 + 1_200);
    assert_eq!(lines[0]["customerId"], ID);
    assert_eq!(lines.last().unwrap(), &json!({ "kind": "end", "events": 1_206 }));
    let web = lines.iter().find(|line| line["id"] == "seen").unwrap();
    assert_eq!(
        (&web["source"], &web["payload"]["event"]),
        (&json!("edge"), &json!("Product Viewed"))
    );
    let unknown = store.post_json("/v1/exports", &json!({ "customerId": "C-none" })).await;
    assert_eq!(
        (unknown.status, unknown.code().as_str()),
        (StatusCode::NOT_FOUND, "unknown_person")
    );
}

/// Choices told to other channels stand in one chain, which holds in an export, in what an erasure
/// leaves, and not when anything of it is changed.
#[tokio::test]
async fn receipts_hold_in_an_export_and_after_an_erasure() {
    use selvedge::engine::receipts::{Stub, verify, verify_stubs};
    use selvedge::wire::Receipt;
    let store = Store::start().await;
    store.import("crm", &[identify(ID, json!({ "tier": "gold" }))]).await;
    for (choice, day) in [("grant", 1), ("deny", 2), ("grant", 3)] {
        let row = json!({
            "type": "consent", "userId": ID, "purposes": { "measure": choice },
            "timestamp": format!("2026-01-0{day}T00:00:00Z"),
        });
        let report = store.import("crm", &[row]).await;
        assert_eq!(report["accepted"], 1, "{report}");
    }
    let export = store.post_json("/v1/exports", &json!({ "customerId": ID })).await.text;
    let lines = export.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let lines: Vec<Value> = lines.filter(|line| line["kind"] == "receipt").collect();
    let chain: Vec<Receipt> =
        lines.iter().map(|l| serde_json::from_value(l["receipt"].clone()).unwrap()).collect();
    assert!(lines.iter().all(|line| line["chain"].as_str().unwrap().starts_with("central:p_")));
    assert_eq!((chain.len(), verify(&chain)), (3, Ok(())));
    let erasure = store.post_json("/v1/erasures", &json!({ "customerId": ID })).await.json();
    let path = format!("/v1/erasures/{}/receipts", erasure["id"].as_str().unwrap());
    let kept = store.get(&path).await.json();
    let mut stubs: Vec<Stub> = kept["receipts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| serde_json::from_value(line["stub"].clone()).unwrap())
        .collect();
    assert_eq!((stubs.len(), verify_stubs(&stubs)), (3, Ok(())));
    stubs[1].source = "somebody".to_owned();
    assert_eq!(verify_stubs(&stubs).unwrap_err().code(), "receipt_changed");
}

#[tokio::test]
async fn a_subject_who_asks_at_the_edge_is_erased_by_name_and_never_returns() {
    let store = Store::start().await;
    fill(&store).await;
    let ada = person(ID);
    let asked = |profile: &str| json!({ "wireVersion": 1, "profile": profile });
    let first = store.post_json("/sync/v1/erase", &asked(ada.as_str())).await;
    assert_eq!(first.status, StatusCode::OK, "{}", first.text);
    assert_eq!(first.json()["deleted"]["people"], 1);
    assert_eq!(files_with(&store, &[EMAIL, ID]), Vec::<String>::new());
    // The edge asks until it is answered: again is the same erasure.
    let again = store.post_json("/sync/v1/erase", &asked(ada.as_str())).await;
    assert_eq!(again.json()["id"], first.json()["id"]);
    // Nothing that speaks of her is taken any more, though her customer id was never said.
    store.import("crm", &[identify(ID, json!({ "email": EMAIL }))]).await;
    store.push(vec![event(&ada, 4, "late", NOW + 2)]).await;
    assert_eq!(store.get(&format!("/v1/people/{ID}")).await.code(), "unknown_person");
    let fed = store.changes(0, 100).await.changes;
    assert!(fed.iter().any(|c| c.person == ada && matches!(c.body, ChangeBody::Erase { .. })));
}

#[tokio::test]
async fn a_device_that_asks_at_the_edge_takes_its_events_along_and_nobody_elses() {
    let store = Store::start().await;
    store.push(vec![event(&object(1), 1, "mine", NOW), event(&object(2), 1, "hers", NOW)]).await;
    let asked = json!({ "wireVersion": 1, "profile": object(1) });
    let erased = store.post_json("/sync/v1/erase", &asked).await;
    assert_eq!(erased.json()["deleted"]["events"], 1, "{}", erased.text);
    let late = store.push(vec![event(&object(1), 2, "late", NOW + 1)]).await;
    assert_eq!(late["stored"][object(1).as_str()], json!([2]), "let go of, not asked for again");
    let again = store.post_json("/sync/v1/erase", &asked).await;
    assert_eq!(again.json()["deleted"]["events"], 0);
}
