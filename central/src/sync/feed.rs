//! The feed of changes: what the edge is told, in the order of its cursors. A change's body is read
//! when it is sent, so it is never older than the cursor says, and joins make newer ones harmless.

use std::collections::BTreeMap;

use selvedge::consent::{Choice, Purpose, Record};
use selvedge::ids::ProfileName;
use selvedge::limits;
use selvedge::time::Timestamp;
use selvedge::wire::{Change, ChangeBody, Changes, TraitUpdate, WIRE_VERSION};

use super::consent::{records, standing, subjects};
use super::series;
use crate::storage::{
    ChangeKind, ChangeRow, Counter, Error, Result, Snapshot, TraitRow, Transaction,
};

/// What the changes of one page may weigh, below the bound of a sync message.
const PAGE_BYTES: usize = limits::SYNC_BYTES / 2;
/// Active people read at a time.
const PEOPLE: u32 = 1_000;

/// The changes behind a cursor. A cursor that was never given out is one of another database, so
/// the feed begins anew.
pub(crate) async fn page(snapshot: &mut dyn Snapshot, after: u64, limit: usize) -> Result<Changes> {
    let current = snapshot.counter(Counter::Change).await?;
    let after = if after > current { 0 } else { after };
    let limit = limit.clamp(1, limits::CHANGES);
    let ask = u32::try_from(limit).unwrap_or(u32::MAX).saturating_add(1);
    let rows = snapshot.changes(after, ask).await?;
    let mut page = Changes {
        wire_version: WIRE_VERSION,
        changes: Vec::new(),
        cursor: after,
        more: false,
        spent: None,
    };
    let mut bytes = 0_usize;
    for (at, row) in rows.into_iter().enumerate() {
        if at >= limit || bytes >= PAGE_BYTES {
            page.more = true;
            break;
        }
        page.cursor = row.cursor;
        let Some(body) = body(snapshot, &row).await? else { continue };
        let change = Change { cursor: row.cursor, person: row.person, body };
        let text = serde_json::to_vec(&change);
        bytes = bytes.saturating_add(text.map_err(|_| Error::new("a change has no JSON"))?.len());
        page.changes.push(change);
    }
    Ok(page)
}

/// A change's body; None where there is nothing to tell, or the person says no.
async fn body(snapshot: &mut dyn Snapshot, row: &ChangeRow) -> Result<Option<ChangeBody>> {
    let person = &row.person;
    Ok(match row.kind {
        ChangeKind::Erase => Some(ChangeBody::Erase { time: row.time }),
        ChangeKind::Consent => consent(snapshot, person).await?,
        ChangeKind::Traits | ChangeKind::Series
            if standing(snapshot, person).await?.is_denied() =>
        {
            None
        }
        ChangeKind::Traits => traits(snapshot.traits(person).await?),
        ChangeKind::Series => counted(snapshot, person).await?,
    })
}

fn traits(rows: Vec<TraitRow>) -> Option<ChangeBody> {
    let update = |row: TraitRow| TraitUpdate { name: row.name, value: row.value, stamp: row.stamp };
    (!rows.is_empty()).then(|| ChangeBody::Traits(rows.into_iter().map(update).collect()))
}

async fn counted(snapshot: &mut dyn Snapshot, person: &ProfileName) -> Result<Option<ChangeBody>> {
    let series = series::of(snapshot, person).await?;
    Ok((!series.is_empty()).then_some(ChangeBody::Series(series)))
}

async fn consent(snapshot: &mut dyn Snapshot, person: &ProfileName) -> Result<Option<ChangeBody>> {
    let subjects = subjects(snapshot, person).await?;
    let all = snapshot.receipts(&subjects).await?;
    let records = strongest(all.iter().flat_map(records));
    Ok((!records.is_empty()).then_some(ChangeBody::Consent(records)))
}

/// The few records that join to the same consent as all of them: per purpose the latest grant, the
/// latest no, and the one of the highest epoch.
fn strongest(records: impl Iterator<Item = Record>) -> Vec<Record> {
    let mut kept: BTreeMap<(Purpose, u8), Record> = BTreeMap::new();
    for record in records {
        let rank = |record: &Record| match record.choice {
            Choice::Grant => (record.epoch, record.time),
            Choice::Deny | Choice::Withdrawn => (0, record.time),
        };
        let which = u8::from(record.choice != Choice::Grant);
        let best = kept.entry((record.purpose, which)).or_insert_with(|| record.clone());
        if rank(&record) > rank(best) {
            *best = record.clone();
        }
        let newest = kept.entry((record.purpose, 2)).or_insert_with(|| record.clone());
        if record.epoch > newest.epoch {
            *newest = record;
        }
    }
    let mut records: Vec<Record> = Vec::new();
    for record in kept.into_values() {
        if !records.contains(&record) {
            records.push(record);
        }
    }
    records
}

/// Everything that the edge is told of a person whom it meets.
pub(super) async fn all_of(
    snapshot: &mut dyn Snapshot,
    person: &ProfileName,
) -> Result<Vec<ChangeBody>> {
    let mut bodies: Vec<ChangeBody> = consent(snapshot, person).await?.into_iter().collect();
    if !standing(snapshot, person).await?.is_denied() {
        bodies.extend(traits(snapshot.traits(person).await?));
        bodies.extend(counted(snapshot, person).await?);
    }
    Ok(bodies)
}

/// Lets the series of everybody at the edge go out again.
pub(super) async fn renew_series(tx: &mut dyn Transaction, now: Timestamp) -> Result<()> {
    let mut after = None;
    loop {
        let page = tx.active_page(after.as_ref(), PEOPLE).await?;
        for person in &page {
            tx.mark(person, ChangeKind::Series, now).await?;
        }
        match page.last() {
            Some(last) => after = Some(last.clone()),
            None => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use selvedge::consent::{Basis, Consent};

    fn joined(records: &[Record]) -> Consent {
        let mut consent = Consent::default();
        records.iter().for_each(|record| consent.take(record));
        consent
    }

    #[test]
    fn the_strongest_records_join_to_what_all_of_them_do() {
        let choices = [Choice::Grant, Choice::Deny, Choice::Withdrawn];
        let basis = Basis::Consent;
        let mut all = Vec::new();
        // Every triple of choices, epochs and times, for two purposes at once.
        for case in 0_u32..6_u32.pow(3) * 27 {
            let mut rest = case;
            let mut digit = |base: u32| {
                let digit = rest % base;
                rest /= base;
                digit
            };
            let records: Vec<Record> = (0..3)
                .map(|at| Record {
                    purpose: if at == 0 { Purpose::Store } else { Purpose::Personalise },
                    choice: choices[digit(3) as usize],
                    epoch: digit(3),
                    time: Timestamp(i64::from(digit(2))),
                    basis,
                })
                .collect();
            let few = strongest(records.iter().cloned());
            assert_eq!(joined(&few), joined(&records), "{records:?}");
            all.extend(records);
        }
        let few = strongest(all.iter().cloned());
        assert_eq!(joined(&few), joined(&all));
        assert!(few.len() <= 6, "{few:?}");
    }
}
