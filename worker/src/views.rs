//! What callers read of the core's answers. It must never show more than the answer was for.

use selvedge::consent::{Reason, Region};
use selvedge::decide::Decision;
use selvedge::engine::{ConsentView, Explained, Page};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// Consent: `{made, purposes: {store: {allowed, reason}, ...}}`.
pub fn consent(view: &ConsentView) -> Value {
    let mut purposes = Map::new();
    for (purpose, reason) in view.effective.reasons() {
        let allowed = matches!(reason, Reason::Granted | Reason::AllowedByRegion);
        let entry = json!({ "allowed": allowed, "reason": reason });
        purposes.insert(purpose.word().to_owned(), entry);
    }
    json!({ "made": view.made, "purposes": purposes })
}

/// A region as a page may see it.
pub fn region(region: &Region) -> Value {
    json!({ "country": region.country, "subdivision": region.subdivision })
}

/// Decisions of a call.
pub fn page(page: &Page) -> Value {
    json!({
        "decisions": page.decisions.iter().map(decision).collect::<Vec<_>>(),
        "assurance": page.assurance,
        "consent": consent(&page.consent),
        "workspace": page.workspace,
    })
}

/// One decision; a trace only where one was asked for.
pub fn decision(decision: &Decision) -> Value {
    let mut value = plain(decision);
    if decision.trace.is_empty()
        && let Some(fields) = value.as_object_mut()
    {
        fields.remove("trace");
    }
    value
}

/// What the page's tag needs of a decision that the HTML already shows.
pub fn placed(decision: &Decision) -> Value {
    json!({
        "placement": decision.placement,
        "offer": decision.offer,
        "variant": decision.variant,
        "decision": decision.decision,
        "reason": decision.reason,
    })
}

/// The admin's answer: what is known, what is decided, and why.
pub fn explained(explained: &Explained) -> Value {
    let mut value = plain(explained);
    if let Some(profile) = value.get_mut("profile").and_then(Value::as_object_mut) {
        profile.insert("consent".to_owned(), consent(&explained.profile.consent));
    }
    if let Some(fields) = value.as_object_mut() {
        fields.insert("known".to_owned(), Value::Bool(true));
    }
    value
}

/// A value of the core as it writes itself.
pub fn plain(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}
