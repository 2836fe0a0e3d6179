//! The core as Wasm for tests: a trace's bytes in, the outcome's bytes out, and the functions
//! behind the vectors. Tests load it in Node, workerd and Chromium; it must never be part of what a
//! visitor loads.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use selvedge::consent::json::{JsonOptions, decode_json};
use selvedge::experiment::{Namespace, bucket_ranges, choose, hash};
use wasm_bindgen::prelude::{JsError, wasm_bindgen};

/// Runs a trace. Throws the stable code of the error where it cannot be run.
#[wasm_bindgen]
pub fn replay(trace: &[u8]) -> Result<Vec<u8>, JsError> {
    selvedge::replay::run_bytes(trace).map_err(|error| JsError::new(error.code()))
}

/// Asks made-up questions, from bytes to bytes. Throws the stable code of the error.
#[wasm_bindgen(js_name = runCases)]
pub fn run_cases(cases: &[u8]) -> Result<Vec<u8>, JsError> {
    selvedge::replay::cases::run_bytes(cases).map_err(|error| JsError::new(error.code()))
}

/// Decodes a consent string, as `tests/consent_vectors.rs` does.
#[wasm_bindgen(js_name = decodeConsent)]
pub fn decode_consent(text: &str) -> String {
    decode_json(text, &JsonOptions::default()).to_string()
}

/// Answers a situation of `tests/vectors/consent_gate.json`. Throws the stable code of the error.
#[wasm_bindgen(js_name = answerGate)]
pub fn answer_gate(given: &str) -> Result<String, JsError> {
    selvedge::replay::gate::answer_json(given).map_err(|error| JsError::new(error.code()))
}

/// Where a value falls; undefined for an unknown version.
#[wasm_bindgen(js_name = bucketHash)]
pub fn bucket_hash(seed: &str, value: &str, version: u8) -> Option<f64> {
    hash(seed, value, version)
}

/// The variants' ranges, start and end in turn; no weights is equal weights.
#[wasm_bindgen(js_name = bucketRanges)]
pub fn ranges(count: usize, coverage: f64, weights: Option<Vec<f64>>) -> Vec<f64> {
    let ranges = bucket_ranges(count, coverage, weights.as_deref());
    ranges.into_iter().flat_map(|(from, until)| [from, until]).collect()
}

/// The variant whose range holds `at`; undefined where none does.
#[wasm_bindgen(js_name = chooseVariant)]
pub fn choose_variant(at: f64, ranges: &[f64]) -> Option<usize> {
    let pairs = ranges.chunks_exact(2).filter_map(|pair| Some((*pair.first()?, *pair.last()?)));
    choose(at, &pairs.collect::<Vec<_>>())
}

/// Whether a unit falls into a part of a namespace.
#[wasm_bindgen(js_name = inNamespace)]
pub fn in_namespace(unit: &str, name: &str, from: f64, until: f64) -> bool {
    Namespace { name: name.to_owned(), range: (from, until) }.holds(unit)
}
