//! Versions by semver.org 2.0.0, section 11 for their order. A leading `v` and missing minor and
//! patch numbers are taken as what people write. It must never know what is versioned.

use std::cmp::Ordering;

/// Bits of one number in a key.
const BITS: u32 = 20;
/// Numbers from here on have no key of their own.
pub const KEY_LIMIT: u64 = (1 << BITS) - 1;

/// A version, borrowed from its text.
#[derive(Clone, Copy, Debug)]
pub struct Version<'a> {
    numbers: [u64; 3],
    prerelease: &'a str,
}

impl<'a> Version<'a> {
    /// None where the text is no version.
    pub fn parse(text: &'a str) -> Option<Self> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let (text, build) = text.split_once('+').map_or((text, None), |(v, b)| (v, Some(b)));
        if !build.is_none_or(well_formed) {
            return None;
        }
        let (text, prerelease) = match text.split_once('-') {
            Some((_, prerelease)) if !well_formed(prerelease) => return None,
            Some(parts) => parts,
            None => (text, ""),
        };
        let mut numbers = [0; 3];
        let mut parts = text.split('.');
        for (place, number) in numbers.iter_mut().enumerate() {
            match parts.next() {
                Some(part) => *number = digits(part)?,
                None if place > 0 => break,
                None => return None,
            }
        }
        parts.next().is_none().then_some(Self { numbers, prerelease })
    }

    /// Order by precedence; build metadata plays no part.
    pub fn compare(&self, other: &Self) -> Ordering {
        self.numbers.cmp(&other.numbers).then_with(|| {
            match (self.prerelease.is_empty(), other.prerelease.is_empty()) {
                (true, true) => Ordering::Equal,
                (true, false) => Ordering::Greater,
                (false, true) => Ordering::Less,
                (false, false) => prerelease_order(self.prerelease, other.prerelease),
            }
        })
    }

    /// A number that orders versions, prereleases just under their release. Large numbers are
    /// held at [`KEY_LIMIT`].
    pub fn key(&self) -> i64 {
        let mut key = 0;
        for number in self.numbers {
            key = (key << BITS) | i64::try_from(number.min(KEY_LIMIT)).unwrap_or(0);
        }
        (key << 1) | i64::from(self.prerelease.is_empty())
    }

    /// Whether comparing keys with this version's is the same as comparing versions with it.
    pub fn has_exact_key(&self) -> bool {
        self.prerelease.is_empty() && self.numbers.iter().all(|n| *n < KEY_LIMIT)
    }
}

/// A number without a leading zero.
fn digits(text: &str) -> Option<u64> {
    if text.is_empty() || (text.len() > 1 && text.starts_with('0')) {
        return None;
    }
    let mut number = 0_u64;
    for byte in text.bytes() {
        if !byte.is_ascii_digit() {
            return None;
        }
        number = number.checked_mul(10)?.checked_add(u64::from(byte - b'0'))?;
    }
    Some(number)
}

fn well_formed(text: &str) -> bool {
    text.split('.').all(|part| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    })
}

fn prerelease_order(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.split('.'), b.split('.'));
    loop {
        let order = match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(x), Some(y)) => match (digits(x), digits(y)) {
                (Some(m), Some(n)) => m.cmp(&n),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => x.cmp(y),
            },
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn precedence_follows_the_specification_s_example() {
        let order = [
            "0.9.0",
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc.1",
            "1.0.0",
            "1.0.1",
            "1.2",
            "2",
            "10.0.0",
        ];
        for (i, a) in order.iter().enumerate() {
            for (j, b) in order.iter().enumerate() {
                let (a, b) = (Version::parse(a), Version::parse(b));
                assert_eq!(a.zip(b).map(|(a, b)| a.compare(&b)), Some(i.cmp(&j)));
            }
        }
    }

    #[test]
    fn keys_order_versions_around_a_release() {
        let release = Version::parse("1.2.3").map(|v| v.key());
        for (text, order) in [
            ("1.2.3", Ordering::Equal),
            ("v1.2.3+build.5", Ordering::Equal),
            ("1.2.3-rc.1", Ordering::Less),
            ("1.2.2", Ordering::Less),
            ("1.99999999.0", Ordering::Greater),
            ("1.2.4-alpha", Ordering::Greater),
        ] {
            assert_eq!(Version::parse(text).map(|v| v.key()).cmp(&release), order, "{text}");
        }
    }

    #[test]
    fn what_is_no_version_is_refused() {
        for text in ["", "v", "1.", "1.2.3.4", "a.b.c", "01.2.3", "1.2.3-", "1..2", "1.2.3-é"] {
            assert!(Version::parse(text).is_none(), "{text}");
        }
    }
}
