//! Receipts: each names the hash of the one before, so that none can be changed, dropped or slipped
//! in later without its followers showing it.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::consent::{Record, Region};
use crate::error::Error;
use crate::ids::hex;
use crate::time::Timestamp;
use crate::wire::Receipt;

/// What remains of a receipt when its subject is erased: what was chosen, when and from where,
/// still in its chain. The device and the evidence are gone; of both there is a hash, which a
/// random device id keeps from being guessed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stub {
    /// As in [`Receipt`].
    pub seq: u64,
    /// As in [`Receipt`].
    pub previous: String,
    /// As in [`Receipt`].
    pub records: Vec<Record>,
    /// Hash of device and evidence, in hexadecimal.
    pub details: String,
    /// As in [`Receipt`].
    pub source: String,
    /// As in [`Receipt`].
    pub region: Region,
    /// As in [`Receipt`].
    pub time: Timestamp,
    /// As in [`Receipt`]: it covers the fields above, so that it holds for the stub as well.
    pub hash: String,
}

/// The stub of a receipt.
pub fn stub(receipt: &Receipt) -> Stub {
    let mut details = Sha256::new();
    details.update(receipt.device.0);
    details.update(receipt.evidence.as_bytes());
    Stub {
        seq: receipt.seq,
        previous: receipt.previous.clone(),
        records: receipt.records.clone(),
        details: hex(&details.finalize()),
        source: receipt.source.clone(),
        region: receipt.region.clone(),
        time: receipt.time,
        hash: receipt.hash.clone(),
    }
}

/// Writes a receipt's place in its chain, behind the last one's seq and hash, and its own hash.
pub fn seal(mut receipt: Receipt, last: &(u64, String)) -> Receipt {
    receipt.seq = last.0.saturating_add(1);
    receipt.previous.clone_from(&last.1);
    receipt.hash = hash(&stub(&receipt));
    receipt
}

/// SHA-256 over the stub's own bytes, its hash left empty.
fn hash(stub: &Stub) -> String {
    let bare = Stub { hash: String::new(), ..stub.clone() };
    // A stub always encodes: every part of it is bounded and has a length.
    let bytes = postcard::to_allocvec(&bare).unwrap_or_default();
    hex(&Sha256::digest(&bytes))
}

/// Checks a chain from its first receipt on. Errors: `receipt_changed`, `receipt_missing`, each
/// with the seq where it shows.
pub fn verify(chain: &[Receipt]) -> Result<(), Error> {
    let stubs: Vec<Stub> = chain.iter().map(stub).collect();
    verify_stubs(&stubs)
}

/// The same for what an erasure left.
pub fn verify_stubs(chain: &[Stub]) -> Result<(), Error> {
    let mut previous = "";
    for (stub, seq) in chain.iter().zip(1_u64..) {
        let place = || stub.seq.to_string();
        if stub.seq != seq || stub.previous != previous {
            let message = "a receipt does not follow the one before it";
            return Err(Error::new("receipt_missing", message, place()));
        }
        if hash(stub) != stub.hash {
            let message = "a receipt's content does not match its hash";
            return Err(Error::new("receipt_changed", message, place()));
        }
        previous = &stub.hash;
    }
    Ok(())
}
