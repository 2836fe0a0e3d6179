//! The workspace compiler.
