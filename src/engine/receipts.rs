//! Receipts: each names the hash of the one before, so that none can be changed, dropped or slipped
//! in later without its followers showing it.

use sha2::{Digest, Sha256};

use super::{Speaker, State};
use crate::consent::Record;
use crate::error::Error;
use crate::ids::{DeviceId, hex};
use crate::time::Timestamp;
use crate::wire::Receipt;

/// A receipt that is being written.
pub(super) struct Draft(Receipt);

/// Begins the receipt that follows the state's last one.
pub(super) fn next(
    state: &State,
    now: Timestamp,
    device: DeviceId,
    records: Vec<Record>,
    speaker: &Speaker,
) -> Draft {
    let (seq, previous) = &state.last_receipt;
    Draft(Receipt {
        seq: seq.saturating_add(1),
        previous: previous.clone(),
        records,
        device,
        source: String::new(),
        evidence: String::new(),
        region: speaker.signals.region.clone(),
        time: now,
        hash: String::new(),
    })
}

impl Draft {
    pub(super) fn from(mut self, source: &str, evidence: &str) -> Self {
        source.clone_into(&mut self.0.source);
        evidence.clone_into(&mut self.0.evidence);
        self
    }

    pub(super) fn seal(mut self, state: &mut State) -> Receipt {
        self.0.hash = hash(&self.0);
        state.last_receipt = (self.0.seq, self.0.hash.clone());
        self.0
    }
}

/// SHA-256 over the receipt's own bytes, its hash left empty.
fn hash(receipt: &Receipt) -> String {
    let bare = Receipt { hash: String::new(), ..receipt.clone() };
    // A receipt always encodes: every part of it is bounded and has a length.
    let bytes = postcard::to_allocvec(&bare).unwrap_or_default();
    hex(&Sha256::digest(&bytes))
}

/// Checks a chain from its first receipt on. Errors: `receipt_changed`, `receipt_missing`, each
/// with the seq where it shows.
pub fn verify(chain: &[Receipt]) -> Result<(), Error> {
    let mut previous = String::new();
    for (receipt, seq) in chain.iter().zip(1_u64..) {
        let place = receipt.seq.to_string();
        if receipt.seq != seq || receipt.previous != previous {
            return Err(Error::new(
                "receipt_missing",
                "a receipt does not follow the one before it",
                place,
            ));
        }
        if hash(receipt) != receipt.hash {
            return Err(Error::new(
                "receipt_changed",
                "a receipt's content does not match its hash",
                place,
            ));
        }
        previous.clone_from(&receipt.hash);
    }
    Ok(())
}
