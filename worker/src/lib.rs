//! The edge worker: it brings the core the time, the randomness, the workspace and the stored
//! state, carries out what the core says, and puts the answers into pages. It must never decide
//! anything itself.
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

mod admin;
mod assets;
mod central;
mod consenting;
mod cookie;
mod deciding;
mod html;
mod http;
mod identity_shard;
mod login;
mod me;
mod objects;
mod ofrep;
mod outbox;
mod page;
mod preview;
mod profile_object;
mod published;
mod rewrite;
mod routes;
mod segment;
mod settings;
mod sql;
mod tenant_object;
mod views;
mod visitor;

use worker::{Context, Env, Result, event, web_sys};

use crate::http::Request;

// The runtime's hook for panics stays: it is what tells the shim to take a fresh instance. Callers
// see its message never, since whatever breaks an instance is answered by the runtime itself.
#[event(fetch)]
async fn fetch(request: Request, env: Env, context: Context) -> Result<web_sys::Response> {
    routes::answer(request, env, context).await
}
