//! Filling content: values into typed texts. It must never escape, since only the place where a
//! text lands knows how.

use crate::offer::{FieldKind, Fields};
use crate::rule::{Facts, Value, format_int};

/// Hands out the fields of a content, with their values filled in.
pub fn fill(mut fields: Fields<'_>, facts: &Facts, mut put: impl FnMut(&str, FieldKind, String)) {
    while let Some((name, kind, parts)) = fields.next_field() {
        let mut text = String::new();
        for _ in 0..parts {
            match fields.next_part() {
                (literal, None) => text.push_str(literal),
                (fallback, Some(slot)) => push(&mut text, facts.get(slot), fallback, kind),
            }
        }
        put(name, kind, text);
    }
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
        Value::Int(int) => format_int(*int),
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
    let whole = (cents / 100).abs();
    let part = (cents % 100).abs();
    let sign = if cents < 0 { "-" } else { "" };
    let mut text = sign.to_owned();
    text.push_str(&format_int(whole));
    if part > 0 {
        text.push('.');
        if part < 10 {
            text.push('0');
        }
        text.push_str(&format_int(part));
    }
    Some(text)
}

/// The UTC day, as RFC 3339 writes it; years of four digits only.
fn day(ms: i64) -> Option<String> {
    let (year, month, day) = crate::rule::civil_day(ms);
    if !(1_000..=9_999).contains(&year) {
        return None;
    }
    let mut text = format_int(year);
    for part in [month, day] {
        text.push_str(if part < 10 { "-0" } else { "-" });
        text.push_str(&format_int(part));
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
