//! What is no mistake of a workspace and still surprises: it depends on the time, so it is said
//! beside the workspace and changes nothing of it. It must never read a clock.

use serde::{Deserialize, Serialize};

use crate::json::time_text;
use crate::time::Timestamp;
use crate::workspace::Workspace;

/// Something that whoever publishes a workspace ought to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Note {
    /// Stable snake_case code.
    pub code: String,
    /// One sentence, lower-case, without a final period.
    pub message: String,
    /// Where in the workspace: `offers.extension.schedule`.
    pub path: String,
}

/// What there is to know of a workspace that is published at `now`: `schedule_over` of each offer
/// that is never shown again.
pub fn notes(workspace: &Workspace, now: Timestamp) -> Vec<Note> {
    let over = workspace.offers.iter().filter_map(|offer| {
        let until = offer.schedule()?.until.filter(|until| *until <= now)?;
        Some(Note {
            code: "schedule_over".to_owned(),
            message: format!("this schedule was over at {}, so it never starts", time_text(until)),
            path: format!("offers.{}.schedule.until", offer.key),
        })
    });
    over.collect()
}
