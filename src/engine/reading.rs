//! Inputs that change nothing: decide, slice, consent, explain, export.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::desk::{Desk, Laid};
use super::{
    Answer, Body, Circumstances, ConsentView, DeviceView, Explained, Exported, FailedCondition,
    Page, Placements, ProfileView, Reply, Speaker, State,
};
use crate::consent::{Consent, Effective};
use crate::decide::{self, Decision, Question, Request, Unit, View, Work};
use crate::error::Error;
use crate::ids::ProfileName;
use crate::limits;
use crate::offer::Assurance;
use crate::profile::{DeviceLink, Profile};
use crate::rule::{Facts, Scratch, Slot};
use crate::slice::Slice;
use crate::time::Timestamp;
use crate::workspace::Workspace;

/// A speaker before this object's profile.
pub(super) struct Standing<'a> {
    pub profile: &'a Profile,
    pub link: Option<&'a DeviceLink>,
    pub effective: Effective,
    pub assurance: Assurance,
    pub made: bool,
}

/// Who the speaker is to this object, or the reply that says why it is nobody.
#[expect(clippy::result_large_err, reason = "the reply goes out as it is")]
pub(super) fn stand<'a>(
    state: &'a State,
    workspace: &Workspace,
    now: Timestamp,
    speaker: &Speaker,
) -> Result<Standing<'a>, Reply> {
    let profile = match &state.body {
        Body::Erased(_) => return Err(Reply::Erased),
        Body::Moved(to) => return Err(Reply::Moved(to.clone())),
        Body::Live(profile) => profile.as_ref(),
    };
    let settings = &workspace.consent;
    let of = |person: Option<&Consent>, device: Option<&Consent>| {
        Effective::of(person, device, &speaker.signals, settings)
    };
    let person = speaker.profile.as_ref().is_some_and(|name| name.is_person());
    if !person {
        let effective = of(None, Some(&profile.consent));
        let made = profile.consent.is_made();
        return Ok(Standing {
            profile,
            link: None,
            effective,
            assurance: Assurance::Anonymous,
            made,
        });
    }
    let link = speaker.device.and_then(|device| profile.devices.get(&device));
    let Some(link) = link.filter(|link| link.logged_out.is_none()) else {
        return Err(Reply::NotLinked);
    };
    let assurance = if now < link.authenticated_until {
        Assurance::Authenticated
    } else {
        Assurance::Recognised
    };
    Ok(Standing {
        profile,
        link: Some(link),
        effective: of(Some(&profile.consent), Some(&link.consent)),
        assurance,
        made: link.consent.is_made() || profile.consent.is_made(),
    })
}

impl Standing<'_> {
    fn consent_view(&self) -> ConsentView {
        ConsentView { effective: self.effective.clone(), made: self.made }
    }

    fn view<'a>(
        &'a self,
        now: Timestamp,
        laid: &Laid<'a>,
        spent: &'a [u32],
        speaker: &'a Speaker,
    ) -> View<'a> {
        let session_start =
            speaker.device.and_then(|device| self.profile.session_start(device, now));
        let name = speaker.profile.as_ref().filter(|_| laid.assigns);
        View {
            facts: laid.facts,
            allowed: self.effective.allowed(),
            assurance: self.assurance,
            contacts: laid.contacts,
            device: speaker.device,
            session_start,
            spent,
            unit: Unit { name: name.map(ProfileName::as_str), known: laid.variants },
        }
    }
}

fn names<'a>(workspace: &'a Workspace, placements: &'a Placements) -> Result<Vec<&'a str>, Error> {
    match placements {
        Placements::Every(at) => Ok(workspace
            .placements
            .iter()
            .filter(|placement| placement.at == *at)
            .map(|placement| placement.name.as_str())
            .collect()),
        Placements::Named(names) if names.len() > limits::PLACEMENTS_PER_CALL => Err(Error::new(
            "too_many_placements",
            format!("one call decides at most {} placements", limits::PLACEMENTS_PER_CALL),
            "placements",
        )),
        Placements::Named(names) => names
            .iter()
            .map(|name| {
                workspace.placement(name).map(|placement| placement.name.as_str()).ok_or_else(
                    || {
                        Error::new(
                            "unknown_placement",
                            "the workspace has no placement of this name",
                            "placements",
                        )
                    },
                )
            })
            .collect(),
    }
}

/// A question and all that is known around it.
pub(super) struct Frame<'a> {
    pub state: &'a State,
    pub workspace: &'a Workspace,
    pub now: Timestamp,
    pub around: &'a Circumstances,
}

impl Frame<'_> {
    fn decisions(
        &self,
        view: &View<'_>,
        placements: &[&str],
        request: &Request,
        trace: bool,
        work: &mut Work,
    ) -> Vec<Decision> {
        let Self { workspace, now, around, .. } = *self;
        let mut taken = around.shown.iter().filter_map(|key| workspace.shown_at(key)).collect();
        let question = Question { workspace, view, request, now, trace };
        placements.iter().map(|name| question.decide(name, &mut taken, work)).collect()
    }

    pub fn decide(
        &self,
        speaker: &Speaker,
        placements: &Placements,
        request: &Request,
        trace: bool,
        desk: &mut Desk,
    ) -> Answer {
        let Self { state, workspace, now, around } = *self;
        let placements = names(workspace, placements)?;
        let standing = match stand(state, workspace, now, speaker) {
            Ok(standing) => standing,
            Err(reply) => return Ok(reply),
        };
        let laid = desk.lay(&standing, workspace, now, request, around);
        let view = standing.view(now, &laid, &around.spent, speaker);
        Ok(Reply::Decisions(Page {
            decisions: self.decisions(&view, &placements, request, trace, laid.work),
            assurance: standing.assurance,
            consent: standing.consent_view(),
            workspace: workspace.version.clone(),
        }))
    }

    pub fn slice(&self, speaker: &Speaker, request: &Request, desk: &mut Desk) -> Answer {
        let Self { state, workspace, now, around } = *self;
        let standing = match stand(state, workspace, now, speaker) {
            Ok(standing) => standing,
            Err(reply) => return Ok(reply),
        };
        let laid = desk.lay(&standing, workspace, now, request, around);
        let view = standing.view(now, &laid, &around.spent, speaker);
        Ok(Reply::Slice(Slice::cut(workspace, &view, now)))
    }

    pub fn explain(
        &self,
        speaker: &Speaker,
        placements: &Placements,
        request: &Request,
        desk: &mut Desk,
    ) -> Answer {
        let Self { state, workspace, now, around } = *self;
        let placements = names(workspace, placements)?;
        let standing = match stand(state, workspace, now, speaker) {
            Ok(standing) => standing,
            Err(reply) => return Ok(reply),
        };
        let laid = desk.lay(&standing, workspace, now, request, around);
        let view = standing.view(now, &laid, &around.spent, speaker);
        let decisions = self.decisions(&view, &placements, request, true, laid.work);
        let profile = standing.profile;
        let traits = profile.traits.iter();
        let computed = workspace.computed.iter().filter(|decl| !decl.name.is_empty());
        let known = ProfileView {
            profile: state.name.clone(),
            assurance: standing.assurance,
            traits: traits
                .filter_map(|(name, known)| Some((name.clone(), known.value.clone()?)))
                .collect(),
            computed: computed
                .filter_map(|decl| Some((decl.name.clone(), decide::computed(decl, profile, now)?)))
                .collect::<BTreeMap<_, _>>(),
            audiences: decide::audiences(workspace, &view),
            devices: profile.devices.values().map(device_view).collect(),
            claims: profile.claims.keys().cloned().collect(),
            consent: standing.consent_view(),
        };
        Ok(Reply::Explained(Box::new(Explained {
            profile: known,
            conditions: failed_conditions(workspace, laid.facts, &decisions),
            decisions,
            workspace: workspace.version.clone(),
        })))
    }
}

/// Asks the conditions that did not hold once more, for the part that failed.
fn failed_conditions(
    workspace: &Workspace,
    facts: &Facts,
    decisions: &[Decision],
) -> BTreeMap<String, FailedCondition> {
    let mut scratch = Scratch::default();
    scratch.begin();
    let mut found = BTreeMap::new();
    for line in decisions.iter().flat_map(|decision| &decision.trace) {
        if !decide::Code::CONDITION_WORDS.contains(&line.code.as_str()) {
            continue;
        }
        let Some(offer) = workspace.offer(&line.offer) else { continue };
        if let Some(failed) = workspace.rules.failed(offer.rule, facts, &mut scratch) {
            let read = |slot: &Slot| (workspace.label(*slot), facts.get(*slot).cloned());
            let condition = FailedCondition {
                place: failed.span.map(|span| (span.offset, span.len)),
                reads: failed.reads.iter().map(read).collect(),
            };
            found.insert(line.offer.clone(), condition);
        }
    }
    found
}

pub(super) fn consent(
    state: &State,
    workspace: &Workspace,
    now: Timestamp,
    speaker: &Speaker,
) -> Answer {
    Ok(match stand(state, workspace, now, speaker) {
        Ok(standing) => Reply::Consent(standing.consent_view()),
        Err(reply) => reply,
    })
}

fn device_view(link: &DeviceLink) -> DeviceView {
    DeviceView { linked: link.linked, logged_out: link.logged_out, attached: link.attached }
}

pub(super) fn export(state: &State) -> Reply {
    let (erased, live) = match &state.body {
        Body::Erased(at) => (Some(*at), None),
        Body::Moved(_) => (None, None),
        Body::Live(profile) => (None, Some(profile.as_ref().clone())),
    };
    Reply::Exported(Box::new(Exported { profile: state.name.clone(), erased, live }))
}
