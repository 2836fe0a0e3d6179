//! JSON for the hosts that speak it: values, times, and Segment's calls. It must never be part of a
//! page, and never parse what was not bounded before.

#[cfg(feature = "keys")]
mod evaluator;
mod explained;
mod segment;

use crate::error::Error;
use crate::limits;
use crate::rule::Value;
use crate::time::Timestamp;

#[cfg(feature = "keys")]
pub use evaluator::evaluator_file;
pub use segment::{batch, event, written};

/// A JSON value as the core's: scalars and flat lists of scalars. None for null, objects and nested
/// lists, which conditions do not read.
pub fn value(json: &serde_json::Value) -> Option<Value> {
    Some(match json {
        serde_json::Value::Bool(bool) => Value::Bool(*bool),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(int) => Value::Int(int),
            None => Value::Double(number.as_f64()?),
        },
        serde_json::Value::String(text) => Value::String(text.clone()),
        serde_json::Value::Array(entries) => Value::List(
            entries.iter().map(|entry| value(entry).filter(is_flat)).collect::<Option<_>>()?,
        ),
        serde_json::Value::Null | serde_json::Value::Object(_) => return None,
    })
}

fn is_flat(value: &Value) -> bool {
    !matches!(value, Value::List(_))
}

/// A value as JSON: times as RFC 3339 in UTC, lengths of time in milliseconds.
pub fn to_json(value: &Value) -> serde_json::Value {
    match value {
        Value::Bool(bool) => (*bool).into(),
        Value::Int(int) | Value::Duration(int) => (*int).into(),
        Value::Double(double) => (*double).into(),
        Value::String(text) => text.as_str().into(),
        Value::Timestamp(ms) => time_text(Timestamp(*ms)).into(),
        Value::List(entries) => entries.iter().map(to_json).collect(),
    }
}

/// An RFC 3339 time, or a bare ISO 8601 date as midnight UTC.
pub fn time(text: &str) -> Option<Timestamp> {
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Some(Timestamp(at.as_millisecond()));
    }
    let date: jiff::civil::Date = text.parse().ok()?;
    let at = date.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(Timestamp(at.timestamp().as_millisecond()))
}

/// RFC 3339 in UTC with milliseconds.
pub fn time_text(time: Timestamp) -> String {
    match jiff::Timestamp::from_millisecond(time.0) {
        Ok(at) => format!("{at:.3}"),
        Err(_) => String::new(),
    }
}

/// Refuses nesting deeper than `limits::JSON_DEPTH` before a parser sees it. Errors: `not_utf8`,
/// `too_deep`, each with the byte where it shows.
pub fn check_depth(bytes: &[u8]) -> Result<&str, Error> {
    let text = core::str::from_utf8(bytes).map_err(|error| {
        Error::new("not_utf8", "the body is not UTF-8", format!("byte {}", error.valid_up_to()))
    })?;
    let mut depth = 0_usize;
    let mut quoted = false;
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => {
                depth = depth.saturating_add(1);
                if depth > limits::JSON_DEPTH {
                    return Err(Error::new(
                        "too_deep",
                        format!("JSON nests at most {} deep", limits::JSON_DEPTH),
                        format!("byte {at}"),
                    ));
                }
            }
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(text)
}

/// Parses JSON that was bounded. Errors: `bad_json` with line and column, and [`check_depth`]'s.
pub fn parse(bytes: &[u8]) -> Result<serde_json::Value, Error> {
    serde_json::from_str(check_depth(bytes)?).map_err(|error| syntax(&error))
}

/// An error of the JSON parser, without what it quotes of the input.
pub fn syntax(error: &serde_json::Error) -> Error {
    let place = format!("line {}, column {}", error.line(), error.column());
    match error.classify() {
        serde_json::error::Category::Data => {
            Error::new("bad_shape", "a field is unknown, missing or of the wrong type", place)
        }
        _ => Error::new("bad_json", "this is not JSON", place),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_written() {
        let at = time("2026-11-22T03:00:00.25+01:00").unwrap();
        assert_eq!(time_text(at), "2026-11-22T02:00:00.250Z");
        assert_eq!(time("1970-01-02"), Some(Timestamp(86_400_000)));
        assert_eq!(time("yesterday"), None);
    }

    #[test]
    fn deep_nesting_is_refused_before_parsing() {
        let deep = "[".repeat(limits::JSON_DEPTH + 1);
        assert_eq!(parse(deep.as_bytes()).unwrap_err().code(), "too_deep");
        assert_eq!(parse(b"{\"a\":\"[[[[\\\"[[\"}").unwrap()["a"], "[[[[\"[[");
        assert_eq!(parse(b"{\"a\":\xff}").unwrap_err().code(), "not_utf8");
        assert_eq!(parse(b"{\"a\":}").unwrap_err().code(), "bad_json");
    }
}
