//! Finds the rules of a group that match, in the order of their rank, without trying each.
//!
//! Rules stand in blocks. For each block and each slot that its rules look at, a table has one row
//! of bits per stretch of segments that is alike to all of them: which rules the slot's value lets
//! through. A decision takes the row of each slot's current value, and ands the rows word by word,
//! so that whoever needs only the first few matches pays for the first few words. What is no
//! predicate over one slot is asked of the rules that are left, once per decision.
//!
//! It must never know how an expression is evaluated, nor visit a rule that does not match.

use std::ops::ControlFlow;

use super::eval::{Run, Scratch, at};
use super::facts::Facts;
use super::image::Op;
use super::truth::Truth;
use super::{RuleId, Rules};

/// Rules of one block. A row of a table takes 128 bytes then, and its first words one cache line.
const BLOCK: usize = 1_024;
/// Rows of one table; the predicates beyond are asked of the rules that are left instead, so that
/// memory grows with the number of rules whatever they look at.
const ROWS: usize = 1_024;
/// Conjuncts of one rule, with those of the audiences that it requires, that are looked into.
const CONJUNCTS: usize = 256;

/// The rules of one group.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    /// By rank.
    rules: Vec<u32>,
    blocks: Vec<Block>,
    /// Nodes that no table covers, rule after rule.
    rest: Vec<u32>,
    /// Where in `rest` the nodes of each rule end.
    rest_ends: Vec<u32>,
}

#[derive(Clone, Debug, Default)]
struct Block {
    /// Words in a row.
    words: usize,
    /// The rules that can match at all.
    possible: Vec<u64>,
    /// Of slots with one value; the most selective first. Rules that do not look at the slot are
    /// let through by every row.
    single: Vec<Table>,
    /// Of lists: a rule is let through by any entry's row, or by `free`.
    lists: Vec<Table>,
    /// The rows of all tables.
    bits: Vec<u64>,
}

#[derive(Clone, Debug)]
struct Table {
    slot: u16,
    /// Segment to where its row begins in `bits`.
    rows: Vec<u32>,
    /// Where the row of rules that do not look at the slot begins.
    free: u32,
}

/// A rule of a block that looks at a slot.
struct Look {
    slot: u16,
    /// Which rule of the block.
    rule: usize,
    /// The bounds of the key set.
    bounds: Vec<u32>,
}

impl Index {
    pub fn new(rules: &Rules, members: &[u32]) -> Self {
        let mut index = Self { rules: members.to_vec(), ..Self::default() };
        for block in members.chunks(BLOCK) {
            index.add_block(rules, block);
        }
        index
    }

    fn add_block(&mut self, rules: &Rules, members: &[u32]) {
        let words = members.len().div_ceil(64);
        let mut block = Block { words, possible: vec![0; words], ..Block::default() };
        let mut looks: Vec<Look> = Vec::new();
        let mut cuts = Cuts::new(rules);
        for (rule, id) in members.iter().enumerate() {
            let first_look = looks.len();
            let mut possible = true;
            for node in conjuncts(rules, *id) {
                let Some(node_ref) = rules.image.nodes.get(at(node)) else {
                    possible = false;
                    continue;
                };
                match node_ref.op {
                    Op::True => {}
                    Op::False | Op::Fail => possible = false,
                    Op::Key => {
                        let Some(key) = rules.keys.get(at(node_ref.a)) else {
                            possible = false;
                            continue;
                        };
                        let earlier =
                            looks.iter_mut().skip(first_look).find(|l| l.slot == key.slot);
                        if earlier.is_some() && rules.is_list(key.slot)
                            || !cuts.admit(key.slot, &key.bounds)
                        {
                            self.rest.push(node);
                            continue;
                        }
                        match earlier {
                            Some(look) => look.bounds = intersection(&look.bounds, &key.bounds),
                            None => looks.push(Look {
                                slot: key.slot,
                                rule,
                                bounds: key.bounds.clone(),
                            }),
                        }
                    }
                    _ => self.rest.push(node),
                }
            }
            self.rest_ends.push(u32::try_from(self.rest.len()).unwrap_or(u32::MAX));
            if possible {
                set_bit(&mut block.possible, rule);
            }
        }
        looks.sort_by_key(|look| look.slot);
        for looks in looks.chunk_by(|a, b| a.slot == b.slot) {
            block.add_table(rules, looks, &cuts);
        }
        block.single.sort_by_cached_key(|table| {
            let row = |row: &u32| block.bits.get(at(*row)..at(*row) + words).unwrap_or(&[]);
            let ones = |r| row(r).iter().map(|word| u64::from(word.count_ones())).sum::<u64>();
            let mut rows = table.rows.clone();
            rows.dedup();
            let count = u64::try_from(rows.len()).unwrap_or(1).max(1);
            rows.iter().map(ones).sum::<u64>() / count
        });
        self.blocks.push(block);
    }

    /// Visits the rules that match, by rank, until the visitor breaks off.
    pub fn search(
        &self,
        rules: &Rules,
        facts: &Facts,
        scratch: &mut Scratch,
        mut visit: impl FnMut(RuleId) -> ControlFlow<()>,
    ) {
        let mut rows = std::mem::take(&mut scratch.rows);
        'blocks: for (block, first) in self.blocks.iter().zip((0..).step_by(BLOCK)) {
            rows.clear();
            rows.extend(block.single.iter().map(|table| {
                table.rows.get(at(facts.segment(table.slot))).copied().unwrap_or(table.free)
            }));
            for word in 0..block.words {
                let mut left = block.left(word, &rows, facts);
                while left != 0 {
                    let rule = first + 64 * word + at(left.trailing_zeros());
                    left &= left - 1;
                    let Some(id) = self.rules.get(rule) else { continue };
                    let mut run = Run::new(rules, facts, scratch);
                    let holds = self.rest_of(rule).iter().all(|n| run.truth(*n) == Truth::Match);
                    if holds && visit(RuleId(*id)).is_break() {
                        break 'blocks;
                    }
                }
            }
        }
        scratch.rows = rows;
    }

    fn rest_of(&self, rule: usize) -> &[u32] {
        let end = self.rest_ends.get(rule).copied().unwrap_or(0);
        let start = rule.checked_sub(1).and_then(|r| self.rest_ends.get(r)).copied().unwrap_or(0);
        self.rest.get(at(start)..at(end)).unwrap_or(&[])
    }
}

impl Block {
    /// The rules of one word that every table lets through.
    fn left(&self, word: usize, rows: &[u32], facts: &Facts) -> u64 {
        let mut left = self.possible.get(word).copied().unwrap_or(0);
        for row in rows {
            left &= self.word(*row, word);
            if left == 0 {
                return 0;
            }
        }
        for table in &self.lists {
            let mut through = self.word(table.free, word);
            for segment in facts.entries(table.slot).unwrap_or(&[]) {
                if let Some(row) = table.rows.get(at(*segment)) {
                    through |= self.word(*row, word);
                }
            }
            left &= through;
        }
        left
    }

    fn word(&self, row: u32, word: usize) -> u64 {
        self.bits.get(at(row) + word).copied().unwrap_or(0)
    }

    /// Adds the table of one slot.
    fn add_table(&mut self, rules: &Rules, looks: &[Look], cuts: &Cuts) {
        let Some(slot) = looks.first().map(|look| look.slot) else { return };
        let words = self.words;
        let start = self.bits.len();
        let mut free = vec![u64::MAX; words];
        let mut row = 0;
        let mut rows = Vec::new();
        for cut in cuts.of(slot) {
            row += usize::from(*cut);
            rows.push(row);
        }
        // Where a key set begins or ends to hold the bit flips; the rows between follow.
        self.bits.resize(start + words * (row + 1), 0);
        let Some(bits) = self.bits.get_mut(start..) else { return };
        for look in looks {
            flip_bit(&mut free, look.rule);
            for bound in &look.bounds {
                if let Some(row) = rows.get(at(*bound))
                    && let Some(bits) = bits.get_mut(row * words..)
                {
                    flip_bit(bits, look.rule);
                }
            }
        }
        for place in words..bits.len() {
            let above = bits.get(place - words).copied().unwrap_or(0);
            if let Some(word) = bits.get_mut(place) {
                *word ^= above;
            }
        }
        let is_list = rules.is_list(slot);
        if !is_list {
            for row in bits.chunks_mut(words) {
                for (word, free) in row.iter_mut().zip(&free) {
                    *word |= free;
                }
            }
        }
        let place = |row: usize| u32::try_from(start + words * row).unwrap_or(u32::MAX);
        let table = Table {
            slot,
            free: place(row + 1),
            rows: rows.iter().map(|row| place(*row)).collect(),
        };
        self.bits.extend(free);
        if is_list { self.lists.push(table) } else { self.single.push(table) }
    }
}

/// Where the rows of each slot's table begin, of the segments that there are.
struct Cuts {
    slots: Vec<(usize, Vec<bool>)>,
}

impl Cuts {
    fn new(rules: &Rules) -> Self {
        Self { slots: rules.cuts.iter().map(|cuts| (0, vec![false; cuts.len() + 2])).collect() }
    }

    /// Whether a key set's bounds find room in the table.
    fn admit(&mut self, slot: u16, bounds: &[u32]) -> bool {
        let Some((count, cuts)) = self.slots.get_mut(usize::from(slot)) else { return false };
        if *count + bounds.len() > ROWS {
            return false;
        }
        for bound in bounds {
            // A row begins at segment 0 anyway.
            if let Some(cut) = cuts.get_mut(at(*bound))
                && *bound > 0
            {
                *count += usize::from(!*cut);
                *cut = true;
            }
        }
        true
    }

    fn of(&self, slot: u16) -> &[bool] {
        self.slots.get(usize::from(slot)).map_or(&[], |(_, cuts)| cuts)
    }
}

/// The conjuncts of a rule, with those of what it requires: a conjunction, an audience.
fn conjuncts(rules: &Rules, rule: u32) -> Vec<u32> {
    let image = &rules.image;
    let mut open = image.rules.get(at(rule)).cloned().unwrap_or_default();
    open.reverse();
    let mut found: Vec<u32> = Vec::new();
    while let Some(place) = open.pop() {
        let mut inner = place;
        // Only truth counts here, so that what hides one node behind another can be looked through.
        let children: Option<&[u32]> = loop {
            match image.nodes.get(at(inner)) {
                Some(node) if node.op == Op::Holds && node.a < inner => inner = node.a,
                Some(node) if node.op == Op::Predicate => match image.predicates.get(at(node.a)) {
                    Some(root) if *root < inner => inner = *root,
                    _ => break None,
                },
                Some(node) if node.op == Op::And => {
                    break image.args.get(at(node.a)..at(node.a).saturating_add(at(node.b)));
                }
                Some(node) if node.op == Op::Key => break Some(&[]),
                _ => break None,
            }
        };
        match children {
            Some([]) if !found.contains(&inner) => found.push(inner),
            Some([]) => {}
            Some(children) if found.len() + open.len() + children.len() <= CONJUNCTS => {
                open.extend(children.iter().rev().filter(|child| **child < inner));
            }
            _ if !found.contains(&place) => found.push(place),
            _ => {}
        }
    }
    found
}

/// The bounds of where both hold.
fn intersection(a: &[u32], b: &[u32]) -> Vec<u32> {
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    let (mut in_a, mut in_b) = (false, false);
    let mut both = Vec::new();
    loop {
        let bound = match (a.peek(), b.peek()) {
            (None, None) => return both,
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

fn set_bit(words: &mut [u64], bit: usize) {
    if let Some(word) = words.get_mut(bit / 64) {
        *word |= 1 << (bit % 64);
    }
}

fn flip_bit(words: &mut [u64], bit: usize) {
    if let Some(word) = words.get_mut(bit / 64) {
        *word ^= 1 << (bit % 64);
    }
}

/// Finds texts by hash; open addressing, at most half full.
#[derive(Clone, Debug, Default)]
pub(super) struct Symbols {
    /// Place of a text plus one; 0 where free.
    table: Vec<u32>,
}

impl Symbols {
    pub fn new(symbols: &[String]) -> Self {
        let len = (symbols.len() * 2).next_power_of_two();
        let mut table = vec![0; len];
        for (symbol, place) in symbols.iter().zip(1..) {
            let mut hash = hash(symbol);
            while let Some(entry) = table.get_mut(at(hash) & (len - 1)) {
                if *entry == 0 {
                    *entry = place;
                    break;
                }
                hash = hash.wrapping_add(1);
            }
        }
        Self { table }
    }

    pub fn find(&self, symbols: &[String], text: &str) -> Option<u32> {
        let mask = self.table.len().checked_sub(1)?;
        let mut hash = hash(text);
        loop {
            let place = self.table.get(at(hash) & mask)?.checked_sub(1)?;
            if symbols.get(at(place))? == text {
                return Some(place);
            }
            hash = hash.wrapping_add(1);
        }
    }
}

/// FNV-1a.
fn hash(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, b| (hash ^ u32::from(b)).wrapping_mul(0x0100_0193))
}
