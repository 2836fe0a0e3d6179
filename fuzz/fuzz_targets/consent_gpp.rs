//! Any text through the `gpp` consent decoder.
#![no_main]

#[path = "../checks/consent.rs"]
#[allow(dead_code)]
mod checks;

libfuzzer_sys::fuzz_target!(|input: &str| checks::gpp(input));
