//! The workspace compiler: JSON and CEL sources in, one immutable image out. It must never read a
//! clock, a file or the network, and never stop at the first mistake: whoever wrote the file sees
//! all of them at once, each with its line and column.
//!
//! The source is JSON with comments and trailing commas, format 1; its fields are described by
//! `docs/reference/workspace.schema.json`.
//!
//! INVARIANT: the same source gives the same bytes on every host and on every day.

mod audiences;
mod budgets;
pub mod cel;
mod conditions;
mod content;
mod experiments;
mod fallbacks;
mod mistake;
mod names;
mod notes;
mod offers;
mod reader;
mod schedule;
mod sequences;
mod settings;
mod source;
mod traits;

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use conditions::{Compiled, Conditions};
use content::{DraftContent, Piece};
use offers::{Draft, DraftArm, Frame};
use reader::{Node, Reader};

use crate::offer::{Arm, Content, Contents, Field, InExperiment, Offer, Part, Template};
use crate::pack::Packed;
use crate::rule::{GroupId, RuleId, Slot};
use crate::workspace::{Placement, Where, Workspace};

pub use cel::closest;
pub use mistake::Mistake;
pub use notes::{Note, notes};

#[cfg(test)]
mod tests;

/// The fields of a workspace. `$schema` is for editors.
const FIELDS: [&str; 13] = [
    "$schema",
    "format",
    "languages",
    "identity",
    "consent",
    "events",
    "traits",
    "computed",
    "audiences",
    "placements",
    "experiments",
    "holdouts",
    "offers",
];

/// Compiles a workspace. Errors: every mistake, in the order of the file, at most
/// `limits::MISTAKES`. The version is the first 16 hexadecimal digits of the SHA-256 of the image
/// with an empty version: what decides alike has one version, however its source is laid out.
pub fn workspace(source: &str) -> Result<Workspace, Vec<Mistake>> {
    let text = source::without_mark(source);
    let mut reader = Reader::new(text);
    let tree = match source::parse(text) {
        Ok(tree) => tree,
        Err(noted) => {
            reader.push(noted);
            return Err(reader.mistakes());
        }
    };
    let root = Node::root(&tree);
    let built = build(&mut reader, &root);
    if !reader.is_clean() {
        return Err(reader.mistakes());
    }
    let versioned = built.and_then(|mut workspace| {
        let bytes = workspace.to_bytes().ok()?;
        workspace.version = Workspace::version_of(&Sha256::digest(&bytes));
        Some(workspace)
    });
    versioned.ok_or_else(|| {
        reader.note(&root, "bad_workspace", "this workspace cannot be compiled");
        reader.mistakes()
    })
}

/// The conditions of a workspace's offers as they were written, by the offer's key: what the places
/// of failed conditions point into.
pub fn written_conditions(source: &str) -> BTreeMap<String, String> {
    source::conditions(source::without_mark(source))
}

fn build<'a>(reader: &mut Reader<'a>, root: &Node<'a>) -> Option<Workspace> {
    let fields = reader.fields(root, &FIELDS)?;
    if let Some(node) = fields.get("$schema") {
        reader.text(node);
    }
    if let Some(node) = fields.need(reader, "format")
        && reader.whole(node, i64::MIN..=i64::MAX).is_some_and(|format| format != 1)
    {
        let message = "this release reads format 1 of workspaces";
        reader.note(node, "unknown_format", message);
    }
    let languages = settings::languages(reader, &fields);
    let identity = settings::identity(reader, &fields);
    let consent = settings::consent(reader, &fields);
    let vocabulary = traits::read(reader, &fields);
    let sources = audiences::read(reader, &fields);
    let placements = offers::placements(reader, &fields);
    let mut conditions = Conditions::new(reader, &vocabulary, &sources);
    let mut audiences = audiences::compile(reader, &sources, &mut conditions);
    let (experiments, known) = experiments::read(reader, &fields, &mut conditions);
    let frame = Frame {
        experiments: &known,
        languages: &languages,
        vocabulary: &vocabulary,
        placements: &placements,
        never: consent.never,
    };
    let mut drafts = offers::read(reader, &fields, &frame, &mut conditions);
    drafts.sort_by(|a, b| a.key.cmp(&b.key));
    fallbacks::check(reader, &fields, &drafts);
    let budgets = drafts.iter_mut().filter_map(|draft| draft.budget.take()).collect();
    let placements = rank(&placements, &drafts, &mut conditions);
    let mut compiled = conditions.finish();
    compiled.imply();
    let watch = audiences::watch(&mut audiences, &compiled);
    let offers = settle(reader, drafts, &compiled);
    // What nobody reads of a request, no host brings.
    let mut read = compiled.rules.read_slots();
    read.extend(offers.iter().flat_map(Offer::all_contents).flat_map(|it| it.slots()));
    compiled.slots.request.retain(|field| read.contains(&field.slot));
    let workspace = Workspace {
        version: String::new(),
        rules: compiled.rules,
        traits: compiled.slots.traits,
        computed: compiled.slots.computed,
        request: compiled.slots.request,
        audiences,
        watch,
        placements,
        offers: offers.into_iter().collect(),
        experiments,
        gates: Vec::new(),
        elsewhere: Vec::new(),
        languages,
        consent,
        identity,
        budgets,
    };
    Some(workspace.open())
}

/// The placements, each with its offers by rank: priority from the highest down, then key.
fn rank(
    placements: &BTreeMap<String, Where>,
    drafts: &[Draft<'_>],
    conditions: &mut Conditions<'_>,
) -> Vec<Placement> {
    let mut members: BTreeMap<&str, Vec<(usize, &Draft)>> = BTreeMap::new();
    for (at, draft) in drafts.iter().enumerate() {
        for name in &draft.placements {
            members.entry(name).or_default().push((at, draft));
        }
    }
    let mut ranked = Vec::with_capacity(placements.len());
    for (name, at) in placements {
        let mut offers = members.remove(name.as_str()).unwrap_or_default();
        // Stable: drafts are sorted by key.
        offers.sort_by_key(|(_, draft)| core::cmp::Reverse(draft.priority));
        let group: GroupId = conditions.group(offers.iter().map(|(_, draft)| draft.rule));
        let is_ranked = offers.iter().any(|(_, draft)| draft.rank.is_some());
        let offers = offers.iter().filter_map(|(at, _)| u32::try_from(*at).ok()).collect();
        let (name, gates) = (name.clone(), Vec::new());
        ranked.push(Placement { name, at: *at, group, offers, is_ranked, gates });
    }
    ranked
}

/// The offers with their slots, checked against what their conditions turned out to read.
fn settle<'a>(
    reader: &mut Reader<'a>,
    drafts: Vec<Draft<'_>>,
    compiled: &Compiled<'a>,
) -> Vec<Offer> {
    let free = compiled.contextual_slots();
    let public: BTreeSet<Slot> = compiled.public_slots();
    let slots = compiled.profile_slots();
    let mut offers = Vec::with_capacity(drafts.len());
    for draft in drafts {
        if draft.purpose.is_none() {
            compiled.check_contextual(reader, draft.rule, &free);
        }
        let hides =
            |rule: RuleId| compiled.rules.slots_of(rule).any(|slot| !public.contains(&slot));
        let private = hides(draft.rule) || draft.rank.is_some_and(hides);
        let holdouts = draft.holdouts;
        let experiment = draft.experiment.map(|(experiment, arms)| {
            let arms = arms.into_iter().map(|arm| settle_arm(arm, &slots)).collect();
            InExperiment::new(experiment, &arms)
        });
        let content = settle_contents(draft.content, &slots);
        offers.push(Offer {
            key: draft.key,
            rule: draft.rule,
            private,
            purpose: draft.purpose,
            assurance: draft.assurance,
            priority: draft.priority,
            rollout: draft.rollout,
            schedule: draft.schedule.as_ref().map(Packed::new).unwrap_or_default(),
            caps: if draft.caps.is_empty() { Packed::default() } else { Packed::new(&draft.caps) },
            cool_down_ms: draft.cool_down_ms,
            rank: draft.rank,
            fallback: draft.fallback.map(|(key, _)| key),
            exclusion: draft.exclusion,
            repeats: draft.repeats,
            experiment,
            holdouts,
            content,
        });
    }
    offers
}

fn settle_arm(arm: DraftArm, slots: &BTreeMap<String, Slot>) -> Arm {
    match arm {
        DraftArm::Same => Arm::Same,
        DraftArm::Nothing => Arm::Nothing,
        DraftArm::Content(contents) => Arm::Content(settle_contents(contents, slots)),
    }
}

fn settle_contents(drafts: Vec<DraftContent>, slots: &BTreeMap<String, Slot>) -> Contents {
    let contents: Vec<Content> = drafts.into_iter().map(|draft| fill(draft, slots)).collect();
    Contents::new(&contents)
}

fn fill(draft: DraftContent, slots: &BTreeMap<String, Slot>) -> Content {
    let part = |piece: Piece| match piece {
        Piece::Text(text) => Some(Part::Text(text)),
        Piece::Value(name, default) => Some(Part::Value(*slots.get(&name)?, default)),
    };
    let fields = draft.fields.into_iter().map(|field| Field {
        name: field.name,
        kind: field.kind,
        text: Template(field.pieces.into_iter().filter_map(part).collect()),
    });
    Content { language: draft.language, fields: fields.collect() }
}
