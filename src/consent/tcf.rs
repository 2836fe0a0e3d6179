//! The TC string of IAB Europe's Transparency and Consent Framework, versions 2.0 to 2.3: core,
//! disclosed vendors, allowed vendors, publisher TC. Field layout and meaning: "Transparency and
//! Consent String with Global Vendor & CMP List Formats", section "TC String Format".
//!
//! It must never know the vendor list, the time, or what Selvedge's own purposes are.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::bits::{
    BitWriter, Bits, DecodeError, Flags, Letters, MAX_ID, MAX_STRING_BYTES, Problem,
};
use super::vendors::{Coding, IdSet};

/// The only encoding version with these segments.
const VERSION: u8 = 2;

/// Purposes in a purpose field.
const PURPOSES: u8 = 24;

/// From this policy version (TCF 2.2) on, purposes 3 to 6 have no legitimate interest; purpose 1
/// never had any.
const NO_PROFILING_INTEREST_FROM_POLICY: u8 = 4;

/// What the reader of a TC string demands of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TcfOptions {
    /// A string of this or a later policy version must carry the disclosed vendors. TCF 2.3 kept
    /// policy version 5, which 2.2 strings carry too; 6 spares those that are older than the date
    /// below.
    pub disclosed_vendors_from_policy: u8,
    /// A string last updated at or after this time (tenths of a second since 1970) must carry the
    /// disclosed vendors whatever its policy version is.
    pub disclosed_vendors_from_ds: u64,
    /// Strings of an older policy version are refused. Zero accepts all.
    pub minimum_policy: u8,
}

impl Default for TcfOptions {
    /// Policy version 5, or made after 28 February 2026, the end of TCF 2.3's transition.
    fn default() -> Self {
        Self {
            disclosed_vendors_from_policy: 5,
            disclosed_vendors_from_ds: 17_723_232_000,
            minimum_policy: 0,
        }
    }
}

/// On which basis a purpose may be pursued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// The visitor consented.
    Consent,
    /// Legitimate interest was disclosed, and the visitor did not object.
    LegitimateInterest,
    /// Not at all.
    No,
}

/// What a publisher demands of vendors for a purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestrictionKind {
    /// Type 0: the purpose is forbidden.
    NotAllowed,
    /// Type 1: only consent will do.
    RequireConsent,
    /// Type 2: only legitimate interest will do.
    RequireLegitimateInterest,
    /// Type 3, which the specification leaves undefined; read as forbidden.
    Undefined,
}

impl RestrictionKind {
    fn from_type(value: u8) -> Self {
        match value {
            0 => Self::NotAllowed,
            1 => Self::RequireConsent,
            2 => Self::RequireLegitimateInterest,
            _ => Self::Undefined,
        }
    }

    /// The number in the string.
    pub fn as_type(self) -> u8 {
        match self {
            Self::NotAllowed => 0,
            Self::RequireConsent => 1,
            Self::RequireLegitimateInterest => 2,
            Self::Undefined => 3,
        }
    }
}

/// One publisher restriction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restriction {
    /// The TCF purpose; the six bits reach 63, though there are 24.
    pub purpose: u8,
    /// What is demanded.
    pub kind: RestrictionKind,
    /// Of whom.
    pub vendors: IdSet,
}

impl Restriction {
    /// One entry. TCF lists the vendors as plain ranges; TCF Canada, which codes in Fibonacci
    /// numbers, as an optimised range.
    pub(crate) fn read(bits: &mut Bits<'_>, coding: Coding) -> Result<Self, DecodeError> {
        Ok(Self {
            purpose: bits.byte(6)?,
            kind: RestrictionKind::from_type(bits.byte(2)?),
            vendors: match coding {
                Coding::Fixed => IdSet::read_ranges(bits, coding, MAX_ID)?,
                Coding::Fibonacci => IdSet::read_optimised(bits, coding)?,
            },
        })
    }

    pub(crate) fn write(&self, out: &mut BitWriter, coding: Coding) {
        out.int(u64::from(self.purpose), 6);
        out.int(u64::from(self.kind.as_type()), 2);
        match coding {
            Coding::Fixed => self.vendors.write_ranges(out, coding),
            Coding::Fibonacci => self.vendors.write_optimised(out, coding),
        }
    }

    /// What restrictions leave of a vendor's consent and legitimate interest. Contradictory ones
    /// add up: requiring both bases leaves none.
    pub(crate) fn narrow(
        restrictions: &[Self],
        purpose: u8,
        vendor: u16,
        (mut consent, mut interest): (bool, bool),
    ) -> (bool, bool) {
        for restriction in restrictions {
            if restriction.purpose != purpose || !restriction.vendors.contains(vendor) {
                continue;
            }
            match restriction.kind {
                RestrictionKind::NotAllowed | RestrictionKind::Undefined => return (false, false),
                RestrictionKind::RequireConsent => interest = false,
                RestrictionKind::RequireLegitimateInterest => consent = false,
            }
        }
        (consent, interest)
    }
}

/// What the visitor chose for the publisher's own purposes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublisherTc {
    /// Purposes consented to.
    pub consents: Flags,
    /// Purposes with legitimate interest, not objected to.
    pub legitimate_interests: Flags,
    /// The publisher's own purposes, consented to; at most 63.
    pub custom_consents: Flags,
    /// The publisher's own purposes with legitimate interest.
    pub custom_legitimate_interests: Flags,
}

/// A TC string, decoded. Times are tenths of a second since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcString {
    /// When the string was first made.
    pub created_ds: u64,
    /// When a value last changed.
    pub updated_ds: u64,
    /// The consent management platform that wrote it. Zero is a value like any other.
    pub cmp_id: u16,
    /// The platform's own version.
    pub cmp_version: u16,
    /// The platform's own number of the screen.
    pub consent_screen: u8,
    /// The language that the visitor was asked in.
    pub consent_language: Letters,
    /// The Global Vendor List that the vendors are numbered by.
    pub vendor_list_version: u16,
    /// The framework policy: 2 for TCF 2.0, 4 for 2.2, 5 for late 2.2 and 2.3.
    pub policy_version: u8,
    /// For this service only, not shared over all sites. Global scope is history.
    pub is_service_specific: bool,
    /// The platform worded its texts itself.
    pub use_non_standard_texts: bool,
    /// Special features opted in to, of 12.
    pub special_features: Flags,
    /// Purposes consented to, of 24.
    pub purpose_consents: Flags,
    /// Purposes with legitimate interest disclosed and not objected to, of 24.
    pub purpose_legitimate_interests: Flags,
    /// Purpose 1 was not disclosed at all.
    pub purpose_one_treatment: bool,
    /// The country whose law the publisher follows.
    pub publisher_country: Letters,
    /// Vendors consented to.
    pub vendor_consents: IdSet,
    /// Vendors with legitimate interest disclosed and not objected to.
    pub vendor_legitimate_interests: IdSet,
    /// What the publisher demands of vendors, in the order of the string.
    pub restrictions: Vec<Restriction>,
    /// Vendors shown to the visitor, if the segment is there.
    pub vendors_disclosed: Option<IdSet>,
    /// Vendors that may act outside of the framework, if the segment is there. History.
    pub vendors_allowed: Option<IdSet>,
    /// What holds for the publisher itself, if the segment is there.
    pub publisher: Option<PublisherTc>,
}

impl TcString {
    /// Decodes a TC string. The first problem found refuses the whole string.
    pub fn decode(input: &str, options: &TcfOptions) -> Result<Self, DecodeError> {
        if input.len() > MAX_STRING_BYTES {
            return Err(DecodeError::new(Problem::TooLong, MAX_STRING_BYTES));
        }
        Self::decode_at(input, 0, options)
    }

    /// As [`Self::decode`], for text that starts at byte `base` of the input.
    pub(crate) fn decode_at(
        text: &str,
        base: usize,
        options: &TcfOptions,
    ) -> Result<Self, DecodeError> {
        let mut segments = text.split('.');
        let core = segments.next().unwrap_or_default();
        let mut string = Self::read_core(&mut Bits::new(core, base)?)?;
        let policy_at = base + 132 / 6;
        if string.policy_version < options.minimum_policy {
            return Err(DecodeError::new(Problem::PolicyTooOld, policy_at));
        }
        let mut at = base + core.len() + 1;
        for segment in segments {
            string.read_segment(Bits::new(segment, at)?)?;
            at += segment.len() + 1;
        }
        let must_disclose = string.policy_version >= options.disclosed_vendors_from_policy
            || string.updated_ds >= options.disclosed_vendors_from_ds;
        if must_disclose && string.vendors_disclosed.is_none() {
            return Err(DecodeError::new(Problem::DisclosedVendorsMissing, base + text.len()));
        }
        Ok(string)
    }

    fn read_core(bits: &mut Bits<'_>) -> Result<Self, DecodeError> {
        let version_at = bits.error(Problem::UnsupportedVersion);
        if bits.byte(6)? != VERSION {
            return Err(version_at);
        }
        let mut string = Self {
            created_ds: bits.int(36)?,
            updated_ds: bits.int(36)?,
            cmp_id: bits.short(12)?,
            cmp_version: bits.short(12)?,
            consent_screen: bits.byte(6)?,
            consent_language: bits.letters()?,
            vendor_list_version: bits.short(12)?,
            policy_version: bits.byte(6)?,
            is_service_specific: bits.flag()?,
            use_non_standard_texts: bits.flag()?,
            special_features: bits.flags(12)?,
            purpose_consents: bits.flags(PURPOSES)?,
            purpose_legitimate_interests: bits.flags(PURPOSES)?,
            purpose_one_treatment: bits.flag()?,
            publisher_country: bits.letters()?,
            vendor_consents: IdSet::read_optimised(bits, Coding::Fixed)?,
            vendor_legitimate_interests: IdSet::read_optimised(bits, Coding::Fixed)?,
            restrictions: Vec::new(),
            vendors_disclosed: None,
            vendors_allowed: None,
            publisher: None,
        };
        let count = bits.int(12)?;
        for _ in 0..count {
            string.restrictions.push(Restriction::read(bits, Coding::Fixed)?);
        }
        bits.clone().finish()?;
        Ok(string)
    }

    fn read_segment(&mut self, mut bits: Bits<'_>) -> Result<(), DecodeError> {
        let at = bits.at();
        let duplicate = DecodeError::new(Problem::DuplicateSegment, at);
        match bits.byte(3)? {
            1 if self.vendors_disclosed.is_some() => return Err(duplicate),
            2 if self.vendors_allowed.is_some() => return Err(duplicate),
            3 if self.publisher.is_some() => return Err(duplicate),
            1 => {
                self.vendors_disclosed = Some(IdSet::read_optimised(&mut bits, Coding::Fixed)?);
            }
            2 => self.vendors_allowed = Some(IdSet::read_optimised(&mut bits, Coding::Fixed)?),
            3 => self.publisher = Some(PublisherTc::read(&mut bits)?),
            _ => return Err(DecodeError::new(Problem::UnknownSegment, at)),
        }
        bits.finish()
    }

    /// Whether the string must be thrown away although it reads: one of global scope that says
    /// purpose 1 was not disclosed is invalid (the specification's note on `PurposeOneTreatment`).
    /// Nothing is allowed by a void string.
    pub fn is_void(&self) -> bool {
        self.purpose_one_treatment && !self.is_service_specific
    }

    /// On which basis `vendor`, or without one the publisher itself, may pursue a TCF purpose.
    ///
    /// For a vendor: its consent and the purpose's, or both legitimate interests, narrowed by the
    /// publisher's restrictions; where the string lists the disclosed vendors, an undisclosed one
    /// may nothing. For the publisher: its own segment; without that segment, nothing.
    pub fn purpose_allowed(&self, purpose: u8, vendor: Option<u16>) -> Allowed {
        if self.is_void() {
            return Allowed::No;
        }
        let (consent, interest) = match vendor {
            Some(vendor) => self.vendor_bases(purpose, vendor),
            None => self.publisher.map_or((false, false), |publisher| {
                (publisher.consents.has(purpose), publisher.legitimate_interests.has(purpose))
            }),
        };
        let without_interest = purpose == 1
            || self.policy_version >= NO_PROFILING_INTEREST_FROM_POLICY && matches!(purpose, 3..=6);
        if consent {
            Allowed::Consent
        } else if interest && !without_interest {
            Allowed::LegitimateInterest
        } else {
            Allowed::No
        }
    }

    fn vendor_bases(&self, purpose: u8, vendor: u16) -> (bool, bool) {
        if self.vendors_disclosed.as_ref().is_some_and(|disclosed| !disclosed.contains(vendor)) {
            return (false, false);
        }
        let consent = self.purpose_consents.has(purpose) && self.vendor_consents.contains(vendor);
        let interest = self.purpose_legitimate_interests.has(purpose)
            && self.vendor_legitimate_interests.contains(vendor);
        Restriction::narrow(&self.restrictions, purpose, vendor, (consent, interest))
    }

    /// Whether the visitor opted in to a special feature (1: precise location, 2: device scanning),
    /// for `vendor` or, without one, for the publisher.
    pub fn special_feature_allowed(&self, feature: u8, vendor: Option<u16>) -> bool {
        let disclosed = match (vendor, &self.vendors_disclosed) {
            (Some(vendor), Some(disclosed)) => disclosed.contains(vendor),
            _ => true,
        };
        !self.is_void() && disclosed && self.special_features.has(feature)
    }

    /// Writes the string: core, then disclosed, allowed and publisher segments where present.
    pub fn encode(&self) -> String {
        let mut segments = vec![self.write_core()];
        if let Some(disclosed) = &self.vendors_disclosed {
            segments.push(write_vendor_segment(1, disclosed));
        }
        if let Some(allowed) = &self.vendors_allowed {
            segments.push(write_vendor_segment(2, allowed));
        }
        if let Some(publisher) = &self.publisher {
            segments.push(publisher.write());
        }
        segments.join(".")
    }

    fn write_core(&self) -> String {
        let mut out = BitWriter::default();
        out.int(u64::from(VERSION), 6);
        out.int(self.created_ds, 36);
        out.int(self.updated_ds, 36);
        out.int(u64::from(self.cmp_id), 12);
        out.int(u64::from(self.cmp_version), 12);
        out.int(u64::from(self.consent_screen), 6);
        out.letters(self.consent_language);
        out.int(u64::from(self.vendor_list_version), 12);
        out.int(u64::from(self.policy_version), 6);
        out.flag(self.is_service_specific);
        out.flag(self.use_non_standard_texts);
        out.flags(Flags::new(self.special_features.bits(), 12));
        out.flags(Flags::new(self.purpose_consents.bits(), PURPOSES));
        out.flags(Flags::new(self.purpose_legitimate_interests.bits(), PURPOSES));
        out.flag(self.purpose_one_treatment);
        out.letters(self.publisher_country);
        self.vendor_consents.write_optimised(&mut out, Coding::Fixed);
        self.vendor_legitimate_interests.write_optimised(&mut out, Coding::Fixed);
        out.int(u64::try_from(self.restrictions.len()).unwrap_or(0), 12);
        for restriction in &self.restrictions {
            restriction.write(&mut out, Coding::Fixed);
        }
        out.finish()
    }
}

fn write_vendor_segment(kind: u64, vendors: &IdSet) -> String {
    let mut out = BitWriter::default();
    out.int(kind, 3);
    vendors.write_optimised(&mut out, Coding::Fixed);
    out.finish()
}

impl PublisherTc {
    /// The segment after its type; TCF and TCF Canada share the layout.
    pub(crate) fn read(bits: &mut Bits<'_>) -> Result<Self, DecodeError> {
        let consents = bits.flags(PURPOSES)?;
        let legitimate_interests = bits.flags(PURPOSES)?;
        let custom = bits.byte(6)?;
        Ok(Self {
            consents,
            legitimate_interests,
            custom_consents: bits.flags(custom)?,
            custom_legitimate_interests: bits.flags(custom)?,
        })
    }

    /// The whole segment. Custom purposes beyond 63 cannot be counted and are left out.
    pub(crate) fn write(&self) -> String {
        let mut out = BitWriter::default();
        out.int(3, 3);
        out.flags(Flags::new(self.consents.bits(), PURPOSES));
        out.flags(Flags::new(self.legitimate_interests.bits(), PURPOSES));
        let custom = self.custom_consents.width().min(63);
        out.int(u64::from(custom), 6);
        out.flags(Flags::new(self.custom_consents.bits(), custom));
        out.flags(Flags::new(self.custom_legitimate_interests.bits(), custom));
        out.finish()
    }
}
