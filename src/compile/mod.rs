//! The workspace compiler.
pub mod cel;
