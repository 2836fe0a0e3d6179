//! The client of the central store's sync routes. It must never retry by itself: who calls keeps
//! what was not answered.

use std::time::Duration;

use futures_util::future::{Either, select};
use selvedge::budget::Spent;
use selvedge::ids::ProfileName;
use selvedge::wire::{
    Change, Changes, Declare, Erase, Hydrate, Push, PushAnswer, WIRE_VERSION, check_version,
};
use selvedge::workspace::Workspace;
use serde::Serialize;
use serde::de::DeserializeOwned;
use worker::{Delay, Error, Fetch, Headers, Method, Request, RequestInit, Result};

use crate::settings::Settings;

/// A central store that is slower than this counts as down.
const DEADLINE_MS: u64 = 5_000;

/// Hands facts over. What the answer lists is committed.
pub async fn push(settings: &Settings, push: &Push) -> Result<PushAnswer> {
    post(settings, "/sync/v1/push", push).await
}

/// What the central store knows of a person.
pub async fn hydrate(
    settings: &Settings,
    person: &ProfileName,
    workspace: &Workspace,
) -> Result<Vec<Change>> {
    let mut metrics: Vec<(String, String)> = workspace
        .computed
        .iter()
        .flat_map(|computed| computed.metrics())
        .map(|(event, property)| (event.to_owned(), property.to_owned()))
        .collect();
    metrics.sort_unstable();
    metrics.dedup();
    let question = Hydrate { wire_version: WIRE_VERSION, person: person.clone(), metrics };
    let answer: Changes = post(settings, "/sync/v1/hydrate", &question).await?;
    readable(&answer)?;
    Ok(answer.changes)
}

/// Asks for an erasure. An answer says that it is committed.
pub async fn erase(settings: &Settings, profile: &ProfileName) -> Result<()> {
    let asked = Erase { wire_version: WIRE_VERSION, profile: profile.clone() };
    let _: serde_json::Value = post(settings, "/sync/v1/erase", &asked).await?;
    Ok(())
}

/// Declares what the published workspace says of experiments and budgets. The answer says which
/// offers are spent.
pub async fn declare(settings: &Settings, declare: &Declare) -> Result<Spent> {
    post(settings, "/sync/v1/declare", declare).await
}

/// What changed since a cursor.
pub async fn changes(settings: &Settings, cursor: u64) -> Result<Changes> {
    let path = format!("/sync/v1/changes?cursor={cursor}");
    let answer: Changes = send(settings, &path, Method::Get, None).await?;
    readable(&answer)?;
    Ok(answer)
}

fn readable(changes: &Changes) -> Result<()> {
    check_version(changes.wire_version).map_err(|error| Error::from(error.to_string()))
}

async fn post<A: Serialize, B: DeserializeOwned>(
    settings: &Settings,
    path: &str,
    value: &A,
) -> Result<B> {
    let body = serde_json::to_string(value)?;
    send(settings, path, Method::Post, Some(body)).await
}

async fn send<B: DeserializeOwned>(
    settings: &Settings,
    path: &str,
    method: Method,
    body: Option<String>,
) -> Result<B> {
    let headers = Headers::new();
    headers.set("authorization", &settings.central_bearer())?;
    headers.set("accept", "application/json")?;
    if body.is_some() {
        headers.set("content-type", "application/json")?;
    }
    let mut init = RequestInit::new();
    init.with_method(method).with_headers(headers).with_body(body.map(Into::into));
    let request = Request::new_with_init(&format!("{}{path}", settings.central), &init)?;
    let answered = std::pin::pin!(async {
        let mut response = Fetch::Request(request).send().await?;
        if response.status_code() != 200 {
            let status = response.status_code();
            // The body is read, or the runtime would hold the connection.
            response.bytes().await?;
            return Err(Error::from(format!("the central store answered {status}")));
        }
        response.bytes().await
    });
    let late = Delay::from(Duration::from_millis(DEADLINE_MS));
    match select(answered, late).await {
        Either::Left((bytes, _)) => Ok(serde_json::from_slice(&bytes?)?),
        Either::Right(_) => Err(Error::from("the central store did not answer in time")),
    }
}
