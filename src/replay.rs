//! Replay: a recorded trace of inputs through the engine, for showing that every host gives the
//! same bytes. Built for tests only; it must never be part of what a visitor loads.

pub mod cases;
pub mod gate;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::engine::{self, Input, Output, State};
use crate::error::Error;
use crate::ids::Entropy;
use crate::time::Timestamp;
use crate::workspace::Workspace;

/// One input, as its host recorded it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Which object took it.
    pub object: String,
    /// The time that the host passed.
    pub now: Timestamp,
    /// The randomness that the host passed.
    pub entropy: [u8; 32],
    /// The input.
    pub input: Input,
}

/// A recorded trace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    /// The workspace's image.
    pub image: Vec<u8>,
    /// The inputs, in order.
    pub steps: Vec<Step>,
}

/// What a replay came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// One output per step.
    pub outputs: Vec<Output>,
    /// Every object's state at the end.
    pub states: BTreeMap<String, State>,
}

/// Runs a trace.
pub fn run(trace: &Trace) -> Result<Outcome, Error> {
    let workspace = Workspace::from_bytes(&trace.image)?;
    let mut states: BTreeMap<String, State> = BTreeMap::new();
    let mut outputs = Vec::with_capacity(trace.steps.len());
    for step in &trace.steps {
        let state = states.entry(step.object.clone()).or_default();
        let entropy = Entropy::new(step.entropy);
        outputs.push(engine::handle(state, &workspace, step.now, entropy, step.input.clone()));
    }
    Ok(Outcome { outputs, states })
}

/// Runs a trace from its bytes to the outcome's bytes. Errors: `bad_trace`, `bad_image`.
pub fn run_bytes(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let trace: Trace = postcard::from_bytes(bytes)
        .map_err(|_| Error::new("bad_trace", "these bytes are no trace", ""))?;
    postcard::to_allocvec(&run(&trace)?)
        .map_err(|_| Error::new("bad_trace", "the outcome cannot be written", ""))
}
