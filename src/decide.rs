//! The order of a decision: consent, assurance, eligibility (audiences and conditions), schedule,
//! caps, rank, content; each step leaves a reason code. It must never store anything and never read
//! a clock. The edge decides from a profile, the page from a slice; both come through [`decide`].

mod content;
mod reason;

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use crate::consent::{Permit, Personalise, PurposeSet};
use crate::ids::{DeviceId, EventKey, hex};
use crate::limits;
use crate::offer::{Arm, Assurance, FieldKind, Offer};
use crate::profile::{Aggregate, Assignment, Profile, Seen, metric_key};
use crate::rule::{Facts, RuleId, Rules, Scratch, Truth, Value};
use crate::time::Timestamp;
use crate::workspace::{ComputedDecl, ComputedKind, Placement, Workspace};

pub use reason::Code;

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
    pub facts: Facts,
    /// Purposes that are allowed now.
    pub allowed: PurposeSet,
    /// How sure we are.
    pub assurance: Assurance,
    /// Contacts per offer.
    pub history: &'a BTreeMap<String, Vec<Seen>>,
    /// The device, for caps.
    pub device: Option<DeviceId>,
    /// When its session began.
    pub session_start: Option<Timestamp>,
    /// Answers that the edge gave in place of private values, by rule, sorted; empty at the edge.
    pub answers: &'a [(RuleId, bool)],
    /// Numbers that it gave in place of private formulas, by rule, sorted; empty at the edge.
    pub scores: &'a [(RuleId, f64)],
    /// Whom experiments assign.
    pub unit: Unit<'a>,
}

/// Whom experiments assign, and how.
#[derive(Clone, Copy)]
pub enum Unit<'a> {
    /// Nobody that is known: no experiment takes part.
    Nobody,
    /// A profile, by its name; what it was assigned before stands.
    Profile(&'a str, &'a BTreeMap<String, Assignment>),
    /// As the edge assigned: the variant of each experiment, by index.
    Assigned(&'a [Option<u16>]),
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
        let experiment = workspace.experiment(index)?;
        let (unit, known) = match self.unit {
            Unit::Nobody => return None,
            Unit::Assigned(variants) => return *variants.get(usize::from(index))?,
            Unit::Profile(unit, known) => (unit, known),
        };
        // A variant that the workspace no longer has binds nobody.
        let stands =
            known.get(&experiment.name).and_then(|one| experiment.variant_at(&one.variant));
        if stands.is_some() {
            return stands;
        }
        if let Some((other, wanted)) = experiment.prerequisite {
            let depth = depth.checked_sub(1)?;
            if self.variant_in(workspace, other, scratch, depth) != Some(wanted) {
                return None;
            }
        }
        let takes_part = experiment
            .rule
            .is_none_or(|rule| self.truth(&workspace.rules, rule, scratch) == Truth::Match);
        if takes_part { experiment.variant_of(unit) } else { None }
    }

    /// What a ranking formula comes to; what has no value counts as zero.
    pub fn score(&self, rules: &Rules, offer: &Offer, scratch: &mut Scratch) -> f64 {
        let Some(rule) = offer.rank else { return 0.0 };
        match self.scores.binary_search_by_key(&rule, |(known, _)| *known) {
            Ok(at) => self.scores.get(at).map_or(0.0, |(_, score)| *score),
            Err(_) => rules.value(rule, &self.facts, scratch).unwrap_or(0.0),
        }
    }

    /// What a condition comes to.
    fn truth(&self, rules: &Rules, rule: RuleId, scratch: &mut Scratch) -> Truth {
        match self.answers.binary_search_by_key(&rule, |(known, _)| *known) {
            Ok(at) => match self.answers.get(at) {
                Some((_, true)) => Truth::Match,
                _ => Truth::NoMatch,
            },
            Err(_) => rules.truth(rule, &self.facts, scratch),
        }
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
    facts.set_now(&workspace.rules, now.0);
    for field in &workspace.request {
        let text = request.0.get(&field.name).map_or("", String::as_str);
        facts.set_text(&workspace.rules, field.slot, text);
    }
}

/// Sets what the profile says.
pub fn set_profile(
    facts: &mut Facts,
    workspace: &Workspace,
    _permit: Permit<'_, Personalise>,
    profile: &Profile,
    now: Timestamp,
) {
    let rules = &workspace.rules;
    for decl in &workspace.traits {
        if let Some(value) = profile.traits.get(&decl.name).and_then(|known| known.value.as_ref()) {
            facts.set(rules, decl.slot, value);
        }
    }
    for decl in &workspace.computed {
        if let Some(value) = computed(decl, profile, now) {
            facts.set(rules, decl.slot, &value);
        }
    }
}

/// A computed trait of a profile now. Counts and sums of nothing are zero; the last of nothing, and
/// the time since nothing, are missing.
pub fn computed(decl: &ComputedDecl, profile: &Profile, now: Timestamp) -> Option<Value> {
    let metric = metric_key(&decl.event, &decl.property);
    let from = decl.window_ms.map(|window_ms| now.plus_ms(-window_ms));
    let mut total = Aggregate::default();
    for metrics in profile.series.values() {
        if let Some(series) = metrics.get(&metric) {
            total.plus(&series.aggregate(from, now));
        }
    }
    match decl.kind {
        ComputedKind::Count => Some(Value::Int(i64::try_from(total.count).unwrap_or(i64::MAX))),
        ComputedKind::Sum => Some(Value::Double(total.sum)),
        ComputedKind::Last => total.last.and_then(|(_, value)| value),
        ComputedKind::Recency => total.last.map(|(time, _)| Value::Duration(now.since_ms(time))),
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
        facts: facts.clone(),
        allowed: PurposeSet::NONE,
        assurance: Assurance::Anonymous,
        history: &BTreeMap::new(),
        device: None,
        session_start: None,
        answers: &[],
        scores: &[],
        unit,
    };
    view.variant(workspace, experiment, &mut scratch)
}

/// The audiences that the view is in, by name.
pub fn audiences(workspace: &Workspace, view: &mut View<'_>) -> Vec<String> {
    let mut scratch = Scratch::default();
    scratch.begin();
    workspace
        .audiences
        .iter()
        .filter(|audience| {
            view.truth(&workspace.rules, audience.rule, &mut scratch) == Truth::Match
        })
        .map(|audience| audience.name.clone())
        .collect()
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
    let mut decision = Decision {
        placement: placement.to_owned(),
        offer: None,
        variant: None,
        reason: "no_offer".to_owned(),
        decision: String::new(),
        content: Vec::new(),
        language: String::new(),
        workspace: workspace.version.clone(),
        trace: Vec::new(),
    };
    let Some(known) = workspace.placement(placement) else {
        "unknown_placement".clone_into(&mut decision.reason);
        return decision;
    };
    let mut scratch = Scratch::default();
    scratch.begin();
    let mut case = Case { workspace, view, now, taken, scratch };
    let winner = if trace { case.all(known, &mut decision.trace) } else { case.first(known) };
    if let Some((offer, variant)) = winner {
        "won".clone_into(&mut decision.reason);
        decision.decision = name(workspace, placement, &offer.key, now);
        decision.offer = Some(offer.key.clone());
        decision.variant = variant_name(workspace, offer, variant);
        if let Some(content) = offer.content_for(variant, request.language()) {
            decision.language.clone_from(&content.language);
            decision.content = content::fill(content, &view.facts);
        }
    }
    decision
}

fn variant_name(workspace: &Workspace, offer: &Offer, variant: Option<u16>) -> Option<String> {
    let experiment = workspace.experiment(offer.experiment.as_ref()?.experiment)?;
    experiment.variants.get(usize::from(variant?)).cloned()
}

/// A decision's id: what was decided, when. It names nobody.
fn name(workspace: &Workspace, placement: &str, offer: &str, now: Timestamp) -> String {
    let mut text = String::with_capacity(96);
    for part in [workspace.version.as_str(), placement, offer] {
        text.push_str(part);
        text.push('\u{1f}');
    }
    text.push_str(&hex(&now.0.to_be_bytes()));
    hex(&EventKey::of(&text).0)
}

/// One placement being decided.
struct Case<'a, 'v> {
    workspace: &'a Workspace,
    view: &'a View<'v>,
    now: Timestamp,
    taken: &'a [String],
    scratch: Scratch,
}

type Winner<'a> = (&'a Offer, Option<u16>);

impl<'a> Case<'a, '_> {
    /// The winner alone, found through the index.
    fn first(&mut self, placement: &'a Placement) -> Option<Winner<'a>> {
        let workspace = self.workspace;
        let mut best = Best::default();
        if !self.view.answers.is_empty() {
            for offer in offers(workspace, placement) {
                if best.is_beyond(offer) {
                    break;
                }
                if let (Code::Won, variant) = self.judge(offer, true) {
                    best.meet(offer, variant, self.view, &workspace.rules, &mut self.scratch);
                }
            }
            return best.winner;
        }
        let mut search = core::mem::take(&mut self.scratch);
        self.scratch.begin();
        let facts = &self.view.facts;
        workspace.rules.matching(placement.group, facts, &mut search, |rule| {
            let Some(offer) = workspace.offer_of(rule) else { return ControlFlow::Continue(()) };
            if best.is_beyond(offer) {
                return ControlFlow::Break(());
            }
            if let (Code::Won, variant) = self.judge(offer, false) {
                best.meet(offer, variant, self.view, &workspace.rules, &mut self.scratch);
            }
            // Where the rank is static, the first that passes is the winner.
            match best.winner {
                Some((offer, _)) if offer.rank.is_none() && !best.is_tied(workspace, placement) => {
                    ControlFlow::Break(())
                }
                _ => ControlFlow::Continue(()),
            }
        });
        best.winner
    }

    /// The winner, and why every offer won or lost.
    fn all(&mut self, placement: &'a Placement, trace: &mut Vec<OfferTrace>) -> Option<Winner<'a>> {
        let mut best = Best::default();
        let mut codes = Vec::new();
        for offer in offers(self.workspace, placement) {
            let (code, variant) = self.judge(offer, true);
            if code == Code::Won && !best.is_beyond(offer) {
                let rules = &self.workspace.rules;
                best.meet(offer, variant, self.view, rules, &mut self.scratch);
            }
            codes.push((offer, code));
        }
        let winner = best.winner.map(|(offer, _)| offer);
        for (offer, code) in codes {
            let won = winner.is_some_and(|winner| winner.key == offer.key);
            let code = if code == Code::Won && !won { Code::Outranked } else { code };
            trace.push(reason::trace(self.workspace, self.view, offer, code, winner));
        }
        best.winner
    }

    /// Where an offer fails first, and its variant. With `eligibility` off its condition is known
    /// to hold.
    fn judge(&mut self, offer: &Offer, eligibility: bool) -> (Code, Option<u16>) {
        let lost = self.loses(offer, eligibility);
        if let Some(code) = lost {
            return (code, None);
        }
        let variant = match &offer.experiment {
            Some(part) => self.view.variant(self.workspace, part.experiment, &mut self.scratch),
            None => None,
        };
        let code = match offer.arm(variant) {
            Some(Arm::Nothing) => Code::ControlVariant,
            _ => Code::Won,
        };
        (code, variant)
    }

    /// The first step that an offer fails, its experiment aside.
    fn loses(&mut self, offer: &Offer, eligibility: bool) -> Option<Code> {
        let view = self.view;
        if offer.purpose.is_some_and(|purpose| !view.allowed.has(purpose)) {
            return Some(Code::NoConsent);
        }
        if view.assurance < offer.assurance {
            return Some(Code::AssuranceTooLow);
        }
        for holdout in &offer.holdouts {
            // The first variant of a holdout is the part that is held out.
            if view.variant(self.workspace, *holdout, &mut self.scratch) == Some(0) {
                return Some(Code::HeldOut);
            }
        }
        if eligibility {
            match view.truth(&self.workspace.rules, offer.rule, &mut self.scratch) {
                Truth::Match => {}
                Truth::NoMatch => return Some(Code::NotEligible),
                Truth::Missing(slot) => return Some(Code::Missing(slot)),
                Truth::Error(code) => return Some(Code::Failed(code)),
            }
        }
        if offer.schedule.as_ref().is_some_and(|schedule| !schedule.is_open(self.now)) {
            return Some(Code::OutOfSchedule);
        }
        let seen = view.history.get(&offer.key).map_or(&[][..], Vec::as_slice);
        if offer.cools_down(seen, self.now) {
            return Some(Code::CoolingDown);
        }
        if let Some(cap) = offer.capped(seen, view.device, view.session_start, self.now) {
            return Some(Code::Capped(cap));
        }
        self.is_taken(offer)
    }

    /// Whether the page has it, or another of its exclusion group.
    fn is_taken(&self, offer: &Offer) -> Option<Code> {
        if !offer.repeats && self.taken.contains(&offer.key) {
            return Some(Code::OnPageAlready);
        }
        let group = offer.exclusion.as_ref()?;
        let excluded = self.taken.iter().filter(|key| **key != offer.key).any(|key| {
            self.workspace.offer(key).is_some_and(|other| other.exclusion.as_ref() == Some(group))
        });
        excluded.then_some(Code::Excluded)
    }
}

/// The best offer so far: the first by priority, then by score, then by key.
#[derive(Default)]
struct Best<'a> {
    winner: Option<Winner<'a>>,
    score: f64,
}

impl<'a> Best<'a> {
    /// Whether an offer comes too late, by rank, to win.
    fn is_beyond(&self, offer: &Offer) -> bool {
        self.winner.is_some_and(|(winner, _)| offer.priority < winner.priority)
    }

    fn meet(
        &mut self,
        offer: &'a Offer,
        variant: Option<u16>,
        view: &View<'_>,
        rules: &Rules,
        scratch: &mut Scratch,
    ) {
        let score = view.score(rules, offer, scratch);
        if self.winner.is_none() || score > self.score {
            self.winner = Some((offer, variant));
            self.score = score;
        }
    }

    /// Whether another offer of the same priority has a formula, so that it may still win.
    fn is_tied(&self, workspace: &Workspace, placement: &Placement) -> bool {
        placement.is_ranked
            && self.winner.is_some_and(|(winner, _)| {
                offers(workspace, placement)
                    .any(|other| other.priority == winner.priority && other.rank.is_some())
            })
    }
}

/// A placement's offers, by rank.
fn offers<'a>(
    workspace: &'a Workspace,
    placement: &'a Placement,
) -> impl Iterator<Item = &'a Offer> {
    placement.offers.iter().filter_map(|at| workspace.offers.get(usize::try_from(*at).ok()?))
}
