//! The one error of the core: a stable code, a sentence for people, a place. It must never hold a
//! value of a visitor that was not shown to be harmless.

use alloc::borrow::Cow;
use alloc::string::String;
use core::fmt;

use serde::{Deserialize, Serialize};

/// What went wrong, where, and what to do. Codes are stable; messages may be reworded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Error {
    /// Stable snake_case code.
    pub code: Cow<'static, str>,
    /// One sentence, lower-case, without a final period.
    pub message: String,
    /// A field path, a header's name, or a position; empty where the whole input is meant.
    #[serde(rename = "where")]
    pub place: String,
}

impl Error {
    /// An error with its place. `code` is snake_case and never changes once published.
    pub fn new(code: &'static str, message: impl Into<String>, place: impl Into<String>) -> Self {
        Self { code: Cow::Borrowed(code), message: message.into(), place: place.into() }
    }

    /// The same error at another place, for a caller who knows it better.
    #[must_use]
    pub fn at(mut self, place: impl Into<String>) -> Self {
        self.place = place.into();
        self
    }

    /// The stable code.
    pub fn code(&self) -> &str {
        &self.code
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if !self.place.is_empty() {
            f.write_str(" (at ")?;
            f.write_str(&self.place)?;
            f.write_str(")")?;
        }
        Ok(())
    }
}

impl core::error::Error for Error {}
