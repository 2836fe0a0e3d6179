//! Filling content: values into typed texts. It must never escape, since only the place where a
//! text lands knows how.
#![allow(clippy::single_char_add_str, reason = "to push a text is one call, also in a page")]

use alloc::string::String;

use crate::ids::push_hex;
use crate::offer::{FieldKind, Fields};
use crate::rule::{Facts, Value, push_int, to_double, to_int};

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
    let mut shown = String::new();
    if let Some(value) = value {
        show(&mut shown, value);
    }
    if shown.is_empty() {
        shown.push_str(fallback);
    }
    if kind == FieldKind::Text {
        return text.push_str(&shown);
    }
    // A value in an address stays one segment of it, whatever it holds.
    for byte in shown.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~') {
            text.push(char::from(byte));
        } else {
            text.push_str("%");
            push_hex(text, byte, b'A');
        }
    }
}

/// Appends a value as people read it. Lists and lengths of time are not shown.
fn show(text: &mut String, value: &Value) {
    match value {
        Value::String(shown) => text.push_str(shown),
        Value::Bool(shown) => text.push_str(if *shown { "true" } else { "false" }),
        Value::Int(int) => push_int(text, *int),
        Value::Double(double) => money(text, *double),
        Value::Timestamp(ms) => day(text, *ms),
        _ => {}
    }
}

/// A double with at most two decimals, which is what prices and amounts need; cheaper in Wasm than
/// the shortest form of any double.
fn money(text: &mut String, double: f64) {
    if !double.is_finite() || double.abs() >= 1e15 {
        return;
    }
    let whole = to_int(double * 100.0);
    // Half a cent and more goes up, away from zero.
    let cents = whole + to_int(2.0 * (double * 100.0 - to_double(whole)));
    if cents < 0 {
        text.push_str("-");
    }
    push_int(text, (cents / 100).abs());
    let part = (cents % 100).abs();
    if part > 0 {
        push_part(text, ".", part);
    }
}

/// The UTC day, as RFC 3339 writes it; years of four digits only.
fn day(text: &mut String, ms: i64) {
    let (year, month, day) = crate::rule::civil_day(ms);
    if (1_000..=9_999).contains(&year) {
        push_int(text, year);
        push_part(text, "-", month);
        push_part(text, "-", day);
    }
}

/// Appends a mark and a number of two digits.
fn push_part(text: &mut String, mark: &str, part: i64) {
    text.push_str(mark);
    if part < 10 {
        text.push_str("0");
    }
    push_int(text, part);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_shown_as_people_read_them() {
        let shown = |value| {
            let mut text = String::new();
            show(&mut text, &value);
            text
        };
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
