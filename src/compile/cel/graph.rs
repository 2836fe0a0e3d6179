//! Puts the expression graph together: equal nodes become one, what is constant is computed, and
//! predicates over one slot become sets of keys. It must never know syntax or types.

use std::collections::{BTreeSet, HashMap};

use super::keys::{Absent, KeyDef, Literal, combine, complement, is_literal};
use crate::rule::Rules;
use crate::rule::draft::{Code, Column, Constant, Fail, Image, Kind, Node, Op};

/// What is known of a node beside itself.
#[derive(Clone, Copy, Debug)]
struct Meta {
    /// Comes to the same whatever the facts.
    constant: bool,
    /// How many loops around it it needs.
    free: u32,
    /// How many levels it has.
    height: u32,
}

/// The graph under construction. Maps are only looked up in, never walked.
#[derive(Default)]
pub(super) struct Graph {
    draft: Rules,
    pub keys: Vec<KeyDef>,
    meta: Vec<Meta>,
    nodes: HashMap<Node, u32>,
    symbols: HashMap<String, u32>,
    ints: HashMap<i64, u32>,
    args: HashMap<Vec<u32>, u32>,
    key_places: HashMap<KeyDef, u32>,
    patterns: HashMap<Vec<u32>, u32>,
    predicates: HashMap<u32, u32>,
    views: HashMap<u16, u16>,
}

/// The number of a new entry.
fn place<T>(list: &[T]) -> u32 {
    u32::try_from(list.len()).unwrap_or(u32::MAX)
}

impl Graph {
    pub fn image(&self) -> &Image {
        &self.draft.image
    }

    pub fn get(&self, node: u32) -> Node {
        let missing = Node { op: Op::Fail, a: Code::BadImage.number(), b: 0 };
        self.image().node(node).unwrap_or(missing)
    }

    /// The nodes in the list that a node stands over.
    pub fn args_of(&self, node: Node) -> &[u32] {
        self.image().args_of(node).unwrap_or(&[])
    }

    fn meta(&self, node: u32) -> Meta {
        let unknown = Meta { constant: false, free: 0, height: 0 };
        self.meta.get(node as usize).copied().unwrap_or(unknown)
    }

    /// Adds a node as it is.
    fn intern(&mut self, node: Node, meta: Meta) -> u32 {
        if let Some(known) = self.nodes.get(&node) {
            return *known;
        }
        let new = self.draft.image.push_node(node);
        self.meta.push(meta);
        self.nodes.insert(node, new);
        new
    }

    fn leaf(&mut self, op: Op, a: u32, constant: bool) -> u32 {
        self.intern(Node { op, a, b: 0 }, Meta { constant, free: 0, height: 1 })
    }

    pub fn bool(&mut self, v: bool) -> u32 {
        self.leaf(if v { Op::True } else { Op::False }, 0, true)
    }

    pub fn int(&mut self, op: Op, v: i64) -> u32 {
        let image = &mut self.draft.image;
        let a = *self.ints.entry(v).or_insert_with(|| image.push_int(v));
        self.leaf(op, a, true)
    }

    pub fn double(&mut self, v: f64) -> u32 {
        self.int(Op::Double, v.to_bits().cast_signed())
    }

    pub fn text(&mut self, op: Op, v: &str) -> u32 {
        let a = self.symbol(v);
        self.leaf(op, a, true)
    }

    fn symbol(&mut self, text: &str) -> u32 {
        if let Some(known) = self.symbols.get(text) {
            return *known;
        }
        let new = self.draft.image.push_symbol(text);
        self.symbols.insert(text.to_owned(), new);
        new
    }

    pub fn fail(&mut self, code: Code) -> u32 {
        self.leaf(Op::Fail, code.number(), true)
    }

    pub fn slot(&mut self, slot: u16) -> u32 {
        self.leaf(Op::Slot, u32::from(slot), false)
    }

    pub fn local(&mut self, outwards: u32) -> u32 {
        let meta = Meta { constant: true, free: outwards + 1, height: 1 };
        self.intern(Node { op: Op::Local, a: outwards, b: 0 }, meta)
    }

    pub fn pattern(&mut self, text: u32, program: Vec<u32>) -> u32 {
        let image = &mut self.draft.image;
        let b = *self.patterns.entry(program).or_insert_with_key(|program| {
            image.column_mut(Column::Steps).extend(program);
            image.end_part(Column::StepStarts, Column::Steps)
        });
        let meta = self.meta(text).over();
        self.settle(Node { op: Op::Matches, a: text, b }, meta)
    }

    /// Adds a node of one child; `b` is no node.
    pub fn unary(&mut self, op: Op, a: u32, b: u32) -> u32 {
        let meta = self.meta(a).over();
        self.settle(Node { op, a, b }, meta)
    }

    /// Adds a node of two children; of a loop, the second is its body.
    pub fn binary(&mut self, op: Op, a: u32, b: u32) -> u32 {
        let (first, mut second) = (self.meta(a), self.meta(b));
        if matches!(op, Op::All | Op::Exists | Op::ExistsOne | Op::Filter | Op::Map) {
            second.free = second.free.saturating_sub(1);
        }
        let meta = Meta {
            constant: first.constant && second.constant,
            free: first.free.max(second.free),
            height: first.height.max(second.height) + 1,
        };
        self.settle(Node { op, a, b }, meta)
    }

    /// Adds a node of many children.
    pub fn many(&mut self, op: Op, children: Vec<u32>) -> u32 {
        let meta = Meta {
            constant: children.iter().all(|child| self.meta(*child).constant),
            free: children.iter().map(|child| self.meta(*child).free).max().unwrap_or(0),
            height: children.iter().map(|c| self.meta(*c).height).max().unwrap_or(0) + 1,
        };
        let len = place(&children);
        let a = match self.args.get(&children) {
            Some(known) => *known,
            None => {
                let args = self.draft.image.column_mut(Column::Args);
                let new = place(args);
                args.extend(&children);
                self.args.insert(children, new);
                new
            }
        };
        self.settle(Node { op, a, b: if op == Op::If { 0 } else { len } }, meta)
    }

    /// Adds a node, or what it comes to where that is known already.
    fn settle(&mut self, node: Node, meta: Meta) -> u32 {
        let added = self.intern(node, meta);
        let literal = is_literal(&node) || self.is_literal_list(node) || node.op == Op::Fail;
        if !meta.constant || meta.free > 0 || literal {
            return added;
        }
        match self.draft.constant(added) {
            Ok(value) => self.literal(&value),
            Err(Fail::Error(code)) => self.fail(code),
            Err(Fail::Missing(_)) => added,
        }
    }

    fn is_literal_list(&self, node: Node) -> bool {
        node.op == Op::List
            && self.args_of(node).iter().all(|entry| {
                let entry = self.get(*entry);
                is_literal(&entry) || self.is_literal_list(entry)
            })
    }

    fn literal(&mut self, value: &Constant) -> u32 {
        match value {
            Constant::Bool(v) => self.bool(*v),
            Constant::Int(v) => self.int(Op::Int, *v),
            Constant::Double(v) => self.double(*v),
            Constant::Text(v) => self.text(Op::Text, v),
            Constant::Version(v) => self.text(Op::Version, v),
            Constant::Timestamp(v) => self.int(Op::Timestamp, *v),
            Constant::Duration(v) => self.int(Op::Duration, *v),
            Constant::List(entries) => {
                let entries = entries.iter().map(|entry| self.literal(entry)).collect();
                self.many(Op::List, entries)
            }
        }
    }

    /// A literal as what keys are compared with.
    pub fn as_literal(&self, node: u32) -> Option<Literal> {
        let node = self.get(node);
        let int = || self.image().int(node.a);
        Some(match node.op {
            Op::True => Literal::Bool(true),
            Op::False => Literal::Bool(false),
            Op::Int => Literal::Int(int()?),
            Op::Timestamp => Literal::Timestamp(int()?),
            Op::Duration => Literal::Duration(int()?),
            Op::Double => Literal::Double(f64::from_bits(int()?.cast_unsigned())),
            Op::Text => Literal::Text(i64::from(node.a) + 1),
            _ => return None,
        })
    }

    /// The text of a literal.
    pub fn as_text(&self, node: u32) -> Option<&str> {
        let node = self.get(node);
        let known = matches!(node.op, Op::Text | Op::Version);
        self.image().symbol(node.a).filter(|_| known)
    }

    pub fn kind(&self, slot: u16) -> Option<Kind> {
        self.image().kind(slot)
    }

    /// The slot that reads the text in `slot` as a version.
    pub fn version_view(&mut self, slot: u16) -> u16 {
        if let Some(known) = self.views.get(&slot) {
            return *known;
        }
        let view = self.add_slot(String::new(), Kind::Int, Some(slot));
        self.views.insert(slot, view);
        view
    }

    pub fn add_slot(&mut self, path: String, kind: Kind, version_of: Option<u16>) -> u16 {
        let path = self.symbol(&path);
        let image = &mut self.draft.image;
        image.push(Column::SlotPaths, path);
        image.push(Column::SlotSources, version_of.map_or(0, |slot| u32::from(slot) + 1));
        u16::try_from(image.push(Column::SlotKinds, kind as u32)).unwrap_or(u16::MAX)
    }

    pub fn key(&mut self, def: KeyDef) -> u32 {
        match (def.absent, def.bounds.as_slice()) {
            (Absent::False, []) => return self.bool(false),
            (Absent::True, [i64::MIN]) => return self.bool(true),
            _ => {}
        }
        let a = match self.key_places.get(&def) {
            Some(known) => *known,
            None => {
                let new = place(&self.keys);
                self.keys.push(def.clone());
                self.key_places.insert(def, new);
                new
            }
        };
        self.leaf(Op::Key, a, false)
    }

    /// The key set of a node that is one.
    fn as_key(&self, node: u32) -> Option<&KeyDef> {
        let node = self.get(node);
        self.keys.get(node.a as usize).filter(|_| node.op == Op::Key)
    }

    fn is_list(&self, slot: u16) -> bool {
        self.kind(slot).is_some_and(|kind| kind.entry().is_some())
    }

    pub fn not(&mut self, of: u32) -> u32 {
        if let Some(def) = self.as_key(of)
            && !self.is_list(def.slot)
        {
            let (slot, bounds) = (def.slot, complement(&def.bounds));
            return self.key(KeyDef { slot, absent: def.absent.not(), bounds });
        }
        let node = self.get(of);
        if node.op == Op::Not && self.is_bool(node.a) {
            return node.a;
        }
        let of = self.atom(of);
        self.unary(Op::Not, of, 0)
    }

    /// `&&` or `||`.
    pub fn junction(&mut self, op: Op, children: &[u32]) -> u32 {
        let both = op == Op::And;
        let (neutral, decisive) = if both { (Op::True, Op::False) } else { (Op::False, Op::True) };
        let mut kept: Vec<u32> = Vec::new();
        for child in children {
            let child_op = self.get(*child).op;
            if child_op == decisive {
                return *child;
            }
            if child_op == neutral || kept.contains(child) {
                continue;
            }
            match self.merge_keys(&mut kept, *child, both) {
                Some(merged) if self.get(merged).op == decisive => return merged,
                Some(_) => {}
                None => kept.push(*child),
            }
        }
        match kept.as_slice() {
            [] => self.bool(both),
            [one] if self.is_bool(*one) => *one,
            _ => {
                let children = kept.iter().map(|child| self.atom(*child)).collect();
                self.many(op, children)
            }
        }
    }

    /// Takes a key set into one of the same slot that is already there.
    fn merge_keys(&mut self, kept: &mut [u32], child: u32, both: bool) -> Option<u32> {
        let new = self.as_key(child)?.clone();
        if both && self.is_list(new.slot) {
            return None;
        }
        let earlier =
            kept.iter_mut().find(|n| self.as_key(**n).is_some_and(|def| def.slot == new.slot))?;
        let old = self.as_key(*earlier)?.clone();
        let merged = self.key(KeyDef {
            slot: new.slot,
            absent: old.absent.combine(new.absent, both),
            bounds: combine(&old.bounds, &new.bounds, both),
        });
        *earlier = merged;
        Some(merged)
    }

    /// Whether a node comes to a bool whenever it comes to anything.
    pub fn is_bool(&self, node: u32) -> bool {
        matches!(
            self.get(node).op,
            Op::False
                | Op::True
                | Op::Has
                | Op::Key
                | Op::Predicate
                | Op::Holds
                | Op::Not
                | Op::And
                | Op::Or
                | Op::Equal
                | Op::Unequal
                | Op::Less
                | Op::LessEqual
                | Op::In
                | Op::Contains
                | Op::StartsWith
                | Op::EndsWith
                | Op::Matches
                | Op::All
                | Op::Exists
                | Op::ExistsOne
                | Op::ToBool
                | Op::SetContains
                | Op::SetIntersects
        )
    }

    /// A predicate is kept for the length of a decision, where it costs more than to look it up.
    pub fn atom(&mut self, node: u32) -> u32 {
        let cheap = matches!(
            self.get(node).op,
            Op::Key | Op::Predicate | Op::Holds | Op::Has | Op::Not | Op::Fail
        );
        let meta = self.meta(node);
        if cheap || meta.constant || meta.free > 0 || !self.is_bool(node) {
            return node;
        }
        let image = &mut self.draft.image;
        let a =
            *self.predicates.entry(node).or_insert_with(|| image.push(Column::Predicates, node));
        let meta = Meta { constant: false, free: 0, height: meta.height + 1 };
        self.intern(Node { op: Op::Predicate, a, b: 0 }, meta)
    }

    /// Whether a slot holds a value.
    pub fn has(&mut self, slot: u16) -> u32 {
        self.leaf(Op::Has, u32::from(slot), false)
    }

    pub fn height(&self, node: u32) -> u32 {
        self.meta(node).height
    }

    /// The codes of the failures that are left under these nodes.
    pub fn failures(&self, roots: &[u32]) -> BTreeSet<Code> {
        let mut codes = BTreeSet::new();
        let mut open = roots.to_vec();
        let mut seen = BTreeSet::new();
        while let Some(place) = open.pop() {
            if !seen.insert(place) {
                continue;
            }
            let node = self.get(place);
            if node.op == Op::Fail {
                codes.insert(Code::from_number(node.a));
            }
            open.extend(self.image().children(node));
        }
        codes
    }
}

impl Meta {
    /// Of a node with this one child.
    fn over(self) -> Self {
        Self { height: self.height + 1, ..self }
    }
}
