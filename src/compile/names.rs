//! Names that a workspace gives, and lengths of time as it writes them. It must never know what is
//! named.

use core::ops::Range;

use super::reader::{Entry, Node, Reader, shorten};
use crate::limits;

/// Words that conditions keep for themselves (cel-spec, "Syntax", RESERVED and the literals).
const RESERVED: [&str; 21] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "false",
    "for",
    "function",
    "if",
    "import",
    "in",
    "let",
    "loop",
    "namespace",
    "null",
    "package",
    "return",
    "true",
    "var",
    "void",
    "while",
];

/// Whether the name of an offer, a placement, an audience or a field is one. Notes `bad_name`.
pub(super) fn check_key(reader: &mut Reader<'_>, entry: &Entry<'_>, what: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let starts = entry.name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
    let fine = starts && entry.name.len() <= limits::KEY_BYTES && entry.name.bytes().all(plain);
    if !fine {
        let message = format!(
            "the name of {what} has 1 to {} lower-case letters, digits and underscores, \
             the first a letter",
            limits::KEY_BYTES
        );
        let better = better_key(entry.name);
        reader.note_at(entry.key.clone(), &entry.node.path, "bad_name", message, better.as_deref());
    }
    fine
}

/// The same name as it would be allowed.
fn better_key(name: &str) -> Option<String> {
    let mut better = String::new();
    for sign in name.chars().take(limits::KEY_BYTES) {
        match sign {
            'a'..='z' | '0'..='9' | '_' => better.push(sign),
            'A'..='Z' => {
                if better.ends_with(|c: char| c.is_ascii_lowercase()) {
                    better.push('_');
                }
                better.push(sign.to_ascii_lowercase());
            }
            '-' | ' ' | '.' => better.push('_'),
            _ => return None,
        }
    }
    better.starts_with(|c: char| c.is_ascii_lowercase()).then_some(better)
}

/// Whether the name of a trait can stand behind `profile.`. Capitals are allowed, since the sites'
/// own calls name traits. Notes `bad_name`, `reserved_name`.
pub(super) fn check_trait(reader: &mut Reader<'_>, entry: &Entry<'_>) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let starts = entry.name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    if !starts || entry.name.len() > limits::KEY_BYTES || !entry.name.bytes().all(plain) {
        let message = format!(
            "the name of a trait has 1 to {} letters, digits and underscores, the first no digit",
            limits::KEY_BYTES
        );
        reader.note_at(entry.key.clone(), &entry.node.path, "bad_name", message, None);
        return false;
    }
    if RESERVED.contains(&entry.name) {
        let message = format!("`{}` is a word that conditions keep for themselves", entry.name);
        reader.note_at(entry.key.clone(), &entry.node.path, "reserved_name", message, None);
        return false;
    }
    true
}

/// A text of bounded length without control characters, not empty. Notes `bad_text`.
pub(super) fn line<'a>(
    reader: &mut Reader<'a>,
    node: &Node<'a>,
    longest: usize,
) -> Option<&'a str> {
    let text = reader.text(node)?;
    if !is_line(text, longest) {
        let message = format!("this text has 1 to {longest} bytes and no control characters");
        reader.note(node, "bad_text", message);
        return None;
    }
    Some(text)
}

/// Whether a text is not empty, bounded, and without control characters.
pub(super) fn is_line(text: &str, longest: usize) -> bool {
    !text.trim().is_empty() && text.len() <= longest && !text.chars().any(char::is_control)
}

/// The name of an event or a property, as the site's calls give it. Notes `bad_text`.
pub(super) fn event<'a>(reader: &mut Reader<'a>, node: &Node<'a>) -> Option<&'a str> {
    line(reader, node, limits::NAME_BYTES)
}

/// A length of time: `30m`, `24h`, `7d`, `2w`. Notes `bad_duration`.
pub(super) fn duration_ms<'a>(reader: &mut Reader<'a>, node: &Node<'a>) -> Option<i64> {
    let text = reader.text(node)?;
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits).unwrap_or(("", ""));
    let unit_ms: Option<i64> = match unit {
        "s" => Some(1_000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        "d" => Some(86_400_000),
        "w" => Some(604_800_000),
        _ => None,
    };
    let length_ms = unit_ms
        .and_then(|unit_ms| number.parse::<i64>().ok()?.checked_mul(unit_ms))
        .filter(|length_ms| (1..=limits::WINDOW_MS).contains(length_ms));
    if length_ms.is_none() {
        let message = format!(
            "`{}` is no length of time: write a number from 1 on and one of s, m, h, d, w, \
             at most ten years",
            shorten(text)
        );
        let better =
            ["s", "m", "h", "d", "w"].iter().find(|known| unit.trim().starts_with(**known));
        let better = better
            .filter(|_| !number.is_empty() && number.bytes().any(|digit| digit != b'0'))
            .filter(|known| **known != unit)
            .map(|known| format!("{number}{known}"));
        reader.note_at(node.span(), &node.path, "bad_duration", message, better.as_deref());
    }
    length_ms
}

/// Notes that a name is taken.
pub(super) fn taken(reader: &mut Reader<'_>, key: Range<usize>, path: &str, name: &str, by: &str) {
    let message = format!("the name `{name}` is taken by {by}");
    reader.note_at(key, path, "name_taken", message, None);
}
