//! Decoded consent strings as JSON, with the field names of the IAB's own JavaScript libraries:
//! what `selvedge consent decode` prints.
//!
//! It must never decide anything; a field shown here is not yet a permission.

use serde_json::{Map, Value, json};

use super::bits::{DecodeError, Flags, MAX_STRING_BYTES, Problem};
use super::gpp::canada::CanadaTc;
use super::gpp::us::{Extra, UsSection};
use super::gpp::{Gpp, GppSection, Section};
use super::tcf::{PublisherTc, Restriction, TcString, TcfOptions};
use super::usp::UsPrivacy;
use super::vendors::IdSet;

/// The most vendor identifiers that one answer lists one by one: twice all that exist. Beyond it
/// sets are printed as `{"ranges": [[first, last], ...]}`, so that a few bytes that restrict all
/// vendors for thousands of purposes do not become gigabytes.
pub const MAX_LISTED_IDS: usize = 131_070;

/// How to decode and print.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JsonOptions {
    /// What is demanded of TC strings.
    pub tcf: TcfOptions,
    /// For TC strings also the fields that the public vectors leave out: `version`, `lastUpdated`,
    /// `cmpVersion`, `consentScreen`, `consentLanguage`, `useNonStandardTexts`, `vendorsAllowed`,
    /// `pubCustomConsents`, `pubCustomLI`, `isVoid`, and which `segments` are present.
    pub all_fields: bool,
}

/// Decodes a TC string, a GPP string or a US Privacy string, whichever it is.
///
/// An error is `{"error": {"code", "message", "at"}}`: for the whole string, or in the place of a
/// section that could not be read (`{"usca": {"error": ...}, "usva": {...}}`). A string of which no
/// section could be read for another reason than being unknown is an error as a whole.
pub fn decode_json(input: &str, options: &JsonOptions) -> Value {
    decode(input, options).unwrap_or_else(|error| error_json(&error))
}

fn decode(input: &str, options: &JsonOptions) -> Result<Value, DecodeError> {
    if input.len() > MAX_STRING_BYTES {
        return Err(DecodeError::new(Problem::TooLong, MAX_STRING_BYTES));
    }
    let mut printer = Printer { listed: 0, all_fields: options.all_fields };
    // The first character tells the formats apart: "Section Information", note on the header.
    match input.bytes().next() {
        None => Err(DecodeError::new(Problem::Empty, 0)),
        Some(b'D') => printer.gpp(&Gpp::decode(input, &options.tcf)?),
        Some(b'0'..=b'9') if input.len() <= 5 => {
            let privacy = UsPrivacy::decode(input)?;
            Ok(json!({ "uspv1": printer.us_privacy(&privacy) }))
        }
        // TCF 1 starts with `B`; its decoder says that this version is not supported.
        Some(b'A'..=b'H') => Ok(printer.tc(&TcString::decode(input, &options.tcf)?)),
        Some(_) => Err(DecodeError::new(Problem::UnknownFormat, 0)),
    }
}

/// An error as the command line and the routes print it.
pub fn error_json(error: &DecodeError) -> Value {
    json!({ "error": { "code": error.code(), "message": error.message(), "at": error.at() } })
}

/// Prints within a budget of listed identifiers.
struct Printer {
    listed: usize,
    all_fields: bool,
}

impl Printer {
    fn ids(&mut self, set: &IdSet) -> Value {
        self.listed = self.listed.saturating_add(set.len());
        if self.listed > MAX_LISTED_IDS {
            let pairs = set.ranges().iter();
            let ranges: Value =
                pairs.map(|range| Value::from_iter([range.first, range.last])).collect();
            return object([("ranges", ranges)]);
        }
        set.iter().map(Value::from).collect()
    }

    fn optional_ids(&mut self, set: Option<&IdSet>) -> Value {
        set.map_or_else(|| Value::Array(Vec::new()), |set| self.ids(set))
    }

    fn tc(&mut self, string: &TcString) -> Value {
        let publisher = string.publisher.unwrap_or(NOTHING_PUBLISHED);
        let restrictions: Vec<_> = string
            .restrictions
            .iter()
            .map(|restriction| {
                object([
                    ("purpose", restriction.purpose.into()),
                    ("type", restriction.kind.as_type().into()),
                    ("vendors", self.ids(&restriction.vendors)),
                ])
            })
            .collect();
        let mut fields = object([
            ("created", time(string.created_ds)),
            ("cmpId", string.cmp_id.into()),
            ("vlv", string.vendor_list_version.into()),
            ("policyVersion", string.policy_version.into()),
            ("isServiceSpecific", string.is_service_specific.into()),
            ("publisherCC", string.publisher_country.as_str().into()),
            ("purposeOneTreatment", string.purpose_one_treatment.into()),
            ("specialFeatures", flag_ids(string.special_features)),
            ("purposeConsents", flag_ids(string.purpose_consents)),
            ("purposeLI", flag_ids(string.purpose_legitimate_interests)),
            ("vendorConsents", self.ids(&string.vendor_consents)),
            ("vendorLI", self.ids(&string.vendor_legitimate_interests)),
            ("vendorsDisclosed", self.optional_ids(string.vendors_disclosed.as_ref())),
            ("pubConsents", flag_ids(publisher.consents)),
            ("pubLI", flag_ids(publisher.legitimate_interests)),
            ("restrictions", restrictions.into()),
        ]);
        if self.all_fields {
            self.add_remaining(string, &publisher, &mut fields);
        }
        fields
    }

    fn add_remaining(&mut self, string: &TcString, publisher: &PublisherTc, fields: &mut Value) {
        let segments: Vec<_> = [
            ("core", true),
            ("vendorsDisclosed", string.vendors_disclosed.is_some()),
            ("vendorsAllowed", string.vendors_allowed.is_some()),
            ("publisherTC", string.publisher.is_some()),
        ]
        .into_iter()
        .filter_map(|(name, present)| present.then_some(name))
        .collect();
        let more = object([
            ("version", 2.into()),
            ("lastUpdated", time(string.updated_ds)),
            ("cmpVersion", string.cmp_version.into()),
            ("consentScreen", string.consent_screen.into()),
            ("consentLanguage", string.consent_language.as_str().into()),
            ("useNonStandardTexts", string.use_non_standard_texts.into()),
            ("vendorsAllowed", self.optional_ids(string.vendors_allowed.as_ref())),
            ("pubCustomConsents", flag_ids(publisher.custom_consents)),
            ("pubCustomLI", flag_ids(publisher.custom_legitimate_interests)),
            ("isVoid", string.is_void().into()),
            ("segments", segments.into()),
        ]);
        if let (Value::Object(fields), Value::Object(more)) = (fields, more) {
            fields.extend(more);
        }
    }

    fn gpp(&mut self, gpp: &Gpp) -> Result<Value, DecodeError> {
        let malformed = gpp.sections.iter().find_map(|section| match &section.content {
            Err(error) if error.problem() != Problem::UnknownSection => Some(*error),
            _ => None,
        });
        match malformed {
            Some(error) if gpp.sections.iter().all(|section| section.content.is_err()) => {
                Err(error)
            }
            _ => Ok(gpp
                .sections
                .iter()
                .map(|section| (section_key(section), self.section(section)))
                .collect::<Map<_, _>>()
                .into()),
        }
    }

    fn section(&mut self, section: &GppSection) -> Value {
        match &section.content {
            Ok(Section::TcfEu(string)) => self.tcf_eu(string),
            Ok(Section::TcfCanada(string)) => self.tcf_canada(string),
            Ok(Section::UsPrivacy(privacy)) => self.us_privacy(privacy),
            Ok(Section::Us(state)) => us(state),
            Err(error) => error_json(error),
        }
    }

    fn us_privacy(&self, privacy: &UsPrivacy) -> Value {
        object([
            ("Version", 1.into()),
            ("Notice", privacy.notice.as_char().to_string().into()),
            ("OptOutSale", privacy.opt_out_sale.as_char().to_string().into()),
            ("LspaCovered", privacy.lspa_covered.as_char().to_string().into()),
        ])
    }

    fn restrictions(&mut self, restrictions: &[Restriction]) -> Value {
        restrictions
            .iter()
            .map(|restriction| {
                object([
                    ("key", restriction.purpose.into()),
                    ("type", restriction.kind.as_type().into()),
                    ("ids", self.ids(&restriction.vendors)),
                ])
            })
            .collect()
    }

    fn tcf_eu(&mut self, string: &TcString) -> Value {
        let publisher = string.publisher.unwrap_or(NOTHING_PUBLISHED);
        object([
            ("Version", 2.into()),
            ("Created", time(string.created_ds)),
            ("LastUpdated", time(string.updated_ds)),
            ("CmpId", string.cmp_id.into()),
            ("CmpVersion", string.cmp_version.into()),
            ("ConsentScreen", string.consent_screen.into()),
            ("ConsentLanguage", string.consent_language.as_str().into()),
            ("VendorListVersion", string.vendor_list_version.into()),
            ("PolicyVersion", string.policy_version.into()),
            ("IsServiceSpecific", string.is_service_specific.into()),
            ("UseNonStandardStacks", string.use_non_standard_texts.into()),
            ("SpecialFeatureOptins", flags(string.special_features)),
            ("PurposeConsents", flags(string.purpose_consents)),
            ("PurposeLegitimateInterests", flags(string.purpose_legitimate_interests)),
            ("PurposeOneTreatment", string.purpose_one_treatment.into()),
            ("PublisherCountryCode", string.publisher_country.as_str().into()),
            ("VendorConsents", self.ids(&string.vendor_consents)),
            ("VendorLegitimateInterests", self.ids(&string.vendor_legitimate_interests)),
            ("PublisherRestrictions", self.restrictions(&string.restrictions)),
            ("PublisherPurposesSegmentType", 3.into()),
            ("PublisherConsents", flags(publisher.consents)),
            ("PublisherLegitimateInterests", flags(publisher.legitimate_interests)),
            ("NumCustomPurposes", publisher.custom_consents.width().into()),
            ("PublisherCustomConsents", flags(publisher.custom_consents)),
            ("PublisherCustomLegitimateInterests", flags(publisher.custom_legitimate_interests)),
            ("VendorsAllowedSegmentType", 2.into()),
            ("VendorsAllowed", self.optional_ids(string.vendors_allowed.as_ref())),
            ("VendorsDisclosedSegmentType", 1.into()),
            ("VendorsDisclosed", self.optional_ids(string.vendors_disclosed.as_ref())),
        ])
    }

    fn tcf_canada(&mut self, string: &CanadaTc) -> Value {
        let publisher = string.publisher.unwrap_or(NOTHING_PUBLISHED);
        object([
            ("Version", 1.into()),
            ("Created", time(string.created_ds)),
            ("LastUpdated", time(string.updated_ds)),
            ("CmpId", string.cmp_id.into()),
            ("CmpVersion", string.cmp_version.into()),
            ("ConsentScreen", string.consent_screen.into()),
            ("ConsentLanguage", string.consent_language.as_str().into()),
            ("VendorListVersion", string.vendor_list_version.into()),
            ("TcfPolicyVersion", string.policy_version.into()),
            ("UseNonStandardStacks", string.use_non_standard_stacks.into()),
            ("SpecialFeatureExpressConsent", flags(string.special_features)),
            ("PurposesExpressConsent", flags(string.purposes_express)),
            ("PurposesImpliedConsent", flags(string.purposes_implied)),
            ("VendorExpressConsent", self.ids(&string.vendors_express)),
            ("VendorImpliedConsent", self.ids(&string.vendors_implied)),
            ("PubRestrictions", self.restrictions(&string.restrictions)),
            ("PubPurposesSegmentType", 3.into()),
            ("PubPurposesExpressConsent", flags(publisher.consents)),
            ("PubPurposesImpliedConsent", flags(publisher.legitimate_interests)),
            ("NumCustomPurposes", publisher.custom_consents.width().into()),
            ("CustomPurposesExpressConsent", flags(publisher.custom_consents)),
            ("CustomPurposesImpliedConsent", flags(publisher.custom_legitimate_interests)),
            ("DisclosedVendorsSegmentType", 1.into()),
            ("DisclosedVendors", self.optional_ids(string.vendors_disclosed.as_ref())),
        ])
    }
}

/// What the libraries print for a publisher segment that is not there: no to everything.
const NOTHING_PUBLISHED: PublisherTc = PublisherTc {
    consents: Flags::none(24),
    legitimate_interests: Flags::none(24),
    custom_consents: Flags::none(0),
    custom_legitimate_interests: Flags::none(0),
};

/// An object of values that are moved in; `json!` would copy each, and lists of vendors are long.
fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn section_key(section: &GppSection) -> String {
    section.name().map_or_else(|| format!("section{}", section.id), str::to_owned)
}

fn us(section: &UsSection) -> Value {
    let mut fields = Map::new();
    fields.insert(section.layout().version.name().to_owned(), section.version().into());
    for (field, answers) in section.fields() {
        let value = match answers {
            [answer] if !field.is_list => Value::from(*answer),
            answers => answers.iter().copied().map(Value::from).collect(),
        };
        fields.insert(field.name.to_owned(), value);
    }
    match section.layout().extra {
        Extra::None => {}
        Extra::Gpc => {
            fields.insert("GpcSegmentType".to_owned(), 1.into());
            fields.insert("Gpc".to_owned(), section.gpc_segment().unwrap_or(false).into());
        }
        Extra::SensitiveData => {
            let answers = section.sensitive_data().unwrap_or_default();
            fields.insert("SensitiveDataProcessing".to_owned(), json!(answers));
        }
    }
    fields.into()
}

fn flags(flags: Flags) -> Value {
    flags.iter().map(Value::from).collect()
}

fn flag_ids(flags: Flags) -> Value {
    flags.ids().map(Value::from).collect()
}

/// Tenths of a second since 1970 as ISO 8601 in UTC; 36 bits of them end in the year 2187.
fn time(deciseconds: u64) -> Value {
    i64::try_from(deciseconds.saturating_mul(100))
        .ok()
        .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok())
        .map_or(Value::Null, |time| time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_the_calendar_has_them() {
        assert_eq!(time(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(time(9_517_824_001), "2000-02-29T00:00:00.100Z");
        assert_eq!(time(17_723_231_999), "2026-02-28T23:59:59.900Z");
        assert_eq!(time((1 << 36) - 1), "2187-10-06T10:21:13.500Z");
    }
}
