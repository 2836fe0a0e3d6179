//! Why conditions do not hold, for the admin: in JSON and in words. It must never reach a page,
//! since it names values.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::to_json;
use crate::decide::OfferTrace;
use crate::engine::{Explained, FailedCondition};

/// Characters of a condition that a sentence shows.
const SHOWN: usize = 200;
/// Values that a sentence names.
const NAMED: usize = 6;

impl FailedCondition {
    /// The part of the condition, as it was written, that does not hold.
    fn part<'c>(&self, condition: &'c str) -> Option<&'c str> {
        let (offset, len) = self.place?;
        let start = usize::try_from(offset).ok()?;
        condition.get(start..start.checked_add(usize::try_from(len).ok()?)?)
    }
}

impl Explained {
    /// The sentence of a line, with the part of the condition that does not hold and what it read.
    /// `when` holds the offers' conditions as they were written.
    pub fn sentence(&self, line: &OfferTrace, when: &BTreeMap<String, String>) -> String {
        let mut sentence = line.sentence.clone();
        let Some(failed) = self.conditions.get(&line.offer) else { return sentence };
        if let Some(part) = when.get(&line.offer).and_then(|when| failed.part(when)) {
            let short: String = part.chars().take(SHOWN).collect();
            let more = if short.len() < part.len() { "\u{2026}" } else { "" };
            sentence += &format!(": `{short}{more}`");
        }
        let named = failed.reads.iter().take(NAMED).map(|(path, value)| match value {
            Some(value) => format!("`{path}` is {}", to_json(value)),
            None => format!("nothing is known of `{path}`"),
        });
        let named: Vec<String> = named.collect();
        if !named.is_empty() {
            sentence += &format!("; {}", named.join(", "));
        }
        sentence
    }

    /// The decisions, in whose traces each condition that does not hold is shown: its sentence, and
    /// `condition` with the part that failed and what it read.
    pub fn decisions_json(&self, when: &BTreeMap<String, String>) -> Json {
        let mut decisions = json!(self.decisions);
        let all = decisions.as_array_mut().into_iter().flatten().zip(&self.decisions);
        for (written, decision) in all {
            let lines = written.get_mut("trace").and_then(Json::as_array_mut);
            for (written, line) in lines.into_iter().flatten().zip(&decision.trace) {
                let Some(failed) = self.conditions.get(&line.offer) else { continue };
                let Some(fields) = written.as_object_mut() else { continue };
                let part = when.get(&line.offer).and_then(|when| failed.part(when));
                let reads = failed.reads.iter();
                let reads: Json = reads
                    .map(|(path, value)| (path.clone(), json!(value.as_ref().map(to_json))))
                    .collect();
                fields.insert("sentence".to_owned(), self.sentence(line, when).into());
                fields.insert("condition".to_owned(), json!({ "part": part, "reads": reads }));
            }
        }
        decisions
    }
}
