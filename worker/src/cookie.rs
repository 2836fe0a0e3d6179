//! The device cookie, the visitor's reference and previews: sealed so that nobody else can read,
//! change or make one. It must never hold anything personal but the keyed names of objects, and a
//! refusal is the same for everybody, so that it names nobody.

use std::collections::BTreeMap;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER_PERMISSIVE};
use hmac::{Hmac, Mac};
use selvedge::consent::{PurposeSet, Signals};
use selvedge::ids::{DeviceId, ProfileName};
use selvedge::limits;
use selvedge::time::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// The cookie's name: the prefix makes browsers insist on Secure, Path=/ and no Domain.
pub const NAME: &str = "__Host-selvedge";
/// The cookie of a preview.
pub const PREVIEW_NAME: &str = "__Host-selvedge-preview";
/// Raised when what is sealed changes its form.
const VERSION: u8 = 1;
const NONCE_BYTES: usize = 24;
/// Longest sealed text that is looked at; the longest that is made has about 200 bytes.
const SEALED_CHARS: usize = 1_024;
/// A reference is for the request that it came with.
const REFERENCE_AGE_MS: i64 = 60 * 60 * 1_000;
/// The cookie is set anew when it is this old, so that its 400 days begin again.
const RENEW_MS: i64 = limits::DAY;

/// What the cookie holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cookie {
    /// The device; None where nothing may be stored.
    pub device: Option<DeviceId>,
    /// The person's object, once the device is linked.
    pub person: Option<ProfileName>,
    /// Until then another person used this browser: no history is attached backwards.
    pub shared_until: Option<Timestamp>,
    /// A no of somebody without a device.
    pub refused: PurposeSet,
    /// When it was set; 0 without a device, since a time could tell people apart.
    pub issued: Timestamp,
}

impl Cookie {
    /// Whether another person used this browser lately.
    pub fn is_shared(&self, now: Timestamp) -> bool {
        self.shared_until.is_some_and(|until| now < until)
    }

    /// Whether it counts by its age.
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.device.is_none() || now.since_ms(self.issued) < limits::COOKIE_AGE_MS
    }

    /// Whether its time should begin again.
    pub fn is_old(&self, now: Timestamp) -> bool {
        self.device.is_some() && now.since_ms(self.issued) > RENEW_MS
    }
}

/// What the origin may hand back to the admin's `explain`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// The visitor's device.
    pub device: DeviceId,
    /// The person's object, where it is linked.
    pub person: Option<ProfileName>,
    /// What the browser said.
    pub signals: Signals,
    /// When.
    pub issued: Timestamp,
}

/// What a preview shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preview {
    /// Not any more from here on.
    pub expires: Timestamp,
    /// Experiments and their variants, by name.
    pub variants: BTreeMap<String, String>,
}

/// A sealing key with its id.
#[derive(Clone)]
struct Key {
    kid: String,
    cipher: [u8; 32],
    nonces: [u8; 32],
}

/// The keys of the cookie: the first seals, all open.
#[derive(Clone)]
pub struct Keys {
    tenant: String,
    keys: Vec<Key>,
}

impl Keys {
    /// From `kid:64hex,kid2:64hex`. None where the text is anything else.
    pub fn parse(tenant: &str, text: &str) -> Option<Self> {
        let keys =
            text.split(',').map(|part| Key::parse(part.trim())).collect::<Option<Vec<_>>>()?;
        Some(Self { tenant: tenant.to_owned(), keys })
    }

    /// The cookie's value for a `Set-Cookie`.
    pub fn seal_cookie(&self, cookie: &Cookie, now: Timestamp) -> Option<String> {
        let issued = if cookie.device.is_some() { now } else { Timestamp(0) };
        self.seal("cookie", &Cookie { issued, ..cookie.clone() })
    }

    /// The cookie behind a value; None for a forged, foreign, stale or unreadable one.
    pub fn open_cookie(&self, text: &str, now: Timestamp) -> Option<Cookie> {
        let cookie: Cookie = self.open("cookie", text)?;
        cookie.is_valid(now).then_some(cookie)
    }

    /// A reference for the origin.
    pub fn seal_reference(&self, reference: &Reference) -> Option<String> {
        self.seal("reference", reference)
    }

    /// The visitor behind a reference.
    pub fn open_reference(&self, text: &str, now: Timestamp) -> Option<Reference> {
        let reference: Reference = self.open("reference", text)?;
        (now.since_ms(reference.issued) < REFERENCE_AGE_MS).then_some(reference)
    }

    /// A token for a preview; None where it would be too long to be read again.
    pub fn seal_preview(&self, preview: &Preview) -> Option<String> {
        self.seal("preview", preview).filter(|token| token.len() <= SEALED_CHARS)
    }

    /// The preview behind a token; None for a forged, foreign or expired one.
    pub fn open_preview(&self, text: &str, now: Timestamp) -> Option<Preview> {
        let preview: Preview = self.open("preview", text)?;
        let left_ms = preview.expires.since_ms(now);
        (left_ms > 0 && left_ms <= limits::PREVIEW_MS).then_some(preview)
    }

    fn seal(&self, purpose: &str, value: &impl Serialize) -> Option<String> {
        let key = self.keys.first()?;
        let plain = postcard::to_allocvec(value).ok()?;
        let bound = self.bound(purpose, &key.kid);
        // Made of the content, so that no two contents share a nonce, and no randomness is needed.
        let nonce = mac(&key.nonces, &[&bound, &plain]);
        let nonce: [u8; NONCE_BYTES] = nonce.first_chunk().copied()?;
        let sealed = XChaCha20Poly1305::new(&key.cipher.into())
            .encrypt(&XNonce::from(nonce), Payload { msg: &plain, aad: &bound })
            .ok()?;
        let mut bytes = vec![VERSION, u8::try_from(key.kid.len()).ok()?];
        bytes.extend_from_slice(key.kid.as_bytes());
        bytes.extend_from_slice(&nonce);
        bytes.extend_from_slice(&sealed);
        Some(BASE64URL_NOPAD.encode(&bytes))
    }

    fn open<T: DeserializeOwned>(&self, purpose: &str, text: &str) -> Option<T> {
        if text.len() > SEALED_CHARS {
            return None;
        }
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
        let (&[version, kid_bytes], rest) = bytes.split_first_chunk::<2>()?;
        let (kid, rest) = rest.split_at_checked(usize::from(kid_bytes))?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_BYTES>()?;
        let key = self.keys.iter().find(|key| key.kid.as_bytes() == kid)?;
        if version != VERSION {
            return None;
        }
        let aad = self.bound(purpose, &key.kid);
        let plain = XChaCha20Poly1305::new(&key.cipher.into())
            .decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: &aad })
            .ok()?;
        postcard::from_bytes(&plain).ok()
    }

    /// What a seal is bound to: one made for another use, tenant or key does not open.
    fn bound(&self, purpose: &str, kid: &str) -> Vec<u8> {
        format!("selvedge\u{1f}{VERSION}\u{1f}{purpose}\u{1f}{}\u{1f}{kid}", self.tenant)
            .into_bytes()
    }
}

impl Key {
    fn parse(text: &str) -> Option<Self> {
        let (kid, hex) = text.split_once(':')?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if kid.is_empty() || kid.len() > 32 || !kid.bytes().all(plain) {
            return None;
        }
        let bytes = HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).ok()?;
        let secret = <[u8; 32]>::try_from(bytes.as_slice()).ok()?;
        Some(Self {
            kid: kid.to_owned(),
            cipher: mac(&secret, &[b"selvedge cookie cipher"]),
            nonces: mac(&secret, &[b"selvedge cookie nonces"]),
        })
    }
}

fn mac(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; 32] };
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// Whether two secrets are equal, in a time that does not tell where they differ.
pub fn same_secret(known: &str, given: &str) -> bool {
    let key = [0x5a; 32];
    let Ok(mut left) = Hmac::<Sha256>::new_from_slice(&key) else { return false };
    left.update(known.as_bytes());
    let right = {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&key) else { return false };
        mac.update(given.as_bytes());
        mac.finalize().into_bytes()
    };
    !known.is_empty() && left.verify_slice(&right).is_ok()
}

/// The `Set-Cookie` line for a sealed value.
pub fn line(value: &str) -> String {
    let max_age_s = limits::COOKIE_AGE_MS / 1_000;
    format!("{NAME}={value}; Path=/; Max-Age={max_age_s}; HttpOnly; Secure; SameSite=Lax")
}

/// The `Set-Cookie` line that takes the cookie away.
pub fn expiry() -> String {
    format!("{NAME}=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax")
}

/// The `Set-Cookie` line of a preview.
pub fn preview_line(token: &str, left_ms: i64) -> String {
    let left_s = left_ms / 1_000;
    format!("{PREVIEW_NAME}={token}; Path=/; Max-Age={left_s}; HttpOnly; Secure; SameSite=Lax")
}

/// The `Set-Cookie` line that ends a preview.
pub fn preview_expiry() -> String {
    format!("{PREVIEW_NAME}=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax")
}

/// The token of a preview in a `Cookie` header.
pub fn find_preview(header: &str) -> Option<&str> {
    pairs(header).find(|(name, _)| *name == PREVIEW_NAME).map(|(_, value)| value)
}

/// The value of our cookie in a `Cookie` header.
pub fn find(header: &str) -> Option<&str> {
    pairs(header).find(|(name, _)| *name == NAME).map(|(_, value)| value)
}

/// A `Cookie` header without ours; None where nothing is left.
pub fn without(header: &str) -> Option<String> {
    let kept: Vec<&str> = header
        .split(';')
        .map(str::trim)
        .filter(|pair| {
            let name = pair.split('=').next().map(str::trim).unwrap_or_default();
            !pair.is_empty() && name != NAME && name != PREVIEW_NAME
        })
        .collect();
    (!kept.is_empty()).then(|| kept.join("; "))
}

fn pairs(header: &str) -> impl Iterator<Item = (&str, &str)> {
    header.split(';').filter_map(|pair| pair.trim().split_once('='))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn keys(text: &str) -> Keys {
        Keys::parse("shop", text).unwrap()
    }

    fn one() -> String {
        format!("a:{}", "11".repeat(32))
    }

    fn two() -> String {
        format!("b:{},{}", "22".repeat(32), one())
    }

    fn device() -> Cookie {
        Cookie { device: Some(DeviceId([7; 16])), issued: NOW, ..Cookie::default() }
    }

    #[test]
    fn a_cookie_opens_again_also_after_the_key_was_rotated() {
        let sealed = keys(&one()).seal_cookie(&device(), NOW).unwrap();
        assert_eq!(keys(&one()).open_cookie(&sealed, NOW), Some(device()));
        assert_eq!(keys(&two()).open_cookie(&sealed, NOW), Some(device()));
        let rotated = keys(&two()).seal_cookie(&device(), NOW).unwrap();
        assert_eq!(keys(&one()).open_cookie(&rotated, NOW), None);
    }

    #[test]
    fn a_changed_foreign_or_stale_cookie_does_not_open() {
        let keys = keys(&one());
        let sealed = keys.seal_cookie(&device(), NOW).unwrap();
        for at in 0..sealed.len() {
            let mut bytes = sealed.clone().into_bytes();
            let byte = bytes.get_mut(at).unwrap();
            *byte = if *byte == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(bytes).unwrap();
            assert_eq!(keys.open_cookie(&forged, NOW), None, "at {at}");
        }
        let other = Keys::parse("other", &one()).unwrap();
        assert_eq!(other.open_cookie(&sealed, NOW), None);
        assert_eq!(keys.open_cookie(&sealed, NOW.plus_ms(limits::COOKIE_AGE_MS)), None);
        assert_eq!(keys.open_reference(&sealed, NOW), None);
        assert_eq!(keys.open_cookie("", NOW), None);
    }

    #[test]
    fn a_preview_opens_for_an_hour_and_only_as_one() {
        let keys = keys(&one());
        let variants = BTreeMap::from([("copy".to_owned(), "short".to_owned())]);
        let preview = Preview { expires: NOW.plus_ms(limits::PREVIEW_MS), variants };
        let token = keys.seal_preview(&preview).unwrap();
        assert_eq!(keys.open_preview(&token, NOW), Some(preview.clone()));
        assert_eq!(keys.open_preview(&token, NOW.plus_ms(limits::PREVIEW_MS - 1)), Some(preview));
        assert_eq!(keys.open_preview(&token, NOW.plus_ms(limits::PREVIEW_MS)), None);
        // One that claims to be good for longer than any is.
        assert_eq!(keys.open_preview(&token, NOW.plus_ms(-1)), None);
        assert_eq!(keys.open_cookie(&token, NOW), None);
        assert_eq!(keys.open_preview(&keys.seal_cookie(&device(), NOW).unwrap(), NOW), None);
        for at in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            let byte = bytes.get_mut(at).unwrap();
            *byte = if *byte == b'A' { b'B' } else { b'A' };
            assert_eq!(keys.open_preview(&String::from_utf8(bytes).unwrap(), NOW), None);
        }
        let long = BTreeMap::from([("x".repeat(900), String::new())]);
        assert_eq!(keys.seal_preview(&Preview { expires: NOW, variants: long }), None);
    }

    #[test]
    fn a_refusal_is_the_same_for_everybody() {
        let refusal = Cookie { refused: PurposeSet::NONE, ..Cookie::default() };
        let first = keys(&one()).seal_cookie(&refusal, NOW);
        assert_eq!(first, keys(&one()).seal_cookie(&refusal, NOW.plus_ms(5)));
        assert_ne!(first, keys(&one()).seal_cookie(&device(), NOW));
    }

    #[test]
    fn keys_are_refused_unless_they_are_whole() {
        for bad in ["", "a", "a:11", &format!("a b:{}", "11".repeat(32)), &format!("{},", one())] {
            assert!(Keys::parse("shop", bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn our_cookie_is_found_and_taken_out() {
        let header = "a=1; __Host-selvedge=xyz; b=2";
        assert_eq!(find(header), Some("xyz"));
        assert_eq!(without(header), Some("a=1; b=2".into()));
        assert_eq!(without("__Host-selvedge=xyz"), None);
        let preview = "__Host-selvedge-preview=t; a=1";
        assert_eq!((find(preview), find_preview(preview)), (None, Some("t")));
        assert_eq!(without(preview), Some("a=1".into()));
    }

    #[test]
    fn secrets_are_compared_whole_and_an_empty_one_is_never_right() {
        assert!(same_secret("k", "k"));
        assert!(!same_secret("k", "kk"));
        assert!(!same_secret("", ""));
    }
}
