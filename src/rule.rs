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
#[cfg(feature = "compile")]
mod clock;
mod eval;
mod facts;
mod image;
mod index;
mod number;
mod operators;
pub(crate) mod pattern;
mod plan;
#[cfg(feature = "server")]
mod segments;
mod truth;
mod value;
mod version;

/// What the compiler builds an image with.
#[cfg(feature = "compile")]
pub(crate) mod draft {
    pub(crate) use super::calendar::{
        duration_in_range, format_duration, format_time, parse_duration, part_named,
    };
    pub(crate) use super::clock::Clock;
    pub(crate) use super::eval::Constant;
    pub(crate) use super::image::{Column, Image, Node, Op};
    pub(crate) use super::number::{double_key, to_double, to_int};
    pub(crate) use super::pattern;
    pub(crate) use super::truth::{Code, Fail};
    pub(crate) use super::value::Kind;
    pub(crate) use super::version::Version;
}

use alloc::vec;
use alloc::vec::Vec;
use core::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use crate::pack::{Pack, Reader};

pub use calendar::civil_day;
pub use eval::Scratch;
#[cfg(feature = "replay")]
pub use eval::Tally;
use eval::{Run, at};
pub use facts::Facts;
pub use image::Span;
use image::{Column, Image, Node, Op};
use index::{Index, Symbols};
pub(crate) use number::{to_double, to_int};
pub(crate) use operators::push_int;
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// Where it stands in the source; None where the image was stripped of places.
    pub span: Option<Span>,
    /// What it came to.
    pub truth: Truth,
    /// The slots that it reads, ascending.
    pub reads: Vec<Slot>,
}

/// Hears the place of a rule, and what the decision found out so far.
pub type Visit<'v> = dyn FnMut(usize, &mut Scratch) -> ControlFlow<()> + 'v;
/// The same, and hears before it whether the rule is known to hold.
pub type Sift<'v> = dyn FnMut(usize, bool, &mut Scratch) + 'v;

/// All conditions of a workspace, ready to run.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    pub(crate) image: Image,
    symbols: Symbols,
    groups: Vec<Index>,
}

/// A predicate over one slot.
#[derive(Clone, Copy)]
struct Key {
    slot: u16,
    /// Whether a missing value makes it missing.
    needs_value: bool,
}

impl Rules {
    /// Takes an image that was made or changed.
    pub(crate) fn from_image(mut image: Image) -> Self {
        plan::write(&mut image);
        let symbols = Symbols::new(&image);
        let mut rules = Self { image, symbols, groups: Vec::new() };
        rules.index();
        rules
    }

    /// Builds what finds the rules of a group that match without trying each. Until it is called, a
    /// search finds nothing.
    pub fn index(&mut self) {
        for group in 0..self.image.count(Column::MemberStarts) {
            let index = Index::new(self, group);
            self.groups.push(index);
        }
    }

    /// The bytes of the rules alone.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.pack(&mut bytes);
        bytes
    }

    /// Loads rules; None of bytes that are none.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut from = Reader::new(bytes);
        let mut rules = Self::unpack(&mut from);
        rules.index();
        from.finish(rules)
    }

    /// The slot of `profile.tier`, `request.country`, ..., where it was declared.
    pub fn slot(&self, path: &str) -> Option<Slot> {
        let mut slots = (0..).take(self.image.slots()).map(Slot);
        slots.find(|slot| !path.is_empty() && self.path(*slot) == Some(path))
    }

    /// The path of a slot, for messages.
    pub fn path(&self, slot: Slot) -> Option<&str> {
        self.image.symbol(self.image.number(Column::SlotPaths, slot.0.into())?)
    }

    /// The declared type of a slot.
    pub fn kind(&self, slot: Slot) -> Option<Kind> {
        self.image.kind(slot.0)
    }

    /// The path and the type of every slot that a host may set; an empty path stands for
    /// one that it may not.
    pub fn paths(&self) -> Vec<(&str, Option<Kind>)> {
        let slots = (0..).take(self.image.slots());
        slots
            .map(|slot| {
                let path = self.path(Slot(slot)).filter(|_| self.image.version_of(slot).is_none());
                (path.unwrap_or_default(), self.image.kind(slot))
            })
            .collect()
    }

    /// The slots of texts, and of lists of texts, that conditions know by their segments alone.
    #[cfg(feature = "keys")]
    pub fn brief_slots(&self) -> Vec<Slot> {
        let nodes = (0..).take(self.image.column(Column::NodeOps).len());
        let nodes = nodes.filter_map(|place| self.image.node(place));
        let read: alloc::collections::BTreeSet<u32> =
            nodes.filter(|node| matches!(node.op, Op::Slot | Op::Has)).map(|node| node.a).collect();
        let slots = (0..).take(self.image.slots());
        let brief = slots.filter(|slot| {
            let is_text = matches!(self.image.kind(*slot), Some(Kind::String | Kind::Strings));
            is_text && self.image.view_of(*slot).is_none() && !read.contains(&u32::from(*slot))
        });
        brief.map(Slot).collect()
    }

    /// What a condition comes to. [`Scratch::begin`] goes before.
    pub fn truth(&self, rule: RuleId, facts: &Facts, scratch: &mut Scratch) -> Truth {
        self.first_failed(rule, facts, scratch).1
    }

    /// The first conjunct that is false, or else the first that cannot be told; None where the
    /// condition matches.
    pub fn failed(&self, rule: RuleId, facts: &Facts, scratch: &mut Scratch) -> Option<Failed> {
        let (nth, truth) = self.first_failed(rule, facts, scratch);
        if truth == Truth::Match {
            return None;
        }
        let place = self.image.range(Column::ConjunctStarts, rule.0).map(|range| range.start + nth);
        let span = place.and_then(|place| self.image.column(Column::Spans).get(2 * place..));
        let span = match span {
            Some([offset, len, ..]) => Some(Span { offset: *offset, len: *len }),
            _ => None,
        };
        let node = self.conjuncts(rule.0).get(nth).copied();
        let reads = self.slots_under(node.into_iter().collect()).into_iter().collect();
        Some(Failed { span, truth, reads })
    }

    /// The same by its place among the rule's conjuncts.
    fn first_failed(&self, rule: RuleId, facts: &Facts, scratch: &mut Scratch) -> (usize, Truth) {
        if rule.0 >= self.image.count(Column::ConjunctStarts) {
            return (0, Truth::Error(Code::BadImage));
        }
        let mut run = Run::new(self, facts, scratch);
        let mut first = (0, Truth::Match);
        for (nth, conjunct) in self.conjuncts(rule.0).iter().enumerate() {
            let truth = run.truth(*conjunct);
            if truth == Truth::NoMatch {
                return (nth, truth);
            }
            if first.1 == Truth::Match {
                first = (nth, truth);
            }
        }
        first
    }

    /// What a formula comes to: always a finite number, else a reason.
    pub fn value(&self, rule: RuleId, facts: &Facts, scratch: &mut Scratch) -> Result<f64, Fail> {
        match self.conjuncts(rule.0) {
            [node] => Run::new(self, facts, scratch).number(*node),
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
        mut visit: impl FnMut(RuleId) -> ControlFlow<()>,
    ) {
        let members = self.members_of(group.0);
        self.search(group, facts, scratch, |place| match members.get(place) {
            Some(rule) => visit(RuleId(*rule)),
            None => ControlFlow::Continue(()),
        });
    }

    /// The same by their places in the group.
    pub fn search(
        &self,
        group: GroupId,
        facts: &Facts,
        scratch: &mut Scratch,
        mut visit: impl FnMut(usize) -> ControlFlow<()>,
    ) {
        self.walk(group, facts, scratch, false, &mut |place, _| visit(place));
    }

    /// The same. With `goes_on` it begins behind the rule at which the last search with `scratch`
    /// was broken off: the group and the facts must be the same.
    pub fn walk(
        &self,
        group: GroupId,
        facts: &Facts,
        scratch: &mut Scratch,
        goes_on: bool,
        visit: &mut Visit<'_>,
    ) {
        if let Some(index) = self.groups.get(at(group.0)) {
            index.walk(self, facts, scratch, goes_on, visit);
        }
    }

    /// Visits all rules of a group that match, and those of which the index cannot tell.
    pub fn sift(&self, group: GroupId, facts: &Facts, scratch: &mut Scratch, visit: &mut Sift<'_>) {
        if let Some(index) = self.groups.get(at(group.0)) {
            index.sift(self, facts, scratch, visit);
        }
    }

    /// How many rules there are; their numbers are below.
    pub fn count(&self) -> usize {
        at(self.image.count(Column::ConjunctStarts))
    }

    /// The rules of a group in ascending rank.
    pub fn members(&self, group: GroupId) -> impl Iterator<Item = RuleId> + '_ {
        self.members_of(group.0).iter().map(|rule| RuleId(*rule))
    }

    /// The slots that a rule reads, with those of the audiences that it asks for.
    #[cfg(feature = "compile")]
    pub fn slots_of(&self, rule: RuleId) -> impl Iterator<Item = Slot> + use<> {
        self.slots_under(self.conjuncts(rule.0).to_vec()).into_iter()
    }

    /// The slots that are read at these nodes and below.
    fn slots_under(&self, open: Vec<u32>) -> alloc::collections::BTreeSet<Slot> {
        let mut slots = alloc::collections::BTreeSet::new();
        self.visit_under(open, |node| slots.extend(self.slot_read_by(node)));
        slots
    }

    /// Visits these nodes and those below, each once.
    fn visit_under(&self, mut open: Vec<u32>, mut visit: impl FnMut(Node)) {
        let mut seen = alloc::collections::BTreeSet::new();
        while let Some(place) = open.pop() {
            let Some(node) = self.image.node(place).filter(|_| seen.insert(place)) else {
                continue;
            };
            visit(node);
            open.extend(self.image.children(node));
        }
    }

    /// The slot that a node reads; of a view, the one that it is a view of.
    fn slot_read_by(&self, node: Node) -> Option<Slot> {
        let slot = match node.op {
            Op::Slot | Op::Has => u16::try_from(node.a).ok(),
            Op::Key => self.key(node.a).map(|(key, _)| key.slot),
            _ => None,
        };
        slot.map(|slot| Slot(self.image.version_of(slot).unwrap_or(slot)))
    }

    /// The same without the places of conjuncts in their sources: what a page gets.
    pub fn without_spans(&self) -> Self {
        let mut image = self.image.clone();
        image.column_mut(Column::Spans).clear();
        Self { image, ..Self::default() }
    }

    /// Slots that no condition knows yet.
    pub fn free_slots(&self) -> impl Iterator<Item = Slot> + use<> {
        let first = u16::try_from(self.image.slots()).unwrap_or(u16::MAX);
        (first..u16::MAX).map(Slot)
    }

    /// Puts, in place of each rule, that its slot (of those that were free, in order) holds what
    /// somebody else found: a condition where it holds true, a formula its number.
    pub fn answer(&mut self, answers: &[(RuleId, Slot, Kind)]) {
        let image = &mut self.image;
        let cuts = image.cuts.len();
        let mut stands_in = alloc::collections::BTreeMap::new();
        for (rule, slot, kind) in answers {
            image.push(Column::SlotPaths, u32::MAX);
            image.push(Column::SlotKinds, *kind as u32);
            image.push(Column::SlotSources, 0);
            image.end_at(Column::CutStarts, cuts);
            let value = image.push_node(Node { op: Op::Slot, a: slot.0.into(), b: 0 });
            let node = match kind {
                Kind::Bool => image.push_node(Node { op: Op::Holds, a: value, b: 0 }),
                _ => value,
            };
            stands_in.insert(rule.0, node);
        }
        let count = image.count(Column::ConjunctStarts);
        let rules: Vec<Vec<u32>> = (0..count)
            .map(|rule| match stands_in.get(&rule) {
                Some(node) => vec![*node],
                None => image.part(Column::ConjunctStarts, rule, Column::Conjuncts).to_vec(),
            })
            .collect();
        image.put_parts(Column::ConjunctStarts, Column::Conjuncts, &rules);
    }

    /// Takes the paths of slots away that no condition reads, so that no host brings their values.
    pub fn hide_unread(&mut self) {
        let read = self.read_slots();
        for (slot, path) in (0..).zip(self.image.column_mut(Column::SlotPaths)) {
            if !read.contains(&Slot(slot)) {
                *path = u32::MAX;
            }
        }
    }

    /// The slots that any condition reads.
    pub fn read_slots(&self) -> alloc::collections::BTreeSet<Slot> {
        let places = (0..).take(self.image.column(Column::NodeOps).len());
        places.filter_map(|place| self.slot_read_by(self.image.node(place)?)).collect()
    }

    /// Empties every other group.
    pub fn keep_groups(&mut self, groups: &[GroupId]) {
        let count = self.image.count(Column::MemberStarts);
        let kept: Vec<Vec<u32>> = (0..count)
            .map(|group| match groups.contains(&GroupId(group)) {
                true => self.members_of(group).to_vec(),
                false => Vec::new(),
            })
            .collect();
        self.image.put_parts(Column::MemberStarts, Column::Members, &kept);
        *self = Self::from_image(core::mem::take(&mut self.image));
    }

    /// A symbol plus one, where conditions know this text; else 0.
    fn symbol(&self, text: &str) -> u32 {
        self.symbols.find(&self.image, text)
    }

    /// The segment of a slot that a key lies in.
    fn segment(&self, slot: u16, key: i64) -> u32 {
        let range = self.image.range(Column::CutStarts, slot.into()).unwrap_or(0..0);
        let cuts = self.image.cuts.get(range).unwrap_or(&[]);
        u32::try_from(cuts.partition_point(|cut| *cut <= key)).unwrap_or(0) + 1
    }

    /// A key set, and its bounds.
    fn key(&self, key: u32) -> Option<(Key, &[u32])> {
        let packed = self.image.number(Column::KeySlots, key)?;
        let key_of = Key { slot: u16::try_from(packed / 2).ok()?, needs_value: packed % 2 == 1 };
        Some((key_of, self.image.part(Column::BoundStarts, key, Column::Bounds)))
    }

    fn conjuncts(&self, rule: u32) -> &[u32] {
        self.image.part(Column::ConjunctStarts, rule, Column::Conjuncts)
    }

    fn members_of(&self, group: u32) -> &[u32] {
        self.image.part(Column::MemberStarts, group, Column::Members)
    }

    /// Whether a slot holds a list.
    fn is_list(&self, slot: u16) -> bool {
        self.image.kind(slot).is_some_and(|kind| kind.entry().is_some())
    }

    /// The slot that reads the text in `slot` as a version.
    fn version_view(&self, slot: Slot) -> Option<u16> {
        self.image.view_of(slot.0)
    }
}

impl Pack for Rules {
    fn pack(&self, out: &mut Vec<u8>) {
        self.image.pack(out);
    }

    /// Without its index: see [`Rules::index`].
    #[cfg_attr(feature = "server", inline(never))]
    fn unpack(from: &mut Reader<'_>) -> Self {
        let image = Image::unpack(from);
        Self { symbols: Symbols::new(&image), image, groups: Vec::new() }
    }
}
