//! What the answer to one question about a state leaves behind for the next: values looked up, and
//! memory. It saves time alone: with a desk or without, the answer is the same. It must never hold
//! anything of a profile that no permit let in.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use super::Circumstances;
use super::reading::Standing;
use crate::consent::Personalise;
use crate::decide::{self, Request, Work};
use crate::offer::Contacts;
use crate::rule::Facts;
use crate::time::Timestamp;
use crate::workspace::Workspace;

/// It belongs to one state, as it is: a state that changed needs a new one.
#[derive(Debug, Default)]
pub struct Desk {
    /// The workspace that the rest is by.
    version: Option<String>,
    /// The last values of a question without a permit, and with one: only the second know of the
    /// profile.
    plain: Option<Facts>,
    personal: Option<Facts>,
    /// Contacts with offers, by index.
    contacts: Contacts,
    /// Assignments by index, where a permit lets them be looked at.
    settled: Option<Vec<(u16, u16)>>,
    /// The same with what a preview forces.
    forced: Vec<(u16, u16)>,
    work: Work,
}

/// All that a question needs.
pub(super) struct Laid<'d> {
    pub facts: &'d Facts,
    pub contacts: &'d Contacts,
    pub variants: &'d [(u16, u16)],
    /// Whether experiments may assign: an assignment is made from the profile's name.
    pub assigns: bool,
    pub work: &'d mut Work,
}

impl Desk {
    /// Lays out what a question needs.
    pub(super) fn lay(
        &mut self,
        standing: &Standing<'_>,
        workspace: &Workspace,
        now: Timestamp,
        request: &Request,
        around: &Circumstances,
    ) -> Laid<'_> {
        let profile = standing.profile;
        if self.version.as_ref() != Some(&workspace.version) {
            *self = Self { version: Some(workspace.version.clone()), ..Self::default() };
            for (offer, seen) in &profile.history {
                if let Some(at) = workspace.offer_at(offer) {
                    self.contacts.push(at, seen.iter().copied());
                }
            }
        }
        let Self { plain, personal, contacts, settled, forced, work, .. } = self;
        let permit = standing.effective.permit::<Personalise>();
        let assigns = permit.is_some();
        let (facts, settled) = match permit {
            Some(permit) => {
                let settled =
                    settled.get_or_insert_with(|| decide::settled(workspace, &profile.assignments));
                let facts = match personal.take() {
                    Some(mut facts) => {
                        decide::set_computed(&mut facts, workspace, permit, profile, now);
                        facts
                    }
                    None => {
                        let mut facts = Facts::new(&workspace.rules);
                        decide::set_profile(&mut facts, workspace, permit, profile, now);
                        facts
                    }
                };
                (personal.insert(facts), settled.as_slice())
            }
            None => (plain.get_or_insert_with(|| Facts::new(&workspace.rules)), Default::default()),
        };
        decide::set_request(facts, workspace, request, now);
        let variants = if around.forced.is_empty() {
            settled
        } else {
            let by_preview: BTreeMap<u16, u16> = around.forced.iter().copied().collect();
            forced.clear();
            forced.extend(settled.iter().filter(|(one, _)| !by_preview.contains_key(one)));
            forced.extend(by_preview);
            forced.sort_unstable();
            forced
        };
        work.begin();
        Laid { facts, contacts, variants, assigns, work }
    }
}
