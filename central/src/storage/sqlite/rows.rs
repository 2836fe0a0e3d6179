//! Rows of SQLite as rows of `storage`. A row that cannot be read is an error, never a default.

use std::collections::BTreeMap;

use selvedge::ids::{self, DeviceId, EventKey, ProfileName};
use selvedge::profile::{Source, Stamp};
use selvedge::rule::Value;
use selvedge::time::Timestamp;
use serde::de::DeserializeOwned;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::storage::{
    ChangeKind, ChangeRow, CountRow, ErasureRow, Error, EventRow, LinkRow, OccurrenceRow, Origin,
    ReceiptRow, Result, StubRow, TraitRow,
};

/// A number for SQLite, whose integers are signed.
pub(super) fn signed(number: u64) -> Result<i64> {
    i64::try_from(number).map_err(|_| Error::new("a number is too large to be stored"))
}

pub(super) fn unsigned(number: i64) -> Result<u64> {
    u64::try_from(number).map_err(|_| Error::new("a stored number is negative"))
}

pub(super) fn json<T: serde::Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|_| Error::new("a value cannot be written as JSON"))
}

pub(super) fn from_json<T: DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|_| Error::new("a stored JSON text cannot be read"))
}

pub(super) fn name(row: &SqliteRow, column: &str) -> Result<ProfileName> {
    profile(row.try_get::<&str, _>(column)?)
}

fn profile(text: &str) -> Result<ProfileName> {
    ProfileName::parse(text).map_err(|_| Error::new("a stored profile name cannot be read"))
}

fn maybe_name(row: &SqliteRow, column: &str) -> Result<Option<ProfileName>> {
    row.try_get::<Option<&str>, _>(column)?.map(profile).transpose()
}

pub(super) fn time(row: &SqliteRow, column: &str) -> Result<Timestamp> {
    Ok(Timestamp(row.try_get(column)?))
}

pub(super) fn number(row: &SqliteRow, column: &str) -> Result<u64> {
    unsigned(row.try_get(column)?)
}

pub(super) fn key(row: &SqliteRow) -> Result<EventKey> {
    let bytes: &[u8] = row.try_get("key")?;
    let key = bytes.try_into().map_err(|_| Error::new("a stored key has another length"))?;
    Ok(EventKey(key))
}

fn device_id(text: &str) -> Result<DeviceId> {
    ids::unhex16(text).map(DeviceId).ok_or_else(|| Error::new("a stored device cannot be read"))
}

pub(super) fn properties(row: &SqliteRow) -> Result<BTreeMap<String, Value>> {
    from_json(row.try_get("properties")?)
}

pub(super) fn trait_row(row: &SqliteRow) -> Result<TraitRow> {
    let value: Option<&str> = row.try_get("value")?;
    let counter: i64 = row.try_get("counter")?;
    Ok(TraitRow {
        name: row.try_get("name")?,
        value: value.map(from_json).transpose()?,
        stamp: Stamp {
            time: time(row, "time")?,
            counter: u32::try_from(counter).map_err(|_| Error::new("a stamp cannot be read"))?,
            source: Source::Central,
        },
    })
}

fn origin(row: &SqliteRow) -> Result<Origin> {
    Ok(match row.try_get("origin")? {
        "edge" => Origin::Edge,
        _ => Origin::Import,
    })
}

pub(super) fn occurrence_row(row: &SqliteRow) -> Result<OccurrenceRow> {
    Ok(OccurrenceRow {
        origin: origin(row)?,
        name: row.try_get("name")?,
        time: time(row, "time")?,
        key: key(row)?,
        kind: row.try_get("kind")?,
        accepted: time(row, "accepted")?,
        properties: properties(row)?,
    })
}

pub(super) fn event_row(row: &SqliteRow) -> Result<EventRow> {
    let device: Option<&str> = row.try_get("device")?;
    Ok(EventRow {
        origin: origin(row)?,
        key: key(row)?,
        id: row.try_get("id")?,
        owner: name(row, "owner")?,
        producer: row.try_get("producer")?,
        source: row.try_get("source")?,
        device: device.map(device_id).transpose()?,
        claimed: maybe_name(row, "claimed")?,
        kind: row.try_get("kind")?,
        name: row.try_get("name")?,
        time: time(row, "time")?,
        accepted: time(row, "accepted")?,
        properties: properties(row)?,
        payload: row.try_get("payload")?,
    })
}

pub(super) fn link_row(row: &SqliteRow) -> Result<LinkRow> {
    Ok(LinkRow {
        person: name(row, "person")?,
        seq: number(row, "seq")?,
        linked: row.try_get("linked")?,
        device: device_id(row.try_get("device")?)?,
        object: maybe_name(row, "object")?,
        attached: row.try_get("attached")?,
        evidence: row.try_get("evidence")?,
        time: time(row, "time")?,
    })
}

pub(super) fn receipt_row(row: &SqliteRow) -> Result<ReceiptRow> {
    Ok(ReceiptRow {
        owner: name(row, "owner")?,
        producer: row.try_get("producer")?,
        seq: number(row, "seq")?,
        time: time(row, "time")?,
        body: from_json(row.try_get("body")?)?,
    })
}

pub(super) fn stub_row(row: &SqliteRow) -> Result<StubRow> {
    Ok(StubRow {
        chain: row.try_get("chain")?,
        seq: number(row, "seq")?,
        body: from_json(row.try_get("body")?)?,
    })
}

pub(super) fn count_row(row: &SqliteRow) -> Result<CountRow> {
    Ok(CountRow {
        name: row.try_get("name")?,
        source: row.try_get("source")?,
        count: number(row, "count")?,
        first: time(row, "first")?,
        last: time(row, "last")?,
    })
}

pub(super) fn change_row(row: &SqliteRow) -> Result<ChangeRow> {
    Ok(ChangeRow {
        cursor: number(row, "cursor")?,
        person: name(row, "person")?,
        kind: match row.try_get("kind")? {
            "traits" => ChangeKind::Traits,
            "series" => ChangeKind::Series,
            "consent" => ChangeKind::Consent,
            "erase" => ChangeKind::Erase,
            _ => return Err(Error::new("a stored change is of a newer release")),
        },
        time: time(row, "time")?,
    })
}

pub(super) fn erasure_row(row: &SqliteRow) -> Result<ErasureRow> {
    let acknowledged: Option<i64> = row.try_get("acknowledged")?;
    Ok(ErasureRow {
        id: row.try_get("id")?,
        person: name(row, "person")?,
        time: time(row, "time")?,
        cursor: number(row, "cursor")?,
        deleted: from_json(row.try_get("deleted")?)?,
        acknowledged: acknowledged.map(Timestamp),
    })
}
