//! Events: their shape, the checks before one is accepted, and the time that it counts at. It must
//! never know how an event arrived or where it is stored.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::ids::EventKey;
use crate::limits;
use crate::rule::Value;
use crate::time::Timestamp;

/// The calls of Segment's specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// Something that the visitor did.
    Track,
    /// Who the visitor says to be.
    Identify,
    /// A page was shown.
    Page,
    /// A screen of an app was shown.
    Screen,
    /// The visitor says to belong to a group.
    Group,
    /// Two ids are said to be the same.
    Alias,
}

impl EventKind {
    /// The name under which computed traits find an event of this kind; None where none does.
    pub fn metric_name(self, name: &str) -> Option<&str> {
        match self {
            Self::Track => Some(name),
            Self::Page => Some("Page Viewed"),
            Self::Screen => Some("Screen Viewed"),
            Self::Identify | Self::Group | Self::Alias => None,
        }
    }
}

/// One accepted event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// The sender's id; retries reuse it.
    pub id: String,
    /// Which call it came as.
    pub kind: EventKind,
    /// The event's name for `track`, the page's or screen's name otherwise.
    pub name: String,
    /// When it happened, on the sender's clock, corrected by [`settle_time`].
    pub time: Timestamp,
    /// The id that the sender claims for the visitor; a claim, never a proof.
    pub user_id: Option<String>,
    /// Scalar properties (traits for `identify`), for conditions and computed traits.
    pub properties: BTreeMap<String, Value>,
    /// The whole event as JSON text, for the central store.
    pub payload: String,
}

impl Event {
    /// What it is deduplicated by.
    pub fn key(&self) -> EventKey {
        EventKey::of(&self.id)
    }

    /// Checks every bound. Errors: `bad_event_id`, `bad_event_name`, `too_many_properties`,
    /// `name_too_long`, `text_too_long`, `event_too_large`.
    pub fn check(&self) -> Result<(), Error> {
        if self.id.is_empty() || self.id.len() > limits::EVENT_ID_BYTES {
            return Err(Error::new(
                "bad_event_id",
                format!("an event id has 1 to {} bytes", limits::EVENT_ID_BYTES),
                "messageId",
            ));
        }
        if self.name.len() > limits::NAME_BYTES
            || (self.kind == EventKind::Track && self.name.is_empty())
        {
            return Err(Error::new(
                "bad_event_name",
                format!("an event name has 1 to {} bytes", limits::NAME_BYTES),
                "event",
            ));
        }
        if self.payload.len() > limits::EVENT_BYTES {
            return Err(Error::new(
                "event_too_large",
                format!("an event has at most {} bytes", limits::EVENT_BYTES),
                "",
            ));
        }
        check_properties(&self.properties, "properties")
    }
}

/// Checks names, texts and their number. Errors: as [`Event::check`].
pub fn check_properties(properties: &BTreeMap<String, Value>, place: &str) -> Result<(), Error> {
    if properties.len() > limits::PROPERTIES {
        return Err(Error::new(
            "too_many_properties",
            format!("at most {} properties are taken", limits::PROPERTIES),
            place,
        ));
    }
    for (name, value) in properties {
        if name.is_empty() || name.len() > limits::NAME_BYTES {
            return Err(Error::new(
                "name_too_long",
                format!("a property's name has 1 to {} bytes", limits::NAME_BYTES),
                place,
            ));
        }
        check_value(value).map_err(|mut error| {
            error.place = format!("{place}.{name}");
            error
        })?;
    }
    Ok(())
}

fn check_value(value: &Value) -> Result<(), Error> {
    match value {
        Value::String(text) if text.len() > limits::TEXT_BYTES => Err(Error::new(
            "text_too_long",
            format!("a text has at most {} bytes", limits::TEXT_BYTES),
            "",
        )),
        Value::List(entries) if entries.len() > limits::LIST_ENTRIES => Err(Error::new(
            "list_too_long",
            format!("a list has at most {} entries", limits::LIST_ENTRIES),
            "",
        )),
        Value::List(entries) => entries.iter().try_for_each(|entry| match entry {
            Value::List(_) => Err(Error::new("nested_list", "lists do not nest", "")),
            flat => check_value(flat),
        }),
        _ => Ok(()),
    }
}

/// The time at which an event counts: what the sender says, corrected by the difference between the
/// sender's clock when it sent and ours when it arrived (Segment's rule), and never ahead of ours.
pub fn settle_time(
    said: Option<Timestamp>,
    sent: Option<Timestamp>,
    received: Timestamp,
) -> Timestamp {
    let Some(said) = said else { return received };
    let corrected = match sent {
        Some(sent) => said.plus_ms(received.since_ms(sent)),
        None => said,
    };
    if corrected.since_ms(received) > limits::CLOCK_AHEAD_MS || corrected > received {
        received
    } else {
        corrected
    }
}
