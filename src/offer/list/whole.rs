//! The offers of a workspace, unpacked when the image is read.

use alloc::vec::Vec;

use super::Offer;
use crate::pack::{Pack, Reader};

/// Offers, by key.
#[derive(Clone, Debug, Default)]
pub struct Offers(Vec<Offer>);

impl Offers {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// An offer by its index.
    pub fn get(&self, at: usize) -> Option<&Offer> {
        self.0.get(at)
    }

    /// All offers, by key.
    pub fn iter(&self) -> impl Iterator<Item = &Offer> {
        self.0.iter()
    }

    /// Unpacks all; whether each is whole.
    pub fn unpack_all(&self) -> bool {
        true
    }

    /// The index of the offer of this key.
    pub fn position(&self, key: &str) -> Option<usize> {
        self.0.binary_search_by(|offer| offer.key.as_str().cmp(key)).ok()
    }
}

impl FromIterator<Offer> for Offers {
    fn from_iter<T: IntoIterator<Item = Offer>>(offers: T) -> Self {
        Self(offers.into_iter().map(Offer::opened).collect())
    }
}

impl Pack for Offers {
    fn pack(&self, out: &mut Vec<u8>) {
        super::pack(self.iter(), self.len(), out);
    }

    fn unpack(from: &mut Reader<'_>) -> Self {
        let offer = |from: &mut Reader<'_>| {
            // How many bytes it takes.
            from.len();
            Offer::unpack(from).opened()
        };
        Self((0..from.len()).map(|_| offer(from)).collect())
    }
}
