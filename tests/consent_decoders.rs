//! What decoded consent means, and what malformed consent is answered with.
#![cfg(feature = "json")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use selvedge::consent::bits::{Flags, Letters, MAX_STRING_BYTES};
use selvedge::consent::gpp::canada::CanadaAllowed;
use selvedge::consent::gpp::us::{UsSection, layout};
use selvedge::consent::gpp::{Gpp, GppSection, Section, section_name};
use selvedge::consent::json::{JsonOptions, MAX_LISTED_IDS, decode_json};
use selvedge::consent::tcf::{
    Allowed, PublisherTc, Restriction, RestrictionKind, TcString, TcfOptions,
};
use selvedge::consent::usp::{OptOut, UsPrivacy};
use selvedge::consent::vendors::{IdRange, IdSet};

fn flags(width: u8, ids: &[u8]) -> Flags {
    Flags::new(ids.iter().map(|id| 1_u64 << (width - id)).sum(), width)
}

fn set(ids: &[u16]) -> IdSet {
    IdSet::from_ids(ids.iter().copied())
}

/// Everything allowed for vendor 7, by consent and by legitimate interest, and disclosed.
fn open_string() -> TcString {
    let all = Flags::new(u64::MAX, 24);
    TcString {
        created_ds: 17_000_000_000,
        updated_ds: 17_000_000_000,
        cmp_id: 0,
        cmp_version: 1,
        consent_screen: 1,
        consent_language: Letters::new(b'D', b'E').unwrap(),
        vendor_list_version: 100,
        policy_version: 5,
        is_service_specific: true,
        use_non_standard_texts: false,
        special_features: flags(12, &[1]),
        purpose_consents: all,
        purpose_legitimate_interests: all,
        purpose_one_treatment: false,
        publisher_country: Letters::new(b'D', b'E').unwrap(),
        vendor_consents: set(&[7]),
        vendor_legitimate_interests: set(&[7, 8]),
        restrictions: Vec::new(),
        vendors_disclosed: Some(set(&[7, 8])),
        vendors_allowed: None,
        publisher: None,
    }
}

fn restrict(purpose: u8, kind: RestrictionKind) -> Restriction {
    let everybody = IdSet::from_ranges(vec![IdRange { first: 1, last: u16::MAX }]);
    Restriction { purpose, kind, vendors: everybody }
}

#[test]
fn a_vendor_needs_purpose_and_vendor_and_disclosure() {
    let string = open_string();
    assert_eq!(string.purpose_allowed(2, Some(7)), Allowed::Consent);
    assert_eq!(string.purpose_allowed(2, Some(8)), Allowed::LegitimateInterest);
    assert_eq!(string.purpose_allowed(2, Some(9)), Allowed::No);
    assert_eq!(string.purpose_allowed(0, Some(7)), Allowed::No);
    assert_eq!(string.purpose_allowed(25, Some(7)), Allowed::No);
    let undisclosed = TcString { vendors_disclosed: Some(set(&[8])), ..open_string() };
    assert_eq!(undisclosed.purpose_allowed(2, Some(7)), Allowed::No);
    assert!(!undisclosed.special_feature_allowed(1, Some(7)));
    assert!(string.special_feature_allowed(1, Some(7)));
    assert!(!string.special_feature_allowed(2, Some(7)));
}

#[test]
fn legitimate_interest_covers_neither_storage_nor_profiles() {
    let string = open_string();
    for purpose in 1..=24 {
        let expected = match purpose {
            1 | 3..=6 => Allowed::No,
            _ => Allowed::LegitimateInterest,
        };
        assert_eq!(string.purpose_allowed(purpose, Some(8)), expected, "purpose {purpose}");
    }
    let before_tcf_2_2 = TcString { policy_version: 2, ..open_string() };
    assert_eq!(before_tcf_2_2.purpose_allowed(3, Some(8)), Allowed::LegitimateInterest);
    assert_eq!(before_tcf_2_2.purpose_allowed(1, Some(8)), Allowed::No);
}

#[test]
fn publisher_restrictions_narrow_and_add_up() {
    use RestrictionKind::{NotAllowed, RequireConsent, RequireLegitimateInterest, Undefined};
    let allowed = |vendor: u16, kinds: &[RestrictionKind]| {
        let restrictions = kinds.iter().map(|kind| restrict(2, *kind)).collect();
        let string = TcString { restrictions, ..open_string() };
        assert_eq!(string.purpose_allowed(7, Some(7)), Allowed::Consent, "another purpose");
        string.purpose_allowed(2, Some(vendor))
    };
    assert_eq!(allowed(7, &[NotAllowed]), Allowed::No);
    assert_eq!(allowed(7, &[Undefined]), Allowed::No);
    assert_eq!(allowed(7, &[RequireConsent]), Allowed::Consent);
    assert_eq!(allowed(8, &[RequireConsent]), Allowed::No);
    assert_eq!(allowed(7, &[RequireLegitimateInterest]), Allowed::LegitimateInterest);
    assert_eq!(allowed(7, &[RequireConsent, RequireLegitimateInterest]), Allowed::No);
    assert_eq!(allowed(7, &[RequireConsent, NotAllowed]), Allowed::No);
}

#[test]
fn the_publisher_has_what_its_own_segment_says() {
    let string = open_string();
    assert_eq!(string.purpose_allowed(1, None), Allowed::No, "no segment, no permission");
    let publisher = PublisherTc {
        consents: flags(24, &[1, 2]),
        legitimate_interests: flags(24, &[1, 3, 7]),
        custom_consents: Flags::none(0),
        custom_legitimate_interests: Flags::none(0),
    };
    let string = TcString { publisher: Some(publisher), ..open_string() };
    assert_eq!(string.purpose_allowed(1, None), Allowed::Consent);
    assert_eq!(string.purpose_allowed(3, None), Allowed::No);
    assert_eq!(string.purpose_allowed(7, None), Allowed::LegitimateInterest);
    assert_eq!(string.purpose_allowed(8, None), Allowed::No);
}

#[test]
fn a_global_string_without_purpose_one_is_void() {
    let string =
        TcString { is_service_specific: false, purpose_one_treatment: true, ..open_string() };
    assert!(string.is_void());
    assert_eq!(string.purpose_allowed(2, Some(7)), Allowed::No);
    assert!(!string.special_feature_allowed(1, Some(7)));
}

#[test]
fn disclosed_vendors_are_demanded_by_policy_or_by_date() {
    let options = TcfOptions::default();
    let code = |string: &TcString, options: &TcfOptions| {
        let text = string.encode();
        match TcString::decode(&text, options) {
            Ok(_) => "read",
            Err(error) => {
                assert!(error.at() <= text.len());
                error.code()
            }
        }
    };
    let without = TcString { vendors_disclosed: None, ..open_string() };
    assert_eq!(code(&open_string(), &options), "read");
    assert_eq!(code(&without, &options), "disclosed_vendors_missing");
    let policy_4 = TcString { policy_version: 4, ..without.clone() };
    assert_eq!(code(&policy_4, &options), "read");
    let after_february_2026 = TcString { updated_ds: 17_723_232_000, ..policy_4.clone() };
    assert_eq!(code(&after_february_2026, &options), "disclosed_vendors_missing");
    let last_tenth_of_february = TcString { updated_ds: 17_723_231_999, ..policy_4.clone() };
    assert_eq!(code(&last_tenth_of_february, &options), "read");
    let spared = TcfOptions { disclosed_vendors_from_policy: 6, ..options };
    assert_eq!(code(&without, &spared), "read");
    let modern = TcfOptions { minimum_policy: 4, ..options };
    assert_eq!(code(&policy_4, &modern), "read");
    let policy_3 = TcString { policy_version: 3, ..policy_4 };
    assert_eq!(code(&policy_3, &modern), "policy_too_old");
}

#[test]
fn canada_tells_express_from_implied_consent() {
    let input = "DBACOeA~CPSG_8APSG_8ANwAAAENAwCAAAAAAAAAAAAAAAAAAAAA.QAAA.IAAA~\
                 BPSG_8APSG_8AAyACAENGdCgf_gfgAfgfgBgABABAAABAB4AACACAAA.fHHHA4444ao~1YNN";
    let gpp = Gpp::decode(input, &TcfOptions::default()).unwrap();
    let Ok(Section::TcfCanada(canada)) = &gpp.section(5).unwrap().content else {
        panic!("section 5 must read")
    };
    assert_eq!(canada.purpose_allowed(1, Some(12)), CanadaAllowed::ExpressConsent);
    assert_eq!(canada.purpose_allowed(7, Some(18)), CanadaAllowed::ImpliedConsent);
    assert_eq!(canada.purpose_allowed(7, Some(12)), CanadaAllowed::No);
    assert_eq!(canada.purpose_allowed(1, None), CanadaAllowed::ExpressConsent);
    assert_eq!(canada.purpose_allowed(4, None), CanadaAllowed::ImpliedConsent);
    assert_eq!(gpp.section(5).unwrap().sale_opt_out(), OptOut::NotApplicable);
}

/// A section with all answers zero but the named ones.
fn state(id: u16, named: &[(&str, u8)], gpc: Option<bool>) -> GppSection {
    let layout = layout(id).unwrap();
    let mut answers = Vec::new();
    let mut found = 0;
    for field in layout.fields {
        let named = named.iter().find(|(name, _)| *name == field.name);
        found += usize::from(named.is_some());
        let answer = named.map_or(0, |(_, answer)| *answer);
        answers.extend(std::iter::repeat_n(answer, usize::from(field.kept)));
    }
    assert_eq!(found, named.len(), "section {id} lacks a named field");
    let section = UsSection::new(layout, &answers, gpc, None).unwrap();
    GppSection { id, content: Ok(Section::Us(section)) }
}

#[test]
fn every_american_section_answers_about_sale_and_advertising() {
    let sharing = [7, 8];
    for id in 7..=27 {
        let name = section_name(id).unwrap();
        let silent = state(id, &[], None);
        assert_eq!(silent.sale_opt_out(), OptOut::NotApplicable, "{name}");
        assert_eq!(silent.gpc(), OptOut::NotApplicable, "{name}");
        let out = state(id, &[("SaleOptOutNotice", 1), ("SaleOptOut", 1)], None);
        assert_eq!(out.sale_opt_out(), OptOut::OptedOut, "{name}");
        let stays = state(id, &[("SaleOptOutNotice", 1), ("SaleOptOut", 2)], None);
        assert_eq!(stays.sale_opt_out(), OptOut::DidNotOptOut, "{name}");
        let untold = state(id, &[("SaleOptOutNotice", 2), ("SaleOptOut", 2)], None);
        assert_eq!(untold.sale_opt_out(), OptOut::Unreadable, "{name}");
        let undefined = state(id, &[("SaleOptOutNotice", 1), ("SaleOptOut", 3)], None);
        assert_eq!(undefined.sale_opt_out(), OptOut::Unreadable, "{name}");
        if id != 8 {
            let fields = [("TargetedAdvertisingOptOutNotice", 1), ("TargetedAdvertisingOptOut", 1)];
            let out = state(id, &fields, None);
            assert_eq!(out.targeted_advertising_opt_out(), OptOut::OptedOut, "{name}");
            assert_eq!(out.sale_opt_out(), OptOut::NotApplicable, "{name}");
        }
        if sharing.contains(&id) {
            let out = state(id, &[("SharingOptOutNotice", 1), ("SharingOptOut", 1)], None);
            assert_eq!(out.sharing_opt_out(), OptOut::OptedOut, "{name}");
        } else {
            assert_eq!(silent.sharing_opt_out(), OptOut::NotApplicable, "{name}");
        }
    }
}

#[test]
fn gpc_is_passed_on_where_a_section_has_it() {
    for id in [7, 8, 10, 12, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24] {
        assert_eq!(state(id, &[], Some(true)).gpc(), OptOut::OptedOut);
        assert_eq!(state(id, &[], Some(false)).gpc(), OptOut::DidNotOptOut);
    }
    for id in [9, 11, 13, 25, 26, 27] {
        assert!(UsSection::new(layout(id).unwrap(), &[], Some(true), None).is_none());
    }
}

#[test]
fn a_gpc_segment_of_another_type_denies_its_section() {
    let text = Gpp { sections: vec![state(8, &[("SaleOptOut", 2)], None)] }.encode();
    for (segment, code) in [
        (".AA", "unknown_segment"),
        (".oA", "unknown_segment"),
        (".YB", "trailing_data"),
        (".YA.YA", "duplicate_segment"),
        (".", "empty"),
    ] {
        let gpp = Gpp::decode(&format!("{text}{segment}"), &TcfOptions::default()).unwrap();
        let section = gpp.section(8).unwrap();
        assert_eq!(section.content.as_ref().unwrap_err().code(), code, "{segment}");
        assert_eq!(section.gpc(), OptOut::Unreadable);
    }
    let virginia = Gpp { sections: vec![state(9, &[], None)] }.encode() + ".YA";
    let gpp = Gpp::decode(&virginia, &TcfOptions::default()).unwrap();
    assert_eq!(gpp.section(9).unwrap().content.as_ref().unwrap_err().code(), "unknown_segment");
}

#[test]
fn an_unknown_version_shows_its_fields_but_answers_nothing() {
    let gpp = Gpp::decode("DBABRg~bSFgmiU", &TcfOptions::default()).unwrap();
    let section = gpp.section(9).unwrap();
    assert!(section.content.is_ok());
    assert_eq!(section.sale_opt_out(), OptOut::Unreadable);
    assert_eq!(section.targeted_advertising_opt_out(), OptOut::Unreadable);
    assert_eq!(section.gpc(), OptOut::Unreadable);
}

#[test]
fn the_agreements_version_moves_no_field_but_a_section_header_is_refused() {
    let fields = [("SaleOptOutNotice", 1), ("SaleOptOut", 1)];
    let text = Gpp { sections: vec![state(25, &fields, None)] }.encode();
    let (header, section) = text.split_once('~').unwrap();
    let read = |first: &str| {
        let text = format!("{header}~{first}{}", &section[1..]);
        Gpp::decode(&text, &TcfOptions::default()).unwrap().sections.remove(0)
    };
    assert_eq!(read("B").sale_opt_out(), OptOut::OptedOut);
    assert_eq!(read("C").sale_opt_out(), OptOut::OptedOut);
    assert_eq!(read("A").sale_opt_out(), OptOut::Unreadable);
    let with_header = read("Z");
    assert_eq!(with_header.content.as_ref().unwrap_err().code(), "unsupported_version");
    assert_eq!(with_header.sale_opt_out(), OptOut::Unreadable);
}

#[test]
fn a_bad_section_denies_itself_and_leaves_the_others() {
    // California cut short, Virginia whole, then a section that nobody registered.
    let mut gpp = Gpp { sections: vec![state(8, &[], None), state(9, &[("SaleOptOut", 1)], None)] };
    let text = gpp.encode().replacen("~BAAAAAAA", "~BAA", 1);
    gpp = Gpp::decode(&text, &TcfOptions::default()).unwrap();
    let california = gpp.section(8).unwrap();
    let error = california.content.as_ref().unwrap_err();
    assert_eq!((error.code(), error.at()), ("truncated", text.find("~BAA").unwrap() + 4));
    assert_eq!(california.sale_opt_out(), OptOut::Unreadable);
    assert_eq!(gpp.section(9).unwrap().sale_opt_out(), OptOut::OptedOut);
    // 3 and 1 for the header, one entry, not a group, the code word of 28.
    let unregistered = Gpp::decode("DBABBGA~anything", &TcfOptions::default()).unwrap();
    assert!(unregistered.sections.iter().all(|section| section.content.is_err()));
    let section = &unregistered.sections[0];
    assert_eq!(section.content.as_ref().unwrap_err().code(), "unknown_section");
    assert_eq!((section.name(), section.sale_opt_out()), (None, OptOut::Unreadable));
    assert!(decode_json("DBABBGA~anything", &JsonOptions::default()).get("error").is_none());
}

#[test]
fn the_stricter_of_two_answers_wins() {
    use OptOut::{DidNotOptOut, NotApplicable, OptedOut, Unreadable};
    assert_eq!(NotApplicable.stricter(DidNotOptOut), DidNotOptOut);
    assert_eq!(Unreadable.stricter(DidNotOptOut), Unreadable);
    assert_eq!(Unreadable.stricter(OptedOut), OptedOut);
}

#[test]
fn malformed_strings_are_answered_with_code_and_place() {
    let core = open_string().encode();
    let (bare, segment) = core.split_once('.').unwrap();
    let cases = [
        (String::new(), "empty", 0),
        ("hello".to_owned(), "unknown_format", 0),
        ("~".to_owned(), "unknown_format", 0),
        ("BOEFEAyOEFEAyAHABDENAI4AAAB9vABAASA".to_owned(), "unsupported_version", 0),
        ("C".to_owned(), "truncated", 1),
        (core[..20].to_owned(), "truncated", 20),
        (format!("{core}="), "bad_character", core.len()),
        (format!(" {core}"), "unknown_format", 0),
        (format!("{core}.{segment}"), "duplicate_segment", core.len() + 1),
        (format!("{core}._AAA"), "unknown_segment", core.len() + 1),
        (format!("{core}."), "empty", core.len() + 1),
        (format!("{bare}B.{segment}"), "trailing_data", bare.len()),
        ("D".to_owned(), "truncated", 1),
        ("DCAA".to_owned(), "unsupported_version", 1),
        ("DBAA~1YNN".to_owned(), "section_count_mismatch", 4),
        ("DBABTA".to_owned(), "section_count_mismatch", 6),
        ("DBABTA~1XNN".to_owned(), "bad_choice", 8),
        ("1YN".to_owned(), "truncated", 3),
        // A vendor zero, a range backwards, a vendor beyond the maximum: public strings.
        ("CONciguONcjGKADACHENAOCIAC0ta__AACiQABwAgABAAAA".to_owned(), "bad_id", 43),
        ("CONciguONcjGKADACHENAOCIAC0ta__AACiQABwAgACAAA".to_owned(), "bad_range", 40),
        ("9YNN".to_owned(), "unsupported_version", 0),
    ];
    for (input, code, at) in cases {
        let answer = decode_json(&input, &JsonOptions::default());
        let error = &answer["error"];
        assert_eq!(
            (error["code"].as_str(), error["at"].as_u64()),
            (Some(code), Some(at as u64)),
            "`{input}` gave {answer}"
        );
    }
}

#[test]
fn padding_with_zero_bits_changes_nothing() {
    let core = open_string().encode();
    let (bare, segment) = core.split_once('.').unwrap();
    let padded = format!("{bare}AAAA.{segment}A");
    let options = TcfOptions::default();
    assert_eq!(TcString::decode(&padded, &options), TcString::decode(&core, &options));
}

#[test]
fn every_cut_of_a_string_is_refused_or_read_without_harm() {
    let publisher = PublisherTc {
        consents: flags(24, &[1]),
        legitimate_interests: flags(24, &[2]),
        custom_consents: flags(9, &[9]),
        custom_legitimate_interests: flags(9, &[1]),
    };
    let string = TcString {
        restrictions: vec![restrict(3, RestrictionKind::RequireConsent)],
        publisher: Some(publisher),
        ..open_string()
    };
    let text = string.encode();
    let mut refused = 0;
    for end in 0..text.len() {
        match TcString::decode(&text[..end], &TcfOptions::default()) {
            // Whole segments may be missing at the end; what is there must be the same.
            Ok(cut) => assert_eq!(TcString { publisher: Some(publisher), ..cut }, string),
            Err(error) => {
                assert!(error.at() <= end);
                refused += 1;
            }
        }
    }
    assert!(refused >= text.len() - 2, "only {refused} of {} cuts were refused", text.len());
}

#[test]
fn a_megabyte_is_refused_before_it_is_read() {
    let core = open_string().encode();
    for fill in ["A", "D", "_", "~", ".", "=", "1", "\u{fc}", "~BAAAAAAA", ".YAAAAAAAAAA"] {
        for start in ["", "D", "C", "DBABBg", core.as_str()] {
            let input = start.to_owned() + &fill.repeat(1_000_000 / fill.len());
            let answer = decode_json(&input, &JsonOptions::default());
            assert_eq!(answer["error"]["code"], "too_long");
            assert_eq!(answer["error"]["at"], MAX_STRING_BYTES);
            assert_eq!(UsPrivacy::decode(&input).unwrap_err().code(), "too_long");
        }
    }
}

#[test]
fn a_short_string_cannot_become_a_long_answer() {
    let everybody = IdSet::from_ranges(vec![IdRange { first: 1, last: u16::MAX }]);
    let restrictions = (0..4_095).map(|_| restrict(2, RestrictionKind::NotAllowed)).collect();
    let string = TcString {
        vendor_consents: everybody.clone(),
        vendor_legitimate_interests: everybody,
        restrictions,
        ..open_string()
    };
    let text = string.encode();
    let decoded = TcString::decode(&text, &TcfOptions::default()).unwrap();
    let ranges: usize =
        decoded.restrictions.iter().map(|restriction| restriction.vendors.ranges().len()).sum();
    assert_eq!(ranges, 4_095, "one range for each restriction, not one for each vendor");
    let answer = decode_json(&text, &JsonOptions::default());
    let mut listed = 0;
    let mut as_ranges = 0;
    for restriction in answer["restrictions"].as_array().unwrap() {
        match restriction["vendors"].as_array() {
            Some(ids) => listed += ids.len(),
            None => {
                assert_eq!(restriction["vendors"]["ranges"][0][1], 65_535);
                as_ranges += 1;
            }
        }
    }
    assert!(listed <= MAX_LISTED_IDS);
    assert!(as_ranges >= 4_093);
    assert!(answer.to_string().len() < 2_000_000);
}
