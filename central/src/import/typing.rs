//! What a cell of CSV means, by its shape. Identifiers that look like numbers stay texts: a leading
//! zero or a plus is lost in a number.

use selvedge::json;
use selvedge::rule::Value;

/// A cell's value; None for an empty one, which says nothing.
pub(super) fn cell(text: &str) -> Option<Value> {
    if text.is_empty() {
        return None;
    }
    Some(match text {
        "true" | "TRUE" | "True" => Value::Bool(true),
        "false" | "FALSE" | "False" => Value::Bool(false),
        _ => {
            number(text).or_else(|| moment(text)).unwrap_or_else(|| Value::String(text.to_owned()))
        }
    })
}

/// A decimal number as people write it: no plus, no leading zero, no `1.`, no `.5`, no `inf`.
fn number(text: &str) -> Option<Value> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = match digits.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (digits, None),
    };
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let leading = whole.len() > 1 && whole.starts_with('0');
    if !all_digits(whole) || leading || fraction.is_some_and(|part| !all_digits(part)) {
        return None;
    }
    match fraction {
        Some(_) => text.parse().ok().filter(|double: &f64| double.is_finite()).map(Value::Double),
        None => text.parse().ok().map(Value::Int),
    }
}

/// A date or a time of RFC 3339; anything shorter than a date is a word.
fn moment(text: &str) -> Option<Value> {
    let dated = text.len() >= 10
        && text.bytes().take(10).enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    if !dated {
        return None;
    }
    json::time(text).map(|time| Value::Timestamp(time.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_typed_by_their_shape() {
        let text = |t: &str| Some(Value::String(t.to_owned()));
        for (raw, value) in [
            ("", None),
            ("true", Some(Value::Bool(true))),
            ("FALSE", Some(Value::Bool(false))),
            ("0", Some(Value::Int(0))),
            ("-12", Some(Value::Int(-12))),
            ("29.33", Some(Value::Double(29.33))),
            ("0.5", Some(Value::Double(0.5))),
            ("1970-01-02", Some(Value::Timestamp(86_400_000))),
            ("1970-01-02T00:00:00Z", Some(Value::Timestamp(86_400_000))),
            ("00123", text("00123")),
            ("+4930901820", text("+4930901820")),
            ("1.", text("1.")),
            (".5", text(".5")),
            ("1e5", text("1e5")),
            ("inf", text("inf")),
            ("NaN", text("NaN")),
            ("-", text("-")),
            ("1970-13-02", text("1970-13-02")),
            ("99999999999999999999", text("99999999999999999999")),
            ("yes", text("yes")),
        ] {
            assert_eq!(cell(raw), value, "{raw}");
        }
    }
}
