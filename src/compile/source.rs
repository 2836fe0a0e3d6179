//! The text of a workspace before it is understood: bounds that hold before a parser runs, the
//! syntax tree, and the way back from a decoded text to its place in the file. It must never know
//! what a field means.

use core::ops::Range;
use std::collections::BTreeMap;

use jsonc_parser::ast::Value;
use jsonc_parser::errors::ParseErrorKind;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};

use super::mistake::Noted;
use crate::limits;

/// JSON with comments and trailing commas; nothing else that is not JSON.
const SYNTAX: ParseOptions = ParseOptions {
    allow_comments: true,
    allow_trailing_commas: true,
    allow_loose_object_property_names: false,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

/// The source without the byte order mark that some editors leave.
pub(super) fn without_mark(source: &str) -> &str {
    source.strip_prefix('\u{feff}').unwrap_or(source)
}

/// The syntax tree. The first mistake ends it: what follows broken syntax cannot be trusted.
pub(super) fn parse(text: &str) -> Result<Value<'_>, Noted> {
    if text.len() > limits::WORKSPACE_BYTES {
        let message = format!("a workspace has at most {} bytes", limits::WORKSPACE_BYTES);
        return Err(noted(0..0, "workspace_too_large", message));
    }
    scan(text)?;
    match parse_to_ast(text, &CollectOptions::default(), &SYNTAX) {
        Ok(result) => result.value.ok_or_else(|| {
            noted(0..0, "bad_json", "the file is empty: a workspace is an object".into())
        }),
        Err(error) => {
            let range = error.range();
            Err(syntax(text, range.start..range.end, error.kind()))
        }
    }
}

/// The conditions of offers as they were written, by the offer's key; empty where the text is no
/// workspace.
pub(super) fn conditions(text: &str) -> BTreeMap<String, String> {
    let Ok(tree) = parse(text) else { return BTreeMap::new() };
    let offers = tree.as_object().and_then(|root| root.get_object("offers"));
    let offers = offers.into_iter().flat_map(|offers| &offers.properties);
    let when = offers.filter_map(|offer| {
        let when = offer.value.as_object()?.get_string("when")?;
        Some((offer.name.as_str().to_owned(), when.value.to_string()))
    });
    when.collect()
}

fn noted(span: Range<usize>, code: &'static str, message: String) -> Noted {
    Noted { span, code: code.into(), message, path: String::new(), suggestion: None }
}

fn syntax(text: &str, span: Range<usize>, kind: &ParseErrorKind) -> Noted {
    let rest = text.get(span.start..).unwrap_or_default();
    if ["NaN", "Infinity", "-Infinity", "-NaN"].iter().any(|word| rest.starts_with(word)) {
        let message = "a number is finite: NaN and Infinity are none".to_owned();
        return noted(span, "not_finite", message);
    }
    let message = match kind {
        ParseErrorKind::SingleQuotedStringsNotAllowed => "texts stand in double quotes".to_owned(),
        ParseErrorKind::ExpectedComma => "a comma is missing here".to_owned(),
        ParseErrorKind::ExpectedStringObjectProperty => {
            "the name of a field stands in double quotes".to_owned()
        }
        ParseErrorKind::MultipleRootJsonValues => "nothing may follow the workspace".to_owned(),
        other => {
            let text = other.to_string();
            let mut signs = text.chars();
            let first = signs.next().map(|sign| sign.to_ascii_lowercase());
            format!("this is not JSON: {}", first.into_iter().chain(signs).collect::<String>())
        }
    };
    noted(span, "bad_json", message)
}

/// Bounds the nesting and refuses control characters in texts, which JSON forbids and the parser
/// lets pass.
fn scan(text: &str) -> Result<(), Noted> {
    let mut depth = 0_usize;
    let mut bytes = text.bytes().enumerate().peekable();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'{' | b'[' => {
                depth = depth.saturating_add(1);
                if depth > limits::JSON_DEPTH {
                    let message =
                        format!("nesting goes at most {} levels deep", limits::JSON_DEPTH);
                    return Err(noted(at..at.saturating_add(1), "too_deep", message));
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => scan_text(&mut bytes)?,
            b'/' => skip_comment(&mut bytes),
            _ => {}
        }
    }
    Ok(())
}

type Bytes<'a> = core::iter::Peekable<core::iter::Enumerate<core::str::Bytes<'a>>>;

fn scan_text(bytes: &mut Bytes<'_>) -> Result<(), Noted> {
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => return Ok(()),
            b'\\' => {
                bytes.next_if(|(_, next)| *next >= 0x20);
            }
            0..0x20 => {
                let message = "a text holds no raw control character or line break, \
                               write it as an escape such as `\\n`";
                let span = at..at.saturating_add(1);
                return Err(noted(span, "bad_json", message.to_owned()));
            }
            _ => {}
        }
    }
    Ok(())
}

fn skip_comment(bytes: &mut Bytes<'_>) {
    match bytes.peek() {
        Some((_, b'/')) => while bytes.next_if(|(_, b)| *b != b'\n' && *b != b'\r').is_some() {},
        Some((_, b'*')) => {
            bytes.next();
            let mut star = false;
            for (_, byte) in bytes.by_ref() {
                if star && byte == b'/' {
                    return;
                }
                star = byte == b'*';
            }
        }
        _ => {}
    }
}

/// Where in the file the byte `offset` of a decoded text stands. `literal` is the span of the text
/// with its quotes.
pub(super) fn inside(text: &str, literal: &Range<usize>, offset: usize) -> usize {
    let first = literal.start.saturating_add(1);
    let raw = text.get(first..literal.end.saturating_sub(1)).unwrap_or_default();
    let (mut decoded, mut at) = (0_usize, 0_usize);
    while decoded < offset {
        let Some((width, bytes)) = step(raw.get(at..).unwrap_or_default()) else { break };
        at = at.saturating_add(width);
        decoded = decoded.saturating_add(bytes);
    }
    first.saturating_add(at)
}

/// How many bytes the next character takes in the file, and how many when decoded.
fn step(raw: &str) -> Option<(usize, usize)> {
    let mut signs = raw.chars();
    let sign = signs.next()?;
    if sign != '\\' {
        return Some((sign.len_utf8(), sign.len_utf8()));
    }
    if signs.next() != Some('u') {
        return Some((2, 1));
    }
    let code = |from: usize| {
        let digits = raw.get(from..from.saturating_add(4))?;
        u32::from_str_radix(digits, 16).ok()
    };
    let high = code(2)?;
    if (0xd800..0xdc00).contains(&high) {
        return Some((12, 4));
    }
    Some((6, char::from_u32(high).map_or(3, char::len_utf8)))
}
