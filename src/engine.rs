//! The only door. `handle` takes an input for one profile and says what to answer and what to do;
//! the host brings the time, the randomness, the workspace and the stored state, and carries out
//! the effects in the same transaction in which it stores the state.
//!
//! The calling rule: load the state, call [`handle`] once, and if `output.changed`, store the state
//! together with every effect before anybody is answered. An error in the reply means that the
//! state is as it was.

mod ahead;
mod audiences;
mod consenting;
mod desk;
mod events;
mod exposing;
mod input;
mod linking;
mod reading;
#[cfg(feature = "keys")]
pub mod receipts;
mod syncing;

use alloc::vec::Vec;

use crate::error::Error;
use crate::ids::Entropy;
use crate::time::Timestamp;
use crate::wire::{Fact, FactRow};
use crate::workspace::Workspace;

pub use desk::Desk;
pub use input::{
    Body, Circumstances, ConsentView, DeviceView, Effect, Explained, Exported, FailedCondition,
    Input, Login, Output, Page, Placements, ProfileView, Reply, Speaker, State,
};

/// Handles one input for one profile. Pure: the same arguments give the same bytes on every host.
pub fn handle(
    state: &mut State,
    workspace: &Workspace,
    now: Timestamp,
    entropy: Entropy,
    input: Input,
) -> Output {
    match ask(state, &mut Desk::default(), workspace, now, &input) {
        Some(reply) => Output { reply, effects: Vec::new(), changed: false },
        None => write(state, Turn { workspace, now, entropy, effects: Vec::new() }, input),
    }
}

/// Answers a question, which changes nothing; None where the input is none. The same answer as
/// [`handle`]'s, with what `desk` holds from the last question about the same state.
pub fn ask(
    state: &State,
    desk: &mut Desk,
    workspace: &Workspace,
    now: Timestamp,
    input: &Input,
) -> Option<Reply> {
    let usual = Circumstances::default();
    let (around, asked) = match input {
        Input::Under { circumstances, question } => (circumstances, question.as_ref()),
        asked => (&usual, asked),
    };
    let frame = reading::Frame { state, workspace, now, around };
    let answer = match asked {
        Input::Decide { speaker, placements, request, trace } => {
            frame.decide(speaker, placements, request, *trace, desk)
        }
        Input::Slice { speaker, request } => frame.slice(speaker, request, desk),
        Input::Consent { speaker } => reading::consent(state, workspace, now, speaker),
        Input::Explain { speaker, placements, request } => {
            frame.explain(speaker, placements, request, desk)
        }
        Input::Export => Ok(reading::export(state)),
        Input::HandOver { device, to } => linking::hand_over(state, now, *device, to),
        _ => return None,
    };
    Some(answer.unwrap_or_else(Reply::Refused))
}

/// The inputs that may change the state: all of the change, or none.
fn write(state: &mut State, mut turn: Turn<'_>, input: Input) -> Output {
    let before = state.clone();
    let answer = change(state, &mut turn, input);
    match answer {
        Ok(reply) => {
            let changed = *state != before || !turn.effects.is_empty();
            Output { reply, effects: turn.effects, changed }
        }
        Err(error) => {
            *state = before;
            Output { reply: Reply::Refused(error), effects: Vec::new(), changed: false }
        }
    }
}

/// The change itself, and the entries and exits of audiences before and after it.
fn change(state: &mut State, turn: &mut Turn<'_>, input: Input) -> Answer {
    let call = audiences::Call::of(state, turn.workspace, &input);
    if call.is_some() {
        audiences::catch_up(state, turn)?;
    }
    let reply = match input {
        Input::Events { speaker, events, known } => {
            events::take(state, turn, &speaker, events, &known)
        }
        Input::Choose { speaker, choices, source, evidence } => {
            consenting::choose(state, turn, &speaker, &choices, &source, &evidence)
        }
        Input::Carry { speaker, consent } => consenting::carry(state, turn, &speaker, &consent),
        Input::Login(login) => linking::login(state, turn, &login),
        Input::Logout { device } => linking::logout(state, turn, device),
        Input::MoveTo { to } => linking::move_to(state, turn, &to),
        Input::Apply { changes } => syncing::apply(state, turn, &changes),
        Input::Erase => Ok(syncing::erase(state, turn)),
        Input::EraseEverywhere => Ok(syncing::erase_everywhere(state, turn)),
        Input::Stored { seqs } => Ok(syncing::stored(state, &seqs)),
        Input::Wake => Ok(Reply::Done),
        _ => Err(Error::new("not_a_change", "this input reads only", "")),
    }?;
    if let Some(call) = call {
        audiences::follow(state, turn, &call)?;
    }
    Ok(reply)
}

/// What one changing call works with.
struct Turn<'a> {
    workspace: &'a Workspace,
    now: Timestamp,
    #[expect(dead_code, reason = "ids that later inputs make are drawn from here")]
    entropy: Entropy,
    effects: Vec<Effect>,
}

impl Turn<'_> {
    /// Gives a fact its seq and queues it.
    fn queue(&mut self, state: &mut State, fact: Fact) -> Result<(), Error> {
        let Some(producer) = state.name.clone() else {
            return Err(Error::new("no_profile", "nothing is stored without a profile", ""));
        };
        state.last_seq = state.last_seq.saturating_add(1);
        let row = FactRow { producer, seq: state.last_seq, time: self.now, fact };
        state.outbox_bytes = state.outbox_bytes.saturating_add(u64::from(row.size_bytes()));
        self.effects.push(Effect::Queue(row));
        Ok(())
    }
}

type Answer = Result<Reply, Error>;
