//! Offers: content for placements, with schedule, caps and rank. It must never know how an offer is
//! shown, and never let a value become markup: content is typed text and links.

mod content;
mod list;
mod schedule;

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::consent::Purpose;
use crate::experiment::{self, ASSIGNS};
use crate::ids::DeviceId;
use crate::pack::{Pack, Packed, Reader, pack_struct, pack_words};
use crate::profile::{Contact, Seen};
use crate::rule::RuleId;
use crate::time::Timestamp;

pub use content::{Content, Contents, Field, FieldKind, Fields, Part, Template, is_spoken};
pub use list::Offers;
pub(crate) use list::STAY_PACKED;
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

pack_words!(Assurance { Anonymous, Recognised, Authenticated });
pack_words!(Per { Person, Device });
pack_words!(Window { Session, Day, Week, Ever });
pack_struct!(Cap { per, window, on, max });

/// A profile's contacts with offers, by the offer's index.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Contacts {
    /// Each offer, ascending, and where its contacts end.
    ends: Vec<(u32, u32)>,
    seen: Vec<Seen>,
}

impl Contacts {
    /// Adds the contacts with an offer; offers come in ascending order.
    pub fn push(&mut self, offer: u32, seen: impl IntoIterator<Item = Seen>) {
        self.seen.extend(seen);
        self.ends.push((offer, u32::try_from(self.seen.len()).unwrap_or(u32::MAX)));
    }

    /// The contacts with an offer, oldest first.
    pub fn of(&self, offer: u32) -> &[Seen] {
        let Ok(at) = self.ends.binary_search_by_key(&offer, |(offer, _)| *offer) else {
            return &[];
        };
        let end = |at: usize| self.ends.get(at).map_or(0, |(_, end)| *end as usize);
        self.seen.get(at.checked_sub(1).map_or(0, end)..end(at)).unwrap_or(&[])
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }
}

pack_struct!(Contacts { ends, seen });

/// What an offer is in one variant of its experiment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arm {
    /// As it is without the experiment.
    Same,
    /// Not shown: the control that the others are compared with.
    Nothing,
    /// With this content, the default language first.
    Content(Contents),
}

/// The numbers of arms; after the last stand its contents.
const SAME: u8 = 0;
const NOTHING: u8 = 1;
const CONTENT: u8 = 2;

impl Pack for Arm {
    fn pack(&self, out: &mut Vec<u8>) {
        match self {
            Self::Same => out.push(SAME),
            Self::Nothing => out.push(NOTHING),
            Self::Content(contents) => {
                out.push(CONTENT);
                contents.pack(out);
            }
        }
    }

    fn unpack(from: &mut Reader<'_>) -> Self {
        match from.byte() {
            SAME => Self::Same,
            NOTHING => Self::Nothing,
            _ => Self::Content(Pack::unpack(from)),
        }
    }
}

/// An offer's part in an experiment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InExperiment {
    /// Index of the experiment.
    pub experiment: u16,
    /// One [`Arm`] per variant, in the experiment's order.
    arms: Packed,
}

impl InExperiment {
    /// The part with one arm per variant.
    pub fn new(experiment: u16, arms: &Vec<Arm>) -> Self {
        Self { experiment, arms: Packed::new(arms) }
    }
}

pack_struct!(InExperiment { experiment, arms });

/// The part of the profiles that may see an offer, by the experiments' hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rollout {
    /// The hash's seed; None is the offer's key.
    pub seed: Option<String>,
    /// The highest of the ten thousand buckets that may see it, as GrowthBook's `coverage` is read.
    pub highest: u16,
    /// The hash of the seed, by `Offer::opened`.
    pub(crate) begun: u32,
}

impl Pack for Rollout {
    fn pack(&self, out: &mut Vec<u8>) {
        self.seed.pack(out);
        self.highest.pack(out);
    }

    fn unpack(from: &mut Reader<'_>) -> Self {
        Self { seed: Pack::unpack(from), highest: Pack::unpack(from), begun: 0 }
    }
}

/// Content for placements, with eligibility, schedule, caps and rank.
#[derive(Clone, Debug, PartialEq)]
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
    /// The part of the profiles that may see it; None is all.
    pub rollout: Option<Rollout>,
    /// When it may be shown.
    pub(crate) schedule: Packed,
    /// How often.
    pub(crate) caps: Packed,
    /// Not shown again for this long after a dismissal.
    pub cool_down_ms: Option<i64>,
    /// A formula: among offers of equal priority the higher wins. None counts as zero.
    pub rank: Option<RuleId>,
    /// The offer that stands in its place while schedule, caps, cool-down or budget hold it back.
    pub fallback: Option<String>,
    /// Of the offers of one exclusion group a page shows one.
    pub exclusion: Option<String>,
    /// Whether several placements of one page may show it.
    pub repeats: bool,
    /// The experiment that it belongs to.
    pub experiment: Option<InExperiment>,
    /// Holdouts whose members never see it: indices of experiments.
    pub holdouts: Vec<u16>,
    /// What it says, the default language first.
    pub content: Contents,
}

pack_struct!(Offer {
    key,
    rule,
    private,
    purpose,
    assurance,
    priority,
    rollout,
    schedule,
    caps,
    cool_down_ms,
    rank,
    fallback,
    exclusion,
    repeats,
    experiment,
    holdouts,
    content,
});

impl Offer {
    /// Whether a profile is in the part that may see it.
    pub fn reaches(&self, unit: Option<&str>) -> bool {
        let Some(rollout) = &self.rollout else { return true };
        unit.is_some_and(|unit| {
            ASSIGNS && experiment::bucket_behind(rollout.begun, unit) <= u32::from(rollout.highest)
        })
    }

    /// The same with the seed of its rollout hashed, so that no decision has to.
    fn opened(mut self) -> Self {
        if ASSIGNS && let Some(rollout) = &mut self.rollout {
            rollout.begun = experiment::begin(rollout.seed.as_ref().unwrap_or(&self.key));
        }
        self
    }

    /// When it may be shown; None is always.
    pub fn schedule(&self) -> Option<Schedule> {
        self.schedule.get()
    }

    /// Whether its schedule is open.
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.schedule.open().is_none_or(|from| schedule::is_open(from, now))
    }

    /// How often it may be shown.
    pub fn caps(&self) -> Vec<Cap> {
        self.caps.get().unwrap_or_default()
    }

    /// The first cap that is used up, as an index into [`Offer::caps`].
    #[cfg_attr(feature = "server", inline(never))]
    pub fn capped(
        &self,
        seen: &[Seen],
        device: Option<DeviceId>,
        session_start: Option<Timestamp>,
        now: Timestamp,
    ) -> Option<usize> {
        let mut from = self.caps.open()?;
        (0..from.len()).position(|_| {
            let cap = Cap::unpack(&mut from);
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
    #[cfg_attr(feature = "server", inline(never))]
    pub fn cools_down(&self, seen: &[Seen], now: Timestamp) -> bool {
        self.cool_down_ms.is_some_and(|cool_down_ms| {
            seen.iter().any(|one| {
                one.contact == Contact::Dismissal && now.since_ms(one.time) < cool_down_ms
            })
        })
    }

    /// Whether another offer asks for the same before its condition.
    pub(crate) fn has_gate_of(&self, other: &Self) -> bool {
        self.purpose == other.purpose
            && self.assurance == other.assurance
            && self.holdouts == other.holdouts
    }

    /// The same offer for a host that does not show it.
    pub(crate) fn without_contents(&self) -> Self {
        let experiment = self.experiment.as_ref().map(|part| {
            let arms: Vec<Arm> = part.arms.get().unwrap_or_default();
            let arms = arms.into_iter().map(|arm| match arm {
                Arm::Nothing => Arm::Nothing,
                Arm::Same | Arm::Content(_) => Arm::Same,
            });
            InExperiment::new(part.experiment, &arms.collect())
        });
        Self { experiment, content: Contents::default(), ..self.clone() }
    }

    /// Its contents with those of all its variants.
    pub fn all_contents(&self) -> impl Iterator<Item = Contents> {
        let arms = self.experiment.as_ref().and_then(|part| part.arms.get());
        let arms: Vec<Arm> = arms.unwrap_or_default();
        let of_arms = arms.into_iter().filter_map(|arm| match arm {
            Arm::Content(contents) => Some(contents),
            Arm::Same | Arm::Nothing => None,
        });
        of_arms.chain([self.content.clone()])
    }

    /// The content for a variant and a language, by [`Contents::pick`].
    pub fn pick(&self, variant: Option<u16>, language: &str) -> Option<(&str, Fields<'_>)> {
        let (arm, contents) = self.arm(variant);
        content::pick(if arm == CONTENT { contents } else { self.content.packed() }, language)
    }

    /// Whether a variant is the control, which is shown nothing.
    pub fn is_control(&self, variant: Option<u16>) -> bool {
        self.arm(variant).0 == NOTHING
    }

    /// What the offer is in a variant, and with which contents.
    fn arm(&self, variant: Option<u16>) -> (u8, &[u8]) {
        let part = self.experiment.as_ref().and_then(|part| part.arms.open());
        if let Some((mut from, variant)) = part.zip(variant) {
            for at in 0..from.len() {
                let arm = from.byte();
                let contents = if arm == CONTENT { from.bytes() } else { &[] };
                if at == usize::from(variant) {
                    return (arm, contents);
                }
            }
        }
        (SAME, &[])
    }
}
