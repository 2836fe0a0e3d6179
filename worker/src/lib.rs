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
mod leases;
mod login;
mod me;
mod objects;
mod ofrep;
mod outbox;
mod page;
mod preview;
mod profile_object;
mod published;
mod recent;
mod rewrite;
mod routes;
mod segment;
mod settings;
mod sql;
mod tenant_object;
mod views;
mod visitor;

use js_sys::futures::future_to_promise;
use wasm_bindgen::prelude::*;
use worker::{Env, web_sys};

use crate::http::Request;

/// Answers a request, of which `shim.mjs` brings the head and, where it was worth it, the body: a
/// text where [`plain_answer`]'s headers are all that it has, else a response, and the promise of
/// one of them where something has to be waited for.
// The runtime's hook for panics stays: it is what tells the shim to take a fresh instance. Callers
// see its message never, since whatever breaks an instance is answered by the runtime itself.
#[wasm_bindgen]
pub fn fetch(
    request: web_sys::Request,
    env: Env,
    head: String,
    body: Option<Vec<u8>>,
) -> Result<JsValue, JsValue> {
    let request = Request::new(request, head, body)?;
    if let Some(text) = routes::at_once(&request, &env) {
        return Ok(text.into());
    }
    Ok(future_to_promise(async move { Ok(routes::answer(request, env).await?) }).into())
}

/// The fields of requests that are read here, in the order in which [`fetch`] wants them.
#[wasm_bindgen(js_name = fieldNames)]
pub fn field_names() -> Vec<String> {
    http::FIELDS.map(str::to_owned).to_vec()
}

/// The headers of an answer that [`fetch`] gives as a text: names and values.
#[wasm_bindgen(js_name = plainAnswer)]
pub fn plain_answer() -> Vec<js_sys::Array> {
    http::PLAIN.map(|(name, value)| js_sys::Array::of2(&name.into(), &value.into())).to_vec()
}
