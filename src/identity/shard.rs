//! The identity shard: identifier -> profile, with an epoch, so that a weaker identifier finds the
//! person that a stronger one named. It must never hold an identifier, only its keyed hash.

use serde::{Deserialize, Serialize};

use super::IdentifierKind;
use crate::ids::ProfileName;
use crate::time::Timestamp;

/// What a shard files under one identifier's key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Filed {
    /// The profile.
    pub profile: ProfileName,
    /// The strongest kind of identifier behind that profile's name.
    pub strength: IdentifierKind,
    /// Counts up with every change.
    pub epoch: u64,
    /// When it was proved.
    pub time: Timestamp,
}

/// A proof at a shard: this identifier belongs to that profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Proof {
    /// The profile that the strongest identifier of the token names.
    pub profile: ProfileName,
    /// The kind of that strongest identifier.
    pub strength: IdentifierKind,
    /// When.
    pub time: Timestamp,
}

/// What a proof leads to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// What is filed now.
    pub filed: Filed,
    /// A profile that becomes a redirect to the filed one.
    pub redirect: Option<ProfileName>,
    /// Whether anything must be stored.
    pub changed: bool,
}

/// Files a proof. The stronger kind names the profile; between two of the strongest kind the first
/// stands, since two verified people never merge at the edge (DESIGN.md section 6, rule 5).
pub fn file(known: Option<&Filed>, proof: &Proof) -> Outcome {
    let fresh = |epoch| Filed {
        profile: proof.profile.clone(),
        strength: proof.strength,
        epoch,
        time: proof.time,
    };
    match known {
        None => Outcome { filed: fresh(1), redirect: None, changed: true },
        Some(known) if known.profile != proof.profile && proof.strength < known.strength => {
            Outcome {
                filed: fresh(known.epoch.saturating_add(1)),
                redirect: Some(known.profile.clone()),
                changed: true,
            }
        }
        Some(known) => Outcome { filed: known.clone(), redirect: None, changed: false },
    }
}
