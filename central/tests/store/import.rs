//! Imports: what counts, what counts once, and what is refused.

use axum::http::StatusCode;
use selvedge::limits;
use serde_json::{Value, json};

use crate::harness::{Store, identify, order};

const CSV: &str = "text/csv";
const NDJSON: &str = "application/x-ndjson";

/// The refused rows of a report as `line code`.
fn refused(report: &Value) -> Vec<String> {
    let list = report["refused"].as_array().unwrap();
    assert_eq!(report["refusedTotal"], list.len());
    list.iter().map(|row| format!("{} {}", row["line"], row["code"].as_str().unwrap())).collect()
}

fn counts(report: &Value) -> (u64, u64, u64) {
    let number = |name: &str| report[name].as_u64().unwrap();
    (number("accepted"), number("duplicates"), number("refusedTotal"))
}

#[tokio::test]
async fn the_same_file_twice_counts_once() {
    let store = Store::start().await;
    let mut anonymous = order("C-1", "x", 3.0);
    anonymous.as_object_mut().unwrap().remove("messageId");
    let timed = json!({
        "type": "identify", "userId": "C-1", "timestamp": "2026-01-01", "traits": { "a": 1 },
    });
    let rows = [
        order("C-1", "o-1", 1.0),
        anonymous,
        timed,
        identify("C-1", json!({ "tier": "gold" })),
        json!({
            "type": "consent", "userId": "C-1", "timestamp": "2026-01-01T00:00:00Z",
            "purposes": { "store": "grant" },
        }),
    ];
    assert_eq!(counts(&store.import("crm", &rows).await), (5, 0, 0));
    assert_eq!(counts(&store.import("crm", &rows).await), (0, 5, 0));
    assert_eq!(store.count("C-1", "Order Completed").await, 2);
    let csv = "customer_id,event,timestamp,total\nC-1,Order Completed,2026-01-03,4.5\n";
    assert_eq!(counts(&store.import_text("till", CSV, csv).await), (1, 0, 0));
    assert_eq!(counts(&store.import_text("till", CSV, csv).await), (0, 1, 0));
    assert_eq!(store.count("C-1", "Order Completed").await, 3);
    let held = store.person("C-1").await;
    assert_eq!(held["traits"]["tier"]["value"], "gold");
    assert_eq!(held["traits"]["a"]["stamp"]["time"], "2026-01-01T00:00:00.000Z");
    assert_eq!(held["consent"]["store"], true);
}

#[tokio::test]
async fn words_that_are_said_again_after_others_count_again() {
    let store = Store::start().await;
    let yes = identify("C-1", json!({ "cancel_intent": true }));
    let no = identify("C-1", json!({ "cancel_intent": false }));
    for (row, accepted) in [(&yes, 1), (&yes, 0), (&no, 1), (&yes, 1)] {
        assert_eq!(counts(&store.import("crm", std::slice::from_ref(row)).await).0, accepted);
    }
    assert_eq!(store.person("C-1").await["traits"]["cancel_intent"]["value"], true);
}

#[tokio::test]
async fn the_later_word_wins_whatever_comes_last() {
    let store = Store::start().await;
    let row = |time: &str, tier: &str| {
        json!({
            "type": "identify", "userId": "C-1", "timestamp": time, "traits": { "tier": tier },
        })
    };
    store.import("crm", &[row("2026-02-01", "gold"), row("2026-01-01", "silver")]).await;
    assert_eq!(store.person("C-1").await["traits"]["tier"]["value"], "gold");
    // Of two at one time the later line.
    store.import("crm", &[row("2026-03-01", "a"), row("2026-03-01", "b")]).await;
    assert_eq!(store.person("C-1").await["traits"]["tier"]["value"], "b");
    store.import("crm", &[identify("C-1", json!({ "tier": null }))]).await;
    assert_eq!(store.person("C-1").await["traits"]["tier"]["value"], Value::Null);
}

#[tokio::test]
async fn refused_rows_have_their_line_and_code_and_no_neighbour_suffers() {
    let store = Store::start().await;
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(40), "]".repeat(40));
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(limits::EVENT_BYTES));
    let track = |extra: Value| {
        let mut row = order("C-1", "fresh", 1.0);
        for (name, value) in extra.as_object().unwrap() {
            row[name] = value.clone();
        }
        row.to_string()
    };
    let consent = |extra: Value| {
        let mut row = json!({
            "type": "consent", "userId": "C-1", "timestamp": "2026-01-01",
            "purposes": { "store": "deny" },
        });
        for (name, value) in extra.as_object().unwrap() {
            row[name] = value.clone();
        }
        row.to_string()
    };
    let long_list: Vec<u8> = vec![0; limits::LIST_ENTRIES + 1];
    let many: Value = (0..=limits::PROPERTIES).map(|n| (format!("p{n}"), json!(1))).collect();
    let table: Vec<(Vec<u8>, &str)> = vec![
        (b"{\"type\":".to_vec(), "bad_json"),
        // A number without an end, and one that is none.
        (
            b"{\"type\":\"identify\",\"userId\":\"C-1\",\"traits\":{\"score\":1e999}}".to_vec(),
            "bad_json",
        ),
        (
            b"{\"type\":\"identify\",\"userId\":\"C-1\",\"traits\":{\"score\":NaN}}".to_vec(),
            "bad_json",
        ),
        (b"\xff\xfe".to_vec(), "not_utf8"),
        (deep.into(), "too_deep"),
        (long.into(), "row_too_large"),
        (b"[1]".to_vec(), "wrong_type"),
        (b"{}".to_vec(), "missing_field"),
        (b"{\"type\":7}".to_vec(), "wrong_type"),
        (b"{\"type\":\"page\",\"userId\":\"C-1\"}".to_vec(), "unknown_type"),
        (track(json!({ "userid": "C-1" })).into(), "unknown_field"),
        (track(json!({ "userId": 7 })).into(), "wrong_type"),
        (track(json!({ "userId": "null" })).into(), "blocked_identifier"),
        (track(json!({ "userId": "" })).into(), "blocked_identifier"),
        (track(json!({ "userId": "x".repeat(257) })).into(), "bad_identifier"),
        (track(json!({ "userId": "a\u{0}b" })).into(), "bad_identifier"),
        (track(json!({ "timestamp": "yesterday" })).into(), "bad_timestamp"),
        (track(json!({ "timestamp": "2200-01-01T00:00:00Z" })).into(), "future_timestamp"),
        (track(json!({ "timestamp": null })).into(), "wrong_type"),
        (track(json!({ "messageId": "" })).into(), "bad_event_id"),
        (track(json!({ "messageId": "x".repeat(101) })).into(), "bad_event_id"),
        (track(json!({ "event": "" })).into(), "bad_event_name"),
        (track(json!({ "properties": [] })).into(), "wrong_type"),
        (track(json!({ "properties": { "a": "x".repeat(5_000) } })).into(), "text_too_long"),
        (track(json!({ "properties": { "a": long_list } })).into(), "list_too_long"),
        (track(json!({ "properties": many })).into(), "too_many_properties"),
        (identify("C-1", json!({ "": 1 })).to_string().into(), "name_too_long"),
        (identify("C-1", json!({ "": null })).to_string().into(), "name_too_long"),
        (identify("C-1", json!({ "a": { "b": 1 } })).to_string().into(), "bad_value"),
        (identify("C-1", json!(null)).to_string().into(), "wrong_type"),
        (b"{\"type\":\"identify\",\"userId\":\"C-1\"}".to_vec(), "missing_field"),
        (consent(json!({ "purposes": { "stare": "deny" } })).into(), "bad_purpose"),
        (consent(json!({ "purposes": { "store": "maybe" } })).into(), "bad_value"),
        (consent(json!({ "purposes": {} })).into(), "missing_field"),
        (consent(json!({ "basis": "whim" })).into(), "bad_basis"),
        (consent(json!({ "evidence": "x".repeat(5_000) })).into(), "text_too_long"),
    ];
    let mut file = b"\xef\xbb\xbf".to_vec();
    let mut wanted = Vec::new();
    for (at, (row, code)) in table.iter().enumerate() {
        file.extend_from_slice(row);
        // Every refused line is followed by a good one and a blank one.
        let good = order("C-1", &format!("good-{at}"), 1.0);
        file.extend_from_slice(format!("\n{good}\r\n\n").as_bytes());
        wanted.push(format!("{} {code}", at * 3 + 1));
    }
    let report = store.import_text("crm", NDJSON, file).await;
    assert_eq!(refused(&report), wanted);
    assert_eq!(report["accepted"], table.len());
    assert_eq!(store.count("C-1", "Order Completed").await, table.len() as u64);
    let held = store.person("C-1").await;
    assert_eq!(held["traits"], json!({}));
    assert_eq!(held["receipts"], json!([]));
}

#[tokio::test]
async fn csv_is_read_strictly_and_a_broken_row_costs_only_itself() {
    let store = Store::start().await;
    let file = b"\xef\xbb\xbfcustomer_id,name,zip,score,note\r\n\
        C-1,\"Lovelace, Ada\",01234,7,\"two\nlines, and a \"\"quote\"\"\"\r\n\
        \r\n\
        C-2,\"broken\"x,1,2,3\r\n\
        C-3,Grace,+49,1.5,\r\n\
        C-4,too,few\r\n\
        C-5,pl\"ain,1,2,3\r\n\
        C-6,\xff,1,2,3\r\n\
        ,nobody,1,2,3\r\n\
        guest,x,1,2,3\r\n\
        C-7,\"never closed,1,2,3\r\n\
        C-8,Last,1,2,2026-05-01\r\n\
        C-9,\"open,1,2,3";
    let report = store.import_text("crm", CSV, file.to_vec()).await;
    let wanted = [
        "5 broken_quoting",
        "7 wrong_field_count",
        "8 broken_quoting",
        "9 not_utf8",
        "10 missing_field",
        "11 blocked_identifier",
        "12 broken_quoting",
        "14 broken_quoting",
    ];
    assert_eq!(refused(&report), wanted);
    assert_eq!(report["accepted"], 3);
    let ada = store.person("C-1").await;
    assert_eq!(ada["traits"]["name"]["value"], "Lovelace, Ada");
    assert_eq!(ada["traits"]["zip"]["value"], "01234");
    assert_eq!(ada["traits"]["score"]["value"], 7);
    assert_eq!(ada["traits"]["note"]["value"], "two\nlines, and a \"quote\"");
    let grace = store.person("C-3").await;
    assert_eq!(grace["traits"]["zip"]["value"], "+49");
    assert_eq!(grace["traits"]["score"]["value"], 1.5);
    assert_eq!(grace["traits"]["note"], Value::Null);
    let last = store.person("C-8").await;
    assert_eq!(last["traits"]["note"]["value"], "2026-05-01T00:00:00.000Z");
}

#[tokio::test]
async fn an_oversized_csv_row_is_refused_and_reading_goes_on() {
    let store = Store::start().await;
    let huge = "x".repeat(3 * limits::EVENT_BYTES);
    let file = format!("customer_id,a\nC-1,{huge}\nC-2,1\nC-3,\"{huge}\"\nC-4,1\n");
    let report = store.import_text("crm", CSV, file).await;
    assert_eq!(refused(&report), ["2 row_too_large", "4 row_too_large"]);
    assert_eq!(report["accepted"], 2);
}

#[tokio::test]
async fn a_header_that_cannot_be_read_refuses_the_file() {
    let store = Store::start().await;
    for (file, code) in [
        ("", "missing_column"),
        ("a,b\nC-1,2\n", "missing_column"),
        ("customer_id,a,a\nC-1,2,3\n", "duplicate_column"),
        ("customer_id,a, a\nC-1,2,3\n", "duplicate_column"),
        ("customer_id,\"a\nC-1,2\n", "broken_quoting"),
        ("customer_id,,b\nC-1,2,3\n", "name_too_long"),
    ] {
        let answer = store.post("/v1/import/crm", CSV, file).await;
        assert_eq!((answer.status, answer.code().as_str()), (StatusCode::BAD_REQUEST, code));
        assert_eq!(answer.json()["where"], "line 1");
    }
    assert_eq!(store.get("/v1/people/C-1").await.code(), "unknown_person");
}

#[tokio::test]
async fn a_large_file_passes_in_batches_and_the_list_of_refused_rows_is_bounded() {
    let store = Store::start().await;
    let mut file = String::from("customer_id,event,timestamp,total\n");
    for row in 0..20_000 {
        file.push_str(&format!("C-{},Order Completed,2026-01-01,{row}\n", row % 100));
        if row % 10 == 0 {
            file.push_str("C-1,Order Completed,never,1\n");
        }
    }
    let report = store.import_text("till", CSV, file).await;
    assert_eq!(counts(&report), (20_000, 0, 2_000));
    assert_eq!(report["refused"].as_array().unwrap().len(), 1_000);
    assert_eq!(store.count("C-7", "Order Completed").await, 200);
}

#[tokio::test]
async fn the_id_of_a_web_event_does_not_occupy_the_id_of_an_imported_row() {
    let store = Store::start().await;
    let ada = crate::harness::person("C-1");
    store.push(vec![crate::harness::event(&ada, 1, "o-1", 1_760_000_000_000)]).await;
    assert_eq!(counts(&store.import("shop", &[order("C-1", "o-1", 1.0)]).await), (1, 0, 0));
}
