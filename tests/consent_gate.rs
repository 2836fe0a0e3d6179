//! Situations of consent through the whole gate, one after the other, as told in
//! `tests/vectors/consent_gate.json`; any host can run the same file.

use std::collections::BTreeSet;

use selvedge::replay::gate::answer_json;
use serde_json::Value;

fn situations() -> Vec<Value> {
    serde_json::from_str(include_str!("vectors/consent_gate.json")).unwrap()
}

#[test]
fn every_situation_is_answered_as_told() {
    let situations = situations();
    let mut wrong = Vec::new();
    for told in &situations {
        let answer = answer_json(&told["given"].to_string()).unwrap();
        let found: Value = serde_json::from_str(&answer).unwrap();
        if found != told["expect"] {
            wrong.push(format!(
                "{}\n  told  {}\n  found {found}",
                told["situation"], told["expect"]
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_reason_of_the_gate_is_told_of() {
    let situations = situations();
    let reasons = situations.iter().flat_map(|told| {
        told["expect"]["reasons"].as_object().unwrap().values().map(|r| r.as_str().unwrap())
    });
    let told: BTreeSet<&str> = reasons.collect();
    let every = [
        "allowed_by_region",
        "denied_by_device",
        "denied_by_gpc",
        "denied_by_person",
        "denied_by_signal",
        "denied_by_workspace",
        "granted",
        "needs_profile",
        "needs_store",
        "no_consent",
    ];
    assert_eq!(told, BTreeSet::from(every));
}

#[test]
fn a_field_that_nobody_knows_is_refused() {
    assert_eq!(answer_json(r#"{"regoin":"DE"}"#).unwrap_err().code(), "bad_shape");
}
