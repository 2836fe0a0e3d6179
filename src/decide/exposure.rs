//! Exposures: which experiments decided what stands in a placement, so that whoever counts them
//! counts the variants alike. An offer's own variant is one; so is the control that kept an offer
//! away which would have won, and the holdout that did. It must never tell of an experiment that
//! made no difference there: its numbers would drown in visitors whom it did not concern.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::{Chosen, View};
use crate::offer::Offer;
use crate::rule::Scratch;
use crate::workspace::Workspace;

/// An experiment that decided about a placement, and its variant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Exposure {
    /// The experiment's name; that of a holdout begins with `holdout.`.
    pub experiment: String,
    /// The variant's name.
    pub variant: String,
}

/// An offer that its experiment or a holdout kept away, and how it ranks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Missed {
    pub experiment: u16,
    pub variant: u16,
    pub priority: i32,
    pub score: f64,
}

/// Those of one choice.
#[derive(Debug, Default)]
pub(super) struct AllMissed {
    pub all: Vec<Missed>,
    /// The priority and score of the winner, where there is one.
    pub winner: Option<(i32, f64)>,
}

impl AllMissed {
    /// Whether it would have won against the winner. An equal one came first.
    fn outranks(&self, one: &Missed) -> bool {
        self.winner.is_none_or(|(priority, score)| {
            one.priority > priority || (one.priority == priority && one.score >= score)
        })
    }
}

/// The experiments behind a choice, each with its variant, by index.
pub(super) fn of(
    workspace: &Workspace,
    view: &View<'_>,
    chosen: Option<(Chosen, &Offer)>,
    missed: &AllMissed,
    scratch: &mut Scratch,
) -> Vec<(u16, u16)> {
    let mut found = Vec::new();
    for one in &missed.all {
        if missed.outranks(one) {
            add(&mut found, one.experiment, Some(one.variant));
        }
    }
    if let Some((chosen, offer)) = chosen {
        if let Some(part) = &offer.experiment {
            add(&mut found, part.experiment, chosen.variant);
        }
        for holdout in &offer.holdouts {
            add(&mut found, *holdout, view.variant(workspace, *holdout, scratch));
        }
    }
    found
}

/// Adds an experiment where it stands in order; of two variants the first counts.
fn add(found: &mut Vec<(u16, u16)>, experiment: u16, variant: Option<u16>) {
    let Some(variant) = variant else { return };
    let one = (experiment, variant);
    let at = found.iter().position(|known| known.0 >= experiment).unwrap_or(found.len());
    match found.get_mut(at) {
        Some(known) if known.0 == experiment => *known = one.min(*known),
        _ => found.insert(at, one),
    }
}

/// The same by name.
pub(super) fn named(workspace: &Workspace, found: &[(u16, u16)]) -> Vec<Exposure> {
    let names = found.iter().filter_map(|one| exposure_names(workspace, *one));
    names
        .map(|(experiment, variant)| Exposure {
            experiment: experiment.to_owned(),
            variant: variant.to_owned(),
        })
        .collect()
}

/// The name of an experiment, and that of a variant of it, by index.
pub fn exposure_names(workspace: &Workspace, (at, variant): (u16, u16)) -> Option<(&str, &str)> {
    let experiment = workspace.experiment(at)?;
    Some((&experiment.name, experiment.variants.get(usize::from(variant))?))
}
