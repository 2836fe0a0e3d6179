//! Traits and computed traits: what conditions and contents may read of a profile.

use std::collections::BTreeMap;

use super::names;
use super::reader::{Fields, Node, Reader};
use super::sequences;
use crate::limits;
use crate::profile::Sequence;
use crate::workspace::{ComputedKind, TraitKind};

/// A trait as it was declared.
#[derive(Clone, Debug)]
pub(super) struct Declared {
    pub kind: TraitKind,
    pub public: bool,
}

/// A computed trait as it was declared.
#[derive(Clone, Debug)]
pub(super) struct Computed {
    pub kind: ComputedKind,
    pub event: String,
    pub property: String,
    pub window_ms: Option<i64>,
    pub public: bool,
    /// What conditions see of a value of the property.
    pub value: TraitKind,
    /// The steps of a sequence.
    pub sequence: Option<Sequence>,
}

/// Properties of events with their types, by the event's name.
pub(super) type Events = BTreeMap<String, BTreeMap<String, TraitKind>>;

impl Computed {
    /// Declares the events and properties that it reads, in a workspace that does not list any.
    fn declare(&self, events: &mut Events) {
        if self.sequence.is_none() {
            let properties = events.entry(self.event.clone()).or_default();
            if !self.property.is_empty() {
                properties.entry(self.property.clone()).or_insert(self.value);
            }
        }
        for step in self.sequence.iter().flat_map(|sequence| &sequence.steps) {
            let properties = events.entry(step.event.clone()).or_default();
            if let Some(value) = &step.equals {
                properties.entry(step.property.clone()).or_insert(sequences::kind_of(value));
            }
        }
        if let Some(event) = self.sequence.as_ref().and_then(|one| one.until.as_ref()) {
            events.entry(event.clone()).or_default();
        }
    }
}

/// All of them by name; a name is one or the other.
#[derive(Clone, Debug, Default)]
pub(super) struct Vocabulary {
    pub traits: BTreeMap<String, Declared>,
    pub computed: BTreeMap<String, Computed>,
    /// Properties of events.
    pub events: Events,
}

impl Vocabulary {
    /// Every name that may follow `profile.`.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.traits.keys().chain(self.computed.keys()).map(String::as_str)
    }

    /// Whether a page may read it; None where it was not declared.
    pub fn is_public(&self, name: &str) -> Option<bool> {
        let public = self.traits.get(name).map(|one| one.public);
        public.or_else(|| self.computed.get(name).map(|one| one.public))
    }
}

const KINDS: [(&str, TraitKind); 6] = [
    ("bool", TraitKind::Bool),
    ("int", TraitKind::Int),
    ("double", TraitKind::Double),
    ("string", TraitKind::String),
    ("timestamp", TraitKind::Timestamp),
    ("strings", TraitKind::Strings),
];

/// Events that the edge makes of the `page` and `screen` calls, with what those calls carry
/// (Segment's "Spec: Page").
const PAGE_EVENTS: [&str; 2] = ["Page Viewed", "Screen Viewed"];
const PAGE_PROPERTIES: [&str; 5] = ["path", "referrer", "search", "title", "url"];

/// Reads `events`, `traits` and `computed`.
pub(super) fn read<'a>(reader: &mut Reader<'a>, workspace: &Fields<'a>) -> Vocabulary {
    let mut vocabulary = Vocabulary::default();
    for event in PAGE_EVENTS {
        let properties = PAGE_PROPERTIES.map(|name| (name.to_owned(), TraitKind::String));
        vocabulary.events.insert(event.to_owned(), BTreeMap::from(properties));
    }
    if let Some(node) = workspace.get("events") {
        read_events(reader, node, &mut vocabulary);
    }
    let closed = workspace.get("events").is_some();
    if let Some(node) = workspace.get("traits") {
        read_traits(reader, node, &mut vocabulary);
    }
    if let Some(node) = workspace.get("computed") {
        read_computed(reader, node, &mut vocabulary, closed);
    }
    vocabulary
}

/// Reads `events`: those that conditions and computed traits may speak of. A workspace without it
/// knows the events of its computed traits.
fn read_events<'a>(reader: &mut Reader<'a>, node: &Node<'a>, vocabulary: &mut Vocabulary) {
    let message = format!("a workspace declares at most {} events", limits::EVENTS);
    for entry in reader.map(node, 0..=limits::EVENTS, "too_many_events", message) {
        if !names::is_line(entry.name, limits::NAME_BYTES) {
            let message = format!(
                "the name of an event has 1 to {} bytes and no control characters",
                limits::NAME_BYTES
            );
            reader.note_at(entry.key.clone(), &entry.node.path, "bad_name", message, None);
        }
        let message = format!("an event has at most {} properties", limits::PROPERTIES);
        let most = 0..=limits::PROPERTIES;
        let mut kinds = BTreeMap::new();
        for property in reader.map(&entry.node, most, "too_many_properties", message) {
            let kind = reader.word(&property.node, "unknown_type", "type", &KINDS);
            kinds.insert(property.name.to_owned(), kind.unwrap_or(TraitKind::String));
        }
        vocabulary.events.insert(entry.name.to_owned(), kinds);
    }
}

fn read_traits<'a>(reader: &mut Reader<'a>, node: &Node<'a>, vocabulary: &mut Vocabulary) {
    let message = format!("a workspace declares at most {} traits", limits::TRAITS);
    for entry in reader.map(node, 0..=limits::TRAITS, "too_many_traits", message) {
        let named = names::check_trait(reader, &entry);
        let Some(fields) = reader.fields(&entry.node, &["type", "public"]) else { continue };
        let kind = fields
            .need(reader, "type")
            .and_then(|node| reader.word(node, "unknown_type", "type", &KINDS));
        let public = fields.get("public").and_then(|node| reader.bool(node)).unwrap_or(false);
        // A trait whose type is wrong is still known, so that its uses are not mistakes as well.
        let kind = kind.unwrap_or(TraitKind::String);
        if named {
            vocabulary.traits.insert(entry.name.to_owned(), Declared { kind, public });
        }
    }
}

fn read_computed<'a>(
    reader: &mut Reader<'a>,
    node: &Node<'a>,
    vocabulary: &mut Vocabulary,
    closed: bool,
) {
    let message = format!("a workspace declares at most {} computed traits", limits::COMPUTED);
    for entry in reader.map(node, 0..=limits::COMPUTED, "too_many_computed", message) {
        let named = names::check_trait(reader, &entry);
        if vocabulary.traits.contains_key(entry.name) {
            names::taken(reader, entry.key.clone(), &entry.node.path, entry.name, "a trait");
            continue;
        }
        let Some(computed) = read_one(reader, &entry.node, vocabulary, closed) else { continue };
        if !closed {
            computed.declare(&mut vocabulary.events);
        }
        if named {
            vocabulary.computed.insert(entry.name.to_owned(), computed);
        }
    }
}

const COMPUTED_FIELDS: [&str; 16] = [
    "count", "sum", "min", "max", "first", "last", "distinct", "streak", "recency", "property",
    "window", "type", "public", "sequence", "for", "until",
];

/// The words that derive a computed trait from one kind of events.
pub(super) const WAYS: [(&str, ComputedKind); 9] = [
    ("count", ComputedKind::Count),
    ("sum", ComputedKind::Sum),
    ("min", ComputedKind::Min),
    ("max", ComputedKind::Max),
    ("first", ComputedKind::First),
    ("last", ComputedKind::Last),
    ("distinct", ComputedKind::Distinct),
    ("streak", ComputedKind::Streak),
    ("recency", ComputedKind::Recency),
];

fn read_one<'a>(
    reader: &mut Reader<'a>,
    node: &Node<'a>,
    vocabulary: &Vocabulary,
    closed: bool,
) -> Option<Computed> {
    let fields = reader.fields(node, &COMPUTED_FIELDS)?;
    if let Some(steps) = fields.get("sequence") {
        return sequences::read(reader, &fields, steps, closed.then_some(&vocabulary.events));
    }
    let mut ways = WAYS.iter().filter_map(|(word, kind)| Some((*word, *kind, fields.get(word)?)));
    let (Some((word, kind, event_node)), None) = (ways.next(), ways.next()) else {
        let message = "a computed trait has one of `count`, `sum`, `min`, `max`, `first`, \
                       `last`, `distinct`, `streak` and `recency`, which names the event, or \
                       `sequence`, which lists steps";
        reader.note(node, "bad_computed", message);
        return None;
    };
    let event = read_event(reader, event_node, closed.then_some(&vocabulary.events));
    let known = event.and_then(|event| vocabulary.events.get(event));
    let property = read_property(reader, &fields, word, kind, known.filter(|_| closed));
    let declared = known.and_then(|properties| properties.get(property.unwrap_or_default()));
    let is_extreme = matches!(kind, ComputedKind::Min | ComputedKind::Max);
    let reads_value = is_extreme || matches!(kind, ComputedKind::First | ComputedKind::Last);
    let value = match (reads_value, fields.get("type")) {
        (true, Some(node)) => reader.word(node, "unknown_type", "type", &KINDS),
        (true, None) => declared.copied(),
        (_, Some(node)) => {
            reader.note(node, "bad_computed", format!("`{word}` has a type of its own"));
            None
        }
        (_, None) => None,
    };
    if let (true, Some(held), Some(node)) = (
        is_extreme || kind == ComputedKind::Sum,
        value.as_ref().or(declared),
        fields.get("type").or(fields.get("property")),
    ) && !matches!(held, TraitKind::Int | TraitKind::Double)
    {
        let message = format!("`{word}` takes numbers, and this property holds none");
        reader.note(node, "wrong_type", message);
    }
    for name in ["for", "until"] {
        if let Some(node) = fields.get(name) {
            reader.note(node, "bad_computed", format!("`{name}` belongs to a `sequence`"));
        }
    }
    let window_ms = fields.get("window").and_then(|node| names::duration_ms(reader, node));
    let public = fields.get("public").and_then(|node| reader.bool(node)).unwrap_or(false);
    Some(Computed {
        kind,
        event: event.unwrap_or_default().to_owned(),
        property: property.unwrap_or_default().to_owned(),
        window_ms,
        public,
        value: value.unwrap_or(TraitKind::Double),
        sequence: None,
    })
}

/// The name of an event; `known` are those that may be named, where the workspace lists them.
pub(super) fn read_event<'a>(
    reader: &mut Reader<'a>,
    node: &Node<'a>,
    known: Option<&Events>,
) -> Option<&'a str> {
    let event = names::event(reader, node)?;
    if let Some(known) = known.filter(|known| !known.contains_key(event)) {
        let names = known.keys().map(String::as_str);
        reader.note_unknown(node, "unknown_event", "event", event, names);
    }
    Some(event)
}

fn read_property<'a>(
    reader: &mut Reader<'a>,
    fields: &Fields<'a>,
    word: &str,
    kind: ComputedKind,
    known: Option<&BTreeMap<String, TraitKind>>,
) -> Option<&'a str> {
    if matches!(kind, ComputedKind::Count | ComputedKind::Streak | ComputedKind::Recency) {
        if let Some(node) = fields.get("property") {
            reader.note(node, "bad_computed", format!("`{word}` reads no property"));
        }
        return None;
    }
    let node = fields.need(reader, "property")?;
    let property = names::event(reader, node)?;
    if let Some(known) = known.filter(|known| !known.contains_key(property)) {
        let names = known.keys().map(String::as_str);
        reader.note_unknown(node, "unknown_property", "property", property, names);
    }
    Some(property)
}
