//! What a workspace declares to the central store, so that it can judge what it counts: the shares
//! of experiments, and the budgets of offers. It must never hold a condition or a content: the
//! central store decides no offer.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::{WIRE_VERSION, check_version};
use crate::budget::Budget;
use crate::error::Error;
use crate::limits;
use crate::time::Timestamp;
use crate::workspace::Workspace;

/// `POST /sync/v1/declare`: sent by the edge after each publish, until it is answered. The answer
/// is [`Spent`](crate::budget::Spent).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Declare {
    /// [`WIRE_VERSION`] of the sender.
    pub wire_version: u16,
    /// The workspace's version.
    pub workspace: String,
    /// When it was published: of two declarations the later one stands.
    pub published: Timestamp,
    /// Experiments and holdouts, by name.
    pub experiments: Vec<Shares>,
    /// Budgets, by offer.
    pub budgets: Vec<Budget>,
}

/// The shares that an experiment's variants ought to have among those who take part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Shares {
    /// The experiment's name; that of a holdout begins with `holdout.`.
    pub experiment: String,
    /// Names of its variants.
    pub variants: Vec<String>,
    /// Their weights, which add up to 1.
    pub weights: Vec<f64>,
}

impl Declare {
    /// Checks every bound. Errors: `wire_version`, `too_many_experiments`, `bad_shares`,
    /// `too_many_budgets`, `bad_budget`.
    pub fn check(&self) -> Result<(), Error> {
        check_version(self.wire_version)?;
        if self.experiments.len() > limits::EXPERIMENTS.saturating_mul(2) {
            let message = format!("at most {} experiments are declared", limits::EXPERIMENTS);
            return Err(Error::new("too_many_experiments", message, "experiments"));
        }
        for shares in &self.experiments {
            let sound = |weight: &f64| (0.0..=1.0).contains(weight);
            if shares.variants.len() != shares.weights.len()
                || shares.variants.len() > limits::VARIANTS
                || !shares.weights.iter().all(sound)
            {
                let message = "an experiment has one weight from 0 to 1 for each variant";
                return Err(Error::new("bad_shares", message, "experiments"));
            }
        }
        if self.budgets.len() > limits::BUDGETS {
            let message = format!("at most {} budgets are declared", limits::BUDGETS);
            return Err(Error::new("too_many_budgets", message, "budgets"));
        }
        if self.budgets.iter().any(|budget| budget.max == 0 || budget.offer.is_empty()) {
            let message = "a budget has an offer, and a number of contacts from 1 on";
            return Err(Error::new("bad_budget", message, "budgets"));
        }
        Ok(())
    }

    /// What a workspace declares.
    pub fn of(workspace: &Workspace, published: Timestamp) -> Self {
        let shares = |experiment: &crate::experiment::Experiment| Shares {
            experiment: experiment.name.clone(),
            variants: experiment.variants.clone(),
            weights: experiment.weights(),
        };
        Self {
            wire_version: WIRE_VERSION,
            workspace: workspace.version.clone(),
            published,
            experiments: workspace.experiments.iter().map(shares).collect(),
            budgets: workspace.budgets.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use crate::budget::Spent;
    use crate::wire::Changes;

    #[test]
    fn changes_of_an_older_release_say_nothing_of_spent_offers() {
        let older = r#"{"wireVersion":1,"changes":[],"cursor":7,"more":false}"#;
        let read: Changes = serde_json::from_str(older).unwrap();
        assert_eq!(read.spent, None);
        assert_eq!(serde_json::to_string(&read).unwrap(), older, "and it reads what we write");
        let spent = Spent { offers: [("deal".into(), None)].into(), ..Spent::default() };
        let newer = Changes { spent: Some(spent), ..read };
        let text = serde_json::to_string(&newer).unwrap();
        assert_eq!(serde_json::from_str::<Changes>(&text).unwrap(), newer);
    }
}
