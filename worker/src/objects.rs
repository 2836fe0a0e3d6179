//! Calls from one part of the edge to another: postcard bytes through an object's stub. It must
//! never decide what is called, and never cross a tenant: the tenant stands in every name.

use data_encoding::BASE64;
use js_sys::futures::JsFuture;
use js_sys::{Promise, Uint8Array};
use selvedge::budget::Spent;
use selvedge::engine::{Input, Reply, State};
use selvedge::identity::shard::{Outcome, Proof};
use selvedge::ids::ProfileName;
use selvedge::time::Timestamp;
use selvedge::wire::{FactRow, Receipt};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::*;
use worker::{Env, Method, Request, RequestInit, Response, Stub};

use crate::http::Fault;
use crate::leases::Copies;

/// An input for a profile object; its randomness it draws itself, since no question needs any.
#[derive(Debug, Serialize, Deserialize)]
pub struct Call {
    /// The workspace to handle it under.
    pub workspace: String,
    /// When the request came in.
    pub now: Timestamp,
    /// What to handle.
    pub input: Input,
    /// What the caller's isolate says of copies, where it is one that holds some.
    pub copies: Option<Copies>,
}

/// A profile object's answer.
#[derive(Debug, Deserialize)]
pub struct Answered {
    pub reply: Reply,
    /// The state that answered, where a copy was wanted and is given.
    pub copy: Option<State>,
}

/// The same, on its way out.
#[derive(Debug, Serialize)]
pub struct Given<'a> {
    pub reply: &'a Reply,
    pub copy: Option<&'a State>,
}

/// What a profile object holds beside its state.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Held {
    /// Every receipt that was not pruned.
    pub receipts: Vec<Receipt>,
    /// Facts that the central store has not stored yet.
    pub queued: Vec<FactRow>,
}

/// A proof for an identity shard.
#[derive(Debug, Serialize, Deserialize)]
pub struct Filing {
    /// The identifier's keyed hash.
    pub key: [u8; 16],
    /// What was proved.
    pub proof: Proof,
}

/// What an isolate has of the tenant's own state.
#[derive(Debug, Serialize, Deserialize)]
pub struct Have {
    /// The workspace's version; empty for none.
    pub version: String,
    /// When the central store last said which offers are spent.
    pub spent_as_of: Timestamp,
}

/// What is newer than what it has.
#[derive(Debug, Serialize, Deserialize)]
pub struct News {
    /// The current workspace's image.
    pub image: Option<Vec<u8>>,
    /// Which offers are spent.
    pub spent: Option<Spent>,
}

/// A published workspace.
#[derive(Debug, Serialize, Deserialize)]
pub struct Published {
    /// Its version.
    pub version: String,
    /// What was written.
    pub source: String,
    /// What it compiled into.
    pub image: Vec<u8>,
    /// When.
    pub time: Timestamp,
}

/// Fresh randomness of the runtime.
pub fn seed() -> Result<[u8; 32], Fault> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|_| Fault::unavailable())?;
    Ok(seed)
}

/// The time of this request. The runtime holds it still between waits.
pub fn now() -> Timestamp {
    // A whole number, below 2^53.
    Timestamp(js_sys::Date::now() as i64)
}

#[wasm_bindgen(module = "/glue.mjs")]
extern "C" {
    #[wasm_bindgen(catch, js_name = callProfile)]
    fn call_profile(env: &Env, name: &str, message: &str) -> Result<Promise, JsValue>;
}

/// Asks a profile object.
pub async fn ask(env: &Env, tenant: &str, name: &ProfileName, call: &Call) -> Result<Reply, Fault> {
    ask_for_copy(env, tenant, name, call).await.map(|answered| answered.reply)
}

/// Asks a profile object, by its method `call`: about half of what a request to it takes.
pub async fn ask_for_copy(
    env: &Env,
    tenant: &str,
    name: &ProfileName,
    call: &Call,
) -> Result<Answered, Fault> {
    let message = packed(call).ok_or_else(Fault::unavailable)?;
    let failed = |error: JsValue| {
        worker::console_error!("an object did not answer: {error:?}");
        Fault::unavailable()
    };
    let asked = call_profile(env, &format!("{tenant}/{name}"), &message).map_err(failed)?;
    let answer = JsFuture::from(asked).await.map_err(failed)?;
    answer.as_string().and_then(|text| unpacked(&text)).ok_or_else(Fault::unavailable)
}

/// A value as text: the runtime carries a text between objects for less than bytes.
pub fn packed(value: &impl Serialize) -> Option<String> {
    postcard::to_allocvec(value).ok().map(|bytes| BASE64.encode(&bytes))
}

/// The value that [`packed`] packed.
pub fn unpacked<T: DeserializeOwned>(text: &str) -> Option<T> {
    postcard::from_bytes(&BASE64.decode(text.as_bytes()).ok()?).ok()
}

/// What a profile object holds beside its state.
pub async fn held(env: &Env, tenant: &str, name: &ProfileName) -> Result<Held, Fault> {
    post(&profile(env, tenant, name)?, "held", &()).await
}

fn profile(env: &Env, tenant: &str, name: &ProfileName) -> Result<Stub, Fault> {
    Ok(env.durable_object("PROFILE")?.get_by_name(&format!("{tenant}/{name}"))?)
}

/// Files a proof at its shard.
pub async fn file(env: &Env, tenant: &str, shard: u16, filing: &Filing) -> Result<Outcome, Fault> {
    let stub = env.durable_object("IDENTITY")?.get_by_name(&format!("{tenant}/{shard}"))?;
    post(&stub, "file", filing).await
}

/// The tenant's own object.
pub fn tenant(env: &Env, tenant: &str) -> Result<Stub, Fault> {
    Ok(env.durable_object("TENANT_OBJECT")?.get_by_name(tenant)?)
}

/// Sends a value, reads a value.
pub async fn post<A: Serialize, B: DeserializeOwned>(
    stub: &Stub,
    path: &str,
    value: &A,
) -> Result<B, Fault> {
    let bytes = postcard::to_allocvec(value).map_err(|_| Fault::unavailable())?;
    let mut init = RequestInit::new();
    init.with_method(Method::Post).with_body(Some(Uint8Array::from(bytes.as_slice()).into()));
    let request = Request::new_with_init(&format!("https://object/{path}"), &init)?;
    let mut response = stub.fetch_with_request(request).await?;
    if response.status_code() != 200 {
        worker::console_error!("an object answered {path} with {}", response.status_code());
        return Err(Fault::unavailable());
    }
    let bytes = response.bytes().await?;
    postcard::from_bytes(&bytes).map_err(|_| Fault::unavailable())
}

/// The value that a request to an object carries.
pub async fn taken<T: DeserializeOwned>(request: &mut Request) -> worker::Result<T> {
    let bytes = request.bytes().await?;
    postcard::from_bytes(&bytes).map_err(|_| "a message between objects cannot be read".into())
}

/// An object's answer.
pub fn given(value: &impl Serialize) -> worker::Result<Response> {
    let bytes = postcard::to_allocvec(value)
        .map_err(|_| worker::Error::from("an answer between objects cannot be written"))?;
    Response::from_bytes(bytes)
}
