//! Placements and offers: eligibility, caps, rank. It must never know how a condition is evaluated.

use std::collections::{BTreeMap, BTreeSet};

use super::budgets;
use super::conditions::Conditions;
use super::content::{self, DraftContent};
use super::experiments::Known;
use super::names;
use super::reader::{Entry, Fields, Node, Reader};
use super::schedule;
use super::settings::PURPOSES;
use super::traits::Vocabulary;
use crate::budget::Budget;
use crate::consent::{Purpose, PurposeSet};
use crate::limits;
use crate::offer::{Assurance, Cap, Per, Rollout, Schedule, Window};
use crate::profile::Contact;
use crate::rule::RuleId;
use crate::workspace::Where;

/// An offer whose contents do not know their slots yet.
pub(super) struct Draft<'a> {
    pub key: String,
    pub placements: Vec<String>,
    pub rule: RuleId,
    pub purpose: Option<Purpose>,
    pub assurance: Assurance,
    pub priority: i32,
    pub rollout: Option<Rollout>,
    pub schedule: Option<Schedule>,
    pub caps: Vec<Cap>,
    pub cool_down_ms: Option<i64>,
    pub budget: Option<Budget>,
    pub fallback: Option<(String, Node<'a>)>,
    pub rank: Option<RuleId>,
    pub exclusion: Option<String>,
    pub repeats: bool,
    pub experiment: Option<(u16, Vec<DraftArm>)>,
    pub holdouts: Vec<u16>,
    pub content: Vec<DraftContent>,
}

/// An offer in one variant of its experiment.
pub(super) enum DraftArm {
    /// As without the experiment.
    Same,
    /// Not shown.
    Nothing,
    /// With other content.
    Content(Vec<DraftContent>),
}

/// What offers are checked against.
pub(super) struct Frame<'f> {
    pub languages: &'f [String],
    pub vocabulary: &'f Vocabulary,
    pub placements: &'f BTreeMap<String, Where>,
    pub never: PurposeSet,
    pub experiments: &'f Known,
}

/// Reads `placements`.
pub(super) fn placements<'a>(
    reader: &mut Reader<'a>,
    workspace: &Fields<'a>,
) -> BTreeMap<String, Where> {
    let mut placements = BTreeMap::new();
    let Some(node) = workspace.get("placements") else { return placements };
    let message = format!("a workspace has at most {} placements", limits::PLACEMENTS);
    let entries = reader.map(node, 0..=limits::PLACEMENTS, "too_many_placements", message);
    let words = [("edge", Where::Edge), ("page", Where::Page)];
    for entry in entries {
        names::check_key(reader, &entry, "a placement");
        let Some(fields) = reader.fields(&entry.node, &["where"]) else { continue };
        let at = match fields.get("where") {
            Some(node) => reader.word(node, "unknown_where", "place", &words),
            None => Some(Where::Edge),
        };
        // A placement with a mistake is still known, so that its uses are not mistakes as well.
        placements.insert(entry.name.to_owned(), at.unwrap_or(Where::Edge));
    }
    placements
}

/// Reads `offers`.
pub(super) fn read<'a>(
    reader: &mut Reader<'a>,
    workspace: &Fields<'a>,
    frame: &Frame<'_>,
    conditions: &mut Conditions<'a>,
) -> Vec<Draft<'a>> {
    let Some(node) = workspace.get("offers") else { return Vec::new() };
    let message = format!("a workspace has at most {} offers", limits::OFFERS);
    let entries = reader.map(node, 0..=limits::OFFERS, "too_many_offers", message);
    let drafts: Vec<Draft<'a>> = entries
        .into_iter()
        .filter_map(|entry| read_one(reader, &entry, frame, conditions))
        .collect();
    if drafts.iter().filter(|draft| draft.budget.is_some()).count() > limits::BUDGETS {
        let message = format!("at most {} offers of a workspace have a budget", limits::BUDGETS);
        reader.note(node, "too_many_budgets", message);
    }
    drafts
}

const FIELDS: [&str; 17] = [
    "placements",
    "when",
    "purpose",
    "assurance",
    "priority",
    "rollout",
    "rank",
    "exclusion",
    "repeats",
    "experiment",
    "variants",
    "caps",
    "coolDown",
    "budget",
    "fallback",
    "schedule",
    "content",
];

const ASSURANCES: [(&str, Assurance); 3] = [
    ("anonymous", Assurance::Anonymous),
    ("recognised", Assurance::Recognised),
    ("authenticated", Assurance::Authenticated),
];

fn read_one<'a>(
    reader: &mut Reader<'a>,
    entry: &Entry<'a>,
    frame: &Frame<'_>,
    conditions: &mut Conditions<'a>,
) -> Option<Draft<'a>> {
    names::check_key(reader, entry, "an offer");
    let fields = reader.fields(&entry.node, &FIELDS)?;
    let purpose = purpose(reader, &fields, frame.never);
    let contextual = purpose.is_none();
    let placements = stands_in(reader, &fields, frame.placements);
    let assurance = fields
        .get("assurance")
        .and_then(|node| reader.word(node, "unknown_assurance", "assurance", &ASSURANCES))
        .unwrap_or_default();
    if contextual && assurance > Assurance::Anonymous {
        contextual_mistake(reader, &fields, "assurance", "asks who the visitor is");
    }
    let bounds = i64::from(i32::MIN)..=i64::from(i32::MAX);
    let priority = fields.get("priority").and_then(|node| reader.whole(node, bounds));
    let caps = fields.get("caps").map(|node| caps(reader, node)).unwrap_or_default();
    if contextual && !caps.is_empty() {
        contextual_mistake(reader, &fields, "caps", "counts what the visitor saw");
    }
    let cool_down_ms = fields.get("coolDown").and_then(|node| names::duration_ms(reader, node));
    if contextual && cool_down_ms.is_some() {
        contextual_mistake(reader, &fields, "coolDown", "remembers what the visitor closed");
    }
    let budget = fields.get("budget").and_then(|node| budgets::read(reader, node, entry.name));
    let fallback =
        fields.get("fallback").and_then(|node| Some((reader.text(node)?.to_owned(), node.clone())));
    let schedule = fields.get("schedule").and_then(|node| schedule::read(reader, node));
    let content = fields
        .need(reader, "content")
        .map(|node| content::read(reader, node, frame.languages, frame.vocabulary, contextual))
        .unwrap_or_default();
    let rank = fields.get("rank").and_then(|node| conditions.number(reader, node));
    let rollout = fields.get("rollout").and_then(|node| rollout(reader, node));
    let exclusion = fields.get("exclusion").and_then(|node| reader.text(node)).map(str::to_owned);
    let repeats = fields.get("repeats").and_then(|node| reader.bool(node)).unwrap_or_default();
    let experiment = in_experiment(reader, &fields, frame, contextual);
    if contextual {
        for (field, does) in [
            ("rank", "may read the profile"),
            ("experiment", "assigns it"),
            ("rollout", "asks for the profile's name"),
        ] {
            contextual_mistake(reader, &fields, field, does);
        }
    }
    // What is shown without consent is the same for everybody: no holdout, since that would be one.
    let holdouts = if contextual { Vec::new() } else { frame.experiments.holdouts_of(entry.name) };
    let rule = match fields.get("when") {
        Some(node) => conditions.condition(reader, node)?,
        None => conditions.always()?,
    };
    Some(Draft {
        key: entry.name.to_owned(),
        placements,
        rule,
        purpose,
        assurance,
        priority: priority.and_then(|number| i32::try_from(number).ok()).unwrap_or_default(),
        rollout,
        schedule,
        caps,
        cool_down_ms,
        budget,
        fallback,
        rank,
        exclusion,
        repeats,
        experiment,
        holdouts,
        content,
    })
}

/// The part of the profiles that may see it: a number from 0 to 1, or the same with a seed.
fn rollout<'a>(reader: &mut Reader<'a>, node: &Node<'a>) -> Option<Rollout> {
    let (coverage, seed) = if node.is_object() {
        let fields = reader.fields(node, &["coverage", "seed"])?;
        let seed = fields.get("seed").and_then(|node| reader.text(node)).map(str::to_owned);
        (fields.need(reader, "coverage")?.clone(), seed)
    } else {
        (node.clone(), None)
    };
    let part = reader.fraction(&coverage)?;
    if part == 0.0 {
        let message = "a rollout of 0 would never show the offer: take the offer out instead";
        reader.note(&coverage, "rollout_of_zero", message);
        return None;
    }
    // The bucket is a whole number of ten thousandths, so `bucket / 10,000 <= part` needs no more.
    let highest = (0..=10_000_u16).rev().find(|step| f64::from(*step) / 10_000.0 <= part)?;
    Some(Rollout { seed, highest, begun: 0 })
}

/// The offer's part in an experiment: `experiment` names it, `variants` says what differs.
fn in_experiment<'a>(
    reader: &mut Reader<'a>,
    fields: &Fields<'a>,
    frame: &Frame<'_>,
    contextual: bool,
) -> Option<(u16, Vec<DraftArm>)> {
    let (name, own) = match (fields.get("experiment"), fields.get("variants")) {
        (Some(name), own) => (name, own),
        (None, Some(own)) => {
            let message = "`variants` belong to an `experiment`, and none is named";
            reader.note(own, "unknown_experiment", message);
            return None;
        }
        (None, None) => return None,
    };
    let text = reader.text(name)?;
    let Some((at, variants)) = frame.experiments.experiments.get(text) else {
        let names = frame.experiments.experiments.keys().map(String::as_str);
        reader.note_unknown(name, "unknown_experiment", "experiment", text, names);
        return None;
    };
    let mut arms: Vec<DraftArm> = variants.iter().map(|_| DraftArm::Same).collect();
    let Some(own) = own else { return Some((*at, arms)) };
    let message = "`variants` says what differs in each of them".to_owned();
    for entry in reader.map(own, 1..=limits::VARIANTS, "bad_variants", message) {
        let place = frame.experiments.find(reader, &entry.node, text, entry.name);
        let arm = if entry.node.is_null() {
            DraftArm::Nothing
        } else {
            let (languages, vocabulary) = (frame.languages, frame.vocabulary);
            DraftArm::Content(content::read(reader, &entry.node, languages, vocabulary, contextual))
        };
        if let Some(slot) = place.and_then(|(_, place)| arms.get_mut(usize::from(place))) {
            *slot = arm;
        }
    }
    Some((*at, arms))
}

/// The purpose that an offer needs; None for a contextual one.
fn purpose<'a>(reader: &mut Reader<'a>, fields: &Fields<'a>, never: PurposeSet) -> Option<Purpose> {
    let Some(node) = fields.get("purpose") else { return Some(Purpose::Personalise) };
    if node.is_null() {
        return None;
    }
    // A wrong word is noted; the strictest reading avoids mistakes that only follow from it.
    let purpose =
        reader.word(node, "unknown_purpose", "purpose", &PURPOSES).unwrap_or(Purpose::Personalise);
    if never.has(purpose) {
        let message = format!(
            "this offer can never be shown: `consent.never` lists the purpose `{}`",
            purpose.word()
        );
        reader.note(node, "purpose_never_used", message);
    }
    Some(purpose)
}

fn contextual_mistake(reader: &mut Reader<'_>, fields: &Fields<'_>, field: &str, does: &str) {
    if let Some(node) = fields.get(field) {
        let message =
            format!("an offer without purpose is shown without consent, but `{field}` {does}");
        reader.note(node, "contextual_reads_profile", message);
    }
}

fn stands_in<'a>(
    reader: &mut Reader<'a>,
    fields: &Fields<'a>,
    known: &BTreeMap<String, Where>,
) -> Vec<String> {
    let Some(node) = fields.need(reader, "placements") else { return Vec::new() };
    let most = limits::PLACEMENTS_PER_OFFER;
    let message = format!("an offer stands in 1 to {most} placements");
    let mut placements = BTreeSet::new();
    for node in &reader.list(node, 1..=most, "bad_placements", message) {
        let Some(name) = reader.text(node) else { continue };
        if !known.contains_key(name) {
            let names = known.keys().map(String::as_str);
            reader.note_unknown(node, "unknown_placement", "placement", name, names);
        } else if !placements.insert(name.to_owned()) {
            let message = format!("the placement `{name}` stands here a second time");
            reader.note(node, "duplicate_entry", message);
        }
    }
    placements.into_iter().collect()
}

const PERS: [(&str, Per); 2] = [("person", Per::Person), ("device", Per::Device)];
const WINDOWS: [(&str, Window); 4] = [
    ("session", Window::Session),
    ("day", Window::Day),
    ("week", Window::Week),
    ("ever", Window::Ever),
];
const CONTACTS: [(&str, Contact); 3] = [
    ("impression", Contact::Impression),
    ("click", Contact::Click),
    ("dismissal", Contact::Dismissal),
];

fn caps<'a>(reader: &mut Reader<'a>, node: &Node<'a>) -> Vec<Cap> {
    let message = format!("an offer has at most {} caps", limits::CAPS);
    let nodes = reader.list(node, 0..=limits::CAPS, "too_many_caps", message);
    nodes.iter().filter_map(|node| cap(reader, node)).collect()
}

fn cap<'a>(reader: &mut Reader<'a>, node: &Node<'a>) -> Option<Cap> {
    let fields = reader.fields(node, &["per", "window", "on", "max"])?;
    let per = fields
        .need(reader, "per")
        .and_then(|node| reader.word(node, "unknown_per", "counting", &PERS));
    let window = fields
        .need(reader, "window")
        .and_then(|node| reader.word(node, "unknown_window", "window", &WINDOWS));
    let on = fields
        .need(reader, "on")
        .and_then(|node| reader.word(node, "unknown_contact", "contact", &CONTACTS));
    let max_node = fields.need(reader, "max")?;
    let highest = i64::try_from(limits::HISTORY_TIMES).unwrap_or(i64::MAX);
    let max = reader.whole(max_node, i64::MIN..=i64::MAX)?;
    if max == 0 {
        let message = "a cap of zero would never show the offer: take the offer out instead";
        reader.note(max_node, "cap_of_zero", message);
        return None;
    }
    if !(1..=highest).contains(&max) {
        let message = format!("a cap is a number from 1 to {highest}, as many as are remembered");
        reader.note(max_node, "out_of_range", message);
        return None;
    }
    Some(Cap { per: per?, window: window?, on: on?, max: u16::try_from(max).ok()? })
}
