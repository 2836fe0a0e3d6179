//! Sequences among the computed traits: events in an order, and events that stay away.

use super::cel::closest;
use super::names;
use super::reader::{Fields, Node, Reader, shorten};
use super::traits::{Computed, Events, WAYS, read_event};
use crate::limits;
use crate::profile::{Sequence, Step};
use crate::rule::Value;
use crate::workspace::{ComputedKind, TraitKind};

/// The type of a property that is compared with this value.
pub(super) fn kind_of(value: &Value) -> TraitKind {
    match value {
        Value::Bool(_) => TraitKind::Bool,
        Value::Int(_) | Value::Double(_) | Value::Duration(_) => TraitKind::Double,
        Value::Timestamp(_) => TraitKind::Timestamp,
        Value::List(_) => TraitKind::Strings,
        Value::String(_) => TraitKind::String,
    }
}

/// Reads a computed trait with `sequence`; `known` are the events that may be named, where the
/// workspace lists them.
pub(super) fn read<'a>(
    reader: &mut Reader<'a>,
    fields: &Fields<'a>,
    steps: &Node<'a>,
    known: Option<&Events>,
) -> Option<Computed> {
    let others = WAYS.iter().map(|(word, _)| *word);
    for name in others.chain(["property", "window", "type"]) {
        if let Some(node) = fields.get(name) {
            reader.note(node, "bad_computed", format!("a `sequence` has no `{name}`"));
        }
    }
    let most = limits::SEQUENCE_STEPS;
    let message = format!("a sequence has 2 to {most} steps");
    let nodes = reader.list(steps, 2..=most, "bad_sequence", message);
    let read: Vec<Option<Step>> = nodes
        .iter()
        .enumerate()
        .map(|(at, node)| read_step(reader, node, at == 0, known))
        .collect();
    let for_ms = fields.get("for").and_then(|node| names::duration_ms(reader, node));
    let until = fields.get("until").and_then(|node| read_event(reader, node, known));
    let public = fields.get("public").and_then(|node| reader.bool(node)).unwrap_or(false);
    let steps: Vec<Step> = read.into_iter().flatten().collect();
    let first = steps.first()?;
    Some(Computed {
        kind: ComputedKind::Sequence,
        event: first.event.clone(),
        property: first.property.clone(),
        window_ms: None,
        public,
        value: TraitKind::Bool,
        sequence: Some(Sequence { steps, for_ms, until: until.map(str::to_owned) }),
    })
}

fn read_step<'a>(
    reader: &mut Reader<'a>,
    node: &Node<'a>,
    is_first: bool,
    known: Option<&Events>,
) -> Option<Step> {
    let fields = reader.fields(node, &["event", "absent", "where", "within"])?;
    let (named, absent) = match (fields.get("event"), fields.get("absent")) {
        (Some(named), None) => (named, false),
        (None, Some(named)) => (named, true),
        _ => {
            let message = "a step has either `event` or `absent`, which names the event";
            reader.note(node, "bad_sequence", message);
            return None;
        }
    };
    let within = fields.get("within");
    if is_first && absent {
        reader.note(node, "bad_sequence", "a sequence begins with an `event`");
    }
    match within {
        Some(within) if is_first && !absent => {
            let message = "the first step has no `within`: it follows nothing";
            reader.note(within, "bad_sequence", message);
        }
        None if absent && !is_first => {
            let message = "a step with `absent` says for how long: `within`";
            reader.note(node, "bad_sequence", message);
        }
        _ => {}
    }
    let event = read_event(reader, named, known)?;
    let within_ms = within.and_then(|node| names::duration_ms(reader, node));
    let properties = known.and_then(|known| known.get(event));
    let wanted = fields.get("where").and_then(|node| read_where(reader, node, properties));
    let (property, equals) = match wanted {
        Some((property, value)) => (property, Some(value)),
        None => (String::new(), None),
    };
    Some(Step { event: event.to_owned(), property, equals, absent, within_ms })
}

/// `{"PROPERTY": VALUE}`.
fn read_where<'a>(
    reader: &mut Reader<'a>,
    node: &Node<'a>,
    known: Option<&std::collections::BTreeMap<String, TraitKind>>,
) -> Option<(String, Value)> {
    let message = "`where` names one property and the value that it must have".to_owned();
    let entries = reader.map(node, 1..=1, "bad_sequence", message);
    let entry = entries.first()?;
    if !names::is_line(entry.name, limits::NAME_BYTES) {
        let message = format!("the name of a property has 1 to {} bytes", limits::NAME_BYTES);
        reader.note_at(entry.key.clone(), &entry.node.path, "bad_name", message, None);
        return None;
    }
    let value = reader.scalar(&entry.node)?;
    let Some(known) = known else { return Some((entry.name.to_owned(), value)) };
    let is_number = |kind| matches!(kind, TraitKind::Int | TraitKind::Double);
    match known.get(entry.name) {
        None => {
            let message = format!("unknown property `{}`", shorten(entry.name));
            let meant = closest(entry.name, known.keys().map(String::as_str));
            let (key, path) = (entry.key.clone(), &entry.node.path);
            reader.note_at(key, path, "unknown_property", message, meant.as_deref());
        }
        Some(kind) if *kind == kind_of(&value) => {}
        Some(kind) if is_number(*kind) && is_number(kind_of(&value)) => {}
        Some(_) => {
            let message = format!("`{}` holds no such value", entry.name);
            reader.note(&entry.node, "wrong_type", message);
        }
    }
    Some((entry.name.to_owned(), value))
}
