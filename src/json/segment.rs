//! Segment's HTTP calls: `batch`, `track`, `identify`, `page`, `screen`, `group`, `alias`
//! (Segment's "HTTP Tracking API" and "Spec"). Fields that we do not know are kept in the payload,
//! since Segment's own SDKs send many. It must never take an id for proved.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use super::{parse, time, time_text, to_json, value};
use crate::error::Error;
use crate::event::{Event, EventKind, settle_time};
use crate::ids::{Entropy, hex};
use crate::limits;
use crate::time::Timestamp;

/// Parses a body. `kind` is the call's own kind; None is `batch`, where each entry names its own.
/// The outer error is about the whole body, an inner one about one event, with its place.
/// Errors: `too_large`, `too_many_events`, `bad_batch`, those of [`parse`] and [`event`].
pub fn batch(
    bytes: &[u8],
    kind: Option<EventKind>,
    received: Timestamp,
    entropy: &mut Entropy,
) -> Result<Vec<Result<Event, Error>>, Error> {
    let limit = if kind.is_some() { limits::EVENT_BYTES } else { limits::BATCH_BYTES };
    if bytes.len() > limit {
        return Err(Error::new("too_large", format!("the body has at most {limit} bytes"), ""));
    }
    let json = parse(bytes)?;
    let Json::Object(mut body) = json else {
        return Err(Error::new("bad_batch", "the body is a JSON object", ""));
    };
    if let Some(kind) = kind {
        return Ok(vec![event(body, Some(kind), None, received, entropy)]);
    }
    let sent = body.get("sentAt").and_then(Json::as_str).and_then(time);
    let Some(Json::Array(entries)) = body.remove("batch") else {
        return Err(Error::new("bad_batch", "`batch` is a list of events", "batch"));
    };
    if entries.len() > limits::BATCH_EVENTS {
        return Err(Error::new(
            "too_many_events",
            format!("one batch holds at most {} events", limits::BATCH_EVENTS),
            "batch",
        ));
    }
    let one = |(at, entry): (usize, Json)| {
        let place = |mut error: Error| {
            error.place = match error.place.as_str() {
                "" => format!("batch[{at}]"),
                inner => format!("batch[{at}].{inner}"),
            };
            error
        };
        match entry {
            Json::Object(fields) => event(fields, None, sent, received, entropy).map_err(place),
            _ => Err(place(Error::new("bad_event", "an event is a JSON object", ""))),
        }
    };
    Ok(entries.into_iter().enumerate().map(one).collect())
}

fn kind_of(word: &str) -> Option<EventKind> {
    Some(match word {
        "track" => EventKind::Track,
        "identify" => EventKind::Identify,
        "page" => EventKind::Page,
        "screen" => EventKind::Screen,
        "group" => EventKind::Group,
        "alias" => EventKind::Alias,
        _ => return None,
    })
}

/// One event from its fields. Without a `messageId` it gets a fresh id, which a retry cannot reuse.
/// Errors: `bad_event_type`, `wrong_type`, `bad_time`, and those of [`Event::check`].
pub fn event(
    fields: Map<String, Json>,
    kind: Option<EventKind>,
    sent: Option<Timestamp>,
    received: Timestamp,
    entropy: &mut Entropy,
) -> Result<Event, Error> {
    let text = |name: &'static str| match fields.get(name) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Error::new("wrong_type", "this field is a text", name)),
    };
    let object = |name: &'static str| match fields.get(name) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::Object(object)) => Ok(Some(object)),
        Some(_) => Err(Error::new("wrong_type", "this field is an object", name)),
    };
    let kind = match (kind, text("type")?) {
        (Some(kind), _) => kind,
        (None, Some(word)) => kind_of(&word).ok_or_else(unknown_kind)?,
        (None, None) => return Err(unknown_kind()),
    };
    let name = match kind {
        EventKind::Track => text("event")?.unwrap_or_default(),
        _ => text("name")?.unwrap_or_default(),
    };
    let said =
        match text("timestamp")? {
            None => None,
            Some(said) => Some(time(&said).ok_or_else(|| {
                Error::new("bad_time", "a time is written as RFC 3339", "timestamp")
            })?),
        };
    let sent = sent.or_else(|| text("sentAt").ok().flatten().as_deref().and_then(time));
    let properties = match kind {
        EventKind::Identify | EventKind::Group => object("traits")?,
        _ => object("properties")?,
    };
    let scalars: BTreeMap<String, _> = properties
        .into_iter()
        .flatten()
        .filter_map(|(name, json)| Some((name.clone(), value(json)?)))
        .collect();
    let user_id =
        text("userId")?.filter(|id| !id.is_empty() && id.len() <= limits::IDENTIFIER_BYTES);
    let id = text("messageId")?.unwrap_or_else(|| hex(&entropy.take16()));
    let event = Event {
        id,
        kind,
        name,
        time: settle_time(said, sent, received),
        user_id,
        properties: scalars,
        payload: Json::Object(fields).to_string(),
    };
    event.check()?;
    Ok(event)
}

/// An event that came as no call of Segment's, written as the call that it would have been.
pub fn written(event: &Event) -> String {
    let properties = event.properties.iter();
    let properties: Map<String, Json> =
        properties.map(|(name, value)| (name.clone(), to_json(value))).collect();
    json!({
        "type": "track", "event": event.name, "messageId": event.id,
        "timestamp": time_text(event.time), "properties": properties,
    })
    .to_string()
}

fn unknown_kind() -> Error {
    Error::new(
        "bad_event_type",
        "`type` is one of track, identify, page, screen, group and alias",
        "type",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_764_000_000_000);

    fn codes(body: &str, kind: Option<EventKind>) -> Vec<String> {
        match batch(body.as_bytes(), kind, NOW, &mut Entropy::new([7; 32])) {
            Err(error) => vec![format!("{} {}", error.code(), error.place)],
            Ok(events) => events
                .into_iter()
                .map(|event| match event {
                    Ok(event) => event.name,
                    Err(error) => format!("{} {}", error.code(), error.place),
                })
                .collect(),
        }
    }

    #[test]
    fn a_bad_event_leaves_the_others() {
        let body = r#"{"batch":[
            {"type":"track","event":"Product Viewed","messageId":"1","properties":{"price":3.5}},
            {"type":"shout"}, 7, {"type":"track","event":5},
            {"type":"track","event":"x","timestamp":"soon"}, {"type":"track"},
            {"type":"page","properties":[]}]}"#;
        assert_eq!(
            codes(body, None),
            [
                "Product Viewed",
                "bad_event_type batch[1].type",
                "bad_event batch[2]",
                "wrong_type batch[3].event",
                "bad_time batch[4].timestamp",
                "bad_event_name batch[5].event",
                "wrong_type batch[6].properties",
            ]
        );
    }

    #[test]
    fn a_body_that_is_no_batch_is_refused_whole() {
        assert_eq!(codes("[]", None), ["bad_batch "]);
        assert_eq!(codes("{}", None), ["bad_batch batch"]);
        assert_eq!(
            codes(&format!("{{\"a\":\"{}\"}}", "x".repeat(40_000)), Some(EventKind::Track)),
            ["too_large "]
        );
        let many = format!("{{\"batch\":[{}0]}}", "0,".repeat(limits::BATCH_EVENTS));
        assert_eq!(codes(&many, None), ["too_many_events batch"]);
    }

    #[test]
    fn the_senders_clock_is_corrected() {
        let body = r#"{"sentAt":"2020-01-01T00:00:10Z","batch":[
            {"type":"track","event":"x","timestamp":"2020-01-01T00:00:04Z"}]}"#;
        let events = batch(body.as_bytes(), None, NOW, &mut Entropy::new([7; 32])).unwrap();
        assert_eq!(events[0].as_ref().unwrap().time, NOW.plus_ms(-6_000));
    }
}
