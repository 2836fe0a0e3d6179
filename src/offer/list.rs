//! The offers of a workspace, as hosts hold them. It must never give one whose bytes are not whole.

#[cfg(feature = "server")]
mod packed;
#[cfg(not(feature = "server"))]
mod whole;

use alloc::vec::Vec;

use super::Offer;
use crate::pack::{Pack, put_bytes, put_number};

#[cfg(feature = "server")]
pub use packed::Offers;
#[cfg(not(feature = "server"))]
pub use whole::Offers;

/// Whether offers stay packed until they are asked for, so that it pays to ask for few.
pub(crate) const STAY_PACKED: bool = cfg!(feature = "server");

/// Each offer after how many bytes it takes, so that a host may leave it packed.
fn pack<'a>(offers: impl Iterator<Item = &'a Offer>, len: usize, out: &mut Vec<u8>) {
    put_number(out, len as u64);
    for offer in offers {
        let mut bytes = Vec::new();
        offer.pack(&mut bytes);
        put_bytes(out, &bytes);
    }
}
