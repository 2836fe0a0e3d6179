//! The only door. `handle` takes an input for one profile and says what to answer and what to do;
//! the host brings the time, the randomness, the workspace and the stored state, and carries out the
//! effects in the same transaction in which it stores the state.
//!
//! The calling rule: load the state, call [`handle`] once, and if `output.changed`, store the state
//! together with every effect before anybody is answered. An error in the reply means that the state
//! is as it was.

mod input;

use crate::error::Error;
use crate::ids::Entropy;
use crate::time::Timestamp;
use crate::workspace::Workspace;

pub use input::{
    Body, ConsentView, DeviceView, Effect, Explained, Exported, Input, Login, Output, Page,
    Placements, ProfileView, Reply, Speaker, State,
};

/// Handles one input for one profile. Pure: the same arguments give the same bytes on every host.
pub fn handle(
    state: &mut State,
    workspace: &Workspace,
    now: Timestamp,
    entropy: Entropy,
    input: Input,
) -> Output {
    let before = state.clone();
    let mut turn = Turn { workspace, now, entropy, effects: Vec::new() };
    let answer: Answer = {
        let _ = (&mut turn, input);
        Err(Error::new("not_ready", "the engine is being filled", ""))
    };
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

/// What one call of [`handle`] works with.
struct Turn<'a> {
    workspace: &'a Workspace,
    now: Timestamp,
    #[expect(dead_code, reason = "ids made by later inputs are drawn from here")]
    entropy: Entropy,
    effects: Vec<Effect>,
}

type Answer = Result<Reply, Error>;
