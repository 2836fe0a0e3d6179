//! Situations of consent, told as JSON, through the gate: so that every host can be shown to answer
//! alike. `tests/vectors/consent_gate.json` holds them. For tests only.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::consent::signals::{SignalSettings, Strings, Unreadable, choices, gpc_header, read};
use crate::consent::{
    Basis, Choice, Consent, ConsentSettings, Effective, Purpose, PurposeSet, Reason, Record,
    Regime, Region, RegionRule, Signals,
};
use crate::error::Error;
use crate::time::Timestamp;

/// When `chosen` strings are taken; what a situation says was said before is older.
const NOW: Timestamp = Timestamp(1_000_000);

/// A situation.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Situation {
    /// `DE`, `US-CA`; empty where unknown.
    region: String,
    #[serde(default)]
    settings: Settings,
    /// What the person said; absent for an unlinked device.
    person: Option<Vec<Said>>,
    /// What the device said; absent where there is none.
    device: Option<Vec<Said>>,
    /// The values of every `Sec-GPC` field.
    #[serde(default)]
    gpc: Vec<String>,
    /// Strings that are live and were never chosen here.
    #[serde(default)]
    strings: Strings,
    /// Strings that the page's consent platform sent as a choice.
    #[serde(default)]
    chosen: Strings,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Settings {
    never: Vec<Purpose>,
    regions: BTreeMap<String, Regime>,
    signals: SignalSettings,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Said {
    purpose: Purpose,
    choice: Choice,
    #[serde(default)]
    epoch: u32,
    time: i64,
}

/// What the gate answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// Each purpose with the reason why it is allowed or not.
    pub reasons: BTreeMap<Purpose, Reason>,
    /// The allowed ones.
    pub allowed: Vec<Purpose>,
    /// What the live strings deny.
    pub denied: Vec<Purpose>,
    /// What could not be read, of the live strings and then of the chosen ones.
    pub problems: Vec<Unreadable>,
}

fn consent(said: &[Said]) -> Consent {
    let mut consent = Consent::default();
    for said in said {
        consent.take(&Record {
            purpose: said.purpose,
            choice: said.choice,
            epoch: said.epoch,
            time: Timestamp(said.time),
            basis: Basis::Consent,
        });
    }
    consent
}

fn listed(set: PurposeSet) -> Vec<Purpose> {
    Purpose::ALL.into_iter().filter(|purpose| set.has(*purpose)).collect()
}

impl Situation {
    /// What the gate answers in this situation.
    pub fn answer(&self) -> Answer {
        let settings = ConsentSettings {
            banner: String::new(),
            never: self.settings.never.iter().fold(PurposeSet::NONE, |set, p| set.with(*p)),
            regions: self
                .settings
                .regions
                .iter()
                .map(|(region, regime)| RegionRule { region: region.clone(), regime: *regime })
                .collect(),
            signals: self.settings.signals,
        };
        let mut person = self.person.as_deref().map(consent);
        let mut device = self.device.as_deref().map(consent);
        let chosen = read(&self.chosen, &settings.signals);
        for choice in choices(&chosen) {
            let device = device.get_or_insert_default();
            let mut known = *device;
            if let Some(person) = &person {
                known.join(person);
            }
            let record = known.next_record(choice.purpose, choice.yes, Basis::Consent, NOW);
            device.take(&record);
            if let Some(person) = &mut person {
                person.take(&record);
            }
        }
        let live = read(&self.strings, &settings.signals);
        let (country, subdivision) = self.region.split_once('-').unwrap_or((&self.region, ""));
        let signals = Signals {
            region: Region::new(country, subdivision),
            gpc: live.gpc || gpc_header(self.gpc.iter().map(String::as_str)),
            denied: live.denied,
        };
        let effective = Effective::of(person.as_ref(), device.as_ref(), &signals, &settings);
        Answer {
            reasons: effective.reasons().collect(),
            allowed: listed(effective.allowed()),
            denied: listed(live.denied),
            problems: live.problems.into_iter().chain(chosen.problems).collect(),
        }
    }
}

/// From a situation's JSON to the answer's. Errors: `bad_shape`, `bad_json`.
pub fn answer_json(situation: &str) -> Result<String, Error> {
    let situation: Situation =
        serde_json::from_str(situation).map_err(|error| crate::json::syntax(&error))?;
    serde_json::to_string(&situation.answer()).map_err(|error| crate::json::syntax(&error))
}
