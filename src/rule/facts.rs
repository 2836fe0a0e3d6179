//! What is known at one decision: a value per slot, kept resident, with the segment in which each
//! lies looked up when it is set. It must never know which conditions read it.

use alloc::borrow::ToOwned;
use alloc::vec;
use alloc::vec::Vec;

use super::calendar::parse_time;
use super::image::Column;
use super::number::{double_key, to_double, whole};
use super::value::{Kind, Value};
use super::version::Version;
use super::{Rules, Slot};
use crate::pack::{LIST_TAG, Reader};
#[cfg(feature = "server")]
use crate::pack::{SEGMENT_TAG, SEGMENTS_TAG};

/// The segment of a missing value.
pub(super) const MISSING: u32 = 0;
/// What stands for the segment of a list that is there; its entries have their own.
pub(super) const LIST: u32 = 1;

/// The values that conditions read. They belong to the [`Rules`] that they were made for: a new
/// workspace needs new facts.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    values: Vec<Option<Value>>,
    /// Slot to the segment of its value. Together, so that a decision reads few lines of memory.
    segments: Vec<u32>,
    /// Slot to the segments of its entries, each once, where its type is a list.
    pub(super) lists: Vec<Option<Vec<u32>>>,
}

/// A value that is no list, borrowed.
#[derive(Clone, Copy)]
enum Scalar<'a> {
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(&'a str),
    Timestamp(i64),
    Duration(i64),
}

impl Facts {
    /// Every slot missing.
    #[cfg_attr(feature = "server", inline(never))]
    pub fn new(rules: &Rules) -> Self {
        let slots = rules.image.slots();
        let lists = (0..).map(|slot| rules.is_list(slot)).take(slots);
        Self {
            // Not by `vec!`, which would want to copy values.
            values: (0..slots).map(|_| None).collect(),
            segments: vec![MISSING; slots],
            lists: lists.map(|is_list| is_list.then(|| vec![MISSING])).collect(),
        }
    }

    /// Holds `value` in `slot`, or nothing where the value is not of the declared type. An integer
    /// is taken for a double, a whole double for an integer, RFC 3339 text for a timestamp. Of a
    /// list, the entries of the declared type are held.
    pub fn set(&mut self, rules: &Rules, slot: Slot, value: &Value) {
        let Some(kind) = rules.kind(slot) else { return };
        match (kind.entry(), value) {
            (Some(kind), Value::List(entries)) => {
                self.set_list(rules, slot, kind, entries.iter().filter_map(Scalar::of));
            }
            _ => self.set_scalar(rules, slot, Scalar::of(value).and_then(|s| s.cast(kind))),
        }
    }

    /// The same as [`set`](Self::set) of a packed value, where it stands.
    pub(crate) fn read(&mut self, rules: &Rules, slot: Slot, from: &mut Reader<'_>) {
        let kind = rules.kind(slot);
        let tag = from.byte();
        #[cfg(feature = "server")]
        if matches!(tag, SEGMENT_TAG | SEGMENTS_TAG) {
            return self.read_segments(rules, slot, tag == SEGMENTS_TAG, from);
        }
        if tag != LIST_TAG {
            let scalar = Scalar::read(tag, from).and_then(|scalar| scalar.cast(kind?));
            return self.set_scalar(rules, slot, scalar);
        }
        let entries = from.len();
        let mut entries = (0..entries).map(|_| {
            let tag = from.byte();
            Scalar::read(tag, from)
        });
        match kind.and_then(Kind::entry) {
            Some(kind) => self.set_list(rules, slot, kind, entries.by_ref().flatten()),
            None => self.set_scalar(rules, slot, None),
        }
        entries.for_each(drop);
    }

    /// The same as [`set`](Self::set) of a text, without a [`Value`] made for it.
    pub fn set_text(&mut self, rules: &Rules, slot: Slot, text: &str) {
        let Some(kind) = rules.kind(slot) else { return };
        self.set_scalar(rules, slot, Scalar::Text(text).cast(kind));
    }

    /// Forgets the value in `slot`. One that reads another's text as a version follows that one.
    pub fn clear(&mut self, rules: &Rules, slot: Slot) {
        if rules.image.version_of(slot.0).is_none() {
            self.set_scalar(rules, slot, None);
        }
    }

    /// Forgets every value.
    pub fn clear_all(&mut self, rules: &Rules) {
        self.clear_from(rules, 0);
    }

    /// Forgets the values in this slot and all behind it.
    pub fn clear_from(&mut self, rules: &Rules, first: u16) {
        for slot in (0..).take(self.values.len()).skip(usize::from(first)) {
            self.clear(rules, Slot(slot));
        }
    }

    /// What conditions see as `now`, in milliseconds since 1970.
    pub fn set_now(&mut self, rules: &Rules, now_ms: i64) {
        let slot = rules.image.number(Column::Now, 0).and_then(|now| u16::try_from(now).ok());
        if let Some(slot) = slot {
            self.set_scalar(rules, Slot(slot), Some(Scalar::Timestamp(now_ms)));
        }
    }

    /// The value in `slot`, where there is one.
    pub fn get(&self, slot: Slot) -> Option<&Value> {
        self.values.get(usize::from(slot.0))?.as_ref()
    }

    /// The segment of the value in `slot`, which is no list.
    pub(super) fn segment(&self, slot: u16) -> u32 {
        self.segments.get(usize::from(slot)).copied().unwrap_or(MISSING)
    }

    /// The segments of the entries of the list in `slot`; that of the missing value where there is
    /// no list; None where the slot's type is none.
    pub(super) fn entries(&self, slot: u16) -> Option<&[u32]> {
        self.lists.get(usize::from(slot))?.as_deref()
    }

    pub(super) fn set_segment(&mut self, slot: u16, segment: u32) {
        if let Some(held) = self.segments.get_mut(usize::from(slot)) {
            *held = segment;
        }
    }

    fn set_scalar(&mut self, rules: &Rules, slot: Slot, scalar: Option<Scalar<'_>>) {
        if let Some(view) = rules.version_view(slot) {
            let version = match scalar {
                Some(Scalar::Text(text)) => Version::parse(text),
                _ => None,
            };
            self.set_segment(view, version.map_or(MISSING, |v| rules.segment(view, v.key())));
        }
        if let Some(Some(list)) = self.lists.get_mut(usize::from(slot.0)) {
            list.clear();
            list.push(MISSING);
        }
        let segment = scalar.map_or(MISSING, |scalar| rules.segment(slot.0, scalar.key(rules)));
        self.set_segment(slot.0, segment);
        let Some(held) = self.values.get_mut(usize::from(slot.0)) else { return };
        match (held, scalar) {
            (Some(value), Some(scalar)) => scalar.store(value),
            (held, scalar) => *held = scalar.map(Scalar::to_value),
        }
    }

    #[cfg_attr(feature = "server", inline(never))]
    fn set_list<'a>(
        &mut self,
        rules: &Rules,
        slot: Slot,
        kind: Kind,
        entries: impl Iterator<Item = Scalar<'a>>,
    ) {
        let place = usize::from(slot.0);
        self.set_segment(slot.0, LIST);
        let Some(held) = self.values.get_mut(place) else { return };
        let Some(Some(segments)) = self.lists.get_mut(place) else { return };
        if !matches!(held, Some(Value::List(_))) {
            *held = Some(Value::List(Vec::new()));
        }
        let Some(Value::List(held)) = held else { return };
        segments.clear();
        let mut len = 0;
        for entry in entries.filter_map(|entry| entry.cast(kind)) {
            let segment = rules.segment(slot.0, entry.key(rules));
            if !segments.contains(&segment) {
                segments.push(segment);
            }
            match held.get_mut(len) {
                Some(value) => entry.store(value),
                None => held.push(entry.to_value()),
            }
            len += 1;
        }
        held.truncate(len);
    }
}

impl<'a> Scalar<'a> {
    /// A packed value that is no list.
    #[cfg_attr(feature = "server", inline(never))]
    fn read(tag: u8, from: &mut Reader<'a>) -> Option<Self> {
        Some(match tag {
            0 | 1 => Self::Bool(tag == 1),
            2 => Self::Int(from.int()),
            3 => Self::Double(from.double()),
            4 => Self::Text(from.text()),
            5 => Self::Timestamp(from.int()),
            6 => Self::Duration(from.int()),
            _ => {
                from.fail();
                return None;
            }
        })
    }

    fn of(value: &'a Value) -> Option<Self> {
        Some(match value {
            Value::Bool(v) => Self::Bool(*v),
            Value::Int(v) => Self::Int(*v),
            Value::Double(v) => Self::Double(*v),
            Value::String(v) => Self::Text(v),
            Value::Timestamp(v) => Self::Timestamp(*v),
            Value::Duration(v) => Self::Duration(*v),
            Value::List(_) => return None,
        })
    }

    /// As a value of `kind`, where it is one.
    fn cast(self, kind: Kind) -> Option<Self> {
        Some(match (kind, self) {
            (Kind::Bool, Self::Bool(_))
            | (Kind::Int, Self::Int(_))
            | (Kind::Double, Self::Double(_))
            | (Kind::String, Self::Text(_))
            | (Kind::Timestamp, Self::Timestamp(_))
            | (Kind::Duration, Self::Duration(_)) => self,
            (Kind::Double, Self::Int(v)) => Self::Double(to_double(v)),
            (Kind::Int, Self::Double(v)) => Self::Int(whole(v)?),
            (Kind::Timestamp, Self::Text(v)) => Self::Timestamp(parse_time(v)?),
            _ => return None,
        })
    }

    /// The number by which conditions tell this value from others of its slot.
    #[cfg_attr(feature = "server", inline(never))]
    fn key(self, rules: &Rules) -> i64 {
        match self {
            Self::Bool(v) => i64::from(v),
            Self::Int(v) | Self::Timestamp(v) | Self::Duration(v) => v,
            Self::Double(v) => double_key(v),
            Self::Text(v) => i64::from(rules.symbol(v)),
        }
    }

    #[cfg_attr(feature = "server", inline(never))]
    fn to_value(self) -> Value {
        match self {
            Self::Bool(v) => Value::Bool(v),
            Self::Int(v) => Value::Int(v),
            Self::Double(v) => Value::Double(v),
            Self::Text(v) => Value::String(v.to_owned()),
            Self::Timestamp(v) => Value::Timestamp(v),
            Self::Duration(v) => Value::Duration(v),
        }
    }

    /// Over what was there, without giving up its memory.
    fn store(self, into: &mut Value) {
        match (into, self) {
            (Value::String(held), Self::Text(text)) => {
                held.clear();
                held.push_str(text);
            }
            (held, scalar) => *held = scalar.to_value(),
        }
    }
}
