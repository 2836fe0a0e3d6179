//! What must hold for any text whatever that reaches a consent decoder. The fuzz targets run these
//! checks on made-up inputs, `tests/consent_corpus.rs` on the inputs that were kept.

use selvedge::consent::bits::{DecodeError, MAX_STRING_BYTES};
use selvedge::consent::gpp::canada::CanadaTc;
use selvedge::consent::gpp::{Gpp, MAX_SECTIONS, Section};
use selvedge::consent::json::{JsonOptions, MAX_LISTED_IDS, decode_json};
use selvedge::consent::tcf::{Allowed, Restriction, TcString, TcfOptions};
use selvedge::consent::usp::{OptOut, UsPrivacy};
use selvedge::consent::vendors::IdSet;

/// Accepts every policy version with or without disclosed vendors, so that more inputs get deeper.
pub const LENIENT: TcfOptions = TcfOptions {
    disclosed_vendors_from_policy: u8::MAX,
    disclosed_vendors_from_ds: u64::MAX,
    minimum_policy: 0,
};

/// Checks a TC string.
pub fn tcf(input: &str) {
    match TcString::decode(input, &LENIENT) {
        Ok(string) => {
            tc_is_bounded(&string, input.len());
            tc_means_something(&string);
            let again = string.encode();
            assert!(again.len() <= input.len(), "writing must not make a string longer");
            assert_eq!(TcString::decode(&again, &LENIENT), Ok(string));
        }
        Err(error) => names_its_place(&error, input),
    }
}

/// Checks a GPP string.
pub fn gpp(input: &str) {
    match Gpp::decode(input, &LENIENT) {
        Ok(mut gpp) => {
            assert!(gpp.sections.len() <= MAX_SECTIONS);
            for section in &gpp.sections {
                match &section.content {
                    Ok(Section::TcfEu(string)) => tc_is_bounded(string, input.len()),
                    Ok(Section::TcfCanada(string)) => canada_is_bounded(string, input.len()),
                    Ok(_) => {}
                    Err(error) => {
                        names_its_place(error, input);
                        let american = section.id >= 6;
                        assert_eq!(section.sale_opt_out() == OptOut::Unreadable, american);
                    }
                }
            }
            gpp.sections.retain(|section| section.content.is_ok());
            let again = gpp.encode();
            // Rewriting an old Canadian section in Fibonacci numbers may lengthen it.
            if again.len() <= MAX_STRING_BYTES {
                assert_eq!(Gpp::decode(&again, &LENIENT), Ok(gpp));
            }
        }
        Err(error) => names_its_place(&error, input),
    }
}

/// Checks a US Privacy string.
pub fn usp(input: &str) {
    match UsPrivacy::decode(input) {
        Ok(string) => assert_eq!(string.encode(), input.to_ascii_uppercase()),
        Err(error) => names_its_place(&error, input),
    }
}

/// Checks what the command line prints.
pub fn json(input: &str) {
    let options = JsonOptions { tcf: LENIENT, all_fields: true };
    let value = decode_json(input, &options);
    assert!(value.is_object());
    let text = value.to_string();
    // Six characters for each listed identifier, 16 for each range; the rest is field names.
    assert!(text.len() <= 8 * MAX_LISTED_IDS + 64 * input.len() + 65_536);
}

fn names_its_place(error: &DecodeError, input: &str) {
    assert!(error.at() <= input.len());
    assert!(!error.code().is_empty());
    assert!(error.code().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'));
    assert!(!error.message().ends_with('.'));
}

/// A range costs at least two bits, three ranges at least a character.
fn ranges_are_bounded<'a>(sets: impl Iterator<Item = &'a IdSet>, input_bytes: usize) {
    let ranges: usize = sets.map(|set| set.ranges().len()).sum();
    assert!(ranges <= 3 * input_bytes, "{ranges} ranges out of {input_bytes} bytes");
}

/// A restriction costs at least 20 bits.
fn restrictions_are_bounded(restrictions: &[Restriction], input_bytes: usize) {
    assert!(restrictions.len() * 20 <= input_bytes * 6);
}

fn tc_is_bounded(string: &TcString, input_bytes: usize) {
    let lists = [&string.vendor_consents, &string.vendor_legitimate_interests];
    let segments = [&string.vendors_disclosed, &string.vendors_allowed];
    let restricted = string.restrictions.iter().map(|restriction| &restriction.vendors);
    ranges_are_bounded(
        lists.into_iter().chain(segments.into_iter().flatten()).chain(restricted),
        input_bytes,
    );
    restrictions_are_bounded(&string.restrictions, input_bytes);
}

fn canada_is_bounded(string: &CanadaTc, input_bytes: usize) {
    let lists = [&string.vendors_express, &string.vendors_implied];
    let restricted = string.restrictions.iter().map(|restriction| &restriction.vendors);
    ranges_are_bounded(
        lists.into_iter().chain(&string.vendors_disclosed).chain(restricted),
        input_bytes,
    );
    restrictions_are_bounded(&string.restrictions, input_bytes);
}

/// Nobody may do what the string does not say.
fn tc_means_something(string: &TcString) {
    for purpose in [0, 1, 3, 24, 25, u8::MAX] {
        for vendor in [0, 1, 755, u16::MAX] {
            match string.purpose_allowed(purpose, Some(vendor)) {
                Allowed::Consent => {
                    assert!(string.purpose_consents.has(purpose));
                    assert!(string.vendor_consents.contains(vendor));
                }
                Allowed::LegitimateInterest => {
                    assert!(string.purpose_legitimate_interests.has(purpose));
                    assert!(string.vendor_legitimate_interests.contains(vendor));
                }
                Allowed::No => {}
            }
        }
        if string.publisher.is_none() {
            assert_eq!(string.purpose_allowed(purpose, None), Allowed::No);
        }
    }
}
