//! Laws of the consent decoders over made-up values: what is written is read back, what is read
//! means what a naive reading of the specification says, and no text does harm.
#![cfg(feature = "json")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::{option, sample};
use selvedge::consent::bits::{Flags, Letters};
use selvedge::consent::gpp::canada::CanadaTc;
use selvedge::consent::gpp::us::{Extra, UsSection, layout};
use selvedge::consent::gpp::{Gpp, GppSection, Section};
use selvedge::consent::tcf::{Allowed, PublisherTc, Restriction, RestrictionKind, TcString};
use selvedge::consent::usp::{Choice, UsPrivacy};
use selvedge::consent::vendors::{IdRange, IdSet};

#[path = "../fuzz/checks/consent.rs"]
#[allow(dead_code)]
mod checks;

use checks::LENIENT;

/// Times and numbers have fixed widths; a value is kept to its own.
fn within(bits: u32) -> impl Strategy<Value = u64> {
    0..1_u64 << bits
}

fn short(bits: u32) -> impl Strategy<Value = u16> {
    (0..1_u32 << bits).prop_map(|value| u16::try_from(value).unwrap())
}

fn flags(width: u8) -> impl Strategy<Value = Flags> {
    any::<u64>().prop_map(move |bits| Flags::new(bits, width))
}

fn letters() -> impl Strategy<Value = Letters> {
    (b'A'..=b'Z', b'A'..=b'Z').prop_map(|(first, second)| Letters::new(first, second).unwrap())
}

/// Sparse sets, dense sets near the start, and sets of long ranges.
fn ids() -> impl Strategy<Value = IdSet> {
    prop_oneof![
        vec(any::<u16>(), 0..20).prop_map(IdSet::from_ids),
        vec(0..200_u16, 0..150).prop_map(IdSet::from_ids),
        vec((any::<u16>(), any::<u16>()), 0..6).prop_map(|pairs| {
            let ranges = pairs
                .into_iter()
                .map(|(one, other)| IdRange { first: one.min(other), last: one.max(other) });
            IdSet::from_ranges(ranges.collect())
        }),
    ]
}

fn restriction() -> impl Strategy<Value = Restriction> {
    let kinds = [
        RestrictionKind::NotAllowed,
        RestrictionKind::RequireConsent,
        RestrictionKind::RequireLegitimateInterest,
        RestrictionKind::Undefined,
    ];
    (0..64_u8, sample::select(kinds.to_vec()), ids())
        .prop_map(|(purpose, kind, vendors)| Restriction { purpose, kind, vendors })
}

fn publisher() -> impl Strategy<Value = PublisherTc> {
    (flags(24), flags(24), 0..64_u8)
        .prop_flat_map(|(consents, interests, custom)| {
            (Just(consents), Just(interests), flags(custom), flags(custom))
        })
        .prop_map(|(consents, legitimate_interests, custom_consents, custom)| PublisherTc {
            consents,
            legitimate_interests,
            custom_consents,
            custom_legitimate_interests: custom,
        })
}

fn tc_string() -> impl Strategy<Value = TcString> {
    let head = (within(36), within(36), short(12), short(12), 0..64_u8, letters(), short(12));
    let policy = (0..64_u8, any::<bool>(), any::<bool>(), any::<bool>(), letters());
    let choices = (flags(12), flags(24), flags(24), ids(), ids(), vec(restriction(), 0..8));
    let segments = (option::of(ids()), option::of(ids()), option::of(publisher()));
    (head, policy, choices, segments).prop_map(|(head, policy, choices, segments)| TcString {
        created_ds: head.0,
        updated_ds: head.1,
        cmp_id: head.2,
        cmp_version: head.3,
        consent_screen: head.4,
        consent_language: head.5,
        vendor_list_version: head.6,
        policy_version: policy.0,
        is_service_specific: policy.1,
        use_non_standard_texts: policy.2,
        purpose_one_treatment: policy.3,
        publisher_country: policy.4,
        special_features: choices.0,
        purpose_consents: choices.1,
        purpose_legitimate_interests: choices.2,
        vendor_consents: choices.3,
        vendor_legitimate_interests: choices.4,
        restrictions: choices.5,
        vendors_disclosed: segments.0,
        vendors_allowed: segments.1,
        publisher: segments.2,
    })
}

fn canada() -> impl Strategy<Value = CanadaTc> {
    let head = (within(36), within(36), short(12), short(12), 0..64_u8, letters(), short(12));
    let choices = (0..64_u8, any::<bool>(), flags(12), flags(24), flags(24), ids(), ids());
    let rest = (vec(restriction(), 0..8), option::of(ids()), option::of(publisher()));
    (head, choices, rest).prop_map(|(head, choices, rest)| CanadaTc {
        created_ds: head.0,
        updated_ds: head.1,
        cmp_id: head.2,
        cmp_version: head.3,
        consent_screen: head.4,
        consent_language: head.5,
        vendor_list_version: head.6,
        policy_version: choices.0,
        use_non_standard_stacks: choices.1,
        special_features: choices.2,
        purposes_express: choices.3,
        purposes_implied: choices.4,
        vendors_express: choices.5,
        vendors_implied: choices.6,
        restrictions: rest.0,
        vendors_disclosed: rest.1,
        publisher: rest.2,
    })
}

fn us_privacy() -> impl Strategy<Value = UsPrivacy> {
    let choice = || sample::select(vec![Choice::Yes, Choice::No, Choice::NotApplicable]);
    (choice(), choice(), choice()).prop_map(|(notice, opt_out_sale, lspa_covered)| UsPrivacy {
        notice,
        opt_out_sale,
        lspa_covered,
    })
}

fn us_section(id: u16) -> impl Strategy<Value = UsSection> {
    let layout = layout(id).unwrap();
    let answers = layout.fields.iter().map(|field| usize::from(field.kept)).sum::<usize>();
    (vec(0..4_u8, answers), option::of(any::<bool>()), option::of(any::<[u8; 8]>())).prop_map(
        move |(answers, gpc, sensitive)| {
            let gpc = gpc.filter(|_| layout.extra == Extra::Gpc);
            let sensitive = sensitive
                .filter(|_| layout.extra == Extra::SensitiveData)
                .map(|answers| answers.map(|answer| answer % 4));
            UsSection::new(layout, &answers, gpc, sensitive).unwrap()
        },
    )
}

fn section(id: u16) -> BoxedStrategy<Section> {
    match id {
        2 => tc_string().prop_map(Section::TcfEu).boxed(),
        5 => canada().prop_map(Section::TcfCanada).boxed(),
        6 => us_privacy().prop_map(Section::UsPrivacy).boxed(),
        _ => us_section(id).prop_map(Section::Us).boxed(),
    }
}

fn gpp() -> impl Strategy<Value = Gpp> {
    let ids = [2, 5, 6].into_iter().chain(7..=27).collect::<Vec<u16>>();
    sample::subsequence(ids, 0..=6)
        .prop_flat_map(|ids| {
            ids.into_iter()
                .map(|id| section(id).prop_map(move |read| GppSection { id, content: Ok(read) }))
                .collect::<Vec<_>>()
        })
        .prop_map(|sections| Gpp { sections })
}

/// A naive reading of the rules for a vendor, over plain lists.
fn naive(string: &TcString, purpose: u8, vendor: u16) -> Allowed {
    let holds = |set: &IdSet| set.iter().any(|id| id == vendor);
    if string.purpose_one_treatment && !string.is_service_specific {
        return Allowed::No;
    }
    if string.vendors_disclosed.as_ref().is_some_and(|set| !holds(set)) {
        return Allowed::No;
    }
    let kinds: Vec<_> = string
        .restrictions
        .iter()
        .filter(|restriction| restriction.purpose == purpose && holds(&restriction.vendors))
        .map(|restriction| restriction.kind.as_type())
        .collect();
    let may_not_be = kinds.contains(&0) || kinds.contains(&3);
    let consent = string.purpose_consents.has(purpose) && holds(&string.vendor_consents);
    let interest = string.purpose_legitimate_interests.has(purpose)
        && holds(&string.vendor_legitimate_interests)
        && purpose != 1
        && !(string.policy_version >= 4 && (3..=6).contains(&purpose));
    match (consent && !kinds.contains(&2), interest && !kinds.contains(&1)) {
        _ if may_not_be => Allowed::No,
        (true, _) => Allowed::Consent,
        (false, true) => Allowed::LegitimateInterest,
        (false, false) => Allowed::No,
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200, failure_persistence: None, ..Default::default()
    })]

    #[test]
    fn a_set_is_what_its_ids_are(ids in vec(any::<u16>(), 0..200)) {
        let expected: BTreeSet<u16> = ids.iter().copied().filter(|id| *id > 0).collect();
        let set = IdSet::from_ids(ids);
        prop_assert_eq!(set.iter().collect::<BTreeSet<_>>(), expected.clone());
        prop_assert_eq!(set.len(), expected.len());
        for pair in set.ranges().windows(2) {
            prop_assert!(pair[1].first > pair[0].last + 1, "ranges touch");
        }
    }

    #[test]
    fn tc_strings_are_read_back(string in tc_string()) {
        let text = string.encode();
        prop_assert_eq!(TcString::decode(&text, &LENIENT), Ok(string));
    }

    #[test]
    fn gpp_strings_are_read_back(gpp in gpp()) {
        let text = gpp.encode();
        prop_assert_eq!(Gpp::decode(&text, &LENIENT), Ok(gpp));
    }

    #[test]
    fn us_privacy_strings_are_read_back(string in us_privacy()) {
        prop_assert_eq!(UsPrivacy::decode(&string.encode()), Ok(string));
    }

    #[test]
    fn vendors_may_what_a_naive_reading_says(
        string in tc_string(), purposes in vec(0..30_u8, 8), strangers in vec(any::<u16>(), 4)
    ) {
        let known = string.vendor_consents.iter().take(4);
        let known = known.chain(string.vendor_legitimate_interests.iter().take(4));
        for vendor in known.chain(strangers) {
            for purpose in &purposes {
                prop_assert_eq!(
                    string.purpose_allowed(*purpose, Some(vendor)),
                    naive(&string, *purpose, vendor)
                );
            }
        }
    }

    #[test]
    fn one_changed_character_does_no_harm(
        string in gpp(), at in any::<sample::Index>(), to in "[A-Za-z0-9._~=\u{e9}-]"
    ) {
        let mut text = string.encode();
        let at = at.index(text.len());
        text.replace_range(at..=at, &to);
        checks::gpp(&text);
        checks::json(&text);
    }

    #[test]
    fn no_text_does_harm(text in "[CD1]?[A-Za-z0-9._~=\u{e9}-]{0,300}") {
        checks::tcf(&text);
        checks::gpp(&text);
        checks::usp(&text);
        checks::json(&text);
    }

    #[test]
    fn no_tail_behind_a_sound_core_does_harm(
        string in tc_string(), cut in any::<sample::Index>(), tail in "[A-Za-z0-9._-]{0,100}"
    ) {
        let text = string.encode();
        let text = format!("{}{tail}", &text[..cut.index(text.len())]);
        checks::tcf(&text);
        checks::json(&text);
    }
}
