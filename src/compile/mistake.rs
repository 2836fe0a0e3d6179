//! Mistakes of a workspace's author, each with its exact place in the file. They are for people who
//! fix the file, so nothing in here may speak of Rust types or of the compiler's inner order.

use core::fmt;
use core::ops::Range;
use std::borrow::Cow;

use serde::Serialize;

/// Characters of a line that are shown before and after the place of a mistake. A workspace that
/// was written on one line must not come back once per mistake.
const SHOWN: usize = 160;

/// Something in a workspace's source that keeps it from being published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Mistake {
    /// Stable snake_case code.
    pub code: Cow<'static, str>,
    /// One sentence, lower-case, without a final period; names what may have been meant.
    pub message: String,
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
    /// The last line, where the mistake reaches over several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_line: Option<u32>,
    /// The line's text; of a very long line the part around the mistake. No control characters.
    pub snippet: String,
    /// Where in `snippet` the mistake begins: from 1, in characters.
    pub caret: u32,
    /// How many characters of `snippet` it covers, at least 1.
    pub len: u32,
    /// Where in the workspace: `offers.extension.when`; empty for the whole file.
    pub path: String,
    /// What may have been meant, as it would stand in the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<String>,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.message)
    }
}

/// A mistake whose place is still an offset into the source.
#[derive(Debug)]
pub(super) struct Noted {
    pub span: Range<usize>,
    pub code: Cow<'static, str>,
    pub message: String,
    pub path: String,
    pub suggestion: Option<String>,
}

/// Turns offsets into lines and columns, in the order of the file. One sweep over the source,
/// however many mistakes there are.
pub(super) fn place(text: &str, mut noted: Vec<Noted>, more: usize) -> Vec<Mistake> {
    noted.sort_by_key(|one| one.span.start);
    let (mut at, mut line, mut column) = (0, 1_u32, 1_u32);
    let mut mistakes: Vec<Mistake> = Vec::with_capacity(noted.len());
    for one in noted {
        let start = floor(text, one.span.start);
        for sign in text.get(at..start).unwrap_or_default().chars() {
            if sign == '\n' {
                line = line.saturating_add(1);
                column = 1;
            } else {
                column = column.saturating_add(1);
            }
        }
        at = at.max(start);
        mistakes.push(show(text, start, line, column, one));
    }
    if more > 0
        && let Some(last) = mistakes.last_mut()
    {
        last.message = format!("{} (and {more} more mistakes after this one)", last.message);
    }
    mistakes
}

fn show(text: &str, start: usize, line: u32, column: u32, one: Noted) -> Mistake {
    let (before, after) = text.split_at_checked(start).unwrap_or((text, ""));
    let head: Vec<char> = before.chars().rev().take_while(|c| *c != '\n').take(SHOWN).collect();
    let cut = count(head.len()) < column.saturating_sub(1);
    let tail: Vec<char> =
        after.chars().take_while(|c| *c != '\n' && *c != '\r').take(SHOWN).collect();
    let covered = text.get(start..ceil(text, one.span.end)).unwrap_or_default();
    let len = covered.chars().take_while(|c| *c != '\n').count().min(tail.len()).max(1);
    let lines = covered.trim_end().matches('\n').count();
    let plain = |c: &char| if c.is_control() { ' ' } else { *c };
    let snippet: String = cut
        .then_some('…')
        .into_iter()
        .chain(head.iter().rev().map(plain))
        .chain(tail.iter().map(plain))
        .collect();
    Mistake {
        code: one.code,
        message: one.message,
        line,
        column,
        end_line: (lines > 0).then(|| line.saturating_add(count(lines))),
        snippet,
        caret: count(head.len()).saturating_add(1).saturating_add(u32::from(cut)),
        len: count(len),
        path: one.path,
        suggestion: one.suggestion,
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn floor(text: &str, mut at: usize) -> usize {
    at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at = at.saturating_sub(1);
    }
    at
}

fn ceil(text: &str, mut at: usize) -> usize {
    at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at = at.saturating_add(1);
    }
    at
}
