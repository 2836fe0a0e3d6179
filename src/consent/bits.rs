//! Bits out of base64url text, for every consent format of the IAB: integers, letters, Fibonacci
//! code words, and the one error type that all decoders share.
//!
//! It must never know what a field means, and never allocate more than the text it was given.

use alloc::string::String;
use core::fmt;

/// The longest consent string that is looked at, in bytes. Four vendor lists that name all 65,535
/// vendors one bit at a time take 43,692 characters; no header or cookie carries more than this.
pub const MAX_STRING_BYTES: usize = 65_536;

/// The highest identifier a list may hold: the fixed codings give it 16 bits, and the Fibonacci
/// coding, which has no width of its own, is held to the same.
pub const MAX_ID: u16 = u16::MAX;

/// Bits in one base64 character.
const SEXTET_BITS: usize = 6;

/// What is wrong with a consent string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Problem {
    /// Longer than [`MAX_STRING_BYTES`].
    TooLong,
    /// Nothing where a string, section or segment must stand.
    Empty,
    /// A byte outside of the base64url alphabet.
    BadCharacter,
    /// The text ends inside a field.
    Truncated,
    /// Bits that are not zero follow the last field.
    TrailingData,
    /// An encoding version that no specification defines.
    UnsupportedVersion,
    /// The framework policy is older than the settings accept.
    PolicyTooOld,
    /// A letter outside of `A` to `Z`.
    BadLetter,
    /// An identifier of zero, or above [`MAX_ID`].
    BadId,
    /// A range that ends before it starts, or beyond the stated maximum.
    BadRange,
    /// A segment whose type is not defined here.
    UnknownSegment,
    /// The same segment twice.
    DuplicateSegment,
    /// The policy demands the disclosed vendors, and they are absent.
    DisclosedVendorsMissing,
    /// A string of global scope says that purpose 1 was not disclosed.
    GlobalPurposeOneTreatment,
    /// The header names more or fewer sections than the string has.
    SectionCountMismatch,
    /// A section that no decoder here knows.
    UnknownSection,
    /// A character that the US Privacy string does not define.
    BadChoice,
    /// Neither a TC string, nor a GPP string, nor a US Privacy string.
    UnknownFormat,
}

/// Why a consent string was refused, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeError {
    problem: Problem,
    at: usize,
}

impl DecodeError {
    pub(crate) fn new(problem: Problem, at: usize) -> Self {
        Self { problem, at }
    }

    /// What is wrong.
    pub fn problem(&self) -> Problem {
        self.problem
    }

    /// The byte of the input at which decoding stopped; the input's length when something is
    /// missing at its end.
    pub fn at(&self) -> usize {
        self.at
    }

    /// The stable name of the problem, in snake_case.
    pub fn code(&self) -> &'static str {
        match self.problem {
            Problem::TooLong => "too_long",
            Problem::Empty => "empty",
            Problem::BadCharacter => "bad_character",
            Problem::Truncated => "truncated",
            Problem::TrailingData => "trailing_data",
            Problem::UnsupportedVersion => "unsupported_version",
            Problem::PolicyTooOld => "policy_too_old",
            Problem::BadLetter => "bad_letter",
            Problem::BadId => "bad_id",
            Problem::BadRange => "bad_range",
            Problem::UnknownSegment => "unknown_segment",
            Problem::DuplicateSegment => "duplicate_segment",
            Problem::DisclosedVendorsMissing => "disclosed_vendors_missing",
            Problem::GlobalPurposeOneTreatment => "global_purpose_one_treatment",
            Problem::SectionCountMismatch => "section_count_mismatch",
            Problem::UnknownSection => "unknown_section",
            Problem::BadChoice => "bad_choice",
            Problem::UnknownFormat => "unknown_format",
        }
    }

    /// The problem in words; the position is not repeated.
    pub fn message(&self) -> &'static str {
        match self.problem {
            Problem::TooLong => "the string is longer than 65536 bytes",
            Problem::Empty => "nothing to decode",
            Problem::BadCharacter => "a character outside of the base64url alphabet",
            Problem::Truncated => "the text ends inside a field",
            Problem::TrailingData => "bits that are not zero follow the last field",
            Problem::UnsupportedVersion => "this encoding version is not defined",
            Problem::PolicyTooOld => "the policy version is older than the settings accept",
            Problem::BadLetter => "a letter outside of A to Z",
            Problem::BadId => "an identifier that is zero or above 65535",
            Problem::BadRange => "a range that ends before it starts or beyond its maximum",
            Problem::UnknownSegment => "a segment of an unknown type",
            Problem::DuplicateSegment => "a segment that was already given",
            Problem::DisclosedVendorsMissing => {
                "the policy demands the disclosed vendors, which are absent"
            }
            Problem::GlobalPurposeOneTreatment => {
                "a string of global scope must not set purpose one treatment"
            }
            Problem::SectionCountMismatch => {
                "the header does not name as many sections as the string has"
            }
            Problem::UnknownSection => "no decoder for this section",
            Problem::BadChoice => "a choice that the US Privacy string does not define",
            Problem::UnknownFormat => "neither a TC string nor a GPP or US Privacy string",
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (at byte {})", self.message(), self.at)
    }
}

impl core::error::Error for DecodeError {}

/// A fixed number of yes-or-no answers, the first for identifier 1. At most 64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Flags {
    bits: u64,
    width: u8,
}

impl Flags {
    /// The flags of a field of `width` bits, given as the integer that the field reads as.
    pub fn new(bits: u64, width: u8) -> Self {
        let width = width.min(64);
        let mask = if width == 64 { u64::MAX } else { (1_u64 << width) - 1 };
        Self { bits: bits & mask, width }
    }

    /// No to all of `width` questions.
    pub const fn none(width: u8) -> Self {
        Self { bits: 0, width }
    }

    /// How many answers there are.
    pub fn width(&self) -> u8 {
        self.width
    }

    /// The field as an integer, as it stands in the string.
    pub fn bits(&self) -> u64 {
        self.bits
    }

    /// The answer for `id`; no for zero and for what the field does not cover.
    pub fn has(&self, id: u8) -> bool {
        id > 0 && id <= self.width && (self.bits >> (self.width - id)) & 1 == 1
    }

    /// The answers in order.
    pub fn iter(&self) -> impl Iterator<Item = bool> + '_ {
        (1..=self.width).map(|id| self.has(id))
    }

    /// The identifiers answered with yes, ascending.
    pub fn ids(&self) -> impl Iterator<Item = u8> + '_ {
        (1..=self.width).filter(|id| self.has(*id))
    }
}

/// Two letters: a language or a country. Always `A` to `Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Letters([u8; 2]);

impl Letters {
    /// From two capital letters.
    pub fn new(first: u8, second: u8) -> Option<Self> {
        (first.is_ascii_uppercase() && second.is_ascii_uppercase()).then_some(Self([first, second]))
    }

    /// The letters as text.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or_default()
    }

    fn sextets(self) -> u64 {
        let [first, second] = self.0;
        u64::from(first - b'A') << 6 | u64::from(second - b'A')
    }
}

/// A reader over one segment. Positions in errors are positions in the whole input.
#[derive(Clone, Debug)]
pub(crate) struct Bits<'a> {
    text: &'a [u8],
    base: usize,
    next_bit: usize,
}

fn sextet(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'-' => Some(62),
        b'_' => Some(63),
        _ => None,
    }
}

impl<'a> Bits<'a> {
    /// A reader over `text`, which starts at byte `base` of the input.
    pub(crate) fn new(text: &'a str, base: usize) -> Result<Self, DecodeError> {
        let text = text.as_bytes();
        if text.is_empty() {
            return Err(DecodeError::new(Problem::Empty, base));
        }
        match text.iter().position(|byte| sextet(*byte).is_none()) {
            Some(bad) => Err(DecodeError::new(Problem::BadCharacter, base + bad)),
            None => Ok(Self { text, base, next_bit: 0 }),
        }
    }

    /// The byte of the input that holds the next bit.
    pub(crate) fn at(&self) -> usize {
        self.base + self.next_bit / SEXTET_BITS
    }

    pub(crate) fn error(&self, problem: Problem) -> DecodeError {
        DecodeError::new(problem, self.at())
    }

    /// How many bits are left, padding included.
    pub(crate) fn remaining(&self) -> usize {
        (self.text.len() * SEXTET_BITS).saturating_sub(self.next_bit)
    }

    /// The next `width` bits, at most 64, most significant first.
    pub(crate) fn int(&mut self, width: usize) -> Result<u64, DecodeError> {
        if width > self.remaining() {
            return Err(DecodeError::new(Problem::Truncated, self.base + self.text.len()));
        }
        let mut value = 0_u64;
        let mut wanted = width;
        while wanted > 0 {
            let byte = self.text.get(self.next_bit / SEXTET_BITS).copied().unwrap_or(b'A');
            let left = SEXTET_BITS - self.next_bit % SEXTET_BITS;
            let taken = wanted.min(left);
            let chunk = (sextet(byte).unwrap_or(0) >> (left - taken)) & ((1 << taken) - 1);
            value = value << taken | u64::from(chunk);
            self.next_bit += taken;
            wanted -= taken;
        }
        Ok(value)
    }

    pub(crate) fn flag(&mut self) -> Result<bool, DecodeError> {
        Ok(self.int(1)? == 1)
    }

    /// The next `width` bits, at most 8.
    pub(crate) fn byte(&mut self, width: usize) -> Result<u8, DecodeError> {
        let at = self.error(Problem::BadRange);
        u8::try_from(self.int(width)?).map_err(|_| at)
    }

    /// The next `width` bits, at most 16.
    pub(crate) fn short(&mut self, width: usize) -> Result<u16, DecodeError> {
        let at = self.error(Problem::BadRange);
        u16::try_from(self.int(width)?).map_err(|_| at)
    }

    pub(crate) fn flags(&mut self, width: u8) -> Result<Flags, DecodeError> {
        Ok(Flags::new(self.int(usize::from(width))?, width))
    }

    pub(crate) fn letters(&mut self) -> Result<Letters, DecodeError> {
        let at = self.error(Problem::BadLetter);
        let first = self.byte(6)?.saturating_add(b'A');
        let second = self.byte(6)?.saturating_add(b'A');
        Letters::new(first, second).ok_or(at)
    }

    /// The next Fibonacci code word: the weights 1, 2, 3, 5, 8, ... of its set bits, ended by two
    /// set bits in a row. A value has at least 1 and at most [`MAX_ID`].
    pub(crate) fn fibonacci(&mut self) -> Result<u16, DecodeError> {
        let start = self.error(Problem::BadId);
        let (mut weight, mut next_weight) = (1_u32, 2_u32);
        let (mut value, mut previous) = (0_u32, false);
        loop {
            let set = self.flag()?;
            if set && previous {
                return u16::try_from(value).map_err(|_| start);
            }
            // No further bit can be part of a value that fits, so that a run of zeros is short.
            if weight > u32::from(MAX_ID) {
                return Err(start);
            }
            if set {
                value += weight;
            }
            (weight, next_weight) = (next_weight, weight + next_weight);
            previous = set;
        }
    }

    /// Checks that only padding is left: any number of zero bits.
    pub(crate) fn finish(mut self) -> Result<(), DecodeError> {
        while self.remaining() > 0 {
            let at = self.error(Problem::TrailingData);
            if self.int(self.remaining().min(SEXTET_BITS))? != 0 {
                return Err(at);
            }
        }
        Ok(())
    }
}

/// The code word of `value` and its width in bits; an empty one for zero.
pub(crate) fn fibonacci_word(value: u16) -> (u64, usize) {
    let (mut weight, mut next_weight) = (1_u32, 2_u32);
    while next_weight <= u32::from(value) {
        (weight, next_weight) = (next_weight, weight + next_weight);
    }
    if value == 0 {
        return (0, 0);
    }
    let mut rest = u32::from(value);
    // From the highest weight down, so that the last bit written is the first one read; the lowest
    // bit is the extra one that ends the word.
    let (mut word, mut width) = (1_u64, 1_usize);
    while weight > 0 {
        if weight <= rest {
            rest -= weight;
            word |= 1 << width;
        }
        width += 1;
        (weight, next_weight) = match weight {
            1 => (0, 0),
            _ => (next_weight - weight, weight),
        };
    }
    (word, width)
}

/// Bits into base64url text; the mirror of [`Bits`].
#[derive(Clone, Debug, Default)]
pub(crate) struct BitWriter {
    text: String,
    pending: u8,
    pending_bits: u8,
}

impl BitWriter {
    /// The low `width` bits of `value`, most significant first.
    pub(crate) fn int(&mut self, value: u64, width: usize) {
        for shift in (0..width).rev() {
            let bit = (value >> shift) & 1 == 1;
            self.pending = self.pending << 1 | u8::from(bit);
            self.pending_bits += 1;
            if self.pending_bits == 6 {
                self.flush();
            }
        }
    }

    pub(crate) fn flag(&mut self, value: bool) {
        self.int(u64::from(value), 1);
    }

    pub(crate) fn flags(&mut self, flags: Flags) {
        self.int(flags.bits(), usize::from(flags.width()));
    }

    pub(crate) fn letters(&mut self, letters: Letters) {
        self.int(letters.sextets(), 12);
    }

    /// A Fibonacci code word; zero has none and writes nothing.
    pub(crate) fn fibonacci(&mut self, value: u16) {
        let (word, width) = fibonacci_word(value);
        self.int(word, width);
    }

    fn flush(&mut self) {
        let symbol = match self.pending {
            value @ 0..=25 => b'A' + value,
            value @ 26..=51 => b'a' + (value - 26),
            value @ 52..=61 => b'0' + (value - 52),
            62 => b'-',
            _ => b'_',
        };
        self.text.push(char::from(symbol));
        self.pending = 0;
        self.pending_bits = 0;
    }

    /// The text, padded with zero bits to a whole character.
    pub(crate) fn finish(mut self) -> String {
        while self.pending_bits > 0 {
            self.int(0, 1);
        }
        self.text
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn fibonacci_words_of_the_specification_read_and_write() {
        // The table in "About Fibonacci Encoding" of the GPP string specification.
        let words: [(u16, &str); 7] = [
            (1, "11"),
            (2, "011"),
            (3, "0011"),
            (4, "1011"),
            (5, "00011"),
            (6, "10011"),
            (7, "01011"),
        ];
        for (value, word) in words {
            let mut writer = BitWriter::default();
            for bit in word.bytes() {
                writer.flag(bit == b'1');
            }
            let by_hand = writer.finish();
            let mut writer = BitWriter::default();
            writer.fibonacci(value);
            assert_eq!(writer.finish(), by_hand);
            assert_eq!(Bits::new(&by_hand, 0).unwrap().fibonacci().unwrap(), value);
        }
    }

    #[test]
    fn every_identifier_survives_the_fibonacci_coding() {
        for value in 1..=MAX_ID {
            let mut writer = BitWriter::default();
            writer.fibonacci(value);
            let text = writer.finish();
            assert_eq!(Bits::new(&text, 0).unwrap().fibonacci().unwrap(), value);
        }
    }

    #[test]
    fn an_endless_fibonacci_word_stops_early() {
        let zeros = "A".repeat(10_000);
        let mut bits = Bits::new(&zeros, 3).unwrap();
        let error = bits.fibonacci().unwrap_err();
        assert_eq!((error.code(), error.at()), ("bad_id", 3));
        assert!(bits.remaining() > 59_000, "it must not read to the end");
    }

    #[test]
    fn flags_count_from_the_left() {
        let flags = Flags::new(0b1000_0000_0001, 12);
        assert_eq!(flags.ids().collect::<Vec<_>>(), [1, 12]);
        assert!(!flags.has(0) && !flags.has(13) && flags.has(12));
    }

    #[test]
    fn errors_point_into_the_whole_input() {
        let error = Bits::new("AB=C", 10).unwrap_err();
        assert_eq!((error.code(), error.at()), ("bad_character", 12));
        let error = Bits::new("AB", 10).unwrap().int(13).unwrap_err();
        assert_eq!((error.code(), error.at()), ("truncated", 12));
        let error = Bits::new("AAAB", 10).unwrap().finish().unwrap_err();
        assert_eq!((error.code(), error.at()), ("trailing_data", 13));
    }
}
