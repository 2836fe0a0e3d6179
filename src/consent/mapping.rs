//! Which fields of other people's frameworks speak of which of our purposes: one table, each row
//! with its source. An engineering reading; docs/reference/consent.md shows the same table and
//! names what counsel must look at. It must never hold a rule that is not a row.

use super::{Purpose, PurposeSet};

/// A right to opt out that American signals carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsField {
    /// `SaleOptOut`, and the third character of the US Privacy string.
    Sale,
    /// `SharingOptOut`.
    Sharing,
    /// `TargetedAdvertisingOptOut`.
    TargetedAdvertising,
    /// `Gpc`, in the segment of that name.
    Gpc,
}

impl UsField {
    /// Its name in GPP.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sale => "SaleOptOut",
            Self::Sharing => "SharingOptOut",
            Self::TargetedAdvertising => "TargetedAdvertisingOptOut",
            Self::Gpc => "Gpc",
        }
    }
}

/// A key of Google's Consent Mode, version 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GoogleKey {
    /// `ad_storage`
    AdStorage,
    /// `ad_user_data`
    AdUserData,
    /// `ad_personalization`
    AdPersonalization,
    /// `analytics_storage`
    AnalyticsStorage,
    /// `functionality_storage`
    FunctionalityStorage,
    /// `personalization_storage`
    PersonalizationStorage,
    /// `security_storage`
    SecurityStorage,
}

impl GoogleKey {
    /// Every key, in the order in which Google lists them.
    pub const ALL: [Self; 7] = [
        Self::AdStorage,
        Self::AdUserData,
        Self::AdPersonalization,
        Self::AnalyticsStorage,
        Self::FunctionalityStorage,
        Self::PersonalizationStorage,
        Self::SecurityStorage,
    ];

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::AdStorage => "ad_storage",
            Self::AdUserData => "ad_user_data",
            Self::AdPersonalization => "ad_personalization",
            Self::AnalyticsStorage => "analytics_storage",
            Self::FunctionalityStorage => "functionality_storage",
            Self::PersonalizationStorage => "personalization_storage",
            Self::SecurityStorage => "security_storage",
        }
    }

    /// The key of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|key| key.word() == word)
    }
}

/// The fields of one framework that a row names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fields {
    /// TCF purposes; all must be consented to, one that is not allowed denies.
    Tcf(&'static [u8]),
    /// Purposes of TCF Canada; all need express consent, one without any consent denies.
    Canada(&'static [u8]),
    /// American rights to opt out; one that is used denies, none ever grants.
    Us(&'static [UsField]),
    /// Google's keys; all must be granted, one that is denied denies.
    Google(&'static [GoogleKey]),
}

impl Fields {
    /// The framework, for people.
    pub fn framework(self) -> &'static str {
        match self {
            Self::Tcf(_) => "TCF",
            Self::Canada(_) => "TCF Canada",
            Self::Us(_) => "GPP US, US Privacy",
            Self::Google(_) => "Google Consent Mode",
        }
    }
}

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Our purpose.
    pub purpose: Purpose,
    /// What speaks of it.
    pub fields: Fields,
    /// The specification or law that the reading rests on.
    pub source: &'static str,
    /// Why these fields and no others.
    pub reading: &'static str,
}

const fn row(purpose: Purpose, fields: Fields, source: &'static str, reading: &'static str) -> Row {
    Row { purpose, fields, source, reading }
}

const POLICIES: &str = "IAB Europe, TCF Policies, Appendix A, \"Purposes\"";
const CANADA: &str = "IAB Canada, TCF Canada Policies, Appendix A, \"Purposes\"";
const GOOGLE: &str = "Google, Consent mode reference, \"Overview: Consent mode parameters\"";

/// The table.
pub const MAPPING: &[Row] = &[
    row(
        Purpose::Store,
        Fields::Tcf(&[1]),
        "IAB Europe, TCF Policies, Appendix A, purpose 1; ePrivacy Directive 2002/58/EC, Art. 5(3)",
        "a device id and what belongs to it is stored on the device and read from it",
    ),
    row(
        Purpose::Profile,
        Fields::Tcf(&[3, 5]),
        POLICIES,
        "one profile serves offers of both kinds: advertising and content",
    ),
    row(
        Purpose::Personalise,
        Fields::Tcf(&[4, 6]),
        POLICIES,
        "an offer chosen from a profile may be advertising or content",
    ),
    row(
        Purpose::Measure,
        Fields::Tcf(&[7, 8, 9]),
        POLICIES,
        "impressions and clicks of both kinds, and statistics over audiences",
    ),
    row(
        Purpose::Share,
        Fields::Tcf(&[3, 4, 9]),
        POLICIES,
        "a recipient may build and use an advertising profile, and combine data from other \
         sources; whether the recipient itself has consent, this does not say",
    ),
    row(Purpose::Store, Fields::Canada(&[1]), CANADA, "as TCF purpose 1"),
    row(Purpose::Profile, Fields::Canada(&[3, 5]), CANADA, "as TCF purposes 3 and 5"),
    row(Purpose::Personalise, Fields::Canada(&[4, 6]), CANADA, "as TCF purposes 4 and 6"),
    row(Purpose::Measure, Fields::Canada(&[7, 8, 9]), CANADA, "as TCF purposes 7 to 9"),
    row(Purpose::Share, Fields::Canada(&[3, 4, 9]), CANADA, "as TCF purposes 3, 4 and 9"),
    row(
        Purpose::Personalise,
        Fields::Us(&[UsField::TargetedAdvertising]),
        "IAB Tech Lab, GPP, US sections, TargetedAdvertisingOptOut; \
         Colo. Rev. Stat. 6-1-1306(1)(a); Va. Code 59.1-577(A)(5)",
        "traits may come from elsewhere, so an offer chosen by them is read as targeted \
         advertising, although the laws except a site's own data",
    ),
    row(
        Purpose::Share,
        Fields::Us(&[UsField::Sale, UsField::Sharing, UsField::TargetedAdvertising, UsField::Gpc]),
        "IAB Tech Lab, GPP, US sections, SaleOptOut, SharingOptOut, TargetedAdvertisingOptOut \
         and the GPC segment; IAB, US Privacy String, third character; Cal. Civ. Code 1798.120 \
         and .135; 11 CCR 7025",
        "data that nobody else gets is neither sold nor shared nor used for advertising elsewhere",
    ),
    row(
        Purpose::Store,
        Fields::Google(&[GoogleKey::FunctionalityStorage]),
        GOOGLE,
        "storage for what the site does",
    ),
    row(
        Purpose::Profile,
        Fields::Google(&[GoogleKey::PersonalizationStorage]),
        GOOGLE,
        "storage for personalisation is the profile",
    ),
    row(
        Purpose::Personalise,
        Fields::Google(&[GoogleKey::AdPersonalization, GoogleKey::PersonalizationStorage]),
        GOOGLE,
        "an offer chosen from a profile may be advertising or content",
    ),
    row(
        Purpose::Measure,
        Fields::Google(&[GoogleKey::AnalyticsStorage]),
        GOOGLE,
        "counting is analytics",
    ),
    row(
        Purpose::Share,
        Fields::Google(&[
            GoogleKey::AdStorage,
            GoogleKey::AdUserData,
            GoogleKey::AdPersonalization,
        ]),
        GOOGLE,
        "all three speak of advertising by somebody else",
    ),
];

/// The rows that speak of `purpose`.
pub fn rows(purpose: Purpose) -> impl Iterator<Item = &'static Row> {
    MAPPING.iter().filter(move |row| row.purpose == purpose)
}

/// The purposes that an American right to opt out denies.
pub fn denied_by(field: UsField) -> PurposeSet {
    purposes(|fields| matches!(fields, Fields::Us(us) if us.contains(&field)))
}

/// The purposes that a key of Google's speaks of; none for `security_storage`.
pub fn spoken_of_by(key: GoogleKey) -> PurposeSet {
    purposes(|fields| matches!(fields, Fields::Google(keys) if keys.contains(&key)))
}

fn purposes(matches: impl Fn(Fields) -> bool) -> PurposeSet {
    MAPPING
        .iter()
        .filter(|row| matches(row.fields))
        .fold(PurposeSet::NONE, |set, row| set.with(row.purpose))
}

/// What Google's tags are told: a key is granted if every purpose that it speaks of is allowed.
/// `security_storage` speaks of none and is always granted: it never was ours to deny.
pub fn google_consent(allowed: PurposeSet) -> [(GoogleKey, bool); 7] {
    GoogleKey::ALL.map(|key| {
        let needed = spoken_of_by(key);
        (key, needed.and(allowed) == needed)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_purpose_is_spoken_of_by_each_framework_that_asks_for_consent() {
        for purpose in Purpose::ALL {
            let has = |framework: &str| {
                rows(purpose).filter(|row| row.fields.framework() == framework).count()
            };
            assert_eq!((has("TCF"), has("TCF Canada"), has("Google Consent Mode")), (1, 1, 1));
            assert!(rows(purpose).all(|row| !row.source.is_empty() && !row.reading.is_empty()));
        }
    }

    #[test]
    fn google_hears_yes_only_for_keys_whose_purposes_are_all_allowed() {
        let told = |allowed| {
            let granted = google_consent(allowed).into_iter().filter(|(_, yes)| *yes);
            granted.map(|(key, _)| key.word()).collect::<Vec<_>>()
        };
        assert_eq!(told(PurposeSet::NONE), ["security_storage"]);
        assert_eq!(told(PurposeSet::ALL).len(), 7);
        let own = PurposeSet::ALL.without(Purpose::Share);
        assert_eq!(
            told(own),
            [
                "analytics_storage",
                "functionality_storage",
                "personalization_storage",
                "security_storage"
            ]
        );
    }
}
