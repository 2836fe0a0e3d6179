//! Sizes of audiences: how many people are in each by what is held of them now. The workspace comes
//! with the question, so that an audience has a size before it is published. It must never count
//! who does not allow profiling, never say who was counted, and never decide an offer.
//!
//! Profile names are keyed hashes, so the first people by name are a simple random sample of all.
//! Sizes from a sample come with the interval of E. B. Wilson ("Probable Inference, the Law of
//! Succession, and Statistical Inference", Journal of the American Statistical Association 22,
//! 1927), which holds for rare audiences too, narrowed by the part of all that was looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::http::StatusCode;
use selvedge::compile;
use selvedge::consent::{Consent, Effective, Permit, Profiling, Purpose, Region, Signals};
use selvedge::decide;
use selvedge::error::Error;
use selvedge::event::EventKind;
use selvedge::ids::ProfileName;
use selvedge::json::time_text;
use selvedge::limits;
use selvedge::profile::{Entry, Profile, metric_key};
use selvedge::rule::{RuleId, Scratch, Truth};
use selvedge::time::Timestamp;
use selvedge::workspace::Workspace;
use serde::Serialize;

use crate::app::App;
use crate::failure::Failure;
use crate::storage::{OccurrenceRow, Origin, Result as Stored, Snapshot};
use crate::sync::standing;

/// People who are looked at unless somebody asks for more: a size is then off by at most one
/// hundredth of all people, with the confidence of [`Z`].
const SAMPLE: u64 = 10_000;
/// People who may be asked for: three thousandths.
const SAMPLE_MOST: u64 = 100_000;
/// People who are read from one snapshot: a longer one would keep erasures from emptying the log.
const PAGE: u32 = 100;
/// Events read at a time.
const EVENTS: u32 = 1_000;
/// The confidence of an interval, and the quantile of the normal distribution that belongs to it.
const CONFIDENCE: f64 = 0.95;
const Z: f64 = 1.959_963_984_540_054;

/// How to count.
#[derive(Debug)]
pub(crate) struct Asked {
    /// People to look at, at most.
    sample: u64,
    /// Where those are taken to be who never chose; unknown asks first, so they are not counted.
    region: Region,
}

impl Asked {
    /// From a query. Errors: `bad_sample`, `bad_region`, `unknown_parameter`.
    pub(crate) fn parse(query: &str) -> Result<Self, Error> {
        let mut asked = Self { sample: SAMPLE, region: Region::default() };
        for part in query.split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            match name {
                "sample" => {
                    let number = value.parse().ok().filter(|n| (1..=SAMPLE_MOST).contains(n));
                    let message = format!("a sample is a number of people from 1 to {SAMPLE_MOST}");
                    asked.sample =
                        number.ok_or_else(|| Error::new("bad_sample", message, "sample"))?;
                }
                "region" => {
                    let message = "a region is written as `DE` or `US-CA`";
                    asked.region = Region::parse(value)
                        .ok_or_else(|| Error::new("bad_region", message, "region"))?;
                }
                _ => {
                    let message = "this route takes `sample` and `region`";
                    return Err(Error::new("unknown_parameter", message, "query"));
                }
            }
        }
        Ok(asked)
    }
}

/// The answer of `POST /v1/audiences`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Answer {
    /// The version of the workspace that was sent.
    workspace: String,
    /// The moment that conditions were asked about.
    as_of: String,
    /// People who are known.
    people: u64,
    /// How many of them were looked at.
    sampled: u64,
    /// Whether all were, so that sizes are counts and no estimates.
    exact: bool,
    /// How sure `low` and `high` of an estimate are.
    confidence: f64,
    consent: ByConsent,
    audiences: Vec<Size>,
}

/// Those who were looked at, by what they say to profiling.
#[derive(Debug, Default, Serialize)]
struct ByConsent {
    /// They may be profiled: only they are counted.
    allowed: u64,
    /// They said no, or the workspace never profiles.
    denied: u64,
    /// They were never asked, and the region asks first.
    silent: u64,
}

/// How many people are in an audience.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Size {
    audience: String,
    /// None where each visit's request decides, so that people alone are neither in nor out.
    size: Option<u64>,
    /// The least that it is.
    low: Option<u64>,
    /// The most.
    high: Option<u64>,
    /// The fields of the request that it reads.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reads: Vec<String>,
}

/// An audience and who was found in it.
struct Tally {
    name: String,
    rule: RuleId,
    reads: Vec<String>,
    members: u64,
}

/// What a count needs of a workspace.
struct Plan {
    workspace: Workspace,
    tallies: Vec<Tally>,
    /// Properties that computed traits read, by the event's name.
    metrics: BTreeMap<String, BTreeSet<String>>,
    /// Kinds of events that count under a name of their own.
    kinds: BTreeSet<String>,
    region: Region,
    now: Timestamp,
}

/// Counts the audiences of a workspace. Errors: `bad_workspace`.
pub(crate) async fn count(
    app: &Arc<App>,
    asked: &Asked,
    source: String,
) -> Result<Answer, Failure> {
    let _one = app.counting.lock().await;
    let compiled = tokio::task::spawn_blocking(move || compile::workspace(&source)).await;
    let workspace = compiled.map_err(|_| stopped())?.map_err(Failure::bad_workspace)?;
    let mut plan = Plan::new(workspace, asked.region.clone(), app.now());
    let mut consent = ByConsent::default();
    let (mut sampled, mut exact) = (0, false);
    let mut after = None;
    let people = app.storage.read().await?.people().await?;
    while sampled < asked.sample {
        let mut snapshot = app.storage.read().await?;
        let left = u32::try_from(asked.sample.saturating_sub(sampled)).unwrap_or(PAGE);
        let page = snapshot.people_page(after.as_ref(), PAGE.min(left)).await?;
        let Some(last) = page.last() else {
            exact = true;
            break;
        };
        let erased = snapshot.buried(&page.iter().cloned().collect()).await?;
        for person in page.iter().filter(|person| !erased.contains(*person)) {
            plan.take(snapshot.as_mut(), person, &mut consent).await?;
            sampled = sampled.saturating_add(1);
        }
        after = Some(last.clone());
    }
    // Of a sample as large as the whole nobody is left, whether the loop saw the end or not.
    let people = if exact { sampled } else { people.max(sampled) };
    exact |= sampled == people;
    let tallies = plan.tallies.into_iter();
    Ok(Answer {
        workspace: plan.workspace.version,
        as_of: time_text(plan.now),
        people,
        sampled,
        exact,
        confidence: if exact { 1.0 } else { CONFIDENCE },
        consent,
        audiences: tallies.map(|tally| size(tally, sampled, people)).collect(),
    })
}

fn stopped() -> Failure {
    let message = "the server is stopping; try again later";
    Failure::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", message, "")
}

impl Plan {
    fn new(workspace: Workspace, region: Region, now: Timestamp) -> Self {
        let of_request: BTreeSet<_> = workspace.request.iter().map(|field| field.slot).collect();
        let rules = &workspace.rules;
        let tallies = workspace.audiences.iter().map(|audience| {
            let slots = rules.slots_of(audience.rule).filter(|slot| of_request.contains(slot));
            Tally {
                name: audience.name.clone(),
                rule: audience.rule,
                reads: slots.filter_map(|slot| rules.path(slot).map(str::to_owned)).collect(),
                members: 0,
            }
        });
        let tallies = tallies.collect();
        let mut metrics: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (event, property) in workspace.computed.iter().flat_map(|decl| decl.metrics()) {
            metrics.entry(event.to_owned()).or_default().insert(property.to_owned());
        }
        let kinds = [EventKind::Page, EventKind::Screen]
            .into_iter()
            .filter(|kind| kind.metric_name("").is_some_and(|name| metrics.contains_key(name)));
        let kinds =
            kinds.filter_map(|kind| Some(serde_json::to_value(kind).ok()?.as_str()?.into()));
        let kinds = kinds.collect();
        Self { workspace, tallies, metrics, kinds, region, now }
    }

    /// Looks at one person.
    async fn take(
        &mut self,
        snapshot: &mut dyn Snapshot,
        person: &ProfileName,
        by: &mut ByConsent,
    ) -> Stored<()> {
        let consent = standing(snapshot, person).await?.consent;
        let effective = self.effective(&consent);
        let Some(permit) = effective.permit::<Profiling>() else {
            let never = self.workspace.consent.never;
            let denied = [Purpose::Store, Purpose::Profile]
                .into_iter()
                .any(|of| never.has(of) || consent.choice(of) == Some(false));
            let slot = if denied { &mut by.denied } else { &mut by.silent };
            *slot = slot.saturating_add(1);
            return Ok(());
        };
        by.allowed = by.allowed.saturating_add(1);
        let profile = self.profile(snapshot, person, permit).await?;
        let facts = decide::audience_facts(&self.workspace, permit, &profile, self.now);
        let mut scratch = Scratch::default();
        scratch.begin();
        for tally in self.tallies.iter_mut().filter(|tally| tally.reads.is_empty()) {
            if self.workspace.rules.truth(tally.rule, &facts, &mut scratch) == Truth::Match {
                tally.members = tally.members.saturating_add(1);
            }
        }
        Ok(())
    }

    fn effective(&self, consent: &Consent) -> Effective {
        let signals = Signals { region: self.region.clone(), ..Signals::default() };
        Effective::of(Some(consent), None, &signals, &self.workspace.consent)
    }

    /// The profile as the edge would have it from what is held: traits, and the series that the
    /// workspace's computed traits read, of web events and of imported ones.
    async fn profile(
        &self,
        snapshot: &mut dyn Snapshot,
        person: &ProfileName,
        permit: Permit<'_, Profiling>,
    ) -> Stored<Profile> {
        let mut profile = Profile::default();
        for row in snapshot.traits(person).await? {
            profile.set_trait(permit, &row.name, row.value, row.stamp);
        }
        if self.metrics.is_empty() {
            return Ok(profile);
        }
        let named = self.metrics.keys().cloned().collect();
        let mut after: Option<OccurrenceRow> = None;
        loop {
            let rows =
                snapshot.occurrences(person, &named, &self.kinds, after.as_ref(), EVENTS).await?;
            for row in &rows {
                self.add(&mut profile, permit, row);
            }
            // Most people fit into one page: to ask for an empty one would cost as much again.
            if rows.len() < EVENTS as usize {
                return Ok(profile);
            }
            after = rows.into_iter().next_back();
        }
    }

    /// Counts an event as the edge does.
    fn add(&self, profile: &mut Profile, permit: Permit<'_, Profiling>, row: &OccurrenceRow) {
        let late = row.accepted.since_ms(row.time) > limits::EVENT_AGE_MS;
        if row.origin == Origin::Edge && late {
            return;
        }
        let kind: Option<EventKind> = serde_json::from_value(row.kind.as_str().into()).ok();
        let Some(name) = kind.and_then(|kind| kind.metric_name(&row.name)) else { return };
        for property in self.metrics.get(name).into_iter().flatten() {
            let value = row.properties.get(property).cloned();
            let entry = Entry { time: row.time, key: row.key, value };
            profile.count(permit, row.origin.word(), metric_key(name, property), entry);
        }
    }
}

fn size(tally: Tally, sampled: u64, people: u64) -> Size {
    let Tally { name: audience, reads, members, .. } = tally;
    if !reads.is_empty() {
        return Size { audience, size: None, low: None, high: None, reads };
    }
    let (size, low, high) = estimate(members, sampled, people);
    Size { audience, size: Some(size), low: Some(low), high: Some(high), reads }
}

/// From `members` among `sampled` of `people`: how many there are among all, the least and the most
/// by Wilson's interval. All people looked at leave no doubt.
fn estimate(members: u64, sampled: u64, people: u64) -> (u64, u64, u64) {
    if sampled == 0 || sampled >= people {
        return (members, members, members);
    }
    let (all, part) = (number(people), number(members) / number(sampled));
    // The finite population correction, as a sample that would say as much of endless people.
    let n = number(sampled) * (all - 1.0) / (all - number(sampled));
    let share = Z * Z / n;
    let middle = (part + share / 2.0) / (1.0 + share);
    let half = Z / (1.0 + share) * (part * (1.0 - part) / n + share / n / 4.0).sqrt();
    // Those who were seen are there, whatever the interval says.
    let least = members;
    let most = people.saturating_sub(sampled.saturating_sub(members));
    let low = whole((all * (middle - half)).floor()).clamp(least, most);
    let high = whole((all * (middle + half)).ceil()).clamp(least, most);
    (whole((all * part).round()).clamp(low, high), low, high)
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 people")]
fn number(count: u64) -> f64 {
    count as f64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of people")]
fn whole(number: f64) -> u64 {
    number.max(0.0) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_those_of_the_tables() {
        // R. G. Newcombe, "Two-sided confidence intervals for the single proportion: comparison of
        // seven methods", Statistics in Medicine 17 (1998), table I, method 3, which is for endless
        // people: of a billion the share says the same to four places.
        let all = 1_000_000_000;
        for (members, sampled, low, high) in [
            (81, 263, 0.2553, 0.3662),
            (15, 148, 0.0624, 0.1605),
            (0, 20, 0.0000, 0.1611),
            (1, 29, 0.0061, 0.1718),
        ] {
            let (_, least, most) = estimate(members, sampled, all);
            let near = |found: u64, wanted: f64| (number(found) / 1e9 - wanted).abs() < 5.1e-5;
            assert!(near(least, low) && near(most, high), "{members}/{sampled}: {least} {most}");
        }
    }

    #[test]
    fn a_sample_of_most_people_leaves_little_doubt_and_of_all_none() {
        assert_eq!(estimate(30, 100, 100), (30, 30, 30));
        assert_eq!(estimate(0, 0, 0), (0, 0, 0));
        let (size, low, high) = estimate(30, 100, 101);
        assert_eq!((size, low, high), (30, 30, 31));
        let wide = estimate(30, 100, 100_000);
        assert!(wide.2 - wide.1 > 17_000, "{wide:?}");
    }

    #[test]
    fn the_default_sample_is_off_by_at_most_a_hundredth() {
        let all = 1_000_000;
        let half = |members, sample| {
            let (_, low, high) = estimate(members, sample, all);
            number(high - low) / 2.0 / number(all)
        };
        assert!(half(SAMPLE / 2, SAMPLE) < 0.01, "the widest is in the middle");
        assert!(half(SAMPLE_MOST / 2, SAMPLE_MOST) < 0.003_1);
    }
}
