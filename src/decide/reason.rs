//! Reasons: why an offer won or lost, as stable codes and as sentences. It must never hold a value
//! of the profile.

use alloc::borrow::ToOwned;
use alloc::string::String;

use super::{OfferTrace, View};
use crate::offer::Offer;
use crate::rule::{self, Slot};
use crate::workspace::Workspace;

/// Why an offer won or lost; the first step that it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// It is shown.
    Won,
    /// It would be, but for a better one.
    Outranked,
    /// Its purpose is not allowed.
    NoConsent,
    /// It needs to be surer of who it is.
    AssuranceTooLow,
    /// Its condition is false.
    NotEligible,
    /// Its condition reads what is not known.
    Missing(Slot),
    /// Its condition has no value.
    Failed(rule::Code),
    /// The profile is not in the part that may see it.
    NotRolledOut,
    /// Not now.
    OutOfSchedule,
    /// Dismissed a short while ago.
    CoolingDown,
    /// Shown often enough.
    Capped(usize),
    /// All people together saw it often enough.
    BudgetSpent,
    /// Another placement of the page has it.
    OnPageAlready,
    /// The page shows another offer of its exclusion group.
    Excluded,
    /// The profile is held out.
    HeldOut,
    /// Its experiment shows this profile nothing.
    ControlVariant,
}

impl Code {
    /// Whether the offer was meant for this visitor, but not now or not again: then its fallback
    /// stands in for it.
    pub fn holds_back(self) -> bool {
        matches!(
            self,
            Self::OutOfSchedule | Self::CoolingDown | Self::Capped(_) | Self::BudgetSpent
        )
    }

    /// The stable words, by their numbers; new ones come last.
    pub const WORDS: [&'static str; 16] = [
        "won",
        "outranked",
        "no_consent",
        "assurance_too_low",
        "not_eligible",
        "missing_trait",
        "condition_failed",
        "out_of_schedule",
        "cooling_down",
        "capped",
        "on_page_already",
        "excluded",
        "held_out",
        "control_variant",
        "not_rolled_out",
        "budget_spent",
    ];

    /// The words of those that a condition gives.
    pub const CONDITION_WORDS: [&'static str; 3] =
        ["not_eligible", "missing_trait", "condition_failed"];

    /// The number of its word, and of what it is about: a slot, a failure, a cap.
    pub fn parts(self) -> (u8, u32) {
        let about = |number: usize| u32::try_from(number).unwrap_or(0);
        match self {
            Self::Won => (0, 0),
            Self::Outranked => (1, 0),
            Self::NoConsent => (2, 0),
            Self::AssuranceTooLow => (3, 0),
            Self::NotEligible => (4, 0),
            Self::Missing(slot) => (5, about(slot.0.into())),
            Self::Failed(code) => (6, about(code as usize)),
            Self::OutOfSchedule => (7, 0),
            Self::CoolingDown => (8, 0),
            Self::Capped(cap) => (9, about(cap)),
            Self::OnPageAlready => (10, 0),
            Self::Excluded => (11, 0),
            Self::HeldOut => (12, 0),
            Self::ControlVariant => (13, 0),
            Self::NotRolledOut => (14, 0),
            Self::BudgetSpent => (15, 0),
        }
    }

    /// Whether it is the same in every placement of a page, and nothing stands in for the offer.
    pub(super) fn is_settled(self) -> bool {
        matches!(
            self,
            Self::NoConsent
                | Self::AssuranceTooLow
                | Self::NotEligible
                | Self::Missing(_)
                | Self::Failed(_)
                | Self::NotRolledOut
        )
    }

    /// The code of these parts.
    pub fn from_parts(word: u8, about: u32) -> Self {
        match word {
            0 => Self::Won,
            1 => Self::Outranked,
            2 => Self::NoConsent,
            3 => Self::AssuranceTooLow,
            5 => Self::Missing(Slot(u16::try_from(about).unwrap_or(u16::MAX))),
            6 => Self::Failed(rule::Code::from_number(about)),
            7 => Self::OutOfSchedule,
            8 => Self::CoolingDown,
            9 => Self::Capped(usize::try_from(about).unwrap_or(usize::MAX)),
            10 => Self::OnPageAlready,
            11 => Self::Excluded,
            12 => Self::HeldOut,
            13 => Self::ControlVariant,
            14 => Self::NotRolledOut,
            15 => Self::BudgetSpent,
            _ => Self::NotEligible,
        }
    }

    /// The stable word.
    pub fn as_str(self) -> &'static str {
        Self::word(self.parts().0)
    }

    /// The stable word of a number.
    pub(super) fn word(number: u8) -> &'static str {
        Self::WORDS.get(usize::from(number)).copied().unwrap_or_default()
    }
}

/// The line of a trace.
pub(super) fn trace(
    workspace: &Workspace,
    view: &View<'_>,
    offer: &Offer,
    code: Code,
    winner: Option<&Offer>,
) -> OfferTrace {
    OfferTrace {
        offer: offer.key.clone(),
        code: code.as_str().to_owned(),
        sentence: sentence(workspace, view, offer, code, winner),
    }
}

/// Pages explain by code; the sentences stay out of their Wasm.
#[cfg(not(feature = "json"))]
fn sentence(_: &Workspace, _: &View<'_>, _: &Offer, _: Code, _: Option<&Offer>) -> String {
    String::new()
}

#[cfg(feature = "json")]
fn sentence(
    workspace: &Workspace,
    view: &View<'_>,
    offer: &Offer,
    code: Code,
    winner: Option<&Offer>,
) -> String {
    let better = winner.map_or("", |winner| winner.key.as_str());
    match code {
        Code::Won => "it is the first offer by rank that passes every step".to_owned(),
        Code::Outranked => format!("it passes every step, but `{better}` ranks before it"),
        Code::NoConsent => {
            let purpose = offer.purpose.map_or("", crate::consent::Purpose::word);
            format!("it needs consent to `{purpose}`, which is not given")
        }
        Code::AssuranceTooLow => format!(
            "it asks for assurance `{}`, and this visitor is `{}`",
            offer.assurance.word(),
            view.assurance.word()
        ),
        Code::NotEligible => "its condition is false".to_owned(),
        Code::Missing(slot) => format!(
            "its condition reads `{}`, of which nothing is known",
            workspace.rules.path(slot).unwrap_or("a value")
        ),
        Code::Failed(code) => format!("its condition has no value: {}", code.as_str()),
        Code::NotRolledOut => "its rollout does not reach this profile".to_owned(),
        Code::OutOfSchedule => "its schedule is closed now".to_owned(),
        Code::CoolingDown => "it was dismissed a short while ago".to_owned(),
        Code::Capped(at) => match offer.caps().get(at) {
            Some(cap) => format!("it reached its cap of {} {}", cap.max, cap.sentence()),
            None => "it reached a cap".to_owned(),
        },
        Code::BudgetSpent => match workspace.budget(&offer.key) {
            Some(budget) => {
                format!("its budget of {} {} is spent", budget.max, budget.sentence())
            }
            None => "its budget is spent".to_owned(),
        },
        Code::OnPageAlready => "another placement of this page shows it".to_owned(),
        Code::Excluded => "the page shows another offer of its exclusion group".to_owned(),
        Code::HeldOut => "this profile is held out, to measure what offers do".to_owned(),
        Code::ControlVariant => {
            "its experiment shows this profile nothing, to compare with".to_owned()
        }
    }
}
