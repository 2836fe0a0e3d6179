//! What an index is built of, worked out when a workspace is published: which key sets find each
//! rule of a group, and which of its nodes are left to ask. Pages load the result, and carry none
//! of this code. It must never look at a value.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

use crate::limits::{INDEX_BLOCK, INDEX_CONJUNCTS, INDEX_ROWS};

use super::eval::at;
use super::image::{Column, Image, Op};

/// Writes the columns that an image's indexes are built of.
pub(super) fn write(image: &mut Image) {
    let mut views = vec![0; image.slots()];
    for view in (0..u32::MAX).take(views.len()) {
        let source = u16::try_from(view).ok().and_then(|view| image.version_of(view));
        if let Some(entry) = source.and_then(|source| views.get_mut(usize::from(source))) {
            *entry = view + 1;
        }
    }
    *image.column_mut(Column::SlotViews) = views;
    let mut plan = Plan::new(image);
    for group in 0..image.count(Column::MemberStarts) {
        let members = image.part(Column::MemberStarts, group, Column::Members).to_vec();
        for block in members.chunks(INDEX_BLOCK) {
            plan.rows = BTreeMap::new();
            for rule in block {
                plan.add(image, *rule);
            }
        }
    }
    image.put_parts(Column::LookStarts, Column::Looks, &plan.looks);
    image.put_parts(Column::RestStarts, Column::Rest, &plan.rest);
}

struct Plan {
    /// Of each member the key sets that tables find it by.
    looks: Vec<Vec<u32>>,
    /// Of each member the nodes that no table covers.
    rest: Vec<Vec<u32>>,
    /// Slot of the block to where rows of its table begin, beside the first.
    rows: BTreeMap<u16, Vec<u32>>,
    /// The image's key sets, by their packed slot and their bounds.
    known: BTreeMap<(u32, Vec<u32>), u32>,
    open: Vec<u32>,
    found: Vec<u32>,
}

impl Plan {
    fn new(image: &Image) -> Self {
        let mut known = BTreeMap::new();
        for key in (0..image.count(Column::BoundStarts)).rev() {
            let slot = image.number(Column::KeySlots, key).unwrap_or(0);
            let bounds = image.part(Column::BoundStarts, key, Column::Bounds);
            known.insert((slot, bounds.to_vec()), key);
        }
        Self {
            looks: Vec::new(),
            rest: Vec::new(),
            rows: BTreeMap::new(),
            known,
            open: Vec::new(),
            found: Vec::new(),
        }
    }

    fn add(&mut self, image: &mut Image, rule: u32) {
        self.find_conjuncts(image, rule);
        let mut looks = Vec::new();
        let mut rest = Vec::new();
        for node in core::mem::take(&mut self.found) {
            match image.node(node) {
                Some(known) if known.op == Op::True => {}
                Some(known) if known.op == Op::Key && self.look(image, &mut looks, known.a) => {}
                _ => rest.push(node),
            }
        }
        self.looks.push(looks);
        self.rest.push(rest);
    }

    /// The conjuncts of a rule, with those of what it requires: a conjunction, an audience.
    fn find_conjuncts(&mut self, image: &Image, rule: u32) {
        let Self { open, found, .. } = self;
        open.clear();
        found.clear();
        open.extend(image.part(Column::ConjunctStarts, rule, Column::Conjuncts).iter().rev());
        while let Some(place) = open.pop() {
            let mut inner = place;
            // Only truth counts here, so what hides one node behind another is looked through.
            let node = loop {
                let Some(node) = image.node(inner) else { break None };
                let behind = match node.op {
                    Op::Holds => Some(node.a),
                    Op::Predicate => image.number(Column::Predicates, node.a),
                    _ => break Some(node),
                };
                match behind {
                    Some(behind) if behind < inner => inner = behind,
                    _ => break None,
                }
            };
            match node {
                Some(node) if node.op == Op::And => {
                    let children = image.args_of(node).unwrap_or(&[]);
                    if found.len() + open.len() + children.len() <= INDEX_CONJUNCTS {
                        open.extend(children.iter().rev().filter(|child| **child < inner));
                    } else {
                        found.push(place);
                    }
                }
                Some(node) if node.op == Op::Key => found.push(inner),
                _ => found.push(place),
            }
        }
    }

    /// Takes a key set into the table of its slot; false where it finds no room there.
    fn look(&mut self, image: &mut Image, looks: &mut Vec<u32>, key: u32) -> bool {
        let Some(packed) = image.number(Column::KeySlots, key) else { return false };
        let Ok(slot) = u16::try_from(packed / 2) else { return false };
        let bounds = image.part(Column::BoundStarts, key, Column::Bounds).to_vec();
        let slot_of = |key: u32| image.number(Column::KeySlots, key).map(|packed| packed / 2);
        let earlier = looks.iter().position(|look| slot_of(*look) == Some(slot.into()));
        // Of a list, two predicates may hold through different entries.
        let is_list = image.kind(slot).is_some_and(|kind| kind.entry().is_some());
        let rows = self.rows.entry(slot).or_default();
        if rows.len() + bounds.len() > at(INDEX_ROWS) || (earlier.is_some() && is_list) {
            return false;
        }
        for bound in &bounds {
            // The first row begins anyway.
            if let Err(place) = rows.binary_search(bound)
                && *bound > 0
            {
                rows.insert(place, *bound);
            }
        }
        match earlier.and_then(|place| looks.get_mut(place)) {
            Some(look) => {
                let mut both = Vec::new();
                let old = image.part(Column::BoundStarts, *look, Column::Bounds);
                intersect(old, &bounds, &mut both);
                *look = self.key(image, u32::from(slot) * 2, both);
            }
            None => looks.push(key),
        }
        true
    }

    /// The key set with these bounds.
    fn key(&mut self, image: &mut Image, packed: u32, bounds: Vec<u32>) -> u32 {
        for packed in [packed, packed + 1] {
            if let Some(known) = self.known.get(&(packed, bounds.clone())) {
                return *known;
            }
        }
        image.push(Column::KeySlots, packed);
        image.column_mut(Column::Bounds).extend(&bounds);
        let end = image.column(Column::Bounds).len();
        let key = image.end_at(Column::BoundStarts, end);
        self.known.insert((packed, bounds), key);
        key
    }
}

/// Appends the bounds of where both hold.
fn intersect(a: &[u32], b: &[u32], both: &mut Vec<u32>) {
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    let (mut in_a, mut in_b) = (false, false);
    loop {
        let bound = match (a.peek(), b.peek()) {
            (None, None) => return,
            (Some(x), None) => **x,
            (None, Some(y)) => **y,
            (Some(x), Some(y)) => **x.min(y),
        };
        let before = in_a && in_b;
        in_a ^= a.next_if(|x| **x == bound).is_some();
        in_b ^= b.next_if(|y| **y == bound).is_some();
        if before != (in_a && in_b) {
            both.push(bound);
        }
    }
}
