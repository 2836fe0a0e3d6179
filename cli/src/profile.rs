//! Profile files: one visitor as somebody writes them down, for `decide` and `explain`. It must
//! never know what a decision makes of them.

use std::collections::BTreeMap;

use selvedge::compile::closest;
use selvedge::consent::{Purpose, Region};
use selvedge::decide::Request;
use selvedge::event::{Event, EventKind};
use selvedge::ids::Entropy;
use selvedge::json;
use selvedge::offer::Assurance;
use selvedge::rule::Value;
use selvedge::time::Timestamp;
use selvedge::workspace::REQUEST_FIELDS;
use serde::Deserialize;

use crate::problem::{Outcome, Problem};

/// What somebody says of one purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Said {
    Grant,
    Deny,
    /// Granted first, and taken back just before the decision.
    Withdrawn,
}

/// The file.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProfileFile {
    /// Comes back in the answer, to tell many apart.
    pub id: Option<String>,
    #[serde(default)]
    traits: BTreeMap<String, serde_json::Value>,
    #[serde(default)]
    events: Vec<serde_json::Map<String, serde_json::Value>>,
    /// A purpose that is absent was never asked about: the region's default holds.
    #[serde(default)]
    consent: BTreeMap<Purpose, Said>,
    #[serde(default)]
    pub assurance: Assurance,
    /// `DE`, `US-CA`; absent is unknown, which asks for consent.
    #[serde(default)]
    region: String,
    /// Global Privacy Control.
    #[serde(default)]
    pub gpc: bool,
    #[serde(default)]
    request: BTreeMap<String, String>,
    now: Option<String>,
}

/// A visitor at one moment, checked.
#[derive(Debug)]
pub struct Visitor {
    pub id: Option<String>,
    pub traits: BTreeMap<String, Value>,
    /// By time.
    pub events: Vec<Event>,
    pub consent: BTreeMap<Purpose, Said>,
    pub assurance: Assurance,
    pub region: Region,
    pub gpc: bool,
    pub request: Request,
    pub now: Timestamp,
}

/// What the command line says over the file.
#[derive(Debug, Default)]
pub struct Overrides {
    pub now: Option<Timestamp>,
    pub request: BTreeMap<String, String>,
    /// The clock, where nobody says a time.
    pub clock: Timestamp,
}

impl Overrides {
    /// From `--now` and `--request`. Errors are errors of usage.
    pub fn new(now: Option<&str>, request: &[String], clock: Timestamp) -> Outcome<Self> {
        let now = now
            .map(|text| {
                json::time(text).ok_or_else(|| {
                    Problem::usage(format!("`--now {text}` is no RFC 3339 time"))
                        .hint("write it as 2026-11-27T09:00:00Z")
                })
            })
            .transpose()?;
        let mut fields = BTreeMap::new();
        for pair in request {
            let (name, value) = pair
                .split_once('=')
                .ok_or_else(|| Problem::usage(format!("`--request {pair}` is no `name=value`")))?;
            check_request_field(name).map_err(|problem| Problem::usage(problem.message()))?;
            fields.insert(name.to_owned(), value.to_owned());
        }
        Ok(Self { now, request: fields, clock })
    }
}

fn check_request_field(name: &str) -> Outcome<()> {
    if REQUEST_FIELDS.contains(&name) {
        return Ok(());
    }
    let message = match closest(name, REQUEST_FIELDS.into_iter()) {
        Some(meant) => format!("unknown request field `{name}`, did you mean `{meant}`?"),
        None => format!("unknown request field `{name}`, known are {}", REQUEST_FIELDS.join(", ")),
    };
    Err(Problem::new("unknown_request_field", message).at("request"))
}

/// Reads one profile. Errors: `not_utf8`, `too_deep`, `bad_profile`, `bad_region`, `bad_time`,
/// `unknown_request_field`, and those of events.
pub fn read(bytes: &[u8], overrides: &Overrides) -> Outcome<Visitor> {
    let text = json::check_depth(bytes)?;
    let file: ProfileFile = serde_json::from_str(text).map_err(|error| no_profile(text, &error))?;
    let now = match (&overrides.now, &file.now) {
        (Some(now), _) => *now,
        (None, Some(text)) => json::time(text).ok_or_else(|| bad_time("now"))?,
        (None, None) => overrides.clock,
    };
    let region = region(&file.region)?;
    let mut request = file.request;
    request.extend(overrides.request.clone());
    for name in request.keys() {
        check_request_field(name)?;
    }
    for (name, value) in [("country", &region.country), ("subdivision", &region.subdivision)] {
        if !value.is_empty() {
            request.entry(name.to_owned()).or_insert_with(|| value.clone());
        }
    }
    let mut traits = BTreeMap::new();
    for (name, value) in &file.traits {
        let value = json::value(value).ok_or_else(|| {
            Problem::new("bad_trait", "a trait is a text, a number, a bool or a list of those")
                .at(format!("traits.{name}"))
        })?;
        traits.insert(name.clone(), value);
    }
    Ok(Visitor {
        id: file.id,
        traits,
        events: events(file.events, now)?,
        consent: file.consent,
        assurance: file.assurance,
        region,
        gpc: file.gpc,
        request: Request(request),
        now,
    })
}

/// What the parser says, with its place apart: of one line among many the column alone, since the
/// number of the line is the file's.
fn no_profile(text: &str, error: &serde_json::Error) -> Problem {
    let (line, column) = (error.line(), error.column());
    let said = error.to_string();
    let said = said.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&said);
    let problem = Problem::new("bad_profile", format!("this is no profile: {said}"));
    match text.contains('\n') {
        true => problem.at(format!("line {line}, column {column}")),
        false => problem.at(format!("column {column}")),
    }
}

fn bad_time(place: &str) -> Problem {
    Problem::new("bad_time", "a time is written as RFC 3339").at(place)
}

fn region(text: &str) -> Outcome<Region> {
    Region::parse(text).ok_or_else(|| {
        let message = format!("`{text}` is no region: write `DE`, or `US-CA`");
        Problem::new("bad_region", message).at("region")
    })
}

/// The events as the edge reads Segment's calls; without `type` they are `track` calls.
fn events(
    entries: Vec<serde_json::Map<String, serde_json::Value>>,
    now: Timestamp,
) -> Outcome<Vec<Event>> {
    // Ids for events without `messageId`: the two halves differ, so that the ids do.
    let mut entropy = Entropy::new(core::array::from_fn(|at| u8::try_from(at).unwrap_or(0)));
    let mut events = Vec::with_capacity(entries.len());
    for (at, fields) in entries.into_iter().enumerate() {
        let place = |inner: &str| format!("events[{at}].{inner}");
        let kind = (!fields.contains_key("type")).then_some(EventKind::Track);
        let text = fields.get("timestamp").and_then(serde_json::Value::as_str);
        let time = text.and_then(json::time).ok_or_else(|| bad_time(&place("timestamp")))?;
        if time > now {
            let message = "this event lies after the time of the decision";
            return Err(Problem::new("event_in_future", message).at(place("timestamp")));
        }
        let event = json::event(fields, kind, None, time, &mut entropy).map_err(|mut error| {
            error.place = place(&error.place);
            Problem::from(error)
        })?;
        events.push(event);
    }
    events.sort_by_key(|event| event.time);
    Ok(events)
}
