//! What an offer says: typed texts by language. It stays packed until an offer has won, since a
//! thousand others have not. It must never hold markup.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::pack::{Pack, Reader, pack_words, put_bytes, put_number};
use crate::rule::Slot;

/// A piece of a text field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Text as it stands.
    Text(String),
    /// The value of a public trait; where it is missing, the text after `|`.
    Value(Slot, String),
}

/// A text with places for values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template(pub Vec<Part>);

/// What a content field may hold; it decides how the value is escaped where it lands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum FieldKind {
    /// Text, never markup.
    Text,
    /// A path on this site, or an https address on an allowed host; checked when published.
    Link,
    /// The same for an image.
    Image,
}

pack_words!(FieldKind { Text, Link, Image });

/// One field of an offer's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// `headline`, `body`, `cta`, `href`, ...
    pub name: String,
    /// What it may hold.
    pub kind: FieldKind,
    /// Its text.
    pub text: Template,
}

/// Content in one language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// Language tag, lower-case.
    pub language: String,
    /// Fields, in the order of the source.
    pub fields: Vec<Field>,
}

/// Contents by language, the default first, packed: of each its language, then its fields' bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents(Vec<u8>);

impl Contents {
    /// Packs contents.
    pub fn new(contents: &[Content]) -> Self {
        let mut bytes = Vec::new();
        for content in contents {
            content.language.pack(&mut bytes);
            let mut fields = Vec::new();
            for field in &content.fields {
                field.name.pack(&mut fields);
                field.kind.pack(&mut fields);
                put_number(&mut fields, field.text.0.len() as u64);
                for part in &field.text.0 {
                    let (slot, text) = match part {
                        Part::Text(text) => (None, text),
                        Part::Value(slot, fallback) => (Some(*slot), fallback),
                    };
                    text.pack(&mut fields);
                    slot.pack(&mut fields);
                }
            }
            put_bytes(&mut bytes, &fields);
        }
        Self(bytes)
    }

    /// The slots whose values any of them shows.
    pub fn slots(&self) -> Vec<Slot> {
        let mut slots = Vec::new();
        let mut from = Reader::new(&self.0);
        while !from.is_empty() {
            from.text();
            let mut fields = Fields(Reader::new(from.bytes()));
            while let Some((_, _, parts)) = fields.next_field() {
                slots.extend((0..parts).filter_map(|_| fields.next_part().1));
            }
        }
        slots
    }

    /// The content for a language: the tag, then the tag without its last part, and so on (RFC
    /// 4647, section 3.4), then the default. Its own language, and its fields.
    pub fn pick(&self, language: &str) -> Option<(&str, Fields<'_>)> {
        pick(&self.0, language)
    }

    pub(super) fn packed(&self) -> &[u8] {
        &self.0
    }
}

pub(super) fn pick<'a>(contents: &'a [u8], language: &str) -> Option<(&'a str, Fields<'a>)> {
    let mut from = Reader::new(contents);
    let (mut best, mut longest) = (None, 0);
    while !from.is_empty() {
        let tag = from.text();
        let fields = from.bytes();
        let len = if is_prefix(tag.as_bytes(), language.as_bytes()) { tag.len() } else { 0 };
        if best.is_none() || len > longest {
            (best, longest) = (Some((tag, Fields(Reader::new(fields)))), len);
        }
    }
    best
}

/// Whether contents in these languages have one for somebody who likes `language`, the default
/// aside.
pub fn is_spoken(languages: &[String], language: &str) -> bool {
    languages.iter().any(|tag| is_prefix(tag.as_bytes(), language.as_bytes()))
}

/// Whether a tag is what is left of a language when parts are taken off its end. A part of one
/// letter says what the next one is, so it goes with it.
fn is_prefix(tag: &[u8], language: &[u8]) -> bool {
    let ends = match language.get(tag.len()) {
        None => true,
        Some(next) => *next == b'-' && !matches!(tag, [.., b'-', _] | [_]),
    };
    ends && language.get(..tag.len()).is_some_and(|head| head.eq_ignore_ascii_case(tag))
}

impl Pack for Contents {
    fn pack(&self, out: &mut Vec<u8>) {
        put_bytes(out, &self.0);
    }

    fn unpack(from: &mut Reader<'_>) -> Self {
        Self(from.bytes().to_vec())
    }
}

/// The fields of one content, one after the other.
pub struct Fields<'a>(Reader<'a>);

impl<'a> Fields<'a> {
    /// The next field: its name, what it may hold, and how many parts follow.
    pub fn next_field(&mut self) -> Option<(&'a str, FieldKind, usize)> {
        if self.0.is_empty() {
            return None;
        }
        Some((self.0.text(), FieldKind::unpack(&mut self.0), self.0.len()))
    }

    /// The next part of a field: a text, or a value with the text that stands in for it.
    pub fn next_part(&mut self) -> (&'a str, Option<Slot>) {
        (self.0.text(), Option::unpack(&mut self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(language: &str) -> Content {
        let text = Template(vec![Part::Text("Hi ".into()), Part::Value(Slot(7), "you".into())]);
        let field = Field { name: "headline".into(), kind: FieldKind::Text, text };
        Content { language: language.into(), fields: vec![field] }
    }

    #[test]
    fn a_language_falls_back_part_by_part_and_then_to_the_default() {
        let contents = Contents::new(&["en", "pt", "pt-br", "zh-x", "zh", "e"].map(content));
        for (asked, found) in [
            ("pt-BR", "pt-br"),
            ("pt-pt", "pt"),
            ("pt-br-x-old", "pt-br"),
            ("ptx", "en"),
            ("zh-x-min", "zh"),
            ("zh-X", "zh-x"),
            ("fr", "en"),
            ("", "en"),
            ("EN-gb", "en"),
        ] {
            assert_eq!(contents.pick(asked).map(|(tag, _)| tag), Some(found), "{asked}");
        }
        assert!(Contents::default().pick("en").is_none());
    }

    #[test]
    fn fields_come_back_as_they_were() {
        let contents = Contents::new(&[content("en")]);
        let mut fields = contents.pick("en").map(|(_, fields)| fields).into_iter();
        let mut fields = fields.next().unwrap_or(Fields(Reader::new(&[])));
        assert_eq!(fields.next_field(), Some(("headline", FieldKind::Text, 2)));
        assert_eq!(fields.next_part(), ("Hi ", None));
        assert_eq!(fields.next_part(), ("you", Some(Slot(7))));
        assert_eq!(fields.next_field(), None);
    }
}
