//! Hands conditions to the CEL compiler and brings its mistakes back to their places in the file.
//! It must never know the syntax of a condition.

use std::collections::{BTreeMap, BTreeSet};

use super::audiences::Source;
use super::cel::{CelError, Compiler, ComputedRequest, History, Schema};
use super::mistake::Noted;
use super::reader::{Node, Reader};
use super::traits::Vocabulary;
use crate::rule::{GroupId, Kind, RuleId, Rules, Slot};
use crate::workspace::{
    ComputedDecl, ComputedKind, REQUEST_FIELDS, RequestField, TraitDecl, TraitKind,
};

/// All conditions of one workspace.
pub(super) struct Conditions<'a> {
    compiler: Compiler,
    audiences: BTreeSet<&'a str>,
    /// Where each rule stands in the file.
    places: Vec<(RuleId, Node<'a>)>,
    pub slots: Slots,
}

/// The slots of everything that was declared.
pub(super) struct Slots {
    pub traits: Vec<TraitDecl>,
    pub computed: Vec<ComputedDecl>,
    pub request: Vec<RequestField>,
}

/// What came of it.
pub(super) struct Compiled<'a> {
    pub rules: Rules,
    pub slots: Slots,
    places: Vec<(RuleId, Node<'a>)>,
    implied: Vec<ComputedRequest>,
}

fn kind_of(kind: TraitKind) -> Kind {
    match kind {
        TraitKind::Bool => Kind::Bool,
        TraitKind::Int => Kind::Int,
        TraitKind::Double => Kind::Double,
        TraitKind::String => Kind::String,
        TraitKind::Timestamp => Kind::Timestamp,
        TraitKind::Strings => Kind::Strings,
    }
}

/// Declares the vocabulary. Slots are numbered in the order of names, so that the order of a source
/// does not change the image.
fn declare(vocabulary: &Vocabulary) -> (Schema, Slots) {
    let mut schema = Schema::new();
    let mut slots = Slots { traits: Vec::new(), computed: Vec::new(), request: Vec::new() };
    for (name, one) in &vocabulary.traits {
        let slot = schema.field(&format!("profile.{name}"), kind_of(one.kind));
        let (name, kind, public) = (name.clone(), one.kind, one.public);
        slots.traits.push(TraitDecl { name, kind, public, slot });
    }
    for (name, one) in &vocabulary.computed {
        let kind = match one.kind {
            ComputedKind::Count | ComputedKind::Distinct | ComputedKind::Streak => Kind::Int,
            ComputedKind::Sum => Kind::Double,
            ComputedKind::Last | ComputedKind::First | ComputedKind::Min | ComputedKind::Max => {
                kind_of(one.value)
            }
            ComputedKind::Recency => Kind::Duration,
            ComputedKind::Sequence => Kind::Bool,
        };
        slots.computed.push(ComputedDecl {
            name: name.clone(),
            kind: one.kind,
            event: one.event.clone(),
            property: one.property.clone(),
            window_ms: one.window_ms,
            public: one.public,
            slot: schema.field(&format!("profile.{name}"), kind),
            sequence: one.sequence.clone(),
        });
    }
    for name in REQUEST_FIELDS {
        let slot = schema.field(&format!("request.{name}"), Kind::String);
        slots.request.push(RequestField { name: name.to_owned(), slot });
    }
    for (event, properties) in &vocabulary.events {
        schema.event(event);
        for (property, kind) in properties {
            schema.property(event, property, kind_of(*kind));
        }
    }
    (schema, slots)
}

impl<'a> Conditions<'a> {
    /// Conditions over this vocabulary and these audiences.
    pub fn new(reader: &mut Reader<'a>, vocabulary: &Vocabulary, audiences: &[Source<'a>]) -> Self {
        let (schema, slots) = declare(vocabulary);
        let mut compiler = Compiler::new(schema);
        for source in audiences {
            // One without a readable condition is still known, so that its uses are not mistakes.
            let text = source.when.as_ref().and_then(|node| reader.text(node));
            compiler.declare_audience(source.name, text.unwrap_or("false"));
        }
        let audiences = audiences.iter().map(|source| source.name).collect();
        Self { compiler, audiences, places: Vec::new(), slots }
    }

    /// The condition of an audience. Notes its mistakes.
    pub fn audience(
        &mut self,
        reader: &mut Reader<'a>,
        name: &str,
        node: &Node<'a>,
    ) -> Option<RuleId> {
        match self.compiler.audience(name) {
            Ok(rule) => {
                self.places.push((rule, node.clone()));
                Some(rule)
            }
            Err(errors) => {
                for error in errors {
                    // An audience that asks for a broken one is fine itself.
                    if error.code != "broken_audience" {
                        note(reader, node, error);
                    }
                }
                None
            }
        }
    }

    /// The condition of an offer. Notes its mistakes.
    pub fn condition(&mut self, reader: &mut Reader<'a>, node: &Node<'a>) -> Option<RuleId> {
        self.take(reader, node, Compiler::condition)
    }

    /// A formula that comes to a number. Notes its mistakes.
    pub fn number(&mut self, reader: &mut Reader<'a>, node: &Node<'a>) -> Option<RuleId> {
        self.take(reader, node, Compiler::number)
    }

    fn take(
        &mut self,
        reader: &mut Reader<'a>,
        node: &Node<'a>,
        compile: impl FnOnce(&mut Compiler, &str) -> Result<RuleId, Vec<CelError>>,
    ) -> Option<RuleId> {
        let source = reader.text(node)?;
        match compile(&mut self.compiler, source) {
            Ok(rule) => {
                self.places.push((rule, node.clone()));
                Some(rule)
            }
            Err(errors) => {
                for error in errors {
                    if !self.is_consequence(source, &error) {
                        note(reader, node, error);
                    }
                }
                None
            }
        }
    }

    /// Whether a mistake was told at the audience that it comes from.
    fn is_consequence(&self, source: &str, error: &CelError) -> bool {
        let end = error.offset.saturating_add(error.len);
        let named = source.get(error.offset..end).unwrap_or_default();
        let named = named.trim_matches(['\'', '"']);
        error.code.ends_with("_audience") && self.audiences.contains(named)
    }

    /// A rule that always holds; each offer has one of its own.
    pub fn always(&mut self) -> Option<RuleId> {
        self.compiler.condition("true").ok()
    }

    /// Rules in the order of their rank.
    pub fn group(&mut self, rules: impl Iterator<Item = RuleId>) -> GroupId {
        self.compiler.group(rules.zip(0..).collect())
    }

    /// The compiled rules.
    pub fn finish(self) -> Compiled<'a> {
        let (rules, implied) = self.compiler.finish();
        Compiled { rules, slots: self.slots, places: self.places, implied }
    }
}

fn note(reader: &mut Reader<'_>, node: &Node<'_>, error: CelError) {
    let span = reader.span_inside(node, error.offset, error.len);
    reader.push(Noted {
        span,
        code: error.code.into(),
        message: error.message,
        path: node.path.clone(),
        suggestion: error.suggestion,
    });
}

impl<'a> Compiled<'a> {
    /// Takes in the computed traits that conditions imply.
    pub fn imply(&mut self) {
        for request in core::mem::take(&mut self.implied) {
            let kind = match request.kind {
                History::Count => ComputedKind::Count,
                History::Sum => ComputedKind::Sum,
                History::Last => ComputedKind::Last,
                History::Recency => ComputedKind::Recency,
                History::Min => ComputedKind::Min,
                History::Max => ComputedKind::Max,
                History::First => ComputedKind::First,
                History::Distinct => ComputedKind::Distinct,
                History::Streak => ComputedKind::Streak,
            };
            self.slots.computed.push(ComputedDecl {
                name: String::new(),
                kind,
                event: request.event,
                property: request.property.unwrap_or_default(),
                window_ms: request.window_ms,
                public: false,
                slot: request.slot,
                sequence: None,
            });
        }
    }

    /// The slots that a page may read: the request's, the time, and public traits.
    pub fn public_slots(&self) -> BTreeSet<Slot> {
        let traits = self.slots.traits.iter().filter(|decl| decl.public).map(|decl| decl.slot);
        let computed = self.slots.computed.iter().filter(|one| one.public).map(|one| one.slot);
        traits.chain(computed).chain(self.contextual_slots()).collect()
    }

    /// The slots that need no consent: the request's, and the time.
    pub fn contextual_slots(&self) -> BTreeSet<Slot> {
        let request = self.slots.request.iter().map(|field| field.slot);
        request.chain(self.rules.slot("now")).collect()
    }

    /// Notes `contextual_reads_profile` where an offer without purpose reads the profile.
    pub fn check_contextual(&self, reader: &mut Reader<'a>, rule: RuleId, free: &BTreeSet<Slot>) {
        let Some(slot) = self.rules.slots_of(rule).find(|slot| !free.contains(slot)) else {
            return;
        };
        let Some((_, node)) = self.places.iter().find(|(known, _)| *known == rule) else { return };
        let path = self.rules.path(slot).unwrap_or("the profile");
        let message = format!(
            "an offer without purpose is shown without consent, but its condition reads `{path}`"
        );
        let span = self.find(reader, node, path);
        reader.note_at(span, &node.path, "contextual_reads_profile", message, None);
    }

    /// The first place of some words in a condition, else the whole condition.
    fn find(
        &self,
        reader: &mut Reader<'a>,
        node: &Node<'a>,
        words: &str,
    ) -> core::ops::Range<usize> {
        let source = reader.text(node).unwrap_or_default();
        match source.find(words) {
            Some(at) => reader.span_inside(node, at, words.len()),
            None => node.span(),
        }
    }

    /// The slots by the names behind `profile.`.
    pub fn profile_slots(&self) -> BTreeMap<String, Slot> {
        let traits = self.slots.traits.iter().map(|decl| (decl.name.clone(), decl.slot));
        let computed = self.slots.computed.iter().map(|decl| (decl.name.clone(), decl.slot));
        traits.chain(computed).filter(|(name, _)| !name.is_empty()).collect()
    }
}
