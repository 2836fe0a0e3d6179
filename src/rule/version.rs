//! Versions by semver.org 2.0.0, section 11 for their order. A leading `v` and missing minor and
//! patch numbers are taken as what people write. It must never know what is versioned.

use core::cmp::Ordering;

/// Bits of one number in a key.
const BITS: u32 = 20;
/// Numbers from here on have no key of their own.
const KEY_LIMIT: u64 = (1 << BITS) - 1;

/// A version, borrowed from its text.
#[derive(Clone, Copy, Debug)]
pub struct Version<'a> {
    numbers: [u64; 3],
    /// Empty of a release.
    prerelease: &'a [u8],
}

/// Takes bytes from the front while they are digits: a number without a leading zero.
fn number(text: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    let mut digits = 0;
    while let Some((digit @ b'0'..=b'9', rest)) = text.split_first() {
        if digits > 0 && number == 0 {
            return None;
        }
        number = number.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
        digits += 1;
        *text = rest;
    }
    (digits > 0).then_some(number)
}

/// Takes `byte` from the front, where it is there.
fn take(text: &mut &[u8], byte: u8) -> bool {
    match text.split_first() {
        Some((first, rest)) if *first == byte => {
            *text = rest;
            true
        }
        _ => false,
    }
}

/// Takes identifiers with dots between, none empty.
fn identifiers<'a>(text: &mut &'a [u8]) -> Option<&'a [u8]> {
    let all = *text;
    let mut len = 0;
    let mut before = b'.';
    while let Some((byte, rest)) = text.split_first() {
        let dot = *byte == b'.' && before != b'.';
        if !dot && !byte.is_ascii_alphanumeric() && *byte != b'-' {
            break;
        }
        before = *byte;
        len += 1;
        *text = rest;
    }
    if before == b'.' { None } else { all.get(..len) }
}

impl<'a> Version<'a> {
    /// None where the text is no version.
    pub fn parse(text: &'a str) -> Option<Self> {
        let text = &mut text.as_bytes();
        take(text, b'v');
        let mut numbers = [number(text)?, 0, 0];
        for place in numbers.iter_mut().skip(1) {
            if !take(text, b'.') {
                break;
            }
            *place = number(text)?;
        }
        let prerelease = if take(text, b'-') { identifiers(text)? } else { &[] };
        if take(text, b'+') {
            identifiers(text)?;
        }
        text.is_empty().then_some(Self { numbers, prerelease })
    }

    /// Order by precedence; build metadata plays no part.
    pub fn compare(&self, other: &Self) -> Ordering {
        let release = self.prerelease.is_empty().cmp(&other.prerelease.is_empty());
        let numbers = self.numbers.cmp(&other.numbers);
        numbers.then(release).then_with(|| identifier_order(self.prerelease, other.prerelease))
    }

    /// A number that orders versions, prereleases just under their release. Large numbers are
    /// held at the limit.
    pub fn key(&self) -> i64 {
        let mut key = 0_u64;
        for number in self.numbers {
            key = (key << BITS) | number.min(KEY_LIMIT);
        }
        ((key << 1) | u64::from(self.prerelease.is_empty())).cast_signed()
    }

    /// Whether comparing keys with this version's is the same as comparing versions with it.
    #[cfg(feature = "compile")]
    pub fn has_exact_key(&self) -> bool {
        self.prerelease.is_empty() && self.numbers.iter().all(|n| *n < KEY_LIMIT)
    }
}

/// Numbers before words, fewer before more.
fn identifier_order(mut a: &[u8], mut b: &[u8]) -> Ordering {
    loop {
        if a.is_empty() || b.is_empty() {
            return a.len().cmp(&b.len());
        }
        let (x, y) = (first(&mut a), first(&mut b));
        let digits = |text: &[u8]| text.iter().all(u8::is_ascii_digit);
        let order = match (digits(x), digits(y)) {
            // Without leading zeroes, the longer number is the larger one.
            (true, true) => x.len().cmp(&y.len()).then_with(|| x.cmp(y)),
            (x_is_number, y_is_number) => y_is_number.cmp(&x_is_number).then_with(|| x.cmp(y)),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

/// Takes what stands before the next dot, and the dot.
fn first<'a>(text: &mut &'a [u8]) -> &'a [u8] {
    let all = *text;
    let mut len = 0;
    while let Some((byte, rest)) = text.split_first() {
        *text = rest;
        if *byte == b'.' {
            break;
        }
        len += 1;
    }
    all.get(..len).unwrap_or(&[])
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
                let (x, y) = (Version::parse(a), Version::parse(b));
                assert_eq!(x.zip(y).map(|(x, y)| x.compare(&y)), Some(i.cmp(&j)), "{a} {b}");
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
        for text in [
            "",
            "v",
            "1.",
            "1.2.3.4",
            "a.b.c",
            "01.2.3",
            "1.2.3-",
            "1.2.3-a..b",
            "1.2.3-a.",
            "1..2",
            "1.2.3-é",
            "1.2.3+",
            "1.2.3 ",
            "99999999999999999999.0.0",
        ] {
            assert!(Version::parse(text).is_none(), "{text}");
        }
    }
}
