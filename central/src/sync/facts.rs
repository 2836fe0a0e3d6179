//! Facts of the edge: each is stored once, whatever its order of arrival, and answered after the
//! commit. It must never keep what a person took consent from, nor anything of an erased person.
//!
//! INVARIANT: a fact is listed in the answer only if it is committed, was committed before, or may
//! never be kept.

use std::collections::{BTreeMap, BTreeSet};

use selvedge::event::EventKind;
use selvedge::identity::{Identifier, IdentifierKind, TenantKey};
use selvedge::ids::{DeviceId, ProfileName};
use selvedge::json;
use selvedge::limits;
use selvedge::time::Timestamp;
use selvedge::wire::{Fact, FactRow, PushAnswer, Receipt};

use super::consent::{Standing, note_change, standing};
use crate::app::App;
use crate::budgets;
use crate::failure::Failure;
use crate::storage::{Error, EventRow, LinkRow, Origin, ReceiptRow, Result, Transaction};

/// The facts of one push, by what they say, with what is not to be kept left out.
#[derive(Default)]
struct Sorted {
    links: Vec<LinkRow>,
    receipts: Vec<ReceiptRow>,
    events: Vec<EventRow>,
    /// Devices of erased people, which a late link tells of.
    condemned: BTreeMap<ProfileName, BTreeSet<ProfileName>>,
}

pub(super) async fn take(
    app: &App,
    facts: Vec<FactRow>,
) -> std::result::Result<PushAnswer, Failure> {
    let now = app.now();
    let mut stored: BTreeMap<ProfileName, Vec<u64>> = BTreeMap::new();
    for row in &facts {
        stored.entry(row.producer.clone()).or_default().push(row.seq);
    }
    let total = facts.len();
    let mut tx = app.storage.begin().await?;
    let kept = only_new(tx.as_mut(), &app.tenant, facts).await?;
    let mut sorted = Sorted::default();
    for row in kept.facts {
        sort(&mut sorted, &app.tenant, row, &kept.buried)?;
    }
    for (person, objects) in &sorted.condemned {
        tx.erase(person, objects).await?;
        tx.bury(objects, now).await?;
    }
    let dropped = kept.dropped + write(tx.as_mut(), sorted, now).await?;
    tx.commit().await?;
    app.changed.notify_one();
    app.metrics.facts_duplicate.add(kept.duplicates);
    app.metrics.facts_dropped.add(dropped);
    app.metrics.facts_stored.add(total.saturating_sub(kept.duplicates).saturating_sub(dropped));
    for seqs in stored.values_mut() {
        seqs.sort_unstable();
        seqs.dedup();
    }
    Ok(PushAnswer { stored })
}

struct New {
    facts: Vec<FactRow>,
    buried: BTreeSet<ProfileName>,
    duplicates: usize,
    dropped: usize,
}

/// Leaves out what was stored before. Facts of erased profiles are let go of without a trace, but
/// for links, which may tell of another device of hers.
async fn only_new(
    tx: &mut dyn Transaction,
    tenant: &TenantKey,
    facts: Vec<FactRow>,
) -> Result<New> {
    let mut names: BTreeSet<ProfileName> = BTreeSet::new();
    for row in &facts {
        names.insert(row.producer.clone());
        names.extend(claimed(tenant, row));
    }
    let buried = tx.buried(&names).await?;
    let gone = |row: &FactRow| {
        buried.contains(&row.producer)
            || claimed(tenant, row).is_some_and(|name| buried.contains(&name))
    };
    let (late, facts): (Vec<FactRow>, Vec<FactRow>) = facts.into_iter().partition(gone);
    let keys: Vec<(ProfileName, u64)> =
        facts.iter().map(|row| (row.producer.clone(), row.seq)).collect();
    let fresh = tx.insert_facts(&keys).await?;
    let before = facts.len();
    let mut new: Vec<FactRow> =
        facts.into_iter().zip(fresh).filter_map(|(row, fresh)| fresh.then_some(row)).collect();
    let duplicates = before.saturating_sub(new.len());
    let dropped = late.len();
    new.extend(late.into_iter().filter(|row| matches!(row.fact, Fact::Link { .. })));
    Ok(New { facts: new, buried, duplicates, dropped })
}

/// The person that an event's sender claims to be.
fn claimed(tenant: &TenantKey, row: &FactRow) -> Option<ProfileName> {
    let Fact::Event { event, .. } = &row.fact else { return None };
    let id = Identifier::parse(IdentifierKind::CustomerId, event.user_id.as_deref()?, &[]).ok()?;
    Some(tenant.person(&id))
}

fn sort(
    sorted: &mut Sorted,
    tenant: &TenantKey,
    row: FactRow,
    buried: &BTreeSet<ProfileName>,
) -> Result<()> {
    let claimed = claimed(tenant, &row);
    let FactRow { producer, seq, time, fact } = row;
    match fact {
        Fact::Link { device, from, .. } if buried.contains(&producer) => {
            let own = tenant.device(device);
            sorted.condemned.entry(producer).or_default().extend([own, from]);
        }
        Fact::Link { device, from, attached, evidence } if producer.is_person() => {
            let object = Some(from);
            let link = LinkRow {
                person: producer,
                seq,
                linked: true,
                device,
                object,
                attached,
                evidence,
                time,
            };
            sorted.links.push(link);
        }
        Fact::Unlink { device } if producer.is_person() => {
            sorted.links.push(unlink(producer, seq, device, time))
        }
        // Only a person is linked; such a fact says nothing.
        Fact::Link { .. } | Fact::Unlink { .. } => {}
        Fact::Consent(receipt) => sorted.receipts.push(filed(producer, seq, &receipt)?),
        Fact::Event { device, event } => {
            let key = event.key();
            // What the engine itself tells has no sender who wrote it.
            let payload =
                if event.payload.is_empty() { json::written(&event) } else { event.payload };
            sorted.events.push(EventRow {
                origin: Origin::Edge,
                key,
                owner: producer.clone(),
                producer: producer.as_str().to_owned(),
                source: Origin::Edge.word().to_owned(),
                device: Some(device),
                claimed,
                kind: word(event.kind).to_owned(),
                id: event.id,
                name: event.name,
                time: event.time,
                accepted: time,
                properties: event.properties,
                payload,
            })
        }
    }
    Ok(())
}

fn unlink(person: ProfileName, seq: u64, device: DeviceId, time: Timestamp) -> LinkRow {
    let (linked, attached) = (false, false);
    LinkRow { person, seq, linked, device, object: None, attached, evidence: String::new(), time }
}

fn filed(owner: ProfileName, seq: u64, receipt: &Receipt) -> Result<ReceiptRow> {
    let body = serde_json::to_value(receipt).map_err(|_| Error::new("a receipt has no JSON"))?;
    Ok(ReceiptRow { producer: owner.as_str().to_owned(), owner, seq, time: receipt.time, body })
}

fn word(kind: EventKind) -> &'static str {
    match kind {
        EventKind::Track => "track",
        EventKind::Identify => "identify",
        EventKind::Page => "page",
        EventKind::Screen => "screen",
        EventKind::Group => "group",
        EventKind::Alias => "alias",
    }
}

/// Links and consent first, because they say whose the events are and whether they may be kept.
/// Answers how many events were let go of.
async fn write(tx: &mut dyn Transaction, sorted: Sorted, now: Timestamp) -> Result<usize> {
    let Sorted { links, receipts, mut events, condemned } = sorted;
    let gone: BTreeSet<ProfileName> = condemned.into_values().flatten().collect();
    let total = events.len();
    events.retain(|event| !gone.contains(&event.owner));
    let people: BTreeMap<ProfileName, Option<String>> = links
        .iter()
        .map(|link| &link.person)
        .chain(receipts.iter().map(|receipt| &receipt.owner))
        .chain(events.iter().map(|event| &event.owner))
        .filter(|name| name.is_person())
        .map(|name| (name.clone(), None))
        .collect();
    tx.put_people(&people, now).await?;
    let mut touched: BTreeSet<ProfileName> =
        receipts.iter().map(|receipt| receipt.owner.clone()).collect();
    touched.extend(links.iter().map(|link| link.person.clone()));
    // A device's receipt is also its person's, where it was linked before.
    let linked_before = tx.links_of(&touched).await?;
    touched.extend(linked_before.into_iter().map(|link| link.person));
    let mut before = BTreeMap::new();
    for owner in &touched {
        before.insert(owner.clone(), standing(tx, owner).await?);
    }
    tx.insert_links(&links).await?;
    tx.insert_receipts(&receipts).await?;
    attach(tx, &links, &mut events).await?;
    let mut after: BTreeMap<ProfileName, Standing> = BTreeMap::new();
    for (owner, before) in &before {
        let standing = standing(tx, owner).await?;
        note_change(tx, owner, before, &standing, now).await?;
        after.insert(owner.clone(), standing);
    }
    let mut kept = Vec::with_capacity(events.len());
    for event in events {
        if !after.contains_key(&event.owner) {
            let standing = standing(tx, &event.owner).await?;
            after.insert(event.owner.clone(), standing);
        }
        if after.get(&event.owner).is_some_and(|standing| standing.keeps(event.accepted)) {
            kept.push(event);
        }
    }
    let dropped = total.saturating_sub(kept.len());
    let fresh = tx.insert_events(&kept).await?;
    let new = kept.iter().zip(fresh).filter_map(|(event, fresh)| fresh.then_some(event));
    budgets::count(tx, new, now).await?;
    Ok(dropped)
}

/// Gives an attached device's events to its person, those that are stored and those that come: of
/// the last `limits::ATTACH_AGE_MS` before the link (DESIGN.md section 6, rule 6).
async fn attach(
    tx: &mut dyn Transaction,
    links: &[LinkRow],
    events: &mut [EventRow],
) -> Result<()> {
    for link in links.iter().filter(|link| link.attached) {
        if let Some(object) = link.object.as_ref().filter(|object| !object.is_person()) {
            tx.move_events(object, &link.person, since(link)).await?;
        }
    }
    let devices: BTreeSet<ProfileName> = events
        .iter()
        .filter(|event| !event.owner.is_person())
        .map(|event| event.owner.clone())
        .collect();
    let known = tx.links_of(&devices).await?;
    for event in events {
        let own = |link: &&LinkRow| {
            link.attached && link.object.as_ref() == Some(&event.owner) && event.time >= since(link)
        };
        if let Some(link) = known.iter().find(own) {
            event.owner = link.person.clone();
        }
    }
    Ok(())
}

fn since(link: &LinkRow) -> Timestamp {
    link.time.plus_ms(-limits::ATTACH_AGE_MS)
}
