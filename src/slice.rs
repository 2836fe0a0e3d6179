//! The slice: what a page may hold to decide by itself. Conditions over anything that is not public
//! come as answers, not as values. It must never hold a value that the workspace does not list as
//! public.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::consent::Effective;
use crate::decide::{self, Decision, Request, Unit, View};
use crate::error::Error;
use crate::ids::DeviceId;
use crate::limits;
use crate::offer::{Assurance, Offer};
use crate::profile::Seen;
use crate::rule::{Facts, RuleId, Scratch, Slot, Truth, Value};
use crate::time::Timestamp;
use crate::workspace::{Where, Workspace};

/// Stands for the device in a slice's contacts: the page learns which contacts were its own, and
/// not the device's id, which its cookie hides from scripts.
const HERE: DeviceId = DeviceId([1; 16]);
/// Stands for every other device.
const ELSEWHERE: DeviceId = DeviceId([0; 16]);

/// A purpose-limited part of one profile, for the page's placements.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slice {
    /// The workspace that it belongs to.
    pub workspace: String,
    /// Not to be used from here on.
    pub expires: Timestamp,
    /// How sure the edge is.
    pub assurance: Assurance,
    /// The consent as it stands.
    pub effective: Effective,
    /// Public values.
    pub values: Vec<(Slot, Value)>,
    /// Answers of the edge to the conditions of the page's offers, by rule, sorted.
    pub answers: Vec<(RuleId, bool)>,
    /// Numbers of the edge for their ranking formulas, by rule, sorted.
    pub scores: Vec<(RuleId, f64)>,
    /// Variants that the edge assigned, by the experiment's index.
    pub variants: Vec<Option<u16>>,
    /// Contacts of the page's offers, for caps.
    pub history: BTreeMap<String, Vec<Seen>>,
    /// Start of the device's session.
    pub session_start: Option<Timestamp>,
}

/// The offers that pages place themselves, each once.
fn page_offers(workspace: &Workspace) -> impl Iterator<Item = &Offer> {
    let mut used = vec![false; workspace.offers.len()];
    let of_pages = workspace.placements.iter().filter(|placement| placement.at == Where::Page);
    for at in of_pages.flat_map(|placement| &placement.offers) {
        if let Some(flag) = usize::try_from(*at).ok().and_then(|at| used.get_mut(at)) {
            *flag = true;
        }
    }
    workspace.offers.iter().zip(used).filter_map(|(offer, used)| used.then_some(offer))
}

impl Slice {
    /// Cuts the slice from the view of a whole profile. Without consent to personalise it holds no
    /// value and no contact, since the view has none.
    pub fn cut(
        workspace: &Workspace,
        view: &mut View<'_>,
        effective: Effective,
        now: Timestamp,
    ) -> Self {
        let mut scratch = Scratch::default();
        scratch.begin();
        let mut answers = Vec::new();
        let mut scores = Vec::new();
        let mut variants = vec![None; workspace.experiments.len()];
        let mut history = BTreeMap::new();
        for offer in page_offers(workspace) {
            if workspace.is_private(offer) {
                let truth = workspace.rules.truth(offer.rule, &view.facts, &mut scratch);
                answers.push((offer.rule, truth == Truth::Match));
                if let Some(rule) = offer.rank {
                    scores.push((rule, view.score(&workspace.rules, offer, &mut scratch)));
                }
            }
            let part = offer.experiment.as_ref().map(|part| part.experiment);
            for index in part.into_iter().chain(offer.holdouts.iter().copied()) {
                if let Some(slot) = variants.get_mut(usize::from(index)) {
                    *slot = view.variant(workspace, index, &mut scratch);
                }
            }
            let allowed = offer.purpose.is_none_or(|purpose| view.allowed.has(purpose));
            if let Some(seen) = view.history.get(&offer.key).filter(|_| allowed) {
                history.insert(offer.key.clone(), veil(seen, view.device));
            }
        }
        answers.sort_unstable();
        answers.dedup();
        scores.sort_by_key(|(rule, _)| *rule);
        Self {
            workspace: workspace.version.clone(),
            expires: now.plus_ms(limits::SLICE_AGE_MS),
            assurance: view.assurance,
            effective,
            values: public_values(workspace, &view.facts),
            answers,
            scores,
            variants,
            history,
            session_start: view.session_start,
        }
    }

    /// The slice's bytes. Errors: `slice_too_large`.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        postcard::to_allocvec(self)
            .map_err(|_| Error::new("slice_too_large", "the slice cannot be written", ""))
    }

    /// Loads a slice. Errors: `bad_slice`.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        postcard::from_bytes(bytes)
            .map_err(|_| Error::new("bad_slice", "these bytes are no slice", ""))
    }

    /// Decides a placement in the page: the same evaluator, the same order. A slice that expired or
    /// belongs to another workspace decides nothing: reason `stale_slice`.
    pub fn decide(
        &self,
        workspace: &Workspace,
        request: &Request,
        now: Timestamp,
        placement: &str,
        taken: &[String],
        trace: bool,
    ) -> Decision {
        let mut facts = Facts::new(&workspace.rules);
        decide::set_request(&mut facts, workspace, request, now);
        for (slot, value) in &self.values {
            facts.set(&workspace.rules, *slot, value);
        }
        let fresh = now < self.expires && self.workspace == workspace.version;
        let view = View {
            facts,
            allowed: self.effective.allowed(),
            assurance: self.assurance,
            history: &self.history,
            device: Some(HERE),
            session_start: self.session_start,
            answers: &self.answers,
            scores: &self.scores,
            unit: Unit::Assigned(&self.variants),
        };
        let mut decision = if fresh {
            decide::decide(workspace, &view, request, now, placement, taken, trace)
        } else {
            decide::decide(workspace, &view, request, now, "", taken, false)
        };
        if !fresh {
            placement.clone_into(&mut decision.placement);
            "stale_slice".clone_into(&mut decision.reason);
        }
        decision
    }
}

fn veil(seen: &[Seen], device: Option<DeviceId>) -> Vec<Seen> {
    let stand_in = |one: &Seen| if Some(one.device) == device { HERE } else { ELSEWHERE };
    seen.iter()
        .map(|one| Seen { device: stand_in(one), key: crate::ids::EventKey([0; 16]), ..*one })
        .collect()
}

fn public_values(workspace: &Workspace, facts: &Facts) -> Vec<(Slot, Value)> {
    let traits = workspace.traits.iter().filter(|decl| decl.public).map(|decl| decl.slot);
    let computed = workspace.computed.iter().filter(|decl| decl.public).map(|decl| decl.slot);
    traits
        .chain(computed)
        .filter_map(|slot| facts.get(slot).map(|value| (slot, value.clone())))
        .collect()
}
