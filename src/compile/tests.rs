//! What the compiler says of files that people write: each mistake with its code, its place, and
//! what was meant.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use super::{Mistake, workspace};
use crate::limits;
use crate::workspace::{Where, Workspace};

const SHOP: &str = include_str!("../../examples/shop/workspace.json");

fn compiled(source: &str) -> Workspace {
    workspace(source).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"))
}

fn mistakes(source: &str) -> Vec<Mistake> {
    workspace(source).err().unwrap_or_default()
}

/// A workspace with one trait, one placement, one offer, and `fields` in that offer.
fn with_offer(fields: &str) -> String {
    format!(
        r#"{{
  "format": 1, "languages": ["en", "de"],
  "consent": {{ "banner": "b", "never": ["share"] }},
  "traits": {{
    "tier": {{ "type": "string", "public": true }}, "email": {{ "type": "string" }},
    "score": {{ "type": "int" }}, "born": {{ "type": "timestamp", "public": true }}
  }},
  "computed": {{ "orders": {{ "count": "Order Completed" }} }},
  "audiences": {{ "gold": {{ "when": "profile.tier == 'gold'" }} }},
  "placements": {{ "hero": {{ "where": "edge" }}, "tip": {{ "where": "page" }} }},
  "offers": {{ "one": {{
    {fields}
  }} }}
}}"#
    )
}

const CONTENT: &str = r#""content": { "en": { "headline": "x" } }"#;

/// Code, line, column and the covered text of each mistake.
fn places(source: &str) -> Vec<(String, u32, u32, String)> {
    mistakes(source)
        .into_iter()
        .map(|one| {
            let from = usize::try_from(one.caret - 1).unwrap();
            let len = usize::try_from(one.len).unwrap();
            let covered: String = one.snippet.chars().skip(from).take(len).collect();
            (one.code.into_owned(), one.line, one.column, covered)
        })
        .collect()
}

#[test]
fn the_shops_workspace_compiles_to_the_same_bytes_and_loads_again() {
    let bytes = compiled(SHOP).to_bytes().unwrap();
    assert_eq!(compiled(SHOP).to_bytes().unwrap(), bytes);
    let loaded = Workspace::from_bytes(&bytes).unwrap();
    assert_eq!(loaded.to_bytes().unwrap(), bytes);
    assert_eq!(loaded.version.len(), 16);
    let hero = loaded.placement("hero").unwrap();
    let keys: Vec<&str> = hero
        .offers
        .iter()
        .map(|at| loaded.offers.get(*at as usize).unwrap().key.as_str())
        .collect();
    assert_eq!(keys, ["basket", "extension", "plan_invite", "gold_preview", "welcome"]);
    assert!(loaded.offer("extension").unwrap().private);
    assert!(!loaded.offer("welcome").unwrap().private);
}

#[cfg(feature = "server")]
#[test]
fn an_image_with_a_damaged_offer_is_refused() {
    use crate::offer::Offers;
    use crate::pack::{Pack, Reader};

    let workspace = compiled(SHOP);
    let image = workspace.to_bytes().unwrap();
    let mut offers = Vec::new();
    workspace.offers.pack(&mut offers);
    let from = image.windows(offers.len()).position(|part| part == offers).unwrap();
    let damaged = |at: usize| {
        let mut image = image.clone();
        image[from + at] ^= 0x80;
        image
    };
    let mut refused = 0;
    for at in 0..offers.len() {
        let read = Offers::unpack(&mut Reader::new(&damaged(at)[from..from + offers.len()]));
        if read.len() == workspace.offers.len() && !read.unpack_all() {
            assert_eq!(Workspace::from_bytes(&damaged(at)).unwrap_err().code, "bad_image");
            refused += 1;
        }
    }
    assert!(refused > 0);
}

#[test]
fn the_version_does_not_depend_on_layout_and_does_on_meaning() {
    let spaced = SHOP.replace("  ", "\t").replace(",\n", ", // as before\n");
    assert_eq!(compiled(&format!("\u{feff}{spaced}")).version, compiled(SHOP).version);
    let other = SHOP.replace("\"priority\": 90", "\"priority\": 91");
    assert_ne!(compiled(&other).version, compiled(SHOP).version);
}

#[test]
fn a_page_gets_its_own_placements_and_nothing_private() {
    let shop = compiled(SHOP);
    let page = shop.for_page();
    assert!(page.placements.iter().all(|placement| placement.at == Where::Page));
    let keys: Vec<&str> = page.offers.iter().map(|offer| offer.key.as_str()).collect();
    assert_eq!(keys, ["tip_generic", "tip_loyal", "tip_plan"]);
    let tip = &page.placements[0];
    let ranked: Vec<&str> =
        tip.offers.iter().map(|at| page.offers.get(*at as usize).unwrap().key.as_str()).collect();
    assert_eq!(ranked, ["tip_loyal", "tip_plan", "tip_generic"]);
    assert!(page.traits.is_empty() && page.computed.is_empty() && page.audiences.is_empty());
    assert!(page.identity.blocked.is_empty() && page.identity.login_keys.is_empty());
    let loaded = Workspace::from_bytes(&page.to_bytes().unwrap()).unwrap();
    let rule = loaded.rules.members(loaded.placements[0].group).next();
    assert_eq!(rule, Some(loaded.offers.get(1).unwrap().rule));
}

#[test]
fn all_mistakes_come_at_once_each_at_its_place() {
    let source = r#"{
  "format": 2, // the next one
  "languages": ["en", "english!"],
  "traits": { "tier": { "type": "strng" }, "2nd": { "type": "int" } },
  "placements": { "hero": { "wher": "edge" } },
  "audiences": { "über": { "when": "profile.tier == 'gold'" } },
  "offers": {
    "one": {
      "placements": ["heros"],
      "when": "profile.tierr == 'g\u00f6\"ld' && profil.x",
      "priority": 1e3,
      "priority": 2,
      "caps": [{ "per": "person", "window": "day", "on": "impression", "max": 0 }],
      "content": { "fr": { "headline": "{{profile.email}}" }, "en": { "href": "javascript:x" } }
    },
  },
}"#;
    let found = places(source);
    let found: Vec<(&str, u32, u32, &str)> =
        found.iter().map(|(code, l, c, text)| (code.as_str(), *l, *c, text.as_str())).collect();
    assert_eq!(
        found,
        [
            ("unknown_format", 2, 13, "2"),
            ("bad_language", 3, 23, "\"english!\""),
            ("unknown_type", 4, 33, "\"strng\""),
            ("bad_name", 4, 44, "\"2nd\""),
            ("unknown_field", 5, 29, "\"wher\""),
            ("bad_name", 6, 18, "\"über\""),
            ("unknown_placement", 9, 22, "\"heros\""),
            ("unknown_trait", 10, 24, "tierr"),
            ("unknown_name", 10, 50, "profil"),
            ("not_whole", 11, 19, "1e3"),
            ("duplicate_field", 12, 7, "\"priority\""),
            ("cap_of_zero", 13, 79, "0"),
            ("unknown_language", 14, 20, "\"fr\""),
            ("unknown_trait", 14, 41, "{{profile.email}}"),
            ("bad_link", 14, 79, "\"javascript:x\""),
        ]
    );
    let all = mistakes(source);
    let meant: Vec<&str> = all.iter().filter_map(|one| one.suggestion.as_deref()).collect();
    assert!(meant.contains(&"string") && meant.contains(&"where") && meant.contains(&"hero"));
    assert!(all.iter().any(|one| one.path == "offers.one.caps[0].max"), "{all:#?}");
}

#[test]
fn what_can_be_wrong_with_an_offer() {
    let table: [(&str, &str); 36] = [
        (r#""placements": []"#, "bad_placements"),
        (r#""placements": ["hero", "hero"]"#, "duplicate_entry"),
        (r#""placements": "hero""#, "wrong_type"),
        (r#""purpose": "marketing""#, "unknown_purpose"),
        (r#""purpose": "share""#, "purpose_never_used"),
        (r#""assurance": "recognized""#, "unknown_assurance"),
        (r#""priority": 2147483648"#, "out_of_range"),
        (r#""priority": 99999999999999999999"#, "out_of_range"),
        (r#""priority": 1.5"#, "not_whole"),
        (r#""priority": "high""#, "wrong_type"),
        (r#""coolDown": "7 days""#, "bad_duration"),
        (r#""coolDown": "0d""#, "bad_duration"),
        (r#""coolDown": "99999999999999999999d""#, "bad_duration"),
        (
            r#""caps": [{ "per": "person", "window": "day", "on": "impression", "max": 101 }]"#,
            "out_of_range",
        ),
        (
            r#""caps": [{ "per": "person", "window": "day", "on": "impression", "max": -1 }]"#,
            "out_of_range",
        ),
        (r#""caps": [{ "window": "day", "on": "impression", "max": 1 }]"#, "missing_field"),
        (
            r#""caps": [{ "per": "user", "window": "day", "on": "impression", "max": 1 }]"#,
            "unknown_per",
        ),
        (r#""schedule": { "from": "soon" }"#, "bad_time"),
        (r#""schedule": { "from": "2026-02-30T00:00:00Z" }"#, "bad_time"),
        (
            r#""schedule": { "from": "2027-01-01T00:00:00Z", "until": "2026-01-01T00:00:00Z" }"#,
            "never_starts",
        ),
        (r#""schedule": { "zone": "Europe/Berln" }"#, "unknown_zone"),
        (r#""schedule": { "weekly": [] }"#, "bad_weekly"),
        (
            r#""schedule": { "weekly": [{ "days": ["mon"], "from": "09:00", "until": "09:00" }] }"#,
            "never_starts",
        ),
        (
            r#""schedule": { "weekly": [{ "days": ["Mon"], "from": "09:00", "until": "10:00" }] }"#,
            "unknown_day",
        ),
        (
            r#""schedule": { "weekly": [{ "days": ["mon"], "from": "9:00", "until": "24:01" }] }"#,
            "bad_time",
        ),
        (
            r#""schedule": { "from": "2026-11-24T00:00:00Z", "until": "2026-11-26T00:00:00Z",
               "weekly": [{ "days": ["mon"], "from": "09:00", "until": "10:00" }] }"#,
            "never_starts",
        ),
        (r#""when": 7"#, "wrong_type"),
        (r#""when": "profile.tier ==""#, "unexpected_token"),
        (r#""when": "inAudience('golden')""#, "unknown_audience"),
        (r#""when": "min('Order Completed', 'total') > 3.0""#, "unknown_property"),
        (r#""purpose": null, "when": "profile.tier == 'gold'""#, "contextual_reads_profile"),
        (
            r#""purpose": null, "when": "request.path == '/' || inAudience('gold')""#,
            "contextual_reads_profile",
        ),
        (r#""purpose": null, "when": "count('Order Completed') > 1""#, "contextual_reads_profile"),
        (r#""purpose": null, "assurance": "recognised""#, "contextual_reads_profile"),
        (r#""purpose": null, "coolDown": "7d""#, "contextual_reads_profile"),
        (r#""weight": 3"#, "unknown_field"),
    ];
    for (field, code) in table {
        let placements =
            if field.contains("placements") { "" } else { r#""placements": ["hero"], "# };
        let found = mistakes(&with_offer(&format!("{placements}{field}, {CONTENT}")));
        assert!(
            !found.is_empty() && found.iter().all(|one| one.code == code),
            "{field}: {found:#?}"
        );
        assert!(found.iter().all(|one| one.path.starts_with("offers.one")), "{field}: {found:#?}");
    }
}

#[test]
fn what_can_be_wrong_with_a_content() {
    let table = [
        (r#"{ "de": { "headline": "x" } }"#, "missing_content"),
        (r#"{ "en": {} }"#, "bad_content"),
        (r#"{ "en": { "headline": "{{profile.email}}" } }"#, "not_public"),
        (r#"{ "en": { "headline": "{{profile.tierr}}" } }"#, "unknown_trait"),
        (r#"{ "en": { "headline": "{{profile.born}}" } }"#, "not_printable"),
        (r#"{ "en": { "headline": "{{tier}}" } }"#, "bad_template"),
        (r#"{ "en": { "headline": "{{profile.tier" } }"#, "bad_template"),
        (r#"{ "en": { "href": "//evil.example" } }"#, "bad_link"),
        (r#"{ "en": { "cta_href": "/a\\b" } }"#, "bad_link"),
        (r#"{ "en": { "image": "http://a.example/x.png" } }"#, "bad_link"),
        (r#"{ "en": { "href": "/\u0000" } }"#, "bad_link"),
        (r#"{ "en": { "Headline": "x" } }"#, "bad_name"),
        (r#"{ "en": { "headline": 3 } }"#, "wrong_type"),
        (r#"{ "en": { "headline": "x" }, "EN": { "headline": "y" } }"#, "duplicate_entry"),
    ];
    for (content, code) in table {
        let found =
            mistakes(&with_offer(&format!(r#""placements": ["hero"], "content": {content}"#)));
        assert!(
            !found.is_empty() && found.iter().all(|one| one.code == code),
            "{content}: {found:#?}"
        );
    }
    let contextual = r#""placements": ["hero"], "purpose": null,
        "content": { "en": { "headline": "{{profile.tier|you}}" } }"#;
    assert_eq!(mistakes(&with_offer(contextual))[0].code, "contextual_reads_profile");
    let fine = r#""placements": ["hero"],
        "content": { "en": { "headline": "{{ profile.tier | you }}!" } }"#;
    compiled(&with_offer(fine));
}

#[test]
fn broken_syntax_and_hostile_files_are_one_mistake() {
    let deep = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
    let large = " ".repeat(limits::WORKSPACE_BYTES + 1);
    let table = [
        ("", "bad_json"),
        ("{", "bad_json"),
        ("{} {}", "bad_json"),
        ("{'format': 1}", "bad_json"),
        ("{format: 1}", "bad_json"),
        ("{\"format\": 1 \"x\": 2}", "bad_json"),
        ("{\"format\": NaN}", "not_finite"),
        ("{\"format\": -Infinity}", "not_finite"),
        ("{\"format\": 0x10}", "bad_json"),
        ("{\"a\": \"x\ny\"}", "bad_json"),
        ("{\"a\": \"\\x41\"}", "bad_json"),
        ("{\"a\": \"\\ud800\"}", "bad_json"),
        ("/* never closed", "bad_json"),
        (&deep, "too_deep"),
        (&large, "workspace_too_large"),
    ];
    for (source, code) in table {
        let found = mistakes(source);
        let short: String = source.chars().take(40).collect();
        assert_eq!(found.len(), 1, "{short}: {found:#?}");
        assert_eq!(found[0].code, code, "{short}: {found:#?}");
    }
    assert_eq!(mistakes("[]")[0].code, "wrong_type");
    assert_eq!(mistakes("null")[0].code, "wrong_type");
}

#[test]
fn a_long_line_is_shown_around_the_mistake_and_many_mistakes_are_counted() {
    let offers: Vec<String> = (0..600).map(|n| format!("\"o{n}\":{{\"colour\":1}}")).collect();
    let source =
        format!("{{\"format\":1,\"languages\":[\"en\"],\"offers\":{{{}}}}}", offers.join(","));
    let found = mistakes(&source);
    assert_eq!(found.len(), limits::MISTAKES);
    assert!(found.iter().all(|one| one.line == 1 && one.snippet.chars().count() <= 330));
    let last = found.last().unwrap();
    assert!(last.message.contains("more mistakes after this one"), "{}", last.message);
    let covered: String =
        last.snippet.chars().skip(last.caret as usize - 1).take(last.len as usize).collect();
    assert!(covered == "\"colour\"" || covered.starts_with("\"o"), "{covered}");
    let at = source.chars().skip(last.column as usize - 1).take(covered.len()).collect::<String>();
    assert_eq!(at, covered);
}

#[test]
fn audiences_in_a_circle_are_told_once_and_their_uses_are_fine() {
    let source = with_offer(&format!(
        r#""placements": ["hero"], "when": "inAudience('a') && inAudience('gold')", {CONTENT}"#
    ))
    .replace(
        r#""audiences": {"#,
        r#""audiences": { "a": { "when": "inAudience('b')" },
            "b": { "when": "!inAudience('a')" },"#,
    );
    let found = mistakes(&source);
    assert!(found.iter().all(|one| one.code == "cyclic_audience"), "{found:#?}");
    assert!(found.iter().all(|one| one.path.starts_with("audiences.")), "{found:#?}");
    assert!(!found.is_empty());
}

#[test]
fn weekly_windows_follow_the_zone_through_the_change_of_clocks() {
    let source = with_offer(&format!(
        r#""placements": ["hero"], {CONTENT}, "schedule": {{ "zone": "Europe/Berlin",
            "weekly": [{{ "days": ["sun"], "from": "22:00", "until": "02:00" }}] }}"#
    ));
    let workspace = compiled(&source);
    let schedule = workspace.offer("one").unwrap().schedule().unwrap();
    let open = |text: &str| schedule.is_open(crate::json::time(text).unwrap());
    // Sunday 22 November 2026, UTC+1.
    assert!(!open("2026-11-22T20:59:59Z") && open("2026-11-22T21:00:00Z"));
    assert!(open("2026-11-23T00:59:59Z") && !open("2026-11-23T01:00:00Z"));
    // Sunday 28 June 2026, UTC+2; and the same in 2044.
    assert!(!open("2026-06-28T19:59:59Z") && open("2026-06-28T20:00:00Z"));
    assert!(!open("2044-06-26T19:59:59Z") && open("2044-06-26T20:00:00Z"));
}

#[test]
fn a_login_key_must_be_a_sound_public_key() {
    let identity = |key: &str| {
        format!(
            r#"{{ "format": 1, "languages": ["en"],
                "identity": {{ "loginKeys": [{{ "kid": "k", {key} }}] }} }}"#
        )
    };
    let good = r#""alg": "EdDSA", "publicKey": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo""#;
    assert_eq!(compiled(&identity(good)).identity.login_keys.len(), 1);
    for (key, code) in [
        (
            r#""alg": "HS256", "publicKey": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo""#,
            "unknown_algorithm",
        ),
        (r#""alg": "EdDSA", "publicKey": "11qYAYKxCrfVS""#, "bad_login_key"),
        (
            r#""alg": "EdDSA", "publicKey": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA""#,
            "bad_login_key",
        ),
        (r#""alg": "EdDSA""#, "missing_field"),
        (
            r#""alg": "EdDSA", "d": "x",
            "publicKey": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo""#,
            "unknown_field",
        ),
    ] {
        let found = mistakes(&identity(key));
        assert_eq!(found.len(), 1, "{found:#?}");
        assert_eq!(found[0].code, code);
    }
}

#[test]
fn declared_events_are_held_to() {
    let source = |events: &str, computed: &str| {
        format!(
            r#"{{ "format": 1, "languages": ["en"], "events": {{ {events} }},
                "computed": {{ "x": {{ {computed} }} }} }}"#
        )
    };
    let events = r#""Order Completed": { "total": "double", "coupon": "string" }"#;
    compiled(&source(events, r#""sum": "Order Completed", "property": "total", "window": "90d""#));
    for way in ["min", "max", "first", "distinct"] {
        compiled(&source(events, &format!(r#""{way}": "Order Completed", "property": "total""#)));
    }
    compiled(&source(events, r#""first": "Order Completed", "property": "coupon""#));
    compiled(&source(events, r#""streak": "Order Completed""#));
    for (computed, code) in [
        (r#""min": "Order Completed", "property": "coupon""#, "wrong_type"),
        (r#""max": "Order Completed", "property": "total", "type": "string""#, "wrong_type"),
        (r#""distinct": "Order Completed""#, "missing_field"),
        (r#""distinct": "Order Completed", "property": "total", "type": "int""#, "bad_computed"),
        (r#""streak": "Order Completed", "property": "total""#, "bad_computed"),
        (r#""count": "Oder Completed""#, "unknown_event"),
        (r#""sum": "Order Completed", "property": "totl""#, "unknown_property"),
        (r#""sum": "Order Completed", "property": "coupon""#, "wrong_type"),
        (r#""sum": "Order Completed""#, "missing_field"),
        (r#""count": "Order Completed", "recency": "Order Completed""#, "bad_computed"),
        (r#""window": "7d""#, "bad_computed"),
        (r#""count": "Order Completed", "property": "total""#, "bad_computed"),
    ] {
        let found = mistakes(&source(events, computed));
        assert_eq!(found.len(), 1, "{computed}: {found:#?}");
        assert_eq!(found[0].code, code, "{found:#?}");
    }
}

#[test]
fn a_source_cut_anywhere_or_with_a_byte_changed_never_panics() {
    let mut seed = 7_u32;
    for _ in 0..2_000 {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let at = (seed as usize >> 3) % SHOP.len();
        if !SHOP.is_char_boundary(at) {
            continue;
        }
        let (head, tail) = SHOP.split_at(at);
        if seed.is_multiple_of(8) {
            assert!(workspace(head).is_err());
            continue;
        }
        let sign =
            ["\"", "{", "]", ",", "\\", "é", "0", ":", "//", "\u{1}"][(seed >> 8) as usize % 10];
        let rest: String = tail.chars().skip(1).collect();
        for mistake in mistakes(&format!("{head}{sign}{rest}")) {
            assert!(mistake.line >= 1 && mistake.column >= 1 && mistake.len >= 1);
        }
    }
}

#[test]
fn a_holdout_names_offers_that_there_are() {
    let source = |offers: &str| {
        with_offer(&format!(r#""placements": ["hero"], {CONTENT}"#)).replace(
            r#""offers": {"#,
            &format!(
                r#""holdouts": {{ "h": {{ "share": 0.1, "offers": [{offers}] }} }}, "offers": {{"#
            ),
        )
    };
    compiled(&source(r#""one""#));
    let found = mistakes(&source(r#""one", "onee""#));
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!((&*found[0].code, found[0].suggestion.as_deref()), ("unknown_offer", Some("one")));
    assert_eq!(found[0].path, "holdouts.h.offers[1]");
}

#[test]
fn how_consent_strings_are_read_is_the_workspaces_to_say() {
    let with = |tcf: &str| {
        let consent = format!(r#""banner": "b", "tcf": {tcf}, "never""#);
        with_offer(&format!(r#""placements": ["hero"], {CONTENT}"#))
            .replace(r#""banner": "b", "never""#, &consent)
    };
    let read = compiled(&with(r#"{ "vendor": 755, "minimumPolicy": 4 }"#)).consent.signals;
    assert_eq!((read.vendor, read.tcf.minimum_policy), (Some(755), 4));
    assert_eq!(read.tcf.disclosed_vendors_from_policy, 5);
    assert_eq!(mistakes(&with(r#"{ "vendor": 0 }"#))[0].code, "out_of_range");
    assert_eq!(mistakes(&with(r#"{ "vendors": 1 }"#))[0].code, "unknown_field");
}
