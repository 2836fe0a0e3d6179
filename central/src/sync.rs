//! The conversation with the edge: facts in, changes out. It must never answer before its commit.

mod consent;
mod facts;
mod feed;
mod series;

use std::collections::BTreeSet;

use selvedge::error::Error;
use selvedge::ids::ProfileName;
use selvedge::limits;
use selvedge::wire::{
    Change, ChangeBody, Changes, Hydrate, Push, PushAnswer, WIRE_VERSION, check_version,
};

pub(crate) use consent::{note_change, standing, subjects};
pub(crate) use feed::page;

use crate::app::App;
use crate::budgets;
use crate::failure::Failure;
use crate::storage::Counter;

/// Metrics of one tenant; a workspace of a thousand offers uses a few dozen.
const METRICS: usize = 1_000;

/// Takes facts. Errors: `wire_version`, `too_many_facts`, `bad_profile_name`, `bad_seq`.
pub(crate) async fn push(app: &App, push: Push) -> Result<PushAnswer, Failure> {
    check_version(push.wire_version)?;
    if push.facts.len() > limits::PUSH_FACTS {
        let message = format!("one push holds at most {} facts", limits::PUSH_FACTS);
        return Err(Error::new("too_many_facts", message, "facts").into());
    }
    for (at, row) in push.facts.iter().enumerate() {
        check_name(&row.producer, &format!("facts[{at}].producer"))?;
        if row.seq == 0 || i64::try_from(row.seq).is_err() {
            let place = format!("facts[{at}].seq");
            return Err(Error::new("bad_seq", "a seq counts up from 1", place).into());
        }
    }
    facts::take(app, push.facts).await
}

/// Answers what is known of a person, and from now on sends what changes. Errors: `wire_version`,
/// `bad_profile_name`, `too_many_metrics`, `bad_metric`.
pub(crate) async fn hydrate(app: &App, asked: Hydrate) -> Result<Changes, Failure> {
    check_version(asked.wire_version)?;
    check_name(&asked.person, "person")?;
    if !asked.person.is_person() {
        let message = "only a person is hydrated, no device";
        return Err(Error::new("bad_profile_name", message, "person").into());
    }
    if asked.metrics.len() > METRICS {
        let message = format!("at most {METRICS} metrics are counted");
        return Err(Error::new("too_many_metrics", message, "metrics").into());
    }
    if asked.metrics.iter().any(|(event, property)| {
        event.is_empty() || event.len().max(property.len()) > limits::NAME_BYTES
    }) {
        return Err(Error::new("bad_metric", "a metric has an event's name", "metrics").into());
    }
    let now = app.now();
    let person = asked.person;
    let alone = BTreeSet::from([person.clone()]);
    let mut tx = app.storage.begin().await?;
    let bodies = if tx.buried(&alone).await?.is_empty() {
        let metrics: BTreeSet<(String, String)> = asked.metrics.into_iter().collect();
        if tx.put_metrics(&metrics).await? {
            // A new workspace counts more: those who are at the edge already get it by the feed.
            feed::renew_series(tx.as_mut(), now).await?;
        }
        tx.put_people(&[(person.clone(), None)].into(), now).await?;
        tx.activate(&person).await?;
        feed::all_of(tx.as_mut(), &person).await?
    } else {
        vec![ChangeBody::Erase { time: now }]
    };
    let cursor = tx.counter(Counter::Change).await?;
    tx.commit().await?;
    app.metrics.hydrations.add(1);
    app.changed.notify_one();
    let changes =
        bodies.into_iter().map(|body| Change { cursor, person: person.clone(), body }).collect();
    Ok(Changes { wire_version: WIRE_VERSION, changes, cursor, more: false, spent: None })
}

/// A page of the feed, for a query of `cursor` and `limit`. Errors: `bad_cursor`, `bad_limit`,
/// `unknown_parameter`.
pub(crate) async fn poll(app: &App, query: &str) -> Result<Changes, Failure> {
    let mut after = 0;
    let mut limit = limits::CHANGES;
    for (name, value) in query.split('&').filter_map(|part| part.split_once('=')) {
        match name {
            "cursor" => {
                let wrong = || Error::new("bad_cursor", "a cursor is a whole number", "cursor");
                after = value.parse().map_err(|_| wrong())?;
            }
            "limit" => {
                let parsed = value.parse().ok().filter(|l| (1..=limits::CHANGES).contains(l));
                let message = format!("a limit is a number from 1 to {}", limits::CHANGES);
                limit = parsed.ok_or_else(|| Error::new("bad_limit", message, "limit"))?;
            }
            _ => {
                let message = "this route takes `cursor` and `limit`";
                return Err(Error::new("unknown_parameter", message, "query").into());
            }
        }
    }
    let mut snapshot = app.storage.read().await?;
    let current = snapshot.counter(Counter::Change).await?;
    let confirmed = after <= current && snapshot.erasure_waits(after).await?;
    let mut page = feed::page(snapshot.as_mut(), after, limit).await?;
    page.spent = budgets::spent(snapshot.as_mut(), app.now()).await?;
    drop(snapshot);
    if confirmed {
        // Who asks from a cursor has applied what came before it.
        crate::erasure::acknowledge(app, after, app.now()).await?;
    }
    Ok(page)
}

fn check_name(name: &ProfileName, place: &str) -> Result<(), Error> {
    ProfileName::parse(name.as_str()).map(drop).map_err(|error| error.at(place))
}
