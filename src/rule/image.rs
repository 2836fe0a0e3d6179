//! The compiled form of conditions, as it is stored and sent. It must never hold a table that can
//! be derived from the rest: those are built when it is loaded, so that the image stays small.

use serde::{Deserialize, Serialize};

use super::pattern::Program;
use super::value::Kind;

/// What one node of the expression graph does. `a` and `b` of [`Node`] mean what stands here;
/// "node" is an index into `nodes`, "args" a range of `args`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Op {
    /// false
    False,
    /// true
    True,
    /// a: integer in `ints`
    Int,
    /// a: double in `doubles`
    Double,
    /// a: text in `symbols`
    Text,
    /// a: milliseconds in `ints`
    Timestamp,
    /// a: milliseconds in `ints`
    Duration,
    /// a: version text in `symbols`
    Version,
    /// args: a, b
    List,
    /// a: slot
    Slot,
    /// a: slot; whether it holds a value
    Has,
    /// a: how many loops outwards
    Local,
    /// a: key set
    Key,
    /// a: memoised predicate
    Predicate,
    /// a: node; true only where it is true, whatever else it is
    Holds,
    /// a: node
    Not,
    /// args: a, b
    And,
    /// args: a, b
    Or,
    /// args: a, three of them
    If,
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
    /// a: node
    Negate,
    /// a, b: nodes: entry b of list a
    Index,
    /// a: node
    Size,
    /// a, b: nodes
    Contains,
    /// a, b: nodes
    StartsWith,
    /// a, b: nodes
    EndsWith,
    /// a: node, b: pattern
    Matches,
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
    /// a: node, b: which part, and the offset from UTC in minutes: `part + 16 * (offset + 1440)`
    Part,
    /// a, b: lists
    SetContains,
    /// a, b: lists
    SetIntersects,
    /// a: node, b: what stands in where a trait of a is missing
    Default,
    /// a: code of the error that this always is
    Fail,
}

/// One node. Children stand before parents, equal nodes are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Node {
    pub op: Op,
    pub a: u32,
    pub b: u32,
}

/// A slot: one value that conditions read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SlotDef {
    /// `profile.tier`; empty for a view.
    pub path: String,
    pub kind: Kind,
    /// For a view: the slot whose text is read as a version.
    pub version_of: Option<u16>,
    /// Where the keys of this slot are cut into segments, ascending, each as the difference to
    /// the one before. Keys within one segment are alike to every condition.
    pub cuts: Vec<u64>,
}

/// A predicate over one slot: the segments where it holds, as bounds where it begins and ends to
/// hold, each as the difference to the one before. Segment 0 stands for the missing value. Of a
/// list: some entry lies in such a segment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KeySet {
    pub slot: u16,
    /// Whether a missing value makes this missing, rather than what segment 0 says.
    pub needs_value: bool,
    pub bounds: Vec<u32>,
}

/// Where a conjunct stands in its source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// In bytes.
    pub offset: u32,
    /// In bytes.
    pub len: u32,
}

/// All conditions of a workspace, compiled.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Image {
    pub symbols: Vec<String>,
    pub ints: Vec<i64>,
    pub doubles: Vec<f64>,
    pub slots: Vec<SlotDef>,
    /// The slot of `now`, where a condition reads it.
    pub now: Option<u16>,
    pub keys: Vec<KeySet>,
    pub patterns: Vec<Program>,
    pub nodes: Vec<Node>,
    pub args: Vec<u32>,
    /// Nodes whose truth is kept for the length of a decision.
    pub predicates: Vec<u32>,
    /// Rule to its conjuncts (nodes); of a formula the one node.
    pub rules: Vec<Vec<u32>>,
    /// Rule to the places of its conjuncts; empty where the image was stripped of them.
    pub spans: Vec<Vec<Span>>,
    /// Group to its rules, in ascending rank.
    pub groups: Vec<Vec<u32>>,
}

#[cfg(feature = "compile")]
impl Image {
    /// The nodes in the list that a node stands over.
    pub fn args_of(&self, node: Node) -> &[u32] {
        let (from, len) = match node.op {
            Op::If => (node.a, 3),
            Op::And | Op::Or | Op::List => (node.a, node.b),
            _ => return &[],
        };
        let from = from as usize;
        self.args.get(from..from.saturating_add(len as usize)).unwrap_or(&[])
    }

    /// The nodes that a node stands over.
    pub fn children(&self, node: Node) -> Vec<u32> {
        match node.op {
            Op::False
            | Op::True
            | Op::Int
            | Op::Double
            | Op::Text
            | Op::Timestamp
            | Op::Duration
            | Op::Version
            | Op::Slot
            | Op::Has
            | Op::Local
            | Op::Key
            | Op::Fail => Vec::new(),
            Op::Predicate => self.predicates.get(node.a as usize).copied().into_iter().collect(),
            Op::List | Op::And | Op::Or | Op::If => self.args_of(node).to_vec(),
            Op::Holds
            | Op::Not
            | Op::Negate
            | Op::Size
            | Op::Matches
            | Op::ToInt
            | Op::ToDouble
            | Op::ToText
            | Op::ToBool
            | Op::ToTimestamp
            | Op::ToDuration
            | Op::ToVersion
            | Op::Part => vec![node.a],
            _ => vec![node.a, node.b],
        }
    }
}
