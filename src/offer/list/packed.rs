//! The offers of a workspace. Those of an image stay packed until somebody asks for them: of a
//! thousand a first question looks at a few.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cmp::Ordering;

use once_cell::race::OnceBox;

use super::Offer;
use crate::pack::{Pack, Reader};

/// Offers, by key.
#[derive(Clone, Debug, Default)]
pub struct Offers {
    /// Of an image: each offer's bytes after their length.
    packed: Vec<u8>,
    /// Each with where it stands among the bytes.
    list: Vec<(u32, OnceBox<Offer>)>,
}

impl Offers {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// An offer by its index.
    #[inline]
    pub fn get(&self, at: usize) -> Option<&Offer> {
        self.list.get(at).and_then(|one| self.known(one))
    }

    #[inline]
    fn known<'a>(&'a self, (place, known): &'a (u32, OnceBox<Offer>)) -> Option<&'a Offer> {
        match known.get() {
            Some(offer) => Some(offer),
            None => self.unpack_at(*place, known),
        }
    }

    #[cold]
    #[inline(never)]
    fn unpack_at<'a>(&'a self, place: u32, known: &'a OnceBox<Offer>) -> Option<&'a Offer> {
        let bytes = Reader::new(self.packed.get(place as usize..)?).bytes();
        let mut from = Reader::new(bytes);
        let offer = Offer::unpack(&mut from);
        let offer = from.finish(offer)?;
        Some(known.get_or_init(|| Box::new(offer.opened())))
    }

    /// All offers, by key.
    pub fn iter(&self) -> impl Iterator<Item = &Offer> {
        self.list.iter().filter_map(|one| self.known(one))
    }

    /// Unpacks all; whether each is whole. From then on to ask for one allocates nothing.
    pub fn unpack_all(&self) -> bool {
        self.iter().count() == self.list.len()
    }

    /// The index of the offer of this key.
    pub fn position(&self, key: &str) -> Option<usize> {
        let order =
            |one| self.known(one).map_or(Ordering::Less, |offer| offer.key.as_str().cmp(key));
        self.list.binary_search_by(order).ok()
    }
}

impl FromIterator<Offer> for Offers {
    fn from_iter<T: IntoIterator<Item = Offer>>(offers: T) -> Self {
        let known = |offer: Offer| (0, OnceBox::with_value(Box::new(offer.opened())));
        Self { packed: Vec::new(), list: offers.into_iter().map(known).collect() }
    }
}

impl Pack for Offers {
    fn pack(&self, out: &mut Vec<u8>) {
        super::pack(self.iter(), self.len(), out);
    }

    #[inline(never)]
    fn unpack(from: &mut Reader<'_>) -> Self {
        let len = from.len();
        let all = from.rest();
        let mut list = Vec::with_capacity(len);
        for _ in 0..len {
            let place = all.len() - from.rest().len();
            list.push((u32::try_from(place).unwrap_or(u32::MAX), OnceBox::new()));
            from.bytes();
        }
        let used = all.len() - from.rest().len();
        Self { packed: all.get(..used).unwrap_or_default().to_vec(), list }
    }
}

#[cfg(all(test, feature = "compile"))]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const SHOP: &str = include_str!("../../../examples/shop/workspace.json");

    fn read(bytes: &[u8]) -> Option<Offers> {
        let mut from = Reader::new(bytes);
        let offers = Offers::unpack(&mut from);
        from.finish(offers)
    }

    #[test]
    fn offers_come_back_and_are_found_in_any_order() {
        let offers = crate::compile::workspace(SHOP).unwrap().offers;
        let mut bytes = Vec::new();
        offers.pack(&mut bytes);
        for at in (0..offers.len()).rev() {
            let back = read(&bytes).unwrap();
            let offer = offers.get(at).unwrap();
            assert_eq!(back.position(&offer.key), Some(at));
            assert_eq!(back.get(at), Some(offer));
            assert_eq!(back.clone().get(at), Some(offer));
            assert!(back.iter().eq(offers.iter()));
            assert!(back.unpack_all());
        }
        assert_eq!(read(&bytes).unwrap().position("no such"), None);
        assert_eq!(read(&bytes).unwrap().get(offers.len()), None);
    }

    #[test]
    fn an_offer_that_is_not_whole_is_none() {
        let offers = crate::compile::workspace(SHOP).unwrap().offers;
        let mut bytes = Vec::new();
        offers.pack(&mut bytes);
        let (mut refused, mut lost) = (0, 0);
        for place in 0..bytes.len() {
            let mut damaged = bytes.clone();
            *damaged.get_mut(place).unwrap() ^= 0x80;
            let Some(back) = read(&damaged) else {
                refused += 1;
                continue;
            };
            // A damaged byte is of one offer: the others stay what they are.
            let same = (0..offers.len()).filter(|at| back.get(*at) == offers.get(*at)).count();
            assert!(same + 1 >= offers.len(), "byte {place}");
            if !back.unpack_all() {
                assert_eq!((0..offers.len()).filter(|at| back.get(*at).is_none()).count(), 1);
                lost += 1;
            }
        }
        assert!(refused > 0 && lost > 0, "{refused} refused, {lost} lost");
    }
}
