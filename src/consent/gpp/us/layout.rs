//! Where the fields of the American sections stand: IAB Tech Lab, Global Privacy Platform,
//! "Sections/US-National" and "Sections/US-States", one technical specification for each section.
//!
//! It must never know how a section is read, only what it holds.

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

/// What the six bits in front of a section say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionField {
    /// The version of the section's layout; these are understood.
    Section(&'static [u8]),
    /// The version of the Multi-State Privacy Agreement, which moves no field.
    Agreement,
}

impl VersionField {
    /// Its name in the specification and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Section(_) => "Version",
            Self::Agreement => "MspaVersion",
        }
    }

    /// Whether the answers behind this version mean what the layout says.
    pub fn is_known(self, version: u8) -> bool {
        match self {
            Self::Section(known) => known.contains(&version),
            Self::Agreement => version > 0,
        }
    }

    /// The version that is written.
    pub fn first(self) -> Option<u8> {
        match self {
            Self::Section(known) => known.first().copied(),
            Self::Agreement => Some(1),
        }
    }
}

/// Where the fields of one section stand.
#[derive(Debug, PartialEq, Eq)]
pub struct Layout {
    /// The number in the header.
    pub id: u16,
    /// Its name in the specification and in JSON.
    pub name: &'static str,
    /// What the six bits in front say.
    pub version: VersionField,
    /// The fields after the version, in order.
    pub fields: &'static [Field],
    /// What may follow.
    pub extra: Extra,
}

const SHARING_NOTICE: Field = one("SharingNotice");
const PROCESSING_NOTICE: Field = one("ProcessingNotice");
pub(super) const SALE_NOTICE: Field = one("SaleOptOutNotice");
pub(super) const SHARING_OPT_OUT_NOTICE: Field = one("SharingOptOutNotice");
pub(super) const ADVERTISING_NOTICE: Field = one("TargetedAdvertisingOptOutNotice");
const SENSITIVE_NOTICE: Field = one("SensitiveDataProcessingOptOutNotice");
const LIMIT_USE_NOTICE: Field = one("SensitiveDataLimitUseNotice");
pub(super) const SALE: Field = one("SaleOptOut");
pub(super) const SHARING: Field = one("SharingOptOut");
pub(super) const ADVERTISING: Field = one("TargetedAdvertisingOptOut");
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
    Layout { id, name, version: VersionField::Section(&[1]), fields, extra }
}

const fn agreement_section(
    id: u16,
    name: &'static str,
    fields: &'static [Field],
    extra: Extra,
) -> Layout {
    Layout { id, name, version: VersionField::Agreement, fields, extra }
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
    version: VersionField::Section(&[2]),
    fields: &national(sensitive(16), children(3)),
    extra: Extra::Gpc,
};
const NATIONAL_UNKNOWN_SHORT: Layout = Layout {
    id: 7,
    name: "usnat",
    version: VersionField::Section(&[]),
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
pub(super) fn national_layout(version: u8, characters: usize) -> &'static Layout {
    let [v1, v1_long, unknown_short] = &TRANSITIONAL;
    let [v2, ..] = &LAYOUTS;
    match (version, characters <= NATIONAL_SHORT_CHARACTERS) {
        (1, true) => v1,
        (1, false) => v1_long,
        (2, _) | (_, false) => v2,
        (_, true) => unknown_short,
    }
}
