//! A small world around the engine for tests: objects by name, the keys and queues that a host
//! would keep, and a recording of every input. It must never do anything that a host may not.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use selvedge::consent::{Consent, Purpose, Region, Signals};
use selvedge::decide::{Decision, Request};
use selvedge::engine::{self, Body, Effect, Input, Login, Placements, Reply, Speaker, State};
use selvedge::event::{Event, EventKind};
use selvedge::identity::{Identifier, IdentifierKind, TenantKey};
use selvedge::ids::{DeviceId, Entropy, EventKey, ProfileName};
use selvedge::profile::{History, Profile, Source, Stamp};
use selvedge::replay::Step;
use selvedge::rule::Value;
use selvedge::time::Timestamp;
use selvedge::wire::{Change, ChangeBody, Chosen, FactRow, Receipt, TraitUpdate};
use selvedge::workspace::Workspace;

pub const START: Timestamp = Timestamp(1_795_363_200_000);
pub const HOUR: i64 = 3_600_000;
pub const DAY: i64 = 24 * HOUR;

/// What a browser keeps: what its sealed cookie would say.
#[derive(Clone, Debug)]
pub struct Browser {
    pub device: DeviceId,
    pub person: Option<ProfileName>,
    pub shared: bool,
    pub signals: Signals,
}

#[derive(Default)]
pub struct Object {
    pub state: State,
    pub known: BTreeSet<EventKey>,
    pub queue: Vec<FactRow>,
    pub receipts: Vec<Receipt>,
}

pub struct World {
    pub workspace: Workspace,
    pub now: Timestamp,
    pub key: TenantKey,
    pub objects: BTreeMap<ProfileName, Object>,
    pub hydrations: Vec<ProfileName>,
    pub erasures: Vec<ProfileName>,
    pub steps: Vec<Step>,
    tokens: u64,
    ids: u64,
}

impl World {
    pub fn new(workspace: Workspace) -> Self {
        Self {
            workspace,
            now: START,
            key: TenantKey::parse("shop", &"5a".repeat(32)).unwrap(),
            objects: BTreeMap::new(),
            hydrations: Vec::new(),
            erasures: Vec::new(),
            steps: Vec::new(),
            tokens: 0,
            ids: 0,
        }
    }

    /// A world with the demo shop's workspace.
    #[cfg(feature = "compile")]
    pub fn of_the_shop() -> Self {
        let source = include_str!("../../examples/shop/workspace.json");
        Self::new(selvedge::compile::workspace(source).unwrap())
    }

    pub fn browser(&mut self, country: &str) -> Browser {
        self.ids += 1;
        let mut device = [0; 16];
        device[..8].copy_from_slice(&self.ids.to_be_bytes());
        let region = Region::new(country, "");
        Browser {
            device: DeviceId(device),
            person: None,
            shared: false,
            signals: Signals { region, ..Signals::default() },
        }
    }

    pub fn person(&self, customer: &str) -> ProfileName {
        let id = Identifier::parse(IdentifierKind::CustomerId, customer, &[]).unwrap();
        self.key.person(&id)
    }

    pub fn home(&self, browser: &Browser) -> ProfileName {
        browser.person.clone().unwrap_or_else(|| self.key.device(browser.device))
    }

    pub fn speaker(&self, browser: &Browser) -> Speaker {
        Speaker {
            device: Some(browser.device),
            profile: Some(self.home(browser)),
            signals: browser.signals.clone(),
        }
    }

    pub fn pass(&mut self, ms: i64) {
        self.now = self.now.plus_ms(ms);
    }

    /// Time passes, and objects that asked for it are woken when it is time, as by a host's alarm.
    pub fn wait(&mut self, ms: i64) {
        let end = self.now.plus_ms(ms);
        loop {
            let due = self
                .objects
                .iter()
                .filter_map(|(name, object)| Some((object.state.wake()?, name.clone())));
            let Some((wake, name)) = due.min().filter(|(wake, _)| *wake <= end) else { break };
            self.now = self.now.max(wake);
            self.send(&name, Input::Wake);
        }
        self.now = end;
    }

    /// One input at one object, with its effects carried out.
    pub fn send(&mut self, name: &ProfileName, input: Input) -> Reply {
        let mut waiting = VecDeque::from([(name.clone(), input)]);
        let mut first = None;
        while let Some((name, input)) = waiting.pop_front() {
            let mut entropy = [0; 32];
            entropy[..8].copy_from_slice(&(self.steps.len() as u64).to_be_bytes());
            self.steps.push(Step {
                object: name.as_str().to_owned(),
                now: self.now,
                entropy,
                input: input.clone(),
            });
            let object = self.objects.entry(name.clone()).or_default();
            let before = object.state.clone();
            let output = engine::handle(
                &mut object.state,
                &self.workspace,
                self.now,
                Entropy::new(entropy),
                input,
            );
            assert_eq!(output.changed, object.state != before || !output.effects.is_empty());
            for effect in output.effects {
                match effect {
                    Effect::Queue(row) => object.queue.push(row),
                    Effect::Remember(key, _) => {
                        object.known.insert(key);
                    }
                    Effect::Keep(receipt) => object.receipts.push(receipt),
                    Effect::CancelQueued => object
                        .queue
                        .retain(|row| !matches!(row.fact, selvedge::wire::Fact::Event { .. })),
                    Effect::ForgetAll => {
                        object.known.clear();
                        object.queue.clear();
                        object.receipts.clear();
                    }
                    Effect::Tell(to, input) => waiting.push_back((to, *input)),
                    Effect::Hydrate(person) => self.hydrations.push(person),
                    Effect::EraseCentrally(profile) => self.erasures.push(profile),
                }
            }
            first.get_or_insert(output.reply);
        }
        first.unwrap()
    }

    pub fn choose(&mut self, browser: &Browser, choices: &[(Purpose, bool)]) -> Reply {
        let choices =
            choices.iter().map(|(purpose, yes)| Chosen { purpose: *purpose, yes: *yes }).collect();
        let speaker = self.speaker(browser);
        let input = Input::Choose {
            speaker,
            choices,
            source: "banner".into(),
            evidence: "shop-banner-2026-11".into(),
        };
        self.send(&self.home(browser), input)
    }

    pub fn agree(&mut self, browser: &Browser) -> Reply {
        self.choose(browser, &Purpose::ALL.map(|purpose| (purpose, true)))
    }

    pub fn event(&mut self, name: &str, properties: &[(&str, Value)]) -> Event {
        self.ids += 1;
        Event {
            id: format!("e-{}", self.ids),
            kind: EventKind::Track,
            name: name.into(),
            time: self.now,
            user_id: None,
            properties: properties.iter().map(|(n, v)| ((*n).to_owned(), v.clone())).collect(),
            payload: format!("{{\"event\":\"{name}\"}}"),
        }
    }

    pub fn send_events(&mut self, browser: &Browser, events: Vec<Event>) -> Reply {
        let home = self.home(browser);
        let seen = self.objects.get(&home).map(|object| object.known.clone()).unwrap_or_default();
        let known = events.iter().map(Event::key).filter(|key| seen.contains(key)).collect();
        let speaker = self.speaker(browser);
        self.send(&home, Input::Events { speaker, events, known })
    }

    pub fn track(&mut self, browser: &Browser, name: &str, properties: &[(&str, Value)]) -> Reply {
        let event = self.event(name, properties);
        self.send_events(browser, vec![event])
    }

    /// A login with a fresh token, in the sequence of docs/decisions/0001.
    pub fn login(&mut self, browser: &mut Browser, customer: &str) -> Reply {
        self.tokens += 1;
        let token = format!("jti-{}", self.tokens);
        self.login_with(browser, customer, &token)
    }

    pub fn login_with(&mut self, browser: &mut Browser, customer: &str, jti: &str) -> Reply {
        let person = self.person(customer);
        if browser.person.as_ref().is_some_and(|known| *known != person) {
            self.logout(browser);
        }
        let own = self.key.device(browser.device);
        let handed =
            self.send(&own, Input::HandOver { device: browser.device, to: person.clone() });
        let (history, consent): (Option<History>, Consent) = match handed {
            Reply::HandedOver { history, consent } => (history, consent),
            other => return other,
        };
        let key = EventKey::of(jti);
        let known = self.objects.get(&person).is_some_and(|object| object.known.contains(&key));
        let speaker = Speaker {
            device: Some(browser.device),
            profile: Some(person.clone()),
            signals: browser.signals.clone(),
        };
        let reply = self.send(
            &person,
            Input::Login(Login {
                speaker,
                from: own.clone(),
                history: history.filter(|_| !browser.shared),
                consent,
                evidence: jti.into(),
                evidence_known: known,
                traits: BTreeMap::new(),
            }),
        );
        if matches!(&reply, Reply::LoggedIn { refused: None, .. }) {
            self.send(&own, Input::MoveTo { to: person.clone() });
            browser.person = Some(person);
        }
        reply
    }

    pub fn logout(&mut self, browser: &mut Browser) {
        let Some(person) = browser.person.take() else { return };
        let reply = self.send(&person, Input::Logout { device: browser.device });
        let fresh = self.browser("");
        browser.device = fresh.device;
        browser.shared = true;
        if let Reply::LoggedOut { consent } = reply {
            let speaker = self.speaker(browser);
            self.send(&self.home(browser), Input::Carry { speaker, consent });
        }
    }

    pub fn change(&mut self, person: &ProfileName, body: ChangeBody) -> Reply {
        let change = Change { cursor: 1, person: person.clone(), body };
        self.send(person, Input::Apply { changes: vec![change] })
    }

    pub fn crm(&mut self, person: &ProfileName, name: &str, value: Value) -> Reply {
        let stamp = Stamp { time: self.now, counter: 0, source: Source::Central };
        let update = TraitUpdate { name: name.into(), value: Some(value), stamp };
        self.change(person, ChangeBody::Traits(vec![update]))
    }

    #[expect(clippy::result_large_err, reason = "tests compare the reply as it is")]
    pub fn decide(&mut self, browser: &Browser, placement: &str) -> Result<Decision, Reply> {
        let speaker = self.speaker(browser);
        let reply = self.send(
            &self.home(browser),
            Input::Decide {
                speaker,
                placements: Placements::Named(vec![placement.into()]),
                request: request(),
                trace: false,
            },
        );
        match reply {
            Reply::Decisions(page) => Ok(page.decisions.into_iter().next().unwrap()),
            other => Err(other),
        }
    }

    pub fn offer(&mut self, browser: &Browser, placement: &str) -> String {
        self.decide(browser, placement).ok().and_then(|d| d.offer).unwrap_or_default()
    }

    pub fn profile(&self, name: &ProfileName) -> Option<&Profile> {
        match &self.objects.get(name)?.state.body {
            Body::Live(profile) => Some(profile),
            _ => None,
        }
    }
}

pub fn request() -> Request {
    let fields = [("path", "/"), ("language", "en"), ("country", "DE")];
    Request(fields.map(|(name, value)| (name.to_owned(), value.to_owned())).into())
}
