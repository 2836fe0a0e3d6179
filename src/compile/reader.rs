//! Walks the syntax tree and notes every mistake on the way instead of stopping at the first. It
//! knows types, fields and duplicates; it must never know what a workspace means.

use core::ops::{Range, RangeInclusive};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use jsonc_parser::ast::Value;
use jsonc_parser::common::Ranged;

use super::cel::closest;
use super::mistake::{Mistake, Noted, place};
use super::source;
use crate::limits;

/// A value with its place in the workspace.
#[derive(Clone, Debug)]
pub(super) struct Node<'a> {
    /// `offers.extension.when`.
    pub path: String,
    value: &'a Value<'a>,
    /// Where its name stands; None for the whole file and for entries of lists.
    key: Option<Range<usize>>,
}

/// A field of an object that has free names.
pub(super) struct Entry<'a> {
    pub name: &'a str,
    pub key: Range<usize>,
    pub node: Node<'a>,
}

/// An object whose names are known.
pub(super) struct Fields<'a> {
    node: Node<'a>,
    known: BTreeMap<&'a str, Node<'a>>,
}

/// The source and the mistakes so far.
pub(super) struct Reader<'a> {
    text: &'a str,
    noted: Vec<Noted>,
    /// Mistakes beyond the bound.
    more: usize,
}

impl<'a> Node<'a> {
    /// The root.
    pub fn root(value: &'a Value<'a>) -> Self {
        Self { path: String::new(), value, key: None }
    }

    /// The value's span, with quotes or brackets.
    pub fn span(&self) -> Range<usize> {
        let range = self.value.range();
        range.start..range.end
    }

    /// A short span to point at when the value as a whole is meant: its name, or where it begins.
    pub fn anchor(&self) -> Range<usize> {
        match (&self.key, self.value) {
            (Some(key), Value::Object(_) | Value::Array(_)) => key.clone(),
            (None, Value::Object(_) | Value::Array(_)) => {
                let start = self.span().start;
                start..start.saturating_add(1)
            }
            _ => self.span(),
        }
    }

    /// Whether it holds fields.
    pub fn is_object(&self) -> bool {
        matches!(self.value, Value::Object(_))
    }

    /// Whether it is `null`.
    pub fn is_null(&self) -> bool {
        matches!(self.value, Value::NullKeyword(_))
    }

    /// The names of its fields, where it is an object.
    pub fn names(&self) -> BTreeSet<&'a str> {
        match self.value {
            Value::Object(object) => {
                object.properties.iter().map(|one| one.name.as_str()).collect()
            }
            _ => BTreeSet::new(),
        }
    }

    fn child(&self, name: &str, value: &'a Value<'a>, key: Option<Range<usize>>) -> Self {
        let name = shorten(name);
        let path = match (self.path.is_empty(), &key) {
            (true, _) => name,
            (false, Some(_)) => format!("{}.{name}", self.path),
            (false, None) => format!("{}[{name}]", self.path),
        };
        Self { path, value, key }
    }

    fn kind(&self) -> &'static str {
        match self.value {
            Value::StringLit(_) => "a text",
            Value::NumberLit(_) => "a number",
            Value::BooleanLit(literal) if literal.value => "`true`",
            Value::BooleanLit(_) => "`false`",
            Value::Object(_) => "an object",
            Value::Array(_) => "a list",
            Value::NullKeyword(_) => "`null`",
        }
    }

    /// The last part of the path, for messages.
    fn word(&self) -> String {
        match self.path.rsplit('.').next() {
            Some("") | None => "the workspace".to_owned(),
            Some(word) => format!("`{word}`"),
        }
    }
}

impl<'a> Fields<'a> {
    /// A field, where it is there.
    pub fn get(&self, name: &str) -> Option<&Node<'a>> {
        self.known.get(name)
    }

    /// A field that must be there. Notes `missing_field`.
    pub fn need(&self, reader: &mut Reader<'_>, name: &str) -> Option<&Node<'a>> {
        let found = self.known.get(name);
        if found.is_none() {
            let message = format!("{} needs a field `{name}`", self.node.word());
            reader.note(&self.node, "missing_field", message);
        }
        found
    }

    /// The object itself.
    pub fn node(&self) -> &Node<'a> {
        &self.node
    }
}

impl<'a> Reader<'a> {
    /// For a source without byte order mark.
    pub fn new(text: &'a str) -> Self {
        Self { text, noted: Vec::new(), more: 0 }
    }

    /// All mistakes so far, in the order of the file.
    pub fn mistakes(self) -> Vec<Mistake> {
        place(self.text, self.noted, self.more)
    }

    /// Whether nothing was noted.
    pub fn is_clean(&self) -> bool {
        self.noted.is_empty()
    }

    /// Notes a mistake that is already placed.
    pub fn push(&mut self, noted: Noted) {
        if self.noted.len() < limits::MISTAKES {
            self.noted.push(noted);
        } else {
            self.more = self.more.saturating_add(1);
        }
    }

    /// Notes a mistake about a whole value.
    pub fn note(&mut self, node: &Node<'_>, code: &'static str, message: impl Into<String>) {
        self.note_at(node.anchor(), &node.path, code, message.into(), None);
    }

    /// Notes a mistake with what may have been meant, which the message then says too.
    pub fn note_at(
        &mut self,
        span: Range<usize>,
        path: &str,
        code: impl Into<Cow<'static, str>>,
        mut message: String,
        suggestion: Option<&str>,
    ) {
        if let Some(meant) = suggestion {
            message.push_str(&format!(", did you mean `{meant}`?"));
        }
        let suggestion = suggestion.map(str::to_owned);
        self.push(Noted { span, code: code.into(), message, path: path.to_owned(), suggestion });
    }

    /// Notes a name that is none of `known`.
    pub fn note_unknown<'n>(
        &mut self,
        node: &Node<'_>,
        code: &'static str,
        what: &str,
        wrong: &str,
        known: impl Iterator<Item = &'n str>,
    ) {
        let message = format!("unknown {what} `{}`", shorten(wrong));
        let suggestion = closest(wrong, known);
        self.note_at(node.span(), &node.path, code, message, suggestion.as_deref());
    }

    /// The span of `len` bytes from `offset` on of a decoded text.
    pub fn span_inside(&self, node: &Node<'_>, offset: usize, len: usize) -> Range<usize> {
        let literal = node.span();
        let start = source::inside(self.text, &literal, offset);
        let end = source::inside(self.text, &literal, offset.saturating_add(len));
        start..end.max(start)
    }

    fn wrong_type(&mut self, node: &Node<'_>, wanted: &str) {
        let message = format!("{} must be {wanted}, not {}", node.word(), node.kind());
        self.note_at(node.anchor(), &node.path, "wrong_type", message, None);
    }

    /// A text. Notes `wrong_type`.
    pub fn text(&mut self, node: &Node<'a>) -> Option<&'a str> {
        match node.value {
            Value::StringLit(literal) => Some(literal.value.as_ref()),
            _ => {
                self.wrong_type(node, "a text");
                None
            }
        }
    }

    /// true or false. Notes `wrong_type`.
    pub fn bool(&mut self, node: &Node<'a>) -> Option<bool> {
        match node.value {
            Value::BooleanLit(literal) => Some(literal.value),
            _ => {
                self.wrong_type(node, "true or false");
                None
            }
        }
    }

    /// A text, a number, true or false. Notes `wrong_type`, `out_of_range`.
    pub fn scalar(&mut self, node: &Node<'a>) -> Option<crate::rule::Value> {
        use crate::rule::Value as Scalar;
        match node.value {
            Value::StringLit(literal) => Some(Scalar::String(literal.value.to_string())),
            Value::BooleanLit(literal) => Some(Scalar::Bool(literal.value)),
            Value::NumberLit(literal) => {
                let double = || literal.value.parse::<f64>().ok().filter(|n| n.is_finite());
                let number = match literal.value.parse::<i64>() {
                    Ok(int) => Some(Scalar::Int(int)),
                    Err(_) => double().map(Scalar::Double),
                };
                if number.is_none() {
                    let message = format!("{} is larger than any number", node.word());
                    self.note(node, "out_of_range", message);
                }
                number
            }
            _ => {
                self.wrong_type(node, "a text, a number, true or false");
                None
            }
        }
    }

    /// A whole number within bounds. Notes `wrong_type`, `not_whole`, `out_of_range`.
    pub fn whole(&mut self, node: &Node<'a>, bounds: RangeInclusive<i64>) -> Option<i64> {
        let Value::NumberLit(literal) = node.value else {
            self.wrong_type(node, "a whole number");
            return None;
        };
        if literal.value.contains(['.', 'e', 'E']) {
            self.note(node, "not_whole", format!("{} must be a whole number", node.word()));
            return None;
        }
        let number = literal.value.parse::<i64>().ok().filter(|number| bounds.contains(number));
        if number.is_none() {
            let (low, high) = (bounds.start(), bounds.end());
            let message = format!("{} must be a number from {low} to {high}", node.word());
            self.note(node, "out_of_range", message);
        }
        number
    }

    /// A number from 0 to 1. Notes `wrong_type`, `out_of_range`.
    pub fn fraction(&mut self, node: &Node<'a>) -> Option<f64> {
        let Value::NumberLit(literal) = node.value else {
            self.wrong_type(node, "a number from 0 to 1");
            return None;
        };
        let number = literal.value.parse::<f64>().ok().filter(|n| (0.0..=1.0).contains(n));
        if number.is_none() {
            let message = format!("{} must be a number from 0 to 1", node.word());
            self.note(node, "out_of_range", message);
        }
        number
    }

    /// One of a few words. Notes `wrong_type` and `code`.
    pub fn word<T: Copy>(
        &mut self,
        node: &Node<'a>,
        code: &'static str,
        what: &str,
        words: &[(&str, T)],
    ) -> Option<T> {
        let text = self.text(node)?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let list: Vec<String> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
            let message =
                format!("unknown {what} `{}`, known are {}", shorten(text), list.join(", "));
            let suggestion = closest(text, words.iter().map(|(word, _)| *word));
            self.note_at(node.span(), &node.path, code, message, suggestion.as_deref());
        }
        found
    }

    /// A list of as many entries as `bounds` allow; those beyond are left out. Notes `wrong_type`,
    /// and `code` with `message` where there are too many or too few.
    pub fn list(
        &mut self,
        node: &Node<'a>,
        bounds: RangeInclusive<usize>,
        code: &'static str,
        message: String,
    ) -> Vec<Node<'a>> {
        let Value::Array(array) = node.value else {
            self.wrong_type(node, "a list");
            return Vec::new();
        };
        if !bounds.contains(&array.elements.len()) {
            self.note(node, code, message);
        }
        let entries = array.elements.iter().enumerate().take(*bounds.end());
        entries.map(|(at, value)| node.child(&at.to_string(), value, None)).collect()
    }

    /// An object with free names, as [`entries`](Self::entries), bounded as a list is.
    pub fn map(
        &mut self,
        node: &Node<'a>,
        bounds: RangeInclusive<usize>,
        code: &'static str,
        message: String,
    ) -> Vec<Entry<'a>> {
        let Some(mut entries) = self.entries(node) else { return Vec::new() };
        if !bounds.contains(&entries.len()) {
            self.note(node, code, message);
        }
        entries.truncate(*bounds.end());
        entries
    }

    /// An object with free names, in the order of the source. Notes `wrong_type`,
    /// `duplicate_field`; of a duplicate the first one counts.
    fn entries(&mut self, node: &Node<'a>) -> Option<Vec<Entry<'a>>> {
        let Value::Object(object) = node.value else {
            self.wrong_type(node, "an object");
            return None;
        };
        let mut seen = BTreeSet::new();
        let mut entries = Vec::with_capacity(object.properties.len());
        for property in &object.properties {
            let name = property.name.as_str();
            let range = property.name.range();
            let key = range.start..range.end;
            let child = node.child(name, &property.value, Some(key.clone()));
            if seen.insert(name) {
                entries.push(Entry { name, key, node: child });
            } else {
                let message = format!("`{}` stands here a second time", shorten(name));
                self.note_at(key, &child.path, "duplicate_field", message, None);
            }
        }
        Some(entries)
    }

    /// An object with known names. Notes `wrong_type`, `duplicate_field`, `unknown_field`.
    pub fn fields(&mut self, node: &Node<'a>, names: &[&str]) -> Option<Fields<'a>> {
        let entries = self.entries(node)?;
        let mut known = BTreeMap::new();
        for entry in entries {
            if names.contains(&entry.name) {
                known.insert(entry.name, entry.node);
                continue;
            }
            let message = format!("unknown field `{}` in {}", shorten(entry.name), node.word());
            let suggestion = closest(entry.name, names.iter().copied());
            self.note_at(
                entry.key,
                &entry.node.path,
                "unknown_field",
                message,
                suggestion.as_deref(),
            );
        }
        Some(Fields { node: node.clone(), known })
    }
}

/// A text as it may stand in a message: bounded, without control characters.
pub(super) fn shorten(text: &str) -> String {
    const LONGEST: usize = 60;
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let mut short: String = text.chars().take(LONGEST).map(plain).collect();
    if text.chars().nth(LONGEST).is_some() {
        short.push('…');
    }
    short
}
