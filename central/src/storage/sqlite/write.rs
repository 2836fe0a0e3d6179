//! What the SQLite storage writes. Every statement is a constant with bound values.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use selvedge::ids::{EventKey, ProfileName};
use selvedge::time::Timestamp;
use sqlx::Row;

use super::SqliteTransaction;
use super::rows::{json, signed, unsigned};
use crate::storage::{
    ChangeKind, Counter, Deleted, Document, ErasureRow, EventRow, LinkRow, ReceiptRow, Result,
    StubRow, TraitRow, Transaction,
};

impl SqliteTransaction {
    /// Runs a statement that takes the tenant and one JSON list; the number of rows it met.
    async fn run(&mut self, sql: &'static str, list: &str) -> Result<u64> {
        let done = sqlx::query(sql).bind(&self.tenant).bind(list).execute(&mut *self.tx).await?;
        Ok(done.rows_affected())
    }
}

#[async_trait]
impl Transaction for SqliteTransaction {
    async fn put_document(&mut self, document: Document, body: &str) -> Result<()> {
        self.write_document(document, body).await
    }

    async fn count_contact(&mut self, offer: &str, contact: &str, day: i64) -> Result<()> {
        self.write_contact(offer, contact, day).await
    }

    async fn put_people(
        &mut self,
        people: &BTreeMap<ProfileName, Option<String>>,
        now: Timestamp,
    ) -> Result<()> {
        for (person, customer_id) in people {
            sqlx::query(
                "INSERT INTO people (tenant, person, customer_id, since) VALUES (?, ?, ?, ?) \
                 ON CONFLICT DO UPDATE SET customer_id = excluded.customer_id \
                 WHERE people.customer_id IS NULL AND excluded.customer_id IS NOT NULL",
            )
            .bind(&self.tenant)
            .bind(person.as_str())
            .bind(customer_id)
            .bind(now.0)
            .execute(&mut *self.tx)
            .await?;
        }
        Ok(())
    }

    async fn activate(&mut self, person: &ProfileName) -> Result<()> {
        sqlx::query("UPDATE people SET active = 1 WHERE tenant = ? AND person = ?")
            .bind(&self.tenant)
            .bind(person.as_str())
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }

    async fn insert_messages(&mut self, messages: &[(EventKey, ProfileName)]) -> Result<Vec<bool>> {
        let mut fresh = Vec::with_capacity(messages.len());
        for (key, person) in messages {
            let done = sqlx::query(
                "INSERT INTO messages (tenant, key, person) VALUES (?, ?, ?) \
                 ON CONFLICT DO NOTHING",
            )
            .bind(&self.tenant)
            .bind(key.0.as_slice())
            .bind(person.as_str())
            .execute(&mut *self.tx)
            .await?;
            fresh.push(done.rows_affected() > 0);
        }
        Ok(fresh)
    }

    async fn insert_events(&mut self, events: &[EventRow]) -> Result<Vec<bool>> {
        let mut fresh = Vec::with_capacity(events.len());
        for event in events {
            let done = sqlx::query(
                "INSERT INTO events (tenant, origin, key, id, owner, producer, source, device, \
                 claimed, kind, name, time, accepted, properties, payload) \
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            )
            .bind(&self.tenant)
            .bind(event.origin.word())
            .bind(event.key.0.as_slice())
            .bind(&event.id)
            .bind(event.owner.as_str())
            .bind(&event.producer)
            .bind(&event.source)
            .bind(event.device.map(|device| device.to_string()))
            .bind(event.claimed.as_ref().map(ProfileName::as_str))
            .bind(&event.kind)
            .bind(&event.name)
            .bind(event.time.0)
            .bind(event.accepted.0)
            .bind(json(&event.properties)?)
            .bind(&event.payload)
            .execute(&mut *self.tx)
            .await?;
            fresh.push(done.rows_affected() > 0);
        }
        Ok(fresh)
    }

    async fn insert_facts(&mut self, facts: &[(ProfileName, u64)]) -> Result<Vec<bool>> {
        let mut fresh = Vec::with_capacity(facts.len());
        for (producer, seq) in facts {
            let done = sqlx::query(
                "INSERT INTO facts (tenant, producer, seq) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            )
            .bind(&self.tenant)
            .bind(producer.as_str())
            .bind(signed(*seq)?)
            .execute(&mut *self.tx)
            .await?;
            fresh.push(done.rows_affected() > 0);
        }
        Ok(fresh)
    }

    async fn put_traits(&mut self, person: &ProfileName, traits: &[TraitRow]) -> Result<()> {
        for row in traits {
            sqlx::query(
                "INSERT INTO traits (tenant, person, name, value, time, counter) \
                 VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value, \
                 time = excluded.time, counter = excluded.counter",
            )
            .bind(&self.tenant)
            .bind(person.as_str())
            .bind(&row.name)
            .bind(row.value.as_ref().map(json).transpose()?)
            .bind(row.stamp.time.0)
            .bind(i64::from(row.stamp.counter))
            .execute(&mut *self.tx)
            .await?;
        }
        Ok(())
    }

    async fn insert_links(&mut self, links: &[LinkRow]) -> Result<()> {
        for link in links {
            sqlx::query(
                "INSERT INTO links (tenant, person, seq, linked, device, object, attached, \
                 evidence, time) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            )
            .bind(&self.tenant)
            .bind(link.person.as_str())
            .bind(signed(link.seq)?)
            .bind(link.linked)
            .bind(link.device.to_string())
            .bind(link.object.as_ref().map(ProfileName::as_str))
            .bind(link.attached)
            .bind(&link.evidence)
            .bind(link.time.0)
            .execute(&mut *self.tx)
            .await?;
        }
        Ok(())
    }

    async fn insert_receipts(&mut self, receipts: &[ReceiptRow]) -> Result<()> {
        for receipt in receipts {
            sqlx::query(
                "INSERT INTO receipts (tenant, owner, producer, seq, time, body) \
                 VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            )
            .bind(&self.tenant)
            .bind(receipt.owner.as_str())
            .bind(&receipt.producer)
            .bind(signed(receipt.seq)?)
            .bind(receipt.time.0)
            .bind(json(&receipt.body)?)
            .execute(&mut *self.tx)
            .await?;
        }
        Ok(())
    }

    async fn keep_stubs(&mut self, erasure: &str, stubs: &[StubRow]) -> Result<()> {
        for stub in stubs {
            sqlx::query(
                "INSERT INTO stubs (tenant, erasure, chain, seq, body) \
                 VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            )
            .bind(&self.tenant)
            .bind(erasure)
            .bind(&stub.chain)
            .bind(signed(stub.seq)?)
            .bind(json(&stub.body)?)
            .execute(&mut *self.tx)
            .await?;
        }
        Ok(())
    }

    async fn move_events(
        &mut self,
        from: &ProfileName,
        to: &ProfileName,
        since: Timestamp,
    ) -> Result<u64> {
        let done =
            sqlx::query("UPDATE events SET owner = ? WHERE tenant = ? AND owner = ? AND time >= ?")
                .bind(to.as_str())
                .bind(&self.tenant)
                .bind(from.as_str())
                .bind(since.0)
                .execute(&mut *self.tx)
                .await?;
        Ok(done.rows_affected())
    }

    async fn delete_web_events(
        &mut self,
        owner: &ProfileName,
        until: Option<Timestamp>,
    ) -> Result<u64> {
        let done = sqlx::query(
            "DELETE FROM events WHERE tenant = ? AND owner = ? AND origin = 'edge' \
             AND accepted <= ?",
        )
        .bind(&self.tenant)
        .bind(owner.as_str())
        .bind(until.map_or(i64::MAX, |until| until.0))
        .execute(&mut *self.tx)
        .await?;
        Ok(done.rows_affected())
    }

    async fn put_metrics(&mut self, metrics: &BTreeSet<(String, String)>) -> Result<bool> {
        let mut fresh = false;
        for (event, property) in metrics {
            let done = sqlx::query(
                "INSERT INTO metrics (tenant, event, property) VALUES (?, ?, ?) \
                 ON CONFLICT DO NOTHING",
            )
            .bind(&self.tenant)
            .bind(event)
            .bind(property)
            .execute(&mut *self.tx)
            .await?;
            fresh |= done.rows_affected() > 0;
        }
        Ok(fresh)
    }

    async fn mark(
        &mut self,
        person: &ProfileName,
        kind: ChangeKind,
        now: Timestamp,
    ) -> Result<u64> {
        // The counter's row is written first, so that where writers run side by side their cursors
        // become visible in order.
        let row = sqlx::query(
            "INSERT INTO counters (tenant, name, value) VALUES (?, ?, 1) \
             ON CONFLICT DO UPDATE SET value = value + 1 RETURNING value",
        )
        .bind(&self.tenant)
        .bind(Counter::Change.word())
        .fetch_one(&mut *self.tx)
        .await?;
        let cursor: i64 = row.try_get("value")?;
        sqlx::query("DELETE FROM changes WHERE tenant = ? AND person = ? AND kind = ?")
            .bind(&self.tenant)
            .bind(person.as_str())
            .bind(kind.word())
            .execute(&mut *self.tx)
            .await?;
        sqlx::query(
            "INSERT INTO changes (tenant, cursor, person, kind, time) VALUES (?, ?, ?, ?, ?)",
        )
        .bind(&self.tenant)
        .bind(cursor)
        .bind(person.as_str())
        .bind(kind.word())
        .bind(now.0)
        .execute(&mut *self.tx)
        .await?;
        unsigned(cursor)
    }

    async fn set_counter(&mut self, counter: Counter, value: u64) -> Result<()> {
        sqlx::query(
            "INSERT INTO counters (tenant, name, value) VALUES (?, ?, ?) \
             ON CONFLICT DO UPDATE SET value = excluded.value",
        )
        .bind(&self.tenant)
        .bind(counter.word())
        .bind(signed(value)?)
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }

    async fn erase(
        &mut self,
        person: &ProfileName,
        objects: &BTreeSet<ProfileName>,
    ) -> Result<Deleted> {
        let own = json(&[person])?;
        let mut names = objects.clone();
        names.insert(person.clone());
        let all = json(&names)?;
        let among = "DELETE FROM events WHERE tenant = ? \
                     AND owner IN (SELECT value FROM json_each(?))";
        let claimed = "DELETE FROM events WHERE tenant = ? \
                       AND claimed IN (SELECT value FROM json_each(?))";
        let events = self.run(among, &all).await? + self.run(claimed, &own).await?;
        let receipts = "DELETE FROM receipts WHERE tenant = ? \
                        AND owner IN (SELECT value FROM json_each(?))";
        let facts = "DELETE FROM facts WHERE tenant = ? \
                     AND producer IN (SELECT value FROM json_each(?))";
        let links = "DELETE FROM links WHERE tenant = ? \
                     AND person IN (SELECT value FROM json_each(?))";
        let traits = "DELETE FROM traits WHERE tenant = ? \
                      AND person IN (SELECT value FROM json_each(?))";
        let messages = "DELETE FROM messages WHERE tenant = ? \
                        AND person IN (SELECT value FROM json_each(?))";
        let changes = "DELETE FROM changes WHERE tenant = ? \
                       AND person IN (SELECT value FROM json_each(?))";
        let people = "DELETE FROM people WHERE tenant = ? \
                      AND person IN (SELECT value FROM json_each(?))";
        self.run(facts, &all).await?;
        self.run(messages, &own).await?;
        self.run(changes, &own).await?;
        Ok(Deleted {
            events,
            receipts: self.run(receipts, &all).await?,
            links: self.run(links, &own).await?,
            traits: self.run(traits, &own).await?,
            people: self.run(people, &own).await?,
        })
    }

    async fn bury(&mut self, profiles: &BTreeSet<ProfileName>, now: Timestamp) -> Result<()> {
        for profile in profiles {
            sqlx::query(
                "INSERT INTO buried (tenant, profile, time) VALUES (?, ?, ?) \
                 ON CONFLICT DO NOTHING",
            )
            .bind(&self.tenant)
            .bind(profile.as_str())
            .bind(now.0)
            .execute(&mut *self.tx)
            .await?;
        }
        Ok(())
    }

    async fn entomb(&mut self, key: &[u8; 32], now: Timestamp) -> Result<()> {
        sqlx::query(
            "INSERT INTO tombstones (tenant, key, time) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        )
        .bind(&self.tenant)
        .bind(key.as_slice())
        .bind(now.0)
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }

    async fn put_erasure(&mut self, erasure: &ErasureRow) -> Result<()> {
        sqlx::query(
            "INSERT INTO erasures (tenant, id, person, time, cursor, deleted, acknowledged) \
             VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET time = excluded.time, \
             cursor = excluded.cursor, deleted = excluded.deleted, \
             acknowledged = excluded.acknowledged",
        )
        .bind(&self.tenant)
        .bind(&erasure.id)
        .bind(erasure.person.as_str())
        .bind(erasure.time.0)
        .bind(signed(erasure.cursor)?)
        .bind(json(&erasure.deleted)?)
        .bind(erasure.acknowledged.map(|time| time.0))
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }

    async fn acknowledge_erasures(&mut self, until: u64, now: Timestamp) -> Result<u64> {
        let done = sqlx::query(
            "UPDATE erasures SET acknowledged = ? WHERE tenant = ? AND acknowledged IS NULL \
             AND cursor <= ?",
        )
        .bind(now.0)
        .bind(&self.tenant)
        .bind(signed(until)?)
        .execute(&mut *self.tx)
        .await?;
        Ok(done.rows_affected())
    }

    async fn commit(self: Box<Self>) -> Result<()> {
        Ok(self.tx.commit().await?)
    }
}
