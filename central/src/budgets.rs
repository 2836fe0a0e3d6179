//! Budgets of offers: counts the contacts that the edge reports, each once, and says which offers
//! are spent. It must never keep who made a contact.
//!
//! The count is as exact as the facts: it grows in the transaction that stores an event for the
//! first time. What is approximate is when the edge hears of it (docs/reference/offers.md).

use std::collections::{BTreeMap, BTreeSet};

use selvedge::budget::{Budget, Period, Spent};
use selvedge::profile::Contact;
use selvedge::rule::Value;
use selvedge::time::Timestamp;
use selvedge::wire::Declare;
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::failure::Failure;
use crate::storage::{Document, Error, EventRow, Origin, Result, Snapshot, Transaction};

/// What the edge declared last.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Declared {
    /// As it came.
    pub(crate) declare: Declare,
    /// Since when each experiment has the shares that it has now.
    pub(crate) since: BTreeMap<String, Timestamp>,
}

/// What the edge declared; None before it did.
pub(crate) async fn declared(snapshot: &mut dyn Snapshot) -> Result<Option<Declared>> {
    let text = snapshot.document(Document::Declared).await?;
    text.map(|text| read(&text)).transpose()
}

/// Which offers are spent at `now`; None where nobody ever counted.
pub(crate) async fn spent(snapshot: &mut dyn Snapshot, now: Timestamp) -> Result<Option<Spent>> {
    let Some(text) = snapshot.document(Document::Spent).await? else { return Ok(None) };
    let mut spent: Spent = read(&text)?;
    spent.offers.retain(|_, until| until.is_none_or(|until| now < until));
    Ok(Some(spent))
}

fn read<T: serde::de::DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|_| Error::new("a stored document cannot be read"))
}

async fn write(tx: &mut dyn Transaction, document: Document, value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string(value);
    let text = text.map_err(|_| Error::new("a document cannot be written"))?;
    tx.put_document(document, &text).await
}

/// Takes a declaration in; of two the one that was published later stands. Errors: those of
/// [`Declare::check`].
pub(crate) async fn declare(app: &App, declare: Declare) -> std::result::Result<Spent, Failure> {
    declare.check()?;
    let now = app.now();
    let mut tx = app.storage.begin().await?;
    let before = declared(tx.as_mut()).await?;
    if before.as_ref().is_none_or(|known| known.declare.published <= declare.published) {
        let since = since(before.as_ref(), &declare);
        let known = Declared { declare, since };
        write(tx.as_mut(), Document::Declared, &known).await?;
        settle(tx.as_mut(), &known.declare.budgets, None, now).await?;
    }
    let spent = spent(tx.as_mut(), now).await?.unwrap_or_default();
    tx.commit().await?;
    app.changed.notify_one();
    Ok(spent)
}

/// An experiment whose shares changed begins anew: who came under the old shares says nothing about
/// the new ones.
fn since(before: Option<&Declared>, declare: &Declare) -> BTreeMap<String, Timestamp> {
    let same = |shares: &selvedge::wire::Shares| {
        let before = before?;
        let known = before.declare.experiments.iter().find(|known| *known == shares)?;
        before.since.get(&known.experiment).copied()
    };
    let start = |shares| same(shares).unwrap_or(declare.published);
    let experiments = declare.experiments.iter();
    experiments.map(|shares| (shares.experiment.clone(), start(shares))).collect()
}

/// Counts those of the events that are new, and settles the budgets that they belong to.
pub(crate) async fn count(
    tx: &mut dyn Transaction,
    events: impl Iterator<Item = &EventRow>,
    now: Timestamp,
) -> Result<()> {
    let met: Vec<(&str, Contact, Timestamp)> = events.filter_map(contact).collect();
    if met.is_empty() {
        return Ok(());
    }
    let Some(declared) = declared(tx).await? else { return Ok(()) };
    let budgets = declared.declare.budgets;
    let mut touched = BTreeSet::new();
    for (offer, contact, time) in met {
        let budget = budgets.iter().find(|budget| budget.offer == offer && budget.on == contact);
        if let Some(budget) = budget {
            tx.count_contact(offer, word(contact), budget.day(time)).await?;
            touched.insert(offer.to_owned());
        }
    }
    if touched.is_empty() { Ok(()) } else { settle(tx, &budgets, Some(&touched), now).await }
}

/// The offer that an event is a contact with, by the names of Segment's specification.
fn contact(event: &EventRow) -> Option<(&str, Contact, Timestamp)> {
    let contact = match (event.origin, event.kind.as_str(), event.name.as_str()) {
        (Origin::Edge, "track", "Promotion Viewed") => Contact::Impression,
        (Origin::Edge, "track", "Promotion Clicked") => Contact::Click,
        _ => return None,
    };
    match event.properties.get("promotion_id") {
        Some(Value::String(offer)) => Some((offer, contact, event.time)),
        _ => None,
    }
}

fn word(contact: Contact) -> &'static str {
    match contact {
        Contact::Impression => "impression",
        Contact::Click => "click",
        Contact::Dismissal => "dismissal",
    }
}

/// How many contacts count against a budget at `now`.
pub(crate) async fn used(
    snapshot: &mut dyn Snapshot,
    budget: &Budget,
    now: Timestamp,
) -> Result<u64> {
    let day = (budget.per == Period::Day).then(|| budget.day(now));
    snapshot.contacts(&budget.offer, word(budget.on), day).await
}

/// Says anew which offers are spent: those of `only`, or all.
async fn settle(
    tx: &mut dyn Transaction,
    budgets: &[Budget],
    only: Option<&BTreeSet<String>>,
    now: Timestamp,
) -> Result<()> {
    let before = spent(tx, now).await?;
    let mut after = before.clone().unwrap_or_default();
    after.offers.retain(|offer, _| budgets.iter().any(|budget| budget.offer == *offer));
    for budget in budgets {
        if only.is_some_and(|only| !only.contains(&budget.offer)) {
            continue;
        }
        if used(tx, budget, now).await? >= budget.max {
            after.offers.insert(budget.offer.clone(), budget.opens_again(now));
        } else {
            after.offers.remove(&budget.offer);
        }
    }
    if before.as_ref().is_some_and(|before| before.offers == after.offers) {
        return Ok(());
    }
    // Later than what was said before, whatever the clock: the edge lets the later one stand.
    after.as_of = now.max(after.as_of.plus_ms(1));
    write(tx, Document::Spent, &after).await
}

/// `GET /v1/budgets`: what is used of each.
pub(crate) async fn view(app: &App) -> std::result::Result<serde_json::Value, Failure> {
    let now = app.now();
    let mut snapshot = app.storage.read().await?;
    let declared = declared(snapshot.as_mut()).await?;
    let budgets = declared.map(|known| known.declare.budgets).unwrap_or_default();
    let mut lines = Vec::with_capacity(budgets.len());
    for budget in &budgets {
        let used = used(snapshot.as_mut(), budget, now).await?;
        lines.push(serde_json::json!({
            "offer": budget.offer,
            "max": budget.max,
            "on": budget.on,
            "per": budget.per,
            "used": used,
            "spent": used >= budget.max,
        }));
    }
    Ok(serde_json::json!({ "budgets": lines }))
}
