//! Packs the graph into the image: only what rules reach, predicates over keys numbered by
//! segment. It must never change what a rule comes to.

use std::collections::{BTreeMap, BTreeSet};

use super::Compiler;
use super::graph::Graph;
use super::keys::{Absent, KeyDef, complement};
use crate::rule::Rules;
use crate::rule::draft::{Column, Image, Kind, Node, Op};

pub(super) fn pack(compiler: Compiler) -> Rules {
    let Compiler { graph, rules, groups, now, .. } = compiler;
    let uses = count_uses(&graph, rules.iter().flat_map(|rule| &rule.conjuncts).copied());
    let mut packer = Packer::default();
    packer.slots(&graph, &uses);
    // Children stand before parents, so every node finds its children packed.
    for (place, times) in (0..).zip(&uses) {
        if *times > 0 {
            packer.node(&graph, place, *times);
        }
    }
    let Packer { mut image, nodes, .. } = packer;
    if let Some(now) = now {
        image.push(Column::Now, now.into());
    }
    for rule in rules {
        for (node, span) in rule.conjuncts.iter().zip(&rule.spans) {
            image.push(Column::Conjuncts, nodes.get(node).copied().unwrap_or(0));
            image.column_mut(Column::Spans).extend([span.offset, span.len]);
        }
        image.end_part(Column::ConjunctStarts, Column::Conjuncts);
    }
    for group in groups {
        image.column_mut(Column::Members).extend(group);
        image.end_part(Column::MemberStarts, Column::Members);
    }
    Rules::from_image(image)
}

/// How often each node is reached from others and from rules.
fn count_uses(graph: &Graph, roots: impl Iterator<Item = u32>) -> Vec<u32> {
    let source = graph.image();
    let mut uses = vec![0_u32; source.column(Column::NodeOps).len()];
    let mut open: Vec<u32> = roots.collect();
    while let Some(place) = open.pop() {
        let Some(times) = uses.get_mut(place as usize) else { continue };
        *times += 1;
        if *times == 1 {
            open.extend(source.children(graph.get(place)));
        }
    }
    uses
}

/// From places in the graph to places in the image.
#[derive(Default)]
struct Packer {
    image: Image,
    nodes: BTreeMap<u32, u32>,
    symbols: BTreeMap<u32, u32>,
    ints: BTreeMap<u32, u32>,
    patterns: BTreeMap<u32, u32>,
    keys: BTreeMap<u32, u32>,
    args: BTreeMap<Vec<u32>, u32>,
}

impl Packer {
    fn symbol(&mut self, source: &Image, place: u32) -> u32 {
        let image = &mut self.image;
        let text = source.symbol(place).unwrap_or("");
        *self.symbols.entry(place).or_insert_with(|| image.push_symbol(text))
    }

    fn node(&mut self, graph: &Graph, place: u32, times: u32) {
        let source = graph.image();
        let Node { op, a, b } = graph.get(place);
        let child = |known: u32| self.nodes.get(&known).copied().unwrap_or(0);
        let node = match op {
            Op::Predicate => {
                let root = child(source.number(Column::Predicates, a).unwrap_or(0));
                if times == 1 {
                    // Asked in one place only: nothing to remember.
                    self.nodes.insert(place, root);
                    return;
                }
                Node { op, a: self.image.push(Column::Predicates, root), b }
            }
            Op::Text | Op::Version => Node { op, a: self.symbol(source, a), b },
            Op::Int | Op::Timestamp | Op::Duration | Op::Double => {
                let int = source.int(a).unwrap_or(0);
                let image = &mut self.image;
                Node { op, a: *self.ints.entry(a).or_insert_with(|| image.push_int(int)), b }
            }
            Op::Key => Node { op, a: self.keys.get(&a).copied().unwrap_or(0), b },
            Op::Matches => {
                let a = child(a);
                let image = &mut self.image;
                let b = *self.patterns.entry(b).or_insert_with(|| {
                    let program = source.part(Column::StepStarts, b, Column::Steps);
                    image.column_mut(Column::Steps).extend(program);
                    image.end_part(Column::StepStarts, Column::Steps)
                });
                Node { op, a, b }
            }
            Op::List | Op::And | Op::Or | Op::If => {
                let children = graph.args_of(graph.get(place)).iter().map(|c| child(*c)).collect();
                let args = self.image.column_mut(Column::Args);
                let a = *self.args.entry(children).or_insert_with_key(|children| {
                    args.extend(children);
                    len(args) - len(children)
                });
                Node { op, a, b }
            }
            _ => match source.children(graph.get(place)).len() {
                0 => Node { op, a, b },
                1 => Node { op, a: child(a), b },
                _ => Node { op, a: child(a), b: child(b) },
            },
        };
        let packed = self.image.push_node(node);
        self.nodes.insert(place, packed);
    }

    /// Numbers the symbols that keys speak of slot by slot, cuts each slot's keys into segments,
    /// and writes key sets in terms of those.
    fn slots(&mut self, graph: &Graph, uses: &[u32]) {
        let source = graph.image();
        let mut by_slot: BTreeMap<u16, BTreeMap<u32, KeyDef>> = BTreeMap::new();
        for (place, times) in (0..).zip(uses) {
            let node = graph.get(place);
            if node.op == Op::Key
                && *times > 0
                && let Some(def) = graph.keys.get(node.a as usize)
            {
                by_slot.entry(def.slot).or_default().insert(node.a, def.clone());
            }
        }
        for slot in (0..).take(source.slots()) {
            let mut defs = by_slot.remove(&slot).unwrap_or_default();
            if matches!(graph.kind(slot), Some(Kind::String | Kind::Strings)) {
                for def in defs.values_mut() {
                    def.bounds = self.renumbered(source, &def.bounds);
                }
            }
            let bounds = defs.values().flat_map(|def| def.bounds.iter().copied());
            let cuts: BTreeSet<i64> = bounds.filter(|bound| *bound != i64::MIN).collect();
            let starts = std::iter::once(i64::MIN).chain(cuts.iter().copied());
            let segments: BTreeMap<i64, u32> = starts.zip(1..).collect();
            self.image.push_cuts(cuts.into_iter());
            for (place, def) in defs {
                let packed = 2 * u32::from(slot) + u32::from(def.absent == Absent::Fails);
                self.image.push(Column::KeySlots, packed);
                self.image.column_mut(Column::Bounds).extend(segment_bounds(&def, &segments));
                let key = self.image.end_part(Column::BoundStarts, Column::Bounds);
                self.keys.insert(place, key);
            }
        }
        for slot in (0..).take(source.slots()) {
            let path = source.number(Column::SlotPaths, slot).unwrap_or(0);
            let path = self.symbol(source, path);
            self.image.push(Column::SlotPaths, path);
            for column in [Column::SlotKinds, Column::SlotSources] {
                self.image.push(column, source.number(column, slot).unwrap_or(0));
            }
        }
    }

    /// The bounds with the symbols' new numbers.
    fn renumbered(&mut self, source: &Image, bounds: &[i64]) -> Vec<i64> {
        let endless = bounds.len() % 2 == 1;
        let listed = if endless { complement(bounds) } else { bounds.to_vec() };
        let mut keys = BTreeSet::new();
        for stretch in listed.chunks(2) {
            let [start, end] = stretch else { continue };
            for key in *start..*end {
                let place = u32::try_from(key - 1).unwrap_or(u32::MAX);
                keys.insert(i64::from(self.symbol(source, place)) + 1);
            }
        }
        let mut bounds: Vec<i64> = Vec::new();
        for key in keys {
            if bounds.last() == Some(&key) {
                bounds.pop();
            } else {
                bounds.push(key);
            }
            bounds.push(key + 1);
        }
        if endless { complement(&bounds) } else { bounds }
    }
}

/// A key set's bounds in segments, of which the first, 0, stands for the missing value.
fn segment_bounds(def: &KeyDef, segments: &BTreeMap<i64, u32>) -> Vec<u32> {
    let mut bounds: Vec<u32> =
        def.bounds.iter().map(|bound| segments.get(bound).copied().unwrap_or(0)).collect();
    if def.absent == Absent::True {
        // Holds from segment 0 on; whether it goes on in segment 1 is what the bound there says.
        if bounds.first() == Some(&1) {
            bounds.remove(0);
        } else {
            bounds.insert(0, 1);
        }
        bounds.insert(0, 0);
    }
    bounds
}

fn len(list: &[u32]) -> u32 {
    u32::try_from(list.len()).unwrap_or(u32::MAX)
}
