//! Any text through the JSON printer of all consent decoders.
#![no_main]

#[path = "../checks/consent.rs"]
#[allow(dead_code)]
mod checks;

libfuzzer_sys::fuzz_target!(|input: &str| checks::json(input));
