//! Why each offer of a placement won or lost, as numbers: reading them is for whoever explains.
//! It must never decide.

use alloc::vec::Vec;

use super::Code;
use super::case::Known;
use crate::offer::Offer;
use crate::rule::GroupId;
use crate::workspace::{Placement, Workspace};

/// The codes of one placement's offers, by rank. Its memory is used again from one to the next; it
/// belongs to one `Work`.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// Numbers of words.
    numbers: Vec<u8>,
    /// What each code is about, as far as any is about something; pages have no use for it.
    #[cfg(feature = "json")]
    abouts: Vec<u32>,
    /// What becomes of offers at each gate whose condition is false.
    at_gates: Vec<u8>,
    /// Places of the offers that pass every step.
    passed: Vec<usize>,
    /// Places of the offers of which the next placement of the page may have more to say, and what
    /// is known of each: `Known::of`.
    open: Vec<usize>,
    spare: Vec<usize>,
    /// Places of the offers that the index does not rule out, and what is known of each.
    found: Vec<(usize, Known)>,
    /// Those with a rollout: where they stand in `found`, the hash of the seed, the highest bucket.
    rolled: Vec<(usize, u32, u32)>,
    /// The page and the group that it was made for last.
    made_for: Option<(u32, GroupId)>,
}

impl Trace {
    /// One number for each offer, by rank: the place of its word in [`Code::WORDS`].
    pub fn numbers(&self) -> &[u8] {
        &self.numbers
    }

    /// The codes.
    pub fn codes(&self) -> impl Iterator<Item = Code> {
        let numbers = self.numbers.iter().enumerate();
        numbers.map(|(place, number)| Code::from_parts(*number, self.about(place)))
    }

    #[cfg(feature = "json")]
    fn about(&self, place: usize) -> u32 {
        self.abouts.get(place).copied().unwrap_or(0)
    }

    #[cfg(feature = "json")]
    fn set_about(&mut self, place: usize, about: u32) {
        if about > 0 && self.abouts.len() <= place {
            self.abouts.resize(place + 1, 0);
        }
        if let Some(held) = self.abouts.get_mut(place) {
            *held = about;
        }
    }

    #[cfg(not(feature = "json"))]
    fn about(&self, _: usize) -> u32 {
        0
    }

    #[cfg(not(feature = "json"))]
    fn set_about(&mut self, _: usize, _: u32) {}

    /// The stable words of the codes.
    pub fn words(&self) -> impl Iterator<Item = &'static str> {
        self.numbers.iter().map(|number| Code::word(*number))
    }

    /// Goes on from the placement before, where that was one of the same page with the same offers:
    /// the places of those that must be judged anew. Of all others the codes stay.
    pub(super) fn go_on(&mut self, page: u32, placement: &Placement) -> Option<Vec<usize>> {
        let same = self.made_for == Some((page, placement.group));
        self.passed.clear();
        same.then(|| core::mem::replace(&mut self.open, core::mem::take(&mut self.spare)))
    }

    /// Gives the memory of [`Trace::go_on`] back.
    pub(super) fn give_back(&mut self, mut places: Vec<usize>) {
        places.clear();
        self.spare = places;
    }

    /// The memory for offers that are found, empty.
    pub(super) fn take_found(&mut self) -> Vec<(usize, Known)> {
        self.found.clear();
        core::mem::take(&mut self.found)
    }

    pub(super) fn keep_found(&mut self, found: Vec<(usize, Known)>) {
        self.found = found;
    }

    /// The memory for those with a rollout, empty.
    pub(super) fn take_rolled(&mut self) -> Vec<(usize, u32, u32)> {
        self.rolled.clear();
        core::mem::take(&mut self.rolled)
    }

    pub(super) fn keep_rolled(&mut self, rolled: Vec<(usize, u32, u32)>) {
        self.rolled = rolled;
    }

    /// Whether the gate of an offer that was not judged yet is open.
    pub(super) fn is_open(&self, place: usize) -> bool {
        self.numbers.get(place) == Some(&Code::NotEligible.parts().0)
    }

    /// Takes all offers for lost: at their gates, else by their conditions.
    pub(super) fn begin(
        &mut self,
        page: u32,
        workspace: &Workspace,
        placement: &Placement,
        mut is_kept_away: impl FnMut(&Offer) -> Option<Code>,
    ) {
        self.made_for = Some((page, placement.group));
        #[cfg(feature = "json")]
        self.abouts.clear();
        let Self { numbers, at_gates, passed, open, .. } = self;
        open.clear();
        at_gates.clear();
        at_gates.extend(workspace.gates.iter().map(|at| {
            let offer = super::offer(workspace, *at);
            offer.and_then(&mut is_kept_away).unwrap_or(Code::NotEligible).parts().0
        }));
        numbers.clear();
        match at_gates.as_slice() {
            // Most workspaces ask all offers for the same.
            [lost] => numbers.resize(placement.gates.len(), *lost),
            gates => {
                let lost = |gate: &u16| gates.get(usize::from(*gate)).copied().unwrap_or_default();
                numbers.extend(placement.gates.iter().map(lost));
            }
        }
        passed.clear();
    }

    /// Whether an offer passed every step when the placement before was decided, and did not win.
    pub(super) fn is_outranked(&self, place: usize) -> bool {
        self.numbers.get(place) == Some(&Code::Outranked.parts().0)
    }

    /// Leaves what became of an offer, by its place and what is known of it.
    pub(super) fn leave(&mut self, known: usize) {
        self.open.push(known);
    }

    /// Notes what became of one offer.
    pub(super) fn note(&mut self, place: usize, code: Code) {
        if code == Code::Won {
            self.passed.push(place);
        }
        code.keep(place, &mut self.open);
        let (number, about) = code.parts();
        if let Some(held) = self.numbers.get_mut(place) {
            *held = number;
        }
        self.set_about(place, about);
    }

    /// Takes no offer for judged.
    pub(super) fn clear(&mut self) {
        self.numbers.clear();
        self.passed.clear();
        #[cfg(feature = "json")]
        self.abouts.clear();
        self.made_for = None;
    }

    /// Adds what became of the next offer.
    pub(super) fn add(&mut self, code: Code) {
        if code == Code::Won {
            self.passed.push(self.numbers.len());
        }
        let (number, about) = code.parts();
        self.set_about(self.numbers.len(), about);
        self.numbers.push(number);
    }

    /// Of those that pass every step, all but the winner were outranked.
    pub(super) fn end(&mut self, placement: &Placement, winner: Option<u32>) {
        for place in &self.passed {
            if let Some(number) = self.numbers.get_mut(*place)
                && placement.offers.get(*place).copied() != winner
            {
                *number = Code::Outranked.parts().0;
            }
        }
    }
}
