//! Choices: what somebody grants or takes back, and what goes at once when it is taken back.

use alloc::vec::Vec;

use super::reading::stand;
use super::{Answer, Body, ConsentView, Effect, Reply, Speaker, State, Turn};
use crate::consent::{Basis, Consent, Effective, Purpose, PurposeSet, Record};
use crate::error::Error;
use crate::limits;
use crate::profile::Profile;
use crate::time::Timestamp;
use crate::wire::Chosen;
#[cfg(feature = "keys")]
use crate::wire::{Fact, Receipt};

pub(super) fn choose(
    state: &mut State,
    turn: &mut Turn<'_>,
    speaker: &Speaker,
    choices: &[Chosen],
    source: &str,
    evidence: &str,
) -> Answer {
    check(choices, source, evidence)?;
    let (before, is_person) = match stand(state, turn.workspace, turn.now, speaker) {
        Ok(standing) => (standing.effective, standing.link.is_some()),
        Err(reply) => return Ok(reply),
    };
    let (Some(device), Some(name)) = (speaker.device, speaker.profile.clone()) else {
        return Err(Error::new("no_device", "a choice is kept for a device", "device"));
    };
    state.name.get_or_insert(name);
    let Body::Live(profile) = &mut state.body else {
        return Err(Error::new("no_profile", "this object holds no profile", ""));
    };
    let mut known = profile.consent;
    if let Some(link) = profile.devices.get_mut(&device) {
        known.join(&link.consent);
        link.region = speaker.signals.region.clone();
    }
    let records: Vec<Record> = choices
        .iter()
        .map(|chosen| known.next_record(chosen.purpose, chosen.yes, Basis::Consent, turn.now))
        .collect();
    for record in &records {
        profile.consent.take(record);
        if let Some(link) = profile.devices.get_mut(&device) {
            link.consent.take(record);
        }
    }
    #[cfg(feature = "keys")]
    {
        let receipt = Receipt {
            seq: 0,
            previous: String::new(),
            records,
            device,
            source: source.to_owned(),
            evidence: evidence.to_owned(),
            region: speaker.signals.region.clone(),
            time: turn.now,
            hash: String::new(),
        };
        let receipt = super::receipts::seal(receipt, &state.last_receipt);
        state.last_receipt = (receipt.seq, receipt.hash.clone());
        turn.effects.push(Effect::Keep(receipt.clone()));
        turn.queue(state, Fact::Consent(receipt))?;
    }
    let after = match stand(state, turn.workspace, turn.now, speaker) {
        Ok(standing) => standing.effective,
        Err(reply) => return Ok(reply),
    };
    // What is refused goes even where a live signal had denied it already and hid what was kept.
    let refused = choices.iter().filter(|chosen| !chosen.yes);
    let refused = refused.fold(PurposeSet::NONE, |set, chosen| set.with(chosen.purpose));
    settle(state, turn, before.allowed().or(refused), after.allowed());
    let gained = |purpose| after.allowed().has(purpose) && !before.allowed().has(purpose);
    if is_person && (gained(Purpose::Profile) || gained(Purpose::Personalise)) {
        turn.effects.extend(state.name.clone().map(Effect::Hydrate));
    }
    Ok(Reply::Consent(ConsentView { effective: after, made: true }))
}

fn check(choices: &[Chosen], source: &str, evidence: &str) -> Result<(), Error> {
    if choices.is_empty() || choices.len() > Purpose::ALL.len() {
        return Err(Error::new(
            "bad_choices",
            "a call chooses for one to five purposes",
            "choices",
        ));
    }
    let mut seen = PurposeSet::NONE;
    for chosen in choices {
        if seen.has(chosen.purpose) {
            return Err(Error::new("bad_choices", "a purpose is chosen twice", "choices"));
        }
        seen = seen.with(chosen.purpose);
    }
    if source.len() > limits::NAME_BYTES || evidence.len() > limits::TEXT_BYTES {
        return Err(Error::new("text_too_long", "the evidence is too long", "evidence"));
    }
    Ok(())
}

/// The same browser goes on under a fresh device id: its choices go along.
pub(super) fn carry(
    state: &mut State,
    turn: &mut Turn<'_>,
    speaker: &Speaker,
    consent: &Consent,
) -> Answer {
    state.name = state.name.take().or_else(|| speaker.profile.clone());
    if let Body::Live(profile) = &mut state.body {
        profile.consent.join(consent);
    }
    Ok(match stand(state, turn.workspace, turn.now, speaker) {
        Ok(standing) => {
            Reply::Consent(ConsentView { effective: standing.effective, made: standing.made })
        }
        Err(reply) => reply,
    })
}

/// What a loss of purposes takes with it, at once (DESIGN.md section 7).
///
/// INVARIANT: what is dropped here is dropped in the transaction that stores the withdrawal.
pub(super) fn settle(
    state: &mut State,
    turn: &mut Turn<'_>,
    before: PurposeSet,
    after: PurposeSet,
) {
    let lost = |purpose| before.has(purpose) && !after.has(purpose);
    let Body::Live(profile) = &mut state.body else { return };
    if lost(Purpose::Store) || lost(Purpose::Profile) {
        profile.drop_profile();
        turn.effects.push(Effect::CancelQueued);
        state.outbox_bytes = 0;
    }
    if lost(Purpose::Personalise) {
        // Traits are held at the edge to choose offers by them; the central store keeps its own.
        profile.traits.clear();
    }
    if lost(Purpose::Store) {
        unlink_all(profile, turn.now);
    }
}

fn unlink_all(profile: &mut Profile, now: Timestamp) {
    for link in profile.devices.values_mut() {
        link.logged_out.get_or_insert(now);
    }
}

/// The person's own consent where no browser speaks: with the region of the device seen last.
pub(super) fn at_rest(profile: &Profile, turn: &Turn<'_>) -> Effective {
    let link = profile
        .devices
        .values()
        .filter(|link| link.logged_out.is_none())
        .max_by_key(|link| link.linked);
    let signals = crate::consent::Signals {
        region: link.map(|link| link.region.clone()).unwrap_or_default(),
        ..Default::default()
    };
    Effective::of(Some(&profile.consent), None, &signals, &turn.workspace.consent)
}
