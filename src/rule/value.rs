//! Values that conditions see. It must never know where a value came from.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

/// A value of a trait, of a request field or of a computed trait, as the host hands it in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Value {
    /// true, false
    Bool(bool),
    /// 64-bit integer
    Int(i64),
    /// 64-bit floating point; NaN equals nothing
    Double(f64),
    /// text
    String(String),
    /// milliseconds since 1970-01-01T00:00:00Z
    Timestamp(i64),
    /// milliseconds
    Duration(i64),
    /// list of values; conditions see the entries that have the declared type
    List(Vec<Value>),
}

/// The declared type of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Kind {
    /// true, false
    Bool,
    /// 64-bit integer
    Int,
    /// 64-bit floating point
    Double,
    /// text
    String,
    /// point in time; also takes RFC 3339 text
    Timestamp,
    /// length of time
    Duration,
    /// list of bools
    Bools,
    /// list of integers
    Ints,
    /// list of doubles
    Doubles,
    /// list of texts
    Strings,
}

/// By their numbers in an image.
const KINDS: [Kind; 10] = [
    Kind::Bool,
    Kind::Int,
    Kind::Double,
    Kind::String,
    Kind::Timestamp,
    Kind::Duration,
    Kind::Bools,
    Kind::Ints,
    Kind::Doubles,
    Kind::Strings,
];

impl Kind {
    pub(super) fn from_number(number: u32) -> Option<Kind> {
        KINDS.get(number as usize).copied()
    }

    /// The type of a list's entries; None for what is no list.
    pub fn entry(self) -> Option<Kind> {
        Some(match self {
            Kind::Bools => Kind::Bool,
            Kind::Ints => Kind::Int,
            Kind::Doubles => Kind::Double,
            Kind::Strings => Kind::String,
            _ => return None,
        })
    }
}
