//! Sets of vendor identifiers, kept as ranges, and the three codings in which strings carry them.
//!
//! It must never expand a range: one entry of a few bytes can name 65,535 vendors. A set holds at
//! most one range for each entry or for every two bits that were read.

use alloc::vec::Vec;

use super::bits::{BitWriter, Bits, DecodeError, Problem, fibonacci_word};

/// Identifiers from `first` to `last`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct IdRange {
    /// The lowest.
    pub first: u16,
    /// The highest.
    pub last: u16,
}

/// A set of identifiers from 1 to 65,535.
///
/// INVARIANT: ranges ascend, do not touch, and none holds zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdSet {
    ranges: Vec<IdRange>,
}

/// How identifiers in a list of ranges are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    /// 16 bits for each identifier: TCF, and GPP's `Range (Int)`.
    Fixed,
    /// Fibonacci code words for the distance from the last one: GPP's `Range (Fibonacci)`.
    Fibonacci,
}

impl IdSet {
    /// The set of all identifiers in `ranges`, in any order; empty or backward ranges and zero are
    /// left out.
    pub fn from_ranges(mut ranges: Vec<IdRange>) -> Self {
        for range in &mut ranges {
            range.first = range.first.max(1);
        }
        ranges.retain(|range| range.first <= range.last);
        ranges.sort_unstable();
        let mut set = Self { ranges: Vec::new() };
        for range in ranges {
            set.append(range);
        }
        set
    }

    /// The set of `ids`, in any order.
    pub fn from_ids(ids: impl IntoIterator<Item = u16>) -> Self {
        Self::from_ranges(ids.into_iter().map(|id| IdRange { first: id, last: id }).collect())
    }

    /// Adds a range that starts no earlier than the last one did.
    fn append(&mut self, range: IdRange) {
        match self.ranges.last_mut() {
            Some(last) if range.first <= last.last.saturating_add(1) => {
                last.last = last.last.max(range.last);
            }
            _ => self.ranges.push(range),
        }
    }

    /// Whether `id` is in the set.
    pub fn contains(&self, id: u16) -> bool {
        let after = self.ranges.partition_point(|range| range.first <= id);
        after
            .checked_sub(1)
            .and_then(|index| self.ranges.get(index))
            .is_some_and(|range| id <= range.last)
    }

    /// The ranges, ascending, none touching the next.
    pub fn ranges(&self) -> &[IdRange] {
        &self.ranges
    }

    /// How many identifiers the set holds.
    pub fn len(&self) -> usize {
        self.ranges.iter().map(|range| usize::from(range.last - range.first) + 1).sum()
    }

    /// Whether nobody is in the set.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The identifiers, ascending. Up to 65,535 of them come out of a few bytes.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        self.ranges.iter().flat_map(|range| range.first..=range.last)
    }

    fn max(&self) -> u16 {
        self.ranges.last().map_or(0, |range| range.last)
    }

    /// A list of ranges: their number in 12 bits, then each as a single identifier or a pair.
    /// Nothing may lie above `max`.
    pub(crate) fn read_ranges(
        bits: &mut Bits<'_>,
        coding: Coding,
        max: u16,
    ) -> Result<Self, DecodeError> {
        let entries = bits.int(12)?;
        let mut ranges = Vec::new();
        let mut previous = 0_u16;
        for _ in 0..entries {
            let at = bits.error(Problem::BadRange);
            let is_range = bits.flag()?;
            let (first, last) = match coding {
                Coding::Fixed => {
                    let first = bits.short(16)?;
                    (first, if is_range { bits.short(16)? } else { first })
                }
                Coding::Fibonacci => {
                    let first = previous.checked_add(bits.fibonacci()?).ok_or(at)?;
                    let length = if is_range { bits.fibonacci()? } else { 0 };
                    (first, first.checked_add(length).ok_or(at)?)
                }
            };
            if first == 0 {
                return Err(DecodeError::new(Problem::BadId, at.at()));
            }
            if last < first || last > max {
                return Err(at);
            }
            ranges.push(IdRange { first, last });
            previous = last;
        }
        Ok(Self::from_ranges(ranges))
    }

    /// The highest identifier in 16 bits, one bit that chooses, then a list of ranges or one bit
    /// for each identifier. TCF's vendor sections; GPP's optimised ranges as written in practice.
    pub(crate) fn read_optimised(bits: &mut Bits<'_>, coding: Coding) -> Result<Self, DecodeError> {
        let max = bits.short(16)?;
        if bits.flag()? {
            return Self::read_ranges(bits, coding, max);
        }
        if usize::from(max) > bits.remaining() {
            // Found before the bits are walked, so that a short string costs nothing.
            bits.int(usize::from(max))?;
        }
        let mut set = Self::default();
        for id in 1..=max {
            if bits.flag()? {
                set.append(IdRange { first: id, last: id });
            }
        }
        Ok(set)
    }

    pub(crate) fn write_ranges(&self, out: &mut BitWriter, coding: Coding) {
        let entries = self.ranges.iter().take(MAX_ENTRIES);
        out.int(u64::try_from(entries.len()).unwrap_or(0), 12);
        let mut previous = 0;
        for range in entries {
            let is_range = range.last > range.first;
            out.flag(is_range);
            match coding {
                Coding::Fixed => out.int(u64::from(range.first), 16),
                Coding::Fibonacci => out.fibonacci(range.first - previous),
            }
            if is_range {
                match coding {
                    Coding::Fixed => out.int(u64::from(range.last), 16),
                    Coding::Fibonacci => out.fibonacci(range.last - range.first),
                }
            }
            previous = range.last;
        }
    }

    /// Writes the shorter of the two forms; a bit field where the ranges are too many to count.
    pub(crate) fn write_optimised(&self, out: &mut BitWriter, coding: Coding) {
        let max = self.max();
        out.int(u64::from(max), 16);
        let as_ranges =
            self.ranges.len() <= MAX_ENTRIES && self.ranges_width(coding) <= usize::from(max);
        out.flag(as_ranges);
        if as_ranges {
            return self.write_ranges(out, coding);
        }
        for id in 1..=max {
            out.flag(self.contains(id));
        }
    }

    /// How many bits [`Self::write_ranges`] writes.
    fn ranges_width(&self, coding: Coding) -> usize {
        let mut previous = 0;
        let mut width = 12;
        for range in &self.ranges {
            let is_range = range.last > range.first;
            width += 1 + match (coding, is_range) {
                (Coding::Fixed, false) => 16,
                (Coding::Fixed, true) => 32,
                (Coding::Fibonacci, _) => {
                    fibonacci_word(range.first - previous).1
                        + fibonacci_word(range.last - range.first).1
                }
            };
            previous = range.last;
        }
        width
    }
}

/// What 12 bits can count.
pub const MAX_ENTRIES: usize = 4_095;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::bits::MAX_ID;
    use super::*;

    #[test]
    fn ranges_merge_and_answer() {
        let set = IdSet::from_ranges(vec![
            IdRange { first: 9, last: 12 },
            IdRange { first: 1, last: 3 },
            IdRange { first: 4, last: 4 },
            IdRange { first: 65_535, last: 65_535 },
            IdRange { first: 7, last: 6 },
        ]);
        assert_eq!(set.ranges().len(), 3);
        assert_eq!(set.len(), 9);
        let all: Vec<u16> = set.iter().collect();
        assert_eq!(all, [1, 2, 3, 4, 9, 10, 11, 12, 65_535]);
        for id in 0..=u16::MAX {
            assert_eq!(set.contains(id), all.contains(&id));
        }
    }

    #[test]
    fn everybody_in_few_bytes_stays_one_range() {
        let everybody = IdSet::from_ranges(vec![IdRange { first: 1, last: MAX_ID }]);
        let mut out = BitWriter::default();
        everybody.write_optimised(&mut out, Coding::Fixed);
        let text = out.finish();
        assert!(text.len() < 12);
        let read = IdSet::read_optimised(&mut Bits::new(&text, 0).unwrap(), Coding::Fixed).unwrap();
        assert_eq!(read.ranges().len(), 1);
        assert_eq!(read.len(), 65_535);
    }

    #[test]
    fn a_range_beyond_its_maximum_is_refused() {
        let mut out = BitWriter::default();
        out.int(10, 16);
        out.flag(true);
        out.int(1, 12);
        out.flag(false);
        out.int(11, 16);
        let text = out.finish();
        let mut bits = Bits::new(&text, 0).unwrap();
        assert_eq!(
            IdSet::read_optimised(&mut bits, Coding::Fixed).unwrap_err().code(),
            "bad_range"
        );
    }
}
