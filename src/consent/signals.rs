//! From the consent strings of a page, and the privacy header of a request, to what the gate is
//! told. Whatever cannot be read denies what it speaks of, and where two signals disagree the
//! stricter one wins. It must never know where the visitor is, or what was chosen before.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::bits::{DecodeError, MAX_STRING_BYTES};
use super::gpp::canada::{CanadaAllowed, CanadaTc};
use super::gpp::{Gpp, GppSection, Section};
use super::mapping::{self, Fields, GoogleKey, MAPPING, UsField};
use super::tcf::{Allowed, TcString, TcfOptions};
use super::usp::{OptOut, UsPrivacy};
use super::{Purpose, PurposeSet};
use crate::limits;
use crate::wire::Chosen;

/// The consent strings of a page, as its consent platform says them. A string that is there and
/// empty is unreadable; where a framework does not apply, its string must be absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Strings {
    /// The TC string of `__tcfapi`.
    pub tcf: Option<String>,
    /// The string of `__gpp`.
    pub gpp: Option<String>,
    /// The string of `__uspapi`.
    pub us_privacy: Option<String>,
    /// Google's keys with `granted` or `denied`, as updated by the visitor's choice.
    pub google: Option<BTreeMap<String, String>>,
}

/// The workspace's part in reading signals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SignalSettings {
    /// What is demanded of TC strings.
    pub tcf: TcfOptions,
    /// The site's own number in the Global Vendor List. Without one, what holds for the publisher
    /// itself is read, from the segment of that name.
    pub vendor: Option<u16>,
}

/// Where a finding comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A TC string.
    Tcf,
    /// A GPP string.
    Gpp,
    /// A US Privacy string.
    Usp,
    /// Google's Consent Mode.
    Google,
}

impl Source {
    /// The word for it in receipts.
    pub fn word(self) -> &'static str {
        match self {
            Self::Tcf => "tcf",
            Self::Gpp => "gpp",
            Self::Usp => "usp",
            Self::Google => "google",
        }
    }
}

/// What a signal says about a purpose, in the order of strictness: of several, the last one wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nobody objected; where silence is no, this is no yes.
    NotOptedOut,
    /// An explicit yes.
    Granted,
    /// Told, and not objected to: legitimate interest, implied consent. No yes.
    NotAgreed,
    /// No, or not readable.
    Denied,
}

/// What one signal says about one purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// Who says it.
    pub source: Source,
    /// Of what.
    pub purpose: Purpose,
    /// Which way.
    pub verdict: Verdict,
    /// Why; stable, in snake_case. For what could not be read, the decoder's own code.
    pub code: &'static str,
}

/// Something that could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Unreadable {
    /// Which signal.
    pub source: Source,
    /// What is wrong; stable, in snake_case.
    pub code: &'static str,
    /// The byte of the string where it shows; for Google's keys, which of them.
    pub at: usize,
}

/// What all signals together say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reading {
    /// Purposes that some signal denies, or leaves unreadable.
    pub denied: PurposeSet,
    /// Purposes that some signal grants and none denies.
    pub granted: PurposeSet,
    /// Global Privacy Control, as a GPP section passes it on.
    pub gpc: bool,
    /// What could not be read, in the order of [`Source`].
    pub problems: Vec<Unreadable>,
    /// Who said what, in the order of [`Source`], then of the string.
    pub reasons: Vec<Finding>,
}

impl Reading {
    /// The strictest finding on a purpose; of equally strict ones, the first.
    pub fn why(&self, purpose: Purpose) -> Option<&Finding> {
        let of_it = self.reasons.iter().filter(|finding| finding.purpose == purpose);
        of_it.rev().max_by_key(|finding| finding.verdict)
    }

    /// Purposes that one signal grants and another one denies.
    pub fn contradicted(&self) -> PurposeSet {
        let granted = self.reasons.iter().filter(|finding| finding.verdict == Verdict::Granted);
        self.denied.and(granted.fold(PurposeSet::NONE, |set, finding| set.with(finding.purpose)))
    }

    /// Where it all comes from, for a receipt: `tcf`, or `tcf+google`.
    pub fn source(&self) -> String {
        let mut words: Vec<&str> = Vec::new();
        let problems = self.problems.iter().map(|problem| problem.source);
        let mut sources: Vec<Source> =
            self.reasons.iter().map(|finding| finding.source).chain(problems).collect();
        sources.sort_unstable();
        sources.dedup();
        words.extend(sources.into_iter().map(Source::word));
        words.join("+")
    }

    fn note(&mut self, source: Source, purpose: Purpose, verdict: Verdict, code: &'static str) {
        let finding = Finding { source, purpose, verdict, code };
        // A GPP string may hold a hundred sections that say the same.
        if !self.reasons.contains(&finding) {
            self.reasons.push(finding);
        }
    }

    fn deny(&mut self, source: Source, purposes: PurposeSet, code: &'static str) {
        for purpose in Purpose::ALL.into_iter().filter(|purpose| purposes.has(*purpose)) {
            self.note(source, purpose, Verdict::Denied, code);
        }
    }

    fn unreadable(&mut self, source: Source, speaks_of: PurposeSet, error: DecodeError) {
        self.problems.push(Unreadable { source, code: error.code(), at: error.at() });
        self.deny(source, speaks_of, error.code());
    }

    fn settle(&mut self) {
        for purpose in Purpose::ALL {
            match self.why(purpose).map(|finding| finding.verdict) {
                Some(Verdict::Denied) => self.denied = self.denied.with(purpose),
                Some(Verdict::Granted) => self.granted = self.granted.with(purpose),
                Some(Verdict::NotAgreed | Verdict::NotOptedOut) | None => {}
            }
        }
    }
}

impl Strings {
    /// What a receipt keeps as evidence: the one string as it came; of several, each behind its
    /// word. `None` where it is longer than a receipt holds.
    pub fn evidence(&self) -> Option<String> {
        let google = self.google.as_ref().map(|keys| {
            let pairs = keys.iter().map(|(key, value)| format!("{key}={value}"));
            pairs.collect::<Vec<_>>().join(",")
        });
        let said = [
            (Source::Tcf, self.tcf.as_deref()),
            (Source::Gpp, self.gpp.as_deref()),
            (Source::Usp, self.us_privacy.as_deref()),
            (Source::Google, google.as_deref()),
        ];
        let said: Vec<(Source, &str)> =
            said.into_iter().filter_map(|(source, text)| Some((source, text?))).collect();
        let text = match said.as_slice() {
            [(_, text)] => (*text).to_owned(),
            several => several
                .iter()
                .map(|(source, text)| format!("{} {text}", source.word()))
                .collect::<Vec<_>>()
                .join("\n"),
        };
        (text.len() <= limits::TEXT_BYTES).then_some(text)
    }

    /// As [`Strings::evidence`]; what is too long for a receipt stands there as `sha256:` and the
    /// hash of all strings, so that whoever shows them can be checked.
    #[cfg(feature = "keys")]
    pub fn evidence_or_hash(&self) -> String {
        use sha2::{Digest, Sha256};
        self.evidence().unwrap_or_else(|| {
            let bytes = postcard::to_allocvec(self).unwrap_or_default();
            format!("sha256:{}", crate::ids::hex(&Sha256::digest(&bytes)))
        })
    }

    /// Whether nothing is said at all.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Reads all strings. Never fails: what cannot be read denies.
///
/// INVARIANT: one more string never takes a purpose out of `denied`, and never brings one into
/// `granted` that it does not grant itself.
pub fn read(strings: &Strings, settings: &SignalSettings) -> Reading {
    let mut reading = Reading::default();
    if let Some(text) = &strings.tcf {
        match TcString::decode(text, &settings.tcf) {
            Ok(string) => read_tcf(&mut reading, Source::Tcf, &string, settings.vendor),
            Err(error) => reading.unreadable(Source::Tcf, PurposeSet::ALL, error),
        }
    }
    if let Some(text) = &strings.gpp {
        match Gpp::decode(text, &settings.tcf) {
            Ok(gpp) => gpp.sections.iter().for_each(|s| read_section(&mut reading, s, settings)),
            Err(error) => reading.unreadable(Source::Gpp, PurposeSet::ALL, error),
        }
    }
    if let Some(text) = &strings.us_privacy {
        match UsPrivacy::decode(text) {
            Ok(string) => {
                read_right(&mut reading, Source::Usp, UsField::Sale, string.sale_opt_out());
            }
            Err(error) => {
                reading.unreadable(Source::Usp, mapping::denied_by(UsField::Sale), error);
            }
        }
    }
    if let Some(keys) = &strings.google {
        read_google(&mut reading, keys);
    }
    reading.settle();
    reading
}

/// What a call chooses by words and by strings together: a no of either is a no.
pub fn joined(said: &BTreeMap<Purpose, bool>, reading: &Reading) -> Vec<Chosen> {
    let mut all = said.clone();
    for Chosen { purpose, yes } in choices(reading) {
        all.entry(purpose).and_modify(|said| *said &= yes).or_insert(yes);
    }
    all.into_iter().map(|(purpose, yes)| Chosen { purpose, yes }).collect()
}

/// The choices that a reading amounts to, at most one for each purpose.
pub fn choices(reading: &Reading) -> Vec<Chosen> {
    let chosen = |purpose| match (reading.denied.has(purpose), reading.granted.has(purpose)) {
        (true, _) => Some(Chosen { purpose, yes: false }),
        (false, true) => Some(Chosen { purpose, yes: true }),
        (false, false) => None,
    };
    Purpose::ALL.into_iter().filter_map(chosen).collect()
}

/// Whether a request carries Global Privacy Control: `values` are those of every `Sec-GPC` field,
/// and a list in one field counts as several. Only exactly `1` says it (Global Privacy Control,
/// "The Sec-GPC Header Field for HTTP Requests"); one such value among others is enough, since a
/// proxy that adds a value must not undo the visitor's.
pub fn gpc_header<'a>(values: impl Iterator<Item = &'a str>) -> bool {
    // Optional whitespace around a value is no part of it (RFC 9110, section 5.6.1).
    let blank = |c: char| c == ' ' || c == '\t';
    values.flat_map(|value| value.split(',')).any(|value| value.trim_matches(blank) == "1")
}

fn read_tcf(reading: &mut Reading, source: Source, string: &TcString, vendor: Option<u16>) {
    if string.is_void() {
        reading.problems.push(Unreadable { source, code: "void_string", at: 0 });
        return reading.deny(source, PurposeSet::ALL, "void_string");
    }
    if vendor.is_none() && string.publisher.is_none() {
        let code = "publisher_segment_missing";
        reading.problems.push(Unreadable { source, code, at: 0 });
        return reading.deny(source, PurposeSet::ALL, code);
    }
    for row in MAPPING {
        let Fields::Tcf(purposes) = row.fields else { continue };
        let strictest = purposes.iter().map(|tcf| match string.purpose_allowed(*tcf, vendor) {
            Allowed::Consent => (Verdict::Granted, "tcf_consent"),
            Allowed::LegitimateInterest => (Verdict::NotAgreed, "tcf_legitimate_interest_only"),
            Allowed::No => (Verdict::Denied, "tcf_no_consent"),
        });
        if let Some((verdict, code)) = strictest.max() {
            reading.note(source, row.purpose, verdict, code);
        }
    }
}

fn read_canada(reading: &mut Reading, string: &CanadaTc, vendor: Option<u16>) {
    if vendor.is_none() && string.publisher.is_none() {
        let code = "publisher_segment_missing";
        reading.problems.push(Unreadable { source: Source::Gpp, code, at: 0 });
        return reading.deny(Source::Gpp, PurposeSet::ALL, code);
    }
    for row in MAPPING {
        let Fields::Canada(purposes) = row.fields else { continue };
        let strictest = purposes.iter().map(|tcf| match string.purpose_allowed(*tcf, vendor) {
            CanadaAllowed::ExpressConsent => (Verdict::Granted, "canada_express_consent"),
            CanadaAllowed::ImpliedConsent => (Verdict::NotAgreed, "canada_implied_consent_only"),
            CanadaAllowed::No => (Verdict::Denied, "canada_no_consent"),
        });
        if let Some((verdict, code)) = strictest.max() {
            reading.note(Source::Gpp, row.purpose, verdict, code);
        }
    }
}

fn read_section(reading: &mut Reading, section: &GppSection, settings: &SignalSettings) {
    match &section.content {
        Ok(Section::TcfEu(string)) => {
            return read_tcf(reading, Source::Gpp, string, settings.vendor);
        }
        Ok(Section::TcfCanada(string)) => return read_canada(reading, string, settings.vendor),
        Ok(Section::UsPrivacy(_) | Section::Us(_)) => {}
        Err(error) => {
            // A section that nobody here knows may speak of anything.
            let speaks_of = match section.name() {
                Some("uspv1") => mapping::denied_by(UsField::Sale),
                Some(_) if section.id > 6 => mapping::denied_by(UsField::TargetedAdvertising),
                _ => PurposeSet::ALL,
            };
            return reading.unreadable(Source::Gpp, speaks_of, *error);
        }
    }
    let gpc = section.gpc();
    reading.gpc |= matches!(gpc, OptOut::OptedOut | OptOut::Unreadable);
    for (field, answer) in [
        (UsField::Sale, section.sale_opt_out()),
        (UsField::Sharing, section.sharing_opt_out()),
        (UsField::TargetedAdvertising, section.targeted_advertising_opt_out()),
        (UsField::Gpc, gpc),
    ] {
        read_right(reading, Source::Gpp, field, answer);
    }
}

fn read_right(reading: &mut Reading, source: Source, field: UsField, answer: OptOut) {
    let (verdict, code) = match (answer, field) {
        (OptOut::NotApplicable, _) => return,
        (OptOut::DidNotOptOut, _) => (Verdict::NotOptedOut, "us_not_opted_out"),
        (OptOut::Unreadable, _) => (Verdict::Denied, "us_unclear"),
        (OptOut::OptedOut, UsField::Sale) => (Verdict::Denied, "us_sale_opt_out"),
        (OptOut::OptedOut, UsField::Sharing) => (Verdict::Denied, "us_sharing_opt_out"),
        (OptOut::OptedOut, UsField::TargetedAdvertising) => {
            (Verdict::Denied, "us_targeted_advertising_opt_out")
        }
        (OptOut::OptedOut, UsField::Gpc) => (Verdict::Denied, "us_gpc"),
    };
    for purpose in Purpose::ALL {
        if mapping::denied_by(field).has(purpose) {
            reading.note(source, purpose, verdict, code);
        }
    }
}

fn read_google(reading: &mut Reading, keys: &BTreeMap<String, String>) {
    let source = Source::Google;
    let long = |text: &String| text.len() > limits::NAME_BYTES;
    if keys.len() > limits::GOOGLE_KEYS || keys.iter().any(|(k, v)| long(k) || long(v)) {
        reading.problems.push(Unreadable { source, code: "too_long", at: 0 });
        return reading.deny(source, PurposeSet::ALL, "too_long");
    }
    let mut said: BTreeMap<GoogleKey, bool> = BTreeMap::new();
    for (at, (word, value)) in keys.iter().enumerate() {
        let Some(key) = GoogleKey::from_word(word) else {
            // Google adds keys; one that does not exist yet can speak of nothing of ours.
            reading.problems.push(Unreadable { source, code: "google_unknown_key", at });
            continue;
        };
        if !matches!(value.as_str(), "granted" | "denied") {
            reading.problems.push(Unreadable { source, code: "google_bad_value", at });
            reading.deny(source, mapping::spoken_of_by(key), "google_bad_value");
        }
        said.insert(key, value == "granted");
    }
    for row in MAPPING {
        let Fields::Google(needed) = row.fields else { continue };
        let answers = || needed.iter().map(|key| said.get(key).copied());
        if answers().any(|answer| answer == Some(false)) {
            reading.note(source, row.purpose, Verdict::Denied, "google_denied");
        } else if answers().all(|answer| answer == Some(true)) {
            reading.note(source, row.purpose, Verdict::Granted, "google_granted");
        }
    }
}

/// Refuses strings that no decoder would look at, before anything is decoded. Errors: `too_long`,
/// with the field.
pub fn check(strings: &Strings) -> Result<(), crate::error::Error> {
    let fields = [
        ("strings.tcf", &strings.tcf),
        ("strings.gpp", &strings.gpp),
        ("strings.usPrivacy", &strings.us_privacy),
    ];
    for (place, text) in fields {
        if text.as_ref().is_some_and(|text| text.len() > MAX_STRING_BYTES) {
            let message = format!("a consent string has at most {MAX_STRING_BYTES} bytes");
            return Err(crate::error::Error::new("too_long", message, place));
        }
    }
    Ok(())
}
