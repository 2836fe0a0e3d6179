//! The Selvedge core: identity, consent, decisions and sync as one pure, deterministic library.
//!
//! The same code runs in the CDN worker, in the page, in the central store and in the command-line
//! tool. It does no I/O, reads no clock, draws no randomness and starts no thread: time, ids,
//! randomness and the workspace are arguments, and what the host must do comes back as values.
//! [`engine::handle`] is the only door.
#![cfg_attr(not(any(test, feature = "std")), no_std)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss
    )
)]
#![warn(missing_docs)]

extern crate alloc;

pub mod budget;
pub mod consent;
pub mod decide;
pub mod engine;
pub mod error;
pub mod event;
pub mod experiment;
pub mod identity;
pub mod ids;
pub mod limits;
pub mod offer;
mod pack;
pub use pack::text_of;
pub mod page;
pub mod profile;
#[cfg(feature = "replay")]
pub mod replay;
pub mod rule;
pub mod slice;
pub mod sync;
pub mod time;
pub mod wire;
pub mod workspace;

#[cfg(feature = "json")]
pub mod json;

#[cfg(feature = "compile")]
pub mod compile;
