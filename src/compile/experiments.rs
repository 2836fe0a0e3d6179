//! Experiments and holdouts: variants, weights, namespaces, prerequisites. It must never let
//! weights that do not add up pass for equal ones, as a library that runs them would.

use std::collections::{BTreeMap, BTreeSet};

use super::conditions::Conditions;
use super::names;
use super::reader::{Entry, Fields, Node, Reader};
use crate::experiment::{Experiment, Namespace, bucket_ranges};
use crate::limits;

/// Holdouts share the experiments' list; this keeps their names apart.
const HOLDOUT: &str = "holdout.";

/// What offers need to know of experiments.
pub(super) struct Known {
    /// By name: index and variants.
    pub experiments: BTreeMap<String, (u16, Vec<String>)>,
    /// Holdouts: index, and the offers that they hold out; None is all.
    pub holdouts: Vec<(u16, Option<BTreeSet<String>>)>,
}

struct Draft<'a> {
    experiment: Experiment,
    prerequisite: Option<(Node<'a>, String, String)>,
    offers: Option<BTreeSet<String>>,
}

/// Reads `experiments` and `holdouts`; the list is sorted by name.
pub(super) fn read<'a>(
    reader: &mut Reader<'a>,
    workspace: &Fields<'a>,
    conditions: &mut Conditions<'a>,
) -> (Vec<Experiment>, Known) {
    let mut drafts = Vec::new();
    if let Some(node) = workspace.get("experiments") {
        let message = format!("a workspace has at most {} experiments", limits::EXPERIMENTS);
        for entry in reader.map(node, 0..=limits::EXPERIMENTS, "too_many_experiments", message) {
            drafts.extend(read_experiment(reader, &entry, conditions));
        }
    }
    if let Some(node) = workspace.get("holdouts") {
        let message = format!("a workspace has at most {} holdouts", limits::EXPERIMENTS);
        for entry in reader.map(node, 0..=limits::EXPERIMENTS, "too_many_holdouts", message) {
            drafts.extend(read_holdout(reader, &entry, workspace));
        }
    }
    drafts.sort_by(|a, b| a.experiment.name.cmp(&b.experiment.name));
    settle(reader, drafts)
}

fn read_experiment<'a>(
    reader: &mut Reader<'a>,
    entry: &Entry<'a>,
    conditions: &mut Conditions<'a>,
) -> Option<Draft<'a>> {
    const FIELDS: [&str; 7] =
        ["variants", "weights", "coverage", "seed", "when", "namespace", "prerequisite"];
    names::check_key(reader, entry, "an experiment");
    let fields = reader.fields(&entry.node, &FIELDS)?;
    let variants = {
        let node = fields.need(reader, "variants")?;
        variants(reader, node)
    };
    let weights = fields.get("weights").and_then(|node| weights(reader, node, variants.len()));
    let coverage = fields.get("coverage").and_then(|node| reader.fraction(node)).unwrap_or(1.0);
    let seed = fields.get("seed").and_then(|node| reader.text(node)).unwrap_or(entry.name);
    let rule = fields.get("when").and_then(|node| conditions.condition(reader, node));
    let namespace = fields.get("namespace").and_then(|node| namespace(reader, node));
    let prerequisite = fields.get("prerequisite").and_then(|node| prerequisite(reader, node));
    let ranges = bucket_ranges(variants.len(), coverage, weights.as_deref());
    Some(Draft {
        experiment: Experiment {
            name: entry.name.to_owned(),
            seed: seed.to_owned(),
            variants,
            ranges,
            rule,
            namespace,
            prerequisite: None,
            holdout: false,
        },
        prerequisite,
        offers: None,
    })
}

fn variants<'a>(reader: &mut Reader<'a>, node: &Node<'a>) -> Vec<String> {
    let message = format!("an experiment has 2 to {} variants", limits::VARIANTS);
    let mut variants: Vec<String> = Vec::new();
    for node in reader.list(node, 2..=limits::VARIANTS, "bad_variants", message) {
        let Some(name) = reader.text(&node) else { continue };
        if variants.iter().any(|known| known == name) {
            reader.note(&node, "duplicate_entry", format!("the variant `{name}` stands twice"));
        }
        variants.push(name.to_owned());
    }
    variants
}

fn weights<'a>(reader: &mut Reader<'a>, node: &Node<'a>, count: usize) -> Option<Vec<f64>> {
    let message = format!("there are {count} variants, so there are {count} weights");
    let nodes = reader.list(node, count..=count, "bad_weights", message);
    let weights: Vec<f64> = nodes.iter().filter_map(|node| reader.fraction(node)).collect();
    let sum: f64 = weights.iter().sum();
    if weights.len() == count && (sum - 1.0).abs() > 0.001 {
        reader.note(node, "bad_weights", format!("the weights add up to {sum:.3}, not to 1"));
    }
    (weights.len() == count).then_some(weights)
}

fn namespace<'a>(reader: &mut Reader<'a>, node: &Node<'a>) -> Option<Namespace> {
    let fields = reader.fields(node, &["name", "from", "until"])?;
    let name = fields.need(reader, "name").and_then(|node| reader.text(node))?;
    let from = fields.need(reader, "from").and_then(|node| reader.fraction(node))?;
    let until = fields.need(reader, "until").and_then(|node| reader.fraction(node))?;
    if from >= until {
        let message = "this part of the namespace is empty: `from` lies before `until`";
        reader.note(node, "empty_namespace", message);
    }
    Some(Namespace { name: name.to_owned(), range: (from, until) })
}

fn prerequisite<'a>(
    reader: &mut Reader<'a>,
    node: &Node<'a>,
) -> Option<(Node<'a>, String, String)> {
    let fields = reader.fields(node, &["experiment", "variant"])?;
    let experiment = fields.need(reader, "experiment").and_then(|node| reader.text(node))?;
    let variant = fields.need(reader, "variant").and_then(|node| reader.text(node))?;
    Some((node.clone(), experiment.to_owned(), variant.to_owned()))
}

fn read_holdout<'a>(
    reader: &mut Reader<'a>,
    entry: &Entry<'a>,
    workspace: &Fields<'a>,
) -> Option<Draft<'a>> {
    names::check_key(reader, entry, "a holdout");
    let fields = reader.fields(&entry.node, &["share", "seed", "offers"])?;
    let share = fields.need(reader, "share").and_then(|node| reader.fraction(node))?;
    let name = format!("{HOLDOUT}{}", entry.name);
    let seed = fields.get("seed").and_then(|node| reader.text(node)).unwrap_or(&name).to_owned();
    let named = workspace.get("offers").map(Node::names).unwrap_or_default();
    let offers = fields.get("offers").map(|node| {
        let message = "a holdout names the offers that it holds out".to_owned();
        let nodes = reader.list(node, 1..=limits::OFFERS, "bad_offers", message);
        nodes.iter().filter_map(|node| held_out(reader, node, &named)).collect()
    });
    Some(Draft {
        experiment: Experiment {
            name,
            seed,
            variants: vec!["held_out".to_owned(), "shown".to_owned()],
            ranges: bucket_ranges(2, 1.0, Some(&[share, 1.0 - share])),
            rule: None,
            namespace: None,
            prerequisite: None,
            holdout: true,
        },
        prerequisite: None,
        offers,
    })
}

/// An offer that a holdout names. Notes `unknown_offer`.
fn held_out<'a>(
    reader: &mut Reader<'a>,
    node: &Node<'a>,
    named: &BTreeSet<&str>,
) -> Option<String> {
    let key = reader.text(node)?;
    if !named.contains(key) {
        reader.note_unknown(node, "unknown_offer", "offer", key, named.iter().copied());
    }
    Some(key.to_owned())
}

fn settle<'a>(reader: &mut Reader<'a>, drafts: Vec<Draft<'a>>) -> (Vec<Experiment>, Known) {
    let mut known = Known { experiments: BTreeMap::new(), holdouts: Vec::new() };
    for (draft, at) in drafts.iter().zip(0_u16..) {
        if draft.experiment.holdout {
            known.holdouts.push((at, draft.offers.clone()));
        } else {
            let name = draft.experiment.name.clone();
            known.experiments.insert(name, (at, draft.experiment.variants.clone()));
        }
    }
    let mut experiments = Vec::with_capacity(drafts.len());
    let mut asked = Vec::new();
    for draft in drafts {
        let mut experiment = draft.experiment;
        if let Some((node, other, variant)) = draft.prerequisite {
            experiment.prerequisite = known.find(reader, &node, &other, &variant);
            asked.push((node, experiment.prerequisite));
        }
        experiments.push(experiment);
    }
    for (node, first) in asked {
        let mut next = first.map(|(at, _)| at);
        let mut steps = 0_usize;
        while let Some(at) = next {
            next = experiments
                .get(usize::from(at))
                .and_then(|experiment: &Experiment| experiment.prerequisite)
                .map(|(at, _)| at);
            steps = steps.saturating_add(1);
            if steps > limits::PREREQUISITES {
                let message = "prerequisites go in a circle, or in too long a row";
                reader.note(&node, "cyclic_prerequisite", message);
                break;
            }
        }
    }
    (experiments, known)
}

impl Known {
    /// The indices of a variant. Notes `unknown_experiment`, `unknown_variant`.
    pub fn find(
        &self,
        reader: &mut Reader<'_>,
        node: &Node<'_>,
        experiment: &str,
        variant: &str,
    ) -> Option<(u16, u16)> {
        let Some((at, variants)) = self.experiments.get(experiment) else {
            let names = self.experiments.keys().map(String::as_str);
            reader.note_unknown(node, "unknown_experiment", "experiment", experiment, names);
            return None;
        };
        match variants.iter().position(|known| known == variant) {
            Some(place) => Some((*at, u16::try_from(place).ok()?)),
            None => {
                let names = variants.iter().map(String::as_str);
                reader.note_unknown(node, "unknown_variant", "variant", variant, names);
                None
            }
        }
    }

    /// The holdouts of an offer.
    pub fn holdouts_of(&self, offer: &str) -> Vec<u16> {
        let holds = |offers: &Option<BTreeSet<String>>| {
            offers.as_ref().is_none_or(|offers| offers.contains(offer))
        };
        self.holdouts.iter().filter(|(_, offers)| holds(offers)).map(|(at, _)| *at).collect()
    }
}
