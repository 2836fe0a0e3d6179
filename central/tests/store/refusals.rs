//! Bad requests: each has its status and code, and changes nothing.

use axum::body::Bytes;
use axum::http::{Method, Request, header};
use http_body_util::Full;
use selvedge::limits;
use serde_json::{Value, json};

use crate::harness::{KEY, Store, event, person};

const JSON: &str = "application/json";

#[tokio::test]
async fn bad_requests_have_their_status_and_code() {
    let store = Store::start().await;
    let ada = person("C-1");
    let push = |facts: Value| json!({ "wireVersion": 1, "facts": facts }).to_string();
    let facts = serde_json::to_value(vec![event(&ada, 1, "e", 1); limits::PUSH_FACTS + 1]).unwrap();
    let mut bad_name = serde_json::to_value(event(&ada, 1, "e", 1)).unwrap();
    bad_name["producer"] = "p_someone".into();
    let mut no_seq = serde_json::to_value(event(&ada, 1, "e", 1)).unwrap();
    no_seq["seq"] = 0.into();
    let mut huge_seq = no_seq.clone();
    huge_seq["seq"] = u64::MAX.into();
    let hydrate = |extra: Value| {
        let mut asked = json!({ "wireVersion": 1, "person": ada, "metrics": [] });
        for (name, value) in extra.as_object().unwrap() {
            asked[name] = value.clone();
        }
        asked.to_string()
    };
    let many = vec![("e", "p"); 1_001];
    let deep = "[".repeat(40);
    let device = format!("d_{}", "0".repeat(32));
    let table: Vec<(&str, &str, &str, String, u16, &str)> = vec![
        ("GET", "/nowhere", "", String::new(), 404, "no_route"),
        ("GET", "/v1/exports", "", String::new(), 405, "bad_method"),
        ("POST", "/v1/people/C-1", JSON, "{}".into(), 405, "bad_method"),
        ("DELETE", "/v1/erasures", "", String::new(), 405, "bad_method"),
        ("POST", "/healthz", "", String::new(), 405, "bad_method"),
        ("POST", "/v1/import/crm", JSON, "{}".into(), 415, "bad_content_type"),
        ("POST", "/v1/import/crm", "", "{}".into(), 415, "bad_content_type"),
        ("POST", "/v1/import/C%20RM", "text/csv", "x".into(), 400, "bad_source"),
        ("POST", "/v1/import/edge", "text/csv", "x".into(), 400, "bad_source"),
        ("POST", "/v1/import/%FF", "text/csv", "x".into(), 400, "bad_path"),
        ("GET", "/v1/people/%FF", "", String::new(), 400, "bad_path"),
        ("GET", "/v1/people/guest", "", String::new(), 400, "blocked_identifier"),
        ("GET", "/v1/people/C-404", "", String::new(), 404, "unknown_person"),
        ("GET", "/v1/erasures/x", "", String::new(), 404, "unknown_erasure"),
        ("POST", "/v1/exports", "text/plain", "{}".into(), 415, "bad_content_type"),
        ("POST", "/v1/exports", JSON, "{".into(), 400, "bad_json"),
        ("POST", "/v1/exports", JSON, deep, 400, "too_deep"),
        ("POST", "/v1/exports", JSON, "{}".into(), 400, "bad_shape"),
        ("POST", "/v1/exports", JSON, "{\"customerId\":7}".into(), 400, "bad_shape"),
        ("POST", "/v1/exports", JSON, "{\"customerId\":\"a\",\"x\":1}".into(), 400, "bad_shape"),
        ("POST", "/v1/exports", JSON, " ".repeat(limits::CALL_BYTES + 1), 413, "body_too_large"),
        (
            "POST",
            "/v1/erasures",
            JSON,
            "{\"customerId\":\"null\"}".into(),
            400,
            "blocked_identifier",
        ),
        ("POST", "/sync/v1/push", JSON, "{}".into(), 400, "bad_shape"),
        ("POST", "/sync/v1/erase", JSON, "{}".into(), 400, "bad_shape"),
        (
            "POST",
            "/sync/v1/erase",
            JSON,
            json!({ "wireVersion": 9, "profile": "x" }).to_string(),
            400,
            "wire_version",
        ),
        (
            "POST",
            "/sync/v1/erase",
            JSON,
            json!({ "wireVersion": 1, "profile": "C-1" }).to_string(),
            400,
            "bad_profile_name",
        ),
        (
            "POST",
            "/sync/v1/push",
            JSON,
            json!({ "wireVersion": 9, "facts": [] }).to_string(),
            400,
            "wire_version",
        ),
        ("POST", "/sync/v1/push", JSON, push(facts), 400, "too_many_facts"),
        ("POST", "/sync/v1/push", JSON, push(json!([bad_name])), 400, "bad_profile_name"),
        ("POST", "/sync/v1/push", JSON, push(json!([no_seq])), 400, "bad_seq"),
        ("POST", "/sync/v1/push", JSON, push(json!([huge_seq])), 400, "bad_seq"),
        ("POST", "/sync/v1/push", JSON, " ".repeat(limits::SYNC_BYTES + 1), 413, "body_too_large"),
        (
            "POST",
            "/sync/v1/hydrate",
            JSON,
            hydrate(json!({ "wireVersion": 2 })),
            400,
            "wire_version",
        ),
        (
            "POST",
            "/sync/v1/hydrate",
            JSON,
            hydrate(json!({ "person": "x" })),
            400,
            "bad_profile_name",
        ),
        (
            "POST",
            "/sync/v1/hydrate",
            JSON,
            hydrate(json!({ "person": device })),
            400,
            "bad_profile_name",
        ),
        (
            "POST",
            "/sync/v1/hydrate",
            JSON,
            hydrate(json!({ "metrics": many })),
            400,
            "too_many_metrics",
        ),
        (
            "POST",
            "/sync/v1/hydrate",
            JSON,
            hydrate(json!({ "metrics": [["", ""]] })),
            400,
            "bad_metric",
        ),
        ("GET", "/sync/v1/changes?cursor=x", "", String::new(), 400, "bad_cursor"),
        ("GET", "/sync/v1/changes?cursor=-1", "", String::new(), 400, "bad_cursor"),
        ("GET", "/sync/v1/changes?limit=0", "", String::new(), 400, "bad_limit"),
        ("GET", "/sync/v1/changes?limit=501", "", String::new(), 400, "bad_limit"),
        ("GET", "/sync/v1/changes?cursor=1&x=1", "", String::new(), 400, "unknown_parameter"),
    ];
    for (method, path, media, body, status, code) in table {
        let mut request = store.request(Method::from_bytes(method.as_bytes()).unwrap(), path);
        if !media.is_empty() {
            request = request.header(header::CONTENT_TYPE, media);
        }
        let answer = store.send(request.body(Full::new(Bytes::from(body))).unwrap()).await;
        let got = (answer.status.as_u16(), answer.code());
        assert_eq!(got, (status, code.to_owned()), "{method} {path}: {}", answer.text);
        let error = answer.json();
        assert!(!error["message"].as_str().unwrap().is_empty() && error["where"].is_string());
    }
    assert_eq!(store.get("/v1/people/C-1").await.code(), "unknown_person");
    assert_eq!(store.changes(0, 1).await.cursor, 0);
}

#[tokio::test]
async fn every_route_but_health_needs_the_key() {
    let store = Store::start().await;
    let routes = [
        ("GET", "/metrics"),
        ("POST", "/v1/import/crm"),
        ("GET", "/v1/people/C-1"),
        ("POST", "/v1/exports"),
        ("POST", "/v1/erasures"),
        ("GET", "/v1/erasures/x"),
        ("POST", "/sync/v1/push"),
        ("POST", "/sync/v1/hydrate"),
        ("POST", "/sync/v1/erase"),
        ("GET", "/sync/v1/changes"),
    ];
    let wrong = [
        None,
        Some(String::new()),
        Some("Bearer".to_owned()),
        Some("Bearer ".to_owned()),
        Some(format!("Bearer {KEY}x")),
        Some(format!("Bearer {}", &KEY[1..])),
        Some(KEY.to_owned()),
    ];
    for (method, path) in routes {
        for key in &wrong {
            let mut request = Request::builder().method(method).uri(format!("{}{path}", store.url));
            if let Some(key) = key {
                request = request.header(header::AUTHORIZATION, key);
            }
            let answer = store.send(request.body(Full::default()).unwrap()).await;
            assert_eq!(
                (answer.status.as_u16(), answer.code().as_str()),
                (401, "bad_key"),
                "{path}"
            );
            assert_eq!(answer.headers["www-authenticate"], "Bearer");
        }
    }
    let health = Request::builder().uri(format!("{}/healthz", store.url));
    let answer = store.send(health.body(Full::default()).unwrap()).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["ok"]), (200, &json!(true)));
    let metrics = store.get("/metrics").await.text;
    assert!(metrics.contains("selvedge_central_requests_refused_total 70\n"), "{metrics}");
}
