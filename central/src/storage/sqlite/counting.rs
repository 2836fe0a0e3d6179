//! The SQLite statements of experiments and budgets: documents, contacts per day, exposures. They
//! hold no rule: what is counted and what follows from it is `budgets` and `experiments`.

use std::collections::BTreeMap;

use selvedge::time::Timestamp;
use sqlx::Row;

use super::SqliteTransaction;
use super::rows::{json, number, unsigned};
use crate::storage::{Document, ExposedRow, Result};

impl SqliteTransaction {
    pub(super) async fn read_document(&mut self, document: Document) -> Result<Option<String>> {
        let row = sqlx::query("SELECT body FROM documents WHERE tenant = ? AND name = ?")
            .bind(&self.tenant)
            .bind(document.word())
            .fetch_optional(&mut *self.tx)
            .await?;
        Ok(row.map(|row| row.try_get("body")).transpose()?)
    }

    pub(super) async fn write_document(&mut self, document: Document, body: &str) -> Result<()> {
        sqlx::query(
            "INSERT INTO documents (tenant, name, body) VALUES (?, ?, ?) \
             ON CONFLICT DO UPDATE SET body = excluded.body",
        )
        .bind(&self.tenant)
        .bind(document.word())
        .bind(body)
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }

    pub(super) async fn read_contacts(
        &mut self,
        offer: &str,
        contact: &str,
        day: Option<i64>,
    ) -> Result<u64> {
        let row = sqlx::query(
            "SELECT coalesce(sum(count), 0) AS count FROM contacts WHERE tenant = ? \
             AND offer = ? AND contact = ? AND (?4 IS NULL OR day = ?4)",
        )
        .bind(&self.tenant)
        .bind(offer)
        .bind(contact)
        .bind(day)
        .fetch_one(&mut *self.tx)
        .await?;
        unsigned(row.try_get("count")?)
    }

    pub(super) async fn write_contact(
        &mut self,
        offer: &str,
        contact: &str,
        day: i64,
    ) -> Result<()> {
        sqlx::query(
            "INSERT INTO contacts (tenant, offer, contact, day, count) VALUES (?, ?, ?, ?, 1) \
             ON CONFLICT DO UPDATE SET count = count + 1",
        )
        .bind(&self.tenant)
        .bind(offer)
        .bind(contact)
        .bind(day)
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }

    pub(super) async fn read_exposed(
        &mut self,
        since: &BTreeMap<String, Timestamp>,
    ) -> Result<Vec<ExposedRow>> {
        // One row per profile and experiment first: a profile counts once, however often it came,
        // and one that saw two variants belongs to neither.
        let rows = sqlx::query(
            "WITH seen AS (SELECT owner, time, \
             json_extract(properties, '$.experiment_id.String') AS experiment, \
             json_extract(properties, '$.variation_id.String') AS variant FROM events \
             WHERE tenant = ? AND origin = 'edge' AND kind = 'track' \
             AND name = 'Experiment Viewed'), \
             each AS (SELECT experiment, min(time) AS first, \
             CASE WHEN count(DISTINCT variant) = 1 THEN min(variant) END AS variant \
             FROM seen WHERE experiment IS NOT NULL AND variant IS NOT NULL \
             GROUP BY owner, experiment) \
             SELECT each.experiment, each.variant, count(*) AS profiles FROM each \
             JOIN json_each(?) AS asked ON asked.key = each.experiment \
             WHERE each.first >= asked.value \
             GROUP BY each.experiment, each.variant ORDER BY each.experiment, each.variant",
        )
        .bind(&self.tenant)
        .bind(json(since)?)
        .fetch_all(&mut *self.tx)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(ExposedRow {
                    experiment: row.try_get("experiment")?,
                    variant: row.try_get("variant")?,
                    profiles: number(row, "profiles")?,
                })
            })
            .collect()
    }
}
