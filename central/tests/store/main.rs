//! The central store as its callers meet it: over HTTP, on a real file.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod audiences;
mod erasure;
mod experiments;
mod harness;
mod import;
mod program;
mod refusals;
mod sync;
