//! Ids: devices, profiles, events, decisions. They are made from entropy that the host passes in;
//! nothing here may ask for randomness itself.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use core::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::error::Error;

/// Lower-case hexadecimal of `bytes`.
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().saturating_mul(2));
    for byte in bytes {
        push_hex(&mut text, *byte, b'a');
    }
    text
}

/// Appends a byte in hexadecimal; `ten` is the digit for 10.
pub(crate) fn push_hex(text: &mut String, byte: u8, ten: u8) {
    for nibble in [byte >> 4, byte & 15] {
        text.push(char::from(if nibble < 10 { b'0' + nibble } else { ten - 10 + nibble }));
    }
}

fn nibble(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

/// The 16 bytes of 32 lower-case hexadecimal digits.
pub fn unhex16(text: &str) -> Option<[u8; 16]> {
    let bytes = text.as_bytes();
    if bytes.len() != 32 {
        return None;
    }
    let mut out = [0_u8; 16];
    for (slot, pair) in out.iter_mut().zip(bytes.chunks_exact(2)) {
        if let [high, low] = pair {
            *slot = (nibble(*high)? << 4) | nibble(*low)?;
        }
    }
    Some(out)
}

/// One browser or app installation: 128 random bits, written as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceId(pub [u8; 16]);

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for DeviceId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(&hex(&self.0))
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for DeviceId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            unhex16(&text).map(Self).ok_or_else(|| de::Error::custom("not a device id"))
        } else {
            <[u8; 16]>::deserialize(deserializer).map(Self)
        }
    }
}

/// The name of a profile object: `p_` and a keyed hash for a person, `d_` and a keyed hash for an
/// unlinked device. It holds nothing that can be read back into an identifier.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProfileName(String);

impl ProfileName {
    /// A name that came from outside. Errors: `bad_profile_name`.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let known = text
            .strip_prefix("p_")
            .or_else(|| text.strip_prefix("d_"))
            .is_some_and(|rest| rest.len() == 32 && rest.bytes().all(|b| nibble(b).is_some()));
        if known {
            Ok(Self(text.to_owned()))
        } else {
            Err(Error::new("bad_profile_name", "this is not the name of a profile", "profile"))
        }
    }

    /// The name of the person behind a keyed hash.
    pub fn person(hash: &[u8; 16]) -> Self {
        Self(format!("p_{}", hex(hash)))
    }

    /// The name of the device behind a keyed hash.
    pub fn device(hash: &[u8; 16]) -> Self {
        Self(format!("d_{}", hex(hash)))
    }

    /// True for a person, false for an unlinked device.
    pub fn is_person(&self) -> bool {
        self.0.starts_with("p_")
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProfileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an event is deduplicated by: a 128-bit hash of its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventKey(pub [u8; 16]);

impl EventKey {
    /// The key of an event id: FNV-1a with 128 bits (draft-eastlake-fnv). Ids that collide on
    /// purpose only ever drop events of the caller who made them, so a keyed hash is not needed.
    pub fn of(id: &str) -> Self {
        Self::of_parts(&[id])
    }

    /// The key of a text by its parts.
    pub(crate) fn of_parts(parts: &[&str]) -> Self {
        let mut hash: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
        for part in parts {
            for byte in part.bytes() {
                hash ^= u128::from(byte);
                hash = hash.wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
            }
        }
        Self(hash.to_be_bytes())
    }
}

/// Randomness that the host drew for one input; ids are cut from it in order.
#[derive(Clone, Debug)]
pub struct Entropy {
    seed: [u8; 32],
    taken: u64,
}

impl Entropy {
    /// Entropy from 32 bytes of the host's cryptographic source.
    pub fn new(seed: [u8; 32]) -> Self {
        Self { seed, taken: 0 }
    }

    /// The next 16 bytes. The first two draws are the host's own bytes; later ones are derived from
    /// them, which keeps them distinct but no more secret than the first two.
    pub fn take16(&mut self) -> [u8; 16] {
        let (first, second) = self.seed.split_at(16);
        let half = if self.taken.is_multiple_of(2) { first } else { second };
        let mut out = [0_u8; 16];
        for (slot, byte) in out.iter_mut().zip(half) {
            *slot = *byte;
        }
        let round = self.taken / 2;
        self.taken = self.taken.saturating_add(1);
        if round > 0 {
            let mut text = hex(&out);
            text.push_str(&hex(&round.to_be_bytes()));
            out = EventKey::of(&text).0;
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_key_is_the_published_hash() {
        // The drafts' vectors for FNV-1a with 128 bits.
        for (text, key) in [
            ("", "6c62272e07bb014262b821756295c58d"),
            ("a", "d228cb696f1a8caf78912b704e4a8964"),
            ("foobar", "343e1662793c64bf6f0d3597ba446f18"),
        ] {
            assert_eq!(hex(&EventKey::of(text).0), key, "{text}");
        }
    }
}
