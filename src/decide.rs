//! The order of a decision: consent, assurance, eligibility (audiences and conditions), schedule,
//! caps, budget, rank, content; each step leaves a reason code. It must never store anything and
//! never read a clock. The edge decides from a profile, the page from a slice; both come through
//! [`decide`].

mod case;
mod content;
mod exposure;
mod reason;
mod trace;

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::consent::{Permit, Personalise, Profiling, PurposeSet};
use crate::experiment::ASSIGNS;
use crate::ids::{DeviceId, EventKey, hex};
use crate::limits;
use crate::offer::{Assurance, Contacts, FieldKind, Offer};
use crate::profile::{Aggregate, Assignment, Days, Distinct, Profile, metric_key};
use crate::rule::{Facts, Rules, Scratch, Slot, Truth, Value};
use crate::time::Timestamp;
use crate::workspace::{ComputedDecl, ComputedKind, Placement, Workspace};

use case::{Case, Met};
use exposure::AllMissed;

pub use content::fill;
pub use exposure::{Exposure, exposure_names};
pub use reason::Code;
pub use trace::Trace;

/// Experiments that may stand in a row of prerequisites; circles are refused when published.
const PREREQUISITES: usize = limits::PREREQUISITES;

/// The request's fields that conditions may read: names from `workspace::REQUEST_FIELDS`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Request(pub BTreeMap<String, String>);

impl Request {
    fn language(&self) -> &str {
        self.0.get("language").map_or("", String::as_str)
    }
}

/// The answer for one placement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// Which placement.
    pub placement: String,
    /// The winner's key; None is an answer, not an error.
    pub offer: Option<String>,
    /// The winner's variant.
    pub variant: Option<String>,
    /// Stable code: `won`, `no_offer`, `unknown_placement`.
    pub reason: String,
    /// Names this decision in impressions and clicks: a hash of workspace, placement, offer, time.
    pub decision: String,
    /// The content, values filled in, nothing escaped yet.
    pub content: Vec<ContentField>,
    /// The language of the content.
    pub language: String,
    /// The workspace's version.
    pub workspace: String,
    /// The experiments that decided what stands there.
    pub exposures: Vec<Exposure>,
    /// Why each offer won or lost, where asked for.
    pub trace: Vec<OfferTrace>,
}

/// A field of a decided content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct ContentField {
    /// Its name.
    pub name: String,
    /// How to place it.
    pub kind: FieldKind,
    /// Its text, values filled in.
    pub text: String,
}

/// Why an offer won or lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct OfferTrace {
    /// Which offer.
    pub offer: String,
    /// Stable code.
    pub code: String,
    /// The same as a sentence; empty in pages.
    pub sentence: String,
}

/// All that a decision looks at.
pub struct View<'a> {
    /// Values for conditions; of a profile only what a permit let in.
    pub facts: &'a Facts,
    /// Purposes that are allowed now.
    pub allowed: PurposeSet,
    /// How sure we are.
    pub assurance: Assurance,
    /// Contacts with offers.
    pub contacts: &'a Contacts,
    /// The device, for caps.
    pub device: Option<DeviceId>,
    /// When its session began.
    pub session_start: Option<Timestamp>,
    /// Offers whose budget is spent, by index, sorted.
    pub spent: &'a [u32],
    /// Whom experiments assign.
    pub unit: Unit<'a>,
}

/// Whom experiments assign, and what is settled.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unit<'a> {
    /// What is hashed; without it nothing new is assigned.
    pub name: Option<&'a str>,
    /// Variants that stand, by the experiment's index, sorted.
    pub known: &'a [(u16, u16)],
}

impl View<'_> {
    /// The variant of an experiment, by index; None where it does not take part.
    pub fn variant(&self, workspace: &Workspace, index: u16, scratch: &mut Scratch) -> Option<u16> {
        self.variant_in(workspace, index, scratch, PREREQUISITES)
    }

    fn variant_in(
        &self,
        workspace: &Workspace,
        index: u16,
        scratch: &mut Scratch,
        depth: usize,
    ) -> Option<u16> {
        let known = self.unit.known;
        if let Ok(at) = known.binary_search_by_key(&index, |(experiment, _)| *experiment) {
            return known.get(at).map(|(_, variant)| *variant);
        }
        let unit = self.unit.name.filter(|_| ASSIGNS)?;
        let experiment = workspace.experiment(index)?;
        if let Some((other, wanted)) = experiment.prerequisite {
            let depth = depth.checked_sub(1)?;
            if self.variant_in(workspace, other, scratch, depth) != Some(wanted) {
                return None;
            }
        }
        let takes_part = experiment
            .rule
            .is_none_or(|rule| workspace.rules.truth(rule, self.facts, scratch) == Truth::Match);
        if takes_part { experiment.variant_of(unit) } else { None }
    }

    /// What a ranking formula comes to; what has no value counts as zero.
    pub fn score(&self, rules: &Rules, offer: &Offer, scratch: &mut Scratch) -> f64 {
        let Some(rule) = offer.rank else { return 0.0 };
        rules.value(rule, self.facts, scratch).unwrap_or(0.0)
    }
}

/// The facts of a decision: request and time always, the profile only under a permit.
pub fn facts(
    workspace: &Workspace,
    permit: Option<Permit<'_, Personalise>>,
    profile: &Profile,
    request: &Request,
    now: Timestamp,
) -> Facts {
    let rules = &workspace.rules;
    let mut facts = Facts::new(rules);
    set_request(&mut facts, workspace, request, now);
    if let Some(permit) = permit {
        set_profile(&mut facts, workspace, permit, profile, now);
    }
    facts
}

/// Sets what the request and the clock say.
pub fn set_request(facts: &mut Facts, workspace: &Workspace, request: &Request, now: Timestamp) {
    set_fields(facts, workspace, now, |name| request.0.get(name).map_or("", String::as_str));
}

/// The same of a request whose fields are found by name; what is unknown is an empty text.
pub fn set_fields<'r>(
    facts: &mut Facts,
    workspace: &Workspace,
    now: Timestamp,
    find: impl Fn(&str) -> &'r str,
) {
    facts.set_now(&workspace.rules, now.0);
    for field in &workspace.request {
        facts.set_text(&workspace.rules, field.slot, find(&field.name));
    }
}

/// The facts of audiences without a decision: the time, and of the profile what those read that
/// read no request. Nothing is chosen from them, so the permit to profile is enough.
pub fn audience_facts(
    workspace: &Workspace,
    _permit: Permit<'_, Profiling>,
    profile: &Profile,
    now: Timestamp,
) -> Facts {
    let mut facts = Facts::new(&workspace.rules);
    facts.set_now(&workspace.rules, now.0);
    set_known(&mut facts, workspace, profile, now, |slot| workspace.watch.slots.contains(&slot));
    facts
}

/// Sets what the profile says.
pub fn set_profile(
    facts: &mut Facts,
    workspace: &Workspace,
    _permit: Permit<'_, Personalise>,
    profile: &Profile,
    now: Timestamp,
) {
    set_known(facts, workspace, profile, now, |_| true);
}

/// Sets once more what is computed of a profile that did not change since [`set_profile`]: time
/// alone changes that.
pub fn set_computed(
    facts: &mut Facts,
    workspace: &Workspace,
    _permit: Permit<'_, Personalise>,
    profile: &Profile,
    now: Timestamp,
) {
    set_all_computed(facts, workspace, profile, now, |_| true);
}

fn set_known(
    facts: &mut Facts,
    workspace: &Workspace,
    profile: &Profile,
    now: Timestamp,
    wanted: impl Fn(Slot) -> bool,
) {
    let rules = &workspace.rules;
    for decl in workspace.traits.iter().filter(|decl| wanted(decl.slot)) {
        if let Some(value) = profile.traits.get(&decl.name).and_then(|known| known.value.as_ref()) {
            facts.set(rules, decl.slot, value);
        }
    }
    set_all_computed(facts, workspace, profile, now, wanted);
}

fn set_all_computed(
    facts: &mut Facts,
    workspace: &Workspace,
    profile: &Profile,
    now: Timestamp,
    wanted: impl Fn(Slot) -> bool,
) {
    let rules = &workspace.rules;
    for decl in workspace.computed.iter().filter(|decl| wanted(decl.slot)) {
        match computed(decl, profile, now) {
            Some(value) => facts.set(rules, decl.slot, &value),
            None => facts.clear(rules, decl.slot),
        }
    }
}

/// A computed trait of a profile now. Counts and sums of nothing are zero; the last of nothing, and
/// the time since nothing, are missing.
pub fn computed(decl: &ComputedDecl, profile: &Profile, now: Timestamp) -> Option<Value> {
    let metric = metric_key(&decl.event, &decl.property);
    let from = decl.window_ms.map(|window_ms| now.plus_ms(-window_ms));
    let series = || profile.series.values().filter_map(|metrics| metrics.get(&metric));
    match decl.kind {
        ComputedKind::Distinct => {
            let mut found = Distinct::default();
            series().for_each(|one| found.join(&one.distinct(from, now)));
            return Some(Value::Int(found.count()));
        }
        ComputedKind::Streak => {
            let mut days = Days::default();
            series().for_each(|one| days.join(&one.days(now)));
            return Some(Value::Int(days.streak(from, now)));
        }
        ComputedKind::Sequence => {
            return Some(Value::Bool(decl.sequence.as_ref()?.holds(profile, now)));
        }
        _ => {}
    }
    let mut total = Aggregate::default();
    series().for_each(|one| total.plus(&one.aggregate(from, now)));
    match decl.kind {
        ComputedKind::Count => Some(Value::Int(i64::try_from(total.count).unwrap_or(i64::MAX))),
        ComputedKind::Sum => Some(Value::Double(total.sum)),
        ComputedKind::Last => total.last.and_then(|(_, value)| value),
        ComputedKind::Recency => total.last.map(|(time, _)| Value::Duration(now.since_ms(time))),
        ComputedKind::Min => total.least,
        ComputedKind::Max => total.greatest,
        ComputedKind::First => total.first_value,
        ComputedKind::Distinct | ComputedKind::Streak | ComputedKind::Sequence => None,
    }
}

/// The variant that a unit sees of an experiment, outside of a decision.
pub fn variant(
    workspace: &Workspace,
    facts: &Facts,
    unit: Unit<'_>,
    experiment: u16,
) -> Option<u16> {
    let mut scratch = Scratch::default();
    scratch.begin();
    let view = View {
        facts,
        allowed: PurposeSet::NONE,
        assurance: Assurance::Anonymous,
        contacts: &Contacts::default(),
        device: None,
        session_start: None,
        spent: &[],
        unit,
    };
    view.variant(workspace, experiment, &mut scratch)
}

/// A profile's assignments by the experiment's index, sorted.
pub fn settled(
    workspace: &Workspace,
    assignments: &BTreeMap<String, Assignment>,
) -> Vec<(u16, u16)> {
    let known = assignments.iter().filter_map(|(name, one)| {
        let at = workspace.experiment_at(name)?;
        // A variant that the workspace no longer has binds nobody.
        Some((at, workspace.experiment(at)?.variant_at(&one.variant)?))
    });
    known.collect()
}

/// The audiences that the view is in, by name.
pub fn audiences(workspace: &Workspace, view: &View<'_>) -> Vec<String> {
    let mut scratch = Scratch::default();
    scratch.begin();
    let rules = &workspace.rules;
    workspace
        .audiences
        .iter()
        .filter(|audience| rules.truth(audience.rule, view.facts, &mut scratch) == Truth::Match)
        .map(|audience| audience.name.clone())
        .collect()
}

/// What decisions find out and use again; it belongs to one workspace.
#[derive(Debug, Default)]
pub struct Work {
    /// Counts pages.
    page: u32,
    scratch: Scratch,
    missed: AllMissed,
    met: Met,
}

impl Work {
    /// Begins a page: call it whenever facts changed.
    pub fn begin(&mut self) {
        self.page = self.page.wrapping_add(1);
        self.scratch.begin();
        self.missed.all.clear();
        self.met.forget();
    }

    /// What the page took so far.
    #[cfg(feature = "replay")]
    pub fn tally(&self) -> &crate::rule::Tally {
        self.scratch.tally()
    }
}

/// What won a placement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// Index of the offer.
    pub offer: u32,
    /// Index of its experiment's variant, where it takes part in one.
    pub variant: Option<u16>,
}

/// Who wins a placement. `taken` are offers, by index, that the page shows already; placements of
/// one page are asked for with one view and one `now`, so that what the first found out serves the
/// next. Nothing is allocated once `work` has seen a page. [`Work::begin`] goes before.
#[cfg_attr(feature = "server", inline(never))]
pub fn choose(
    workspace: &Workspace,
    view: &View<'_>,
    now: Timestamp,
    placement: &Placement,
    taken: &[u32],
    work: &mut Work,
) -> Option<Chosen> {
    let Work { scratch, missed, met, .. } = work;
    missed.all.clear();
    Case { workspace, view, now, taken, missed }.first(placement, scratch, Some(met))
}

/// The same, and why each offer of the placement, by rank, won or lost.
#[cfg_attr(feature = "server", inline(never))]
pub fn choose_and_trace(
    workspace: &Workspace,
    view: &View<'_>,
    now: Timestamp,
    placement: &Placement,
    taken: &[u32],
    work: &mut Work,
    trace: &mut Trace,
) -> Option<Chosen> {
    let Work { page, scratch, missed, met } = work;
    missed.all.clear();
    // It searches by itself, from the start.
    met.forget();
    let mut case = Case { workspace, view, now, taken, missed };
    case.all(*page, placement, scratch, trace)
}

/// The winner of a placement by itself: nothing is kept for others of the page.
pub fn choose_alone(
    workspace: &Workspace,
    view: &View<'_>,
    now: Timestamp,
    placement: &Placement,
    taken: &[u32],
    work: &mut Work,
) -> Option<Chosen> {
    let Work { scratch, missed, .. } = work;
    missed.all.clear();
    Case { workspace, view, now, taken, missed }.first(placement, scratch, None)
}

/// Both without an index, by trying each offer: the same answers, for pages that explain themselves
/// and for processes that may be asked too little for an index to pay.
pub fn try_each(
    workspace: &Workspace,
    view: &View<'_>,
    now: Timestamp,
    placement: &Placement,
    taken: &[u32],
    work: &mut Work,
    trace: Option<&mut Trace>,
) -> Option<Chosen> {
    let Work { scratch, missed, .. } = work;
    missed.all.clear();
    let mut case = Case { workspace, view, now, taken, missed };
    match trace {
        Some(trace) => case.each_and_trace(placement, scratch, trace),
        None => case.each(placement, scratch),
    }
}

/// The experiments that decided the choice just made with `work`, each with its variant, by index.
pub fn exposed(
    workspace: &Workspace,
    view: &View<'_>,
    chosen: Option<Chosen>,
    work: &mut Work,
) -> Vec<(u16, u16)> {
    let shown = chosen.and_then(|chosen| Some((chosen, offer(workspace, chosen.offer)?)));
    exposure::of(workspace, view, shown, &work.missed, &mut work.scratch)
}

/// Decides one placement. `taken` are offers that the page shows already.
pub fn decide(
    workspace: &Workspace,
    view: &View<'_>,
    request: &Request,
    now: Timestamp,
    placement: &str,
    taken: &[String],
    trace: bool,
) -> Decision {
    let mut work = Work::default();
    work.begin();
    let mut taken = taken.iter().filter_map(|key| workspace.shown_at(key)).collect();
    Question { workspace, view, request, now, trace }.decide(placement, &mut taken, &mut work)
}

/// What is asked about the placements of one page, one after the other.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    /// Under which workspace.
    pub workspace: &'a Workspace,
    /// For whom.
    pub view: &'a View<'a>,
    /// The request's fields.
    pub request: &'a Request,
    /// When.
    pub now: Timestamp,
    /// Whether to say why every loser lost.
    pub trace: bool,
}

impl Question<'_> {
    /// Decides one placement, and adds the winner to those that are `taken`, by index.
    /// [`Work::begin`] goes before a page.
    pub fn decide(&self, placement: &str, taken: &mut Vec<u32>, work: &mut Work) -> Decision {
        let Self { workspace, view, request, now, trace } = *self;
        let mut decision = Decision {
            placement: placement.to_owned(),
            offer: None,
            variant: None,
            reason: "no_offer".to_owned(),
            decision: String::new(),
            content: Vec::new(),
            language: String::new(),
            workspace: workspace.version.clone(),
            exposures: Vec::new(),
            trace: Vec::new(),
        };
        let Some(known) = workspace.placement(placement) else {
            "unknown_placement".clone_into(&mut decision.reason);
            return decision;
        };
        let mut codes = Trace::default();
        let chosen = if trace {
            choose_and_trace(workspace, view, now, known, taken, work, &mut codes)
        } else {
            choose(workspace, view, now, known, taken, work)
        };
        let winner = chosen.and_then(|chosen| offer(workspace, chosen.offer));
        for (at, code) in known.offers.iter().zip(codes.codes()) {
            if let Some(offer) = offer(workspace, *at) {
                decision.trace.push(reason::trace(workspace, view, offer, code, winner));
            }
        }
        let exposed = exposed(workspace, view, chosen, work);
        decision.exposures = exposure::named(workspace, &exposed);
        if let (Some(offer), Some(chosen)) = (winner, chosen) {
            taken.push(chosen.offer);
            "won".clone_into(&mut decision.reason);
            decision.decision = name(workspace, placement, &offer.key, now);
            decision.offer = Some(offer.key.clone());
            decision.variant = variant_name(workspace, offer, chosen.variant).map(str::to_owned);
            if let Some((language, fields)) = offer.pick(chosen.variant, request.language()) {
                language.clone_into(&mut decision.language);
                fill(fields, view.facts, |name, kind, text| {
                    decision.content.push(ContentField { name: name.to_owned(), kind, text });
                });
            }
        }
        decision
    }
}

fn offer(workspace: &Workspace, at: u32) -> Option<&Offer> {
    workspace.offers.get(usize::try_from(at).ok()?)
}

/// The name of an offer's variant.
pub fn variant_name<'w>(
    workspace: &'w Workspace,
    offer: &Offer,
    variant: Option<u16>,
) -> Option<&'w str> {
    let experiment = workspace.experiment(offer.experiment.as_ref()?.experiment)?;
    experiment.variants.get(usize::from(variant?)).map(String::as_str)
}

/// A decision's id: what was decided, when. It names nobody.
pub fn name(workspace: &Workspace, placement: &str, offer: &str, now: Timestamp) -> String {
    let time = hex(&now.0.to_be_bytes());
    let end = "\u{1f}";
    let parts = [&workspace.version, end, placement, end, offer, end, &time];
    hex(&EventKey::of_parts(&parts).0)
}
