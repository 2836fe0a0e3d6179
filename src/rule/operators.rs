//! The operators of CEL over values at run time. It must never know the expression that it is in.

use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Ordering;

use super::calendar::{
    duration_in_range, parse_time, part_of_duration, part_of_time, time_in_range,
};
use super::image::Op;
use super::number::{to_double, to_int, whole};
use super::truth::Code;
use super::value::Value;
use super::version::Version;

/// A value in the course of an evaluation. Texts and lists that the evaluation made stand in its
/// [`Made`], so that values are copied rather than owned.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Val<'r> {
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(Text<'r>),
    Timestamp(i64),
    Duration(i64),
    /// Text that was found to be a version.
    Version(Text<'r>),
    /// A list of the facts.
    Entries(&'r [Value]),
    /// A list that was made: where it begins, and how long it is.
    List(usize, usize),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Text<'r> {
    /// In facts or image.
    There(&'r str),
    /// A text that was made.
    Made(usize),
}

/// What an evaluation made.
#[derive(Default)]
pub(crate) struct Made<'r> {
    texts: Vec<String>,
    values: Vec<Val<'r>>,
}

impl<'r> Val<'r> {
    pub fn of(value: &'r Value) -> Self {
        match value {
            Value::Bool(v) => Val::Bool(*v),
            Value::Int(v) => Val::Int(*v),
            Value::Double(v) => Val::Double(*v),
            Value::String(v) => Val::Text(Text::There(v)),
            Value::Timestamp(v) => Val::Timestamp(*v),
            Value::Duration(v) => Val::Duration(*v),
            Value::List(v) => Val::Entries(v),
        }
    }

    /// Whether an operator converts to what this value is already.
    fn is_of(self, op: Op) -> bool {
        let to = match self {
            Val::Bool(_) => Op::ToBool,
            Val::Int(_) => Op::ToInt,
            Val::Double(_) => Op::ToDouble,
            Val::Text(_) => Op::ToText,
            Val::Timestamp(_) => Op::ToTimestamp,
            Val::Duration(_) => Op::ToDuration,
            Val::Version(_) => Op::ToVersion,
            Val::Entries(_) | Val::List(..) => return false,
        };
        op == to
    }

    /// Number of entries; None of what is no list.
    pub fn len(self) -> Option<usize> {
        match self {
            Val::Entries(list) => Some(list.len()),
            Val::List(_, len) => Some(len),
            _ => None,
        }
    }
}

impl<'r> Made<'r> {
    pub fn str(&self, text: Text<'r>) -> &str {
        match text {
            Text::There(text) => text,
            Text::Made(place) => self.texts.get(place).map_or("", String::as_str),
        }
    }

    pub fn entry(&self, list: Val<'r>, place: usize) -> Option<Val<'r>> {
        match list {
            Val::Entries(list) => list.get(place).map(Val::of),
            Val::List(from, len) if place < len => self.values.get(from + place).copied(),
            _ => None,
        }
    }

    pub fn text(&mut self, text: String) -> Text<'r> {
        self.texts.push(text);
        Text::Made(self.texts.len() - 1)
    }

    pub fn list(&mut self, entries: &[Val<'r>]) -> Val<'r> {
        let from = self.values.len();
        self.values.extend_from_slice(entries);
        Val::List(from, entries.len())
    }

    /// About how many steps it takes to look through a value.
    pub fn weight(&self, value: Val<'r>) -> usize {
        match value {
            Val::Text(text) => self.str(text).len() / 16,
            list => list.len().unwrap_or(0),
        }
    }

    /// Whether two values are equal, across the types of numbers; values of different types are
    /// not.
    #[cfg_attr(feature = "server", inline(never))]
    pub fn equal(&self, a: Val<'r>, b: Val<'r>) -> bool {
        let (Some(m), Some(n)) = (a.len(), b.len()) else {
            return self.compare(a, b) == Ok(Some(Ordering::Equal));
        };
        m == n
            && (0..m).all(|place| match (self.entry(a, place), self.entry(b, place)) {
                (Some(x), Some(y)) => self.equal(x, y),
                _ => false,
            })
    }

    /// Whether a list has an entry that equals `value`.
    #[cfg_attr(feature = "server", inline(never))]
    pub fn contains(&self, list: Val<'r>, value: Val<'r>) -> Result<bool, Code> {
        let len = list.len().ok_or(Code::NoOverload)?;
        Ok((0..len).any(|place| self.entry(list, place).is_some_and(|e| self.equal(e, value))))
    }

    /// The order of two values; None with NaN.
    #[cfg_attr(feature = "server", inline(never))]
    pub fn compare(&self, a: Val<'r>, b: Val<'r>) -> Result<Option<Ordering>, Code> {
        Ok(match (a, b) {
            (Val::Bool(a), Val::Bool(b)) => Some(a.cmp(&b)),
            (Val::Int(a), Val::Int(b))
            | (Val::Timestamp(a), Val::Timestamp(b))
            | (Val::Duration(a), Val::Duration(b)) => Some(a.cmp(&b)),
            (Val::Int(_) | Val::Double(_), Val::Int(_) | Val::Double(_)) => {
                double(a).partial_cmp(&double(b))
            }
            (Val::Text(a), Val::Text(b)) => Some(self.str(a).cmp(self.str(b))),
            (Val::Version(a), Val::Version(b)) => {
                match (Version::parse(self.str(a)), Version::parse(self.str(b))) {
                    (Some(a), Some(b)) => Some(a.compare(&b)),
                    _ => None,
                }
            }
            _ => return Err(Code::NoOverload),
        })
    }

    /// An operator that takes two values.
    #[cfg_attr(feature = "server", inline(never))]
    pub fn binary(&mut self, op: Op, a: Val<'r>, b: Val<'r>) -> Result<Val<'r>, Code> {
        Ok(Val::Bool(match op {
            Op::Equal => self.equal(a, b),
            Op::Unequal => !self.equal(a, b),
            Op::Less => self.compare(a, b)? == Some(Ordering::Less),
            Op::LessEqual => {
                matches!(self.compare(a, b)?, Some(Ordering::Less | Ordering::Equal))
            }
            Op::In => self.contains(b, a)?,
            Op::Contains | Op::StartsWith | Op::EndsWith => {
                let (Val::Text(text), Val::Text(part)) = (a, b) else {
                    return Err(Code::NoOverload);
                };
                let (text, part) = (self.str(text).as_bytes(), self.str(part).as_bytes());
                match op {
                    Op::StartsWith => text.starts_with(part),
                    Op::EndsWith => text.ends_with(part),
                    _ => occurs(text, part),
                }
            }
            Op::SetContains | Op::SetIntersects => self.set(op, a, b)?,
            Op::Index => return self.index(a, b),
            _ => return self.arithmetic(op, a, b),
        }))
    }

    /// Whether all entries of list b are in list a, or some.
    #[cfg_attr(feature = "server", inline(never))]
    fn set(&self, op: Op, a: Val<'r>, b: Val<'r>) -> Result<bool, Code> {
        let wanted = op == Op::SetIntersects;
        let len = b.len().ok_or(Code::NoOverload)?;
        for place in 0..len {
            if let Some(entry) = self.entry(b, place)
                && self.contains(a, entry)? == wanted
            {
                return Ok(wanted);
            }
        }
        Ok(!wanted)
    }

    /// Entry b of list a.
    #[cfg_attr(feature = "server", inline(never))]
    fn index(&self, a: Val<'r>, b: Val<'r>) -> Result<Val<'r>, Code> {
        let place = match b {
            Val::Int(place) => Some(place),
            Val::Double(place) => whole(place),
            _ => return Err(Code::NoOverload),
        };
        a.len().ok_or(Code::NoOverload)?;
        let place = place.and_then(|place| usize::try_from(place).ok());
        let entry = place.and_then(|place| self.entry(a, place));
        entry.ok_or(Code::NoSuchEntry)
    }

    /// `+ - * / %`.
    #[cfg_attr(feature = "server", inline(never))]
    fn arithmetic(&mut self, op: Op, a: Val<'r>, b: Val<'r>) -> Result<Val<'r>, Code> {
        match (a, b) {
            (Val::Double(a), Val::Double(b)) => {
                return Ok(Val::Double(match op {
                    Op::Add => a + b,
                    Op::Subtract => a - b,
                    Op::Multiply => a * b,
                    Op::Divide => a / b,
                    _ => return Err(Code::NoOverload),
                }));
            }
            (Val::Text(a), Val::Text(b)) if op == Op::Add => {
                let mut text = String::from(self.str(a));
                text.push_str(self.str(b));
                return Ok(Val::Text(self.text(text)));
            }
            _ => {}
        }
        if let (Op::Add, Some(m), Some(n)) = (op, a.len(), b.len()) {
            let from = self.values.len();
            for (list, len) in [(a, m), (b, n)] {
                for place in 0..len {
                    self.values.extend(self.entry(list, place));
                }
            }
            return Ok(Val::List(from, m + n));
        }
        let (x, y) = match (a, b) {
            (
                Val::Int(x) | Val::Timestamp(x) | Val::Duration(x),
                Val::Int(y) | Val::Timestamp(y) | Val::Duration(y),
            ) => (x, y),
            _ => return Err(Code::NoOverload),
        };
        let exact = match op {
            Op::Add => x.checked_add(y),
            Op::Subtract => x.checked_sub(y),
            Op::Multiply => times(x, y),
            _ if y == 0 => return Err(Code::DivideByZero),
            Op::Divide => x.checked_div(y),
            _ => x.checked_rem(y),
        };
        match (op, a, b) {
            (_, Val::Int(_), Val::Int(_)) => exact.map(Val::Int),
            (Op::Add, Val::Timestamp(_), Val::Duration(_))
            | (Op::Add, Val::Duration(_), Val::Timestamp(_))
            | (Op::Subtract, Val::Timestamp(_), Val::Duration(_)) => {
                exact.and_then(time_in_range).map(Val::Timestamp)
            }
            (Op::Subtract, Val::Timestamp(_), Val::Timestamp(_))
            | (Op::Add | Op::Subtract, Val::Duration(_), Val::Duration(_)) => {
                exact.and_then(duration_in_range).map(Val::Duration)
            }
            _ => return Err(Code::NoOverload),
        }
        .ok_or(Code::Overflow)
    }

    /// An operator that takes one value; `b` tells more of what it does.
    #[cfg_attr(feature = "server", inline(never))]
    pub fn unary(&mut self, op: Op, v: Val<'r>, b: u32) -> Result<Val<'r>, Code> {
        let over = Code::Overflow;
        Ok(match (op, v) {
            (Op::Not, Val::Bool(v)) => Val::Bool(!v),
            (Op::Negate, Val::Int(v)) => Val::Int(v.checked_neg().ok_or(over)?),
            (Op::Negate, Val::Double(v)) => Val::Double(-v),
            (Op::Negate, Val::Duration(v)) => Val::Duration(-v),
            (Op::Size, v) => {
                let size = match v {
                    Val::Text(text) => {
                        // Every character has one byte that continues none.
                        self.str(text).bytes().filter(|byte| byte & 0xc0 != 0x80).count()
                    }
                    list => list.len().ok_or(Code::NoOverload)?,
                };
                Val::Int(i64::try_from(size).unwrap_or(i64::MAX))
            }
            (Op::Part, Val::Timestamp(ms)) => {
                let offset_ms = (i64::from(b / 16) - 1_440) * 60_000;
                let part = part_of_time(ms.saturating_add(offset_ms), b % 16);
                Val::Int(part.ok_or(Code::NoOverload)?)
            }
            (Op::Part, Val::Duration(ms)) => {
                Val::Int(part_of_duration(ms, b % 16).ok_or(Code::NoOverload)?)
            }
            _ if v.is_of(op) => v,
            (Op::ToInt, Val::Double(v)) => Val::Int(truncated(v).ok_or(over)?),
            (Op::ToInt, Val::Timestamp(v)) => Val::Int(v.div_euclid(1_000)),
            (Op::ToDouble, Val::Int(v)) => Val::Double(to_double(v)),
            (Op::ToText, Val::Version(v)) => Val::Text(v),
            (Op::ToText, Val::Bool(v)) => Val::Text(Text::There(if v { "true" } else { "false" })),
            (Op::ToText, Val::Int(v)) => {
                let mut text = String::new();
                push_int(&mut text, v);
                Val::Text(self.text(text))
            }
            (Op::ToTimestamp, Val::Int(v)) => {
                Val::Timestamp(times(v, 1_000).and_then(time_in_range).ok_or(over)?)
            }
            (op, Val::Text(text)) => {
                let from = self.str(text);
                match op {
                    Op::ToInt => parse_int(from).map(Val::Int),
                    Op::ToTimestamp => parse_time(from).map(Val::Timestamp),
                    Op::ToVersion => Version::parse(from).map(|_| Val::Version(text)),
                    _ => return Err(Code::NoOverload),
                }
                .ok_or(Code::BadText)?
            }
            _ => return Err(Code::NoOverload),
        })
    }
}

/// A number as a double; NaN of anything else.
fn double(v: Val<'_>) -> f64 {
    match v {
        Val::Int(v) => to_double(v),
        Val::Double(v) => v,
        _ => f64::NAN,
    }
}

/// Whether `part` occurs in `text`. Steps in proportion to the lengths' product at worst, which
/// both bounds keep small; the standard library's search is larger than the rest of this file.
#[cfg_attr(feature = "server", inline(never))]
fn occurs(mut text: &[u8], part: &[u8]) -> bool {
    while !text.starts_with(part) {
        match text.split_first() {
            Some((_, rest)) => text = rest,
            None => return false,
        }
    }
    true
}

/// Towards zero. The ends of the range are refused: a double that rounds to one may have come from
/// beyond it.
fn truncated(v: f64) -> Option<i64> {
    let int = to_int(v);
    (!v.is_nan() && int != i64::MIN && int != i64::MAX).then_some(int)
}

/// A product, where there is one: one such multiplication is enough for the page.
#[inline(never)]
fn times(a: i64, b: i64) -> Option<i64> {
    a.checked_mul(b)
}

fn parse_int(text: &str) -> Option<i64> {
    let (sign, digits) = match text.as_bytes() {
        [b'-', digits @ ..] => (1, digits),
        [b'+', digits @ ..] | digits => (-1, digits),
    };
    // Below zero, which reaches further.
    let mut number = 0_i64;
    for byte in digits {
        let digit = i64::from(byte.is_ascii_digit().then_some(byte - b'0')?);
        number = times(number, 10)?.checked_sub(digit)?;
    }
    if digits.is_empty() { None } else { times(number, sign) }
}

/// Appends digits, without the standard library's formatting, which is larger than this whole
/// module.
#[allow(clippy::single_char_add_str, reason = "to push a text is one call, also in a page")]
pub(crate) fn push_int(text: &mut String, v: i64) {
    if v < 0 {
        text.push_str("-");
    }
    push_digits(text, v.unsigned_abs());
}

/// Appends a number's digits: by the standard library they would take far more code.
fn push_digits(text: &mut String, number: u64) {
    if number >= 10 {
        push_digits(text, number / 10);
    }
    let digit = usize::try_from(number % 10).unwrap_or(0);
    text.push_str("0123456789".get(digit..=digit).unwrap_or_default());
}
