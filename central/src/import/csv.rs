//! CSV by RFC 4180, read as a stream and strictly: a row whose quoting is broken is refused, where
//! a lenient reader would swallow its neighbours. It must never hold more than one row.
//!
//! After a broken row reading goes on with the line that follows its first one, so that a quote
//! that nobody closed costs one row and not the rest of the file.

use std::collections::BTreeSet;

use selvedge::error::Error;
use selvedge::limits;

use super::Read;
use super::ndjson::too_large;
use super::row::{self, Columns, Context};

const BOM: &[u8] = b"\xef\xbb\xbf";

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Place {
    /// Before the first character of a field.
    #[default]
    FieldStart,
    /// In a field without quotes.
    Plain,
    /// In quotes.
    Quoted,
    /// After a quote in quotes: the end, or half of a doubled one.
    QuoteInQuotes,
    /// After a carriage return: a line feed must follow.
    Return,
}

/// What one step of the scanner came to.
enum Scan {
    /// More bytes are needed.
    More,
    /// A row ended; the scanner's fields are its fields.
    Row,
    /// The row cannot be read.
    Broken(Error),
}

/// A stream of rows under a header.
#[derive(Default)]
pub(super) struct Reader {
    buffer: Vec<u8>,
    /// The row that is being read begins at 0; this is how far it was read.
    at: usize,
    place: Place,
    field: Vec<u8>,
    fields: Vec<Vec<u8>>,
    /// Whether any byte of the row was met; a line without one is blank.
    met: bool,
    /// The line where the row begins, from 1.
    line: u64,
    /// Line feeds inside of the row.
    inside: u64,
    /// The rest of a line that was refused for its length is thrown away.
    skipping: bool,
    ended: bool,
    columns: Option<Columns>,
}

impl Reader {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    /// The next row. The outer error is the header's.
    pub(super) fn next(&mut self, context: &Context<'_>) -> Result<Option<Read>, Error> {
        loop {
            if self.line == 0 {
                if self.buffer.len() < BOM.len() && !self.ended {
                    return Ok(None);
                }
                if self.buffer.starts_with(BOM) {
                    self.buffer.drain(..BOM.len());
                }
                self.line = 1;
            }
            if self.skipping && !self.skip_line() {
                return Ok(None);
            }
            let line = self.line;
            match self.scan() {
                Scan::More if self.ended && self.columns.is_none() => {
                    return Err(Error::new("missing_column", "there is no header row", "line 1"));
                }
                Scan::More => return Ok(None),
                Scan::Broken(error) => {
                    self.restart_behind_first_line();
                    if self.columns.is_none() {
                        return Err(error.at(format!("line {line}")));
                    }
                    return Ok(Some((line, Err(error))));
                }
                Scan::Row => {
                    let blank = !self.met;
                    let fields = self.take_row();
                    if blank {
                        continue;
                    }
                    match &self.columns {
                        None => self.columns = Some(header(fields)?),
                        Some(columns) => {
                            let read = texts(fields)
                                .and_then(|texts| row::from_cells(columns, &texts, context));
                            return Ok(Some((line, read)));
                        }
                    }
                }
            }
        }
    }

    /// Reads on in the row that begins at the buffer's start.
    fn scan(&mut self) -> Scan {
        while let Some(byte) = self.buffer.get(self.at).copied() {
            if self.at >= limits::EVENT_BYTES {
                return Scan::Broken(too_large());
            }
            self.at += 1;
            let line_end = byte == b'\n';
            match (self.place, byte) {
                (Place::Quoted, b'"') => self.place = Place::QuoteInQuotes,
                (Place::Quoted, _) => {
                    self.inside += u64::from(line_end);
                    self.field.push(byte);
                }
                (Place::QuoteInQuotes, b'"') => {
                    self.field.push(byte);
                    self.place = Place::Quoted;
                }
                (Place::Return, _) if !line_end => {
                    return Scan::Broken(broken("a carriage return stands alone"));
                }
                (_, b'\n') => {
                    self.end_field();
                    return Scan::Row;
                }
                (Place::FieldStart, b'"') => {
                    self.place = Place::Quoted;
                    self.met = true;
                }
                (_, b',') => {
                    self.end_field();
                    self.met = true;
                }
                (_, b'\r') => self.place = Place::Return,
                (Place::QuoteInQuotes, _) => {
                    return Scan::Broken(broken("something follows a closing quote"));
                }
                (_, b'"') => return Scan::Broken(broken("a quote stands inside of a plain field")),
                _ => {
                    self.place = Place::Plain;
                    self.met = true;
                    self.field.push(byte);
                }
            }
        }
        match self.place {
            _ if !self.ended || self.at == 0 => Scan::More,
            Place::Quoted => Scan::Broken(broken("a quote is not closed")),
            _ => {
                self.end_field();
                Scan::Row
            }
        }
    }

    fn end_field(&mut self) {
        self.fields.push(std::mem::take(&mut self.field));
        self.place = Place::FieldStart;
    }

    fn take_row(&mut self) -> Vec<Vec<u8>> {
        self.line += self.inside + 1;
        let fields = std::mem::take(&mut self.fields);
        self.begin(self.at);
        fields
    }

    /// Forgets what was read of the row and begins one at `at`.
    fn begin(&mut self, at: usize) {
        self.buffer.drain(..at);
        self.at = 0;
        self.inside = 0;
        self.met = false;
        self.place = Place::FieldStart;
        self.field.clear();
        self.fields.clear();
    }

    fn restart_behind_first_line(&mut self) {
        self.skipping = true;
        self.begin(0);
        self.skip_line();
    }

    /// Throws bytes away until behind a line feed; whether it was met.
    fn skip_line(&mut self) -> bool {
        match self.buffer.iter().position(|byte| *byte == b'\n') {
            Some(at) => {
                self.begin(at + 1);
                self.line += 1;
                self.skipping = false;
                true
            }
            None => {
                self.buffer.clear();
                false
            }
        }
    }
}

fn broken(message: &str) -> Error {
    Error::new("broken_quoting", message, "")
}

fn texts(fields: Vec<Vec<u8>>) -> Result<Vec<String>, Error> {
    fields
        .into_iter()
        .map(|field| {
            String::from_utf8(field).map_err(|_| Error::new("not_utf8", "the row is not UTF-8", ""))
        })
        .collect()
}

/// The header. Errors: `not_utf8`, `duplicate_column`, `missing_column`, `name_too_long`,
/// `too_many_properties`, each of which refuses the file.
fn header(fields: Vec<Vec<u8>>) -> Result<Columns, Error> {
    let names: Vec<String> = texts(fields)
        .map_err(|error| error.at("line 1"))?
        .into_iter()
        .map(|name| name.trim().to_owned())
        .collect();
    let mut seen = BTreeSet::new();
    for name in &names {
        if name.is_empty() || name.len() > limits::NAME_BYTES {
            let message = format!("a column's name has 1 to {} bytes", limits::NAME_BYTES);
            return Err(Error::new("name_too_long", message, "line 1"));
        }
        if !seen.insert(name.as_str()) {
            let message = format!("two columns are called `{name}`");
            return Err(Error::new("duplicate_column", message, "line 1"));
        }
    }
    if !seen.contains("customer_id") {
        let message = "a column `customer_id` says whom a row is about";
        return Err(Error::new("missing_column", message, "line 1"));
    }
    Ok(Columns::new(names))
}
