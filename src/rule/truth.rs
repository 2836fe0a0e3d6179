//! What a condition can come to. It must never know how it was evaluated.

use serde::{Deserialize, Serialize};

use super::Slot;

/// What became of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    /// It holds.
    Match,
    /// It does not.
    NoMatch,
    /// It cannot be told, since this slot holds nothing: it does not match.
    Missing(Slot),
    /// It cannot be told: it does not match.
    Error(Code),
}

/// Why an expression has no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fail {
    /// This slot holds nothing.
    Missing(Slot),
    /// It went wrong.
    Error(Code),
}

/// What can go wrong in an expression that was found to be well typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Code {
    /// An operator met values that it does not take.
    NoOverload,
    /// An integer was divided by zero.
    DivideByZero,
    /// A number, time or length left its range.
    Overflow,
    /// A list has no such entry.
    NoSuchEntry,
    /// A text is not what it should be: no number, time, version.
    BadText,
    /// It took more steps than an expression may.
    TooCostly,
    /// A formula came to infinity or to no number.
    NotFinite,
    /// The image is damaged.
    BadImage,
}

impl Code {
    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoOverload => "no_overload",
            Self::DivideByZero => "divide_by_zero",
            Self::Overflow => "overflow",
            Self::NoSuchEntry => "no_such_entry",
            Self::BadText => "bad_text",
            Self::TooCostly => "too_costly",
            Self::NotFinite => "not_finite",
            Self::BadImage => "bad_image",
        }
    }

    /// All of them, in the order of their numbers.
    pub(crate) const ALL: [Self; 8] = [
        Self::NoOverload,
        Self::DivideByZero,
        Self::Overflow,
        Self::NoSuchEntry,
        Self::BadText,
        Self::TooCostly,
        Self::NotFinite,
        Self::BadImage,
    ];

    #[cfg(feature = "compile")]
    pub(crate) fn number(self) -> u32 {
        self as u32
    }

    pub(crate) fn from_number(number: u32) -> Self {
        let place = usize::try_from(number).unwrap_or(usize::MAX);
        Self::ALL.get(place).copied().unwrap_or(Self::BadImage)
    }
}

impl From<Fail> for Truth {
    fn from(fail: Fail) -> Self {
        match fail {
            Fail::Missing(slot) => Truth::Missing(slot),
            Fail::Error(code) => Truth::Error(code),
        }
    }
}

impl From<Code> for Fail {
    fn from(code: Code) -> Self {
        Fail::Error(code)
    }
}
