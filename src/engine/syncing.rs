//! Changes from the central store, erasure, and what the central store has stored.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::string::String;

use super::consenting::{at_rest, settle};
use super::{Answer, Body, Effect, Input, Reply, State, Turn};
use crate::consent::{Personalise, Profiling, Store};
use crate::wire::{Change, ChangeBody};

/// The node name of what the central store counted.
const CENTRAL: &str = "central";

/// Takes changes in. Each merges by a join, so repeats and other orders change nothing more.
pub(super) fn apply(state: &mut State, turn: &mut Turn<'_>, changes: &[Change]) -> Answer {
    let mut changed = 0_u32;
    for change in changes {
        let before = state.body.clone();
        match &change.body {
            ChangeBody::Erase { .. } => {
                erase(state, turn);
            }
            other => apply_one(state, turn, change, other),
        }
        if state.body != before {
            state.name.get_or_insert_with(|| change.person.clone());
            changed = changed.saturating_add(1);
        }
    }
    Ok(Reply::Applied { changed })
}

fn apply_one(state: &mut State, turn: &mut Turn<'_>, change: &Change, body: &ChangeBody) {
    let Body::Live(profile) = &mut state.body else { return };
    // A person without devices is dormant: the central store keeps them, not the edge.
    if profile.devices.is_empty() || !change.person.is_person() {
        return;
    }
    let effective = at_rest(profile, turn);
    let stored = effective.permit::<Store>().is_some();
    let profiling = effective.permit::<Profiling>().filter(|_| stored);
    match (body, profiling) {
        (ChangeBody::Traits(updates), Some(permit)) => {
            // Held at the edge only to choose offers by them.
            if effective.permit::<Personalise>().is_none() {
                return;
            }
            for update in updates {
                if turn.workspace.trait_decl(&update.name).is_some() {
                    profile.set_trait(permit, &update.name, update.value.clone(), update.stamp);
                }
            }
        }
        (ChangeBody::Series(metrics), Some(_)) => {
            profile.join_series(&[(CENTRAL.to_owned(), metrics.clone())].into());
        }
        (ChangeBody::Consent(records), _) => {
            for record in records {
                profile.consent.take(record);
            }
            let after = at_rest(profile, turn).allowed();
            settle(state, turn, effective.allowed(), after);
        }
        (ChangeBody::Traits(_) | ChangeBody::Series(_) | ChangeBody::Erase { .. }, _) => {}
    }
}

/// Erases, for good: what remains is that somebody was erased here.
pub(super) fn erase(state: &mut State, turn: &mut Turn<'_>) -> Reply {
    if let Body::Live(profile) = &state.body {
        for link in profile.devices.values() {
            turn.effects.push(Effect::Tell(link.object.clone(), Box::new(Input::Erase)));
        }
    }
    if !matches!(state.body, Body::Erased(_)) {
        turn.effects.push(Effect::ForgetAll);
        state.body = Body::Erased(turn.now);
        state.outbox_bytes = 0;
        state.last_receipt = (0, String::new());
    }
    Reply::Done
}

/// Erases for the subject, who knows of no second place to ask: the central store is told. Where
/// the object was erased before, or its profile moved on, somebody else answers for what is left.
pub(super) fn erase_everywhere(state: &mut State, turn: &mut Turn<'_>) -> Reply {
    if let (Body::Live(_), Some(name)) = (&state.body, &state.name) {
        turn.effects.push(Effect::EraseCentrally(name.clone()));
    }
    erase(state, turn)
}

pub(super) fn stored(state: &mut State, seqs: &[(u64, u32)]) -> Reply {
    let bytes: u64 = seqs.iter().map(|(_, size_bytes)| u64::from(*size_bytes)).sum();
    state.outbox_bytes = state.outbox_bytes.saturating_sub(bytes);
    Reply::Done
}
