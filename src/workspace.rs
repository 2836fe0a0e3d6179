//! The workspace in its compiled form: one immutable, versioned configuration. Made by `compile`,
//! loaded everywhere without parsing. It must never hold a secret.

use serde::{Deserialize, Serialize};

use crate::consent::ConsentSettings;
use crate::error::Error;
use crate::experiment::Experiment;
use crate::ids;
use crate::offer::Offer;
use crate::rule::{GroupId, RuleId, Rules, Slot};

/// Version of the image; a different one is refused, and published anew from the source.
pub const IMAGE_FORMAT: u16 = 2;

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
}

/// A computed trait, declared by name or implied by a condition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ComputedDecl {
    /// Its name; empty where a condition implied it.
    pub name: String,
    /// How it is derived.
    pub kind: ComputedKind,
    /// Which events.
    pub event: String,
    /// Which property; empty where none is read.
    pub property: String,
    /// The sliding window; None is ever.
    pub window_ms: Option<i64>,
    /// Whether a page may read it.
    pub public: bool,
    /// Where conditions find it.
    pub slot: Slot,
}

/// A named condition over a profile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Audience {
    /// Its name.
    pub name: String,
    /// Its condition.
    pub rule: RuleId,
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

/// A named place where an offer can appear.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
}

/// A field of the request that conditions may read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RequestField {
    /// Its name, without `request.`.
    pub name: String,
    /// Where conditions find it.
    pub slot: Slot,
}

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
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Workspace {
    /// [`IMAGE_FORMAT`].
    pub format: u16,
    /// Content hash of the source: 16 hexadecimal digits.
    pub version: String,
    /// Every condition.
    pub rules: Rules,
    /// Declared traits, by name.
    pub traits: Vec<TraitDecl>,
    /// Computed traits, declared and implied.
    pub computed: Vec<ComputedDecl>,
    /// Fields of the request.
    pub request: Vec<RequestField>,
    /// Audiences, by name.
    pub audiences: Vec<Audience>,
    /// Placements, by name.
    pub placements: Vec<Placement>,
    /// Offers, by key.
    pub offers: Vec<Offer>,
    /// Experiments and holdouts, by name.
    pub experiments: Vec<Experiment>,
    /// Languages, the default first.
    pub languages: Vec<String>,
    /// Consent settings.
    pub consent: ConsentSettings,
    /// Identity rules.
    pub identity: IdentitySettings,
    /// The index of the offer behind each rule, by the rule's number; made by
    /// [`Workspace::index`]. Rules that are no offer's hold a number that is no offer's.
    #[serde(skip)]
    pub(crate) by_rule: Vec<u32>,
}

impl Workspace {
    /// Makes the tables that the image leaves out. Call it once after filling the public fields.
    #[must_use]
    pub fn index(mut self) -> Self {
        let place = |offer: &Offer| usize::try_from(offer.rule.0).unwrap_or_default();
        let len = self.offers.iter().map(|offer| place(offer).saturating_add(1)).max();
        self.by_rule = vec![u32::MAX; len.unwrap_or_default().min(self.rules.count())];
        for (offer, at) in self.offers.iter().zip(0..) {
            if let Some(slot) = self.by_rule.get_mut(place(offer)) {
                *slot = at;
            }
        }
        self
    }

    /// The offer whose eligibility is this rule. Each offer has a rule of its own.
    pub fn offer_of(&self, rule: RuleId) -> Option<&Offer> {
        let at = *self.by_rule.get(usize::try_from(rule.0).ok()?)?;
        self.offers.get(usize::try_from(at).ok()?)
    }

    /// Whether a page may not evaluate this offer's condition itself: it reads what is not public.
    pub fn is_private(&self, offer: &Offer) -> bool {
        offer.private
    }

    /// The part that a page may hold: the page's placements and offers, public traits, and no
    /// identity rules. The version stays, since both parts decide alike. Conditions stay whole: an
    /// offer's private condition is answered by the edge and never evaluated in the page.
    #[must_use]
    pub fn for_page(&self) -> Self {
        let mut placements: Vec<Placement> =
            self.placements.iter().filter(|one| one.at == Where::Page).cloned().collect();
        let mut moved: Vec<Option<u32>> = vec![None; self.offers.len()];
        let mut offers = Vec::new();
        for (at, offer) in self.offers.iter().enumerate() {
            let here = |placement: &Placement| {
                placement.offers.iter().any(|known| usize::try_from(*known) == Ok(at))
            };
            if placements.iter().any(here)
                && let Some(slot) = moved.get_mut(at)
            {
                *slot = u32::try_from(offers.len()).ok();
                offers.push(offer.clone());
            }
        }
        let to_new = |old: &u32| *moved.get(usize::try_from(*old).ok()?)?;
        for placement in &mut placements {
            placement.offers = placement.offers.iter().filter_map(to_new).collect();
        }
        Self {
            format: self.format,
            version: self.version.clone(),
            rules: self.rules.clone().without_spans(),
            traits: self.traits.iter().filter(|decl| decl.public).cloned().collect(),
            computed: self.computed.iter().filter(|decl| decl.public).cloned().collect(),
            request: self.request.clone(),
            audiences: Vec::new(),
            placements,
            offers,
            experiments: self.experiments.clone(),
            languages: self.languages.clone(),
            consent: self.consent.clone(),
            identity: IdentitySettings::default(),
            by_rule: Vec::new(),
        }
        .index()
    }

    /// The image's bytes. Errors: `image_too_large`.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        postcard::to_allocvec(self)
            .map_err(|_| Error::new("image_too_large", "the workspace cannot be written", ""))
    }

    /// Loads an image. Errors: `bad_image`.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let bad = || Error::new("bad_image", "these bytes are no workspace image", "");
        let workspace: Self = postcard::from_bytes(bytes).map_err(|_| bad())?;
        if workspace.format == IMAGE_FORMAT { Ok(workspace.index()) } else { Err(bad()) }
    }

    /// A placement by name.
    pub fn placement(&self, name: &str) -> Option<&Placement> {
        let at = self.placements.binary_search_by(|p| p.name.as_str().cmp(name)).ok()?;
        self.placements.get(at)
    }

    /// An offer by key.
    pub fn offer(&self, key: &str) -> Option<&Offer> {
        let at = self.offers.binary_search_by(|offer| offer.key.as_str().cmp(key)).ok()?;
        self.offers.get(at)
    }

    /// An experiment by index.
    pub fn experiment(&self, index: u16) -> Option<&Experiment> {
        self.experiments.get(usize::from(index))
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
