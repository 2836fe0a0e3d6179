//! Who counts as one person: identifiers, their normal form and their names. It must never turn a
//! claim into a proof, and never let an identifier be read back out of a name.

#[cfg(feature = "keys")]
mod names;
#[cfg(feature = "keys")]
pub mod shard;
#[cfg(feature = "keys")]
pub mod token;

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::limits;

#[cfg(feature = "keys")]
pub use names::TenantKey;

/// What an identifier names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdentifierKind {
    /// The company's own id of a customer: the strongest.
    CustomerId,
    /// An e-mail address.
    Email,
    /// A phone number, E.164.
    Phone,
}

impl IdentifierKind {
    /// The word for it in JSON and in keyed hashes.
    pub fn word(self) -> &'static str {
        match self {
            Self::CustomerId => "customer_id",
            Self::Email => "email",
            Self::Phone => "phone",
        }
    }
}

/// A normalised identifier that may become a node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identifier {
    kind: IdentifierKind,
    text: String,
}

/// Values that identify nobody (DESIGN.md section 6, rule 2), lower-case.
const BLOCKED: [&str; 24] = [
    "null",
    "undefined",
    "none",
    "nil",
    "nan",
    "anonymous",
    "guest",
    "unknown",
    "empty",
    "invalid",
    "not_authenticated",
    "id",
    "distinct_id",
    "email",
    "true",
    "false",
    "void",
    "0",
    "-1",
    "[object object]",
    "user_null",
    "test@test.com",
    "n/a",
    "default",
];

impl Identifier {
    /// The identifier behind what somebody sent. Errors: `bad_identifier` where it cannot be one,
    /// `blocked_identifier` where it names nobody.
    pub fn parse(kind: IdentifierKind, raw: &str, blocked: &[String]) -> Result<Self, Error> {
        if raw.len() > limits::IDENTIFIER_BYTES {
            return Err(bad(kind, "an identifier has at most 256 bytes"));
        }
        let text = unquote(raw.trim()).trim();
        if text.chars().any(char::is_control) {
            return Err(bad(kind, "an identifier holds no control characters"));
        }
        let text = match kind {
            IdentifierKind::CustomerId => text.to_owned(),
            IdentifierKind::Email => email(text)?,
            IdentifierKind::Phone => phone(text)?,
        };
        if is_blocked(&text, blocked) {
            return Err(Error::new(
                "blocked_identifier",
                format!("this {} names nobody", kind.word()),
                kind.word(),
            ));
        }
        Ok(Self { kind, text })
    }

    /// What it names.
    pub fn kind(&self) -> IdentifierKind {
        self.kind
    }

    /// Its normal form.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

fn bad(kind: IdentifierKind, message: &str) -> Error {
    Error::new("bad_identifier", message, kind.word())
}

/// Strips one layer of paired quotes: exports often leave them in.
fn unquote(text: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some(inner) = text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)) {
            return inner;
        }
    }
    text
}

fn is_blocked(text: &str, blocked: &[String]) -> bool {
    let lower = text.to_lowercase();
    lower.is_empty()
        || lower.bytes().all(|byte| byte == b'0' || byte == b'-')
        || BLOCKED.contains(&lower.as_str())
        || blocked.iter().any(|entry| entry.to_lowercase() == lower)
}

/// Lower-case, domain and local part: no large provider tells capitals apart, and people do not.
fn email(text: &str) -> Result<String, Error> {
    let wrong = || bad(IdentifierKind::Email, "this is no e-mail address");
    let (local, domain) = text.rsplit_once('@').ok_or_else(wrong)?;
    let plain = !text.contains(char::is_whitespace) && !local.is_empty() && !local.contains('@');
    let dotted = domain.contains('.') && !domain.starts_with('.') && !domain.ends_with('.');
    if plain && dotted { Ok(text.to_lowercase()) } else { Err(wrong()) }
}

/// E.164: a plus and 8 to 15 digits; separators are dropped, `00` counts as the plus. A number of
/// one repeated digit names nobody.
fn phone(text: &str) -> Result<String, Error> {
    let wrong = || bad(IdentifierKind::Phone, "this is no phone number in international form");
    let international =
        text.strip_prefix('+').or_else(|| text.strip_prefix("00")).ok_or_else(wrong)?;
    let mut digits = String::with_capacity(international.len());
    for sign in international.chars() {
        match sign {
            '0'..='9' => digits.push(sign),
            ' ' | '-' | '.' | '(' | ')' | '/' => {}
            _ => return Err(wrong()),
        }
    }
    let first = digits.chars().next().ok_or_else(wrong)?;
    if !(8..=15).contains(&digits.len()) || first == '0' {
        return Err(wrong());
    }
    if digits.chars().skip(3).all(|digit| Some(digit) == digits.chars().nth(3)) {
        return Err(Error::new("blocked_identifier", "this phone names nobody", "phone"));
    }
    Ok(format!("+{digits}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(kind: IdentifierKind, raw: &str) -> Result<String, String> {
        Identifier::parse(kind, raw, &[String::from("Till-7")])
            .map(|id| id.as_str().to_owned())
            .map_err(|error| error.code().to_owned())
    }

    #[test]
    fn identifiers_are_normalised() {
        assert_eq!(text(IdentifierKind::CustomerId, " \"C-1\" "), Ok("C-1".into()));
        assert_eq!(text(IdentifierKind::Email, "Ada@Example.COM"), Ok("ada@example.com".into()));
        assert_eq!(text(IdentifierKind::Phone, "0049 (30) 901-820"), Ok("+4930901820".into()));
    }

    #[test]
    fn values_that_name_nobody_are_blocked() {
        for raw in ["null", "GUEST", "", "0", "000-000", "[object Object]", "till-7", "-1", "NaN"] {
            assert_eq!(text(IdentifierKind::CustomerId, raw), Err("blocked_identifier".into()));
        }
        assert_eq!(text(IdentifierKind::Email, "test@test.com"), Err("blocked_identifier".into()));
        assert_eq!(text(IdentifierKind::Phone, "+49111111111"), Err("blocked_identifier".into()));
    }

    #[test]
    fn what_cannot_be_an_identifier_is_refused() {
        let long = "x".repeat(257);
        for raw in [long.as_str(), "a\u{0}b", "line\nbreak"] {
            assert_eq!(text(IdentifierKind::CustomerId, raw), Err("bad_identifier".into()));
        }
        for raw in ["@example.com", "a@b", "a b@example.com", "a@b@example.com"] {
            assert_eq!(text(IdentifierKind::Email, raw), Err("bad_identifier".into()));
        }
        assert_eq!(text(IdentifierKind::Phone, "030 901820"), Err("bad_identifier".into()));
    }
}
