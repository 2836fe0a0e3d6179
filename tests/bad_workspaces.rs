//! What must be told when a workspace is published, never found out at run time. The same file runs
//! through the edge's own route (`tests/worker/bad-workspaces.test.mjs`).
#![cfg(feature = "compile")]

use selvedge::compile;
use serde_json::Value as Json;

const CASES: &str = include_str!("vectors/bad_workspaces.json");

/// Writes `@part*times@` out.
fn grown(text: &str) -> String {
    let mut out = String::new();
    for (place, part) in text.split('@').enumerate() {
        match part.rsplit_once('*').filter(|_| place % 2 == 1) {
            Some((part, times)) => out += &part.repeat(times.parse().expect("a number")),
            None => out += part,
        }
    }
    out
}

/// A workspace that is fine but for what the case puts into it.
fn source(case: &Json) -> String {
    let of = |name: &str| grown(case[name].as_str().unwrap_or_default());
    let (workspace, offer) = (of("workspace"), of("offer"));
    let has = |text: &str, name: &str| text.starts_with(&format!("\"{name}\""));
    let mut parts = vec![
        r#""format": 1, "languages": ["en"]"#.to_owned(),
        r#""traits": { "tier": { "type": "string" }, "score": { "type": "int" } }"#.to_owned(),
        r#""computed": { "orders": { "count": "Order Completed" } }"#.to_owned(),
    ];
    if !has(&workspace, "placements") {
        let placements =
            r#""placements": { "hero": { "where": "edge" }, "tip": { "where": "page" } }"#;
        parts.push(placements.to_owned());
    }
    if !has(&workspace, "offers") {
        let mut fields = vec![r#""content": { "en": { "headline": "x" } }"#];
        if !has(&offer, "placements") {
            fields.push(r#""placements": ["hero"]"#);
        }
        fields.extend((!offer.is_empty()).then_some(offer.as_str()));
        parts.push(format!(r#""offers": {{ "one": {{ {} }} }}"#, fields.join(", ")));
    }
    parts.extend((!workspace.is_empty()).then_some(workspace));
    format!("{{ {} }}", parts.join(",\n"))
}

#[test]
fn what_would_surprise_at_run_time_is_told_when_it_is_published() {
    let fine = compile::workspace(&source(&Json::Null));
    assert!(fine.is_ok(), "{fine:?}");
    let cases: Vec<Json> = serde_json::from_str(CASES).expect("JSON");
    assert!(cases.len() >= 40, "{}", cases.len());
    let mut faults = Vec::new();
    for case in &cases {
        let found = compile::workspace(&source(case)).err().unwrap_or_default();
        let of = |name: &str| case[name].as_str().expect("a text");
        let first = found.first().map(|one| (&*one.code, one.path.as_str()));
        if first != Some((of("code"), of("path"))) {
            faults.push(format!("{}: {first:?}", of("name")));
        }
        let placed = |one: &compile::Mistake| one.line > 0 && one.column > 0 && one.len > 0;
        if !found.iter().all(placed) {
            faults.push(format!("{} has no place: {found:?}", of("name")));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
