//! Regular expressions as small programs, run in time linear in the text: all states step along
//! together, none is ever tried again. It must never know the syntax of a pattern.

use serde::{Deserialize, Serialize};

/// One step of a program. Targets are places in the program.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Step {
    /// One character from these inclusive ranges, or from outside of them.
    Char { negated: bool, ranges: Vec<(u32, u32)> },
    /// Go on at both.
    Split(u16, u16),
    /// Go on there.
    Jump(u16),
    /// At the start of the text.
    Start,
    /// At its end.
    End,
    /// Between a word character and another one; or not so.
    Boundary { negated: bool },
    /// Found.
    Match,
}

/// A compiled pattern.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Program(pub Vec<Step>);

/// The states of a run, kept from one to the next.
#[derive(Clone, Debug, Default)]
pub struct Threads {
    now: Vec<u16>,
    next: Vec<u16>,
    /// State to the character at which it was last entered, plus one.
    entered: Vec<u32>,
    open: Vec<u16>,
}

fn is_word(char: Option<char>) -> bool {
    char.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_')
}

impl Program {
    /// Whether the pattern occurs anywhere in `text`.
    pub fn is_match(&self, text: &str, threads: &mut Threads) -> bool {
        let Threads { now, next, entered, open } = threads;
        entered.clear();
        entered.resize(self.0.len(), 0);
        now.clear();
        let mut before = None;
        let mut chars = text.chars();
        let mut place = 0_u32;
        loop {
            let mut rest = chars.clone();
            let char = rest.next();
            place = place.wrapping_add(1);
            next.clear();
            // Threads that step over `char` go to `next`; a match may begin at any place.
            let mut waiting = now.iter().copied();
            open.clear();
            open.push(0);
            while let Some(at) = open.pop().or_else(|| waiting.next()) {
                let Some(seen) = entered.get_mut(usize::from(at)) else { continue };
                if std::mem::replace(seen, place) == place {
                    continue;
                }
                let goes_on = match self.0.get(usize::from(at)) {
                    Some(Step::Match) => return true,
                    Some(Step::Split(a, b)) => {
                        open.push(*b);
                        open.push(*a);
                        false
                    }
                    Some(Step::Jump(to)) => {
                        open.push(*to);
                        false
                    }
                    Some(Step::Start) => before.is_none(),
                    Some(Step::End) => char.is_none(),
                    Some(Step::Boundary { negated }) => {
                        (is_word(before) != is_word(char)) != *negated
                    }
                    Some(Step::Char { negated, ranges }) => {
                        if let Some(c) = char.map(u32::from)
                            && ranges.iter().any(|(lo, hi)| *lo <= c && c <= *hi) != *negated
                        {
                            next.push(at + 1);
                        }
                        false
                    }
                    None => false,
                };
                if goes_on {
                    open.push(at + 1);
                }
            }
            if char.is_none() {
                return false;
            }
            before = char;
            chars = rest;
            std::mem::swap(now, next);
        }
    }
}
