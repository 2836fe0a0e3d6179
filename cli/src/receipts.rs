//! `selvedge consent verify`: whether chains of receipts hold. It reads what the central store and
//! the edge export, and what an erasure leaves.

use std::collections::BTreeMap;
use std::path::Path;

use selvedge::engine::receipts::{Stub, stub, verify_stubs};
use selvedge::wire::Receipt;
use serde_json::{Map, Value, json};

use crate::problem::{Outcome, Problem};

/// Chains by name.
type Chains = BTreeMap<String, Vec<Stub>>;

/// Checks every chain of a file and says where the first broken link is; true where all hold.
pub fn verify(file: &Path, as_json: bool) -> Outcome<bool> {
    let text = std::fs::read_to_string(file).map_err(|error| Problem::file(file, &error))?;
    let mut chains = read(&text)?;
    if chains.is_empty() {
        let message = format!("`{}` holds no receipts", file.display());
        return Err(Problem::new("no_receipts", message)
            .hint("give the answer of `selvedge export`, of the edge's `me/export`, or receipts"));
    }
    let mut holds = true;
    let mut answers = Map::new();
    for (name, chain) in &mut chains {
        chain.sort_by_key(|stub| stub.seq);
        let answer = match verify_stubs(chain) {
            Ok(()) => json!({ "holds": true, "receipts": chain.len() }),
            Err(error) => {
                holds = false;
                json!({ "holds": false, "receipts": chain.len(), "code": error.code(),
                    "message": error.message, "seq": error.place.parse::<u64>().ok() })
            }
        };
        if !as_json {
            say(name, &answer);
        }
        answers.insert(name.clone(), answer);
    }
    if as_json {
        println!("{}", json!({ "holds": holds, "chains": answers }));
    }
    Ok(holds)
}

fn say(name: &str, answer: &Value) {
    let count = &answer["receipts"];
    match answer["message"].as_str() {
        None => println!("{name}: all {count} receipts hold"),
        Some(message) => println!("{name}: broken at receipt {}: {message}", answer["seq"]),
    }
}

/// The chains of a whole JSON document, or of one document per line.
fn read(text: &str) -> Outcome<Chains> {
    let mut chains = Chains::new();
    if let Ok(whole) = serde_json::from_str::<Value>(text) {
        take(&whole, "receipts", &mut chains)?;
        return Ok(chains);
    }
    for (line, at) in text.lines().zip(1_u64..).filter(|(line, _)| !line.trim().is_empty()) {
        let value: Value = serde_json::from_str(line).map_err(|_| {
            Problem::new("bad_json", "this line is not JSON").at(format!("line {at}"))
        })?;
        take(&value, "receipts", &mut chains)
            .map_err(|problem| problem.at(format!("line {at}")))?;
    }
    Ok(chains)
}

/// Takes in whatever of a document is a receipt: a bare one, a line of an export, the chains of the
/// edge's export, the stubs of an erasure, or a list of any of these.
fn take(value: &Value, chain: &str, chains: &mut Chains) -> Outcome<()> {
    if let Some(list) = value.as_array() {
        return list.iter().try_for_each(|one| take(one, chain, chains));
    }
    let Some(fields) = value.as_object() else { return Ok(()) };
    if let Some(named) = fields.get("chains").and_then(Value::as_object) {
        return named.iter().try_for_each(|(name, list)| take(list, name, chains));
    }
    let chain = fields.get("chain").and_then(Value::as_str).unwrap_or(chain);
    let inner = ["receipt", "stub", "receipts"].into_iter().find_map(|name| fields.get(name));
    if let Some(inner) = inner {
        return take(inner, chain, chains);
    }
    if !(fields.contains_key("seq") && fields.contains_key("hash")) {
        return Ok(());
    }
    let unreadable = |_| Problem::new("bad_receipt", "a receipt has a field of another shape");
    let one = if fields.contains_key("details") {
        serde_json::from_value(value.clone()).map_err(unreadable)?
    } else {
        stub(&serde_json::from_value::<Receipt>(value.clone()).map_err(unreadable)?)
    };
    chains.entry(chain.to_owned()).or_default().push(one);
    Ok(())
}
