//! Conditions and ranking formulas at run time: a shared graph of predicates, evaluated at most
//! once each in a decision, and an index that finds the rules that match without trying each.
//! Compiled by `compile::cel`. It must never know what a rule is for: an offer, an audience.
//!
//! ```text
//! let slot = rules.slot("profile.tier");          // once per workspace
//! facts.set(&rules, slot, &Value::String(..));    // when a trait changes; resident between
//! facts.set_now(&rules, now_ms);                  // once per decision
//! scratch.begin();                                // once per decision
//! rules.matching(group, &facts, &mut scratch, |rule| ..);
//! ```

mod calendar;
mod eval;
mod facts;
mod image;
mod index;
mod number;
mod operators;
mod pattern;
mod truth;
mod value;
mod version;

/// What the compiler builds an image with.
#[cfg(feature = "compile")]
pub(crate) mod draft {
    pub(crate) use super::calendar::{duration_in_range, format_duration, format_time, part_named};
    pub(crate) use super::eval::Draft;
    pub(crate) use super::image::{Image, KeySet, Node, Op, SlotDef};
    pub(crate) use super::number::{double_key, to_double, to_int};
    pub(crate) use super::operators::Val;
    #[cfg(test)]
    pub(crate) use super::pattern::Threads;
    pub(crate) use super::pattern::{Program, Step};
    pub(crate) use super::truth::{Code, Fail};
    pub(crate) use super::value::Kind;
    pub(crate) use super::version::Version;
}

use std::ops::ControlFlow;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use calendar::civil_day;
pub use eval::Scratch;
use eval::{Run, at};
pub use facts::Facts;
pub use image::Span;
use image::{Image, KeySet};
use index::Index;
pub use truth::{Code, Fail, Truth};
pub use value::{Kind, Value};

/// One value that conditions read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Slot(pub u16);

/// A condition or a formula.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RuleId(pub u32);

/// Rules that are searched together, in the order of their rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct GroupId(pub u32);

/// The conjunct that a condition fails at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed {
    /// Where it stands in the source; None where the image was stripped of places.
    pub span: Option<Span>,
    /// What it came to.
    pub truth: Truth,
}

/// All conditions of a workspace, ready to run.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    image: Image,
    /// The key sets with their bounds summed up.
    keys: Vec<KeySet>,
    /// The slots' cuts summed up.
    cuts: Vec<Vec<i64>>,
    /// Slot to the slot that reads it as a version.
    version_views: Vec<Option<u16>>,
    symbols: index::Symbols,
    groups: Vec<Index>,
}

impl Rules {
    /// Builds the tables that the image leaves out.
    pub(crate) fn from_image(image: Image) -> Self {
        let mut rules = Self { image, ..Self::default() };
        for slot in &rules.image.slots {
            let mut key = i64::MIN;
            let sum = |step: &u64| {
                key = key.wrapping_add_unsigned(*step);
                key
            };
            rules.cuts.push(slot.cuts.iter().map(sum).collect());
        }
        for key in &rules.image.keys {
            let mut segment = 0_u32;
            let sum = |step: &u32| {
                segment = segment.saturating_add(*step);
                segment
            };
            let bounds = key.bounds.iter().map(sum).collect();
            rules.keys.push(KeySet { bounds, slot: key.slot, needs_value: key.needs_value });
        }
        rules.version_views = vec![None; rules.image.slots.len()];
        for (slot, view) in rules.image.slots.iter().zip(0..) {
            if let Some(read) = slot.version_of
                && let Some(entry) = rules.version_views.get_mut(usize::from(read))
            {
                *entry = Some(view);
            }
        }
        rules.symbols = index::Symbols::new(&rules.image.symbols);
        rules.groups = rules.image.groups.iter().map(|group| Index::new(&rules, group)).collect();
        rules
    }

    /// The slot of `profile.tier`, `request.country`, ..., where it was declared.
    pub fn slot(&self, path: &str) -> Option<Slot> {
        let known = self.image.slots.iter().zip(0..).find(|(slot, _)| slot.path == path);
        known.filter(|_| !path.is_empty()).map(|(_, place)| Slot(place))
    }

    /// The path of a slot, for messages.
    pub fn path(&self, slot: Slot) -> Option<&str> {
        self.image.slots.get(usize::from(slot.0)).map(|slot| slot.path.as_str())
    }

    /// The declared type of a slot.
    pub fn kind(&self, slot: Slot) -> Option<Kind> {
        self.image.slots.get(usize::from(slot.0)).map(|slot| slot.kind)
    }

    /// What a condition comes to. [`Scratch::begin`] goes before.
    pub fn truth(&self, rule: RuleId, facts: &Facts, scratch: &mut Scratch) -> Truth {
        self.failed(rule, facts, scratch).map_or(Truth::Match, |failed| failed.truth)
    }

    /// The first conjunct that is false, or else the first that cannot be told; None where the
    /// condition matches.
    pub fn failed(&self, rule: RuleId, facts: &Facts, scratch: &mut Scratch) -> Option<Failed> {
        let Some(conjuncts) = self.image.rules.get(at(rule.0)) else {
            return Some(Failed { span: None, truth: Truth::Error(Code::BadImage) });
        };
        let spans = self.image.spans.get(at(rule.0));
        let mut run = Run::new(self, facts, scratch);
        let mut unknown = None;
        for (place, conjunct) in conjuncts.iter().enumerate() {
            let span = || spans.and_then(|spans| spans.get(place).copied());
            match run.truth(*conjunct) {
                Truth::Match => {}
                Truth::NoMatch => return Some(Failed { span: span(), truth: Truth::NoMatch }),
                truth => unknown = unknown.or_else(|| Some(Failed { span: span(), truth })),
            }
        }
        unknown
    }

    /// What a formula comes to: always a finite number, else a reason.
    pub fn value(&self, rule: RuleId, facts: &Facts, scratch: &mut Scratch) -> Result<f64, Fail> {
        match self.image.rules.get(at(rule.0)).map(Vec::as_slice) {
            Some([node]) => Run::new(self, facts, scratch).number(*node),
            _ => Err(Fail::Error(Code::BadImage)),
        }
    }

    /// Visits the rules of a group that match, in ascending rank, until the visitor breaks off.
    /// [`Scratch::begin`] goes before.
    pub fn matching(
        &self,
        group: GroupId,
        facts: &Facts,
        scratch: &mut Scratch,
        visit: impl FnMut(RuleId) -> ControlFlow<()>,
    ) {
        if let Some(index) = self.groups.get(at(group.0)) {
            index.search(self, facts, scratch, visit);
        }
    }

    /// How many rules there are; their numbers are below.
    pub fn count(&self) -> usize {
        self.image.rules.len()
    }

    /// The rules of a group in ascending rank.
    pub fn members(&self, group: GroupId) -> impl Iterator<Item = RuleId> + '_ {
        self.image.groups.get(at(group.0)).into_iter().flatten().map(|rule| RuleId(*rule))
    }

    /// The slots that a rule reads, with those of the audiences that it asks for.
    #[cfg(feature = "compile")]
    pub fn slots_of(&self, rule: RuleId) -> impl Iterator<Item = Slot> + use<> {
        let mut slots = std::collections::BTreeSet::new();
        let mut seen = std::collections::BTreeSet::new();
        let mut open = self.image.rules.get(at(rule.0)).cloned().unwrap_or_default();
        while let Some(place) = open.pop() {
            let Some(node) = self.image.nodes.get(at(place)) else { continue };
            if !seen.insert(place) {
                continue;
            }
            let slot = match node.op {
                image::Op::Slot | image::Op::Has => u16::try_from(node.a).ok(),
                image::Op::Key => self.keys.get(at(node.a)).map(|key| key.slot),
                _ => None,
            };
            slots.extend(slot.map(|slot| Slot(self.version_of(slot).unwrap_or(slot))));
            open.extend(self.image.children(*node));
        }
        slots.into_iter()
    }

    /// The same without the places of conjuncts in their sources: what a page gets.
    pub fn without_spans(mut self) -> Self {
        self.image.spans.clear();
        self
    }

    /// The number of a text that conditions know; 0 of any other.
    fn symbol(&self, text: &str) -> u32 {
        self.symbols.find(&self.image.symbols, text).map_or(0, |place| place + 1)
    }

    /// The segment of a slot that a key lies in.
    fn segment(&self, slot: u16, key: i64) -> u32 {
        let cuts = self.cuts.get(usize::from(slot)).map_or(&[][..], Vec::as_slice);
        u32::try_from(cuts.partition_point(|cut| *cut <= key)).unwrap_or(0) + 1
    }

    /// The slot that reads the text in `slot` as a version.
    fn version_view(&self, slot: Slot) -> Option<u16> {
        self.version_views.get(usize::from(slot.0)).copied().flatten()
    }

    /// Whether a slot holds a list.
    fn is_list(&self, slot: u16) -> bool {
        self.kind(Slot(slot)).is_some_and(|kind| kind.entry().is_some())
    }

    /// The slot whose text `view` reads as a version.
    fn version_of(&self, view: u16) -> Option<u16> {
        self.image.slots.get(usize::from(view))?.version_of
    }
}

impl KeySet {
    /// Whether it holds in this segment.
    fn holds(&self, segment: u32) -> bool {
        self.bounds.partition_point(|bound| *bound <= segment) % 2 == 1
    }
}

impl Serialize for Rules {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.image.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Rules {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Image::deserialize(deserializer).map(Self::from_image)
    }
}
