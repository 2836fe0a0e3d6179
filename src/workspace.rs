//! The workspace in its compiled form: one immutable, versioned configuration. Made by `compile`,
//! loaded everywhere without parsing. It must never hold a secret.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::mem::ManuallyDrop;

use serde::{Deserialize, Serialize};

use crate::budget::Budget;
use crate::consent::ConsentSettings;
use crate::error::Error;
use crate::experiment::Experiment;
use crate::ids;
use crate::limits;
use crate::offer::{Offer, Offers};
#[cfg(feature = "keys")]
use crate::pack::put_bytes;
use crate::pack::{Pack, Reader, pack_struct, pack_words};
use crate::profile::Sequence;
use crate::rule::{GroupId, Kind, RuleId, Rules, Slot};

/// Version of the image; a different one is refused, and published anew from the source.
pub const IMAGE_FORMAT: u16 = 5;

/// A declared trait.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TraitDecl {
    /// Its name.
    pub name: String,
    /// What conditions see.
    pub kind: TraitKind,
    /// Whether a page may read it.
    pub public: bool,
    /// Where conditions find it.
    pub slot: Slot,
}

/// The type of a trait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TraitKind {
    /// true, false
    Bool,
    /// 64-bit integer
    Int,
    /// 64-bit floating point
    Double,
    /// text
    String,
    /// RFC 3339 in JSON
    Timestamp,
    /// list of texts
    Strings,
}

/// How a computed trait is derived from a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ComputedKind {
    /// Number of events: int.
    Count,
    /// Sum of a property: double.
    Sum,
    /// The latest value of a property.
    Last,
    /// Time since the latest event: duration.
    Recency,
    /// The least number of a property.
    Min,
    /// The greatest number of a property.
    Max,
    /// The earliest value of a property.
    First,
    /// How many different values of a property: int.
    Distinct,
    /// How many days of UTC in a row, up to today or yesterday: int.
    Streak,
    /// Whether events came in an order: bool.
    Sequence,
}

impl ComputedKind {
    /// The word for it in workspaces, and its function in conditions.
    pub fn word(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Sum => "sum",
            Self::Last => "last",
            Self::Recency => "recency",
            Self::Min => "min",
            Self::Max => "max",
            Self::First => "first",
            Self::Distinct => "distinct",
            Self::Streak => "streak",
            Self::Sequence => "sequence",
        }
    }
}

/// A computed trait, declared by name or implied by a condition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ComputedDecl {
    /// Its name; empty where a condition implied it.
    pub name: String,
    /// How it is derived.
    pub kind: ComputedKind,
    /// Which events; of a sequence, those of its first step.
    pub event: String,
    /// Which property; empty where none is read.
    pub property: String,
    /// The sliding window; None is ever.
    pub window_ms: Option<i64>,
    /// Whether a page may read it.
    pub public: bool,
    /// Where conditions find it.
    pub slot: Slot,
    /// The steps of a sequence.
    pub sequence: Option<Sequence>,
}

impl ComputedDecl {
    /// The metrics that it is derived from: event and property.
    pub fn metrics(&self) -> impl Iterator<Item = (&str, &str)> {
        let own = (self.event.as_str(), self.property.as_str());
        let steps = self.sequence.iter().flat_map(Sequence::metrics);
        self.sequence.is_none().then_some(own).into_iter().chain(steps)
    }

    /// The call of CEL that it stands for.
    fn call(&self) -> String {
        let property = match self.property.as_str() {
            "" => String::new(),
            property => format!(", '{property}'"),
        };
        let units = [(limits::DAY, "days"), (limits::HOUR, "hours"), (1_000, "seconds")];
        let window = self.window_ms.map(|ms| {
            // A day is written as hours(24) as often as not, and reads the same.
            let whole = units.into_iter().find(|(unit, _)| ms % unit == 0 && ms > *unit);
            let (unit, name) = whole.unwrap_or((1, "milliseconds"));
            format!(", {name}({})", ms / unit)
        });
        format!("{}('{}'{property}{})", self.kind.word(), self.event, window.unwrap_or_default())
    }
}

/// A named condition over a profile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Audience {
    /// Its name.
    pub name: String,
    /// Its condition.
    pub rule: RuleId,
    /// Whether entries and exits are told: its condition reads nothing of a request.
    pub kept: bool,
    /// Whether time alone can change who is in it.
    pub timed: bool,
}

/// What the audiences whose entries and exits are told read together: from it follows when time
/// alone may change who is in them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Watch {
    /// Slots that they read.
    pub slots: BTreeSet<Slot>,
    /// Points in time that they name, in milliseconds, ascending.
    pub times: Vec<i64>,
    /// Lengths of time that they name, in milliseconds, ascending.
    pub lengths: Vec<i64>,
    /// Whether they take the time apart: its hour, its day.
    pub is_calendar: bool,
}

/// Where a placement is filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Where {
    /// In the HTML, before it leaves the edge.
    Edge,
    /// In the page, by the same core.
    Page,
}

pack_words!(Where { Edge, Page });

/// A named place where an offer can appear.
#[derive(Clone, Debug, PartialEq)]
pub struct Placement {
    /// Its name.
    pub name: String,
    /// Where it is filled.
    pub at: Where,
    /// Its offers, by rank, as an indexed group of rules.
    pub group: GroupId,
    /// Its offers in the same order: indices into [`Workspace::offers`].
    pub offers: Vec<u32>,
    /// Whether any of them has a ranking formula; else the first match by rank wins.
    pub is_ranked: bool,
    /// The gate of each, in the same order: an index into [`Workspace::gates`].
    pub(crate) gates: Vec<u16>,
}

pack_struct!(Placement { name, at, group, offers, is_ranked, gates });

/// A field of the request that conditions may read.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestField {
    /// Its name, without `request.`.
    pub name: String,
    /// Where conditions find it.
    pub slot: Slot,
}

pack_struct!(RequestField { name, slot });

/// Names of the fields of a request that conditions may read; all are text, empty where unknown.
pub const REQUEST_FIELDS: [&str; 11] = [
    "path",
    "host",
    "language",
    "country",
    "subdivision",
    "device",
    "referrer",
    "utm_source",
    "utm_medium",
    "utm_campaign",
    "query",
];

/// A public key that login tokens are verified with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginKey {
    /// The token's `kid`.
    pub kid: String,
    /// Ed25519 public key.
    pub ed25519: [u8; 32],
}

/// Identity rules.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentitySettings {
    /// Keys of the site's login.
    pub login_keys: Vec<LoginKey>,
    /// Values that never identify anybody, beside the built-in list; normalised.
    pub blocked: Vec<String>,
}

/// One immutable, versioned configuration.
#[derive(Clone, Debug)]
pub struct Workspace {
    /// Content hash of the source: 16 hexadecimal digits.
    pub version: String,
    /// Every condition.
    pub rules: Rules,
    /// Fields of the request that a condition or a content reads.
    pub request: Vec<RequestField>,
    /// Placements, by name.
    pub placements: Vec<Placement>,
    /// Offers, by key.
    pub offers: Offers,
    /// Experiments and holdouts, by name.
    pub experiments: Vec<Experiment>,
    /// What offers ask for before their conditions, alike for many: of each such gate one offer
    /// that has it. Made by [`Workspace::open`].
    pub(crate) gates: Vec<u32>,
    /// Offers that a page does not place itself but may show, by key, each with its exclusion
    /// group; empty but in a page's part.
    pub elsewhere: Vec<(String, String)>,
    /// Declared traits, by name.
    pub traits: Vec<TraitDecl>,
    /// Computed traits, declared and implied.
    pub computed: Vec<ComputedDecl>,
    /// Audiences, by name.
    pub audiences: Vec<Audience>,
    /// What they read together.
    pub watch: Watch,
    /// Languages, the default first.
    pub languages: Vec<String>,
    /// Consent settings.
    pub consent: ConsentSettings,
    /// Identity rules.
    pub identity: IdentitySettings,
    /// Budgets, by offer.
    pub budgets: Vec<Budget>,
}

/// What the image holds for the edge and the central store behind what pages read. Fields are added
/// at its end; a page skips it unread.
#[cfg(feature = "keys")]
type EdgePart = (
    Vec<TraitDecl>,
    Vec<ComputedDecl>,
    Vec<Audience>,
    Vec<String>,
    ConsentSettings,
    IdentitySettings,
    Vec<Budget>,
    Watch,
);

impl Workspace {
    /// Finds the gates. Call it once placements and offers are there.
    #[must_use]
    pub fn open(mut self) -> Self {
        self.gates.clear();
        let mut gate_of = Vec::with_capacity(self.offers.len());
        for (offer, at) in self.offers.iter().zip(0..) {
            let known = self.gates.iter().position(|other| {
                let other = usize::try_from(*other).ok().and_then(|other| self.offers.get(other));
                other.is_some_and(|other| other.has_gate_of(offer))
            });
            let gate = known.unwrap_or(self.gates.len());
            if known.is_none() {
                self.gates.push(at);
            }
            gate_of.push(u16::try_from(gate).unwrap_or(u16::MAX));
        }
        for placement in &mut self.placements {
            let gate = |at: &u32| gate_of.get(usize::try_from(*at).ok()?).copied();
            placement.gates = placement.offers.iter().filter_map(gate).collect();
        }
        self
    }

    /// Whether a page may not evaluate this offer's condition itself: it reads what is not public,
    /// or asks for a name that only the edge knows.
    pub fn is_private(&self, offer: &Offer) -> bool {
        offer.private || offer.rollout.is_some()
    }

    /// The offers that pages place themselves, each once, in the order in which a page holds them.
    pub fn page_offers(&self) -> Vec<&Offer> {
        let mut used = vec![false; self.offers.len()];
        let of_pages = self.placements.iter().filter(|placement| placement.at == Where::Page);
        for at in of_pages.flat_map(|placement| &placement.offers) {
            if let Some(flag) = usize::try_from(*at).ok().and_then(|at| used.get_mut(at)) {
                *flag = true;
            }
        }
        let offers = self.offers.iter().zip(used);
        offers.filter_map(|(offer, used)| used.then_some(offer)).collect()
    }

    /// The rules that a page does not evaluate, each with the slot behind all others where a slice
    /// puts what the edge found: whether an offer's condition holds, what its formula comes to.
    pub fn answered(&self) -> Vec<(RuleId, Slot, Kind)> {
        let private = self.page_offers().into_iter().filter(|offer| self.is_private(offer));
        let rules = private.flat_map(|offer| {
            let rank = offer.rank.map(|rule| (rule, Kind::Double));
            [Some((offer.rule, Kind::Bool)), rank].into_iter().flatten()
        });
        let mut answered: Vec<(RuleId, Slot, Kind)> = Vec::new();
        let mut known = BTreeSet::new();
        for ((rule, kind), slot) in
            rules.filter(|(rule, _)| known.insert(*rule)).zip(self.rules.free_slots())
        {
            answered.push((rule, slot, kind));
        }
        answered
    }

    /// The part that a page may hold: the page's placements and offers, and no declaration of a
    /// trait, an audience or a key. The version stays, since both parts decide alike. Conditions
    /// over what is not public are not in it: the edge answers them in the slice.
    #[must_use]
    pub fn for_page(&self) -> Self {
        let kept = self.page_offers();
        let place = |key: &str| {
            let at = kept.binary_search_by(|offer| offer.key.as_str().cmp(key)).ok()?;
            u32::try_from(at).ok()
        };
        let mut placements: Vec<Placement> =
            self.placements.iter().filter(|one| one.at == Where::Page).cloned().collect();
        for placement in &mut placements {
            let offers = placement.offers.iter();
            let offers = offers.filter_map(|at| self.offers.get(usize::try_from(*at).ok()?));
            placement.offers = offers.filter_map(|offer| place(&offer.key)).collect();
        }
        let groups: Vec<GroupId> = placements.iter().map(|placement| placement.group).collect();
        let mut rules = self.rules.without_spans();
        rules.answer(&self.answered());
        rules.keep_groups(&groups);
        let offers = kept.into_iter().map(|offer| Offer { rollout: None, ..offer.clone() });
        Self {
            offers: offers.collect(),
            elsewhere: self.elsewhere(),
            ..self.with(rules, placements)
        }
        .open()
    }

    /// The offers of the edge alone that exclude an offer of a page.
    fn elsewhere(&self) -> Vec<(String, String)> {
        let here = self.page_offers();
        let groups: BTreeSet<&String> =
            here.iter().filter_map(|offer| offer.exclusion.as_ref()).collect();
        let known = |key: &str| here.binary_search_by(|offer| offer.key.as_str().cmp(key)).is_ok();
        let others = self.offers.iter().filter(|offer| !known(&offer.key));
        others
            .filter_map(|offer| Some((offer.key.clone(), offer.exclusion.clone()?)))
            .filter(|(_, group)| groups.contains(group))
            .collect()
    }

    /// For a server that holds profiles itself and decides on them: every placement, condition and
    /// experiment, and nothing that only the edge needs. What offers say is none of its business.
    #[must_use]
    pub fn for_evaluator(&self) -> Self {
        let mut rules = self.rules.without_spans();
        let groups: Vec<GroupId> =
            self.placements.iter().map(|placement| placement.group).collect();
        rules.keep_groups(&groups);
        rules.hide_unread();
        let offers = self.offers.iter().map(Offer::without_contents).collect();
        Self { offers, ..self.with(rules, self.placements.clone()) }.open()
    }

    fn with(&self, rules: Rules, placements: Vec<Placement>) -> Self {
        Self {
            version: self.version.clone(),
            rules,
            request: self.request.clone(),
            placements,
            offers: Offers::default(),
            experiments: self.experiments.clone(),
            gates: Vec::new(),
            elsewhere: Vec::new(),
            traits: Vec::new(),
            computed: Vec::new(),
            audiences: Vec::new(),
            watch: Watch::default(),
            languages: Vec::new(),
            consent: ConsentSettings::default(),
            identity: IdentitySettings::default(),
            // What a company is ready to spend is nobody's business.
            budgets: Vec::new(),
        }
    }

    /// The image's bytes. Errors: `image_too_large`.
    #[cfg(feature = "keys")]
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let edge: EdgePart = (
            self.traits.clone(),
            self.computed.clone(),
            self.audiences.clone(),
            self.languages.clone(),
            self.consent.clone(),
            self.identity.clone(),
            self.budgets.clone(),
            self.watch.clone(),
        );
        let edge = postcard::to_allocvec(&edge)
            .map_err(|_| Error::new("image_too_large", "the workspace cannot be written", ""))?;
        let mut bytes = Vec::new();
        IMAGE_FORMAT.pack(&mut bytes);
        self.version.pack(&mut bytes);
        self.rules.pack(&mut bytes);
        self.request.pack(&mut bytes);
        self.placements.pack(&mut bytes);
        self.offers.pack(&mut bytes);
        self.experiments.pack(&mut bytes);
        self.gates.pack(&mut bytes);
        self.elsewhere.pack(&mut bytes);
        put_bytes(&mut bytes, &edge);
        Ok(bytes)
    }

    /// Loads an image. Errors: `bad_image`.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        Self::read(bytes)
            .ok_or_else(|| Error::new("bad_image", "these bytes are no workspace image", ""))
    }

    /// Loads an image, where the bytes are one.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let (workspace, whole) = Self::unpack(bytes);
        let mut workspace = ManuallyDrop::into_inner(workspace);
        (whole && workspace.index()).then_some(workspace)
    }

    /// Makes ready what many decisions use: the index, and all offers. False where an offer is not
    /// whole.
    pub fn index(&mut self) -> bool {
        self.rules.index();
        self.offers.unpack_all()
    }

    /// Loads an image into what stays in memory for good, and says whether the bytes were one: the
    /// code that gives a workspace back is no small part of a page's core. There is no index yet,
    /// and where offers stay packed one that is not whole is none: a host that may be asked too
    /// little for more to pay decides by [`decide::try_each`](crate::decide::try_each), until it
    /// calls [`Workspace::index`].
    #[cfg_attr(feature = "server", inline(never))]
    pub fn unpack(bytes: &[u8]) -> (ManuallyDrop<Self>, bool) {
        let mut from = Reader::new(bytes);
        if u16::unpack(&mut from) != IMAGE_FORMAT {
            from.fail();
        }
        let mut workspace = ManuallyDrop::new(Self {
            version: Pack::unpack(&mut from),
            rules: Pack::unpack(&mut from),
            request: Pack::unpack(&mut from),
            placements: Pack::unpack(&mut from),
            offers: Pack::unpack(&mut from),
            experiments: Pack::unpack(&mut from),
            gates: Pack::unpack(&mut from),
            elsewhere: Pack::unpack(&mut from),
            traits: Vec::new(),
            computed: Vec::new(),
            audiences: Vec::new(),
            watch: Watch::default(),
            languages: Vec::new(),
            consent: ConsentSettings::default(),
            identity: IdentitySettings::default(),
            budgets: Vec::new(),
        });
        let edge = from.bytes();
        let known = workspace.read_edge(edge).is_some();
        (workspace, from.finish(known) == Some(true))
    }

    #[cfg(feature = "keys")]
    fn read_edge(&mut self, bytes: &[u8]) -> Option<()> {
        let edge: EdgePart = postcard::from_bytes(bytes).ok()?;
        let (traits, computed, audiences, languages, consent, identity, budgets, watch) = edge;
        (self.traits, self.computed, self.audiences) = (traits, computed, audiences);
        (self.languages, self.consent, self.identity) = (languages, consent, identity);
        (self.budgets, self.watch) = (budgets, watch);
        Some(())
    }

    /// A page has no use for it.
    #[cfg(not(feature = "keys"))]
    fn read_edge(&mut self, _bytes: &[u8]) -> Option<()> {
        Some(())
    }

    /// A placement by name.
    pub fn placement(&self, name: &str) -> Option<&Placement> {
        let at = self.placements.binary_search_by(|p| p.name.as_str().cmp(name)).ok()?;
        self.placements.get(at)
    }

    /// An offer by key.
    pub fn offer(&self, key: &str) -> Option<&Offer> {
        self.offers.get(usize::try_from(self.offer_at(key)?).ok()?)
    }

    /// The index of an offer.
    pub fn offer_at(&self, key: &str) -> Option<u32> {
        u32::try_from(self.offers.position(key)?).ok()
    }

    /// The index of an offer that a page shows: those that are placed elsewhere come after the
    /// workspace's own.
    pub fn shown_at(&self, key: &str) -> Option<u32> {
        self.offer_at(key).or_else(|| {
            let at = self.elsewhere.iter().position(|(other, _)| other == key)?;
            u32::try_from(self.offers.len().saturating_add(at)).ok()
        })
    }

    /// The exclusion group of an offer that a page shows, by [`Workspace::shown_at`].
    pub fn exclusion_at(&self, at: u32) -> Option<&String> {
        let at = usize::try_from(at).ok()?;
        match self.offers.get(at) {
            Some(offer) => offer.exclusion.as_ref(),
            None => {
                let (_, group) = self.elsewhere.get(at.checked_sub(self.offers.len())?)?;
                Some(group)
            }
        }
    }

    /// The budget of an offer.
    pub fn budget(&self, offer: &str) -> Option<&Budget> {
        let at = self.budgets.binary_search_by(|one| one.offer.as_str().cmp(offer)).ok()?;
        self.budgets.get(at)
    }

    /// An experiment by index.
    pub fn experiment(&self, index: u16) -> Option<&Experiment> {
        self.experiments.get(usize::from(index))
    }

    /// The index of an experiment.
    pub fn experiment_at(&self, name: &str) -> Option<u16> {
        let at = self.experiments.binary_search_by(|one| one.name.as_str().cmp(name)).ok()?;
        u16::try_from(at).ok()
    }

    /// How people call what a slot holds: `profile.tier`, or the call that implied it.
    pub fn label(&self, slot: Slot) -> String {
        let mut implied = self.computed.iter().filter(|decl| decl.name.is_empty());
        match implied.find(|decl| decl.slot == slot) {
            Some(decl) => decl.call(),
            None => self.rules.path(slot).unwrap_or_default().to_owned(),
        }
    }

    /// A declared trait by name.
    pub fn trait_decl(&self, name: &str) -> Option<&TraitDecl> {
        let at = self.traits.binary_search_by(|t| t.name.as_str().cmp(name)).ok()?;
        self.traits.get(at)
    }

    /// A version for a source's hash.
    pub fn version_of(hash: &[u8]) -> String {
        ids::hex(hash.split_at_checked(8).map_or(hash, |(head, _)| head))
    }
}
