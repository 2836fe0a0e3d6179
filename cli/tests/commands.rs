//! The command as people run it: real processes, real files, a real socket. What it sends is
//! looked at; what a real edge or central store does with it is tested end to end.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread::{self, JoinHandle};

use serde_json::{Value, json};

fn shop() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/shop/workspace.json")
}

/// A file of this test run.
fn file(name: &str, text: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    path
}

fn selvedge() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_selvedge"));
    for name in ["SELVEDGE_EDGE", "SELVEDGE_ADMIN_KEY", "SELVEDGE_CENTRAL", "SELVEDGE_CENTRAL_KEY"]
    {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}

fn run(command: &mut Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

/// A server that answers one request, and gives its head and body.
fn server(status: u16, answer: &'static str) -> (String, JoinHandle<(String, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let served = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            reader.read_line(&mut head).unwrap();
        }
        let lower = head.to_lowercase();
        let length = lower.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        reader.read_exact(&mut body).unwrap();
        let mut stream = stream;
        write!(
            stream,
            "HTTP/1.1 {status} x\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{answer}",
            answer.len()
        )
        .unwrap();
        (head, body)
    });
    (url, served)
}

const ADA: &str = r#"{"id":"ada","traits":{"first_name":"Ada","cancel_intent":true},
    "consent":{"store":"grant","profile":"grant","personalise":"grant"},
    "assurance":"recognised","region":"DE","now":"2026-11-22T10:00:00Z"}"#;

#[test]
fn check_shows_every_mistake_with_its_line_and_a_caret() {
    let (code, out, _) = run(selvedge().arg("check").arg(shop()));
    assert_eq!(code, 0, "{out}");
    assert!(out.contains("is fine: 2 placements, 8 offers"), "{out}");

    let bad = file(
        "bad.json",
        r#"{ "format": 1, "languages": ["en"],
  "traits": { "tier": { "type": "string" } },
  "audiences": { "gold": { "when": "profile.tierr == 'gold'" } },
  "ofers": {} }"#,
    );
    let (code, out, _) = run(selvedge().arg("check").arg(&bad));
    assert_eq!(code, 1);
    let place = format!("{}:3:45, audiences.gold.when", bad.display());
    assert!(out.contains(&place), "{out}");
    assert!(out.contains("\n  |                                             ^^^^^\n"), "{out}");
    assert!(
        out.contains("did you mean `tier`?") && out.contains("did you mean `offers`?"),
        "{out}"
    );
    assert!(out.ends_with("2 mistakes\n"), "{out}");

    // The whole of it, as a terminal shows it.
    let column = "  \"audiences\": { \"gold\": { \"when\": \"".len();
    let shown = format!(
        "error[unknown_trait]: unknown trait `profile.tierr`, did you mean `tier`?\n \
         --> {place}\n  |\n\
         3 |   \"audiences\": {{ \"gold\": {{ \"when\": \"profile.tierr == 'gold'\" }} }},\n  \
         | {}^^^^^\n\n",
        " ".repeat(column + "profile.".len())
    );
    assert!(out.starts_with(&shown), "{out}\n---\n{shown}");

    let (code, out, _) = run(selvedge().args(["check", "--json"]).arg(&bad));
    let answer: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &answer["ok"]), (1, &json!(false)));
    assert_eq!(answer["mistakes"][0]["suggestion"], "tier");
    assert_eq!(answer["mistakes"][1]["line"], 4);
}

#[test]
fn a_schedule_that_is_over_is_told_and_is_no_mistake() {
    let of = |until: &str| {
        let source = fs::read_to_string(shop()).unwrap();
        let from = "\"from\": \"2026-01-01T00:00:00Z\"";
        assert!(source.contains(from));
        let name = format!("over-{}.json", &until[..4]);
        file(&name, &source.replace(from, &format!("{from}, \"until\": \"{until}\"")))
    };
    let past = of("2026-02-01T00:00:00Z");
    let (code, out, _) = run(selvedge().arg("check").arg(&past));
    let note = "note[schedule_over]: offers.extension.schedule.until: this schedule was over at \
                2026-02-01T00:00:00.000Z, so it never starts\n";
    assert!(code == 0 && out.contains("is fine") && out.ends_with(note), "{out}");
    let (code, out, _) = run(selvedge().args(["check", "--json"]).arg(&past));
    let answer: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &answer["notes"][0]["code"]), (0, &json!("schedule_over")));
    let (code, out, _) = run(selvedge().arg("check").arg(of("9999-02-01T00:00:00Z")));
    assert!(code == 0 && !out.contains("note"), "{out}");
}

#[test]
fn what_cannot_be_read_is_one_clear_sentence() {
    let (code, _, err) = run(selvedge().args(["check", "no-such-file.json"]));
    assert_eq!((code, err.as_str()), (1, "error: there is no file `no-such-file.json`\n"));
    let path = file("latin1.json", "");
    fs::write(&path, b"{\n\"a\": \"\xe4\"}").unwrap();
    let (code, _, err) = run(selvedge().arg("check").arg(&path));
    assert!(code == 1 && err.contains("is not UTF-8 (line 2)"), "{err}");
    for arguments in [&["chek"][..], &[], &["decide"], &["check", "a", "b"]] {
        assert_eq!(run(selvedge().args(arguments)).0, 2, "{arguments:?}");
    }
    let (code, _, err) = run(selvedge().arg("decide").arg(shop()));
    assert!(code == 2 && err.contains("say which profile"), "{err}");
}

#[test]
fn decide_answers_as_the_edge_would() {
    let profile = file("ada.json", ADA);
    let (code, out, err) = run(selvedge().arg("decide").arg(shop()).arg(&profile));
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(
        out.contains("hero  extension (en)") && out.contains("Stay another year, Ada?"),
        "{out}"
    );
    let german = ["--request", "language=de-AT", "--placement", "hero", "--json"];
    let mut command = selvedge();
    command.arg("decide").arg("--workspace").arg(shop()).arg("--profile").arg(&profile);
    let (_, out, _) = run(command.args(german));
    let answer: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(answer["id"], "ada");
    assert_eq!(answer["decisions"][0]["content"][0]["text"], "Noch ein Jahr, Ada?");
    assert_eq!(answer["decisions"].as_array().unwrap().len(), 1);
    // The offer's schedule begins in 2026.
    let early = ["--now", "2025-12-31T23:59:59Z", "--placement", "hero", "--json"];
    let (_, out, _) = run(selvedge().arg("decide").arg(shop()).arg(&profile).args(early));
    let answer: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(answer["decisions"][0]["offer"], "welcome");
    for wrong in [["--now", "today"], ["--request", "path"], ["--request", "pth=/"]] {
        assert_eq!(run(selvedge().arg("decide").arg(shop()).arg(&profile).args(wrong)).0, 2);
    }
    let (code, _, err) =
        run(selvedge().arg("decide").arg(shop()).arg(&profile).args(["--placement", "heroo"]));
    assert!(code == 1 && err.contains("no placement of this name"), "{err}");
}

#[test]
fn explain_says_why_each_offer_lost() {
    let answer = |change: &dyn Fn(&mut Value)| {
        let mut profile: Value = serde_json::from_str(ADA).unwrap();
        change(&mut profile);
        let name = format!("explain-{:x}.json", fnv(&profile.to_string()));
        let path = file(&name, &profile.to_string());
        let (code, out, _) = run(selvedge().arg("explain").arg(shop()).arg(&path).arg("--json"));
        assert_eq!(code, 0, "{out}");
        serde_json::from_str::<Value>(&out).unwrap()
    };
    let reason = |answer: &Value, offer: &str| {
        let all = answer["decisions"].as_array().unwrap().iter();
        let mut traces = all.flat_map(|decision| decision["trace"].as_array().unwrap().clone());
        traces.find(|one| one["offer"] == offer).unwrap()["code"].as_str().unwrap().to_owned()
    };
    let known = answer(&|_| {});
    assert_eq!(known["profile"]["traits"]["first_name"], "Ada");
    assert_eq!(known["profile"]["audiences"], json!(["wants_to_cancel"]));
    assert_eq!(reason(&known, "extension"), "won");
    assert_eq!(reason(&known, "gold_preview"), "not_eligible");

    let anonymous = answer(&|profile| profile["assurance"] = json!("anonymous"));
    assert_eq!(reason(&anonymous, "extension"), "assurance_too_low");
    let denied = answer(&|profile| profile["consent"]["personalise"] = json!("deny"));
    assert_eq!(reason(&denied, "extension"), "no_consent");
    assert_eq!(reason(&denied, "welcome"), "won");
    let withdrawn = answer(&|profile| profile["consent"]["profile"] = json!("withdrawn"));
    assert_eq!(withdrawn["profile"]["traits"], json!({}));
    let silent = answer(&|profile| profile["consent"] = json!({}));
    assert_eq!(silent["profile"]["assurance"], "anonymous");
    assert!(silent["notes"][0].as_str().unwrap().contains("login was refused"), "{silent}");
    let american = answer(&|profile| {
        profile["consent"] = json!({});
        profile["region"] = json!("US-NY");
    });
    assert_eq!(reason(&american, "extension"), "won");

    let capped = answer(&|profile| {
        let seen = |minute: u32| {
            let time = format!("2026-11-22T09:{minute:02}:00Z");
            json!({ "event": "Promotion Viewed", "timestamp": time,
                "properties": { "promotion_id": "extension" } })
        };
        profile["events"] = (0..20).map(seen).collect();
        profile["consent"]["measure"] = json!("grant");
    });
    assert_eq!(reason(&capped, "extension"), "capped");
    let loyal = answer(&|profile| {
        let order = |year: u32| {
            json!({ "event": "Order Completed", "timestamp": format!("{year}-05-01T09:00:00Z"),
                "properties": { "total": 10.5 } })
        };
        profile["events"] = (2023..2026).map(order).collect();
    });
    assert_eq!(loyal["profile"]["computed"]["orders_ever"], 3);
    assert_eq!(loyal["profile"]["computed"]["spent_ever"], 31.5);
    assert_eq!(reason(&loyal, "tip_loyal"), "won");
}

#[test]
fn explain_names_the_part_of_a_condition_that_failed_and_what_it_read() {
    let workspace = file(
        "parts.json",
        r#"{ "format": 1, "languages": ["en"],
  "traits": { "tier": { "type": "string" }, "city": { "type": "string" } },
  "computed": { "orders": { "count": "Order Completed" } },
  "audiences": { "gold": { "when": "profile.tier == 'gold'" } },
  "placements": { "hero": { "where": "edge" } },
  "offers": {
    "near": { "placements": ["hero"], "content": { "en": { "headline": "x" } },
      "when": "count('Order Completed', days(30)) >= 0 \u0026\u0026 inAudience('gold')" },
    "far": { "placements": ["hero"], "content": { "en": { "headline": "x" } },
      "when": "profile.tier != 'gold' && profile.city.startsWith('B')" },
    "loyal": { "placements": ["hero"], "content": { "en": { "headline": "x" } },
      "when": "count('Order Completed', days(30)) > 1" },
    "any": { "placements": ["hero"], "purpose": null,
      "content": { "en": { "headline": "x" } } } } }"#,
    );
    let profile = file(
        "silver.json",
        &ADA.replace(r#""first_name":"Ada","cancel_intent":true"#, r#""tier":"silver""#),
    );
    let (code, out, _) = run(selvedge().arg("explain").arg(&workspace).arg(&profile).arg("--json"));
    assert_eq!(code, 0, "{out}");
    let answer: Value = serde_json::from_str(&out).unwrap();
    let lines = answer["decisions"][0]["trace"].as_array().unwrap();
    let of = |offer: &str| lines.iter().find(|line| line["offer"] == offer).unwrap();
    let part = |part: &str, reads: Value| json!({ "part": part, "reads": reads });
    let near = part("inAudience('gold')", json!({ "profile.tier": "silver" }));
    assert_eq!((&of("near")["condition"], &of("near")["code"]), (&near, &json!("not_eligible")));
    let far = part("profile.city.startsWith('B')", json!({ "profile.city": null }));
    assert_eq!((&of("far")["condition"], &of("far")["code"]), (&far, &json!("missing_trait")));
    let call = "count('Order Completed', days(30))";
    assert_eq!(of("loyal")["condition"], part(&format!("{call} > 1"), json!({ call: 0 })));
    assert_eq!((&of("any")["code"], of("any").get("condition")), (&json!("won"), None));

    let (_, out, _) = run(selvedge().arg("explain").arg(&workspace).arg(&profile));
    for line in [
        "its condition is false: `inAudience('gold')`; `profile.tier` is \"silver\"\n",
        "of which nothing is known: `profile.city.startsWith('B')`; \
         nothing is known of `profile.city`\n",
        "its condition is false: `count('Order Completed', days(30)) > 1`; \
         `count('Order Completed', days(30))` is 0\n",
    ] {
        assert!(out.contains(line), "{out}");
    }
}

fn fnv(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    })
}

#[test]
fn many_profiles_are_answered_line_by_line_and_a_bad_one_stops_nobody() {
    let ada = ADA.replace('\n', "");
    let deep = format!("{}1{}", "[".repeat(99), "]".repeat(99));
    let lines = format!("{ada}\n\n{{\"trait\":{{}}}}\n{deep}\n{{\"region\":\"Bavaria\"}}\n{ada}");
    let path = file("many.ndjson", &lines);
    let (code, out, _) = run(selvedge().arg("decide").arg(shop()).arg("--profiles").arg(&path));
    assert_eq!(code, 1);
    let answers: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let codes: Vec<&str> =
        answers.iter().filter_map(|answer| answer["error"]["code"].as_str()).collect();
    assert_eq!(codes, ["bad_profile", "too_deep", "bad_region"]);
    assert_eq!((answers.len(), &answers[1]["line"]), (5, &json!(3)));
    assert_eq!(answers[0], answers[4]);
    assert_eq!(answers[4]["decisions"][0]["offer"], "extension");
}

#[test]
fn a_profile_with_a_mistake_is_refused_with_its_place() {
    for (profile, code, place) in [
        (r#"{"events":[{"event":"x"}]}"#, "bad_time", "events[0].timestamp"),
        (r#"{"events":[{"event":7,"timestamp":"2026-01-01"}]}"#, "wrong_type", "events[0].event"),
        (
            r#"{"now":"2026-01-01","events":[{"event":"x","timestamp":"2026-01-02"}]}"#,
            "event_in_future",
            "events[0].timestamp",
        ),
        (r#"{"traits":{"x":{"y":1}}}"#, "bad_trait", "traits.x"),
        (r#"{"consent":{"marketing":"grant"}}"#, "bad_profile", "column 23"),
        ("{\n  \"trait\": 1\n}", "bad_profile", "line 2, column 9"),
        (r#"{"request":{"pth":"/"}}"#, "unknown_request_field", "request"),
        (r#"{"now":"soon"}"#, "bad_time", "now"),
        ("[]", "bad_profile", "column 2"),
    ] {
        let path = file(&format!("bad-{:x}.json", fnv(profile)), profile);
        let (exit, out, _) = run(selvedge().arg("decide").arg(shop()).arg(&path).arg("--json"));
        let answer: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(
            (exit, answer["error"]["code"].as_str(), answer["error"]["where"].as_str()),
            (1, Some(code), Some(place)),
            "{profile}"
        );
    }
}

#[test]
fn publish_adds_the_public_half_of_the_login_key() {
    let jwk = file(
        "login.jwk",
        r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
            "d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","kid":"demo-1"}"#,
    );
    let (url, served) = server(200, r#"{"version":"0123456789abcdef"}"#);
    let mut command = selvedge();
    command.arg("publish").arg(shop()).args(["--edge", &url, "--key", "ak_1"]);
    let (code, out, err) = run(command.arg("--login-key").arg(&jwk));
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.contains("published") && out.contains("0123456789abcdef"), "{out}");
    let (head, body) = served.join().unwrap();
    assert!(head.starts_with("PUT /_selvedge/admin/v1/workspace HTTP/1.1"), "{head}");
    assert!(head.to_lowercase().contains("authorization: bearer ak_1"), "{head}");
    let sent = String::from_utf8(body).unwrap();
    assert!(sent.contains("demo-1") && !sent.contains("nWGxne"), "the private half stays here");
    assert!(selvedge::compile::workspace(&sent).is_ok());
}

#[test]
fn a_refusal_comes_back_with_its_code() {
    let refusal =
        r#"{"code":"bad_key","message":"not the key of this route","where":"authorization"}"#;
    let (url, served) = server(401, refusal);
    let mut command = selvedge();
    command.arg("publish").arg(shop()).args(["--json", "--edge", &url, "--key", "no"]);
    let (code, out, _) = run(&mut command);
    served.join().unwrap();
    let answer: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, answer["error"]["code"].as_str()), (1, Some("bad_key")));

    let nobody = ["--edge", "http://127.0.0.1:9", "--key", "k"];
    let (code, _, err) = run(selvedge().arg("publish").arg(shop()).args(nobody));
    assert!(code == 1 && err.contains("cannot reach the edge"), "{err}");
    let (code, _, err) = run(selvedge().arg("publish").arg(shop()));
    assert!(code == 2 && err.contains("--edge"), "{err}");
    let (code, _, err) =
        run(selvedge().arg("publish").arg(shop()).args(["--edge", "shop", "--key", "k"]));
    assert!(code == 2 && err.contains("is no address of the edge"), "{err}");
}

#[test]
fn import_streams_the_file_and_shows_the_report() {
    let rows = file("people.csv", "customer_id,tier\n1,gold\n2,\"x\n");
    let report = r#"{"accepted":1,"duplicates":0,"refusedTotal":1,"refused":[
        {"line":3,"code":"broken_quoting","message":"a quote is never closed","where":"tier"}]}"#;
    let (url, served) = server(200, report);
    let mut command = selvedge();
    command.env("SELVEDGE_CENTRAL", &url).env("SELVEDGE_CENTRAL_KEY", "ck_1");
    let (code, out, err) = run(command.args(["import", "crm"]).arg(&rows));
    assert_eq!((code, err.as_str()), (1, ""));
    assert_eq!(
        out,
        "1 rows accepted, 0 known before, 1 refused\n  \
         line 3: a quote is never closed [broken_quoting] (tier)\n"
    );
    let (head, body) = served.join().unwrap();
    assert!(head.starts_with("POST /v1/import/crm HTTP/1.1"), "{head}");
    assert!(head.to_lowercase().contains("content-type: text/csv"), "{head}");
    assert_eq!(body, fs::read(&rows).unwrap());
    let server = ["--central", "http://127.0.0.1:9", "--key", "k"];
    let excel = ["import", "crm", "people.xlsx"];
    assert_eq!(run(selvedge().args(excel).args(server)).0, 2);
    assert_eq!(run(selvedge().args(["import", "../x", "a.csv"]).args(server)).0, 2);
}

#[test]
fn export_prints_what_comes_and_erase_asks_first() {
    let (url, served) = server(200, "{\"person\":1}\n{\"event\":2}\n");
    let mut command = selvedge();
    let (code, out, _) = run(command.args(["export", "c-1", "--central", &url, "--key", "k"]));
    assert_eq!((code, out.as_str()), (0, "{\"person\":1}\n{\"event\":2}\n"));
    let (head, body) = served.join().unwrap();
    assert!(head.starts_with("POST /v1/exports HTTP/1.1"), "{head}");
    assert_eq!(body, br#"{"customerId":"c-1"}"#);

    let (code, _, err) =
        run(selvedge().args(["erase", "c-1", "--central", "http://127.0.0.1:9", "--key", "k"]));
    assert!(code == 2 && err.contains("say --yes"), "{err}");
    let (url, served) = server(200, r#"{"id":"e1","acknowledged":true}"#);
    let mut command = selvedge();
    let (code, out, _) =
        run(command.args(["erase", "c-1", "--yes", "--central", &url, "--key", "k"]));
    assert_eq!(
        (code, out.as_str()),
        (0, "erased, for good; the edge has confirmed it (erasure e1)\n")
    );
    assert!(served.join().unwrap().0.starts_with("POST /v1/erasures HTTP/1.1"));
}

#[test]
fn consent_strings_are_decoded_one_per_line() {
    let (code, out, _) = run(selvedge().args(["consent", "decode", "1YNN"]));
    let answer: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, answer.get("uspv1").is_some()), (0, true), "{out}");
    let (code, out, _) = run(selvedge().args(["consent", "decode", "nonsense"]));
    assert!(code == 1 && out.contains("\"error\""), "{out}");

    let mut child = selvedge()
        .args(["consent", "decode", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"1YNN\nnonsense\n1---\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let lines = String::from_utf8(output.stdout).unwrap();
    let errors: Vec<bool> = lines.lines().map(|line| line.contains("\"error\"")).collect();
    assert_eq!(errors, [false, true, false]);
}

/// What is printed is what the official libraries print, field for field.
#[test]
fn decoded_strings_have_the_fields_of_the_official_libraries() {
    let read = |name: &str| -> Vec<Value> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors").join(name);
        serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
    };
    let excepted = read("consent_exceptions.json");
    let mut compared = 0;
    for vector in read("consent_strings.json").iter().step_by(7) {
        let oracle = match vector["kind"].as_str().unwrap() {
            "gpp" => &vector["oracle_iabgpp_3.2.0"],
            _ => &vector["oracle_iabtechlabtcf_1.5.21"],
        };
        let known = excepted.iter().any(|one| one["string"] == vector["string"]);
        if known || !oracle.is_object() || oracle.get("rejects").is_some() {
            continue;
        }
        let string = vector["string"].as_str().unwrap();
        let (code, out, _) = run(selvedge().args(["consent", "decode", string]));
        assert_eq!((code, &serde_json::from_str::<Value>(&out).unwrap()), (0, oracle));
        compared += 1;
    }
    assert!(compared > 5, "{compared}");
}

/// A TC string of the public vectors: the words say what holds, and what the region makes of it.
#[test]
fn a_consent_string_is_explained_in_words() {
    let explain = |string: &str, region: &str, more: &[&str]| {
        run(selvedge().args(["consent", "explain", string, "--region", region]).args(more))
    };
    let (code, out, _) = explain("1YNN", "US-CA", &[]);
    assert_eq!(code, 0);
    assert!(out.starts_with("in US-CA, silence is yes"), "{out}");
    assert!(out.contains("share        yes"), "{out}");
    let (_, out, _) = explain("1YYN", "US-CA", &["--json"]);
    let answer: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(answer["purposes"]["share"]["allowed"], false);
    assert_eq!(answer["purposes"]["share"]["reason"], "denied_by_signal");
    assert_eq!(answer["purposes"]["store"]["allowed"], true);
    let (_, out, _) = explain("1YNN", "DE", &["--json"]);
    let answer: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(answer["purposes"]["store"]["reason"], "no_consent");
    let (_, out, _) = explain("1YNN", "US-CA", &["--gpc", "--json"]);
    let answer: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(answer["purposes"]["share"]["reason"], "denied_by_gpc");
    let (code, out, _) = explain("CO", "DE", &[]);
    assert_eq!(code, 1);
    assert!(out.contains("cannot be read") && out.contains("at byte"), "{out}");
}

/// Receipts as the engine writes them hold; one that was changed or taken out shows its place.
#[test]
fn receipts_are_verified_and_the_first_broken_link_is_named() {
    use selvedge::consent::{Basis, Consent, Purpose, Region};
    use selvedge::engine::receipts::seal;
    use selvedge::ids::DeviceId;
    use selvedge::time::Timestamp;
    use selvedge::wire::Receipt;
    let mut last = (0, String::new());
    let mut lines = Vec::new();
    for (yes, time) in [(true, 1), (false, 2), (true, 3)] {
        let time = Timestamp(time);
        let record = Consent::default().next_record(Purpose::Store, yes, Basis::Consent, time);
        let receipt = Receipt {
            seq: 0,
            previous: String::new(),
            records: vec![record],
            device: DeviceId([7; 16]),
            source: "banner".into(),
            evidence: "b1".into(),
            region: Region::new("DE", ""),
            time,
            hash: String::new(),
        };
        let receipt = seal(receipt, &last);
        last = (receipt.seq, receipt.hash.clone());
        lines.push(json!({ "kind": "receipt", "chain": "p_1", "receipt": receipt }).to_string());
    }
    let verify = |name: &str, lines: &[String]| {
        let path = file(name, &lines.join("\n"));
        run(selvedge().args(["consent", "verify"]).arg(path).arg("--json"))
    };
    let (code, out, _) = verify("fine.ndjson", &lines);
    assert_eq!((code, out.contains("\"holds\":true")), (0, true), "{out}");
    let mut changed = lines.clone();
    changed[1] = changed[1].replace("\"banner\"", "\"somebody\"");
    let (code, out, _) = verify("changed.ndjson", &changed);
    let answer: Value = serde_json::from_str(&out).unwrap();
    let chain = &answer["chains"]["p_1"];
    assert_eq!((code, &chain["code"], &chain["seq"]), (1, &json!("receipt_changed"), &json!(2)));
    lines.remove(0);
    let (code, out, _) = verify("missing.ndjson", &lines);
    assert!(code == 1 && out.contains("receipt_missing"), "{out}");
    let (code, _, err) = verify("none.ndjson", &[String::from("{}")]);
    assert!(code == 1 && !err.contains("panicked"), "{err}");
}

#[test]
fn audiences_shows_sizes_with_their_bounds() {
    let estimate = r#"{"workspace":"0123456789abcdef","asOf":"2026-11-26T12:00:00.000Z",
        "people":120000,"sampled":10000,"exact":false,"confidence":0.95,
        "consent":{"allowed":9000,"denied":500,"silent":500},
        "audiences":[{"audience":"gold","size":12360,"low":11630,"high":13130},
            {"audience":"near","size":null,"low":null,"high":null,"reads":["request.country"]}]}"#;
    let (url, served) = server(200, estimate);
    let mut command = selvedge();
    command.env("SELVEDGE_CENTRAL", &url).env("SELVEDGE_CENTRAL_KEY", "ck_1");
    command.arg("audiences").arg(shop()).args(["--sample", "10000", "--region", "US-CA"]);
    let (code, out, err) = run(&mut command);
    assert_eq!((code, err.as_str()), (0, ""));
    assert_eq!(
        out,
        "workspace 0123456789abcdef, 120000 people at 2026-11-26T12:00:00.000Z\n\
         estimated from 10000 people; each range holds with 95 % confidence\n\
         not counted: 5.0 % who do not allow profiling, 5.0 % who were never asked\n\n\
         gold   12360   10.3 %  11630 to 13130\n\
         near  depends on the visit: it reads request.country\n"
    );
    let (head, body) = served.join().unwrap();
    assert!(head.starts_with("POST /v1/audiences?sample=10000&region=US-CA HTTP/1.1"), "{head}");
    assert!(head.to_lowercase().contains("authorization: bearer ck_1"), "{head}");
    assert_eq!(body, fs::read(shop()).unwrap());

    let server = ["--central", "http://127.0.0.1:9", "--key", "k"];
    let (code, _, err) =
        run(selvedge().arg("audiences").arg(shop()).args(["--region", "Ohio"]).args(server));
    assert!(code == 2 && err.contains("`--region Ohio` is no region"), "{err}");
    let bad = file("no_audience.json", r#"{ "format": 1, "languages": ["en"], "audience": {} }"#);
    let (code, _, err) = run(selvedge().arg("audiences").arg(&bad).args(server));
    assert!(code == 1 && err.contains("did you mean `audiences`?"), "{err}");
}
