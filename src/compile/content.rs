//! What offers say: texts with places for values, links, images. It must never let a value become
//! markup or an address: values stand in texts only, and only those that the page may read anyway.

use core::ops::Range;

use super::cel::closest;
use super::names;
use super::reader::{Node, Reader, shorten};
use super::traits::Vocabulary;
use crate::limits;
use crate::offer::FieldKind;
use crate::workspace::{ComputedKind, TraitKind};

/// A piece of a text, with the value still as a name: slots are known once all conditions are.
#[derive(Clone, Debug)]
pub(super) enum Piece {
    /// Text as it stands.
    Text(String),
    /// The name behind `profile.`, and what stands in where the value is missing.
    Value(String, String),
}

/// A field of a content.
#[derive(Clone, Debug)]
pub(super) struct DraftField {
    pub name: String,
    pub kind: FieldKind,
    pub pieces: Vec<Piece>,
}

/// The content in one language.
#[derive(Clone, Debug)]
pub(super) struct DraftContent {
    pub language: String,
    pub fields: Vec<DraftField>,
}

/// Reads `content` of an offer; the result has the workspace's order of languages. `contextual` is
/// set for offers that may read nothing of the profile.
pub(super) fn read<'a>(
    reader: &mut Reader<'a>,
    node: &Node<'a>,
    languages: &[String],
    vocabulary: &Vocabulary,
    contextual: bool,
) -> Vec<DraftContent> {
    let message = format!("an offer has content in 1 to {} languages", limits::LANGUAGES);
    let entries = reader.map(node, 1..=limits::LANGUAGES, "bad_content", message);
    if entries.is_empty() {
        return Vec::new();
    }
    let mut contents: Vec<(usize, DraftContent)> = Vec::new();
    for entry in entries {
        let tag = entry.name.to_ascii_lowercase();
        let place = languages.iter().position(|language| *language == tag);
        if place.is_none() && !languages.is_empty() {
            let message = format!("unknown language `{}`", shorten(entry.name));
            let better = closest(&tag, languages.iter().map(String::as_str));
            let better = better.as_deref();
            reader.note_at(entry.key, &entry.node.path, "unknown_language", message, better);
        }
        let fields = read_fields(reader, &entry.node, vocabulary, contextual);
        let place = place.unwrap_or(usize::MAX);
        if contents.iter().any(|(_, known)| known.language == tag) {
            let message = format!("the language `{tag}` stands here a second time");
            reader.note(&entry.node, "duplicate_entry", message);
            continue;
        }
        contents.push((place, DraftContent { language: tag, fields }));
    }
    contents.sort_by_key(|(place, _)| *place);
    if let Some(default) = languages.first()
        && contents.first().is_none_or(|(_, content)| content.language != *default)
    {
        let message = format!(
            "there is no content in `{default}`, the default language, \
             which visitors of all other languages see"
        );
        reader.note(node, "missing_content", message);
    }
    contents.into_iter().map(|(_, content)| content).collect()
}

fn read_fields<'a>(
    reader: &mut Reader<'a>,
    node: &Node<'a>,
    vocabulary: &Vocabulary,
    contextual: bool,
) -> Vec<DraftField> {
    let message = format!("a content has 1 to {} fields", limits::CONTENT_FIELDS);
    let mut fields = Vec::new();
    for entry in reader.map(node, 1..=limits::CONTENT_FIELDS, "bad_content", message) {
        names::check_key(reader, &entry, "a field");
        let Some(text) = reader.text(&entry.node) else { continue };
        if text.len() > limits::TEXT_BYTES {
            let message = format!("a text has at most {} bytes", limits::TEXT_BYTES);
            reader.note(&entry.node, "text_too_long", message);
            continue;
        }
        let kind = kind_of(entry.name);
        let pieces = match kind {
            FieldKind::Text => pieces(reader, &entry.node, text, vocabulary, contextual),
            FieldKind::Link | FieldKind::Image => {
                if let Err(message) = check_address(text) {
                    reader.note(&entry.node, "bad_link", message);
                }
                vec![Piece::Text(text.to_owned())]
            }
        };
        fields.push(DraftField { name: entry.name.to_owned(), kind, pieces });
    }
    fields
}

/// The name says what a field holds, so that `href` can never be a text by mistake.
fn kind_of(name: &str) -> FieldKind {
    let is = |word: &str| name == word || name.strip_suffix(word).is_some_and(|n| n.ends_with('_'));
    if is("image") || is("src") {
        FieldKind::Image
    } else if is("href") || is("url") || is("link") {
        FieldKind::Link
    } else {
        FieldKind::Text
    }
}

/// A path on this site, or an https address. Browsers read `//host` and `/\host` as another host,
/// drop tabs and line breaks anywhere, and take a backslash for a slash (WHATWG URL, "basic URL
/// parser"), so none of these may stand in one.
fn check_address(text: &str) -> Result<(), &'static str> {
    if text.contains("{{") {
        return Err("values stand in texts only, never in a link");
    }
    if text.chars().any(|c| c.is_control() || c.is_whitespace() || !is_plain(c)) {
        return Err("a link holds no spaces, control characters, quotes, angle brackets or \
                    backslashes");
    }
    if let Some(rest) = text.strip_prefix('/') {
        return if rest.starts_with('/') {
            Err("a link that begins with `//` leads to another site: \
                 write a path such as `/account/`, or an https address")
        } else {
            Ok(())
        };
    }
    let Some(rest) = text.strip_prefix("https://") else {
        return Err("a link is a path on this site, such as `/account/`, or an https address");
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (host, port) = authority.split_once(':').unwrap_or((authority, "443"));
    let label = |label: &str| {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        !label.is_empty() && label.len() <= 63 && label.bytes().all(plain)
    };
    let named = host.len() <= 253 && host.contains('.') && host.split('.').all(label);
    if named && port.parse::<u16>().is_ok() && !port.starts_with('+') {
        Ok(())
    } else {
        Err("this https address names no host")
    }
}

fn is_plain(c: char) -> bool {
    !matches!(c, '\\' | '"' | '\'' | '<' | '>' | '`' | '\u{feff}' | '\u{200b}'..='\u{200f}')
}

/// Cuts a text at its `{{profile.name|default}}`.
fn pieces<'a>(
    reader: &mut Reader<'a>,
    node: &Node<'a>,
    text: &str,
    vocabulary: &Vocabulary,
    contextual: bool,
) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut at = 0_usize;
    while let Some(open) = find(text, at, "{{") {
        push_text(&mut pieces, text.get(at..open));
        let inner = open.saturating_add(2);
        let Some(close) = find(text, inner, "}}") else {
            let message = "this `{{` is never closed".to_owned();
            let span = reader.span_inside(node, open, 2);
            reader.note_at(span, &node.path, "bad_template", message, None);
            return pieces;
        };
        let end = close.saturating_add(2);
        let span = reader.span_inside(node, open, end.saturating_sub(open));
        let source = text.get(inner..close).unwrap_or_default();
        if let Some(piece) = value(reader, node, span, source, vocabulary, contextual) {
            pieces.push(piece);
        }
        at = end;
    }
    push_text(&mut pieces, text.get(at..));
    pieces
}

fn find(text: &str, from: usize, what: &str) -> Option<usize> {
    text.get(from..)?.find(what).map(|at| at.saturating_add(from))
}

fn push_text(pieces: &mut Vec<Piece>, text: Option<&str>) {
    if let Some(text) = text.filter(|text| !text.is_empty()) {
        pieces.push(Piece::Text(text.to_owned()));
    }
}

fn value<'a>(
    reader: &mut Reader<'a>,
    node: &Node<'a>,
    span: Range<usize>,
    source: &str,
    vocabulary: &Vocabulary,
    contextual: bool,
) -> Option<Piece> {
    let (name, default) = source.split_once('|').unwrap_or((source, ""));
    let Some(name) = name.trim().strip_prefix("profile.") else {
        let message = format!("`{{{{{}}}}}` reads no trait", shorten(source.trim()));
        let meant = closest(name.trim(), vocabulary.names());
        let meant = meant.map(|name| format!("{{{{profile.{name}}}}}"));
        reader.note_at(span, &node.path, "bad_template", message, meant.as_deref());
        return None;
    };
    let Some(public) = vocabulary.is_public(name) else {
        let message = format!("unknown trait `profile.{}`", shorten(name));
        let meant = closest(name, vocabulary.names());
        reader.note_at(span, &node.path, "unknown_trait", message, meant.as_deref());
        return None;
    };
    if !public {
        let message = format!(
            "`profile.{name}` is not public: what a text shows, the page can read; \
             declare it with `\"public\": true`, or leave it out"
        );
        reader.note_at(span.clone(), &node.path, "not_public", message, None);
    }
    if contextual {
        let message = "an offer without purpose is shown without consent, so its texts cannot \
                       read the profile";
        reader.note_at(span.clone(), &node.path, "contextual_reads_profile", message.into(), None);
    }
    let printable = match (vocabulary.traits.get(name), vocabulary.computed.get(name)) {
        (Some(declared), _) => is_printable(declared.kind),
        (None, Some(computed)) => match computed.kind {
            ComputedKind::Last | ComputedKind::First => is_printable(computed.value),
            ComputedKind::Recency => false,
            _ => true,
        },
        (None, None) => false,
    };
    if !printable {
        let message = format!("`profile.{name}` cannot stand in a text: texts and numbers can");
        reader.note_at(span, &node.path, "not_printable", message, None);
    }
    Some(Piece::Value(name.to_owned(), default.trim().to_owned()))
}

fn is_printable(kind: TraitKind) -> bool {
    matches!(kind, TraitKind::String | TraitKind::Int | TraitKind::Double)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_and_https_addresses_are_links() {
        for fine in ["/", "/account/", "/a?b=c#d", "https://example.com", "https://a.example/x?y"] {
            assert_eq!(check_address(fine), Ok(()), "{fine}");
        }
        for bad in [
            "",
            "account",
            "#top",
            "//evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "javascript:alert(1)",
            "JavaScript:alert(1)",
            " /x",
            "/x y",
            "/a\tb",
            "/\n/evil.example",
            "data:text/html,x",
            "http://example.com",
            "https://",
            "https:///x",
            "https://u@a.example",
            "https://a.example:99999",
            "https://localhost",
            "https://a..example",
            "/a\"onclick=",
            "/<script>",
            "/{{profile.x}}",
            "HTTPS://example.com",
            "https://exa\u{200b}mple.com",
        ] {
            assert!(check_address(bad).is_err(), "{bad:?}");
        }
    }
}
