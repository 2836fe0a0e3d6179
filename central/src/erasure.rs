//! Erasure: everything of a person goes, here and at the edge, and a peppered tombstone stays, so
//! that no import and no late fact brings her back. It must never keep a plain identifier.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use selvedge::engine::receipts;
use selvedge::ids::{ProfileName, hex};
use selvedge::json;
use selvedge::time::Timestamp;
use selvedge::wire::{Erase, Receipt, check_version};
use serde::Serialize;

use crate::app::App;
use crate::failure::Failure;
use crate::people::identify;
use crate::storage::{ChangeKind, Deleted, ErasureRow, Snapshot, StubRow};

/// Tries to scrub the files after the first one failed, and the pause before each.
const SCRUBS: u32 = 120;
const SCRUB_PAUSE: Duration = Duration::from_secs(5);

/// An erasure as callers see it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Erasure {
    id: String,
    /// The person's name, a keyed hash.
    person: ProfileName,
    time: String,
    /// What was deleted when it was asked for last.
    deleted: Deleted,
    /// Whether the edge confirmed it, and when.
    acknowledged: bool,
    acknowledged_at: Option<String>,
}

impl From<ErasureRow> for Erasure {
    fn from(row: ErasureRow) -> Self {
        Self {
            id: row.id,
            person: row.person,
            time: json::time_text(row.time),
            deleted: row.deleted,
            acknowledged: row.acknowledged.is_some(),
            acknowledged_at: row.acknowledged.map(json::time_text),
        }
    }
}

/// Erases a person, known here or not: the edge may know more. Asking again erases again and
/// answers under the same id. Errors: `bad_identifier`, `blocked_identifier`.
pub(crate) async fn erase(app: Arc<App>, customer_id: &str) -> Result<Erasure, Failure> {
    let (person, identifier) = identify(&app, customer_id)?;
    let tombstone = app.tenant.tombstone(&identifier);
    let id = format!("e_{}", hex(&app.keyed(&[b"erasure", &tombstone])));
    carry_out(app, person, id, Some(tombstone)).await.map(Erasure::from)
}

/// Erases a profile whose subject asked the edge, which knows no customer id. An import of hers
/// finds her buried by name, so no tombstone is needed. Errors: `wire_version`, `bad_profile_name`.
pub(crate) async fn erase_named(app: Arc<App>, asked: Erase) -> Result<Erasure, Failure> {
    check_version(asked.wire_version)?;
    let profile =
        ProfileName::parse(asked.profile.as_str()).map_err(|error| error.at("profile"))?;
    let id = format!("e_{}", hex(&app.keyed(&[b"erasure by name", profile.as_str().as_bytes()])));
    carry_out(app, profile, id, None).await.map(Erasure::from)
}

async fn carry_out(
    app: Arc<App>,
    person: ProfileName,
    id: String,
    tombstone: Option<[u8; 32]>,
) -> Result<ErasureRow, Failure> {
    let now = app.now();
    let mut tx = app.storage.begin().await?;
    let objects = objects(tx.as_mut(), &app, &person).await?;
    let mut buried = objects.clone();
    buried.insert(person.clone());
    let stubs = stubs(tx.as_mut(), &app, &buried).await?;
    let deleted = tx.erase(&person, &objects).await?;
    tx.keep_stubs(&id, &stubs).await?;
    tx.bury(&buried, now).await?;
    if let Some(tombstone) = tombstone {
        tx.entomb(&tombstone, now).await?;
    }
    let cursor = tx.mark(&person, ChangeKind::Erase, now).await?;
    let row = ErasureRow { id, person, time: now, cursor, deleted, acknowledged: None };
    tx.put_erasure(&row).await?;
    tx.commit().await?;
    app.changed.notify_one();
    app.metrics.erasures.add(1);
    scrub(&app).await;
    Ok(row)
}

/// What proof of her choices demands, and no more (docs/decisions/0011): each receipt without the
/// device and the evidence, in a chain that is named by a keyed hash.
async fn stubs(
    snapshot: &mut dyn Snapshot,
    app: &App,
    subjects: &BTreeSet<ProfileName>,
) -> Result<Vec<StubRow>, Failure> {
    let mut stubs = Vec::new();
    for row in snapshot.receipts(subjects).await? {
        // A receipt of a shape that this release does not know proves nothing here.
        let Ok(receipt) = serde_json::from_value::<Receipt>(row.body) else { continue };
        let owner = row.owner.as_str().as_bytes();
        let chain = hex(&app.keyed(&[b"receipt chain", owner, row.producer.as_bytes()]));
        let body = serde_json::to_value(receipts::stub(&receipt))
            .map_err(|_| crate::storage::Error::new("a stub has no JSON"))?;
        stubs.push(StubRow { chain, seq: receipt.seq, body });
    }
    Ok(stubs)
}

/// What an erasure left of her receipts, for whoever must prove what was chosen. Errors:
/// `unknown_erasure`.
pub(crate) async fn proof(app: &App, id: &str) -> Result<serde_json::Value, Failure> {
    let mut snapshot = app.storage.read().await?;
    if snapshot.erasure(id).await?.is_none() {
        return Err(unknown());
    }
    let stubs = snapshot.stubs(id).await?;
    let lines: Vec<serde_json::Value> = stubs
        .into_iter()
        .map(|stub| serde_json::json!({ "chain": stub.chain, "stub": stub.body }))
        .collect();
    Ok(serde_json::json!({ "id": id, "receipts": lines }))
}

fn unknown() -> Failure {
    Failure::unknown("unknown_erasure", "there is no such erasure", "id")
}

/// Cleans the files too. A long export can keep it from happening now; then it happens soon after.
async fn scrub(app: &Arc<App>) {
    let Err(error) = app.storage.scrub().await else { return };
    tracing::warn!(%error, "the files are not scrubbed yet");
    let app = Arc::clone(app);
    tokio::spawn(async move {
        for _ in 0..SCRUBS {
            tokio::time::sleep(SCRUB_PAUSE).await;
            if app.storage.scrub().await.is_ok() {
                return;
            }
        }
        tracing::error!("the files were not scrubbed; the next erasure tries again");
    });
}

/// How far an erasure got. Errors: `unknown_erasure`.
pub(crate) async fn status(app: &App, id: &str) -> Result<Erasure, Failure> {
    let mut snapshot = app.storage.read().await?;
    let row = snapshot.erasure(id).await?;
    row.map(Erasure::from).ok_or_else(unknown)
}

/// The profiles of a person's devices. One that was linked to somebody else too is not hers alone.
async fn objects(
    snapshot: &mut dyn Snapshot,
    app: &App,
    person: &ProfileName,
) -> Result<BTreeSet<ProfileName>, Failure> {
    let mut objects = BTreeSet::new();
    for link in snapshot.links(person).await? {
        objects.insert(app.tenant.device(link.device));
        objects.extend(link.object.filter(|object| !object.is_person()));
    }
    for link in snapshot.links_of(&objects.clone()).await? {
        if link.person != *person
            && let Some(shared) = &link.object
        {
            objects.remove(shared);
        }
    }
    Ok(objects)
}

/// Notes that the edge has applied all up to a cursor.
pub(crate) async fn acknowledge(app: &App, until: u64, now: Timestamp) -> Result<(), Failure> {
    let mut tx = app.storage.begin().await?;
    tx.acknowledge_erasures(until, now).await?;
    tx.commit().await?;
    Ok(())
}
