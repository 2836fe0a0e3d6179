//! Exposures: which experiments decided what stands in a placement, so that whoever counts them
//! counts the variants alike. An offer's own variant is one; so is the control that kept an offer
//! away which would have won, and the holdout that did. It must never tell of an experiment that
//! made no difference there: its numbers would drown in visitors whom it did not concern.

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

impl Missed {
    /// Whether it would have won against the winner, which has this priority and score. An equal
    /// one came first.
    pub fn outranks(&self, priority: i32, score: f64) -> bool {
        self.priority > priority || (self.priority == priority && self.score >= score)
    }
}

/// The experiments behind a choice, each with its variant, by index.
pub(super) fn of(
    workspace: &Workspace,
    view: &View<'_>,
    chosen: Option<(Chosen, &Offer)>,
    missed: &[Missed],
    scratch: &mut Scratch,
) -> Vec<(u16, u16)> {
    let mut found: Vec<(u16, u16)> =
        missed.iter().map(|one| (one.experiment, one.variant)).collect();
    if let Some((chosen, offer)) = chosen {
        let part = offer.experiment.as_ref().map(|part| part.experiment);
        found.extend(part.zip(chosen.variant));
        for holdout in &offer.holdouts {
            let variant = view.variant(workspace, *holdout, scratch);
            found.extend(variant.map(|variant| (*holdout, variant)));
        }
    }
    found.sort_unstable();
    found.dedup_by_key(|(experiment, _)| *experiment);
    found
}

/// The same by name.
pub(super) fn named(workspace: &Workspace, found: &[(u16, u16)]) -> Vec<Exposure> {
    let named = |(at, variant): &(u16, u16)| {
        let experiment = workspace.experiment(*at)?;
        let variant = experiment.variants.get(usize::from(*variant))?;
        Some(Exposure { experiment: experiment.name.clone(), variant: variant.clone() })
    };
    found.iter().filter_map(named).collect()
}
