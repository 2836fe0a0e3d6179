//! `simulate` and `diff` as people run them, over files of many profiles. What they count is held
//! against what `decide` and `explain` answer line by line.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

fn file(name: &str, text: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, text).unwrap();
    path
}

fn run(words: &[&str], paths: &[&Path]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_selvedge"));
    command.args(words).args(paths).stdin(Stdio::null());
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

fn answer(words: &[&str], paths: &[&Path]) -> (i32, Value) {
    let (code, out, err) = run(&[words, &["--json"]].concat(), paths);
    (code, serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{err}")))
}

/// `vip` before `gold` for whoever is gold; nobody has points; a group of which a page shows one.
fn workspace() -> Value {
    json!({
        "format": 1, "languages": ["en"],
        "traits": { "tier": { "type": "string" }, "points": { "type": "int" } },
        "placements": { "hero": { "where": "edge" }, "side": { "where": "edge" },
            "tip": { "where": "page" } },
        "offers": {
            "vip": { "placements": ["hero"], "when": "profile.tier == 'gold'", "priority": 9,
                "purpose": "personalise", "exclusion": "sale",
                "content": { "en": { "headline": "V" } } },
            "gold": { "placements": ["hero"], "when": "profile.tier in ['gold', 'silver']",
                "priority": 5, "purpose": "personalise", "content": { "en": { "headline": "G" } } },
            "gold_only": { "placements": ["hero"], "when": "profile.tier == 'gold'",
                "priority": 4, "purpose": "personalise", "content": { "en": { "headline": "O" } } },
            "sale": { "placements": ["side"], "when": "profile.tier == 'gold'",
                "purpose": "personalise", "exclusion": "sale",
                "content": { "en": { "headline": "S" } } },
            "rich": { "placements": ["tip"], "when": "profile.points > 10",
                "purpose": "personalise", "content": { "en": { "headline": "R" } } },
            "welcome": { "placements": ["hero", "tip"], "purpose": null, "priority": 1,
                "content": { "en": { "headline": "W" } } },
        },
    })
}

/// Of six, two are gold, one silver, one gold without consent, two unknown.
fn people(rounds: usize) -> String {
    let consent = r#""consent":{"store":"grant","profile":"grant","personalise":"grant"}"#;
    let mut lines = String::new();
    for round in 0..rounds {
        for (name, traits) in [
            ("ada", r#"{"tier":"gold"}"#),
            ("bob", r#"{"tier":"silver"}"#),
            ("cyd", r#"{"tier":"gold"}"#),
            ("dan", "{}"),
        ] {
            let rest = format!(r#""traits":{traits},"region":"DE",{consent}"#);
            writeln!(lines, r#"{{"id":"{name}{round}",{rest}}}"#).unwrap();
        }
        writeln!(lines, r#"{{"id":"eve{round}","traits":{{"tier":"gold"}},"region":"DE"}}"#)
            .unwrap();
        writeln!(lines, r#"{{"region":"DE"}}"#).unwrap();
    }
    lines
}

fn named<'a>(list: &'a Value, field: &str, name: &str) -> &'a Value {
    let all = list.as_array().unwrap();
    all.iter().find(|one| one[field] == name).unwrap_or_else(|| panic!("no {name} in {list}"))
}

#[test]
fn simulate_tells_reach_overlap_shadowed_and_unreachable_offers() {
    let source = file("crowd.json", &workspace().to_string());
    let profiles = file("crowd.ndjson", &people(1));
    let (code, found) = answer(&["simulate"], &[&source, &profiles]);
    assert_eq!((code, &found["profiles"], &found["refused"]), (0, &json!(6), &json!(0)));
    let hero = named(&found["placements"], "placement", "hero");
    let of = |offer: &str, field: &str| named(&hero["offers"], "offer", offer)[field].clone();
    assert_eq!(
        ["vip", "gold", "gold_only", "welcome"].map(|offer| of(offer, "eligible")),
        [2, 3, 2, 6]
    );
    assert_eq!(["vip", "gold", "gold_only", "welcome"].map(|offer| of(offer, "won")), [2, 1, 0, 3]);
    assert_eq!((of("vip", "reach"), of("gold", "share")), (json!(0.3333), json!(0.1666)));
    let beaten = json!([{ "offer": "vip", "count": 2 }, { "offer": "gold", "count": 1 }]);
    assert_eq!(of("welcome", "beatenBy"), beaten);
    let codes: Vec<Value> =
        of("vip", "reasons").as_array().unwrap().iter().map(|one| one["code"].clone()).collect();
    assert_eq!(codes, ["no_consent", "missing_trait", "not_eligible"]);
    assert_eq!(
        of("vip", "reasons")[1],
        json!({ "code": "missing_trait", "count": 1,
            "sentence": "its condition reads `profile.tier`, of which nothing is known" })
    );
    let pair = json!({ "offers": ["gold", "welcome"], "count": 3 });
    assert_eq!(hero["overlaps"][0], pair);
    assert_eq!(hero["overlaps"].as_array().unwrap().len(), 6);

    assert_eq!(
        found["shadowed"],
        json!([
            { "offer": "gold_only", "eligible": 2, "beatenBy": [{ "offer": "vip", "count": 2 }] },
            { "offer": "sale", "eligible": 2, "beatenBy": [{ "offer": "vip", "count": 2 }] },
        ])
    );
    let unreachable = found["unreachable"].as_array().unwrap();
    assert_eq!((unreachable.len(), &unreachable[0]["offer"]), (1, &json!("rich")));
    let reason = &unreachable[0]["reasons"][0];
    assert_eq!((&reason["code"], &reason["count"]), (&json!("missing_trait"), &json!(4)));

    let (_, out, err) = run(&["simulate"], &[&source, &profiles]);
    assert_eq!(err, "note: 1 of the profiles: the traits were not taken: no_consent\n");
    for line in [
        "hero (edge): an offer for 6 (100.0 %)",
        "    gold + welcome: 3 (50.0 %)",
        "  gold_only: eligible 2 times; loses to vip 2",
        "  rich: its condition reads `profile.points`, of which nothing is known \
         (missing_trait, 66.6 %)",
    ] {
        assert!(out.contains(line), "{line}\n{out}");
    }
}

#[test]
fn simulate_counts_what_decide_answers_whatever_the_length_of_the_file() {
    let source = file("long.json", &workspace().to_string());
    // More than one round of lines.
    let profiles = file("long.ndjson", &people(900));
    let (_, found) = answer(&["simulate", "--at", "2026-11-22T10:00:00Z"], &[&source, &profiles]);
    assert_eq!(found["profiles"], 5_400);
    let (code, lines, _) =
        run(&["decide", "--workspace", source.to_str().unwrap(), "--profiles"], &[&profiles]);
    assert_eq!(code, 0);
    let mut won: BTreeMap<(String, String), u64> = BTreeMap::new();
    for line in lines.lines() {
        let one: Value = serde_json::from_str(line).unwrap();
        for decision in one["decisions"].as_array().unwrap() {
            if let Some(offer) = decision["offer"].as_str() {
                let placement = decision["placement"].as_str().unwrap().to_owned();
                *won.entry((placement, offer.to_owned())).or_default() += 1;
            }
        }
    }
    assert_eq!(won.len(), 4);
    for placed in found["placements"].as_array().unwrap() {
        for offer in placed["offers"].as_array().unwrap() {
            let name = |value: &Value| value.as_str().unwrap().to_owned();
            let key = (name(&placed["placement"]), name(&offer["offer"]));
            assert_eq!(offer["won"], won.get(&key).copied().unwrap_or(0), "{key:?}");
        }
    }
    let again = answer(&["simulate", "--at", "2026-11-22T10:00:00Z"], &[&source, &profiles]).1;
    assert_eq!(found, again);
}

#[test]
fn lines_that_hold_no_profile_are_told_by_file_and_number_and_stop_nobody() {
    let source = file("bad-lines.json", &workspace().to_string());
    let long = format!("{{\"id\":\"{}\"}}", "x".repeat(4 * 1024 * 1024));
    let deep = format!("{}1{}", "[".repeat(99), "]".repeat(99));
    let mut lines = format!("{}\n\n{{\"trait\":1}}\n{long}\n{deep}\n\u{0}\n", people(1).trim());
    lines.push_str(r#"{"traits":{"tierr":"gold","__proto__":{"a":1}}}"#);
    lines.push_str("\n{\"traits\":{\"tierr\":\"gold\"},\"consent\":{\"profile\":\"grant\"}}");
    let profiles = file("bad-lines.ndjson", &lines);
    let (code, found) = answer(&["simulate"], &[&source, &profiles]);
    assert_eq!((code, &found["profiles"], &found["refused"]), (1, &json!(7), &json!(5)));
    let told: Vec<(u64, &str)> = found["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["line"].as_u64().unwrap(), one["error"]["code"].as_str().unwrap()))
        .collect();
    let expected = [
        (8, "bad_profile"),
        (9, "profile_too_large"),
        (10, "too_deep"),
        (11, "bad_profile"),
        (12, "bad_trait"),
    ];
    assert_eq!(told, expected);
    let note = "the workspace declares no trait `tierr`, did you mean `tier`?";
    assert_eq!(found["notes"][note], 1);
    let name = profiles.to_str().unwrap();
    let first = &found["errors"][0];
    assert_eq!((&first["file"], &first["error"]["where"]), (&json!(name), &json!("column 8")));
    let (of_simulate, of_diff) = (vec![&*source, &profiles], vec![&*source, &source, &profiles]);
    for (command, paths) in [("simulate", of_simulate), ("diff", of_diff)] {
        let (code, _, err) = run(&[command], &paths);
        let told: Vec<&str> = err.lines().filter(|line| line.starts_with("error: ")).collect();
        assert_eq!((code, told.len()), (1, 5), "{err}");
        for (at, line, message, end) in [
            (0, 8, "this is no profile: unknown field `trait`, expected", "(column 8)"),
            (1, 9, "a profile has at most 4194304 bytes", "[profile_too_large]"),
            (4, 12, "a trait is a text, a number, a bool or", "(traits.__proto__)"),
        ] {
            let begin = format!("error: {name}:{line}: {message}");
            assert!(told[at].starts_with(&begin) && told[at].ends_with(end), "{err}");
        }
    }
    let (code, _, err) = run(&["simulate", "--placement", "heroo"], &[&source, &profiles]);
    assert!(code == 1 && err.contains("did you mean `hero`?"), "{err}");
    let none = Path::new("no-such-file.ndjson");
    assert_eq!(run(&["simulate"], &[&source, none]).0, 1);
    assert_eq!(run(&["simulate", "--at", "noon"], &[&source, &profiles]).0, 2);
}

#[test]
fn diff_tells_whose_decision_changes_and_exits_with_three() {
    let before = file("before.json", &workspace().to_string());
    let profiles = file("diff.ndjson", &people(2));
    let (code, same) = answer(&["diff"], &[&before, &before, &profiles]);
    assert_eq!((code, &same["changed"]), (0, &json!(0)));
    assert_eq!(named(&same["placements"], "placement", "hero")["unchanged"], 12);

    let mut changed = workspace();
    changed["offers"]["vip"]["priority"] = json!(2);
    changed["offers"]["welcome"]["content"]["en"]["headline"] = json!("Hello");
    changed["placements"]["foot"] = json!({ "where": "edge" });
    changed["offers"]["rich"]["placements"] = json!(["foot"]);
    let after = file("after.json", &changed.to_string());
    let (code, found) = answer(&["diff"], &[&before, &after, &profiles]);
    assert_eq!((code, &found["changed"]), (3, &json!(12)));
    let hero = named(&found["placements"], "placement", "hero");
    let counts = ["changed", "reworded", "unchanged"].map(|field| hero[field].clone());
    assert_eq!(counts, [4, 6, 2]);
    let welcome = json!({ "offer": "welcome" });
    assert_eq!(hero["changes"][0]["from"], welcome);
    assert_eq!((&hero["changes"][0]["to"], &hero["changes"][0]["count"]), (&welcome, &json!(6)));
    assert_eq!(
        hero["changes"][1],
        json!({ "from": { "offer": "vip" }, "to": { "offer": "gold" }, "count": 4, "examples": [
            { "line": 1, "id": "ada0" }, { "line": 3, "id": "cyd0" },
            { "line": 7, "id": "ada1" }, { "line": 9, "id": "cyd1" },
        ] })
    );
    let foot = named(&found["placements"], "placement", "foot");
    assert_eq!(foot["changes"][0]["from"], json!({ "placement": false }));
    // Where `vip` no longer wins, its group lets `sale` in.
    let side = named(&found["placements"], "placement", "side");
    assert_eq!(side["changes"][0]["to"], json!({ "offer": "sale" }));

    let (code, out, _) = run(&["diff", "--placement", "hero"], &[&before, &after, &profiles]);
    assert_eq!(code, 3);
    for line in [
        "12 profiles: the decisions of 10 change (83.3 %)",
        "hero: 4 changed, 6 reworded, 2 unchanged",
        "  vip -> gold  4  (ada0, cyd0, ada1, cyd1)",
        "  welcome, other content  6  (dan0, eve0, line 6, dan1, eve1)",
    ] {
        assert!(out.contains(line), "{line}\n{out}");
    }
}

#[test]
fn a_variant_is_named_wherever_its_offer_is() {
    let mut with_experiment = workspace();
    with_experiment["experiments"] = json!({ "copy": { "variants": ["long", "short"] } });
    with_experiment["offers"]["vip"]["experiment"] = json!("copy");
    let source = file("variants.json", &with_experiment.to_string());
    let profiles = file("variants.ndjson", &people(1));
    let ada = file("variants-ada.json", people(1).lines().next().unwrap());
    let (_, decided) = answer(&["decide"], &[&source, &ada]);
    let hero = named(&decided["decisions"], "placement", "hero");
    let shown = format!("vip:{}", hero["variant"].as_str().unwrap());
    for command in ["decide", "explain"] {
        let (_, out, _) = run(&[command], &[&source, &ada]);
        assert!(out.contains(&shown), "{shown}\n{out}");
    }
    let before = file("variants-before.json", &workspace().to_string());
    let (code, out, _) = run(&["diff"], &[&before, &source, &profiles]);
    assert!(code == 3 && out.contains(&format!("  vip -> {shown}  2  (ada0, cyd0)")), "{out}");
}
