//! Whom decisions are made for, as plain values, and the same as the engine's state. It must never
//! know what is decided.

use std::collections::{BTreeMap, BTreeSet};

use selvedge::consent::{Basis, Choice, Consent, Purpose, Record, Region, Signals};
use selvedge::decide::Request;
use selvedge::engine::{Body, Circumstances, Speaker, State};
use selvedge::ids::{DeviceId, EventKey, ProfileName};
use selvedge::profile::{
    Assignment, Contact, DeviceLink, Entry, Profile, Seen, Session, Source, Stamp, Trait,
    metric_key,
};
use selvedge::replay::cases::Case;
use selvedge::rule::Value;
use selvedge::time::Timestamp;
use selvedge::workspace::Workspace;

use super::declared::{PURPOSES, TRAITS};
use crate::oracle::generate::Kind;
use crate::oracle::{Happened, V};

/// Somebody, and what is known of them.
#[derive(Clone, Debug, Default)]
pub struct Person {
    /// The name that experiments hash.
    pub name: String,
    /// Whether it is a known person, else a device that nobody is linked to.
    pub is_person: bool,
    pub traits: BTreeMap<&'static str, V>,
    /// Traits that were told as something else than declared, so that they say nothing.
    pub garbled: BTreeSet<&'static str>,
    pub events: Vec<Happened>,
    pub contacts: Vec<Met>,
    /// First and last event of this device's session.
    pub session: Option<(i64, i64)>,
    /// What was said to each purpose, and on a person's device.
    pub said: BTreeMap<&'static str, bool>,
    pub said_here: BTreeMap<&'static str, bool>,
    /// Until when a login proves who it is.
    pub proved_until: i64,
    /// Experiments and the variants that were seen.
    pub assigned: BTreeMap<&'static str, &'static str>,
}

/// A contact with an offer.
#[derive(Clone, Debug)]
pub struct Met {
    pub offer: String,
    /// An index into `CONTACTS`.
    pub how: usize,
    pub time: i64,
    /// Whether on the device that asks.
    pub here: bool,
}

/// One question.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    pub now: i64,
    /// By path, `request.country`.
    pub fields: BTreeMap<&'static str, String>,
    pub spent: BTreeSet<String>,
    pub shown: Vec<String>,
    pub forced: BTreeMap<&'static str, &'static str>,
}

const HERE: DeviceId = DeviceId([7; 16]);
const ELSEWHERE: DeviceId = DeviceId([9; 16]);

/// A value of the oracle as one of the core.
pub fn value(v: &V) -> Value {
    match v {
        V::Bool(v) => Value::Bool(*v),
        V::Int(v) => Value::Int(*v),
        V::Double(v) => Value::Double(*v),
        V::Text(v) | V::Version(v) => Value::String(v.clone()),
        V::Time(v) => Value::Timestamp(*v),
        V::Span(v) => Value::Duration(*v),
        V::List(v) => Value::List(v.iter().map(value).collect()),
    }
}

fn consent(said: &BTreeMap<&'static str, bool>) -> Consent {
    let mut consent = Consent::default();
    for (purpose, yes) in said {
        let at = PURPOSES.iter().position(|known| known == purpose).expect("a purpose");
        consent.take(&Record {
            purpose: Purpose::ALL[at],
            choice: if *yes { Choice::Grant } else { Choice::Deny },
            epoch: 0,
            time: Timestamp(1),
            basis: Basis::Consent,
        });
    }
    consent
}

impl Person {
    /// The profile's name, by a number that nobody else has.
    pub fn named(number: u64, is_person: bool) -> Self {
        let mut hash = [0; 16];
        hash[..8].copy_from_slice(&number.to_be_bytes());
        let name = if is_person { ProfileName::person(&hash) } else { ProfileName::device(&hash) };
        Self { name: name.as_str().to_owned(), is_person, ..Self::default() }
    }

    fn profile_name(&self) -> ProfileName {
        ProfileName::parse(&self.name).expect("a name")
    }

    /// What the profile's object would hold.
    pub fn state(&self, workspace: &Workspace) -> State {
        let mut profile = Profile { consent: consent(&self.said), ..Profile::default() };
        let stamp = Stamp { time: Timestamp(1), counter: 0, source: Source::Central };
        for (name, v) in &self.traits {
            profile.traits.insert((*name).to_owned(), Trait { value: Some(value(v)), stamp });
        }
        for name in &self.garbled {
            // Neither a list nor a truth is what any of the others takes.
            let is_list = TRAITS.contains(&(name, Kind::Texts));
            let garbled = if is_list { Value::Bool(true) } else { Value::List(Vec::new()) };
            profile.traits.insert((*name).to_owned(), Trait { value: Some(garbled), stamp });
        }
        self.count(workspace, &mut profile);
        for (nth, met) in self.contacts.iter().enumerate() {
            profile.history.entry(met.offer.clone()).or_default().push(Seen {
                time: Timestamp(met.time),
                contact: [Contact::Impression, Contact::Click, Contact::Dismissal][met.how],
                device: if met.here { HERE } else { ELSEWHERE },
                key: EventKey::of(&format!("contact {nth}")),
            });
        }
        profile.history.values_mut().for_each(|seen| seen.sort());
        if let Some((start, last)) = self.session {
            let session = Session { start: Timestamp(start), last: Timestamp(last) };
            profile.sessions.insert(HERE, session);
        }
        for (experiment, variant) in &self.assigned {
            let variant = (*variant).to_owned();
            let assignment = Assignment { time: Timestamp(1), variant, exposed: None };
            profile.assignments.insert((*experiment).to_owned(), assignment);
        }
        if self.is_person {
            let link = DeviceLink {
                object: ProfileName::device(&HERE.0),
                linked: Timestamp(1),
                authenticated_until: Timestamp(self.proved_until),
                logged_out: None,
                attached: false,
                consent: consent(&self.said_here),
                region: Region::default(),
            };
            profile.devices.insert(HERE, link);
        }
        let body = Body::Live(Box::new(profile));
        State { name: Some(self.profile_name()), body, ..State::default() }
    }

    /// Each event in every metric that reads it, as two devices counted them.
    fn count(&self, workspace: &Workspace, profile: &mut Profile) {
        let metrics: BTreeSet<(&str, &str)> = workspace
            .computed
            .iter()
            .map(|decl| (decl.event.as_str(), decl.property.as_str()))
            .collect();
        for (nth, one) in self.events.iter().enumerate() {
            let node = ["one", "other"][nth % 2];
            let of_event = metrics.iter().filter(|(event, _)| *event == one.event);
            for (event, property) in of_event {
                let series = profile.series.entry(node.to_owned()).or_default();
                series.entry(metric_key(event, property)).or_default().add(Entry {
                    time: Timestamp(one.time),
                    key: EventKey::of(&format!("event {nth}")),
                    value: one.properties.get(property).map(value),
                });
            }
        }
    }

    /// One question for the engine. `state` says which object holds this person.
    pub fn ask(&self, workspace: &Workspace, state: u32, asked: &Asked) -> Case {
        let fields = asked.fields.iter().map(|(path, text)| {
            (path.strip_prefix("request.").unwrap_or(path).to_owned(), text.clone())
        });
        let mut spent: Vec<u32> =
            asked.spent.iter().filter_map(|key| workspace.offer_at(key)).collect();
        spent.sort_unstable();
        let forced = asked.forced.iter().map(|(name, variant)| {
            let at = workspace.experiment_at(name).expect("a known experiment");
            let experiment = workspace.experiment(at).expect("a known experiment");
            (at, experiment.variant_at(variant).expect("a known variant"))
        });
        Case {
            state,
            now: Timestamp(asked.now),
            speaker: Speaker {
                device: Some(HERE),
                profile: Some(self.profile_name()),
                signals: Signals::default(),
            },
            request: Request(fields.collect()),
            around: Circumstances { spent, shown: asked.shown.clone(), forced: forced.collect() },
        }
    }
}
