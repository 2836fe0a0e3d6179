//! The slice: what a page may hold to decide by itself. Conditions over anything that is not public
//! come as answers, not as values. It must never hold a value that the workspace does not list as
//! public.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::consent::PurposeSet;
use crate::decide::{self, Decision, Request, Unit, View};
use crate::ids::{DeviceId, EventKey};
use crate::limits;
use crate::offer::{Assurance, Contacts};
use crate::pack::{Pack, Reader, pack_struct};
use crate::profile::Seen;
use crate::rule::{Facts, Kind, RuleId, Scratch, Slot, Truth, Value};
use crate::time::Timestamp;
use crate::workspace::Workspace;

/// Version of a slice's bytes; a page that does not know it asks the edge instead.
const SLICE_FORMAT: u16 = 1;
/// Stands for the device in a slice's contacts: the page learns which contacts were its own, and
/// not the device's id, which its cookie hides from scripts.
const HERE: DeviceId = DeviceId([1; 16]);
/// Stands for every other device.
const ELSEWHERE: DeviceId = DeviceId([0; 16]);

/// A purpose-limited part of one profile, for the page's placements. Slots and indices are those
/// of [`Workspace::for_page`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Slice {
    /// The workspace that it belongs to.
    pub workspace: String,
    /// Not to be used from here on.
    pub expires: Timestamp,
    /// How sure the edge is.
    pub assurance: Assurance,
    /// The purposes that are allowed.
    pub allowed: PurposeSet,
    /// Public values, and what the edge answered in place of private conditions and formulas; by
    /// slot, ascending.
    pub values: Vec<(Slot, Value)>,
    /// Variants that the edge assigned, by the experiment's index, sorted.
    pub variants: Vec<(u16, u16)>,
    /// Contacts of the page's offers, for caps.
    pub contacts: Contacts,
    /// Start of the device's session.
    pub session_start: Option<Timestamp>,
    /// Offers whose budget is spent, by index, sorted.
    pub spent: Vec<u32>,
    /// What experiments hash where nobody assigned before; the edge keeps it to itself.
    pub unit: Option<String>,
}

pack_struct!(Slice {
    workspace,
    expires,
    assurance,
    allowed,
    values,
    variants,
    contacts,
    session_start,
    spent,
    unit,
});

impl Slice {
    /// Cuts the slice from the view of a whole profile. Without consent to personalise it holds no
    /// value and no contact, since the view has none.
    pub fn cut(workspace: &Workspace, view: &View<'_>, now: Timestamp) -> Self {
        let mut scratch = Scratch::default();
        scratch.begin();
        let mut values = public_values(workspace, view.facts);
        for (rule, slot, kind) in workspace.answered() {
            values.push((slot, answer(workspace, view, rule, kind, &mut scratch)));
        }
        values.sort_by_key(|(slot, _)| *slot);
        let mut variants = Vec::new();
        let mut contacts = Contacts::default();
        let mut spent = Vec::new();
        let mut life_ms = limits::SLICE_AGE_MS;
        for (offer, at) in workspace.page_offers().into_iter().zip(0_u32..) {
            let part = offer.experiment.as_ref().map(|part| part.experiment);
            for index in part.into_iter().chain(offer.holdouts.iter().copied()) {
                let variant = view.variant(workspace, index, &mut scratch);
                variants.extend(variant.map(|variant| (index, variant)));
            }
            let allowed = offer.purpose.is_none_or(|purpose| view.allowed.has(purpose));
            let known = workspace.offer_at(&offer.key);
            if known.is_some_and(|known| view.spent.binary_search(&known).is_ok()) {
                spent.push(at);
            }
            if workspace.budget(&offer.key).is_some() {
                life_ms = limits::BUDGET_SLICE_MS;
            }
            let known = known.filter(|_| allowed);
            let seen = known.map_or(&[][..], |known| view.contacts.of(known));
            if !seen.is_empty() {
                contacts.push(at, seen.iter().map(|one| veil(one, view.device)));
            }
        }
        variants.sort_unstable();
        variants.dedup();
        Self {
            workspace: workspace.version.clone(),
            expires: now.plus_ms(life_ms),
            assurance: view.assurance,
            allowed: view.allowed,
            values,
            variants,
            contacts,
            session_start: view.session_start,
            spent,
            unit: None,
        }
    }

    /// The slice's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        SLICE_FORMAT.pack(&mut bytes);
        self.pack(&mut bytes);
        bytes
    }

    /// What the bytes of a slice begin with that never expires.
    #[cfg(feature = "keys")]
    pub(crate) fn head(workspace: &Workspace) -> Vec<u8> {
        let mut bytes = Vec::new();
        SLICE_FORMAT.pack(&mut bytes);
        workspace.version.pack(&mut bytes);
        NEVER.pack(&mut bytes);
        bytes
    }

    /// Loads a slice; None of what is none.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut from = Reader::new(bytes);
        if u16::unpack(&mut from) != SLICE_FORMAT {
            return None;
        }
        let slice = Self::unpack(&mut from);
        from.finish(slice)
    }

    /// Decides a placement as a page does: with its part of the workspace, from the slice's bytes.
    pub fn decide(
        &self,
        workspace: &Workspace,
        request: &Request,
        now: Timestamp,
        placement: &str,
        taken: &[String],
        trace: bool,
    ) -> Decision {
        let mut resident = Resident::new(workspace);
        let fresh = resident.read(workspace, &self.to_bytes()) && now < resident.expires;
        let known = if fresh { placement } else { "" };
        decide::set_request(&mut resident.facts, workspace, request, now);
        let view = resident.view();
        let mut decision =
            decide::decide(workspace, &view, request, now, known, taken, trace && fresh);
        if !fresh {
            placement.clone_into(&mut decision.placement);
            STALE.clone_into(&mut decision.reason);
        }
        decision
    }
}

/// A time beyond all others: the last that every host counts exactly, in milliseconds.
#[cfg(feature = "keys")]
const NEVER: Timestamp = Timestamp((1 << 53) - 1);

/// The reason of a decision from a slice that expired, or that belongs to another workspace.
pub const STALE: &str = "stale_slice";

/// A slice as it stays in memory between decisions, its values where conditions find them. It
/// belongs to the workspace that it was made for.
#[derive(Debug, Default)]
pub struct Resident {
    /// Values; the host sets request and time.
    pub facts: Facts,
    /// Not to be used from here on.
    pub expires: Timestamp,
    assurance: Assurance,
    allowed: PurposeSet,
    variants: Vec<(u16, u16)>,
    contacts: Contacts,
    session_start: Option<Timestamp>,
    spent: Vec<u32>,
    unit: Option<String>,
}

impl Resident {
    /// Holds nothing, and allows nothing.
    pub fn new(workspace: &Workspace) -> Self {
        Self { facts: Facts::new(&workspace.rules), ..Self::default() }
    }

    /// Takes a slice in, over what was there. False where the bytes are none, or belong to another
    /// workspace: then it allows nothing.
    pub fn read(&mut self, workspace: &Workspace, bytes: &[u8]) -> bool {
        let mut from = Reader::new(bytes);
        let known = u16::unpack(&mut from) == SLICE_FORMAT && from.text() == workspace.version;
        if !known {
            from.fail();
        }
        self.expires = Pack::unpack(&mut from);
        self.assurance = Pack::unpack(&mut from);
        self.allowed = Pack::unpack(&mut from);
        self.read_values(workspace, &mut from);
        self.variants = Pack::unpack(&mut from);
        self.contacts = Pack::unpack(&mut from);
        self.session_start = Pack::unpack(&mut from);
        self.spent = Pack::unpack(&mut from);
        self.read_unit(&mut from);
        let read = from.finish(()).is_some();
        if !read {
            self.allowed = PurposeSet::NONE;
            self.expires = Timestamp(i64::MIN);
        }
        read
    }

    #[cfg_attr(feature = "server", inline(never))]
    fn read_values(&mut self, workspace: &Workspace, from: &mut Reader<'_>) {
        let rules = &workspace.rules;
        let mut next = 0;
        for _ in 0..from.len() {
            let Slot(slot) = Pack::unpack(from);
            if slot < next {
                return from.fail();
            }
            (next..slot).for_each(|other| self.facts.clear(rules, Slot(other)));
            self.facts.read(rules, Slot(slot), from);
            next = slot.saturating_add(1);
        }
        self.facts.clear_from(rules, next);
    }

    /// Over the memory of the one before.
    fn read_unit(&mut self, from: &mut Reader<'_>) {
        if !bool::unpack(from) {
            self.unit = None;
            return;
        }
        let unit = self.unit.get_or_insert_default();
        unit.clear();
        unit.push_str(from.text());
    }

    /// What a decision looks at.
    pub fn view(&self) -> View<'_> {
        View {
            facts: &self.facts,
            allowed: self.allowed,
            assurance: self.assurance,
            contacts: &self.contacts,
            device: Some(HERE),
            session_start: self.session_start,
            spent: &self.spent,
            unit: Unit { name: self.unit.as_deref(), known: &self.variants },
        }
    }
}

/// What the edge found of a rule that a page does not evaluate. Whoever is not in an offer's
/// rollout is told that its condition does not hold.
fn answer(
    workspace: &Workspace,
    view: &View<'_>,
    rule: RuleId,
    kind: Kind,
    scratch: &mut Scratch,
) -> Value {
    if kind == Kind::Double {
        let score = workspace.rules.value(rule, view.facts, scratch);
        return Value::Double(score.unwrap_or(0.0));
    }
    let holds = workspace.rules.truth(rule, view.facts, scratch) == Truth::Match;
    let reached = || {
        let offer = workspace.offers.iter().find(|offer| offer.rule == rule);
        offer.is_some_and(|offer| offer.reaches(view.unit.name))
    };
    Value::Bool(holds && reached())
}

fn veil(seen: &Seen, device: Option<DeviceId>) -> Seen {
    let device = if Some(seen.device) == device { HERE } else { ELSEWHERE };
    Seen { device, key: EventKey([0; 16]), ..*seen }
}

fn public_values(workspace: &Workspace, facts: &Facts) -> Vec<(Slot, Value)> {
    let traits = workspace.traits.iter().filter(|decl| decl.public).map(|decl| decl.slot);
    let computed = workspace.computed.iter().filter(|decl| decl.public).map(|decl| decl.slot);
    traits
        .chain(computed)
        .filter_map(|slot| facts.get(slot).map(|value| (slot, value.clone())))
        .collect()
}

#[cfg(all(test, feature = "compile"))]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::consent::Purpose;

    const APP: &str = r#"{"format": 1, "languages": ["en"],
        "traits": {"app": {"type": "string", "public": true},
            "on": {"type": "bool", "public": true}},
        "placements": {"tip": {"where": "page"}},
        "offers": {"new": {"placements": ["tip"],
            "when": "semver(profile.app) >= semver('2.9.1')",
            "content": {"en": {"headline": "new"}}}}}"#;

    fn slice(workspace: &Workspace, values: &[(&str, Value)]) -> Vec<u8> {
        let values = values.iter();
        let values =
            values.map(|(path, value)| (workspace.rules.slot(path).unwrap(), value.clone()));
        let slice = Slice {
            workspace: workspace.version.clone(),
            expires: Timestamp(10),
            allowed: PurposeSet::NONE.with(Purpose::Personalise),
            values: values.collect(),
            ..Slice::default()
        };
        slice.to_bytes()
    }

    #[test]
    fn a_slice_takes_the_place_of_the_one_before() {
        let workspace = crate::compile::workspace(APP).unwrap().for_page();
        let mut resident = Resident::new(&workspace);
        let app = |text: &str| ("profile.app", Value::String(text.into()));
        let mut wins = |bytes: &[u8]| {
            assert!(resident.read(&workspace, bytes));
            let view = resident.view();
            let request = Request::default();
            decide::decide(&workspace, &view, &request, Timestamp(1), "tip", &[], false).offer
        };
        // A version is read from its text, whatever else the slice holds or leaves out.
        assert!(wins(&slice(&workspace, &[app("3.0.0")])).is_some());
        assert!(
            wins(&slice(&workspace, &[app("2.0.0"), ("profile.on", Value::Bool(true))])).is_none()
        );
        assert!(wins(&slice(&workspace, &[app("2.10.0")])).is_some());
        assert!(wins(&slice(&workspace, &[])).is_none());
    }

    #[test]
    fn bytes_that_are_no_slice_allow_nothing() {
        let workspace = crate::compile::workspace(APP).unwrap().for_page();
        let bytes = slice(&workspace, &[("profile.app", Value::String("3.0.0".into()))]);
        for end in 0..bytes.len() {
            let mut resident = Resident::new(&workspace);
            assert!(resident.read(&workspace, &bytes));
            assert!(!resident.read(&workspace, bytes.get(..end).unwrap()), "cut at {end}");
            assert_eq!(resident.view().allowed, PurposeSet::NONE);
            assert!(resident.expires < Timestamp(0));
        }
    }
}
