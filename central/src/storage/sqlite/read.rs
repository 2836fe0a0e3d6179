//! What the SQLite storage reads. Lists of names go in as one JSON array, so that every statement
//! is a constant.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use selvedge::ids::{EventKey, ProfileName};
use selvedge::rule::Value;
use selvedge::time::Timestamp;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::SqliteTransaction;
use super::rows::{self, json, signed, unsigned};
use crate::storage::{
    ChangeRow, CountRow, Counter, Document, ErasureRow, EventRow, ExposedRow, LinkRow,
    OccurrenceRow, PersonRow, ReceiptRow, Result, Snapshot, StubRow, TraitRow,
};

fn all<T>(rows: &[SqliteRow], read: fn(&SqliteRow) -> Result<T>) -> Result<Vec<T>> {
    rows.iter().map(read).collect()
}

#[async_trait]
impl Snapshot for SqliteTransaction {
    async fn document(&mut self, document: Document) -> Result<Option<String>> {
        self.read_document(document).await
    }

    async fn contacts(&mut self, offer: &str, contact: &str, day: Option<i64>) -> Result<u64> {
        self.read_contacts(offer, contact, day).await
    }

    async fn exposed(&mut self, since: &BTreeMap<String, Timestamp>) -> Result<Vec<ExposedRow>> {
        self.read_exposed(since).await
    }

    async fn tombstoned(&mut self, keys: &BTreeSet<[u8; 32]>) -> Result<BTreeSet<[u8; 32]>> {
        let mut found = BTreeSet::new();
        for key in keys {
            let row = sqlx::query("SELECT 1 FROM tombstones WHERE tenant = ? AND key = ?")
                .bind(&self.tenant)
                .bind(key.as_slice())
                .fetch_optional(&mut *self.tx)
                .await?;
            if row.is_some() {
                found.insert(*key);
            }
        }
        Ok(found)
    }

    async fn buried(&mut self, profiles: &BTreeSet<ProfileName>) -> Result<BTreeSet<ProfileName>> {
        let rows = sqlx::query(
            "SELECT profile FROM buried WHERE tenant = ? \
             AND profile IN (SELECT value FROM json_each(?))",
        )
        .bind(&self.tenant)
        .bind(json(profiles)?)
        .fetch_all(&mut *self.tx)
        .await?;
        rows.iter().map(|row| rows::name(row, "profile")).collect()
    }

    async fn person(&mut self, person: &ProfileName) -> Result<Option<PersonRow>> {
        let row = sqlx::query(
            "SELECT customer_id, active, since FROM people WHERE tenant = ? AND person = ?",
        )
        .bind(&self.tenant)
        .bind(person.as_str())
        .fetch_optional(&mut *self.tx)
        .await?;
        row.map(|row| {
            Ok(PersonRow {
                customer_id: row.try_get("customer_id")?,
                active: row.try_get("active")?,
                since: rows::time(&row, "since")?,
            })
        })
        .transpose()
    }

    async fn active(&mut self, people: &BTreeSet<ProfileName>) -> Result<BTreeSet<ProfileName>> {
        let rows = sqlx::query(
            "SELECT person FROM people WHERE tenant = ? AND active = 1 \
             AND person IN (SELECT value FROM json_each(?))",
        )
        .bind(&self.tenant)
        .bind(json(people)?)
        .fetch_all(&mut *self.tx)
        .await?;
        rows.iter().map(|row| rows::name(row, "person")).collect()
    }

    async fn active_page(
        &mut self,
        after: Option<&ProfileName>,
        limit: u32,
    ) -> Result<Vec<ProfileName>> {
        let rows = sqlx::query(
            "SELECT person FROM people WHERE tenant = ? AND active = 1 AND person > ? \
             ORDER BY person LIMIT ?",
        )
        .bind(&self.tenant)
        .bind(after.map_or("", ProfileName::as_str))
        .bind(limit)
        .fetch_all(&mut *self.tx)
        .await?;
        rows.iter().map(|row| rows::name(row, "person")).collect()
    }

    async fn people(&mut self) -> Result<u64> {
        let row = sqlx::query("SELECT count(*) AS count FROM people WHERE tenant = ?")
            .bind(&self.tenant)
            .fetch_one(&mut *self.tx)
            .await?;
        rows::number(&row, "count")
    }

    async fn people_page(
        &mut self,
        after: Option<&ProfileName>,
        limit: u32,
    ) -> Result<Vec<ProfileName>> {
        let rows = sqlx::query(
            "SELECT person FROM people WHERE tenant = ? AND person > ? ORDER BY person LIMIT ?",
        )
        .bind(&self.tenant)
        .bind(after.map_or("", ProfileName::as_str))
        .bind(limit)
        .fetch_all(&mut *self.tx)
        .await?;
        rows.iter().map(|row| rows::name(row, "person")).collect()
    }

    async fn traits(&mut self, person: &ProfileName) -> Result<Vec<TraitRow>> {
        let rows = sqlx::query(
            "SELECT name, value, time, counter FROM traits \
             WHERE tenant = ? AND person = ? ORDER BY name",
        )
        .bind(&self.tenant)
        .bind(person.as_str())
        .fetch_all(&mut *self.tx)
        .await?;
        all(&rows, rows::trait_row)
    }

    async fn links(&mut self, person: &ProfileName) -> Result<Vec<LinkRow>> {
        let rows =
            sqlx::query("SELECT * FROM links WHERE tenant = ? AND person = ? ORDER BY time, seq")
                .bind(&self.tenant)
                .bind(person.as_str())
                .fetch_all(&mut *self.tx)
                .await?;
        all(&rows, rows::link_row)
    }

    async fn links_of(&mut self, objects: &BTreeSet<ProfileName>) -> Result<Vec<LinkRow>> {
        let rows = sqlx::query(
            "SELECT * FROM links WHERE tenant = ? \
             AND object IN (SELECT value FROM json_each(?)) ORDER BY time, person, seq",
        )
        .bind(&self.tenant)
        .bind(json(objects)?)
        .fetch_all(&mut *self.tx)
        .await?;
        all(&rows, rows::link_row)
    }

    async fn receipts(&mut self, owners: &BTreeSet<ProfileName>) -> Result<Vec<ReceiptRow>> {
        let rows = sqlx::query(
            "SELECT * FROM receipts WHERE tenant = ? \
             AND owner IN (SELECT value FROM json_each(?)) ORDER BY time, owner, producer, seq",
        )
        .bind(&self.tenant)
        .bind(json(owners)?)
        .fetch_all(&mut *self.tx)
        .await?;
        all(&rows, rows::receipt_row)
    }

    async fn stubs(&mut self, erasure: &str) -> Result<Vec<StubRow>> {
        let query = "SELECT * FROM stubs WHERE tenant = ? AND erasure = ? ORDER BY chain, seq";
        let rows =
            sqlx::query(query).bind(&self.tenant).bind(erasure).fetch_all(&mut *self.tx).await?;
        all(&rows, rows::stub_row)
    }

    async fn counts(&mut self, owner: &ProfileName) -> Result<Vec<CountRow>> {
        let rows = sqlx::query(
            "SELECT name, source, count(*) AS count, min(time) AS first, max(time) AS last \
             FROM events WHERE tenant = ? AND owner = ? \
             GROUP BY name, source ORDER BY name, source",
        )
        .bind(&self.tenant)
        .bind(owner.as_str())
        .fetch_all(&mut *self.tx)
        .await?;
        all(&rows, rows::count_row)
    }

    async fn events(
        &mut self,
        owner: &ProfileName,
        after: Option<&EventRow>,
        limit: u32,
    ) -> Result<Vec<EventRow>> {
        let query = match after {
            Some(last) => sqlx::query(
                "SELECT * FROM events WHERE tenant = ? AND owner = ? \
                 AND (origin, name, time, key) > (?, ?, ?, ?) \
                 ORDER BY origin, name, time, key LIMIT ?",
            )
            .bind(&self.tenant)
            .bind(owner.as_str())
            .bind(last.origin.word())
            .bind(&last.name)
            .bind(last.time.0)
            .bind(last.key.0.as_slice()),
            None => sqlx::query(
                "SELECT * FROM events WHERE tenant = ? AND owner = ? \
                 ORDER BY origin, name, time, key LIMIT ?",
            )
            .bind(&self.tenant)
            .bind(owner.as_str()),
        };
        let rows = query.bind(limit).fetch_all(&mut *self.tx).await?;
        all(&rows, rows::event_row)
    }

    async fn imported(
        &mut self,
        owner: &ProfileName,
        name: &str,
        after: Option<(Timestamp, EventKey)>,
        limit: u32,
    ) -> Result<Vec<(Timestamp, EventKey, BTreeMap<String, Value>)>> {
        let (time, key) = match after {
            Some((time, key)) => (time.0, key.0.to_vec()),
            None => (i64::MIN, Vec::new()),
        };
        let rows = sqlx::query(
            "SELECT time, key, properties FROM events WHERE tenant = ? AND owner = ? \
             AND origin = 'import' AND name = ? AND (time, key) > (?, ?) \
             ORDER BY time, key LIMIT ?",
        )
        .bind(&self.tenant)
        .bind(owner.as_str())
        .bind(name)
        .bind(time)
        .bind(key)
        .bind(limit)
        .fetch_all(&mut *self.tx)
        .await?;
        rows.iter()
            .map(|row| Ok((rows::time(row, "time")?, rows::key(row)?, rows::properties(row)?)))
            .collect()
    }

    async fn occurrences(
        &mut self,
        owner: &ProfileName,
        named: &BTreeSet<String>,
        kinds: &BTreeSet<String>,
        after: Option<&OccurrenceRow>,
        limit: u32,
    ) -> Result<Vec<OccurrenceRow>> {
        let (origin, name) = after.map_or(("", ""), |last| (last.origin.word(), &last.name));
        let (time, key) = after.map_or((i64::MIN, &[][..]), |last| (last.time.0, &last.key.0[..]));
        let rows = sqlx::query(
            "SELECT origin, name, time, key, kind, accepted, properties FROM events \
             WHERE tenant = ? AND owner = ? AND (origin, name, time, key) > (?, ?, ?, ?) \
             AND (name IN (SELECT value FROM json_each(?)) \
             OR kind IN (SELECT value FROM json_each(?))) \
             ORDER BY origin, name, time, key LIMIT ?",
        )
        .bind(&self.tenant)
        .bind(owner.as_str())
        .bind(origin)
        .bind(name)
        .bind(time)
        .bind(key)
        .bind(json(named)?)
        .bind(json(kinds)?)
        .bind(limit)
        .fetch_all(&mut *self.tx)
        .await?;
        all(&rows, rows::occurrence_row)
    }

    async fn metrics(&mut self) -> Result<BTreeSet<(String, String)>> {
        let rows = sqlx::query("SELECT event, property FROM metrics WHERE tenant = ?")
            .bind(&self.tenant)
            .fetch_all(&mut *self.tx)
            .await?;
        rows.iter().map(|row| Ok((row.try_get("event")?, row.try_get("property")?))).collect()
    }

    async fn changes(&mut self, after: u64, limit: u32) -> Result<Vec<ChangeRow>> {
        let rows = sqlx::query(
            "SELECT cursor, person, kind, time FROM changes WHERE tenant = ? AND cursor > ? \
             ORDER BY cursor LIMIT ?",
        )
        .bind(&self.tenant)
        .bind(signed(after)?)
        .bind(limit)
        .fetch_all(&mut *self.tx)
        .await?;
        all(&rows, rows::change_row)
    }

    async fn counter(&mut self, counter: Counter) -> Result<u64> {
        let row = sqlx::query("SELECT value FROM counters WHERE tenant = ? AND name = ?")
            .bind(&self.tenant)
            .bind(counter.word())
            .fetch_optional(&mut *self.tx)
            .await?;
        row.map_or(Ok(0), |row| unsigned(row.try_get("value")?))
    }

    async fn erasure(&mut self, id: &str) -> Result<Option<ErasureRow>> {
        let row = sqlx::query("SELECT * FROM erasures WHERE tenant = ? AND id = ?")
            .bind(&self.tenant)
            .bind(id)
            .fetch_optional(&mut *self.tx)
            .await?;
        row.as_ref().map(rows::erasure_row).transpose()
    }

    async fn erasure_waits(&mut self, until: u64) -> Result<bool> {
        let row = sqlx::query(
            "SELECT 1 FROM erasures WHERE tenant = ? AND acknowledged IS NULL AND cursor <= ? \
             LIMIT 1",
        )
        .bind(&self.tenant)
        .bind(signed(until)?)
        .fetch_optional(&mut *self.tx)
        .await?;
        Ok(row.is_some())
    }
}
