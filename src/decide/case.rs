//! One placement being decided: each candidate is judged step by step, the best one stands. It must
//! never find candidates itself: that is the index's.

use alloc::vec::Vec;
use core::ops::ControlFlow;

use super::exposure::{AllMissed, Missed};
use super::{Chosen, Code, Trace, View, offer};
use crate::experiment::{self, ASSIGNS};
use crate::limits;
use crate::offer::{Offer, STAY_PACKED};
use crate::rule::{GroupId, Scratch, Truth};
use crate::time::Timestamp;
use crate::workspace::{Placement, Workspace};

/// Rollouts that are hashed at a time.
const AT_ONCE: usize = 8;

/// One placement being decided.
pub(super) struct Case<'a, 'v, 's> {
    pub workspace: &'a Workspace,
    pub view: &'a View<'v>,
    pub now: Timestamp,
    pub taken: &'a [u32],
    pub missed: &'s mut AllMissed,
}

impl<'a> Case<'a, '_, '_> {
    /// The winner alone, found through the index. Another placement of the page with the same
    /// offers begins with those that were met, and goes on behind them.
    pub fn first(
        &mut self,
        placement: &Placement,
        scratch: &mut Scratch,
        mut met: Option<&mut Met>,
    ) -> Option<Chosen> {
        let (workspace, facts) = (self.workspace, self.view.facts);
        let mut best = Best::default();
        let group = placement.group;
        let mut goes_on = false;
        if let Some(met) = &mut met {
            goes_on = met.group.replace(group) == Some(group);
            if !goes_on {
                met.all.clear();
            }
            for (place, known) in met.all.iter().map(|one| Known::read(*one)) {
                let (_, ends) = self.try_one(placement, place, known, &mut best, scratch);
                if ends {
                    return self.end(&best);
                }
            }
        }
        let visit = &mut |place, scratch: &mut Scratch| {
            let (code, ends) = self.try_one(placement, place, Known::Holds, &mut best, scratch);
            // One that came too late was not judged: its condition is all that is known.
            if let Some(met) = &mut met {
                code.unwrap_or(Code::Outranked).keep(place, &mut met.all);
            }
            if ends { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        workspace.rules.walk(group, facts, scratch, goes_on, visit);
        self.end(&best)
    }

    /// Considers an offer where the winner alone matters; whether no other can win after it.
    fn try_one(
        &mut self,
        placement: &Placement,
        place: usize,
        known: Known,
        best: &mut Best<'a>,
        scratch: &mut Scratch,
    ) -> (Option<Code>, bool) {
        let (code, shows) = self.consider(placement, place, known, best, false, scratch);
        // Where the rank is static, the first that passes is the winner.
        (code, shows && !placement.is_ranked || best.is_settled)
    }

    /// The winner, and why every offer won or lost. Most lose at a gate or at a condition that the
    /// index shows to be false: they cost next to nothing.
    pub fn all(
        &mut self,
        page: u32,
        placement: &Placement,
        scratch: &mut Scratch,
        trace: &mut Trace,
    ) -> Option<Chosen> {
        let (workspace, facts) = (self.workspace, self.view.facts);
        let mut best = Best::default();
        if let Some(places) = trace.go_on(page, placement) {
            for one in &places {
                let (place, known) = Known::read(*one);
                let winner = best.winner.filter(|_| !placement.is_ranked);
                if winner.is_some_and(|winner| self.loses_again(placement, place, winner))
                    && trace.is_outranked(place)
                {
                    trace.leave(*one);
                } else {
                    self.tell(placement, place, known, &mut best, trace, scratch);
                }
            }
            trace.give_back(places);
        } else {
            trace.begin(page, workspace, placement, |offer| self.is_kept_away(offer, scratch));
            let mut found = trace.take_found();
            let visit = &mut |place, holds, _: &mut Scratch| {
                found.push((place, if holds { Known::Holds } else { Known::Nothing }));
            };
            workspace.rules.sift(placement.group, facts, scratch, visit);
            self.reach(placement, &mut found, trace);
            for (place, known) in &found {
                if *known != Known::Lost {
                    self.tell(placement, *place, *known, &mut best, trace, scratch);
                }
            }
            trace.keep_found(found);
        }
        trace.end(placement, best.winner.map(|chosen| chosen.offer));
        self.end(&best)
    }

    /// Which of the offers whose gates are open and whose conditions hold reach the profile. All at
    /// once, before any is judged: their hashes take less so.
    #[inline(never)]
    fn reach(&self, placement: &Placement, found: &mut [(usize, Known)], trace: &mut Trace) {
        let mut rolled = trace.take_rolled();
        for (at, (place, known)) in found.iter_mut().enumerate() {
            if *known != Known::Holds || !trace.is_open(*place) {
                continue;
            }
            let offer = placement.offers.get(*place).and_then(|at| offer(self.workspace, *at));
            *known = Known::Reached;
            if let Some(rollout) = offer.and_then(|offer| offer.rollout.as_ref()) {
                rolled.push((at, rollout.begun, u32::from(rollout.highest)));
            }
        }
        for some in rolled.chunks(AT_ONCE) {
            let mut begun = [0; AT_ONCE];
            for (begun, (_, seed, _)) in begun.iter_mut().zip(some) {
                *begun = *seed;
            }
            // Without a name nobody is reached.
            let buckets = self.view.unit.name.map(|name| experiment::buckets_behind(begun, name));
            for (bucket, (at, _, highest)) in
                buckets.unwrap_or([u32::MAX; AT_ONCE]).iter().zip(some)
            {
                if bucket > highest
                    && let Some((place, known)) = found.get_mut(*at)
                {
                    *known = Known::Lost;
                    trace.note(*place, Code::NotRolledOut);
                }
            }
        }
        trace.keep_rolled(rolled);
    }

    /// The winner alone, by trying each.
    pub fn each(&mut self, placement: &Placement, scratch: &mut Scratch) -> Option<Chosen> {
        let rules = &self.workspace.rules;
        let mut best = Best::default();
        for (place, rule) in rules.members(placement.group).enumerate() {
            let mut known = Known::Nothing;
            if STAY_PACKED {
                if rules.truth(rule, self.view.facts, scratch) != Truth::Match {
                    continue;
                }
                known = Known::Holds;
            }
            if self.try_one(placement, place, known, &mut best, scratch).1 {
                break;
            }
        }
        self.end(&best)
    }

    /// The same, and why every offer won or lost.
    #[cfg_attr(feature = "server", inline(never))]
    pub fn each_and_trace(
        &mut self,
        placement: &Placement,
        scratch: &mut Scratch,
        trace: &mut Trace,
    ) -> Option<Chosen> {
        let mut best = Best::default();
        trace.clear();
        for place in 0..placement.offers.len() {
            let (code, _) =
                self.consider(placement, place, Known::Nothing, &mut best, true, scratch);
            trace.add(code.unwrap_or(Code::NotEligible));
        }
        let chosen = self.end(&best);
        trace.end(placement, chosen.map(|chosen| chosen.offer));
        chosen
    }

    /// Whether an offer that passed every step, and was outranked in the placement before, is so
    /// again: nothing that the page shows since then shuts it out, and no other offer puts it
    /// there.
    fn loses_again(&self, placement: &Placement, place: usize, winner: Chosen) -> bool {
        let at = placement.offers.get(place).copied().unwrap_or(u32::MAX);
        let one = offer(self.workspace, at).filter(|_| at != winner.offer);
        one.is_some_and(|one| one.exclusion.is_none())
    }

    fn end(&mut self, best: &Best<'_>) -> Option<Chosen> {
        self.missed.winner = best.offer.map(|winner| (winner.priority, best.score));
        best.winner
    }

    /// Considers an offer, and notes why it won or lost.
    fn tell(
        &mut self,
        placement: &Placement,
        place: usize,
        known: Known,
        best: &mut Best<'a>,
        trace: &mut Trace,
        scratch: &mut Scratch,
    ) {
        if let (Some(code), _) = self.consider(placement, place, known, best, true, scratch) {
            trace.note(place, code);
        }
    }

    /// Judges the offer at a place; what became of it, and whether it puts something there that may
    /// win. One that comes too late to win is judged with `always` alone.
    fn consider(
        &mut self,
        placement: &Placement,
        place: usize,
        known: Known,
        best: &mut Best<'a>,
        always: bool,
        scratch: &mut Scratch,
    ) -> (Option<Code>, bool) {
        let at = placement.offers.get(place).copied().unwrap_or(u32::MAX);
        let Some(offer) = offer(self.workspace, at) else { return (None, false) };
        best.is_settled = best.is_beyond(offer);
        if best.is_settled && !always {
            return (None, false);
        }
        let judged = self.judge(at, offer, known, scratch);
        if best.is_settled {
            return (Some(judged.0), false);
        }
        let chosen = self.shows(best, at, offer, judged, scratch);
        if let Some(chosen) = chosen {
            self.meet(best, offer, chosen, scratch);
        }
        (Some(judged.0), chosen.is_some())
    }

    /// Notes an offer that passes every step, if it is the best so far.
    fn meet(&self, best: &mut Best<'a>, offer: &'a Offer, chosen: Chosen, scratch: &mut Scratch) {
        let score = self.view.score(&self.workspace.rules, offer, scratch);
        if best.winner.is_none() || score > best.score {
            *best = Best { winner: Some(chosen), offer: Some(offer), score, is_settled: false };
        }
    }

    /// What an offer that was judged puts into the placement: itself, or its fallback. Where an
    /// experiment or a holdout alone kept it away, that is noted.
    fn shows(
        &mut self,
        best: &Best<'a>,
        at: u32,
        offer: &'a Offer,
        (code, variant): (Code, Option<u16>),
        scratch: &mut Scratch,
    ) -> Option<Chosen> {
        match code {
            Code::Won => return Some(Chosen { offer: at, variant }),
            Code::ControlVariant => {
                let part = offer.experiment.as_ref().map(|part| part.experiment);
                self.miss(best, offer, part.zip(variant), scratch);
            }
            Code::HeldOut => {
                let held = self.only_holdout(at, offer, scratch);
                self.miss(best, offer, held.map(|holdout| (holdout, 0)), scratch);
            }
            code if code.holds_back() => return self.stand_in(offer, scratch),
            _ => {}
        }
        None
    }

    /// The fallback of an offer that is held back, or the fallback's where that is held back too.
    #[cfg_attr(feature = "server", inline(never))]
    fn stand_in(&mut self, mut held: &'a Offer, scratch: &mut Scratch) -> Option<Chosen> {
        let workspace = self.workspace;
        for _ in 0..limits::FALLBACKS {
            let at = workspace.offer_at(held.fallback.as_ref()?)?;
            held = offer(workspace, at)?;
            match self.judge(at, held, Known::Nothing, scratch) {
                (Code::Won, variant) => return Some(Chosen { offer: at, variant }),
                (code, _) if code.holds_back() => {}
                _ => return None,
            }
        }
        None
    }

    /// Notes that an offer would be the best so far, were it not for this variant.
    #[cfg_attr(feature = "server", inline(never))]
    fn miss(
        &mut self,
        best: &Best<'a>,
        offer: &Offer,
        why: Option<(u16, u16)>,
        scratch: &mut Scratch,
    ) {
        let Some((experiment, variant)) = why else { return };
        let score = self.view.score(&self.workspace.rules, offer, scratch);
        if best.winner.is_none() || (!best.is_beyond(offer) && score > best.score) {
            self.missed.all.push(Missed { experiment, variant, priority: offer.priority, score });
        }
    }

    /// The holdout that alone keeps an offer away; None where it would not be shown without it
    /// either.
    #[cfg_attr(feature = "server", inline(never))]
    fn only_holdout(&mut self, at: u32, offer: &Offer, scratch: &mut Scratch) -> Option<u16> {
        let (workspace, view) = (self.workspace, self.view);
        let mut held = None;
        for holdout in &offer.holdouts {
            if view.variant(workspace, *holdout, scratch) == Some(0)
                && held.replace(*holdout).is_some()
            {
                return None;
            }
        }
        if self.loses(at, offer, false, scratch).is_some() {
            return None;
        }
        let part = offer.experiment.as_ref().map(|part| part.experiment);
        let variant = part.and_then(|part| view.variant(workspace, part, scratch));
        held.filter(|_| !offer.is_control(variant))
    }

    /// Where an offer fails first, and its variant.
    fn judge(
        &mut self,
        at: u32,
        offer: &Offer,
        known: Known,
        scratch: &mut Scratch,
    ) -> (Code, Option<u16>) {
        let lost = match known {
            Known::Passes => self.is_taken(at, offer),
            // A page never finds out whom a rollout reaches.
            Known::Reached if ASSIGNS => self.loses_later(at, offer),
            _ => self
                .is_kept_away(offer, scratch)
                .or_else(|| self.loses(at, offer, known == Known::Holds, scratch)),
        };
        if let Some(code) = lost {
            return (code, None);
        }
        let variant = match &offer.experiment {
            Some(part) => self.view.variant(self.workspace, part.experiment, scratch),
            None => None,
        };
        let code = if offer.is_control(variant) { Code::ControlVariant } else { Code::Won };
        (code, variant)
    }

    /// The first of the steps before its condition that an offer fails.
    fn is_kept_away(&mut self, offer: &Offer, scratch: &mut Scratch) -> Option<Code> {
        let view = self.view;
        if offer.purpose.is_some_and(|purpose| !view.allowed.has(purpose)) {
            return Some(Code::NoConsent);
        }
        if view.assurance < offer.assurance {
            return Some(Code::AssuranceTooLow);
        }
        for holdout in &offer.holdouts {
            // The first variant of a holdout is the part that is held out.
            if view.variant(self.workspace, *holdout, scratch) == Some(0) {
                return Some(Code::HeldOut);
            }
        }
        None
    }

    /// The first step from its condition on that an offer fails, its experiment aside.
    fn loses(
        &mut self,
        at: u32,
        offer: &Offer,
        eligible: bool,
        scratch: &mut Scratch,
    ) -> Option<Code> {
        let view = self.view;
        if !eligible {
            match self.workspace.rules.truth(offer.rule, view.facts, scratch) {
                Truth::Match => {}
                Truth::NoMatch => return Some(Code::NotEligible),
                Truth::Missing(slot) => return Some(Code::Missing(slot)),
                Truth::Error(code) => return Some(Code::Failed(code)),
            }
        }
        if !offer.reaches(view.unit.name) {
            return Some(Code::NotRolledOut);
        }
        self.loses_later(at, offer)
    }

    /// The first step from its schedule on that an offer fails.
    fn loses_later(&self, at: u32, offer: &Offer) -> Option<Code> {
        let view = self.view;
        if !offer.is_open(self.now) {
            return Some(Code::OutOfSchedule);
        }
        // What nobody had contact with neither cools down nor is capped: a cap is at least one.
        let seen = view.contacts.of(at);
        if !seen.is_empty() {
            if offer.cools_down(seen, self.now) {
                return Some(Code::CoolingDown);
            }
            if let Some(cap) = offer.capped(seen, view.device, view.session_start, self.now) {
                return Some(Code::Capped(cap));
            }
        }
        if view.spent.binary_search(&at).is_ok() {
            return Some(Code::BudgetSpent);
        }
        self.is_taken(at, offer)
    }

    /// Whether the page has it, or another of its exclusion group.
    fn is_taken(&self, at: u32, known: &Offer) -> Option<Code> {
        if !known.repeats && self.taken.contains(&at) {
            return Some(Code::OnPageAlready);
        }
        let group = known.exclusion.as_ref()?;
        let excluded = self
            .taken
            .iter()
            .any(|other| *other != at && self.workspace.exclusion_at(*other) == Some(group));
        excluded.then_some(Code::Excluded)
    }
}

/// What is known of an offer before it is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    Nothing,
    /// Its condition holds.
    Holds,
    /// Its gate is open, its condition holds, and its rollout reaches the profile.
    Reached,
    /// It is lost, which is noted.
    Lost,
    /// It passed every step on this page, but for what other placements show and its variant.
    Passes,
}

impl Known {
    /// A place with what is known of its offer, as one number.
    fn of(self, place: usize) -> usize {
        2 * place + usize::from(self == Self::Passes)
    }

    /// The same, read again.
    fn read(number: usize) -> (usize, Self) {
        (number / 2, if number % 2 == 1 { Self::Passes } else { Self::Holds })
    }
}

impl Code {
    /// Notes the place of an offer and what is known of it for the rest of the page, unless it is
    /// lost in every placement.
    #[inline(never)]
    pub(super) fn keep(self, place: usize, open: &mut Vec<usize>) {
        if self.is_settled() {
            return;
        }
        let known = match self {
            Self::Won | Self::OnPageAlready | Self::Excluded | Self::ControlVariant => {
                Known::Passes
            }
            _ => Known::Holds,
        };
        open.push(known.of(place));
    }
}

/// The offers whose conditions held, as far as a page was searched: the next placement with the
/// same offers need not search for them again.
#[derive(Debug, Default)]
pub(super) struct Met {
    /// Whose offers they are.
    group: Option<GroupId>,
    /// By rank: the place of each, as `Known::of` writes it. Those that are lost for the whole page
    /// are left out.
    all: Vec<usize>,
}

impl Met {
    pub fn forget(&mut self) {
        self.group = None;
    }
}

/// The best offer so far: the first by priority, then by score, then by key.
#[derive(Default)]
struct Best<'a> {
    winner: Option<Chosen>,
    offer: Option<&'a Offer>,
    score: f64,
    /// Whether all that come after rank below it.
    is_settled: bool,
}

impl Best<'_> {
    /// Whether an offer comes too late, by rank, to win.
    fn is_beyond(&self, offer: &Offer) -> bool {
        self.offer.is_some_and(|best| offer.priority < best.priority)
    }
}
