//! Brings a visitor to the moment of the decision by the engine's own inputs, in their order:
//! login, what the central store says, events, choices. It must never write a profile by hand, so
//! that consent and bounds hold here as they do at the edge.

use std::collections::{BTreeMap, BTreeSet};

use selvedge::consent::{Basis, Consent, Purpose, Signals};
use selvedge::decide::Decision;
use selvedge::engine::{self, Effect, Input, Login, Placements, Reply, Speaker, State};
use selvedge::event::{Event, EventKind};
use selvedge::ids::{DeviceId, Entropy, ProfileName};
use selvedge::limits;
use selvedge::offer::Assurance;
use selvedge::profile::{Source, Stamp};
use selvedge::time::Timestamp;
use selvedge::wire::{Change, ChangeBody, Chosen, TraitUpdate};
use selvedge::workspace::{Where, Workspace};

use crate::problem::{Outcome, Problem};
use crate::profile::{Said, Visitor};

const DEVICE: DeviceId = DeviceId([1; 16]);
const SECOND_MS: i64 = 1_000;

/// A visitor at the moment of the decision.
pub struct Stage<'w> {
    workspace: &'w Workspace,
    state: State,
    speaker: Speaker,
    now: Timestamp,
    /// What of the file did not arrive, and why.
    pub notes: Vec<String>,
}

impl<'w> Stage<'w> {
    /// Plays the visitor's story up to now.
    pub fn set(workspace: &'w Workspace, visitor: &Visitor) -> Outcome<Self> {
        let signals =
            Signals { region: visitor.region.clone(), gpc: visitor.gpc, ..Signals::default() };
        let device = ProfileName::device(&DEVICE.0);
        let speaker = Speaker { device: Some(DEVICE), profile: Some(device), signals };
        let state = State::default();
        let mut stage = Self { workspace, state, speaker, now: visitor.now, notes: Vec::new() };
        // Long enough ago that a login of then no longer proves who is there now.
        let settled = visitor.now.plus_ms(-limits::AUTHENTICATED_MS - 60 * SECOND_MS);
        let first = visitor.events.first().map(|event| event.time.plus_ms(-SECOND_MS));
        let start = first.map_or(settled, |first| first.min(settled));
        let linked = visitor.assurance > Assurance::Anonymous && stage.log_in(visitor, start)?;
        if linked {
            stage.hear_of(visitor, start)?;
        } else {
            stage.choose(visitor, start, &[Said::Grant, Said::Withdrawn], true)?;
            stage.choose(visitor, start, &[Said::Deny], false)?;
            stage.claim(visitor, start)?;
        }
        let mut dropped = BTreeMap::new();
        for event in &visitor.events {
            stage.event(event.clone(), event.time, &mut dropped)?;
        }
        for (code, count) in dropped {
            stage.notes.push(format!("{count} of the events were not taken: {code}"));
        }
        if linked && visitor.assurance == Assurance::Authenticated {
            stage.login(Consent::default(), visitor.now, "second")?;
        }
        stage.choose(visitor, visitor.now, &[Said::Withdrawn], false)?;
        stage.note_undeclared(visitor);
        Ok(stage)
    }

    /// Decides all placements of the edge and of the page, or those that are named.
    pub fn decide(&mut self, visitor: &Visitor, named: &[String]) -> Outcome<Vec<Reply>> {
        self.ask(named, |speaker, placements| Input::Decide {
            speaker,
            placements,
            request: visitor.request.clone(),
            trace: false,
        })
    }

    /// The decisions alone, in the order of [`Stage::decide`], where asked for with their traces.
    pub fn decisions(
        &mut self,
        visitor: &Visitor,
        named: &[String],
        trace: bool,
    ) -> Outcome<Vec<Decision>> {
        let replies = self.ask(named, |speaker, placements| Input::Decide {
            speaker,
            placements,
            request: visitor.request.clone(),
            trace,
        })?;
        let mut decisions = Vec::new();
        for reply in replies {
            let Reply::Decisions(page) = reply else {
                return Err(Problem::new("no_answer", "the engine gave no decision"));
            };
            decisions.extend(page.decisions);
        }
        Ok(decisions)
    }

    /// The same with everything that is known, and why every offer won or lost.
    pub fn explain(&mut self, visitor: &Visitor, named: &[String]) -> Outcome<Vec<Reply>> {
        self.ask(named, |speaker, placements| Input::Explain {
            speaker,
            placements,
            request: visitor.request.clone(),
        })
    }

    fn ask(
        &mut self,
        named: &[String],
        input: impl Fn(Speaker, Placements) -> Input,
    ) -> Outcome<Vec<Reply>> {
        let asked = match named {
            [] => vec![Placements::Every(Where::Edge), Placements::Every(Where::Page)],
            names => vec![Placements::Named(names.to_vec())],
        };
        let (speaker, now) = (self.speaker.clone(), self.now);
        asked.into_iter().map(|one| self.tell(now, input(speaker.clone(), one))).collect()
    }

    /// One input. The central store takes every queued fact at once.
    fn tell(&mut self, at: Timestamp, input: Input) -> Outcome<Reply> {
        let entropy = || Entropy::new([0; 32]);
        let output = engine::handle(&mut self.state, self.workspace, at, entropy(), input);
        let seqs: Vec<(u64, u32)> = output
            .effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Queue(row) => Some((row.seq, row.size_bytes())),
                _ => None,
            })
            .collect();
        if !seqs.is_empty() {
            let stored = Input::Stored { seqs };
            engine::handle(&mut self.state, self.workspace, at, entropy(), stored);
        }
        match output.reply {
            Reply::Refused(error) => Err(Problem::from(error)),
            reply => Ok(reply),
        }
    }

    /// Links the device to a person, where consent lets it.
    fn log_in(&mut self, visitor: &Visitor, at: Timestamp) -> Outcome<bool> {
        let mut consent = Consent::default();
        for (purpose, said) in &visitor.consent {
            let yes = *said != Said::Deny;
            consent.take(&consent.next_record(*purpose, yes, Basis::Consent, at));
        }
        let reply = self.login(consent, at, "first")?;
        if let Reply::LoggedIn { refused: Some(code), .. } = reply {
            self.notes.push(format!(
                "the login was refused ({code}), so the visitor stays anonymous and nothing of \
                 the person reaches the edge"
            ));
            return Ok(false);
        }
        Ok(true)
    }

    fn login(&mut self, consent: Consent, at: Timestamp, evidence: &str) -> Outcome<Reply> {
        let device = ProfileName::device(&DEVICE.0);
        let person = ProfileName::person(&DEVICE.0);
        let speaker = Speaker { profile: Some(person), ..self.speaker.clone() };
        let reply = self.tell(
            at,
            Input::Login(Login {
                speaker: speaker.clone(),
                from: device,
                history: None,
                consent,
                evidence: evidence.to_owned(),
                evidence_known: false,
                traits: BTreeMap::new(),
            }),
        )?;
        if matches!(reply, Reply::LoggedIn { refused: None, .. }) {
            self.speaker = speaker;
        }
        Ok(reply)
    }

    /// A person's traits come from the central store.
    fn hear_of(&mut self, visitor: &Visitor, at: Timestamp) -> Outcome<()> {
        let Some(person) = self.speaker.profile.clone() else { return Ok(()) };
        let stamp = Stamp { time: at, counter: 0, source: Source::Central };
        let traits = visitor.traits.iter().map(|(name, value)| TraitUpdate {
            name: name.clone(),
            value: Some(value.clone()),
            stamp,
        });
        let body = ChangeBody::Traits(traits.collect());
        self.tell(at, Input::Apply { changes: vec![Change { cursor: 1, person, body }] })?;
        Ok(())
    }

    /// An unlinked device's traits are what the page claims.
    fn claim(&mut self, visitor: &Visitor, at: Timestamp) -> Outcome<()> {
        if visitor.traits.is_empty() {
            return Ok(());
        }
        let event = Event {
            id: "claim".to_owned(),
            kind: EventKind::Identify,
            name: String::new(),
            time: at,
            user_id: None,
            properties: visitor.traits.clone(),
            payload: String::new(),
        };
        let mut dropped = BTreeMap::new();
        self.event(event, at, &mut dropped)?;
        if let Some((code, _)) = dropped.first_key_value() {
            self.notes.push(format!("the traits were not taken: {code}"));
        }
        Ok(())
    }

    fn event(
        &mut self,
        event: Event,
        at: Timestamp,
        dropped: &mut BTreeMap<String, u32>,
    ) -> Outcome<()> {
        let speaker = self.speaker.clone();
        let events = vec![event];
        let reply = self.tell(at, Input::Events { speaker, events, known: BTreeSet::new() })?;
        if let Reply::Events { dropped: more, .. } = reply {
            for (code, count) in more {
                let sum = dropped.entry(code).or_default();
                *sum = sum.saturating_add(count);
            }
        }
        Ok(())
    }

    /// Chooses for the purposes of which one of `words` was said.
    fn choose(
        &mut self,
        visitor: &Visitor,
        at: Timestamp,
        words: &[Said],
        yes: bool,
    ) -> Outcome<()> {
        let said = visitor.consent.iter().filter(|(_, said)| words.contains(said));
        let choices: Vec<Chosen> =
            said.map(|(purpose, _): (&Purpose, _)| Chosen { purpose: *purpose, yes }).collect();
        if choices.is_empty() {
            return Ok(());
        }
        let input = Input::Choose {
            speaker: self.speaker.clone(),
            choices,
            source: "banner".to_owned(),
            evidence: self.workspace.consent.banner.clone(),
        };
        self.tell(at, input)?;
        Ok(())
    }

    fn note_undeclared(&mut self, visitor: &Visitor) {
        for name in visitor.traits.keys() {
            if self.workspace.trait_decl(name).is_none() {
                let known = self.workspace.traits.iter().map(|decl| decl.name.as_str());
                let meant = selvedge::compile::closest(name, known)
                    .map(|meant| format!(", did you mean `{meant}`?"))
                    .unwrap_or_default();
                self.notes.push(format!("the workspace declares no trait `{name}`{meant}"));
            }
        }
    }
}
