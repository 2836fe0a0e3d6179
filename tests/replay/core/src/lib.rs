//! The replay as Wasm: a trace's bytes in, the outcome's bytes out. Tests load it in Node, workerd
//! and Chromium; it must never be part of what a visitor loads.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use wasm_bindgen::prelude::{JsError, wasm_bindgen};

/// Runs a trace. Throws the stable code of the error where it cannot be run.
#[wasm_bindgen]
pub fn replay(trace: &[u8]) -> Result<Vec<u8>, JsError> {
    selvedge::replay::run_bytes(trace).map_err(|error| JsError::new(error.code()))
}
