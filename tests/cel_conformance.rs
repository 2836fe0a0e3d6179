//! The conformance cases of cel-spec, in every file that touches our subset of CEL. A case passes,
//! or it stands in the list of exceptions under its reason; a case that passes must not stand
//! there.
#![cfg(feature = "compile")]

use std::collections::{BTreeMap, BTreeSet};

use selvedge::compile::cel::{CelError, Compiler, Schema};
use selvedge::rule::{Facts, Kind, Rules, Scratch, Truth, Value};
use serde_json::Value as Json;

const CASES: &str = include_str!("vectors/cel_conformance.json");
const EXCEPTIONS: &str = include_str!("vectors/cel_conformance_exceptions.json");

/// A mistake that CEL finds at run time and we when publishing: for a case that expects an error,
/// one as good as the other.
const MISTAKES: [&str; 6] = [
    "always_fails",
    "wrong_type",
    "unknown_name",
    "unknown_function",
    "bad_literal",
    "wrong_arguments",
];

/// Why a case does not pass.
fn run(case: &Json) -> Result<(), String> {
    let source = case["expr"].as_str().expect("an expression");
    let mut schema = Schema::new();
    let mut values = Vec::new();
    for (name, binding) in case["bindings"].as_object().into_iter().flatten() {
        let value = fact(&binding["value"]).ok_or("binding")?;
        let kind = match &value {
            Value::Bool(_) => Kind::Bool,
            Value::Int(_) => Kind::Int,
            Value::Double(_) => Kind::Double,
            Value::Duration(_) => Kind::Duration,
            Value::List(_) => Kind::Ints,
            _ => Kind::String,
        };
        values.push((schema.field(name, kind), value));
    }
    let condition = match (expected(case), case.get("evalError")) {
        (Some(value), _) => value_condition(source, value)?,
        // Whatever type it has: what matters is that it has no value.
        (None, Some(_)) => format!("dyn(\n{source}\n) == 0"),
        (None, None) if case.get("checkOnly").is_some() => format!("dyn(\n{source}\n) == 0"),
        (None, None) => format!("(\n{source}\n)"),
    };
    let mut compiler = Compiler::new(schema);
    let rule = match compiler.condition(&condition) {
        Ok(rule) => rule,
        Err(errors) => {
            let CelError { code, message, .. } = &errors[0];
            let expects = case.get("evalError").is_some() && MISTAKES.contains(code);
            return if expects { Ok(()) } else { Err(format!("{code}: {message}")) };
        }
    };
    let (rules, _): (Rules, _) = compiler.finish();
    let mut facts = Facts::new(&rules);
    for (slot, value) in &values {
        facts.set(&rules, *slot, value);
    }
    let mut scratch = Scratch::default();
    scratch.begin();
    let truth = rules.truth(rule, &facts, &mut scratch);
    let failed = matches!(truth, Truth::Missing(_) | Truth::Error(_));
    let passes = match case.get("evalError") {
        Some(_) => failed,
        None if case.get("checkOnly").is_some() => true,
        None => truth == Truth::Match,
    };
    if passes { Ok(()) } else { Err(format!("came to {truth:?}")) }
}

fn expected(case: &Json) -> Option<&Json> {
    case.get("value").or_else(|| case.get("typedResult")?.get("result"))
}

fn fact(value: &Json) -> Option<Value> {
    let (kind, value) = value.as_object()?.iter().next()?;
    Some(match kind.as_str() {
        "boolValue" => Value::Bool(value.as_bool()?),
        "int64Value" => Value::Int(value.as_str()?.parse().ok()?),
        "doubleValue" => Value::Double(value.as_str()?.parse().ok()?),
        "listValue" => {
            let entries = value["values"].as_array().into_iter().flatten();
            Value::List(entries.map(fact).collect::<Option<_>>()?)
        }
        "stringValue" => Value::String(value.as_str()?.to_owned()),
        "objectValue" if value["@type"] == "type.googleapis.com/google.protobuf.Duration" => {
            let seconds: f64 = value["value"].as_str()?.strip_suffix('s')?.parse().ok()?;
            Value::Duration((seconds * 1e3).round() as i64)
        }
        _ => return None,
    })
}

/// A condition that holds where the source comes to the value.
fn value_condition(source: &str, value: &Json) -> Result<String, String> {
    if value["doubleValue"] == "NaN" {
        return Ok(format!("(\n{source}\n) != (\n{source}\n)"));
    }
    if value["doubleValue"] == "-0" {
        // It equals zero; only what it divides shows the sign.
        return Ok(format!("1.0 / (\n{source}\n) == -1.0 / 0.0"));
    }
    let literal = literal(value).ok_or_else(|| "expects a value of another type".to_owned())?;
    Ok(format!("(\n{source}\n) == {literal}"))
}

fn literal(value: &Json) -> Option<String> {
    let (kind, value) = value.as_object()?.iter().next()?;
    Some(match kind.as_str() {
        "boolValue" => value.as_bool()?.to_string(),
        "int64Value" => value.as_str()?.to_owned(),
        "doubleValue" if value == "Infinity" => "(1.0 / 0.0)".to_owned(),
        "doubleValue" if value == "-Infinity" => "(-1.0 / 0.0)".to_owned(),
        "doubleValue" => format!("{:?}", value.as_str()?.parse::<f64>().ok()?),
        "stringValue" => {
            let mut literal = String::from("'");
            for c in value.as_str()?.chars() {
                literal.push_str(&format!("\\U{:08x}", u32::from(c)));
            }
            literal + "'"
        }
        "listValue" => {
            let entries = value["values"].as_array().into_iter().flatten();
            let entries: Option<Vec<String>> = entries.map(literal).collect();
            format!("[{}]", entries?.join(", "))
        }
        _ => return None,
    })
}

#[test]
fn every_case_passes_or_stands_in_the_list() {
    let cases: Vec<Json> = serde_json::from_str(CASES).expect("JSON");
    let exceptions: BTreeMap<String, Vec<String>> =
        serde_json::from_str(EXCEPTIONS).expect("reasons with names");
    let listed: BTreeSet<&str> = exceptions.values().flatten().map(String::as_str).collect();
    assert_eq!(listed.len(), exceptions.values().flatten().count(), "a name stands twice");
    let mut faults = Vec::new();
    let mut passed = 0;
    let mut seen = BTreeSet::new();
    for case in &cases {
        let name = case["name"].as_str().expect("a name");
        seen.insert(name);
        match (run(case), listed.contains(name)) {
            (Ok(()), false) => passed += 1,
            (Err(_), true) => {}
            (Ok(()), true) => faults.push(format!("{name} passes, but stands in the list")),
            (Err(why), false) => faults.push(format!("{name}\t{why}\t{}", case["expr"])),
        }
    }
    faults.extend(listed.difference(&seen).map(|name| format!("{name} is no case")));
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    assert!(passed >= 630, "{passed} of {} cases pass", cases.len());
}
