//! GPP sections 7 to 27: the United States as a whole and its states. All have one shape, fields of
//! two bits behind a version, so that one reader and one table do for them. Layouts: IAB Tech Lab,
//! Global Privacy Platform, "Sections/US-National" and "Sections/US-States".
//!
//! It must never know the law behind a field, only its place and its numbers.

use crate::consent::bits::{BitWriter, Bits, DecodeError, Problem};
use crate::consent::usp::OptOut;

/// A field: its name, and how many answers of two bits it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name in the specification and in JSON.
    pub name: &'static str,
    /// Answers in the string.
    pub coded: u8,
    /// Answers that count; equal to `coded` but for two transitional forms of section 7.
    pub kept: u8,
    /// Whether the field is a list even when it has one answer.
    pub is_list: bool,
}

const fn one(name: &'static str) -> Field {
    Field { name, coded: 1, kept: 1, is_list: false }
}

const fn list(name: &'static str, answers: u8) -> Field {
    Field { name, coded: answers, kept: answers, is_list: true }
}

const fn resized(name: &'static str, coded: u8, kept: u8) -> Field {
    Field { name, coded, kept, is_list: true }
}

/// What may follow the core after a dot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extra {
    /// Nothing.
    None,
    /// Global Privacy Control: two bits of type, one of value.
    Gpc,
    /// Consents to eight kinds of sensitive data.
    SensitiveData,
}

/// Where the fields of one section stand.
#[derive(Debug, PartialEq, Eq)]
pub struct Layout {
    /// The number in the header.
    pub id: u16,
    /// Its name in the specification and in JSON.
    pub name: &'static str,
    /// The six bits in front: the section's own version, or the agreement's.
    pub version_name: &'static str,
    /// Versions whose answers are understood.
    pub versions: &'static [u8],
    /// The fields after the version, in order.
    pub fields: &'static [Field],
    /// What may follow.
    pub extra: Extra,
}

const SHARING_NOTICE: Field = one("SharingNotice");
const PROCESSING_NOTICE: Field = one("ProcessingNotice");
const SALE_NOTICE: Field = one("SaleOptOutNotice");
const SHARING_OPT_OUT_NOTICE: Field = one("SharingOptOutNotice");
const ADVERTISING_NOTICE: Field = one("TargetedAdvertisingOptOutNotice");
const SENSITIVE_NOTICE: Field = one("SensitiveDataProcessingOptOutNotice");
const LIMIT_USE_NOTICE: Field = one("SensitiveDataLimitUseNotice");
const SALE: Field = one("SaleOptOut");
const SHARING: Field = one("SharingOptOut");
const ADVERTISING: Field = one("TargetedAdvertisingOptOut");
const CHILD: Field = one("KnownChildSensitiveDataConsents");
const PERSONAL: Field = one("PersonalDataConsents");
const ADDITIONAL: Field = one("AdditionalDataProcessingConsent");
const COVERED: Field = one("MspaCoveredTransaction");
const OPT_OUT_MODE: Field = one("MspaOptOutOptionMode");
const SERVICE_PROVIDER_MODE: Field = one("MspaServiceProviderMode");
const MSPA_MODE: Field = one("MspaMode");

const fn sensitive(answers: u8) -> Field {
    list("SensitiveDataProcessing", answers)
}

const fn children(answers: u8) -> Field {
    list("KnownChildSensitiveDataConsents", answers)
}

const fn national(sensitive: Field, children: Field) -> [Field; 15] {
    [
        SHARING_NOTICE,
        SALE_NOTICE,
        SHARING_OPT_OUT_NOTICE,
        ADVERTISING_NOTICE,
        SENSITIVE_NOTICE,
        LIMIT_USE_NOTICE,
        SALE,
        SHARING,
        ADVERTISING,
        sensitive,
        children,
        PERSONAL,
        COVERED,
        OPT_OUT_MODE,
        SERVICE_PROVIDER_MODE,
    ]
}

/// The states that follow Virginia, by what they call their first notice.
const fn state(notice: Field, sensitive: Field, child: Field) -> [Field; 10] {
    [
        notice,
        SALE_NOTICE,
        ADVERTISING_NOTICE,
        SALE,
        ADVERTISING,
        sensitive,
        child,
        COVERED,
        OPT_OUT_MODE,
        SERVICE_PROVIDER_MODE,
    ]
}

/// As [`state`], with consent to additional processing.
const fn state_with_additional(notice: Field, sensitive: Field, child: Field) -> [Field; 11] {
    [
        notice,
        SALE_NOTICE,
        ADVERTISING_NOTICE,
        SALE,
        ADVERTISING,
        sensitive,
        child,
        ADDITIONAL,
        COVERED,
        OPT_OUT_MODE,
        SERVICE_PROVIDER_MODE,
    ]
}

/// As [`state`], with a notice about sensitive data of the given name.
const fn state_with_sensitive_notice(notice: Field, about: Field) -> [Field; 11] {
    [
        notice,
        SALE_NOTICE,
        ADVERTISING_NOTICE,
        about,
        SALE,
        ADVERTISING,
        sensitive(8),
        CHILD,
        COVERED,
        OPT_OUT_MODE,
        SERVICE_PROVIDER_MODE,
    ]
}

/// The states of 2026, which put the agreement first.
const AGREEMENT_FIRST: [Field; 9] = [
    COVERED,
    MSPA_MODE,
    PROCESSING_NOTICE,
    SALE_NOTICE,
    ADVERTISING_NOTICE,
    SALE,
    ADVERTISING,
    CHILD,
    ADDITIONAL,
];

const fn section(id: u16, name: &'static str, fields: &'static [Field], extra: Extra) -> Layout {
    Layout { id, name, version_name: "Version", versions: &[1], fields, extra }
}

const fn agreement_section(
    id: u16,
    name: &'static str,
    fields: &'static [Field],
    extra: Extra,
) -> Layout {
    Layout { id, name, version_name: "MspaVersion", versions: &[1], fields, extra }
}

/// Section 7 in its two versions, and as encoders wrote it between them: version 1 in the longer
/// form. An unknown version is read by its length; its answers are shown, but count for nothing.
const NATIONAL_V1: Layout = section(7, "usnat", &national(sensitive(12), children(2)), Extra::Gpc);
const NATIONAL_V1_LONG: Layout = section(
    7,
    "usnat",
    &national(
        resized("SensitiveDataProcessing", 16, 12),
        resized("KnownChildSensitiveDataConsents", 3, 2),
    ),
    Extra::Gpc,
);
const NATIONAL_V2: Layout = Layout {
    id: 7,
    name: "usnat",
    version_name: "Version",
    versions: &[2],
    fields: &national(sensitive(16), children(3)),
    extra: Extra::Gpc,
};
const NATIONAL_UNKNOWN_SHORT: Layout = Layout {
    id: 7,
    name: "usnat",
    version_name: "Version",
    versions: &[],
    fields: &national(
        resized("SensitiveDataProcessing", 12, 16),
        resized("KnownChildSensitiveDataConsents", 2, 3),
    ),
    extra: Extra::Gpc,
};

/// Section 7 in version 1 has 60 bits: 10 characters, or 11 where an encoder filled bytes first.
const NATIONAL_SHORT_CHARACTERS: usize = 11;

static LAYOUTS: [Layout; 21] = [
    NATIONAL_V2,
    section(
        8,
        "usca",
        &[
            SALE_NOTICE,
            SHARING_OPT_OUT_NOTICE,
            LIMIT_USE_NOTICE,
            SALE,
            SHARING,
            sensitive(9),
            children(2),
            PERSONAL,
            COVERED,
            OPT_OUT_MODE,
            SERVICE_PROVIDER_MODE,
        ],
        Extra::Gpc,
    ),
    section(9, "usva", &state(SHARING_NOTICE, sensitive(8), CHILD), Extra::None),
    section(10, "usco", &state(SHARING_NOTICE, sensitive(7), CHILD), Extra::Gpc),
    section(
        11,
        "usut",
        &state_with_sensitive_notice(SHARING_NOTICE, SENSITIVE_NOTICE),
        Extra::None,
    ),
    section(12, "usct", &state(SHARING_NOTICE, sensitive(8), children(3)), Extra::Gpc),
    section(
        13,
        "usfl",
        &state_with_additional(PROCESSING_NOTICE, sensitive(8), children(3)),
        Extra::None,
    ),
    section(
        14,
        "usmt",
        &state_with_additional(SHARING_NOTICE, sensitive(8), children(3)),
        Extra::Gpc,
    ),
    section(
        15,
        "usor",
        &state_with_additional(PROCESSING_NOTICE, sensitive(11), children(3)),
        Extra::Gpc,
    ),
    section(16, "ustx", &state_with_additional(PROCESSING_NOTICE, sensitive(8), CHILD), Extra::Gpc),
    section(
        17,
        "usde",
        &state_with_additional(PROCESSING_NOTICE, sensitive(9), children(5)),
        Extra::Gpc,
    ),
    section(
        18,
        "usia",
        &state_with_sensitive_notice(PROCESSING_NOTICE, one("SensitiveDataOptOutNotice")),
        Extra::Gpc,
    ),
    section(19, "usne", &state_with_additional(PROCESSING_NOTICE, sensitive(8), CHILD), Extra::Gpc),
    section(
        20,
        "usnh",
        &state_with_additional(PROCESSING_NOTICE, sensitive(8), children(3)),
        Extra::Gpc,
    ),
    section(
        21,
        "usnj",
        &state_with_additional(PROCESSING_NOTICE, sensitive(10), children(5)),
        Extra::Gpc,
    ),
    section(22, "ustn", &state_with_additional(PROCESSING_NOTICE, sensitive(8), CHILD), Extra::Gpc),
    section(23, "usmn", &state_with_additional(PROCESSING_NOTICE, sensitive(8), CHILD), Extra::Gpc),
    agreement_section(
        24,
        "usmd",
        &[
            COVERED,
            MSPA_MODE,
            PROCESSING_NOTICE,
            SALE_NOTICE,
            ADVERTISING_NOTICE,
            SALE,
            ADVERTISING,
            ADDITIONAL,
        ],
        Extra::Gpc,
    ),
    agreement_section(25, "usin", &AGREEMENT_FIRST, Extra::SensitiveData),
    agreement_section(26, "usky", &AGREEMENT_FIRST, Extra::SensitiveData),
    agreement_section(27, "usri", &AGREEMENT_FIRST, Extra::SensitiveData),
];

static TRANSITIONAL: [Layout; 3] = [NATIONAL_V1, NATIONAL_V1_LONG, NATIONAL_UNKNOWN_SHORT];

/// The newest layout of a section of the United States.
pub fn layout(id: u16) -> Option<&'static Layout> {
    LAYOUTS.iter().find(|layout| layout.id == id)
}

/// The layout that a text of section 7 was written with.
fn national_layout(version: u8, characters: usize) -> &'static Layout {
    let [v1, v1_long, unknown_short] = &TRANSITIONAL;
    let [v2, ..] = &LAYOUTS;
    match (version, characters <= NATIONAL_SHORT_CHARACTERS) {
        (1, true) => v1,
        (1, false) => v1_long,
        (2, _) | (_, false) => v2,
        (_, true) => unknown_short,
    }
}

/// A section of the United States, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsSection {
    layout: &'static Layout,
    version: u8,
    /// Answers in the order of the layout, as many for each field as it keeps.
    answers: Vec<u8>,
    gpc: Option<bool>,
    sensitive_data: Option<[u8; 8]>,
}

impl UsSection {
    /// Reads the core and what follows it after a dot.
    pub(crate) fn decode_at(
        layout: &'static Layout,
        text: &str,
        base: usize,
    ) -> Result<Self, DecodeError> {
        let mut segments = text.split('.');
        let core = segments.next().unwrap_or_default();
        let mut bits = Bits::new(core, base)?;
        let version_at = bits.error(Problem::UnsupportedVersion);
        let version = bits.byte(6)?;
        // The specifications of sections 24 to 27 speak of a header in front of the core that
        // starts with the section's number. No known encoder writes it, and its list of
        // subsections cannot hold the core's number, zero. Such a text is refused, not guessed at.
        if layout.version_name == "MspaVersion" && u16::from(version) == layout.id {
            return Err(version_at);
        }
        let layout = if layout.id == 7 { national_layout(version, core.len()) } else { layout };
        let mut section =
            Self { layout, version, answers: Vec::new(), gpc: None, sensitive_data: None };
        for field in layout.fields {
            section.read_field(field, &mut bits)?;
        }
        bits.finish()?;
        let mut at = base + core.len() + 1;
        for segment in segments {
            section.read_extra(Bits::new(segment, at)?)?;
            at += segment.len() + 1;
        }
        Ok(section)
    }

    fn read_field(&mut self, field: &Field, bits: &mut Bits<'_>) -> Result<(), DecodeError> {
        for index in 0..field.coded.max(field.kept) {
            let at = bits.error(Problem::TrailingData);
            let answer = if index < field.coded { bits.byte(2)? } else { 0 };
            if index < field.kept {
                self.answers.push(answer);
            } else if answer != 0 {
                return Err(at);
            }
        }
        Ok(())
    }

    fn read_extra(&mut self, mut bits: Bits<'_>) -> Result<(), DecodeError> {
        let at = bits.at();
        match self.layout.extra {
            Extra::None => return Err(DecodeError::new(Problem::UnknownSegment, at)),
            Extra::Gpc if self.gpc.is_some() => {
                return Err(DecodeError::new(Problem::DuplicateSegment, at));
            }
            Extra::Gpc => {
                if bits.int(2)? != 1 {
                    return Err(DecodeError::new(Problem::UnknownSegment, at));
                }
                self.gpc = Some(bits.flag()?);
            }
            Extra::SensitiveData if self.sensitive_data.is_some() => {
                return Err(DecodeError::new(Problem::DuplicateSegment, at));
            }
            Extra::SensitiveData => {
                let mut answers = [0; 8];
                for answer in &mut answers {
                    *answer = bits.byte(2)?;
                }
                self.sensitive_data = Some(answers);
            }
        }
        bits.finish()
    }

    /// A section of the given layout, version and answers; `None` unless there is an answer from 0
    /// to 3 for each place, and the extra fits. For tests, examples and encoders.
    pub fn new(
        layout: &'static Layout,
        answers: &[u8],
        gpc: Option<bool>,
        sensitive_data: Option<[u8; 8]>,
    ) -> Option<Self> {
        let version = layout.versions.first().copied()?;
        let expected: usize = layout.fields.iter().map(|field| usize::from(field.kept)).sum();
        let fits = answers.len() == expected
            && answers.iter().chain(sensitive_data.iter().flatten()).all(|answer| *answer <= 3)
            && (gpc.is_none() || layout.extra == Extra::Gpc)
            && (sensitive_data.is_none() || layout.extra == Extra::SensitiveData);
        fits.then(|| Self { layout, version, answers: answers.to_vec(), gpc, sensitive_data })
    }

    /// Where the fields stand.
    pub fn layout(&self) -> &'static Layout {
        self.layout
    }

    /// The number in front: the section's version, or the agreement's.
    pub fn version(&self) -> u8 {
        self.version
    }

    /// Whether the answers mean what this code thinks they mean.
    pub fn is_known_version(&self) -> bool {
        self.layout.versions.contains(&self.version)
    }

    /// Each field with its answers, in order.
    pub fn fields(&self) -> impl Iterator<Item = (&'static Field, &[u8])> {
        let mut rest = self.answers.as_slice();
        self.layout.fields.iter().map(move |field| {
            let (answers, after) =
                rest.split_at_checked(usize::from(field.kept)).unwrap_or((rest, &[]));
            rest = after;
            (field, answers)
        })
    }

    /// The answer of a field that has one.
    pub fn answer(&self, name: &str) -> Option<u8> {
        let (_, answers) = self.fields().find(|(field, _)| field.name == name)?;
        match answers {
            [answer] => Some(*answer),
            _ => None,
        }
    }

    /// The consents to sensitive data that follow the core of sections 25 to 27.
    pub fn sensitive_data(&self) -> Option<[u8; 8]> {
        self.sensitive_data
    }

    /// The Global Privacy Control segment, if there is one.
    pub fn gpc_segment(&self) -> Option<bool> {
        self.gpc
    }

    fn opt_out(&self, notice: &Field, choice: &Field) -> OptOut {
        if !self.is_known_version() {
            return OptOut::Unreadable;
        }
        match (self.answer(notice.name), self.answer(choice.name)) {
            (Some(notice), Some(choice)) => OptOut::from_fields(notice, choice),
            _ => OptOut::NotApplicable,
        }
    }

    /// What the section says about the sale of personal data.
    pub fn sale_opt_out(&self) -> OptOut {
        self.opt_out(&SALE_NOTICE, &SALE)
    }

    /// What the section says about sharing.
    pub fn sharing_opt_out(&self) -> OptOut {
        self.opt_out(&SHARING_OPT_OUT_NOTICE, &SHARING)
    }

    /// What the section says about targeted advertising.
    pub fn targeted_advertising_opt_out(&self) -> OptOut {
        self.opt_out(&ADVERTISING_NOTICE, &ADVERTISING)
    }

    /// Global Privacy Control: opted out if set, did not if passed on as unset, else not covered.
    pub fn gpc(&self) -> OptOut {
        match self.gpc {
            _ if !self.is_known_version() => OptOut::Unreadable,
            Some(true) => OptOut::OptedOut,
            Some(false) => OptOut::DidNotOptOut,
            None => OptOut::NotApplicable,
        }
    }

    /// Writes the section.
    pub fn encode(&self) -> String {
        let mut out = BitWriter::default();
        out.int(u64::from(self.version), 6);
        for (field, answers) in self.fields() {
            for index in 0..field.coded {
                let answer = answers.get(usize::from(index)).copied().unwrap_or(0);
                out.int(u64::from(answer), 2);
            }
        }
        let mut text = out.finish();
        if let Some(gpc) = self.gpc {
            let mut out = BitWriter::default();
            out.int(1, 2);
            out.flag(gpc);
            text.push('.');
            text.push_str(&out.finish());
        }
        if let Some(answers) = self.sensitive_data {
            let mut out = BitWriter::default();
            for answer in answers {
                out.int(u64::from(answer), 2);
            }
            text.push('.');
            text.push_str(&out.finish());
        }
        text
    }
}
