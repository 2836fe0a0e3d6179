//! Any text through the `usp` consent decoder.
#![no_main]

#[path = "../checks/consent.rs"]
#[allow(dead_code)]
mod checks;

libfuzzer_sys::fuzz_target!(|input: &str| checks::usp(input));
