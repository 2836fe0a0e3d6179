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
use crate::offer::{Assurance, FieldKind, Offer};
use crate::profile::{Aggregate, Profile, Seen, metric_key};
use crate::rule::{Facts, RuleId, Rules, Scratch, Truth, Value};
use crate::time::Timestamp;
use crate::workspace::{ComputedDecl, ComputedKind, Placement, Workspace};

pub use reason::Code;

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
}

impl View<'_> {
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
    if let Some(offer) = winner {
        "won".clone_into(&mut decision.reason);
        decision.decision = name(workspace, placement, &offer.key, now);
        decision.offer = Some(offer.key.clone());
        if let Some(content) = offer.content_for(request.language()) {
            decision.language.clone_from(&content.language);
            decision.content = content::fill(content, &view.facts);
        }
    }
    decision
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

impl<'a> Case<'a, '_> {
    /// The winner alone, found through the index.
    fn first(&mut self, placement: &'a Placement) -> Option<&'a Offer> {
        let workspace = self.workspace;
        if !self.view.answers.is_empty() {
            let mut offers = offers(workspace, placement);
            return offers.find(|offer| self.judge(offer, true) == Code::Won);
        }
        let mut scratch = core::mem::take(&mut self.scratch);
        let mut winner = None;
        let facts = &self.view.facts;
        workspace.rules.matching(placement.group, facts, &mut scratch, |rule| {
            match workspace.offer_of(rule) {
                Some(offer) if self.judge(offer, false) == Code::Won => {
                    winner = Some(offer);
                    ControlFlow::Break(())
                }
                _ => ControlFlow::Continue(()),
            }
        });
        self.scratch = scratch;
        winner
    }

    /// The winner, and why every offer won or lost.
    fn all(&mut self, placement: &'a Placement, trace: &mut Vec<OfferTrace>) -> Option<&'a Offer> {
        let mut winner: Option<&'a Offer> = None;
        for offer in offers(self.workspace, placement) {
            let code = match self.judge(offer, true) {
                Code::Won if winner.is_some() => Code::Outranked,
                code => code,
            };
            if code == Code::Won {
                winner = Some(offer);
            }
            trace.push(reason::trace(self.workspace, self.view, offer, code, winner));
        }
        winner
    }

    /// Where an offer fails first. With `eligibility` off its condition is known to hold.
    fn judge(&mut self, offer: &Offer, eligibility: bool) -> Code {
        let view = self.view;
        if offer.purpose.is_some_and(|purpose| !view.allowed.has(purpose)) {
            return Code::NoConsent;
        }
        if view.assurance < offer.assurance {
            return Code::AssuranceTooLow;
        }
        if eligibility {
            match view.truth(&self.workspace.rules, offer.rule, &mut self.scratch) {
                Truth::Match => {}
                Truth::NoMatch => return Code::NotEligible,
                Truth::Missing(slot) => return Code::Missing(slot),
                Truth::Error(code) => return Code::Failed(code),
            }
        }
        if offer.schedule.as_ref().is_some_and(|schedule| !schedule.is_open(self.now)) {
            return Code::OutOfSchedule;
        }
        let seen = view.history.get(&offer.key).map_or(&[][..], Vec::as_slice);
        if offer.cools_down(seen, self.now) {
            return Code::CoolingDown;
        }
        if let Some(cap) = offer.capped(seen, view.device, view.session_start, self.now) {
            return Code::Capped(cap);
        }
        if self.taken.contains(&offer.key) {
            return Code::OnPageAlready;
        }
        Code::Won
    }
}

/// A placement's offers, by rank.
fn offers<'a>(
    workspace: &'a Workspace,
    placement: &'a Placement,
) -> impl Iterator<Item = &'a Offer> {
    placement.offers.iter().filter_map(|at| workspace.offers.get(usize::try_from(*at).ok()?))
}
