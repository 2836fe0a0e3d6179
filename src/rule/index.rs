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

use crate::limits::{INDEX_BLOCK, INDEX_CONJUNCTS, INDEX_ROWS};

use super::Rules;
use super::eval::{Run, Scratch, at};
use super::facts::{Facts, MISSING};
use super::image::{Column, Image, Op};
use super::truth::Truth;

/// The rules of one group.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
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
    /// Of slots with one value; the most selective first. Rules that do not look at the slot are
    /// let through by every row.
    single: Vec<Table>,
    /// Of lists: a rule is let through by any entry's row, or by `free`.
    lists: Vec<Table>,
    /// The rows of all tables; the first tells the rules that can match at all.
    bits: Vec<u64>,
}

#[derive(Clone, Debug)]
struct Table {
    slot: u16,
    /// Segment to where its row begins in `bits`.
    rows: Vec<u32>,
    /// Where the row of rules that do not look at the slot begins.
    free: u32,
    /// How many rules a row lets through, on the whole.
    through: u32,
}

/// A rule of a block that looks at a slot.
struct Look {
    /// Which rule of the block.
    rule: usize,
    /// Where its bounds stand among those of the builder.
    bounds: std::ops::Range<usize>,
    /// The next look at the same slot, plus one.
    next: usize,
}

/// What it takes to build a block.
#[derive(Default)]
struct Builder {
    looks: Vec<Look>,
    bounds: Vec<u32>,
    /// Slot to the latest look at it, plus one.
    latest: Vec<usize>,
    /// Slot to how many rows its table has beside the first.
    cuts: Vec<u32>,
    /// Slot to where its segments begin among all.
    segments: Vec<usize>,
    /// Whether a row begins at this segment.
    begins: Vec<bool>,
    open: Vec<u32>,
    found: Vec<u32>,
}

impl Index {
    pub fn new(rules: &Rules, members: &[u32]) -> Self {
        let mut index = Self::default();
        for block in members.chunks(INDEX_BLOCK) {
            index.add_block(rules, block);
        }
        index
    }

    fn add_block(&mut self, rules: &Rules, members: &[u32]) {
        let words = members.len().div_ceil(64);
        let mut block = Block { words, bits: vec![0; words], ..Block::default() };
        let mut builder = Builder::new(rules);
        for (rule, id) in members.iter().enumerate() {
            builder.find_conjuncts(rules, *id);
            let mut possible = true;
            let found = std::mem::take(&mut builder.found);
            for node in &found {
                match rules.image.node(*node) {
                    Some(known) if known.op == Op::True => {}
                    Some(known) if known.op == Op::False || known.op == Op::Fail => {
                        possible = false;
                    }
                    Some(known) if known.op == Op::Key && builder.look(rules, rule, known.a) => {}
                    _ => self.rest.push(*node),
                }
            }
            builder.found = found;
            self.rest_ends.push(u32::try_from(self.rest.len()).unwrap_or(u32::MAX));
            if possible {
                flip(&mut block.bits, rule);
            }
        }
        for (slot, latest) in (0..).zip(&builder.latest) {
            if *latest > 0 {
                block.add_table(rules, &builder, slot);
            }
        }
        self.blocks.push(block);
    }

    /// Visits the rules that match, by their places in the group, until the visitor breaks off.
    pub fn search(
        &self,
        rules: &Rules,
        facts: &Facts,
        scratch: &mut Scratch,
        mut visit: impl FnMut(usize) -> ControlFlow<()>,
    ) {
        let mut rows = std::mem::take(&mut scratch.rows);
        let mut first = 0;
        'blocks: for block in &self.blocks {
            rows.clear();
            for table in &block.single {
                rows.push(table.row(facts.segment(table.slot)));
            }
            for word in 0..block.words {
                let mut left = block.left(word, block.word(0, word), &rows, facts, false);
                while left != 0 {
                    let rule = first + 64 * word + at(left.trailing_zeros());
                    left &= left - 1;
                    let rest = self.rest_of(rule);
                    let holds = rest.is_empty() || {
                        let mut run = Run::new(rules, facts, scratch);
                        rest.iter().all(|node| run.truth(*node) == Truth::Match)
                    };
                    if holds && visit(rule).is_break() {
                        break 'blocks;
                    }
                }
            }
            first += INDEX_BLOCK;
        }
        scratch.rows = rows;
    }

    /// Visits all `count` rules, and says which some table shows to be false. A missing value shows
    /// nothing: a condition that needs it cannot be told.
    pub fn sift(
        &self,
        count: usize,
        facts: &Facts,
        scratch: &mut Scratch,
        mut visit: impl FnMut(usize, bool),
    ) {
        let mut rows = std::mem::take(&mut scratch.rows);
        let mut rule = 0;
        for block in &self.blocks {
            rows.clear();
            for table in &block.single {
                let segment = facts.segment(table.slot);
                if segment != MISSING {
                    rows.push(table.row(segment));
                }
            }
            for word in 0..block.words {
                let left = block.left(word, u64::MAX, &rows, facts, true);
                for bit in 0..(count - rule).min(64) {
                    visit(rule + bit, left & (1 << bit) == 0);
                }
                rule = (rule + 64).min(count);
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

impl Builder {
    fn new(rules: &Rules) -> Self {
        let mut builder = Self::default();
        let slots = rules.image.slots();
        builder.latest.resize(slots, 0);
        builder.cuts.resize(slots, 0);
        let mut segments = 0;
        for slot in (0..).take(slots) {
            builder.segments.push(segments);
            // One before the first cut, and one for the missing value.
            segments += rules.image.range(Column::CutStarts, slot).map_or(0, |r| r.len()) + 2;
        }
        builder.segments.push(segments);
        builder.begins.resize(segments, false);
        builder
    }

    /// The conjuncts of a rule, with those of what it requires: a conjunction, an audience.
    fn find_conjuncts(&mut self, rules: &Rules, rule: u32) {
        let Self { open, found, .. } = self;
        open.clear();
        found.clear();
        open.extend(rules.conjuncts(rule).iter().rev());
        while let Some(place) = open.pop() {
            let mut inner = place;
            // Only truth counts here, so what hides one node behind another is looked through.
            let node = loop {
                let Some(node) = rules.image.node(inner) else { break None };
                let behind = match node.op {
                    Op::Holds => Some(node.a),
                    Op::Predicate => rules.image.number(Column::Predicates, node.a),
                    _ => break Some(node),
                };
                match behind {
                    Some(behind) if behind < inner => inner = behind,
                    _ => break None,
                }
            };
            match node {
                Some(node) if node.op == Op::And => {
                    let children = rules.image.args_of(node).unwrap_or(&[]);
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

    /// Takes a rule's key set into the table of its slot; false where it finds no room there.
    fn look(&mut self, rules: &Rules, rule: usize, key: u32) -> bool {
        let Some((key, bounds)) = rules.key(key) else { return false };
        let slot = usize::from(key.slot);
        let (Some(latest), Some(cuts)) = (self.latest.get_mut(slot), self.cuts.get_mut(slot))
        else {
            return false;
        };
        let earlier = latest.checked_sub(1).and_then(|place| self.looks.get_mut(place));
        let earlier = earlier.filter(|look| look.rule == rule);
        // Of a list, two predicates may hold through different entries.
        let full =
            cuts.saturating_add(u32::try_from(bounds.len()).unwrap_or(INDEX_ROWS)) > INDEX_ROWS;
        if full || (earlier.is_some() && rules.is_list(key.slot)) {
            return false;
        }
        let start = self.segments.get(slot).copied().unwrap_or(0);
        let end = self.segments.get(slot + 1).copied().unwrap_or(0);
        let begins = self.begins.get_mut(start..end).unwrap_or(&mut []);
        for bound in bounds {
            if let Some(begin) = begins.get_mut(at(*bound)) {
                // The first row begins anyway.
                *cuts += u32::from(*bound > 0 && !*begin);
                *begin |= *bound > 0;
            }
        }
        let from = self.bounds.len();
        match earlier {
            Some(look) => {
                let old: Vec<u32> = self.bounds.get(look.bounds.clone()).unwrap_or(&[]).to_vec();
                intersect(&old, bounds, &mut self.bounds);
                look.bounds = from..self.bounds.len();
            }
            None => {
                self.bounds.extend_from_slice(bounds);
                let bounds = from..self.bounds.len();
                self.looks.push(Look { rule, bounds, next: *latest });
                *latest = self.looks.len();
            }
        }
        true
    }
}

impl Table {
    /// Where the row of a segment begins.
    fn row(&self, segment: u32) -> u32 {
        self.rows.get(at(segment)).copied().unwrap_or(self.free)
    }
}

impl Block {
    /// The rules of one word that every table lets through, of those in `left`; where `known`, of
    /// lists only those that are there count.
    fn left(&self, word: usize, mut left: u64, rows: &[u32], facts: &Facts, known: bool) -> u64 {
        for row in rows {
            left &= self.word(*row, word);
            if left == 0 {
                return 0;
            }
        }
        for table in &self.lists {
            let mut through = self.word(table.free, word);
            let entries = facts.entries(table.slot).unwrap_or(&[]);
            if known && matches!(entries, [MISSING]) {
                continue;
            }
            for segment in entries {
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
    fn add_table(&mut self, rules: &Rules, builder: &Builder, slot: u16) {
        let words = self.words;
        let start = self.bits.len();
        let place = |row: usize| u32::try_from(start + words * row).unwrap_or(u32::MAX);
        let begin = builder.segments.get(usize::from(slot)).copied().unwrap_or(0);
        let end = builder.segments.get(usize::from(slot) + 1).copied().unwrap_or(0);
        let mut row = 0;
        let mut rows = Vec::with_capacity(end.saturating_sub(begin));
        for begins in builder.begins.get(begin..end).unwrap_or(&[]) {
            row += usize::from(*begins);
            rows.push(place(row));
        }
        self.bits.resize(start + words * (row + 2), 0);
        let Some(bits) = self.bits.get_mut(start..) else { return };
        let (bits, free) = bits.split_at_mut(words * (row + 1));
        free.fill(u64::MAX);
        // Where a key set begins or ends to hold the bit flips; the rows between follow.
        let mut next = builder.latest.get(usize::from(slot)).copied().unwrap_or(0);
        while let Some(look) = next.checked_sub(1).and_then(|place| builder.looks.get(place)) {
            next = look.next;
            flip(free, look.rule);
            for bound in builder.bounds.get(look.bounds.clone()).unwrap_or(&[]) {
                if let Some(row) = rows.get(at(*bound))
                    && let Some(bits) = bits.get_mut(at(*row) - start..)
                {
                    flip(bits, look.rule);
                }
            }
        }
        let is_list = rules.is_list(slot);
        let mut through = 0;
        let mut above = vec![0; words];
        for row in bits.chunks_mut(words) {
            for ((word, above), free) in row.iter_mut().zip(&mut above).zip(&*free) {
                *above ^= *word;
                *word = if is_list { *above } else { *above | *free };
                through += word.count_ones();
            }
        }
        let count = u32::try_from(row + 1).unwrap_or(u32::MAX);
        let table = Table { slot, rows, free: place(row + 1), through: through / count };
        if is_list {
            self.lists.push(table);
        } else {
            let behind = self.single.iter().position(|other| other.through > table.through);
            self.single.insert(behind.unwrap_or(self.single.len()), table);
        }
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

fn flip(words: &mut [u64], bit: usize) {
    if let Some(word) = words.get_mut(bit / 64) {
        *word ^= 1 << (bit % 64);
    }
}

/// Finds texts by hash; open addressing, at most half full.
#[derive(Clone, Debug, Default)]
pub(super) struct Symbols {
    /// Number of a symbol plus one; 0 where free.
    table: Vec<u32>,
}

impl Symbols {
    pub fn new(image: &Image) -> Self {
        let count = image.count(Column::SymbolStarts);
        let len = (at(count) * 2).next_power_of_two();
        let mut table = vec![0; len];
        for symbol in 0..count {
            let mut hash = hash(image.symbol(symbol).unwrap_or(""));
            while let Some(entry) = table.get_mut(at(hash) & (len - 1)) {
                if *entry == 0 {
                    *entry = symbol + 1;
                    break;
                }
                hash = hash.wrapping_add(1);
            }
        }
        Self { table }
    }

    /// The number of a symbol plus one; 0 where the text is none.
    pub fn find(&self, image: &Image, text: &str) -> u32 {
        let mask = self.table.len().wrapping_sub(1);
        let mut hash = hash(text);
        while let Some(entry) = self.table.get(at(hash) & mask) {
            if *entry == 0 || image.symbol(*entry - 1) == Some(text) {
                return *entry;
            }
            hash = hash.wrapping_add(1);
        }
        0
    }
}

/// FNV-1a.
fn hash(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, b| (hash ^ u32::from(b)).wrapping_mul(0x0100_0193))
}
