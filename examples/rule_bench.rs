//! Times conditions over a workload: offers as lists of predicates, profiles as JSON, both read
//! from a file `{"profiles": [..], "offers": {"10": [..], ..}}`. It knows nothing of consent, caps
//! or experiments: `cargo xtask bench decide` does.
//!
//! `cargo run --release --features compile --example rule_bench -- FILE`

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Instant;

use selvedge::compile::cel::{Compiler, Schema};
use selvedge::rule::{Facts, GroupId, Kind, RuleId, Rules, Scratch, Slot, Truth, Value};
use serde_json::Value as Json;

const TOP: usize = 3;
const BATCHES: usize = 40;
const BATCH: usize = 500;

fn main() {
    let file = std::env::args().nth(1).expect("usage: rule_bench FILE");
    let text = std::fs::read_to_string(&file).expect("the file can be read");
    let data: Json = serde_json::from_str(&text).expect("the file holds JSON");
    let profiles: Vec<BTreeMap<String, Value>> =
        data["profiles"].as_array().expect("profiles").iter().take(2_000).map(flat).collect();
    let mut sizes: Vec<usize> =
        data["offers"].as_object().expect("offers").keys().map(|n| n.parse().unwrap()).collect();
    sizes.sort_unstable();
    println!("offers  compile ms   image B   load ms  resident ns  all ns  set+decide ns  matches");
    for size in sizes {
        run(size, data["offers"][size.to_string()].as_array().expect("offers"), &profiles);
    }
}

fn run(size: usize, offers: &[Json], profiles: &[BTreeMap<String, Value>]) {
    let sources: Vec<(String, i64)> = offers.iter().map(condition).collect();
    let start = Instant::now();
    let (rules, group) = compile(&sources, profiles);
    let compile_ms = start.elapsed().as_secs_f64() * 1e3;
    let bytes = rules.without_spans().to_bytes();
    if let Ok(path) = std::env::var("IMAGE") {
        std::fs::write(format!("{path}.{size}"), &bytes).unwrap();
    }
    let start = Instant::now();
    let rules = Rules::from_bytes(&bytes).unwrap();
    let load_ms = start.elapsed().as_secs_f64() * 1e3;

    let values: Vec<Vec<(Slot, &Value)>> = profiles
        .iter()
        .map(|p| p.iter().filter_map(|(path, value)| Some((rules.slot(path)?, value))).collect())
        .collect();
    let resident: Vec<Facts> = values.iter().map(|values| facts(&rules, values)).collect();
    let mut scratch = Scratch::default();
    let mut matches = 0;
    for facts in resident.iter().take(200) {
        scratch.begin();
        let by_index = matching(&rules, group, facts, &mut scratch, usize::MAX);
        scratch.begin();
        let one_by_one: Vec<RuleId> = rules
            .members(group)
            .filter(|rule| rules.truth(*rule, facts, &mut scratch) == Truth::Match)
            .collect();
        assert_eq!(by_index, one_by_one, "the index finds what matches");
        matches += by_index.len();
    }
    let top_ns = fastest(|place| {
        scratch.begin();
        let mut left = TOP;
        rules.matching(group, &resident[place % resident.len()], &mut scratch, |_| {
            left -= 1;
            if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        TOP - left
    });
    let all_ns = fastest(|place| {
        scratch.begin();
        let mut found = 0;
        rules.matching(group, &resident[place % resident.len()], &mut scratch, |_| {
            found += 1;
            ControlFlow::Continue(())
        });
        found
    });
    let mut one = Facts::new(&rules);
    let set_ns = fastest(|place| {
        for (slot, value) in &values[place % values.len()] {
            one.set(&rules, *slot, value);
        }
        scratch.begin();
        let mut left = TOP;
        rules.matching(group, &one, &mut scratch, |_| {
            left -= 1;
            if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        TOP - left
    });
    let matches = matches as f64 / resident.len().min(200) as f64;
    print!("{size:6} {compile_ms:11.1} {:9} {load_ms:9.2}", bytes.len());
    println!(" {top_ns:12.0} {all_ns:7.0} {set_ns:14.0} {matches:8.1}");
}

/// Nanoseconds of one call, in the fastest of the batches: other work on the machine only adds.
fn fastest(mut call: impl FnMut(usize) -> usize) -> f64 {
    let mut best = f64::INFINITY;
    let mut found = 0;
    for batch in 0..BATCHES {
        let start = Instant::now();
        for place in 0..BATCH {
            found += call(batch * BATCH + place);
        }
        best = best.min(start.elapsed().as_secs_f64() * 1e9 / BATCH as f64);
    }
    assert!(found > 0, "something matches");
    best
}

fn matching(
    rules: &Rules,
    group: GroupId,
    facts: &Facts,
    scratch: &mut Scratch,
    limit: usize,
) -> Vec<RuleId> {
    let mut found = Vec::new();
    rules.matching(group, facts, scratch, |rule| {
        found.push(rule);
        if found.len() == limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    found
}

fn facts(rules: &Rules, values: &[(Slot, &Value)]) -> Facts {
    let mut facts = Facts::new(rules);
    for (slot, value) in values {
        facts.set(rules, *slot, value);
    }
    facts
}

fn compile(sources: &[(String, i64)], profiles: &[BTreeMap<String, Value>]) -> (Rules, GroupId) {
    let mut schema = Schema::new();
    for (path, value) in &profiles[0] {
        let kind = match value {
            Value::Bool(_) => Kind::Bool,
            Value::Int(_) => Kind::Int,
            Value::List(_) => Kind::Strings,
            _ => Kind::String,
        };
        schema.field(path, kind);
    }
    let mut compiler = Compiler::new(schema);
    let members = sources
        .iter()
        .map(|(source, rank)| match compiler.condition(source) {
            Ok(rule) => (rule, *rank),
            Err(errors) => panic!("{source}: {errors:?}"),
        })
        .collect();
    let group = compiler.group(members);
    (compiler.finish().0, group)
}

/// An offer's predicates as CEL, and its rank: the highest priority comes first.
fn condition(offer: &Json) -> (String, i64) {
    let predicates: Vec<String> = offer["preds"]
        .as_array()
        .expect("preds")
        .iter()
        .map(|predicate| {
            let path = format!("profile.{}", predicate["a"].as_str().unwrap());
            let value = &predicate["v"];
            match predicate["k"].as_str().unwrap() {
                "eq" => format!("{path} == {value}"),
                "in" => format!("{path} in {value}"),
                "range" => {
                    format!("{path} >= {} && {path} < {}", predicate["lo"], predicate["hi"])
                }
                "gte" => format!("{path} >= {value}"),
                "contains" => format!("{path}.contains({value})"),
                "has" => format!("{value} in {path}"),
                "semver_gte" => format!("semver({path}) >= semver({value})"),
                other => panic!("{other} is no kind of predicate"),
            }
        })
        .collect();
    (predicates.join(" && "), -offer["priority"].as_i64().unwrap())
}

fn flat(profile: &Json) -> BTreeMap<String, Value> {
    let mut values = BTreeMap::new();
    for (name, value) in profile.as_object().expect("a profile") {
        match value {
            Json::Object(fields) => {
                for (field, value) in fields {
                    values.insert(format!("profile.{name}.{field}"), scalar(value));
                }
            }
            value => {
                values.insert(format!("profile.{name}"), scalar(value));
            }
        }
    }
    values
}

fn scalar(value: &Json) -> Value {
    match value {
        Json::Bool(v) => Value::Bool(*v),
        Json::Number(v) => Value::Int(v.as_i64().expect("whole numbers")),
        Json::String(v) => Value::String(v.clone()),
        Json::Array(list) => Value::List(list.iter().map(scalar).collect()),
        other => panic!("{other} is no value"),
    }
}
