//! The US Privacy string (`1YNN`): IAB's CCPA Compliance Framework, "US Privacy String", version 1;
//! also GPP's section 6. And the one answer that every opt-out signal of the United States gives.
//!
//! It must never know which visitor or which state it speaks of.

use alloc::string::String;

use super::bits::{DecodeError, MAX_STRING_BYTES, Problem};

/// What a signal says about one right to opt out.
///
/// The order is that of strictness: of two answers, the later one wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OptOut {
    /// The signal does not cover this, or says that it does not apply here.
    NotApplicable,
    /// The visitor was told of the right and did not use it.
    DidNotOptOut,
    /// The signal is malformed or contradicts itself; to be treated as an opt-out.
    Unreadable,
    /// The visitor opted out.
    OptedOut,
}

impl OptOut {
    /// The stricter of two answers.
    pub fn stricter(self, other: Self) -> Self {
        self.max(other)
    }

    /// From the numbers of a GPP section: notice (0 not applicable, 1 given, 2 not given) and
    /// choice (0 not applicable, 1 opted out, 2 did not). An opt-out stands alone; "did not opt
    /// out" counts only if notice was given, and "not applicable" only if it was not.
    pub(crate) fn from_fields(notice: u8, choice: u8) -> Self {
        match (choice, notice) {
            (1, _) => Self::OptedOut,
            (2, 1) => Self::DidNotOptOut,
            (0, 0 | 2) => Self::NotApplicable,
            _ => Self::Unreadable,
        }
    }
}

/// One character of the US Privacy string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// `Y`
    Yes,
    /// `N`
    No,
    /// `-`
    NotApplicable,
}

impl Choice {
    fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            b'Y' | b'y' => Some(Self::Yes),
            b'N' | b'n' => Some(Self::No),
            b'-' => Some(Self::NotApplicable),
            _ => None,
        }
    }

    /// The character in the string.
    pub fn as_char(self) -> char {
        match self {
            Self::Yes => 'Y',
            Self::No => 'N',
            Self::NotApplicable => '-',
        }
    }

    /// The same answer in GPP's numbers.
    fn number(self) -> u8 {
        match self {
            Self::NotApplicable => 0,
            Self::Yes => 1,
            Self::No => 2,
        }
    }
}

/// A US Privacy string, decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsPrivacy {
    /// The visitor was told of her right to opt out.
    pub notice: Choice,
    /// She opted out of the sale of personal data.
    pub opt_out_sale: Choice,
    /// The publisher signed the IAB's Limited Service Provider Agreement.
    pub lspa_covered: Choice,
}

impl UsPrivacy {
    /// Decodes the four characters: version, notice, opt-out of sale, covered by the LSPA.
    pub fn decode(input: &str) -> Result<Self, DecodeError> {
        if input.len() > MAX_STRING_BYTES {
            return Err(DecodeError::new(Problem::TooLong, MAX_STRING_BYTES));
        }
        Self::decode_at(input, 0)
    }

    /// As [`Self::decode`], for text that starts at byte `base` of the input.
    pub(crate) fn decode_at(text: &str, base: usize) -> Result<Self, DecodeError> {
        let mut bytes = text.bytes();
        match bytes.next() {
            None => return Err(DecodeError::new(Problem::Empty, base)),
            Some(b'1') => {}
            Some(_) => return Err(DecodeError::new(Problem::UnsupportedVersion, base)),
        }
        let mut choice = |at: usize| match bytes.next() {
            None => Err(DecodeError::new(Problem::Truncated, base + text.len())),
            Some(byte) => {
                Choice::from_byte(byte).ok_or(DecodeError::new(Problem::BadChoice, base + at))
            }
        };
        let string =
            Self { notice: choice(1)?, opt_out_sale: choice(2)?, lspa_covered: choice(3)? };
        if text.len() > 4 {
            return Err(DecodeError::new(Problem::TrailingData, base + 4));
        }
        Ok(string)
    }

    /// Writes the string.
    pub fn encode(&self) -> String {
        let choices = [self.notice, self.opt_out_sale, self.lspa_covered];
        core::iter::once('1').chain(choices.map(Choice::as_char)).collect()
    }

    /// Whether the visitor opted out of the sale of personal data.
    pub fn sale_opt_out(&self) -> OptOut {
        OptOut::from_fields(self.notice.number(), self.opt_out_sale.number())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_right_that_was_not_announced_cannot_have_been_declined() {
        let sale = |text: &str| UsPrivacy::decode(text).unwrap().sale_opt_out();
        assert_eq!(sale("1YNN"), OptOut::DidNotOptOut);
        assert_eq!(sale("1YYN"), OptOut::OptedOut);
        assert_eq!(sale("1NYN"), OptOut::OptedOut);
        assert_eq!(sale("1NNN"), OptOut::Unreadable);
        assert_eq!(sale("1Y-N"), OptOut::Unreadable);
        assert_eq!(sale("1---"), OptOut::NotApplicable);
    }

    #[test]
    fn errors_name_the_byte() {
        let refused = |text: &str| {
            let error = UsPrivacy::decode(text).unwrap_err();
            (error.code(), error.at())
        };
        assert_eq!(refused(""), ("empty", 0));
        assert_eq!(refused("2YNN"), ("unsupported_version", 0));
        assert_eq!(refused("1YX-"), ("bad_choice", 2));
        assert_eq!(refused("1YN"), ("truncated", 3));
        assert_eq!(refused("1YNN~"), ("trailing_data", 4));
        assert_eq!(refused("1Yé"), ("bad_choice", 2));
    }
}
