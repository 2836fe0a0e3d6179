//! Finds the rules of a group that match, in the order of their rank, without trying each.
//!
//! Rules stand in blocks. For each block and each slot that its rules look at, a table has one row
//! of bits per stretch of segments that is alike to all of them: which rules the slot's value lets
//! through. A decision takes the row of each slot's current value, and ands the rows word by word,
//! so that whoever needs only the first few matches pays for the first few words. What is no
//! predicate over one slot is asked of the rules that are left, once per decision.
//!
//! It must never know how an expression is evaluated, nor visit a rule that does not match.

use alloc::vec;
use alloc::vec::Vec;

use crate::limits::{INDEX_BLOCK, INDEX_ROWS};

use super::eval::{Run, Scratch, at};
use super::facts::{Facts, MISSING};
use super::image::{Column, Image};
use super::truth::Truth;
use super::{Rules, Sift, Visit};

/// Words of a row of a full block.
const WORDS: usize = INDEX_BLOCK / 64;

/// The rules of one group.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    blocks: Vec<Block>,
    /// Where its members begin among those of all groups.
    first: usize,
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
    /// The rows of all tables; the first tells the rules that there are.
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

/// How far a search has come. It belongs to the facts that it began with.
#[derive(Clone, Debug, Default)]
pub(super) struct Cursor {
    block: usize,
    /// Whether what follows is of this block.
    is_open: bool,
    /// Words that were looked at.
    words: usize,
    /// Of the last of them, the rules that were not visited.
    left: u64,
    /// Where the rows of the tables of slots with one value begin.
    rows: Vec<u32>,
}

impl Cursor {
    fn rewind(&mut self) {
        self.block = 0;
        self.is_open = false;
    }

    /// Begins a block.
    fn open(&mut self, block: &Block, facts: &Facts) {
        self.is_open = true;
        self.words = 0;
        self.left = 0;
        self.rows.clear();
        self.rows.extend(block.single.iter().map(|table| table.row(facts.segment(table.slot))));
    }

    /// Takes the next rule of those that are left.
    fn next_rule(&mut self) -> usize {
        let bit = at(self.left.trailing_zeros());
        self.left &= self.left.wrapping_sub(1);
        INDEX_BLOCK * self.block + 64 * self.words.wrapping_sub(1) + bit
    }
}

/// A rule of a block that looks at a slot.
struct Look {
    /// Which rule of the block.
    rule: usize,
    /// By which key set.
    key: u32,
    /// The next look at the same slot, plus one.
    next: usize,
}

impl Index {
    pub fn new(rules: &Rules, group: u32) -> Self {
        let members = rules.image.range(Column::MemberStarts, group).unwrap_or(0..0);
        let mut index = Self { blocks: Vec::new(), first: members.start };
        for first in members.clone().step_by(INDEX_BLOCK) {
            let end = members.end.min(first + INDEX_BLOCK);
            index.blocks.push(Block::new(rules, first..end));
        }
        index
    }

    /// Visits the rules that match, by their places in the group, until the visitor breaks off.
    /// With `goes_on` it begins behind the rule at which the last visitor broke off, who looked at
    /// the same facts.
    pub fn walk(
        &self,
        rules: &Rules,
        facts: &Facts,
        scratch: &mut Scratch,
        goes_on: bool,
        visit: &mut Visit<'_>,
    ) {
        let mut cursor = core::mem::take(&mut scratch.cursor);
        if !goes_on {
            cursor.rewind();
        }
        'blocks: while let Some(block) = self.blocks.get(cursor.block) {
            if !cursor.is_open {
                cursor.open(block, facts);
            }
            loop {
                while cursor.left != 0 {
                    let rule = cursor.next_rule();
                    #[cfg(feature = "replay")]
                    {
                        scratch.tally.candidates += 1;
                    }
                    if self.rest(rule, rules, facts, scratch) == Some(true)
                        && visit(rule, scratch).is_break()
                    {
                        break 'blocks;
                    }
                }
                if cursor.words == block.words {
                    break;
                }
                let word = cursor.words;
                cursor.left = block.left(word, block.word(0, word), &cursor.rows, facts);
                cursor.words += 1;
            }
            cursor.block += 1;
            cursor.is_open = false;
        }
        scratch.cursor = cursor;
    }

    /// Visits all rules that match, and those that cannot be told from tables and other nodes
    /// alone, and says whether it matches: all others are false. A missing value shows nothing
    /// then, since a condition that needs it cannot be told.
    pub fn sift(&self, rules: &Rules, facts: &Facts, scratch: &mut Scratch, visit: &mut Sift<'_>) {
        for (block, first) in self.blocks.iter().zip((0..).step_by(INDEX_BLOCK)) {
            let mut sieve = [0; WORDS];
            let told = block.sift(facts, &mut sieve);
            for (mut left, first) in sieve.into_iter().zip((first..).step_by(64)) {
                while left != 0 {
                    let rule = first + at(left.trailing_zeros());
                    left &= left - 1;
                    #[cfg(feature = "replay")]
                    {
                        scratch.tally.candidates += 1;
                    }
                    let truth = if told { self.rest(rule, rules, facts, scratch) } else { None };
                    if truth != Some(false) {
                        visit(rule, truth.is_some(), scratch);
                    }
                }
            }
        }
    }

    /// What the nodes come to that no table knows, of a rule that all tables let through; None
    /// where it cannot be told.
    fn rest(
        &self,
        rule: usize,
        rules: &Rules,
        facts: &Facts,
        scratch: &mut Scratch,
    ) -> Option<bool> {
        let place = u32::try_from(self.first + rule).unwrap_or(u32::MAX);
        let rest = rules.image.part(Column::RestStarts, place, Column::Rest);
        if rest.is_empty() {
            return Some(true);
        }
        let mut run = Run::new(rules, facts, scratch);
        let mut all = Some(true);
        for node in rest {
            match run.truth(*node) {
                Truth::Match => {}
                Truth::NoMatch => return Some(false),
                _ => all = None,
            }
        }
        all
    }
}

/// Whether the entries of a list are those of one that is not there.
fn is_missing(entries: &[u32]) -> bool {
    matches!(entries, [MISSING])
}

impl Table {
    /// Where the row of a segment begins.
    fn row(&self, segment: u32) -> u32 {
        self.rows.get(at(segment)).copied().unwrap_or(self.free)
    }
}

impl Block {
    /// The block of these members.
    fn new(rules: &Rules, members: core::ops::Range<usize>) -> Self {
        let words = members.len().div_ceil(64);
        let mut block = Self { words, bits: vec![0; words], ..Self::default() };
        let mut looks = Vec::new();
        // Slot to the latest look at it, plus one.
        let mut latest = vec![0; rules.image.slots()];
        for (rule, member) in members.enumerate() {
            flip(&mut block.bits, rule);
            let member = u32::try_from(member).unwrap_or(u32::MAX);
            for key in rules.image.part(Column::LookStarts, member, Column::Looks) {
                let slot = rules.key(*key).map(|(key, _)| usize::from(key.slot));
                if let Some(latest) = slot.and_then(|slot| latest.get_mut(slot)) {
                    looks.push(Look { rule, key: *key, next: *latest });
                    *latest = looks.len();
                }
            }
        }
        for (slot, latest) in (0..).zip(latest) {
            if latest > 0 {
                block.add_table(rules, &looks, slot, latest);
            }
        }
        block
    }

    /// The rules of one word that every table lets through, of those in `left`.
    fn left(&self, word: usize, mut left: u64, rows: &[u32], facts: &Facts) -> u64 {
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

    /// The rules that every table of a value that is there lets through, whole rows at a time;
    /// whether none is missing.
    #[inline(never)]
    fn sift(&self, facts: &Facts, left: &mut [u64; WORDS]) -> bool {
        let mut told = true;
        for (left, word) in left.iter_mut().zip(self.row(0)) {
            *left = *word;
        }
        for table in &self.single {
            let segment = facts.segment(table.slot);
            if segment == MISSING {
                told = false;
                continue;
            }
            for (left, word) in left.iter_mut().zip(self.row(table.row(segment))) {
                *left &= *word;
            }
        }
        for table in &self.lists {
            let entries = facts.entries(table.slot).unwrap_or(&[MISSING]);
            if is_missing(entries) {
                told = false;
                continue;
            }
            let mut through = [0; WORDS];
            let rows = entries.iter().filter_map(|segment| table.rows.get(at(*segment)));
            for row in rows.chain([&table.free]) {
                for (through, word) in through.iter_mut().zip(self.row(*row)) {
                    *through |= *word;
                }
            }
            for (left, through) in left.iter_mut().zip(through) {
                *left &= through;
            }
        }
        told
    }

    /// The words of a row.
    fn row(&self, row: u32) -> &[u64] {
        let words = self.bits.get(at(row)..).unwrap_or_default();
        words.get(..self.words).unwrap_or_default()
    }

    fn word(&self, row: u32, word: usize) -> u64 {
        self.bits.get(at(row) + word).copied().unwrap_or(0)
    }

    /// Adds the table of one slot; `latest` is the place of the latest look at it, plus one.
    fn add_table(&mut self, rules: &Rules, looks: &[Look], slot: u16, latest: usize) {
        let words = self.words;
        let start = self.bits.len();
        let place = |row: usize| u32::try_from(start + words * row).unwrap_or(u32::MAX);
        let chain = || {
            let mut next = latest;
            core::iter::from_fn(move || {
                let look = looks.get(next.checked_sub(1)?)?;
                next = look.next;
                let bounds = rules.key(look.key).map_or(&[][..], |(_, bounds)| bounds);
                Some((look.rule, bounds))
            })
        };
        // First which segments begin a row, then where their rows are.
        let segments = rules.image.range(Column::CutStarts, slot.into()).map_or(0, |r| r.len());
        let mut rows = vec![0; segments + 2];
        for (_, bounds) in chain() {
            for bound in bounds {
                if let Some(begins) = rows.get_mut(at(*bound)) {
                    *begins = 1;
                }
            }
        }
        let mut row = 0;
        for (segment, begins) in rows.iter_mut().enumerate() {
            // The first row begins anyway. What publishes keeps to the bound itself.
            row += usize::from(*begins > 0 && segment > 0 && row < at(INDEX_ROWS));
            *begins = place(row);
        }
        self.bits.resize(start + words * (row + 2), 0);
        let Some(bits) = self.bits.get_mut(start..) else { return };
        let Some((bits, free)) = bits.split_at_mut_checked(words * (row + 1)) else { return };
        free.fill(u64::MAX);
        // Where a key set begins or ends to hold the bit flips; the rows between follow.
        for (rule, bounds) in chain() {
            flip(free, rule);
            for bound in bounds {
                if let Some(row) = rows.get(at(*bound))
                    && let Some(bits) = bits.get_mut(at(*row) - start..)
                {
                    flip(bits, rule);
                }
            }
        }
        let is_list = rules.is_list(slot);
        let mut through = 0;
        for word in 0..words {
            let mut above = 0;
            let free = free.get(word).copied().unwrap_or(0);
            for bits in bits.iter_mut().skip(word).step_by(words) {
                above ^= *bits;
                *bits = if is_list { above } else { above | free };
                through += bits.count_ones();
            }
        }
        let count = u32::try_from(row + 1).unwrap_or(u32::MAX);
        let table = Table {
            slot,
            rows,
            free: place(row + 1),
            through: through.checked_div(count).unwrap_or(0),
        };
        if is_list {
            self.lists.push(table);
        } else {
            let behind = self.single.iter().position(|other| other.through > table.through);
            self.single.insert(behind.unwrap_or(self.single.len()), table);
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
