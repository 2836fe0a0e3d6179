//! Offers: content for placements, with schedule, caps and rank. It must never know how an offer is
//! shown, and never let a value become markup: content is typed text and links.

mod schedule;

use serde::{Deserialize, Serialize};

use crate::consent::Purpose;
use crate::ids::DeviceId;
use crate::profile::{Contact, Seen};
use crate::rule::{RuleId, Slot};
use crate::time::Timestamp;

pub use schedule::{Schedule, WeeklyWindow};

/// How sure we are of who is in front of the screen.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Assurance {
    /// Nobody that we know.
    #[default]
    Anonymous,
    /// This device was linked before, and did not log out.
    Recognised,
    /// Proved in this session.
    Authenticated,
}

impl Assurance {
    /// The word for it in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Recognised => "recognised",
            Self::Authenticated => "authenticated",
        }
    }
}

/// Whose contacts a cap counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    /// All devices of the profile.
    Person,
    /// This device.
    Device,
}

/// Over which time a cap counts. Days and weeks slide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// Since the device's session began.
    Session,
    /// The last 24 hours.
    Day,
    /// The last seven days.
    Week,
    /// Ever.
    Ever,
}

/// A bound on how often an offer is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cap {
    /// Whose contacts.
    pub per: Per,
    /// Over which time.
    pub window: Window,
    /// Which contacts.
    pub on: Contact,
    /// At this many the offer is no longer shown.
    pub max: u16,
}

impl Cap {
    /// The cap in words, after its number.
    pub fn sentence(&self) -> &'static str {
        match (self.per, self.window) {
            (Per::Person, Window::Session) => "for this person in this session",
            (Per::Person, Window::Day) => "for this person in 24 hours",
            (Per::Person, Window::Week) => "for this person in seven days",
            (Per::Person, Window::Ever) => "for this person",
            (Per::Device, Window::Session) => "on this device in this session",
            (Per::Device, Window::Day) => "on this device in 24 hours",
            (Per::Device, Window::Week) => "on this device in seven days",
            (Per::Device, Window::Ever) => "on this device",
        }
    }
}

/// A piece of a text field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Part {
    /// Text as it stands.
    Text(String),
    /// The value of a public trait; where it is missing, the text after `|`.
    Value(Slot, String),
}

/// A text with places for values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template(pub Vec<Part>);

/// What a content field may hold; it decides how the value is escaped where it lands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum FieldKind {
    /// Text, never markup.
    Text,
    /// A path on this site, or an https address on an allowed host; checked when published.
    Link,
    /// The same for an image.
    Image,
}

/// One field of an offer's content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// `headline`, `body`, `cta`, `href`, ...
    pub name: String,
    /// What it may hold.
    pub kind: FieldKind,
    /// Its text.
    pub text: Template,
}

/// Content in one language.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// Language tag, lower-case.
    pub language: String,
    /// Fields, in the order of the source.
    pub fields: Vec<Field>,
}

/// What an offer is in one variant of its experiment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Arm {
    /// As it is without the experiment.
    Same,
    /// Not shown: the control that the others are compared with.
    Nothing,
    /// With this content, the default language first.
    Content(Vec<Content>),
}

/// An offer's part in an experiment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InExperiment {
    /// Index of the experiment.
    pub experiment: u16,
    /// One per variant, in the experiment's order.
    pub arms: Vec<Arm>,
}

/// Content for placements, with eligibility, schedule, caps and rank.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Offer {
    /// Its key.
    pub key: String,
    /// Eligibility; no two offers share a rule.
    pub rule: RuleId,
    /// Whether the rule reads anything that a page may not: then the edge answers it for the slice.
    pub private: bool,
    /// What personal data it uses; None for a contextual offer, which uses none.
    pub purpose: Option<Purpose>,
    /// How sure we must be.
    pub assurance: Assurance,
    /// The higher wins; equal ones go by key.
    pub priority: i32,
    /// When it may be shown.
    pub schedule: Option<Schedule>,
    /// How often.
    pub caps: Vec<Cap>,
    /// Not shown again for this long after a dismissal.
    pub cool_down_ms: Option<i64>,
    /// A formula: among offers of equal priority the higher wins. None counts as zero.
    pub rank: Option<RuleId>,
    /// Of the offers of one exclusion group a page shows one.
    pub exclusion: Option<String>,
    /// Whether several placements of one page may show it.
    pub repeats: bool,
    /// The experiment that it belongs to.
    pub experiment: Option<InExperiment>,
    /// Holdouts whose members never see it: indices of experiments.
    pub holdouts: Vec<u16>,
    /// What it says, the default language first.
    pub content: Vec<Content>,
}

impl Offer {
    /// The first cap that is used up, as an index into [`Offer::caps`].
    pub fn capped(
        &self,
        seen: &[Seen],
        device: Option<DeviceId>,
        session_start: Option<Timestamp>,
        now: Timestamp,
    ) -> Option<usize> {
        self.caps.iter().position(|cap| {
            let from = match cap.window {
                Window::Session => session_start.unwrap_or(now),
                Window::Day => now.plus_ms(-crate::limits::DAY),
                Window::Week => now.plus_ms(-7 * crate::limits::DAY),
                Window::Ever => Timestamp(i64::MIN),
            };
            let count = seen
                .iter()
                .filter(|one| one.contact == cap.on && one.time >= from)
                .filter(|one| cap.per == Per::Person || Some(one.device) == device)
                .count();
            count >= usize::from(cap.max)
        })
    }

    /// Whether a dismissal still keeps it away.
    pub fn cools_down(&self, seen: &[Seen], now: Timestamp) -> bool {
        self.cool_down_ms.is_some_and(|cool_down_ms| {
            seen.iter().any(|one| {
                one.contact == Contact::Dismissal && now.since_ms(one.time) < cool_down_ms
            })
        })
    }

    /// The content for a variant and a language: the exact tag, then its first part, then the
    /// default.
    pub fn content_for(&self, variant: Option<u16>, language: &str) -> Option<&Content> {
        let contents = match self.arm(variant) {
            Some(Arm::Content(contents)) => contents,
            _ => &self.content,
        };
        let wanted = language.to_ascii_lowercase();
        let short = wanted.split('-').next().unwrap_or_default();
        let find = |tag: &str| contents.iter().find(|content| content.language == tag);
        find(&wanted).or_else(|| find(short)).or_else(|| contents.first())
    }

    /// What the offer is in a variant.
    pub fn arm(&self, variant: Option<u16>) -> Option<&Arm> {
        self.experiment.as_ref()?.arms.get(usize::from(variant?))
    }
}
