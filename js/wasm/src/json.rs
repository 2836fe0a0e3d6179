//! A decision as JSON, written by hand: a serialiser would cost the page more bytes than the rest
//! of this crate. It must never differ from what serde writes for the same type; a test compares
//! them.

use selvedge::decide::Decision;
use selvedge::offer::FieldKind;

/// The JSON of a decision.
pub fn decision(decision: &Decision) -> String {
    let mut out = Writer(String::with_capacity(512));
    out.open('{');
    out.text("placement", &decision.placement);
    out.optional("offer", decision.offer.as_deref());
    out.optional("variant", decision.variant.as_deref());
    out.text("reason", &decision.reason);
    out.text("decision", &decision.decision);
    out.name("content");
    out.open('[');
    for field in &decision.content {
        out.open('{');
        out.text("name", &field.name);
        out.text("kind", kind(field.kind));
        out.text("text", &field.text);
        out.close('}');
    }
    out.close(']');
    out.text("language", &decision.language);
    out.text("workspace", &decision.workspace);
    out.name("exposures");
    out.open('[');
    for one in &decision.exposures {
        out.open('{');
        out.text("experiment", &one.experiment);
        out.text("variant", &one.variant);
        out.close('}');
    }
    out.close(']');
    out.name("trace");
    out.open('[');
    for one in &decision.trace {
        out.open('{');
        out.text("offer", &one.offer);
        out.text("code", &one.code);
        out.text("sentence", &one.sentence);
        out.close('}');
    }
    out.close(']');
    out.close('}');
    out.0
}

fn kind(kind: FieldKind) -> &'static str {
    match kind {
        FieldKind::Text => "text",
        FieldKind::Link => "link",
        FieldKind::Image => "image",
    }
}

struct Writer(String);

impl Writer {
    /// Puts a comma after whatever ended before.
    fn part(&mut self) {
        if !self.0.is_empty() && !self.0.ends_with(['{', '[', ':']) {
            self.0.push(',');
        }
    }

    fn open(&mut self, bracket: char) {
        self.part();
        self.0.push(bracket);
    }

    fn close(&mut self, bracket: char) {
        self.0.push(bracket);
    }

    fn name(&mut self, name: &str) {
        self.part();
        self.quote(name);
        self.0.push(':');
    }

    fn text(&mut self, name: &str, text: &str) {
        self.name(name);
        self.quote(text);
    }

    fn optional(&mut self, name: &str, text: Option<&str>) {
        self.name(name);
        match text {
            Some(text) => self.quote(text),
            None => self.0.push_str("null"),
        }
    }

    fn quote(&mut self, text: &str) {
        self.0.push('"');
        for char in text.chars() {
            match char {
                '"' | '\\' => {
                    self.0.push('\\');
                    self.0.push(char);
                }
                '\0'..='\u{1f}' => {
                    self.0.push_str("\\u00");
                    self.0.push(if char < '\u{10}' { '0' } else { '1' });
                    self.0.push(char::from_digit(u32::from(char) & 15, 16).unwrap_or('0'));
                }
                other => self.0.push(other),
            }
        }
        self.0.push('"');
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use selvedge::decide::{ContentField, Exposure, OfferTrace};

    use super::*;

    fn field(name: &str, kind: FieldKind, text: &str) -> ContentField {
        ContentField { name: name.into(), kind, text: text.into() }
    }

    #[test]
    fn the_json_is_what_serde_writes() {
        let every: String =
            (0..0x300).filter_map(char::from_u32).chain("\u{2028}😀".chars()).collect();
        let full = Decision {
            placement: "hero:{[".into(),
            offer: Some("\"quoted\"".into()),
            variant: None,
            reason: "won".into(),
            decision: "0f".into(),
            content: vec![
                field("headline", FieldKind::Text, &every),
                field("__proto__", FieldKind::Link, "/a\\b"),
                field("", FieldKind::Image, ""),
            ],
            language: "en".into(),
            workspace: "[".into(),
            exposures: vec![
                Exposure { experiment: "copy".into(), variant: "\"short\"".into() },
                Exposure { experiment: "holdout.all".into(), variant: "shown".into() },
            ],
            trace: vec![OfferTrace { offer: "a".into(), code: "b".into(), sentence: ":".into() }],
        };
        let empty = Decision {
            offer: None,
            variant: Some("{".into()),
            content: Vec::new(),
            exposures: Vec::new(),
            trace: Vec::new(),
            ..full.clone()
        };
        for one in [full, empty] {
            let ours: serde_json::Value = serde_json::from_str(&decision(&one)).unwrap();
            assert_eq!(ours, serde_json::to_value(&one).unwrap());
        }
    }
}
