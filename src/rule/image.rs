//! The compiled form of conditions, as it is stored and sent: a few flat columns, which are read
//! without a parser and compress well. It must never hold a table that can be derived from the
//! rest: those are built when it is loaded.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use crate::pack::{Pack, Reader, put_int, put_number};

use super::value::Kind;

/// What one node of the expression graph does. `a` and `b` of [`Node`] mean what stands here;
/// "node" is an index into the nodes, "args" a range of `args`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Op {
    /// false
    False,
    /// true
    True,
    /// a: integer in `ints`
    Int,
    /// a: bits of a double in `ints`
    Double,
    /// a: symbol
    Text,
    /// a: milliseconds in `ints`
    Timestamp,
    /// a: milliseconds in `ints`
    Duration,
    /// a: symbol, which is a version
    Version,
    /// a: slot
    Slot,
    /// a: slot; whether it holds a value
    Has,
    /// a: how many loops outwards
    Local,
    /// a: key set
    Key,
    /// a: code of the error that this always is
    Fail,
    /// args: a, b
    List,
    /// args: a, b
    And,
    /// args: a, b
    Or,
    /// args: a, three of them
    If,
    /// a: memoised predicate
    Predicate,
    /// a: node; true only where it is true, whatever else it is
    Holds,
    /// a: node, b: what stands in where a trait of a is missing
    Default,
    /// a: list, b: body
    All,
    /// a: list, b: body
    Exists,
    /// a: list, b: body
    ExistsOne,
    /// a: list, b: body
    Filter,
    /// a: list, b: body
    Map,
    /// a: node
    Not,
    /// a: node
    Negate,
    /// a: node
    Size,
    /// a: node, b: pattern
    Matches,
    /// a: node, b: which part, and the offset from UTC in minutes: `part + 16 * (offset + 1440)`
    Part,
    /// a: node
    ToInt,
    /// a: node
    ToDouble,
    /// a: node
    ToText,
    /// a: node
    ToBool,
    /// a: node
    ToTimestamp,
    /// a: node
    ToDuration,
    /// a: node
    ToVersion,
    /// a, b: nodes
    Equal,
    /// a, b: nodes
    Unequal,
    /// a, b: nodes
    Less,
    /// a, b: nodes
    LessEqual,
    /// a, b: nodes: is a in list b
    In,
    /// a, b: nodes
    Add,
    /// a, b: nodes
    Subtract,
    /// a, b: nodes
    Multiply,
    /// a, b: nodes
    Divide,
    /// a, b: nodes
    Modulo,
    /// a, b: nodes: entry b of list a
    Index,
    /// a, b: nodes
    Contains,
    /// a, b: nodes
    StartsWith,
    /// a, b: nodes
    EndsWith,
    /// a, b: lists
    SetContains,
    /// a, b: lists
    SetIntersects,
}

/// By their numbers in an image. New ones come last, old ones stay: images outlive releases.
const OPS: [Op; 53] = [
    Op::False,
    Op::True,
    Op::Int,
    Op::Double,
    Op::Text,
    Op::Timestamp,
    Op::Duration,
    Op::Version,
    Op::Slot,
    Op::Has,
    Op::Local,
    Op::Key,
    Op::Fail,
    Op::List,
    Op::And,
    Op::Or,
    Op::If,
    Op::Predicate,
    Op::Holds,
    Op::Default,
    Op::All,
    Op::Exists,
    Op::ExistsOne,
    Op::Filter,
    Op::Map,
    Op::Not,
    Op::Negate,
    Op::Size,
    Op::Matches,
    Op::Part,
    Op::ToInt,
    Op::ToDouble,
    Op::ToText,
    Op::ToBool,
    Op::ToTimestamp,
    Op::ToDuration,
    Op::ToVersion,
    Op::Equal,
    Op::Unequal,
    Op::Less,
    Op::LessEqual,
    Op::In,
    Op::Add,
    Op::Subtract,
    Op::Multiply,
    Op::Divide,
    Op::Modulo,
    Op::Index,
    Op::Contains,
    Op::StartsWith,
    Op::EndsWith,
    Op::SetContains,
    Op::SetIntersects,
];

impl Op {
    /// Takes the value of node a, and no other.
    pub fn is_unary(self) -> bool {
        (Op::Not..=Op::ToVersion).contains(&self)
    }

    /// Takes the values of nodes a and b.
    pub fn is_binary(self) -> bool {
        self >= Op::Equal
    }

    /// Evaluates node b for every entry of list a.
    pub fn is_loop(self) -> bool {
        (Op::All..=Op::Map).contains(&self)
    }
}

/// One node. Children stand before parents, equal nodes are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node {
    pub op: Op,
    pub a: u32,
    pub b: u32,
}

/// Where a conjunct stands in its source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// In bytes.
    pub offset: u32,
    /// In bytes.
    pub len: u32,
}

/// The columns of 32-bit numbers, in the order in which they are stored. New ones come last.
///
/// Where a thing has many parts, they stand in one column, and where they begin in another, named
/// `..Starts`: one number for each thing and one for the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// In bytes of the text.
    SymbolStarts,
    /// In the 64-bit numbers: where the keys of each slot are cut into segments, ascending.
    /// Keys within one segment are alike to every condition.
    CutStarts,
    /// In `Bounds`: key sets.
    BoundStarts,
    /// In `Steps`: patterns.
    StepStarts,
    /// In `Conjuncts`: rules.
    ConjunctStarts,
    /// In `Members`: groups.
    MemberStarts,
    /// In `Looks`: the members of all groups, one after the other.
    LookStarts,
    /// In `Rest`: the same.
    RestStarts,
    /// Where each key set begins and ends to hold, in segments. Segment 0
    /// stands for the missing value. Of a list: some entry lies there.
    Bounds,
    /// Key set to twice its slot, plus one where a missing value makes it missing.
    KeySlots,
    /// Slot to the symbol that is its path.
    SlotPaths,
    /// Slot to the number of its type.
    SlotKinds,
    /// For a slot that is a view: the slot whose text it reads as a version, plus one; else 0.
    SlotSources,
    /// The slot of `now`, where a condition reads it.
    Now,
    /// Programs of patterns.
    Steps,
    NodeOps,
    NodeAs,
    NodeBs,
    Args,
    /// Nodes whose truth is kept for the length of a decision.
    Predicates,
    /// The nodes of each rule: its conjuncts, or the formula.
    Conjuncts,
    /// Where the conjuncts stand in their sources, two numbers each; empty where stripped.
    Spans,
    /// The rules of each group in ascending rank.
    Members,
    /// The key sets by which an index finds each member: one for each slot at most.
    Looks,
    /// The nodes of each member that its index does not know of.
    Rest,
    /// For a slot whose text is read as a version: the slot that does, plus one; else 0.
    SlotViews,
}

const COLUMNS: usize = 26;

/// All conditions of a workspace, compiled.
#[derive(Clone, Debug, Default)]
pub struct Image {
    /// The symbols, one after the other.
    pub text: String,
    /// The slots' cuts.
    pub cuts: Vec<i64>,
    /// Integers, and the bits of doubles.
    pub ints: Vec<i64>,
    columns: [Vec<u32>; COLUMNS],
}

impl Image {
    #[allow(clippy::indexing_slicing, reason = "there are as many columns as names for them")]
    pub fn column(&self, column: Column) -> &[u32] {
        &self.columns[column as usize]
    }

    #[allow(clippy::indexing_slicing, reason = "there are as many columns as names for them")]
    pub fn column_mut(&mut self, column: Column) -> &mut Vec<u32> {
        &mut self.columns[column as usize]
    }

    pub fn number(&self, column: Column, place: u32) -> Option<u32> {
        self.column(column).get(place as usize).copied()
    }

    /// Where the parts of a thing begin and end.
    pub fn range(&self, starts: Column, place: u32) -> Option<core::ops::Range<usize>> {
        let place = place as usize;
        match self.column(starts).get(place..place.checked_add(2)?)? {
            [from, to] => Some(*from as usize..*to as usize),
            _ => None,
        }
    }

    /// The parts of a thing.
    pub fn part(&self, starts: Column, place: u32, parts: Column) -> &[u32] {
        let range = self.range(starts, place);
        range.and_then(|range| self.column(parts).get(range)).unwrap_or(&[])
    }

    /// How many things have parts there.
    pub fn count(&self, starts: Column) -> u32 {
        u32::try_from(self.column(starts).len().saturating_sub(1)).unwrap_or(u32::MAX)
    }

    pub fn node(&self, place: u32) -> Option<Node> {
        let op = OPS.get(self.number(Column::NodeOps, place)? as usize).copied()?;
        let a = self.number(Column::NodeAs, place)?;
        Some(Node { op, a, b: self.number(Column::NodeBs, place)? })
    }

    pub fn int(&self, place: u32) -> Option<i64> {
        self.ints.get(place as usize).copied()
    }

    pub fn symbol(&self, symbol: u32) -> Option<&str> {
        self.text.get(self.range(Column::SymbolStarts, symbol)?)
    }

    pub fn slots(&self) -> usize {
        self.column(Column::SlotKinds).len()
    }

    /// The slot whose text this slot reads as a version.
    pub fn version_of(&self, slot: u16) -> Option<u16> {
        u16::try_from(self.number(Column::SlotSources, slot.into())?.checked_sub(1)?).ok()
    }

    /// The slot that reads the text in this slot as a version.
    pub fn view_of(&self, slot: u16) -> Option<u16> {
        u16::try_from(self.number(Column::SlotViews, slot.into())?.checked_sub(1)?).ok()
    }

    pub fn kind(&self, slot: u16) -> Option<Kind> {
        Kind::from_number(self.number(Column::SlotKinds, slot.into())?)
    }

    /// The nodes in the list that a node stands over.
    pub fn args_of(&self, node: Node) -> Option<&[u32]> {
        let len = if node.op == Op::If { 3 } else { node.b as usize };
        let from = node.a as usize;
        self.column(Column::Args).get(from..from.saturating_add(len))
    }

    /// The nodes that a node stands over.
    pub fn children(&self, node: Node) -> Vec<u32> {
        match node.op {
            Op::Predicate => self.number(Column::Predicates, node.a).into_iter().collect(),
            Op::List | Op::And | Op::Or | Op::If => self.args_of(node).unwrap_or(&[]).to_vec(),
            Op::Holds => vec![node.a],
            op if op.is_unary() => vec![node.a],
            op if op.is_binary() || op.is_loop() || op == Op::Default => vec![node.a, node.b],
            _ => Vec::new(),
        }
    }
}

/// What changes an image.
impl Image {
    /// Writes the parts of every thing anew.
    pub fn put_parts(&mut self, starts: Column, parts: Column, things: &[Vec<u32>]) {
        self.column_mut(starts).clear();
        self.column_mut(parts).clear();
        for thing in things {
            self.column_mut(parts).extend(thing);
            let end = self.column(parts).len();
            self.end_at(starts, end);
        }
    }

    pub fn end_at(&mut self, starts: Column, end: usize) -> u32 {
        let column = self.column_mut(starts);
        if column.is_empty() {
            column.push(0);
        }
        column.push(u32::try_from(end).unwrap_or(u32::MAX));
        self.count(starts) - 1
    }

    pub fn push(&mut self, column: Column, number: u32) -> u32 {
        let column = self.column_mut(column);
        column.push(number);
        u32::try_from(column.len() - 1).unwrap_or(u32::MAX)
    }

    pub fn push_node(&mut self, node: Node) -> u32 {
        self.push(Column::NodeAs, node.a);
        self.push(Column::NodeBs, node.b);
        self.push(Column::NodeOps, node.op as u32)
    }
}

/// What the compiler does with an image.
#[cfg(feature = "compile")]
impl Image {
    /// Adds a thing whose parts have all been added.
    pub fn end_part(&mut self, starts: Column, parts: Column) -> u32 {
        let end = self.column(parts).len();
        self.end_at(starts, end)
    }

    pub fn push_int(&mut self, int: i64) -> u32 {
        self.ints.push(int);
        u32::try_from(self.ints.len() - 1).unwrap_or(u32::MAX)
    }

    pub fn push_symbol(&mut self, text: &str) -> u32 {
        self.text.push_str(text);
        self.end_at(Column::SymbolStarts, self.text.len())
    }

    /// Adds the cuts of the next slot.
    pub fn push_cuts(&mut self, cuts: impl Iterator<Item = i64>) {
        self.cuts.extend(cuts);
        self.end_at(Column::CutStarts, self.cuts.len());
    }
}

/// All text, all 64-bit numbers, all columns of 32-bit numbers, each after its length, and of each
/// number its difference to the one before: so that hardly any code reads it.
impl Pack for Image {
    fn pack(&self, out: &mut Vec<u8>) {
        self.text.pack(out);
        put_differences(out, &self.cuts);
        put_differences(out, &self.ints);
        for column in &self.columns {
            let column: Vec<i64> = column.iter().map(|number| i64::from(*number)).collect();
            put_differences(out, &column);
        }
    }

    #[cfg_attr(feature = "server", inline(never))]
    fn unpack(from: &mut Reader<'_>) -> Self {
        let mut image = Self {
            text: Pack::unpack(from),
            cuts: sums(from, |sum| sum),
            ints: sums(from, |sum| sum),
            columns: Default::default(),
        };
        for column in &mut image.columns {
            *column = sums(from, |sum| u32::try_from(sum).unwrap_or(0));
        }
        image
    }
}

fn put_differences(out: &mut Vec<u8>, numbers: &[i64]) {
    put_number(out, numbers.len() as u64);
    let mut before = 0;
    for number in numbers {
        put_int(out, number.wrapping_sub(before));
        before = *number;
    }
}

/// Each number is read here rather than by a call: an image has tens of thousands, and a fresh
/// process has not optimised any code yet.
#[inline(never)]
fn sums<T>(from: &mut Reader<'_>, shown: impl Fn(i64) -> T) -> Vec<T> {
    let mut sum = 0_i64;
    (0..from.len())
        .map(|_| {
            sum = sum.wrapping_add(from.small_int());
            shown(sum)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_has_its_number() {
        for (op, number) in OPS.into_iter().zip(0..) {
            assert_eq!(op as u32, number);
        }
        assert_eq!(OPS.last(), Some(&Op::SetIntersects));
    }

    #[test]
    fn every_column_has_its_place() {
        assert_eq!(Column::SlotViews as usize, COLUMNS - 1);
    }

    #[test]
    fn an_image_comes_back() {
        let mut image = Image { cuts: vec![-5, 3, 9, i64::MIN, i64::MAX], ..Image::default() };
        image.text.push_str("ab");
        image.ints.push(i64::MIN);
        image.column_mut(Column::Bounds).extend([1, 2, 3, 3, u32::MAX, 0]);
        image.end_at(Column::BoundStarts, 4);
        let mut bytes = Vec::new();
        image.pack(&mut bytes);
        let mut from = Reader::new(&bytes);
        let back = Image::unpack(&mut from);
        let back = from.finish(back).map(|back| {
            let columns = back.columns == image.columns;
            (back.text, back.cuts, back.ints, columns)
        });
        assert_eq!(back, Some((image.text, image.cuts, image.ints, true)));
    }
}
