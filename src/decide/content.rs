//! Filling content: values into typed texts. It must never escape, since only the place where a
//! text lands knows how.

use super::ContentField;
use crate::offer::{Content, FieldKind, Part};
use crate::rule::{Facts, Value};

/// The fields of a content with their values filled in.
pub(super) fn fill(content: &Content, facts: &Facts) -> Vec<ContentField> {
    content
        .fields
        .iter()
        .map(|field| {
            let mut text = String::new();
            for part in &field.text.0 {
                match part {
                    Part::Text(literal) => text.push_str(literal),
                    Part::Value(slot, fallback) => {
                        push(&mut text, facts.get(*slot), fallback, field.kind);
                    }
                }
            }
            ContentField { name: field.name.clone(), kind: field.kind, text }
        })
        .collect()
}

fn push(text: &mut String, value: Option<&Value>, fallback: &str, kind: FieldKind) {
    let shown = value.and_then(show).filter(|shown| !shown.is_empty());
    let shown = shown.as_deref().unwrap_or(fallback);
    match kind {
        FieldKind::Text => text.push_str(shown),
        // A value in an address stays one segment of it, whatever it holds.
        FieldKind::Link | FieldKind::Image => {
            for byte in shown.bytes() {
                if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~') {
                    text.push(char::from(byte));
                } else {
                    text.push('%');
                    text.push_str(&crate::ids::hex(&[byte]).to_ascii_uppercase());
                }
            }
        }
    }
}

/// A value as people read it. Lists and lengths of time are not shown.
fn show(value: &Value) -> Option<String> {
    Some(match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => "true".to_owned(),
        Value::Bool(false) => "false".to_owned(),
        Value::Int(int) => int.to_string(),
        Value::Double(double) => money(*double)?,
        Value::Timestamp(ms) => day(*ms)?,
        _ => return None,
    })
}

/// A double with at most two decimals, which is what prices and amounts need; cheaper in Wasm than
/// the shortest form of any double.
fn money(double: f64) -> Option<String> {
    if !double.is_finite() || double.abs() >= 1e15 {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "bounded above")]
    let cents = (double * 100.0).round() as i64;
    let whole = (cents / 100).unsigned_abs();
    let part = (cents % 100).unsigned_abs();
    let sign = if cents < 0 { "-" } else { "" };
    let mut text = sign.to_owned();
    text.push_str(&whole.to_string());
    if part > 0 {
        text.push('.');
        if part < 10 {
            text.push('0');
        }
        text.push_str(&part.to_string());
    }
    Some(text)
}

/// The UTC day, as RFC 3339 writes it; years of four digits only.
fn day(ms: i64) -> Option<String> {
    let (year, month, day) = crate::rule::civil_day(ms);
    if !(1_000..=9_999).contains(&year) {
        return None;
    }
    let mut text = year.to_string();
    for part in [month, day] {
        text.push_str(if part < 10 { "-0" } else { "-" });
        text.push_str(&part.to_string());
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_shown_as_people_read_them() {
        let shown = |value| show(&value).unwrap_or_default();
        assert_eq!(shown(Value::Double(1234.5)), "1234.50");
        assert_eq!(shown(Value::Double(-0.05)), "-0.05");
        assert_eq!(shown(Value::Double(7.0)), "7");
        assert_eq!(shown(Value::Timestamp(0)), "1970-01-01");
        assert_eq!(shown(Value::Double(f64::NAN)), "");
    }

    #[test]
    fn a_value_in_an_address_stays_one_segment() {
        let mut text = String::from("/offer/");
        let value = Value::String("../x?y=\"<é".into());
        push(&mut text, Some(&value), "", FieldKind::Link);
        assert_eq!(text, "/offer/%2E%2E%2Fx%3Fy%3D%22%3C%C3%A9");
    }
}
