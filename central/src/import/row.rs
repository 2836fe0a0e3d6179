//! Rows as the importer understands them, from JSON or from cells, checked field by field. It must
//! never let a row in whose meaning is open, and its messages never hold a value.

use std::collections::BTreeMap;

use selvedge::consent::{Basis, Purpose};
use selvedge::error::Error;
use selvedge::event::check_properties;
use selvedge::identity::{Identifier, IdentifierKind};
use selvedge::ids::{EventKey, ProfileName, hex};
use selvedge::json;
use selvedge::limits;
use selvedge::rule::Value;
use selvedge::time::Timestamp;
use serde_json::{Map, Value as Json};

use super::typing;
use crate::app::App;

/// What a row is read with.
pub(super) struct Context<'a> {
    pub(super) app: &'a App,
    pub(super) source: &'a str,
    pub(super) now: Timestamp,
}

/// Whom a row is about.
#[derive(Clone, Debug)]
pub(super) struct Whom {
    pub(super) name: ProfileName,
    pub(super) tombstone: [u8; 32],
    pub(super) customer_id: String,
}

/// One row.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) whom: Whom,
    /// What it is deduplicated by. None where the row brings neither id nor time: the same words
    /// may be said again later, and then count if they change something.
    pub(super) key: Option<EventKey>,
    /// Its id, the sender's or a derived one.
    pub(super) id: String,
    /// When it was said or happened.
    pub(super) time: Option<Timestamp>,
    pub(super) body: Body,
}

/// What a row says.
#[derive(Debug)]
pub(super) enum Body {
    /// Traits; None removes one.
    Identify(BTreeMap<String, Option<Value>>),
    /// Something happened.
    Track { event: String, properties: BTreeMap<String, Value>, payload: String },
    /// Choices made in another channel.
    Consent { choices: Vec<(Purpose, bool)>, basis: Basis, evidence: String },
}

/// The columns of a CSV file.
pub(super) struct Columns {
    names: Vec<String>,
    events: bool,
}

impl Columns {
    pub(super) fn new(names: Vec<String>) -> Self {
        let events = names.iter().any(|name| name == "event");
        Self { names, events }
    }
}

const COMMON: [&str; 4] = ["type", "messageId", "userId", "timestamp"];

/// A row of NDJSON. Errors, beside those of JSON: `wrong_type`, `missing_field`, `unknown_field`,
/// `unknown_type`, `bad_identifier`, `blocked_identifier`, `bad_timestamp`, `future_timestamp`,
/// `bad_event_id`, `bad_event_name`, `bad_purpose`, `bad_basis`, `bad_value`, and those of
/// [`check_properties`].
pub(super) fn from_json(bytes: &[u8], context: &Context<'_>) -> Result<Row, Error> {
    let Json::Object(fields) = json::parse(bytes).map_err(without_line)? else {
        return Err(Error::new("wrong_type", "a row is an object", ""));
    };
    let kind = required_text(&fields, "type")?;
    let own: &[&str] = match kind {
        "identify" => &["traits"],
        "track" => &["event", "properties"],
        "consent" => &["purposes", "basis", "evidence"],
        _ => {
            let message = "a row is of type `identify`, `track` or `consent`";
            return Err(Error::new("unknown_type", message, "type"));
        }
    };
    if let Some(name) = fields.keys().find(|n| !COMMON.iter().chain(own).any(|known| known == n)) {
        return Err(Error::new(
            "unknown_field",
            format!("no field is called `{}`", cut(name)),
            cut(name),
        ));
    }
    let whom = whom(required_text(&fields, "userId")?, "userId", context)?;
    let time = text(&fields, "timestamp")?.map(|text| moment(text, context)).transpose()?;
    let body = match kind {
        "identify" => Body::Identify(traits(&fields)?),
        "track" => {
            need(time.is_some(), "timestamp")?;
            track(&fields, bytes)?
        }
        _ => {
            need(time.is_some(), "timestamp")?;
            consent(&fields)?
        }
    };
    let said = text(&fields, "messageId")?;
    // Keys are sorted by serde_json's map, so that the order of the fields does not matter.
    finish(whom, said, time, body, || Json::Object(fields.clone()).to_string(), context)
}

/// A row of CSV under its header: an event where there is a column `event`, else traits. Errors: as
/// [`from_json`], and `wrong_field_count`.
pub(super) fn from_cells(
    columns: &Columns,
    cells: &[String],
    context: &Context<'_>,
) -> Result<Row, Error> {
    if cells.len() != columns.names.len() {
        let message =
            format!("the header has {} columns, this row {}", columns.names.len(), cells.len());
        return Err(Error::new("wrong_field_count", message, ""));
    }
    let mut special: BTreeMap<&str, &str> = BTreeMap::new();
    let mut values: BTreeMap<String, Value> = BTreeMap::new();
    for (name, cell) in columns.names.iter().zip(cells) {
        match name.as_str() {
            "customer_id" | "event" | "message_id" | "timestamp" if !cell.is_empty() => {
                special.insert(name, cell);
            }
            "customer_id" | "event" | "message_id" | "timestamp" => {}
            _ => values.extend(typing::cell(cell).map(|value| (name.clone(), value))),
        }
    }
    let id = special.get("customer_id").copied();
    let id =
        id.ok_or_else(|| Error::new("missing_field", "this row names nobody", "customer_id"))?;
    let whom = whom(id, "customer_id", context)?;
    let time = special.get("timestamp").map(|text| moment(text, context)).transpose()?;
    let place = if columns.events { "properties" } else { "traits" };
    check_properties(&values, place)?;
    let plain: Map<String, Json> =
        values.iter().map(|(name, value)| (name.clone(), json::to_json(value))).collect();
    let event = special.get("event").copied();
    let body = if columns.events {
        need(event.is_some(), "event")?;
        need(time.is_some(), "timestamp")?;
        let event = event_name(event.unwrap_or_default())?;
        let payload = serde_json::json!({
            "type": "track", "userId": whom.customer_id, "event": event,
            "timestamp": time.map(json::time_text), "properties": plain,
        });
        Body::Track { event, properties: values, payload: payload.to_string() }
    } else {
        Body::Identify(values.into_iter().map(|(name, value)| (name, Some(value))).collect())
    };
    let content = || {
        let id = special.get("customer_id");
        serde_json::json!([id, event, special.get("timestamp"), plain]).to_string()
    };
    finish(whom, special.get("message_id").copied(), time, body, content, context)
}

/// Gives the row its id and key. Ids of imports are apart from those of the edge by their origin; a
/// derived one is a keyed hash of the source and the row.
fn finish(
    whom: Whom,
    said: Option<&str>,
    time: Option<Timestamp>,
    body: Body,
    content: impl Fn() -> String,
    context: &Context<'_>,
) -> Result<Row, Error> {
    if let Some(id) = said {
        if id.is_empty() || id.len() > limits::EVENT_ID_BYTES {
            let message = format!("an id has 1 to {} bytes", limits::EVENT_ID_BYTES);
            return Err(Error::new("bad_event_id", message, "messageId"));
        }
        let key = Some(EventKey::of(id));
        return Ok(Row { whom, key, id: id.to_owned(), time, body });
    }
    let hash = context.app.keyed(&[b"row", context.source.as_bytes(), content().as_bytes()]);
    let id = format!("row-{}", hex(&hash));
    let key = time.is_some().then(|| EventKey::of(&id));
    Ok(Row { whom, key, id, time, body })
}

fn whom(raw: &str, place: &str, context: &Context<'_>) -> Result<Whom, Error> {
    let id =
        Identifier::parse(IdentifierKind::CustomerId, raw, &[]).map_err(|error| error.at(place))?;
    Ok(Whom {
        name: context.app.tenant.person(&id),
        tombstone: context.app.tenant.tombstone(&id),
        customer_id: id.as_str().to_owned(),
    })
}

fn moment(text: &str, context: &Context<'_>) -> Result<Timestamp, Error> {
    let message = "a timestamp is a time of RFC 3339 or a date";
    let time = json::time(text).ok_or_else(|| Error::new("bad_timestamp", message, "timestamp"))?;
    if time.since_ms(context.now) > limits::CLOCK_AHEAD_MS {
        let message = "this time is still to come";
        return Err(Error::new("future_timestamp", message, "timestamp"));
    }
    Ok(time)
}

fn traits(fields: &Map<String, Json>) -> Result<BTreeMap<String, Option<Value>>, Error> {
    let said = object(fields, "traits")?;
    need(said.is_some(), "traits")?;
    let mut traits = BTreeMap::new();
    let mut values = BTreeMap::new();
    for (name, value) in said.into_iter().flatten() {
        if value.is_null() {
            check_properties(&[(name.clone(), Value::Bool(false))].into(), "traits")?;
            traits.insert(name.clone(), None);
            continue;
        }
        let value = json::value(value).ok_or_else(|| {
            let message = "a trait is a text, a number, true, false, or a flat list of these";
            Error::new("bad_value", message, format!("traits.{}", cut(name)))
        })?;
        values.insert(name.clone(), value);
    }
    check_properties(&values, "traits")?;
    traits.extend(values.into_iter().map(|(name, value)| (name, Some(value))));
    if traits.len() > limits::TRAITS {
        let message = format!("at most {} traits are kept", limits::TRAITS);
        return Err(Error::new("too_many_properties", message, "traits"));
    }
    Ok(traits)
}

fn track(fields: &Map<String, Json>, bytes: &[u8]) -> Result<Body, Error> {
    let event = event_name(required_text(fields, "event")?)?;
    // Objects and nested lists stay in the payload; conditions and series do not read them.
    let properties: BTreeMap<String, Value> = object(fields, "properties")?
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| json::value(value).map(|value| (name.clone(), value)))
        .collect();
    check_properties(&properties, "properties")?;
    Ok(Body::Track { event, properties, payload: String::from_utf8_lossy(bytes).into_owned() })
}

fn event_name(name: &str) -> Result<String, Error> {
    if name.is_empty() || name.len() > limits::NAME_BYTES {
        let message = format!("an event name has 1 to {} bytes", limits::NAME_BYTES);
        return Err(Error::new("bad_event_name", message, "event"));
    }
    Ok(name.to_owned())
}

fn consent(fields: &Map<String, Json>) -> Result<Body, Error> {
    let said = object(fields, "purposes")?;
    need(said.is_some_and(|said| !said.is_empty()), "purposes")?;
    let mut choices = Vec::new();
    for (name, value) in said.into_iter().flatten() {
        let place = || format!("purposes.{}", cut(name));
        let purpose = Purpose::from_word(name)
            .ok_or_else(|| Error::new("bad_purpose", "there is no such purpose", place()))?;
        let yes = match value.as_str() {
            Some("grant") => true,
            Some("deny") => false,
            _ => return Err(Error::new("bad_value", "a choice is `grant` or `deny`", place())),
        };
        choices.push((purpose, yes));
    }
    let basis = match text(fields, "basis")? {
        None | Some("consent") => Basis::Consent,
        Some("contract") => Basis::Contract,
        Some("legitimate_interest") => Basis::LegitimateInterest,
        Some(_) => {
            let message = "a basis is `consent`, `contract` or `legitimate_interest`";
            return Err(Error::new("bad_basis", message, "basis"));
        }
    };
    let evidence = text(fields, "evidence")?.unwrap_or_default();
    if evidence.len() > limits::TEXT_BYTES {
        let message = format!("a text has at most {} bytes", limits::TEXT_BYTES);
        return Err(Error::new("text_too_long", message, "evidence"));
    }
    Ok(Body::Consent { choices, basis, evidence: evidence.to_owned() })
}

fn need(present: bool, name: &str) -> Result<(), Error> {
    if present {
        return Ok(());
    }
    Err(Error::new("missing_field", format!("this row needs the field `{name}`"), name))
}

fn text<'a>(fields: &'a Map<String, Json>, name: &str) -> Result<Option<&'a str>, Error> {
    match fields.get(name) {
        None => Ok(None),
        Some(Json::String(text)) => Ok(Some(text)),
        Some(_) => Err(Error::new("wrong_type", format!("`{name}` is a text"), name)),
    }
}

fn required_text<'a>(fields: &'a Map<String, Json>, name: &str) -> Result<&'a str, Error> {
    let text = text(fields, name)?;
    need(text.is_some(), name)?;
    Ok(text.unwrap_or_default())
}

fn object<'a>(
    fields: &'a Map<String, Json>,
    name: &str,
) -> Result<Option<&'a Map<String, Json>>, Error> {
    match fields.get(name) {
        None => Ok(None),
        Some(Json::Object(object)) => Ok(Some(object)),
        Some(_) => Err(Error::new("wrong_type", format!("`{name}` is an object"), name)),
    }
}

/// A name of the input that is short enough to be shown.
fn cut(name: &str) -> String {
    name.chars().filter(|sign| !sign.is_control()).take(60).collect()
}

/// Each line is a document of its own: the report has the line, and the column stays.
fn without_line(error: Error) -> Error {
    let place = error.place.strip_prefix("line 1, ").unwrap_or(&error.place).to_owned();
    error.at(place)
}
