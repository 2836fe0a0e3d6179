//! Consent strings at the gate: what each says of our purposes, that the stricter of two wins, that
//! whatever cannot be read denies, and the law that no signal ever allows more.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;

use proptest::prelude::*;
use selvedge::consent::bits::Flags;
use selvedge::consent::gpp::us::{UsSection, layout};
use selvedge::consent::gpp::{Gpp, GppSection, Section};
use selvedge::consent::signals::{
    Reading, SignalSettings, Source, Strings, Verdict, check, choices, gpc_header, read,
};
use selvedge::consent::tcf::{PublisherTc, TcString, TcfOptions};
use selvedge::consent::vendors::IdSet;
use selvedge::consent::{
    Basis, Consent, ConsentSettings, Effective, Purpose, PurposeSet, Region, Signals,
};
use selvedge::time::Timestamp;

/// A public string of policy 2 that consents to nothing.
const EMPTY: &str = "COyiHgFOyiHgFN4ABABGAPCAAAAAAAAAAAAAAFAAAAoAAAA";

fn flags(ids: &[u8]) -> Flags {
    Flags::new(ids.iter().fold(0, |bits, id| bits | 1 << (24 - id)), 24)
}

fn publisher(consents: &[u8], interests: &[u8]) -> TcString {
    let mut string = TcString::decode(EMPTY, &TcfOptions::default()).unwrap();
    string.is_service_specific = true;
    string.purpose_one_treatment = false;
    string.policy_version = 4;
    string.publisher = Some(PublisherTc {
        consents: flags(consents),
        legitimate_interests: flags(interests),
        custom_consents: Flags::none(0),
        custom_legitimate_interests: Flags::none(0),
    });
    string
}

fn vendor(consents: &[u8], vendors: &[u16]) -> TcString {
    let mut string = publisher(&[], &[]);
    string.publisher = None;
    string.purpose_consents = flags(consents);
    string.vendor_consents = IdSet::from_ids(vendors.iter().copied());
    string
}

const EVERY: &[u8] = &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];

fn us(id: u16, fields: &[(&str, u8)], gpc: Option<bool>) -> GppSection {
    let layout = layout(id).unwrap();
    let mut answers = Vec::new();
    for field in layout.fields {
        let said = fields.iter().find(|(name, _)| *name == field.name).map_or(0, |(_, n)| *n);
        answers.extend(std::iter::repeat_n(said, usize::from(field.kept)));
    }
    for (name, _) in fields {
        assert!(layout.fields.iter().any(|field| field.name == *name), "no `{name}` in {id}");
    }
    let section = UsSection::new(layout, &answers, gpc, None).unwrap();
    GppSection { id, content: Ok(Section::Us(section)) }
}

fn gpp(sections: Vec<GppSection>) -> Strings {
    Strings { gpp: Some(Gpp { sections }.encode()), ..Strings::default() }
}

fn tcf(string: &TcString) -> Strings {
    Strings { tcf: Some(string.encode()), ..Strings::default() }
}

fn usp(text: &str) -> Strings {
    Strings { us_privacy: Some(text.to_owned()), ..Strings::default() }
}

fn google(keys: &[(&str, &str)]) -> Strings {
    let keys = keys.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Strings { google: Some(keys), ..Strings::default() }
}

fn set(purposes: &[Purpose]) -> PurposeSet {
    purposes.iter().fold(PurposeSet::NONE, |set, purpose| set.with(*purpose))
}

fn of(strings: &Strings) -> Reading {
    read(strings, &SignalSettings::default())
}

use Purpose::{Measure, Personalise, Profile, Share, Store};

#[test]
fn each_string_says_what_the_table_says() {
    let opted = |field: &str, notice: &str| gpp(vec![us(8, &[(field, 1), (notice, 1)], None)]);
    let colorado =
        us(10, &[("TargetedAdvertisingOptOut", 1), ("TargetedAdvertisingOptOutNotice", 1)], None);
    let declined = us(8, &[("SaleOptOut", 2), ("SaleOptOutNotice", 1)], None);
    let rows: Vec<(&str, Strings, PurposeSet, PurposeSet)> = vec![
        ("nothing is said", Strings::default(), set(&[]), set(&[])),
        ("consent to all", tcf(&publisher(EVERY, &[])), set(&[]), PurposeSet::ALL),
        ("consent to none", tcf(&publisher(&[], &[])), PurposeSet::ALL, set(&[])),
        (
            "storage and content, no advertising",
            tcf(&publisher(&[1, 5, 6, 8], &[])),
            set(&[Profile, Personalise, Measure, Share]),
            set(&[Store]),
        ),
        (
            "measuring by legitimate interest is neither yes nor no",
            tcf(&publisher(&[1, 3, 4, 5, 6], &[7, 8, 9])),
            set(&[]),
            set(&[Store, Profile, Personalise]),
        ),
        ("California, sale", opted("SaleOptOut", "SaleOptOutNotice"), set(&[Share]), set(&[])),
        (
            "California, sharing",
            opted("SharingOptOut", "SharingOptOutNotice"),
            set(&[Share]),
            set(&[]),
        ),
        ("Colorado, advertising", gpp(vec![colorado]), set(&[Personalise, Share]), set(&[])),
        ("not opted out is no yes", gpp(vec![declined]), set(&[]), set(&[])),
        ("control in the section", gpp(vec![us(8, &[], Some(true))]), set(&[Share]), set(&[])),
        ("no control", gpp(vec![us(8, &[], Some(false))]), set(&[]), set(&[])),
        ("US Privacy, opted out", usp("1YYN"), set(&[Share]), set(&[])),
        ("US Privacy, not opted out", usp("1YNN"), set(&[]), set(&[])),
        ("US Privacy, does not apply", usp("1---"), set(&[]), set(&[])),
        ("US Privacy, contradicts itself", usp("1NNN"), set(&[Share]), set(&[])),
        ("US Privacy, unreadable", usp("oh"), set(&[Share]), set(&[])),
        (
            "Google, analytics only",
            google(&[("analytics_storage", "granted"), ("ad_storage", "denied")]),
            set(&[Share]),
            set(&[Measure]),
        ),
        (
            "Google, half of personalising",
            google(&[("personalization_storage", "granted")]),
            set(&[]),
            set(&[Profile]),
        ),
        (
            "Google, no word for it",
            google(&[("analytics_storage", "yes")]),
            set(&[Measure]),
            set(&[]),
        ),
        ("Google, security", google(&[("security_storage", "denied")]), set(&[]), set(&[])),
    ];
    for (situation, strings, denied, granted) in rows {
        let reading = of(&strings);
        assert_eq!((reading.denied, reading.granted), (denied, granted), "{situation}");
        let yes = choices(&reading).into_iter().filter(|chosen| chosen.yes);
        assert_eq!(yes.fold(PurposeSet::NONE, |s, c| s.with(c.purpose)), granted, "{situation}");
        let no = choices(&reading).into_iter().filter(|chosen| !chosen.yes);
        assert_eq!(no.fold(PurposeSet::NONE, |s, c| s.with(c.purpose)), denied, "{situation}");
    }
}

#[test]
fn a_site_with_a_vendor_number_is_read_as_that_vendor() {
    let strings = tcf(&vendor(EVERY, &[7]));
    let as_vendor = |vendor| {
        let settings = SignalSettings { vendor, ..SignalSettings::default() };
        read(&strings, &settings)
    };
    assert_eq!(as_vendor(Some(7)).granted, PurposeSet::ALL);
    assert_eq!(as_vendor(Some(8)).denied, PurposeSet::ALL);
    // Without a number the publisher's own segment counts, and there is none.
    let nobody = as_vendor(None);
    assert_eq!(nobody.denied, PurposeSet::ALL);
    assert_eq!(nobody.problems[0].code, "publisher_segment_missing");
}

#[test]
fn a_void_string_denies_everything() {
    let mut string = publisher(EVERY, &[]);
    string.is_service_specific = false;
    string.purpose_one_treatment = true;
    let reading = of(&tcf(&string));
    assert_eq!((reading.denied, reading.granted), (PurposeSet::ALL, PurposeSet::NONE));
    assert_eq!(reading.why(Store).unwrap().code, "void_string");
}

#[test]
fn of_two_signals_the_stricter_wins_and_is_named() {
    let mut strings = tcf(&publisher(EVERY, &[]));
    strings.google = google(&[("analytics_storage", "denied")]).google;
    strings.us_privacy = usp("1YYN").us_privacy;
    let reading = of(&strings);
    assert_eq!(reading.denied, set(&[Measure, Share]));
    assert_eq!(reading.granted, set(&[Store, Profile, Personalise]));
    assert_eq!(reading.contradicted(), set(&[Measure, Share]));
    let why = |purpose| {
        let finding = reading.why(purpose).unwrap();
        (finding.source, finding.verdict, finding.code)
    };
    assert_eq!(why(Measure), (Source::Google, Verdict::Denied, "google_denied"));
    assert_eq!(why(Share), (Source::Usp, Verdict::Denied, "us_sale_opt_out"));
    assert_eq!(why(Store), (Source::Tcf, Verdict::Granted, "tcf_consent"));
    assert_eq!(reading.source(), "tcf+usp+google");
}

#[test]
fn a_bad_section_denies_what_it_speaks_of_and_spares_the_others() {
    let good = gpp(vec![
        us(8, &[("SaleOptOut", 2), ("SaleOptOutNotice", 1)], None),
        us(10, &[("SaleOptOut", 2), ("SaleOptOutNotice", 1)], None),
    ]);
    let text = good.gpp.unwrap();
    assert_eq!(of(&Strings { gpp: Some(text.clone()), ..Strings::default() }).denied, set(&[]));
    let broken = &text[..text.len() - 2];
    let reading = of(&Strings { gpp: Some(broken.to_owned()), ..Strings::default() });
    assert_eq!(reading.denied, set(&[Personalise, Share]));
    assert_eq!((reading.problems[0].source, reading.problems[0].code), (Source::Gpp, "truncated"));
    assert_eq!(reading.problems[0].at, broken.len());
    // One that nobody knows may speak of anything: here section 3.
    let unknown = of(&Strings { gpp: Some("DBABG~AAAA".into()), ..Strings::default() });
    assert_eq!(unknown.denied, PurposeSet::ALL);
    assert_eq!(unknown.problems[0].code, "unknown_section");
}

#[test]
fn control_inside_of_gpp_counts_as_control() {
    assert!(of(&gpp(vec![us(8, &[], Some(true))])).gpc);
    assert!(!of(&gpp(vec![us(8, &[], Some(false))])).gpc);
    assert!(!of(&tcf(&publisher(&[], &[]))).gpc);
}

#[test]
fn only_exactly_one_is_global_privacy_control() {
    let gpc = |values: &[&str]| gpc_header(values.iter().copied());
    for yes in [&["1"][..], &[" 1\t"], &["0", "1"], &["0, 1"], &["1", "1"], &["x,1,y"]] {
        assert!(gpc(yes), "{yes:?}");
    }
    for no in [&[][..], &[""], &["0"], &["true"], &["01"], &["1.0"], &["11"], &["?1"], &["1;a"]] {
        assert!(!gpc(no), "{no:?}");
    }
}

#[test]
fn hostile_strings_deny_and_say_why() {
    let long = "C".repeat(1 << 20);
    let good = publisher(EVERY, &[]).encode();
    let rows = [
        (long.as_str(), "too_long", 65_536),
        ("", "empty", 0),
        (&good[..20], "truncated", 20),
        ("CO!", "bad_character", 2),
        ("\u{0}", "bad_character", 0),
        ("äöü", "bad_character", 0),
    ];
    for (text, code, at) in rows {
        let reading = of(&Strings { tcf: Some(text.into()), ..Strings::default() });
        assert_eq!(reading.denied, PurposeSet::ALL, "{code}");
        assert_eq!((reading.problems[0].code, reading.problems[0].at), (code, at));
        assert_eq!(reading.why(Store).unwrap().code, code);
    }
    // Zeros pad; anything else behind the last field is no padding.
    let padded = |padding: &str| {
        of(&Strings { tcf: Some(format!("{good}{padding}")), ..Strings::default() })
    };
    assert_eq!(padded("AAAA").granted, PurposeSet::ALL);
    assert_eq!(padded("AAAB").denied, PurposeSet::ALL);
    assert_eq!(padded("AAAB").problems[0].code, "trailing_data");
    assert_eq!(
        of(&Strings { gpp: Some(long.clone()), ..Strings::default() }).denied,
        PurposeSet::ALL
    );
    assert_eq!(of(&usp(&long)).denied, set(&[Share]));
    let many: Vec<(String, String)> =
        (0..100).map(|n| (format!("key_{n}"), "granted".to_owned())).collect();
    let many = Strings { google: Some(many.into_iter().collect()), ..Strings::default() };
    assert_eq!((of(&many).denied, of(&many).problems[0].code), (PurposeSet::ALL, "too_long"));
    let refused = check(&Strings { tcf: Some(long), ..Strings::default() }).unwrap_err();
    assert_eq!((refused.code(), refused.place.as_str()), ("too_long", "strings.tcf"));
    assert!(check(&Strings::default()).is_ok());
}

#[test]
fn a_receipt_keeps_the_string_that_was_read() {
    let one = tcf(&publisher(EVERY, &[]));
    assert_eq!(one.evidence(), one.tcf);
    let two = Strings { us_privacy: Some("1YNN".into()), ..google(&[("ad_storage", "denied")]) };
    assert_eq!(two.evidence().unwrap(), "usp 1YNN\ngoogle ad_storage=denied");
    assert_eq!(usp(&"1".repeat(5_000)).evidence(), None);
}

/// Every kind of string in every slot, or none.
fn strings() -> impl Strategy<Value = Strings> {
    let ids = || prop::collection::vec(1..12_u8, 0..11);
    let tcf = prop_oneof![
        Just(None),
        Just(Some(String::new())),
        ".{0,40}".prop_map(Some),
        (ids(), ids())
            .prop_map(|(consents, interests)| { Some(publisher(&consents, &interests).encode()) }),
        ids().prop_map(|consents| Some(vendor(&consents, &[7]).encode())),
    ];
    let gpp = prop_oneof![
        Just(None),
        "[A-Za-z~.]{0,30}".prop_map(Some),
        (0..3_u8, 0..3_u8, any::<Option<bool>>()).prop_map(|(notice, sale, gpc)| {
            let fields = [("SaleOptOut", sale), ("SaleOptOutNotice", notice)];
            gpp(vec![us(8, &fields, gpc)]).gpp
        }),
        ids().prop_map(|consents| {
            let content = Ok(Section::TcfEu(publisher(&consents, &[])));
            gpp(vec![GppSection { id: 2, content }]).gpp
        }),
    ];
    let usp = prop_oneof![Just(None), "1[YN-]{3}".prop_map(Some), ".{0,6}".prop_map(Some)];
    let key = prop::sample::select(vec![
        "ad_storage",
        "ad_user_data",
        "ad_personalization",
        "analytics_storage",
        "functionality_storage",
        "personalization_storage",
        "security_storage",
        "something_new",
    ]);
    let value = prop::sample::select(vec!["granted", "denied", "Granted", ""]);
    let keys = prop::collection::btree_map(
        key.prop_map(str::to_owned),
        value.prop_map(str::to_owned),
        0..8,
    );
    (tcf, gpp, usp, prop::option::of(keys)).prop_map(|(tcf, gpp, us_privacy, google)| Strings {
        tcf,
        gpp,
        us_privacy,
        google,
    })
}

fn some_of(strings: &Strings, keep: [bool; 4]) -> Strings {
    Strings {
        tcf: strings.tcf.clone().filter(|_| keep[0]),
        gpp: strings.gpp.clone().filter(|_| keep[1]),
        us_privacy: strings.us_privacy.clone().filter(|_| keep[2]),
        google: strings.google.clone().filter(|_| keep[3]),
    }
}

fn consent() -> impl Strategy<Value = Consent> {
    prop::collection::vec((0..5_usize, any::<bool>()), 0..8).prop_map(|said| {
        let mut consent = Consent::default();
        for ((at, yes), time) in said.into_iter().zip(1..) {
            let purpose = Purpose::ALL[at];
            consent.take(&consent.next_record(purpose, yes, Basis::Consent, Timestamp(time)));
        }
        consent
    })
}

proptest! {
    #[test]
    fn no_signal_ever_allows_more(
        person in prop::option::of(consent()),
        device in prop::option::of(consent()),
        strings in strings(),
        keep in any::<[bool; 4]>(),
        gpc in any::<[bool; 2]>(),
        country in prop::sample::select(vec!["US", "DE", "", "JP"]),
        vendor in prop::option::of(7..9_u16),
    ) {
        let signal_settings = SignalSettings { vendor, ..SignalSettings::default() };
        let settings = ConsentSettings { signals: signal_settings, ..ConsentSettings::default() };
        let (fewer, more) = (
            read(&some_of(&strings, keep), &signal_settings),
            read(&strings, &signal_settings),
        );
        prop_assert_eq!(fewer.denied.and(more.denied), fewer.denied);
        prop_assert_eq!(more.denied.and(more.granted), PurposeSet::NONE);
        let rest = read(&some_of(&strings, keep.map(|kept| !kept)), &signal_settings);
        let either = fewer.granted.or(rest.granted);
        prop_assert_eq!(more.granted.and(either), more.granted);
        let allowed = |reading: &Reading, header: bool| {
            let signals = Signals {
                region: Region::new(country, ""),
                gpc: header || reading.gpc,
                denied: reading.denied,
            };
            Effective::of(person.as_ref(), device.as_ref(), &signals, &settings).allowed()
        };
        let without = allowed(&fewer, gpc[0]);
        let with = allowed(&more, gpc[0] || gpc[1]);
        prop_assert_eq!(with.and(without), with, "{:?} allows more than {:?}", more, fewer);
    }

    #[test]
    fn any_text_is_read_without_harm(tcf in ".{0,300}", gpp in ".{0,300}", usp in ".{0,10}") {
        let google: BTreeMap<_, _> = [(usp.clone(), tcf.clone())].into();
        let strings =
            Strings { tcf: Some(tcf), gpp: Some(gpp), us_privacy: Some(usp), google: Some(google) };
        let reading = of(&strings);
        prop_assert_eq!(reading.denied, PurposeSet::ALL);
        prop_assert!(!reading.problems.is_empty());
    }
}

#[test]
fn a_no_by_words_or_by_string_is_a_no() {
    use selvedge::consent::signals::joined;
    let said = BTreeMap::from([(Store, true), (Measure, false), (Share, true)]);
    let reading = of(&Strings {
        us_privacy: Some("1YYN".into()),
        ..google(&[("analytics_storage", "granted"), ("functionality_storage", "granted")])
    });
    let joined: Vec<(Purpose, bool)> =
        joined(&said, &reading).into_iter().map(|chosen| (chosen.purpose, chosen.yes)).collect();
    assert_eq!(joined, [(Store, true), (Measure, false), (Share, false)]);
}
