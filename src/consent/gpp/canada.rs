//! GPP section 5: IAB Canada's Transparency and Consent Framework. Layout: "IAB Canada TCF
//! Technical Specification". Its optimised ranges are read as the published encoders write them:
//! the highest identifier in 16 bits, a choosing bit, then Fibonacci ranges or a bit field. Older
//! encoders wrote fixed-width ranges; a text that only reads that way is read that way.
//!
//! It must never treat implied consent as express consent.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use crate::consent::bits::{BitWriter, Bits, DecodeError, Flags, Letters, Problem};
use crate::consent::tcf::{PublisherTc, Restriction};
use crate::consent::vendors::{Coding, IdSet};

const VERSION: u8 = 1;
const PURPOSES: u8 = 24;

/// On which basis a purpose may be pursued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CanadaAllowed {
    /// The visitor said yes.
    ExpressConsent,
    /// The visitor was told, and did not object.
    ImpliedConsent,
    /// Not at all.
    No,
}

/// A Canadian TC string, decoded. Times are tenths of a second since 1970. Of [`PublisherTc`] and
/// [`Restriction`], "consent" reads as express consent, "legitimate interest" as implied consent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CanadaTc {
    /// When the string was first made.
    pub created_ds: u64,
    /// When a value last changed.
    pub updated_ds: u64,
    /// The consent management platform that wrote it.
    pub cmp_id: u16,
    /// The platform's own version.
    pub cmp_version: u16,
    /// The platform's own number of the screen.
    pub consent_screen: u8,
    /// The language that the visitor was asked in.
    pub consent_language: Letters,
    /// The Global Vendor List that the vendors are numbered by.
    pub vendor_list_version: u16,
    /// The framework policy.
    pub policy_version: u8,
    /// The platform worded its texts itself.
    pub use_non_standard_stacks: bool,
    /// Special features consented to expressly, of 12.
    pub special_features: Flags,
    /// Purposes consented to expressly, of 24.
    pub purposes_express: Flags,
    /// Purposes with implied consent and no objection, of 24.
    pub purposes_implied: Flags,
    /// Vendors consented to expressly.
    pub vendors_express: IdSet,
    /// Vendors with implied consent and no objection.
    pub vendors_implied: IdSet,
    /// What the publisher demands of vendors, in the order of the string.
    pub restrictions: Vec<Restriction>,
    /// Vendors shown to the visitor, if the segment is there.
    pub vendors_disclosed: Option<IdSet>,
    /// What holds for the publisher itself, if the segment is there.
    pub publisher: Option<PublisherTc>,
}

impl CanadaTc {
    pub(crate) fn decode_at(text: &str, base: usize) -> Result<Self, DecodeError> {
        let mut segments = text.split('.');
        let core = segments.next().unwrap_or_default();
        let bits = Bits::new(core, base)?;
        let mut string = Self::read_core(bits.clone(), Coding::Fibonacci)
            .or_else(|error| Self::read_core(bits, Coding::Fixed).map_err(|_| error))?;
        let mut at = base + core.len() + 1;
        for segment in segments {
            string.read_segment(Bits::new(segment, at)?)?;
            at += segment.len() + 1;
        }
        Ok(string)
    }

    fn read_core(mut reader: Bits<'_>, coding: Coding) -> Result<Self, DecodeError> {
        let bits = &mut reader;
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
            use_non_standard_stacks: bits.flag()?,
            special_features: bits.flags(12)?,
            purposes_express: bits.flags(PURPOSES)?,
            purposes_implied: bits.flags(PURPOSES)?,
            vendors_express: IdSet::read_optimised(bits, coding)?,
            vendors_implied: IdSet::read_optimised(bits, coding)?,
            restrictions: Vec::new(),
            vendors_disclosed: None,
            publisher: None,
        };
        // The first encoders ended here; nothing is restricted then.
        if bits.remaining() >= 12 {
            let count = bits.int(12)?;
            for _ in 0..count {
                string.restrictions.push(Restriction::read(bits, coding)?);
            }
        }
        reader.finish()?;
        Ok(string)
    }

    fn read_segment(&mut self, mut bits: Bits<'_>) -> Result<(), DecodeError> {
        let at = bits.at();
        let duplicate = DecodeError::new(Problem::DuplicateSegment, at);
        match bits.byte(3)? {
            1 if self.vendors_disclosed.is_some() => return Err(duplicate),
            3 if self.publisher.is_some() => return Err(duplicate),
            1 => {
                self.vendors_disclosed = Some(IdSet::read_optimised(&mut bits, Coding::Fibonacci)?);
            }
            3 => self.publisher = Some(PublisherTc::read(&mut bits)?),
            _ => return Err(DecodeError::new(Problem::UnknownSegment, at)),
        }
        bits.finish()
    }

    /// On which basis `vendor`, or without one the publisher itself, may pursue a purpose. As
    /// [`crate::consent::tcf::TcString::purpose_allowed`].
    pub fn purpose_allowed(&self, purpose: u8, vendor: Option<u16>) -> CanadaAllowed {
        let (express, implied) = match vendor {
            Some(vendor) => self.vendor_bases(purpose, vendor),
            None => self.publisher.map_or((false, false), |publisher| {
                (publisher.consents.has(purpose), publisher.legitimate_interests.has(purpose))
            }),
        };
        match (express, implied) {
            (true, _) => CanadaAllowed::ExpressConsent,
            (false, true) => CanadaAllowed::ImpliedConsent,
            (false, false) => CanadaAllowed::No,
        }
    }

    fn vendor_bases(&self, purpose: u8, vendor: u16) -> (bool, bool) {
        if self.vendors_disclosed.as_ref().is_some_and(|disclosed| !disclosed.contains(vendor)) {
            return (false, false);
        }
        let bases = (
            self.purposes_express.has(purpose) && self.vendors_express.contains(vendor),
            self.purposes_implied.has(purpose) && self.vendors_implied.contains(vendor),
        );
        Restriction::narrow(&self.restrictions, purpose, vendor, bases)
    }

    /// Writes the string with Fibonacci ranges.
    pub fn encode(&self) -> String {
        let mut segments = vec![self.write_core(Coding::Fibonacci)];
        if let Some(disclosed) = &self.vendors_disclosed {
            let mut out = BitWriter::default();
            out.int(1, 3);
            disclosed.write_optimised(&mut out, Coding::Fibonacci);
            segments.push(out.finish());
        }
        if let Some(publisher) = &self.publisher {
            segments.push(publisher.write());
        }
        segments.join(".")
    }

    fn write_core(&self, coding: Coding) -> String {
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
        out.flag(self.use_non_standard_stacks);
        out.flags(Flags::new(self.special_features.bits(), 12));
        out.flags(Flags::new(self.purposes_express.bits(), PURPOSES));
        out.flags(Flags::new(self.purposes_implied.bits(), PURPOSES));
        self.vendors_express.write_optimised(&mut out, coding);
        self.vendors_implied.write_optimised(&mut out, coding);
        out.int(u64::try_from(self.restrictions.len()).unwrap_or(0), 12);
        for restriction in &self.restrictions {
            restriction.write(&mut out, coding);
        }
        out.finish()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::consent::tcf::RestrictionKind;

    #[test]
    fn ranges_of_fixed_width_are_read_as_older_encoders_wrote_them() {
        let mut string =
            CanadaTc::decode_at("BPXuQIAPXuQIAAfKABENB-CgAAAAAAAAAAAAAAAA", 0).unwrap();
        // So far apart that ranges are shorter than a bit field.
        string.vendors_express = IdSet::from_ids([12, 9_000]);
        string.restrictions = vec![Restriction {
            purpose: 2,
            kind: RestrictionKind::RequireConsent,
            vendors: IdSet::from_ids([12, 13, 700]),
        }];
        let old = string.write_core(Coding::Fixed);
        let new = string.write_core(Coding::Fibonacci);
        assert_ne!(old, new);
        assert_eq!(CanadaTc::decode_at(&old, 0).as_ref(), Ok(&string));
        assert_eq!(CanadaTc::decode_at(&new, 0), Ok(string));
    }
}
