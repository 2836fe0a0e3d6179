//! What callers read of the core's answers, beside the types of `selvedge::page`. It must never
//! show more than the answer was for.

use std::collections::BTreeMap;

use selvedge::consent::Region;
use selvedge::engine::Explained;
use selvedge::json::to_json;
use selvedge::page::ConsentAnswer;
use serde::Serialize;
use serde_json::Value;

/// The admin's answer: what is known, what is decided, and why.
pub fn explained(
    explained: &Explained,
    region: &Region,
    conditions: &BTreeMap<String, String>,
) -> Value {
    let profile = &explained.profile;
    let mut value = plain(explained);
    if let Some(fields) = value.get_mut("profile").and_then(Value::as_object_mut) {
        let values = |of: &BTreeMap<String, selvedge::rule::Value>| {
            of.iter().map(|(name, value)| (name.clone(), to_json(value))).collect::<Value>()
        };
        fields.insert("traits".to_owned(), values(&profile.traits));
        fields.insert("computed".to_owned(), values(&profile.computed));
        fields.insert("consent".to_owned(), plain(&ConsentAnswer::of(&profile.consent, region)));
    }
    if let Some(fields) = value.as_object_mut() {
        fields.insert("known".to_owned(), Value::Bool(true));
        fields.insert("decisions".to_owned(), explained.decisions_json(conditions));
        // It stands in the traces.
        fields.remove("conditions");
    }
    value
}

/// A value of the core as it writes itself.
pub fn plain(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}
