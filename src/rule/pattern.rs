//! Regular expressions as small programs, run in time linear in the text: all states step along
//! together, none is ever tried again. It must never know the syntax of a pattern.
//!
//! A program is a list of numbers; a state is a place in it, where one of these stands:
//!
//! | numbers | means |
//! |---|---|
//! | `MATCH` | found |
//! | `SPLIT a b` | go on at both |
//! | `JUMP a` | go on there |
//! | `START`, `END` | at the start, the end of the text |
//! | `BOUNDARY`, `NO_BOUNDARY` | between a word's character and another one; or not so |
//! | `ONE n lo hi ..` | one character from these n inclusive ranges |
//! | `OTHER n lo hi ..` | one character from outside of them |

use alloc::vec::Vec;

pub const MATCH: u32 = 0;
pub const SPLIT: u32 = 1;
pub const JUMP: u32 = 2;
pub const START: u32 = 3;
pub const END: u32 = 4;
pub const BOUNDARY: u32 = 5;
pub const NO_BOUNDARY: u32 = 6;
pub const ONE: u32 = 7;
pub const OTHER: u32 = 8;

/// The states of a run, kept from one to the next.
#[derive(Clone, Debug, Default)]
pub struct Threads {
    now: Vec<u32>,
    next: Vec<u32>,
    /// State to the character at which it was last entered, plus one.
    entered: Vec<u32>,
    open: Vec<u32>,
}

fn is_word(char: Option<char>) -> bool {
    char.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Whether the pattern occurs anywhere in `text`.
pub fn is_match(program: &[u32], text: &str, threads: &mut Threads) -> bool {
    let Threads { now, next, entered, open } = threads;
    entered.clear();
    entered.resize(program.len(), 0);
    now.clear();
    let mut before = None;
    let mut chars = text.chars();
    let mut place = 0_u32;
    loop {
        let char = chars.next();
        place = place.wrapping_add(1);
        next.clear();
        // Threads that step over `char` go to `next`; a match may begin at any place.
        let mut waiting = now.iter().copied();
        open.clear();
        open.push(0);
        while let Some(at) = open.pop().or_else(|| waiting.next()) {
            let Some(seen) = entered.get_mut(at as usize) else { continue };
            if core::mem::replace(seen, place) == place {
                continue;
            }
            let step = program.get(at as usize..).unwrap_or(&[]);
            let goes_on = match step {
                [MATCH, ..] => return true,
                [SPLIT, a, b, ..] => {
                    open.push(*b);
                    open.push(*a);
                    false
                }
                [JUMP, a, ..] => {
                    open.push(*a);
                    false
                }
                [START, ..] => before.is_none(),
                [END, ..] => char.is_none(),
                [BOUNDARY, ..] => is_word(before) != is_word(char),
                [NO_BOUNDARY, ..] => is_word(before) == is_word(char),
                [kind @ (ONE | OTHER), ranges, rest @ ..] => {
                    let ends = rest.get(..*ranges as usize * 2).unwrap_or(&[]);
                    let within = |c: u32| {
                        ends.chunks_exact(2).any(|r| matches!(r, [lo, hi] if *lo <= c && c <= *hi))
                    };
                    if char.is_some_and(|c| within(u32::from(c)) == (*kind == ONE)) {
                        next.push(at.saturating_add(ranges.saturating_mul(2)).saturating_add(2));
                    }
                    false
                }
                _ => false,
            };
            if goes_on {
                open.push(at.saturating_add(1));
            }
        }
        if char.is_none() {
            return false;
        }
        before = char;
        core::mem::swap(now, next);
    }
}
