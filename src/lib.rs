//! The Selvedge core.
pub mod consent;
pub mod rule;
#[cfg(feature = "compile")]
pub mod compile;
