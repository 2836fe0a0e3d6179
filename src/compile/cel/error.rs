//! What is wrong with a condition, in the words of whoever wrote it. It must never know the file
//! that the condition stands in: places are bytes of its own source.

/// A mistake in a condition or formula.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CelError {
    /// Stable name of the kind of mistake.
    pub code: &'static str,
    /// One line, lower-case, without a final period.
    pub message: String,
    /// Where it begins, in bytes of the source.
    pub offset: usize,
    /// How many bytes it covers; at least the place itself where that is 0.
    pub len: usize,
    /// What could stand there instead.
    pub suggestion: Option<String>,
}

/// A place in a source, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub offset: usize,
    pub len: usize,
}

impl Place {
    /// From the start of this to the end of `last`.
    pub fn to(self, last: Place) -> Place {
        let len = (last.offset + last.len).saturating_sub(self.offset);
        Place { offset: self.offset, len }
    }
}

impl CelError {
    pub(super) fn new(code: &'static str, place: Place, message: String) -> Self {
        let Place { offset, len } = place;
        Self { code, message, offset, len, suggestion: None }
    }

    /// Adds what was probably meant, to the message too.
    pub(super) fn suggest(mut self, name: Option<String>) -> Self {
        if let Some(name) = &name {
            self.message.push_str(&format!(", did you mean `{name}`?"));
        }
        self.suggestion = name;
        self
    }

    /// Adds what to write instead, where the message has already told so.
    pub(super) fn instead(mut self, text: String) -> Self {
        self.suggestion = Some(text);
        self
    }
}

/// Bytes of a name that is compared with others: the cost grows with the square of the length.
const LONGEST: usize = 100;

/// The name closest to `wrong`, where one is close enough to be meant.
pub fn closest<'n>(wrong: &str, names: impl Iterator<Item = &'n str>) -> Option<String> {
    if wrong.len() > LONGEST {
        return None;
    }
    let wrong_folded = wrong.to_lowercase();
    let mut best: Option<(usize, &str)> = None;
    for name in names {
        let steps = distance(&wrong_folded, &name.to_lowercase());
        let allowed = (wrong.chars().count().max(name.chars().count()) / 3).max(1);
        let candidate = (steps, name);
        if steps <= allowed && best.is_none_or(|best| candidate < best) {
            best = Some(candidate);
        }
    }
    best.map(|(_, name)| name.to_owned())
}

/// Insertions, deletions, replacements and swaps of neighbours from one text to the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    let mut last = None;
    for (i, x) in a.chars().enumerate() {
        let mut next = vec![i + 1];
        let mut left = i + 1;
        for (j, y) in b.iter().enumerate() {
            let diagonal = row.get(j).copied().unwrap_or(0);
            let above = row.get(j + 1).copied().unwrap_or(0);
            let mut steps = (diagonal + usize::from(x != *y)).min(above + 1).min(left + 1);
            let swapped = j.checked_sub(1).and_then(|k| b.get(k).zip(before.get(k)));
            if let Some((y_before, swap)) = swapped
                && last == Some(*y)
                && *y_before == x
            {
                steps = steps.min(swap + 1);
            }
            next.push(steps);
            left = steps;
        }
        before = row;
        row = next;
        last = Some(x);
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_finds_its_name() {
        let names = || ["tier", "country", "orders_90d", "orders_30d"].into_iter();
        for (wrong, meant) in [
            ("tierr", Some("tier")),
            ("teir", Some("tier")),
            ("Tier", Some("tier")),
            ("contry", Some("country")),
            ("orders_91d", Some("orders_90d")),
            ("loyalty", None),
            ("", None),
        ] {
            assert_eq!(closest(wrong, names()).as_deref(), meant, "{wrong}");
        }
    }
}
