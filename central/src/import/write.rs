//! One batch of rows into the storage, in one transaction, and into the feed for people who are at
//! the edge. It must never let an erased person back in.

use std::collections::{BTreeMap, BTreeSet};

use selvedge::consent::{Purpose, Record, Region};
use selvedge::engine::receipts;
use selvedge::error::Error;
use selvedge::ids::{DeviceId, ProfileName};
use selvedge::limits;
use selvedge::profile::{Source, Stamp};
use selvedge::rule::Value;
use selvedge::time::Timestamp;
use selvedge::wire::Receipt;

use super::row::{Body, Row};
use crate::app::App;
use crate::failure::Failure;
use crate::storage::{ChangeKind, EventRow, Origin, ReceiptRow, Result, TraitRow, Transaction};
use crate::sync::{note_change, standing};

/// Who writes receipts of imported choices.
const CENTRAL: &str = "central";

/// What became of a batch.
#[derive(Default)]
pub(super) struct Done {
    pub(super) accepted: u64,
    pub(super) duplicates: u64,
    pub(super) refused: Vec<(u64, Error)>,
}

impl Done {
    fn count(&mut self, fresh: bool) {
        let counter = if fresh { &mut self.accepted } else { &mut self.duplicates };
        *counter = counter.saturating_add(1);
    }
}

/// What changed, by person.
type Changed = BTreeSet<(ProfileName, ChangeKind)>;

pub(super) async fn batch(
    app: &App,
    source: &str,
    rows: Vec<(u64, Row)>,
) -> std::result::Result<Done, Failure> {
    let now = app.now();
    let mut done = Done::default();
    let mut changed = Changed::new();
    let mut tx = app.storage.begin().await?;
    let rows = without_erased(tx.as_mut(), rows, &mut done).await?;
    let people: BTreeMap<ProfileName, Option<String>> = rows
        .iter()
        .map(|(_, row)| (row.whom.name.clone(), Some(row.whom.customer_id.clone())))
        .collect();
    tx.put_people(&people, now).await?;
    let mut events = Vec::new();
    let mut others = Vec::new();
    for (line, row) in rows {
        match row.body {
            Body::Track { event, properties, payload } => events.push(EventRow {
                origin: Origin::Import,
                key: row.key.unwrap_or_else(|| selvedge::ids::EventKey::of(&row.id)),
                id: row.id,
                owner: row.whom.name,
                producer: CENTRAL.to_owned(),
                source: source.to_owned(),
                device: None,
                claimed: None,
                kind: "track".to_owned(),
                name: event,
                time: row.time.unwrap_or(now),
                accepted: now,
                properties,
                payload,
            }),
            body => others.push((line, Row { body, ..row })),
        }
    }
    for (event, fresh) in events.iter().zip(tx.insert_events(&events).await?) {
        done.count(fresh);
        if fresh {
            changed.insert((event.owner.clone(), ChangeKind::Series));
        }
    }
    apply(tx.as_mut(), source, others, now, &mut changed, &mut done).await?;
    mark(tx.as_mut(), changed, now).await?;
    tx.commit().await?;
    app.changed.notify_one();
    app.metrics.rows_accepted.add(usize::try_from(done.accepted).unwrap_or(usize::MAX));
    app.metrics.rows_duplicate.add(usize::try_from(done.duplicates).unwrap_or(usize::MAX));
    Ok(done)
}

async fn without_erased(
    tx: &mut dyn Transaction,
    rows: Vec<(u64, Row)>,
    done: &mut Done,
) -> Result<Vec<(u64, Row)>> {
    let keys: BTreeSet<[u8; 32]> = rows.iter().map(|(_, row)| row.whom.tombstone).collect();
    let names: BTreeSet<ProfileName> = rows.iter().map(|(_, row)| row.whom.name.clone()).collect();
    let erased = tx.tombstoned(&keys).await?;
    let buried = tx.buried(&names).await?;
    let mut kept = Vec::with_capacity(rows.len());
    for (line, row) in rows {
        if erased.contains(&row.whom.tombstone) || buried.contains(&row.whom.name) {
            let message = "this person was erased and does not come back";
            done.refused.push((line, Error::new("erased", message, "userId")));
        } else {
            kept.push((line, row));
        }
    }
    Ok(kept)
}

/// Traits and choices, row by row in the order of the file.
async fn apply(
    tx: &mut dyn Transaction,
    source: &str,
    rows: Vec<(u64, Row)>,
    now: Timestamp,
    changed: &mut Changed,
    done: &mut Done,
) -> Result<()> {
    let keys: Vec<_> = rows
        .iter()
        .filter_map(|(_, row)| row.key.map(|key| (key, row.whom.name.clone())))
        .collect();
    let mut fresh = tx.insert_messages(&keys).await?.into_iter();
    let mut known: BTreeMap<ProfileName, BTreeMap<String, TraitRow>> = BTreeMap::new();
    let mut written: BTreeMap<ProfileName, BTreeMap<String, TraitRow>> = BTreeMap::new();
    for (line, row) in rows {
        if row.key.is_some() && fresh.next() != Some(true) {
            done.count(false);
            continue;
        }
        let person = row.whom.name;
        match row.body {
            Body::Identify(traits) => {
                if !known.contains_key(&person) {
                    let rows = tx.traits(&person).await?;
                    let by_name = rows.into_iter().map(|row| (row.name.clone(), row)).collect();
                    known.insert(person.clone(), by_name);
                }
                let known = known.entry(person.clone()).or_default();
                let fresh = known.keys().chain(traits.keys()).collect::<BTreeSet<_>>().len();
                if fresh > limits::TRAITS {
                    let message = format!("at most {} traits are kept of a person", limits::TRAITS);
                    done.refused.push((line, Error::new("too_many_traits", message, "traits")));
                    continue;
                }
                let news = fold(known, traits, row.time, now);
                done.count(row.key.is_some() || !news.is_empty());
                if !news.is_empty() {
                    changed.insert((person.clone(), ChangeKind::Traits));
                    let written = written.entry(person).or_default();
                    written.extend(news.into_iter().map(|row| (row.name.clone(), row)));
                }
            }
            Body::Consent { choices, basis, evidence } => {
                let time = row.time.unwrap_or(now);
                let choice = |(purpose, yes)| (purpose, yes, basis);
                let choices = choices.into_iter().map(choice).collect();
                choose(tx, &person, choices, time, source, &evidence, now).await?;
                changed.insert((person, ChangeKind::Consent));
                done.count(true);
            }
            Body::Track { .. } => {}
        }
    }
    for (person, rows) in written {
        let rows: Vec<TraitRow> = rows.into_values().collect();
        tx.put_traits(&person, &rows).await?;
    }
    Ok(())
}

/// Folds what a row says into what is known: the later word wins, and of two at one time the one
/// that came later. What changes nothing is left out.
fn fold(
    known: &mut BTreeMap<String, TraitRow>,
    said: BTreeMap<String, Option<Value>>,
    time: Option<Timestamp>,
    now: Timestamp,
) -> Vec<TraitRow> {
    let mut news = Vec::new();
    for (name, value) in said {
        let before = known.get(&name);
        if before.is_none() && value.is_none()
            || before.is_some_and(|before| before.value == value && time.is_none())
        {
            continue;
        }
        // A row without a time is said now, and never before what is known (a hybrid clock).
        let at = time.unwrap_or_else(|| before.map_or(now, |before| before.stamp.time.max(now)));
        let counter = match before.map(|before| before.stamp) {
            Some(stamp) if stamp.time > at => continue,
            Some(stamp) if stamp.time == at => stamp.counter.saturating_add(1),
            _ => 0,
        };
        let stamp = Stamp { time: at, counter, source: Source::Central };
        let row = TraitRow { name: name.clone(), value, stamp };
        known.insert(name, row.clone());
        news.push(row);
    }
    news
}

/// Writes a receipt of choices that were made in another channel, chained to the one before.
async fn choose(
    tx: &mut dyn Transaction,
    person: &ProfileName,
    choices: Vec<(Purpose, bool, selvedge::consent::Basis)>,
    time: Timestamp,
    source: &str,
    evidence: &str,
    now: Timestamp,
) -> Result<()> {
    let before = standing(tx, person).await?;
    let mut after = before.clone();
    let mut records: Vec<Record> = Vec::new();
    for (purpose, yes, basis) in choices {
        let record = before.record(purpose, yes, basis, time);
        after.take(&record);
        records.push(record);
    }
    let own = tx.receipts(&BTreeSet::from([person.clone()])).await?;
    let last = own.iter().filter(|row| row.producer == CENTRAL).max_by_key(|row| row.seq);
    let hash = last.and_then(|row| row.body.get("hash")?.as_str()).unwrap_or_default();
    let receipt = Receipt {
        seq: 0,
        previous: String::new(),
        records,
        // No device chose: it was told to another channel.
        device: DeviceId([0; 16]),
        source: source.to_owned(),
        evidence: evidence.to_owned(),
        region: Region::default(),
        time,
        hash: String::new(),
    };
    let receipt = receipts::seal(receipt, &(last.map_or(0, |row| row.seq), hash.to_owned()));
    let body = serde_json::to_value(&receipt)
        .map_err(|_| crate::storage::Error::new("a receipt has no JSON"))?;
    let (producer, seq) = (CENTRAL.to_owned(), receipt.seq);
    let receipt = ReceiptRow { owner: person.clone(), producer, seq, time, body };
    tx.insert_receipts(&[receipt]).await?;
    note_change(tx, person, &before, &after, now).await
}

/// Puts what changed into the feed, for people at the edge who did not say no.
async fn mark(tx: &mut dyn Transaction, changed: Changed, now: Timestamp) -> Result<()> {
    let people = changed.iter().map(|(person, _)| person.clone()).collect();
    let active = tx.active(&people).await?;
    for person in active {
        let denied = standing(tx, &person).await?.is_denied();
        // Consent goes first, because the edge takes traits by the consent that it knows; what it
        // let go of before a yes follows.
        for kind in [ChangeKind::Consent, ChangeKind::Traits, ChangeKind::Series] {
            let due = changed.contains(&(person.clone(), kind))
                || changed.contains(&(person.clone(), ChangeKind::Consent));
            if due && (kind == ChangeKind::Consent || !denied) {
                tx.mark(&person, kind, now).await?;
            }
        }
    }
    Ok(())
}
