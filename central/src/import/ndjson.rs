//! Lines of JSON, cut from a stream. It must never hold more than one row of what it was given,
//! beside the bytes that came last.

use selvedge::error::Error;
use selvedge::limits;

use super::Read;
use super::row::{self, Context};

/// A stream of lines, each bounded.
#[derive(Default)]
pub(super) struct Lines {
    buffer: Vec<u8>,
    /// Where the next line begins in `buffer`.
    start: usize,
    /// How far the next line was searched for its end.
    searched: usize,
    /// The number of the next line, from 0.
    number: u64,
    /// The rest of a line that was refused for its length is thrown away.
    skipping: bool,
    ended: bool,
}

const BOM: &[u8] = b"\xef\xbb\xbf";

impl Lines {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.searched = self.searched.saturating_sub(self.start);
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    /// The next row; blank lines are passed over.
    pub(super) fn next(&mut self, context: &Context<'_>) -> Option<Read> {
        loop {
            let from = self.searched.max(self.start);
            let found = self.buffer.get(from..)?.iter().position(|byte| *byte == b'\n');
            let end = found.map(|at| from + at);
            let length = end.unwrap_or(self.buffer.len()) - self.start;
            let complete = end.is_some() || (self.ended && length > 0);
            if !complete {
                self.searched = self.buffer.len();
                if length > limits::EVENT_BYTES && !self.skipping {
                    self.number += 1;
                    self.skipping = true;
                    self.start = self.buffer.len();
                    return Some((self.number, Err(too_large())));
                }
                if self.skipping {
                    self.start = self.buffer.len();
                }
                return None;
            }
            let line = self.start..self.start + length;
            self.start = end.map_or(self.buffer.len(), |at| at + 1);
            self.searched = self.start;
            if std::mem::take(&mut self.skipping) {
                continue;
            }
            self.number += 1;
            let bytes = self.buffer.get(line).unwrap_or_default();
            let bytes = match self.number {
                1 => bytes.strip_prefix(BOM).unwrap_or(bytes),
                _ => bytes,
            };
            let bytes = bytes.trim_ascii();
            if bytes.is_empty() {
                continue;
            }
            if bytes.len() > limits::EVENT_BYTES {
                return Some((self.number, Err(too_large())));
            }
            return Some((self.number, row::from_json(bytes, context)));
        }
    }
}

pub(super) fn too_large() -> Error {
    let message = format!("a row has at most {} bytes", limits::EVENT_BYTES);
    Error::new("row_too_large", message, "")
}
