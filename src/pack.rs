//! The bytes of what a page loads: workspace images and slices. Numbers are little-endian base 128,
//! signed ones zigzag, texts and lists come after their length. A reader goes on after a mistake
//! and says so at the end, so that no field has an error path of its own: that is what keeps the
//! page's code small. It must never allocate more than the bytes that it reads account for.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use crate::ids::{DeviceId, EventKey};
use crate::rule::{GroupId, RuleId, Slot, Value};
use crate::time::Timestamp;

/// What can be written and read.
pub(crate) trait Pack: Sized {
    /// Appends its bytes.
    fn pack(&self, out: &mut Vec<u8>);
    /// Reads it; something harmless after a mistake.
    fn unpack(from: &mut Reader<'_>) -> Self;
}

/// Bytes being read.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    failed: bool,
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, failed: false }
    }

    /// What was read, if all of it was right and nothing is left over.
    pub fn finish<T>(&self, value: T) -> Option<T> {
        (!self.failed && self.rest.is_empty()).then_some(value)
    }

    /// What was not read yet.
    #[cfg(feature = "server")]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether all was read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Something was wrong: whatever else is read is nothing.
    pub fn fail(&mut self) {
        self.failed = true;
        self.rest = &[];
    }

    #[inline(never)]
    pub fn byte(&mut self) -> u8 {
        match self.rest.split_first() {
            Some((byte, rest)) => {
                self.rest = rest;
                *byte
            }
            None => {
                self.fail();
                0
            }
        }
    }

    #[inline(never)]
    pub fn number(&mut self) -> u64 {
        let (mut number, mut shift) = (0, 0);
        while let Some((byte, rest)) = self.rest.split_first() {
            self.rest = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if *byte < 0x80 {
                return number;
            }
            shift += 7;
            if shift > 63 {
                break;
            }
        }
        self.fail();
        0
    }

    #[inline(never)]
    pub fn number_u32(&mut self) -> u32 {
        // Most numbers take one byte.
        if let [byte @ 0..=0x7f, rest @ ..] = self.rest {
            self.rest = rest;
            return u32::from(*byte);
        }
        let number = u32::try_from(self.number());
        if number.is_err() {
            self.fail();
        }
        number.unwrap_or(0)
    }

    #[inline(never)]
    pub fn int(&mut self) -> i64 {
        unzigzag(self.number())
    }

    /// The same, made for where most take one byte.
    #[inline(always)]
    pub fn small_int(&mut self) -> i64 {
        let number = match self.rest {
            [byte @ 0..=0x7f, rest @ ..] => {
                self.rest = rest;
                u64::from(*byte)
            }
            _ => self.number(),
        };
        unzigzag(number)
    }

    /// How many entries follow. Each takes a byte at least, so that a wrong length cannot ask for
    /// memory that the message does not account for.
    #[inline(never)]
    pub fn len(&mut self) -> usize {
        let len = self.number_u32() as usize;
        if len > self.rest.len() {
            self.fail();
            return 0;
        }
        len
    }

    /// As many bytes as are said to follow.
    #[inline(never)]
    pub fn bytes(&mut self) -> &'a [u8] {
        let len = self.len();
        self.take(len)
    }

    fn take(&mut self, len: usize) -> &'a [u8] {
        match self.rest.split_at_checked(len) {
            Some((bytes, rest)) => {
                self.rest = rest;
                bytes
            }
            None => {
                self.fail();
                &[]
            }
        }
    }

    /// A text, where it is.
    #[inline(never)]
    pub fn text(&mut self) -> &'a str {
        let text = text_of(self.bytes());
        if text.is_none() {
            self.fail();
        }
        text.unwrap_or_default()
    }

    #[inline(never)]
    fn array<const N: usize>(&mut self) -> [u8; N] {
        self.take(N).try_into().unwrap_or([0; N])
    }

    pub fn double(&mut self) -> f64 {
        f64::from_le_bytes(self.array())
    }

    /// One of the words of a list, by its place.
    pub fn word<T: Copy>(&mut self, words: &[T], first: T) -> T {
        let place = usize::from(self.byte());
        match words.get(place) {
            Some(word) => *word,
            None => {
                self.fail();
                first
            }
        }
    }
}

/// The text that bytes are, where they are one. The standard library's check is faster, and takes
/// three times the code.
pub fn text_of(bytes: &[u8]) -> Option<&str> {
    match bytes.utf8_chunks().next() {
        Some(chunk) => chunk.invalid().is_empty().then_some(chunk.valid()),
        None => Some(""),
    }
}

fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

/// Appends an unsigned number.
pub(crate) fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(u8::try_from(number & 0x7f).unwrap_or(0) | 0x80);
        number >>= 7;
    }
    out.push(u8::try_from(number).unwrap_or(0));
}

/// Appends a signed number.
pub(crate) fn put_int(out: &mut Vec<u8>, int: i64) {
    put_number(out, ((int << 1) ^ (int >> 63)).cast_unsigned());
}

/// Appends bytes after their length.
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

impl Pack for bool {
    fn pack(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
    fn unpack(from: &mut Reader<'_>) -> Self {
        from.byte() == 1
    }
}

impl Pack for u16 {
    fn pack(&self, out: &mut Vec<u8>) {
        put_number(out, u64::from(*self));
    }
    fn unpack(from: &mut Reader<'_>) -> Self {
        let number = Self::try_from(from.number_u32());
        if number.is_err() {
            from.fail();
        }
        number.unwrap_or(0)
    }
}

impl Pack for u32 {
    fn pack(&self, out: &mut Vec<u8>) {
        put_number(out, u64::from(*self));
    }
    fn unpack(from: &mut Reader<'_>) -> Self {
        from.number_u32()
    }
}

impl Pack for i64 {
    fn pack(&self, out: &mut Vec<u8>) {
        put_int(out, *self);
    }
    fn unpack(from: &mut Reader<'_>) -> Self {
        from.int()
    }
}

impl Pack for i32 {
    fn pack(&self, out: &mut Vec<u8>) {
        put_int(out, i64::from(*self));
    }
    fn unpack(from: &mut Reader<'_>) -> Self {
        let number = Self::try_from(from.int());
        if number.is_err() {
            from.fail();
        }
        number.unwrap_or(0)
    }
}

impl Pack for i16 {
    fn pack(&self, out: &mut Vec<u8>) {
        put_int(out, i64::from(*self));
    }
    fn unpack(from: &mut Reader<'_>) -> Self {
        let number = Self::try_from(from.int());
        if number.is_err() {
            from.fail();
        }
        number.unwrap_or(0)
    }
}

impl Pack for f64 {
    fn pack(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_le_bytes());
    }
    fn unpack(from: &mut Reader<'_>) -> Self {
        from.double()
    }
}

impl Pack for String {
    fn pack(&self, out: &mut Vec<u8>) {
        put_bytes(out, self.as_bytes());
    }
    fn unpack(from: &mut Reader<'_>) -> Self {
        from.text().to_owned()
    }
}

impl<T: Pack> Pack for Option<T> {
    fn pack(&self, out: &mut Vec<u8>) {
        self.is_some().pack(out);
        if let Some(value) = self {
            value.pack(out);
        }
    }
    fn unpack(from: &mut Reader<'_>) -> Self {
        bool::unpack(from).then(|| T::unpack(from))
    }
}

impl<T: Pack> Pack for Vec<T> {
    fn pack(&self, out: &mut Vec<u8>) {
        put_number(out, self.len() as u64);
        for value in self {
            value.pack(out);
        }
    }
    #[cfg_attr(feature = "server", inline(never))]
    fn unpack(from: &mut Reader<'_>) -> Self {
        (0..from.len()).map(|_| T::unpack(from)).collect()
    }
}

impl<A: Pack, B: Pack> Pack for (A, B) {
    fn pack(&self, out: &mut Vec<u8>) {
        self.0.pack(out);
        self.1.pack(out);
    }
    fn unpack(from: &mut Reader<'_>) -> Self {
        let first = A::unpack(from);
        (first, B::unpack(from))
    }
}

/// Types that wrap one value.
macro_rules! pack_newtype {
    ($($type:ident($inner:ty)),* $(,)?) => { $(
        impl Pack for $type {
            fn pack(&self, out: &mut Vec<u8>) {
                self.0.pack(out);
            }
            fn unpack(from: &mut Reader<'_>) -> Self {
                Self(<$inner as Pack>::unpack(from))
            }
        }
    )* };
}

pack_newtype!(Slot(u16), RuleId(u32), GroupId(u32), Timestamp(i64));

/// Structs, field by field: one that is left out does not compile.
macro_rules! pack_struct {
    ($type:ident { $($field:ident),* $(,)? }) => {
        impl $crate::pack::Pack for $type {
            fn pack(&self, out: &mut Vec<u8>) {
                $(self.$field.pack(out);)*
            }
            #[cfg_attr(feature = "server", inline(never))]
            fn unpack(from: &mut $crate::pack::Reader<'_>) -> Self {
                Self { $($field: $crate::pack::Pack::unpack(from)),* }
            }
        }
    };
}

/// Enums without fields, by the place of their words; new words come last.
macro_rules! pack_words {
    ($type:ident { $($word:ident),* $(,)? }) => {
        impl $crate::pack::Pack for $type {
            fn pack(&self, out: &mut Vec<u8>) {
                out.push(*self as u8);
            }
            fn unpack(from: &mut $crate::pack::Reader<'_>) -> Self {
                const WORDS: &[$type] = &[$($type::$word),*];
                const { assert!(in_order(WORDS)) }
                const fn in_order(words: &[$type]) -> bool {
                    let mut at = 0;
                    while at < words.len() {
                        #[allow(clippy::indexing_slicing, reason = "at compile time")]
                        if words[at] as usize != at {
                            return false;
                        }
                        at += 1;
                    }
                    true
                }
                from.word(WORDS, [$($type::$word),*][0])
            }
        }
    };
}

pub(crate) use {pack_struct, pack_words};

impl Pack for DeviceId {
    fn pack(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }
    fn unpack(from: &mut Reader<'_>) -> Self {
        Self(from.array())
    }
}

impl Pack for EventKey {
    fn pack(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }
    fn unpack(from: &mut Reader<'_>) -> Self {
        Self(from.array())
    }
}

/// Something that is seldom looked at, and stays packed until it is; empty of nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packed(Vec<u8>);

impl Packed {
    pub(crate) fn new<T: Pack>(value: &T) -> Self {
        let mut bytes = Vec::new();
        value.pack(&mut bytes);
        Self(bytes)
    }

    pub(crate) fn get<T: Pack>(&self) -> Option<T> {
        let mut from = self.open()?;
        Some(T::unpack(&mut from))
    }

    /// None where it is empty.
    pub(crate) fn open(&self) -> Option<Reader<'_>> {
        (!self.0.is_empty()).then(|| Reader::new(&self.0))
    }
}

impl Pack for Packed {
    fn pack(&self, out: &mut Vec<u8>) {
        put_bytes(out, &self.0);
    }
    fn unpack(from: &mut Reader<'_>) -> Self {
        Self(from.bytes().to_vec())
    }
}

/// What stands before a packed list; before a single value stands which kind it is, or a bool.
pub(crate) const LIST_TAG: u8 = 7;
/// What stands before the segment of a text, in place of the text. Only facts read it.
#[cfg(feature = "server")]
pub(crate) const SEGMENT_TAG: u8 = 8;
/// What stands before the segments of a list's texts.
#[cfg(feature = "server")]
pub(crate) const SEGMENTS_TAG: u8 = 9;

impl Pack for Value {
    fn pack(&self, out: &mut Vec<u8>) {
        match self {
            Self::Bool(v) => out.push(u8::from(*v)),
            Self::Int(v) => {
                out.push(2);
                v.pack(out);
            }
            Self::Double(v) => {
                out.push(3);
                v.pack(out);
            }
            Self::String(v) => {
                out.push(4);
                v.pack(out);
            }
            Self::Timestamp(v) => {
                out.push(5);
                v.pack(out);
            }
            Self::Duration(v) => {
                out.push(6);
                v.pack(out);
            }
            Self::List(v) => {
                out.push(LIST_TAG);
                // A list within a list is none that a trait may hold.
                let flat: Vec<&Value> =
                    v.iter().filter(|one| !matches!(one, Self::List(_))).collect();
                put_number(out, flat.len() as u64);
                for one in flat {
                    one.pack(out);
                }
            }
        }
    }

    fn unpack(from: &mut Reader<'_>) -> Self {
        match from.byte() {
            kind @ (0 | 1) => Self::Bool(kind == 1),
            2 => Self::Int(from.int()),
            3 => Self::Double(from.double()),
            4 => Self::String(String::unpack(from)),
            5 => Self::Timestamp(from.int()),
            6 => Self::Duration(from.int()),
            LIST_TAG => {
                let entry = |from: &mut Reader<'_>| match from.rest.first() {
                    Some(0..=6) => Self::unpack(from),
                    _ => {
                        from.fail();
                        Self::Bool(false)
                    }
                };
                Self::List((0..from.len()).map(|_| entry(from)).collect())
            }
            _ => {
                from.fail();
                Self::Bool(false)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn back<T: Pack>(value: &T) -> Option<T> {
        let mut bytes = Vec::new();
        value.pack(&mut bytes);
        let mut reader = Reader::new(&bytes);
        let read = T::unpack(&mut reader);
        reader.finish(read)
    }

    #[test]
    fn numbers_come_back() {
        for number in [0, 1, -1, 63, -64, 64, i64::MIN, i64::MAX] {
            assert_eq!(back(&number), Some(number));
        }
        for number in [0, 127, 128, u32::MAX] {
            assert_eq!(back(&number), Some(number));
        }
        assert_eq!(back(&-0.5), Some(-0.5));
    }

    #[test]
    fn values_come_back() {
        let value = Value::List(vec![
            Value::String("ä".into()),
            Value::Bool(true),
            Value::Int(-7),
            Value::Timestamp(5),
            Value::Duration(-5),
            Value::Double(1.5),
        ]);
        assert_eq!(back(&value), Some(value));
    }

    #[test]
    fn what_is_cut_off_or_too_long_is_nothing() {
        let mut bytes = Vec::new();
        vec!["one".to_owned(), "two".to_owned()].pack(&mut bytes);
        for end in 0..bytes.len() {
            let mut reader = Reader::new(bytes.get(..end).unwrap());
            let read = Vec::<String>::unpack(&mut reader);
            assert_eq!(reader.finish(read), None, "cut at {end}");
        }
        bytes.push(0);
        let mut reader = Reader::new(&bytes);
        let read = Vec::<String>::unpack(&mut reader);
        assert_eq!(reader.finish(read), None);
    }

    #[test]
    fn a_length_beyond_the_bytes_asks_for_no_memory() {
        let mut bytes = Vec::new();
        put_number(&mut bytes, u64::from(u32::MAX));
        let mut reader = Reader::new(&bytes);
        assert_eq!(Vec::<Value>::unpack(&mut reader).capacity(), 0);
        assert!(reader.finish(()).is_none());
    }

    #[test]
    fn a_list_in_a_list_is_refused() {
        let mut reader = Reader::new(&[7, 1, 7, 1, 7, 1, 0]);
        let read = Value::unpack(&mut reader);
        assert_eq!(reader.finish(read), None);
    }
}
