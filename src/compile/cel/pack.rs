//! Packs the graph into the image: only what rules reach, predicates over keys numbered by
//! segment. It must never change what a rule comes to.

use std::collections::{BTreeMap, BTreeSet};

use super::Compiler;
use super::keys::{Absent, KeyDef, complement};
use crate::rule::Rules;
use crate::rule::draft::{Image, KeySet, Kind, Node, Op};

pub(super) fn pack(compiler: Compiler) -> Rules {
    let Compiler { graph, rules, groups, now, .. } = compiler;
    let uses = count_uses(&graph, rules.iter().flat_map(|rule| &rule.conjuncts).copied());
    let mut packer = Packer::default();
    packer.number_keys(&graph, &uses);
    // Children stand before parents, so every node finds its children packed.
    for (place, times) in uses.iter().enumerate() {
        if *times > 0 {
            packer.node(&graph, u32::try_from(place).unwrap_or(u32::MAX), &uses);
        }
    }
    let Packer { mut image, nodes, .. } = packer;
    let source = graph.draft.image();
    image.now = now;
    for (slot, def) in source.slots.iter().enumerate() {
        match image.slots.get_mut(slot) {
            Some(packed) => {
                packed.path.clone_from(&def.path);
                packed.kind = def.kind;
                packed.version_of = def.version_of;
            }
            None => image.slots.push(def.clone()),
        }
    }
    for rule in rules {
        let packed = rule.conjuncts.iter().map(|node| nodes.get(node).copied().unwrap_or(0));
        image.rules.push(packed.collect());
        image.spans.push(rule.spans);
    }
    image.groups = groups;
    Rules::from_image(image)
}

/// How often each node is reached from others and from rules.
fn count_uses(graph: &super::Graph, roots: impl Iterator<Item = u32>) -> Vec<u32> {
    let source = graph.draft.image();
    let mut uses = vec![0_u32; source.nodes.len()];
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

#[derive(Default)]
struct Packer {
    image: Image,
    /// Node of the graph to node of the image.
    nodes: BTreeMap<u32, u32>,
    symbols: BTreeMap<u32, u32>,
    ints: BTreeMap<u32, u32>,
    doubles: BTreeMap<u32, u32>,
    patterns: BTreeMap<u32, u32>,
    keys: BTreeMap<u32, u32>,
    args: BTreeMap<Vec<u32>, u32>,
}

fn len<T>(list: &[T]) -> u32 {
    u32::try_from(list.len()).unwrap_or(u32::MAX)
}

/// Moves an entry over, once.
fn moved<T: Clone>(known: &mut BTreeMap<u32, u32>, from: &[T], to: &mut Vec<T>, place: u32) -> u32 {
    *known.entry(place).or_insert_with(|| {
        to.extend(from.get(place as usize).cloned());
        len(to).saturating_sub(1)
    })
}

impl Packer {
    fn node(&mut self, graph: &super::Graph, place: u32, uses: &[u32]) {
        let source = graph.draft.image();
        let Node { op, a, b } = graph.get(place);
        let times = uses.get(place as usize).copied().unwrap_or(0);
        let child = |known: u32| self.nodes.get(&known).copied().unwrap_or(0);
        let node = match op {
            Op::Predicate => {
                let root = source.predicates.get(a as usize).copied().unwrap_or(0);
                let root = child(root);
                if times == 1 {
                    // Asked in one place only: nothing to remember.
                    self.nodes.insert(place, root);
                    return;
                }
                self.image.predicates.push(root);
                Node { op, a: len(&self.image.predicates) - 1, b }
            }
            Op::Text | Op::Version => {
                let to = &mut self.image.symbols;
                Node { op, a: moved(&mut self.symbols, &source.symbols, to, a), b }
            }
            Op::Int | Op::Timestamp | Op::Duration => {
                Node { op, a: moved(&mut self.ints, &source.ints, &mut self.image.ints, a), b }
            }
            Op::Double => {
                let to = &mut self.image.doubles;
                Node { op, a: moved(&mut self.doubles, &source.doubles, to, a), b }
            }
            Op::Key => Node { op, a: self.keys.get(&a).copied().unwrap_or(0), b },
            Op::Matches => {
                let a = child(a);
                let to = &mut self.image.patterns;
                Node { op, a, b: moved(&mut self.patterns, &source.patterns, to, b) }
            }
            Op::List | Op::And | Op::Or | Op::If => {
                let children = graph.args_of(graph.get(place)).iter().map(|c| child(*c)).collect();
                let args = &mut self.image.args;
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
        self.image.nodes.push(node);
        self.nodes.insert(place, len(&self.image.nodes) - 1);
    }

    /// Numbers the symbols that keys speak of slot by slot, cuts each slot's keys into segments,
    /// and writes key sets in terms of those.
    fn number_keys(&mut self, graph: &super::Graph, uses: &[u32]) {
        let source = graph.draft.image();
        let used =
            source.nodes.iter().zip(uses).filter(|(node, times)| node.op == Op::Key && **times > 0);
        let used: BTreeSet<u32> = used.map(|(node, _)| node.a).collect();
        let mut by_slot: BTreeMap<u16, Vec<(u32, KeyDef)>> = BTreeMap::new();
        for place in used {
            if let Some(def) = graph.keys.get(place as usize) {
                by_slot.entry(def.slot).or_default().push((place, def.clone()));
            }
        }
        self.image.slots = source.slots.clone();
        for (slot, mut defs) in by_slot {
            let kind = graph.kind(slot);
            if matches!(kind, Some(Kind::String | Kind::Strings)) {
                for (_, def) in &mut defs {
                    def.bounds = self.renumbered(&source.symbols, &def.bounds);
                }
            }
            let cuts: BTreeSet<i64> = defs
                .iter()
                .flat_map(|(_, def)| def.bounds.iter().copied())
                .filter(|bound| *bound != i64::MIN)
                .collect();
            let segments: BTreeMap<i64, u32> =
                std::iter::once(i64::MIN).chain(cuts.iter().copied()).zip(1..).collect();
            if let Some(packed) = self.image.slots.get_mut(usize::from(slot)) {
                packed.cuts = differences(cuts.iter().copied());
            }
            for (place, def) in defs {
                self.image.keys.push(key_set(&def, &segments));
                self.keys.insert(place, len(&self.image.keys) - 1);
            }
        }
    }

    /// The bounds with the symbols' new numbers.
    fn renumbered(&mut self, symbols: &[String], bounds: &[i64]) -> Vec<i64> {
        let endless = bounds.len() % 2 == 1;
        let listed = if endless { complement(bounds) } else { bounds.to_vec() };
        let mut keys = BTreeSet::new();
        for stretch in listed.chunks(2) {
            let [start, end] = stretch else { continue };
            for key in *start..*end {
                let place = u32::try_from(key - 1).unwrap_or(u32::MAX);
                let new = moved(&mut self.symbols, symbols, &mut self.image.symbols, place);
                keys.insert(i64::from(new) + 1);
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

fn differences(keys: impl Iterator<Item = i64>) -> Vec<u64> {
    let mut before = i64::MIN;
    keys.map(|key| std::mem::replace(&mut before, key).abs_diff(key)).collect()
}

/// A key set in terms of segments, of which the first, 0, stands for the missing value.
fn key_set(def: &KeyDef, segments: &BTreeMap<i64, u32>) -> KeySet {
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
    let mut before = 0;
    let bounds = bounds.into_iter().map(|b| b - std::mem::replace(&mut before, b)).collect();
    KeySet { slot: def.slot, needs_value: def.absent == Absent::Fails, bounds }
}
