//! The operators of CEL over values at run time. It must never know the expression that it is in.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::calendar::{duration_in_range, parse_duration, parse_time, time_in_range};
use super::image::Op;
use super::number::{to_double, whole};
use super::truth::{Code, Fail};
use super::value::Value;
use super::version::Version;

/// A value in the course of an evaluation: borrowed where it stands in facts or image.
#[derive(Clone, Debug)]
pub(crate) enum Val<'r> {
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(Cow<'r, str>),
    Timestamp(i64),
    Duration(i64),
    /// Text that was found to be a version.
    Version(Cow<'r, str>),
    /// A list of the facts.
    Entries(&'r [Value]),
    List(Vec<Val<'r>>),
}

impl<'r> Val<'r> {
    pub fn of(value: &'r Value) -> Self {
        match value {
            Value::Bool(v) => Val::Bool(*v),
            Value::Int(v) => Val::Int(*v),
            Value::Double(v) => Val::Double(*v),
            Value::String(v) => Val::Text(Cow::Borrowed(v)),
            Value::Timestamp(v) => Val::Timestamp(*v),
            Value::Duration(v) => Val::Duration(*v),
            Value::List(v) => Val::Entries(v),
        }
    }

    /// Number of entries; None of what is no list.
    pub fn entries(&self) -> Option<usize> {
        match self {
            Val::Entries(list) => Some(list.len()),
            Val::List(list) => Some(list.len()),
            _ => None,
        }
    }

    pub fn entry(&self, place: usize) -> Option<Val<'r>> {
        match self {
            Val::Entries(list) => list.get(place).map(Val::of),
            Val::List(list) => list.get(place).cloned(),
            _ => None,
        }
    }

    /// Free of what it was borrowed from.
    #[cfg(feature = "compile")]
    pub fn into_owned(self) -> Val<'static> {
        match self {
            Val::Bool(v) => Val::Bool(v),
            Val::Int(v) => Val::Int(v),
            Val::Double(v) => Val::Double(v),
            Val::Text(v) => Val::Text(Cow::Owned(v.into_owned())),
            Val::Timestamp(v) => Val::Timestamp(v),
            Val::Duration(v) => Val::Duration(v),
            Val::Version(v) => Val::Version(Cow::Owned(v.into_owned())),
            list => {
                let entries = (0..list.entries().unwrap_or(0)).filter_map(|at| list.entry(at));
                Val::List(entries.map(Val::into_owned).collect())
            }
        }
    }

    /// About how many steps it takes to look through this.
    pub fn weight(&self) -> usize {
        match self {
            Val::Text(text) | Val::Version(text) => text.len() / 16,
            list => list.entries().unwrap_or(0),
        }
    }
}

/// Whether two values are equal, across the types of numbers; values of different types are not.
pub(crate) fn equal(a: &Val<'_>, b: &Val<'_>) -> bool {
    match (a.entries(), b.entries()) {
        (Some(m), Some(n)) => {
            m == n
                && (0..m).all(|place| match (a.entry(place), b.entry(place)) {
                    (Some(x), Some(y)) => equal(&x, &y),
                    _ => false,
                })
        }
        (None, None) => compare(a, b) == Ok(Some(Ordering::Equal)),
        _ => false,
    }
}

/// The order of two values; None with NaN.
pub(crate) fn compare(a: &Val<'_>, b: &Val<'_>) -> Result<Option<Ordering>, Code> {
    Ok(match (a, b) {
        (Val::Bool(a), Val::Bool(b)) => Some(a.cmp(b)),
        (Val::Int(a), Val::Int(b))
        | (Val::Timestamp(a), Val::Timestamp(b))
        | (Val::Duration(a), Val::Duration(b)) => Some(a.cmp(b)),
        (Val::Double(a), Val::Double(b)) => a.partial_cmp(b),
        (Val::Int(a), Val::Double(b)) => to_double(*a).partial_cmp(b),
        (Val::Double(a), Val::Int(b)) => a.partial_cmp(&to_double(*b)),
        (Val::Text(a), Val::Text(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
        (Val::Version(a), Val::Version(b)) => {
            Version::parse(a).zip(Version::parse(b)).map(|(a, b)| a.compare(&b))
        }
        _ => return Err(Code::NoOverload),
    })
}

/// `+ - * / %`.
pub(crate) fn arithmetic<'r>(op: Op, a: Val<'r>, b: Val<'r>) -> Result<Val<'r>, Code> {
    let whole = |v: Option<i64>| v.map(Val::Int).ok_or(Code::Overflow);
    let time = |v: Option<i64>| v.and_then(time_in_range).map(Val::Timestamp).ok_or(Code::Overflow);
    let span =
        |v: Option<i64>| v.and_then(duration_in_range).map(Val::Duration).ok_or(Code::Overflow);
    match (op, a, b) {
        (Op::Divide | Op::Modulo, Val::Int(_), Val::Int(0)) => Err(Code::DivideByZero),
        (Op::Add, Val::Int(a), Val::Int(b)) => whole(a.checked_add(b)),
        (Op::Subtract, Val::Int(a), Val::Int(b)) => whole(a.checked_sub(b)),
        (Op::Multiply, Val::Int(a), Val::Int(b)) => whole(a.checked_mul(b)),
        (Op::Divide, Val::Int(a), Val::Int(b)) => whole(a.checked_div(b)),
        (Op::Modulo, Val::Int(a), Val::Int(b)) => whole(a.checked_rem(b)),
        (Op::Add, Val::Double(a), Val::Double(b)) => Ok(Val::Double(a + b)),
        (Op::Subtract, Val::Double(a), Val::Double(b)) => Ok(Val::Double(a - b)),
        (Op::Multiply, Val::Double(a), Val::Double(b)) => Ok(Val::Double(a * b)),
        (Op::Divide, Val::Double(a), Val::Double(b)) => Ok(Val::Double(a / b)),
        (Op::Add, Val::Timestamp(a), Val::Duration(b))
        | (Op::Add, Val::Duration(a), Val::Timestamp(b)) => time(a.checked_add(b)),
        (Op::Subtract, Val::Timestamp(a), Val::Duration(b)) => time(a.checked_sub(b)),
        (Op::Subtract, Val::Timestamp(a), Val::Timestamp(b)) => span(a.checked_sub(b)),
        (Op::Add, Val::Duration(a), Val::Duration(b)) => span(a.checked_add(b)),
        (Op::Subtract, Val::Duration(a), Val::Duration(b)) => span(a.checked_sub(b)),
        (Op::Add, Val::Text(a), Val::Text(b)) => Ok(Val::Text(a + b)),
        (Op::Add, a, b) => {
            let (Some(m), Some(n)) = (a.entries(), b.entries()) else {
                return Err(Code::NoOverload);
            };
            let entries = (0..m).filter_map(|place| a.entry(place));
            Ok(Val::List(entries.chain((0..n).filter_map(|place| b.entry(place))).collect()))
        }
        _ => Err(Code::NoOverload),
    }
}

pub(crate) fn negate(v: &Val<'_>) -> Result<Val<'static>, Code> {
    match v {
        Val::Int(v) => v.checked_neg().map(Val::Int).ok_or(Code::Overflow),
        Val::Double(v) => Ok(Val::Double(-v)),
        Val::Duration(v) => Ok(Val::Duration(-v)),
        _ => Err(Code::NoOverload),
    }
}

pub(crate) fn size(v: &Val<'_>) -> Result<i64, Code> {
    let size = match v {
        Val::Text(text) => text.chars().count(),
        list => list.entries().ok_or(Code::NoOverload)?,
    };
    i64::try_from(size).map_err(|_| Code::Overflow)
}

pub(crate) fn index<'r>(list: &Val<'r>, place: &Val<'_>) -> Result<Val<'r>, Code> {
    let place = match place {
        Val::Int(place) => *place,
        Val::Double(place) => whole(*place).ok_or(Code::NoSuchEntry)?,
        _ => return Err(Code::NoOverload),
    };
    if list.entries().is_none() {
        return Err(Code::NoOverload);
    }
    let place = usize::try_from(place).map_err(|_| Code::NoSuchEntry)?;
    list.entry(place).ok_or(Code::NoSuchEntry)
}

/// `contains`, `startsWith`, `endsWith`.
pub(crate) fn text_test(op: Op, text: &Val<'_>, part: &Val<'_>) -> Result<bool, Code> {
    let (Val::Text(text), Val::Text(part)) = (text, part) else { return Err(Code::NoOverload) };
    let (text, part) = (text.as_bytes(), part.as_bytes());
    Ok(match op {
        Op::StartsWith => text.starts_with(part),
        Op::EndsWith => text.ends_with(part),
        _ => contains(text, part),
    })
}

/// Whether `part` occurs in `text`. Steps in proportion to the lengths' product at worst, which
/// both bounds keep small; the standard library's search is larger than the rest of this file.
fn contains(text: &[u8], part: &[u8]) -> bool {
    let Some(first) = part.first() else { return true };
    let mut text = text;
    while text.len() >= part.len() {
        if text.first() == Some(first) && text.starts_with(part) {
            return true;
        }
        text = text.get(1..).unwrap_or(&[]);
    }
    false
}

/// Conversions between types.
pub(crate) fn convert<'r>(op: Op, v: Val<'r>) -> Result<Val<'r>, Fail> {
    let bad = Fail::Error(Code::BadText);
    let far = Fail::Error(Code::Overflow);
    Ok(match (op, v) {
        (Op::ToInt, Val::Int(v)) => Val::Int(v),
        (Op::ToInt, Val::Double(v)) => Val::Int(whole(v.trunc()).filter(inner).ok_or(far)?),
        (Op::ToInt, Val::Timestamp(v)) => Val::Int(v.div_euclid(1_000)),
        (Op::ToInt, Val::Text(v)) => Val::Int(parse_int(&v).ok_or(bad)?),
        (Op::ToDouble, Val::Int(v)) => Val::Double(to_double(v)),
        (Op::ToDouble, Val::Double(v)) => Val::Double(v),
        (Op::ToText, Val::Text(v) | Val::Version(v)) => Val::Text(v),
        (Op::ToText, Val::Bool(v)) => Val::Text(Cow::Borrowed(if v { "true" } else { "false" })),
        (Op::ToText, Val::Int(v)) => Val::Text(Cow::Owned(format_int(v))),
        (Op::ToBool, Val::Bool(v)) => Val::Bool(v),
        (Op::ToBool, Val::Text(v)) => Val::Bool(match &*v {
            "true" | "True" | "TRUE" | "t" | "1" => true,
            "false" | "False" | "FALSE" | "f" | "0" => false,
            _ => return Err(bad),
        }),
        (Op::ToTimestamp, Val::Timestamp(v)) => Val::Timestamp(v),
        (Op::ToTimestamp, Val::Text(v)) => Val::Timestamp(parse_time(&v).ok_or(bad)?),
        (Op::ToTimestamp, Val::Int(v)) => {
            Val::Timestamp(v.checked_mul(1_000).and_then(time_in_range).ok_or(far)?)
        }
        (Op::ToDuration, Val::Duration(v)) => Val::Duration(v),
        (Op::ToDuration, Val::Text(v)) => Val::Duration(parse_duration(&v).ok_or(bad)?),
        (Op::ToVersion, Val::Version(v)) => Val::Version(v),
        (Op::ToVersion, Val::Text(v)) => {
            Version::parse(&v).ok_or(bad)?;
            Val::Version(v)
        }
        _ => return Err(Fail::Error(Code::NoOverload)),
    })
}

/// The ends of the range are refused: a double that rounds to one may have come from beyond it.
fn inner(v: &i64) -> bool {
    *v != i64::MIN
}

fn parse_int(text: &str) -> Option<i64> {
    let negative = text.starts_with('-');
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() {
        return None;
    }
    let mut number = 0_i64;
    for byte in digits.bytes() {
        if !byte.is_ascii_digit() {
            return None;
        }
        let digit = i64::from(byte - b'0');
        number = number.checked_mul(10)?.checked_add(if negative { -digit } else { digit })?;
    }
    Some(number)
}

/// Digits without the standard library's formatting, which is larger than this whole module.
fn format_int(v: i64) -> String {
    let mut rest = v.unsigned_abs();
    let mut text = String::new();
    loop {
        text.insert(0, char::from(b'0' + u8::try_from(rest % 10).unwrap_or(0)));
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if v < 0 {
        text.insert(0, '-');
    }
    text
}
