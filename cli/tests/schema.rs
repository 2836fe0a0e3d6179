//! The published JSON Schema says of a workspace's shape what the compiler says. Beyond the shape
//! (conditions, references, addresses in time) only the compiler can tell.

use selvedge::compile;
use serde_json::{Value, json};

const SCHEMA: &str = include_str!("../../docs/reference/workspace.schema.json");
const SHOP: &str = include_str!("../../examples/shop/workspace.json");

fn schema() -> jsonschema::Validator {
    jsonschema::validator_for(&serde_json::from_str(SCHEMA).unwrap()).unwrap()
}

/// The shop's workspace with one value put in; null takes it out.
fn with(pointer: &str, value: &Value) -> Value {
    let mut workspace: Value = serde_json::from_str(SHOP).unwrap();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = workspace.pointer_mut(parent).unwrap_or_else(|| panic!("no {pointer}"));
    let name = name.replace("~0", "~");
    parent.as_object_mut().unwrap().insert(name, value.clone());
    workspace
}

#[test]
fn the_shops_workspace_is_valid() {
    let shop = serde_json::from_str(SHOP).unwrap();
    let schema = schema();
    let errors: Vec<String> = schema
        .iter_errors(&shop)
        .map(|error| format!("{error} at {}", error.instance_path()))
        .collect();
    assert_eq!(errors, Vec::<String>::new());
}

#[test]
fn schema_and_compiler_agree_on_what_is_good() {
    let schema = schema();
    let key = json!([{ "kid": "k", "alg": "EdDSA",
        "publicKey": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }]);
    let weekly = json!({ "zone": "America/New_York",
        "from": "2026-11-27", "until": "2027-01-01T09:00",
        "weekly": [{ "days": ["fri", "sun"], "from": "22:00", "until": "02:00" }] });
    for (pointer, value) in [
        ("/identity/loginKeys", key),
        ("/identity/blocked", json!(["till-7", "ünknown"])),
        ("/consent/never", json!(["share"])),
        ("/consent/regions", json!({ "US-CA": "opt_in", "US": "opt_out" })),
        ("/traits/plan", json!({ "type": "strings" })),
        ("/traits/firstName", json!({ "type": "string", "public": true })),
        (
            "/computed/spent",
            json!({ "sum": "Order Completed", "property": "total", "window": "90d" }),
        ),
        (
            "/computed/brand",
            json!({ "last": "Order Completed", "property": "brand", "type": "string" }),
        ),
        (
            "/computed/left_basket",
            json!({ "sequence": [
                { "event": "Product Added", "where": { "gift": true } },
                { "event": "Product Viewed", "within": "1h" },
                { "absent": "Order Completed", "within": "30m", "where": { "total": 1.5 } } ],
                "for": "7d", "until": "Order Completed", "public": true }),
        ),
        ("/placements/side", json!({})),
        ("/offers/basket/schedule", weekly),
        ("/offers/basket/coolDown", json!("2w")),
        ("/offers/basket/priority", json!(-2_147_483_648_i64)),
        ("/offers/basket/when", json!("request.path.startsWith('/shop')")),
        ("/offers/basket/content/en/image", json!("https://cdn.example.com/a.svg?x=1")),
        ("/offers/basket/content/en/note", json!("")),
        (
            "/consent/tcf",
            json!({ "vendor": 7, "minimumPolicy": 2, "disclosedVendorsFromPolicy": 64 }),
        ),
        ("/offers/basket/rank", json!("3.0 * 2.0")),
        ("/offers/basket/repeats", json!(true)),
        ("/offers/basket/budget", json!({ "max": 1, "on": "click", "per": "ever" })),
        ("/offers/basket/fallback", json!("welcome")),
        (
            "/offers/basket/budget",
            json!({ "max": 9_000, "on": "impression", "per": "day", "zone": "Europe/Berlin" }),
        ),
        ("/experiments", json!({ "x": { "variants": ["a", "b"], "weights": [0.1, 0.9] } })),
        ("/holdouts", json!({ "all": { "share": 0.05, "offers": ["basket"] } })),
    ] {
        let workspace = with(pointer, &value);
        let compiled = compile::workspace(&workspace.to_string());
        assert!(compiled.is_ok(), "{pointer}: {:#?}", compiled.err());
        let error = schema.iter_errors(&workspace).next().map(|error| error.to_string());
        assert_eq!(error, None, "{pointer}");
    }
}

#[test]
fn schema_and_compiler_agree_on_what_is_bad() {
    let schema = schema();
    let cap = |field: &str, value: Value| {
        let mut cap = json!({ "per": "person", "window": "day", "on": "impression", "max": 1 });
        cap.as_object_mut().unwrap().insert(field.to_owned(), value);
        json!([cap])
    };
    let window = |from: &str, until: &str| {
        let window = json!({ "days": ["mon"], "from": from, "until": until });
        json!({ "weekly": [window] })
    };
    let steps = |steps: &Value| json!({ "sequence": steps });
    for (pointer, value) in [
        ("/format", json!(2)),
        ("/experiment", json!({})),
        ("/experiments", json!({ "x": { "variants": ["a"] } })),
        ("/experiments", json!({ "x": { "variants": ["a", "b"], "weights": [1, 2] } })),
        ("/holdouts", json!({ "all": { "share": 1.5 } })),
        ("/offers/basket/variants", json!({ "a": null })),
        ("/offers/basket/repeats", json!("yes")),
        ("/offers/basket/fallback", json!("Welcome offer")),
        ("/offers/basket/fallback", json!(["welcome"])),
        ("/offers/basket/budget", json!({ "max": 0, "on": "click", "per": "ever" })),
        ("/offers/basket/budget", json!({ "max": 1, "on": "dismissal", "per": "ever" })),
        ("/offers/basket/budget", json!({ "max": 1, "on": "click", "per": "week" })),
        (
            "/offers/basket/budget",
            json!({ "max": 1, "on": "click", "per": "ever", "zone": "Europe/Berlin" }),
        ),
        ("/languages", json!([])),
        ("/languages", json!(["en", "en"])),
        ("/languages", json!(["english language"])),
        ("/identity/secret", json!("x")),
        ("/identity/loginKeys", json!([{ "kid": "k", "alg": "HS256", "publicKey": "x" }])),
        ("/consent/tcf", json!({ "vendor": 0 })),
        ("/consent/tcf", json!({ "policy": 2 })),
        ("/consent/banner", json!("")),
        ("/consent/never", json!(["marketing"])),
        ("/consent/regions", json!({ "usa": "opt_out" })),
        ("/consent/regions", json!({ "US": "opt-out" })),
        ("/traits/2nd", json!({ "type": "int" })),
        ("/traits/in", json!({ "type": "int" })),
        ("/traits/x", json!({ "type": "text" })),
        ("/traits/x", json!({})),
        ("/computed/x", json!({ "count": "A", "sum": "B", "property": "p" })),
        ("/computed/x", json!({ "sum": "A" })),
        ("/computed/x", json!({ "count": "A", "window": "0d" })),
        ("/computed/x", json!({ "count": "A", "type": "int" })),
        ("/computed/x", steps(&json!([{ "event": "A" }]))),
        ("/computed/x", steps(&json!([{ "event": "A", "within": "1h" }, { "event": "B" }]))),
        ("/computed/x", steps(&json!([{ "event": "A" }, { "absent": "B" }]))),
        ("/computed/x", steps(&json!([{ "event": "A" }, { "event": "B", "absent": "B" }]))),
        ("/computed/x", steps(&json!([{ "event": "A", "where": {} }, { "event": "B" }]))),
        ("/computed/x", steps(&json!([{ "event": "A", "where": { "p": [1] } }, { "event": "B" }]))),
        ("/computed/x", json!({ "count": "A", "until": "B" })),
        ("/audiences/x", json!("profile.tier == 'gold'")),
        ("/audiences/Gold", json!({ "when": "true" })),
        ("/placements/hero-2", json!({ "where": "edge" })),
        ("/placements/x", json!({ "where": "server" })),
        ("/offers/basket/placements", json!([])),
        ("/offers/basket/placements", json!(["hero", "hero"])),
        ("/offers/basket/purpose", json!("ads")),
        ("/offers/basket/purpose", Value::Null),
        ("/offers/basket/assurance", json!("known")),
        ("/offers/basket/priority", json!(1.5)),
        ("/offers/basket/priority", json!(2_147_483_648_i64)),
        ("/offers/basket/caps", cap("max", json!(0))),
        ("/offers/basket/caps", cap("max", json!(101))),
        ("/offers/basket/caps", cap("window", json!("month"))),
        ("/offers/basket/caps", cap("reset", json!(true))),
        ("/offers/basket/coolDown", json!(7)),
        ("/offers/basket/schedule", json!({ "from": "tomorrow" })),
        ("/offers/basket/schedule", json!({ "weekly": [] })),
        ("/offers/basket/schedule", window("9:00", "17:00")),
        ("/offers/basket/schedule", window("09:00", "24:30")),
        ("/offers/basket/content", json!({})),
        ("/offers/basket/content/en", json!({})),
        ("/offers/basket/content/en/Headline", json!("x")),
        ("/offers/basket/content/en/href", json!("javascript:alert(1)")),
        ("/offers/basket/content/en/href", json!("//evil.example")),
        ("/offers/basket/content/en/href", json!("/\\evil.example")),
        ("/offers/basket/content/en/href", json!("/{{profile.tier}}")),
        ("/offers/basket/content/en/image", json!("http://example.com/a.png")),
    ] {
        let workspace = with(pointer, &value);
        assert!(compile::workspace(&workspace.to_string()).is_err(), "compiler: {pointer} {value}");
        assert!(!schema.is_valid(&workspace), "schema: {pointer} {value}");
    }
}
