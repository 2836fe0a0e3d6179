//! What is held on a person: as one answer, and as an export of everything. It must never answer
//! for a claimed id, only for the company's own.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use http_body_util::channel::{Channel, Sender};
use selvedge::consent::Purpose;
use selvedge::identity::{Identifier, IdentifierKind};
use selvedge::ids::ProfileName;
use selvedge::json;
use selvedge::profile::Stamp;
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};

use crate::app::App;
use crate::failure::Failure;
use crate::storage::{EventRow, LinkRow, PersonRow, ReceiptRow, Result as Stored, Snapshot};
use crate::sync::{standing, subjects};

/// Events read at a time in an export.
const PAGE: u32 = 500;

/// `{"customerId": "C-1"}`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct WhomBody {
    pub(crate) customer_id: String,
}

/// The person behind a customer id. Errors: `bad_identifier`, `blocked_identifier`.
pub(crate) fn identify(app: &App, customer_id: &str) -> Result<(ProfileName, Identifier), Failure> {
    let identifier = Identifier::parse(IdentifierKind::CustomerId, customer_id, &[])?;
    Ok((app.tenant.person(&identifier), identifier))
}

fn unknown() -> Failure {
    Failure::unknown("unknown_person", "nothing is held under this customer id", "customerId")
}

/// Traits, counts, consent, devices and receipts. Errors: [`identify`]'s, `unknown_person`.
pub(crate) async fn view(app: &App, customer_id: &str) -> Result<Json, Failure> {
    let (name, _) = identify(app, customer_id)?;
    let mut snapshot = app.storage.read().await?;
    let person = snapshot.person(&name).await?.ok_or_else(unknown)?;
    Ok(held(snapshot.as_mut(), &name, &person).await?)
}

async fn held(snapshot: &mut dyn Snapshot, name: &ProfileName, person: &PersonRow) -> Stored<Json> {
    let subjects = subjects(snapshot, name).await?;
    let traits: Map<String, Json> = snapshot
        .traits(name)
        .await?
        .into_iter()
        .map(|row| {
            let value = row.value.as_ref().map(json::to_json);
            (row.name, json!({ "value": value, "stamp": stamp(row.stamp) }))
        })
        .collect();
    let events: Vec<Json> = snapshot
        .counts(name)
        .await?
        .into_iter()
        .map(|row| {
            json!({
                "name": row.name, "source": row.source, "count": row.count,
                "first": json::time_text(row.first), "last": json::time_text(row.last),
            })
        })
        .collect();
    let consent = standing(snapshot, name).await?.consent;
    let choices: Map<String, Json> = Purpose::ALL
        .into_iter()
        .map(|purpose| (purpose.word().to_owned(), consent.choice(purpose).into()))
        .collect();
    let links = snapshot.links(name).await?;
    let receipts: Vec<Json> = snapshot
        .receipts(&subjects)
        .await?
        .into_iter()
        .map(|row| json!({ "chain": chain(&row), "receipt": row.body }))
        .collect();
    Ok(json!({
        "customerId": person.customer_id,
        "person": name,
        "active": person.active,
        "since": json::time_text(person.since),
        "traits": traits,
        "events": events,
        "consent": choices,
        "devices": devices(&links),
        "receipts": receipts,
    }))
}

/// Whose chain a receipt stands in: the subject, or the subject as other channels spoke of it.
fn chain(row: &ReceiptRow) -> String {
    if row.producer == row.owner.as_str() {
        row.producer.clone()
    } else {
        format!("{}:{}", row.producer, row.owner)
    }
}

fn stamp(stamp: Stamp) -> Json {
    json!({
        "time": json::time_text(stamp.time), "counter": stamp.counter, "source": stamp.source,
    })
}

/// The devices as the last fact on each leaves them.
fn devices(links: &[LinkRow]) -> Vec<Json> {
    let names: BTreeSet<_> = links.iter().map(|link| link.device).collect();
    names
        .into_iter()
        .map(|device| {
            let of_device = || links.iter().filter(|link| link.device == device);
            let first = of_device().find(|link| link.linked);
            let last = of_device().next_back();
            let ended = last.filter(|link| !link.linked);
            json!({
                "device": device,
                "linked": first.map(|link| json::time_text(link.time)),
                "unlinked": ended.map(|link| json::time_text(link.time)),
                "attached": of_device().any(|link| link.attached),
            })
        })
        .collect()
}

/// Everything, as a stream of NDJSON: one line `person`, then `trait`, `link`, `receipt` and
/// `event` lines, and an `end` line by which a reader knows that nothing is missing. Errors: as
/// [`view`].
pub(crate) async fn export(app: Arc<App>, customer_id: &str) -> Result<Response, Failure> {
    let (name, _) = identify(&app, customer_id)?;
    let mut snapshot = app.storage.read().await?;
    let person = snapshot.person(&name).await?.ok_or_else(unknown)?;
    let (mut lines, body) = Channel::<Bytes, crate::storage::Error>::new(4);
    tokio::spawn(async move {
        if let Err(error) = write_all(snapshot.as_mut(), &name, &person, &mut lines).await {
            tracing::warn!(%error, "an export ended early");
            lines.abort(error);
        }
    });
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], Body::new(body)).into_response())
}

type Lines = Sender<Bytes, crate::storage::Error>;

/// Sends one line; an error where nobody listens any more.
async fn send(lines: &mut Lines, line: Json) -> Stored<()> {
    let mut text = line.to_string();
    text.push('\n');
    let gone = |_| crate::storage::Error::new("the reader went away");
    lines.send_data(Bytes::from(text)).await.map_err(gone)
}

async fn write_all(
    snapshot: &mut dyn Snapshot,
    name: &ProfileName,
    person: &PersonRow,
    lines: &mut Lines,
) -> Stored<()> {
    let mut whole = held(snapshot, name, person).await?;
    let mut take = |field: &str| whole.as_object_mut().and_then(|fields| fields.remove(field));
    let traits = take("traits");
    let receipts = take("receipts");
    if let Some(fields) = whole.as_object_mut() {
        fields.insert("kind".to_owned(), "person".into());
    }
    send(lines, whole).await?;
    for (name, held) in traits.iter().filter_map(Json::as_object).flatten() {
        send(lines, json!({ "kind": "trait", "name": name, "held": held })).await?;
    }
    for link in snapshot.links(name).await? {
        send(lines, link_line(&link)).await?;
    }
    for receipt in receipts.iter().filter_map(Json::as_array).flatten() {
        let mut line = receipt.clone();
        if let Some(fields) = line.as_object_mut() {
            fields.insert("kind".to_owned(), "receipt".into());
        }
        send(lines, line).await?;
    }
    let mut events = 0_u64;
    for owner in subjects(snapshot, name).await? {
        let mut after: Option<EventRow> = None;
        loop {
            let page = snapshot.events(&owner, after.as_ref(), PAGE).await?;
            for event in &page {
                send(lines, event_line(event)).await?;
                events = events.saturating_add(1);
            }
            after = page.into_iter().next_back();
            if after.is_none() {
                break;
            }
        }
    }
    send(lines, json!({ "kind": "end", "events": events })).await
}

fn link_line(link: &LinkRow) -> Json {
    json!({
        "kind": "link", "linked": link.linked, "device": link.device, "object": link.object,
        "attached": link.attached, "evidence": link.evidence, "time": json::time_text(link.time),
    })
}

fn event_line(event: &EventRow) -> Json {
    let payload: Json = serde_json::from_str(&event.payload)
        .unwrap_or_else(|_| Json::String(event.payload.clone()));
    json!({
        "kind": "event", "id": event.id, "owner": event.owner, "source": event.source,
        "name": event.name,
        "call": event.kind, "time": json::time_text(event.time), "device": event.device,
        "accepted": json::time_text(event.accepted), "payload": payload,
    })
}
