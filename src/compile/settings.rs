//! The parts of a workspace that are no offers: languages, consent and identity. It must never let
//! a secret into a workspace, which every edge and, in part, every page holds.

use std::collections::BTreeSet;

use data_encoding::BASE64URL_NOPAD;
use ed25519_dalek::VerifyingKey;

use super::names;
use super::reader::{Fields, Node, Reader, shorten};
use crate::consent::signals::SignalSettings;
use crate::consent::{ConsentSettings, Purpose, PurposeSet, Regime, RegionRule};
use crate::limits;
use crate::workspace::{IdentitySettings, LoginKey};

/// The purposes by their words.
pub(super) const PURPOSES: [(&str, Purpose); 5] = [
    ("store", Purpose::Store),
    ("profile", Purpose::Profile),
    ("personalise", Purpose::Personalise),
    ("measure", Purpose::Measure),
    ("share", Purpose::Share),
];

/// Reads `languages`: tags in lower case, the default first.
pub(super) fn languages<'a>(reader: &mut Reader<'a>, workspace: &Fields<'a>) -> Vec<String> {
    let Some(node) = workspace.need(reader, "languages") else { return Vec::new() };
    let message = format!("a workspace has 1 to {} languages", limits::LANGUAGES);
    let mut languages = Vec::new();
    for node in &reader.list(node, 1..=limits::LANGUAGES, "bad_languages", message) {
        let Some(text) = reader.text(node) else { continue };
        let tag = text.to_ascii_lowercase();
        if !is_language(&tag) {
            let message =
                format!("`{}` is no language tag, such as `en` or `de-at`", shorten(text));
            reader.note(node, "bad_language", message);
        } else if languages.contains(&tag) {
            let message = format!("the language `{tag}` stands here a second time");
            reader.note(node, "duplicate_entry", message);
        } else {
            languages.push(tag);
        }
    }
    languages
}

/// The form of BCP 47 that browsers send: 2 or 3 letters, then parts of 2 to 8 letters or digits.
fn is_language(tag: &str) -> bool {
    let mut parts = tag.split('-');
    let first = parts.next().is_some_and(|part| {
        (2..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_lowercase())
    });
    first
        && tag.len() <= 35
        && parts.all(|part| {
            (2..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric())
        })
}

/// Reads `consent`.
pub(super) fn consent<'a>(reader: &mut Reader<'a>, workspace: &Fields<'a>) -> ConsentSettings {
    let mut settings = ConsentSettings::default();
    let Some(fields) = workspace
        .get("consent")
        .and_then(|node| reader.fields(node, &["banner", "never", "regions", "tcf"]))
    else {
        return settings;
    };
    if let Some(node) = fields.get("banner") {
        let banner = names::line(reader, node, limits::NAME_BYTES);
        settings.banner = banner.unwrap_or_default().to_owned();
    }
    if let Some(node) = fields.get("never") {
        let message = "there are five purposes".to_owned();
        for node in reader.list(node, 0..=5, "too_many_entries", message) {
            if let Some(purpose) = reader.word(&node, "unknown_purpose", "purpose", &PURPOSES) {
                if settings.never.has(purpose) {
                    let message = format!("`{}` stands here a second time", purpose.word());
                    reader.note(&node, "duplicate_entry", message);
                }
                settings.never = PurposeSet::with(settings.never, purpose);
            }
        }
    }
    if let Some(node) = fields.get("regions") {
        settings.regions = regions(reader, node);
    }
    if let Some(node) = fields.get("tcf") {
        settings.signals = tcf(reader, node);
    }
    settings
}

/// How TC strings are read: as which vendor, and of which policy on.
fn tcf<'a>(reader: &mut Reader<'a>, node: &Node<'a>) -> SignalSettings {
    let mut settings = SignalSettings::default();
    let names = ["vendor", "minimumPolicy", "disclosedVendorsFromPolicy"];
    let Some(fields) = reader.fields(node, &names) else { return settings };
    let mut whole = |name: &str, low: i64, high: i64| {
        fields.get(name).and_then(|node| reader.whole(node, low..=high))
    };
    let vendor = whole("vendor", 1, i64::from(u16::MAX));
    settings.vendor = vendor.and_then(|vendor| u16::try_from(vendor).ok());
    // A policy version has six bits; 64 is beyond them all.
    let minimum = whole("minimumPolicy", 0, 63).and_then(|policy| u8::try_from(policy).ok());
    let from = whole("disclosedVendorsFromPolicy", 0, 64).and_then(|n| u8::try_from(n).ok());
    settings.tcf.minimum_policy = minimum.unwrap_or(settings.tcf.minimum_policy);
    settings.tcf.disclosed_vendors_from_policy =
        from.unwrap_or(settings.tcf.disclosed_vendors_from_policy);
    settings
}

fn regions<'a>(reader: &mut Reader<'a>, node: &Node<'a>) -> Vec<RegionRule> {
    let message = format!("at most {} regions are listed", limits::SETTINGS_ENTRIES);
    let entries = reader.map(node, 0..=limits::SETTINGS_ENTRIES, "too_many_entries", message);
    let words = [("opt_in", Regime::OptIn), ("opt_out", Regime::OptOut)];
    let mut rules = Vec::new();
    for entry in entries {
        if !is_region(entry.name) {
            let message = format!(
                "`{}` is no region: write a country such as `US`, or a part of one such as `US-CA`",
                shorten(entry.name)
            );
            let better = entry.name.to_ascii_uppercase();
            let better = Some(better.as_str()).filter(|better| is_region(better));
            reader.note_at(entry.key, &entry.node.path, "bad_region", message, better);
        }
        if let Some(regime) = reader.word(&entry.node, "unknown_regime", "regime", &words) {
            rules.push(RegionRule { region: entry.name.to_owned(), regime });
        }
    }
    rules.sort_by(|a, b| a.region.cmp(&b.region));
    rules
}

/// ISO 3166-1 alpha-2, or ISO 3166-2, in capitals.
fn is_region(name: &str) -> bool {
    let (country, part) = name.split_once('-').unwrap_or((name, "X"));
    let capital = |b: u8| b.is_ascii_uppercase();
    country.len() == 2
        && country.bytes().all(capital)
        && (1..=3).contains(&part.len())
        && part.bytes().all(|b| capital(b) || b.is_ascii_digit())
}

/// Reads `identity`.
pub(super) fn identity<'a>(reader: &mut Reader<'a>, workspace: &Fields<'a>) -> IdentitySettings {
    let mut settings = IdentitySettings::default();
    let Some(fields) =
        workspace.get("identity").and_then(|node| reader.fields(node, &["loginKeys", "blocked"]))
    else {
        return settings;
    };
    if let Some(node) = fields.get("loginKeys") {
        let message = format!("a workspace has at most {} login keys", limits::LOGIN_KEYS);
        let mut kids = BTreeSet::new();
        for node in &reader.list(node, 0..=limits::LOGIN_KEYS, "too_many_entries", message) {
            let Some(key) = login_key(reader, node) else { continue };
            if !kids.insert(key.kid.clone()) {
                let message = format!("the key `{}` stands here a second time", shorten(&key.kid));
                reader.note(node, "duplicate_entry", message);
            }
            settings.login_keys.push(key);
        }
    }
    if let Some(node) = fields.get("blocked") {
        settings.blocked = blocked(reader, node);
    }
    settings
}

fn login_key<'a>(reader: &mut Reader<'a>, node: &Node<'a>) -> Option<LoginKey> {
    let fields = reader.fields(node, &["kid", "alg", "publicKey"])?;
    let kid = fields.need(reader, "kid").and_then(|node| names::line(reader, node, 200));
    // One algorithm per key, and never the token's own word for it (RFC 8725, section 3.1).
    let alg = fields
        .need(reader, "alg")
        .and_then(|node| reader.word(node, "unknown_algorithm", "algorithm", &[("EdDSA", ())]));
    let node = fields.need(reader, "publicKey")?;
    let text = reader.text(node)?;
    let bytes = BASE64URL_NOPAD.decode(text.trim_end_matches('=').as_bytes()).ok();
    let ed25519 = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes.as_slice()).ok());
    // A weak key verifies signatures that nobody made.
    let sound = |key: &[u8; 32]| VerifyingKey::from_bytes(key).is_ok_and(|key| !key.is_weak());
    let Some(ed25519) = ed25519.filter(sound) else {
        let message = "this is no Ed25519 public key: 32 bytes as base64url, \
                       the `x` of the key's JWK";
        reader.note(node, "bad_login_key", message);
        return None;
    };
    alg?;
    Some(LoginKey { kid: kid?.to_owned(), ed25519 })
}

fn blocked<'a>(reader: &mut Reader<'a>, node: &Node<'a>) -> Vec<String> {
    let message = format!("at most {} values are blocked", limits::SETTINGS_ENTRIES);
    let mut values = BTreeSet::new();
    for node in &reader.list(node, 0..=limits::SETTINGS_ENTRIES, "too_many_entries", message) {
        if let Some(text) = names::line(reader, node, limits::IDENTIFIER_BYTES) {
            values.insert(text.trim().to_lowercase());
        }
    }
    values.into_iter().collect()
}
