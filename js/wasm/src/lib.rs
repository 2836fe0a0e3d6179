//! The browser's binding of the core. For now it proves the chain from Rust to the page.

use wasm_bindgen::prelude::wasm_bindgen;

/// The version of the crate that the page runs.
#[wasm_bindgen]
pub fn version() -> u32 {
    1
}
