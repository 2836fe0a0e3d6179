//! The 130 public consent strings, field by field against what the IAB's own libraries decode. A
//! string that does not agree must stand in `consent_exceptions.json`, with the paragraph that
//! shows the oracle wrong and what is expected instead.
#![cfg(feature = "json")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use selvedge::consent::json::{JsonOptions, decode_json};
use serde_json::Value;

fn vectors(name: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(name);
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn oracle(vector: &Value) -> &Value {
    match vector["kind"].as_str().unwrap() {
        "gpp" => &vector["oracle_iabgpp_3.2.0"],
        "tc" => &vector["oracle_iabtechlabtcf_1.5.21"],
        other => panic!("unknown kind `{other}`"),
    }
}

fn refuses(oracle: &Value) -> bool {
    oracle.is_string() || oracle.get("rejects").is_some()
}

/// `{"error": "code"}` expects an error object with that code, a position and words.
fn meets(expected: &Value, found: &Value) -> bool {
    if let Some(code) = expected.get("error").and_then(Value::as_str) {
        let error = &found["error"];
        return error["code"] == code && error["at"].is_u64() && error["message"].is_string();
    }
    let sections = expected.as_object().unwrap();
    let holds_sections = sections.values().any(|section| section.get("error").is_some());
    if !holds_sections {
        return expected == found;
    }
    found.as_object().is_some_and(|found| found.len() == sections.len())
        && sections.iter().all(|(name, section)| meets(section, &found[name]))
}

#[test]
fn every_public_string_agrees_with_the_oracle_or_is_a_cited_exception() {
    let vectors = vectors("consent_strings.json");
    assert_eq!(vectors.len(), 130);
    let exceptions: BTreeMap<String, Value> = self::vectors("consent_exceptions.json")
        .into_iter()
        .map(|exception| (exception["string"].as_str().unwrap().to_owned(), exception))
        .collect();
    let (mut agreeing, mut excepted) = (0, 0);
    for vector in &vectors {
        let string = vector["string"].as_str().unwrap();
        let found = decode_json(string, &JsonOptions::default());
        let oracle = oracle(vector);
        let agrees = match refuses(oracle) {
            true => found.get("error").is_some(),
            false => *oracle == found,
        };
        match exceptions.get(string) {
            Some(exception) => {
                assert!(!agrees, "`{string}` agrees and must leave the exceptions");
                let expected = &exception["expect"];
                assert!(meets(expected, &found), "`{string}`\n{expected}\n{found}");
                excepted += 1;
            }
            None => assert!(agrees, "`{string}`\noracle {oracle}\nfound  {found}"),
        }
        agreeing += usize::from(agrees);
    }
    assert_eq!((agreeing, excepted), (97, exceptions.len()));
}

#[test]
fn every_exception_cites_a_paragraph() {
    for exception in vectors("consent_exceptions.json") {
        assert!(!exception["why"].as_str().unwrap().is_empty());
        for key in ["document", "section", "paragraph", "says"] {
            let text = exception["cites"][key].as_str().unwrap_or_default();
            assert!(!text.is_empty(), "{key} of {}", exception["string"]);
        }
    }
}

#[test]
fn every_readable_public_string_survives_encoding() {
    use selvedge::consent::gpp::Gpp;
    use selvedge::consent::tcf::{TcString, TcfOptions};
    let options = TcfOptions::default();
    let mut compared = 0;
    for vector in vectors("consent_strings.json") {
        let string = vector["string"].as_str().unwrap();
        if vector["kind"] == "tc" {
            let Ok(decoded) = TcString::decode(string, &options) else { continue };
            assert_eq!(TcString::decode(&decoded.encode(), &options).as_ref(), Ok(&decoded));
        } else {
            let Ok(mut decoded) = Gpp::decode(string, &options) else { continue };
            decoded.sections.retain(|section| section.content.is_ok());
            assert_eq!(Gpp::decode(&decoded.encode(), &options).as_ref(), Ok(&decoded));
        }
        compared += 1;
    }
    assert!(compared > 110, "only {compared} strings were compared");
}
