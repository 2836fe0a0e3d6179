//! The naive decision: every offer of a placement is judged step by step, in the order that
//! `docs/reference/offers.md` gives; the best of those that pass is shown.

use std::collections::{BTreeMap, BTreeSet};

use super::declared::*;
use super::json;
use super::people::{Asked, Person};
use crate::oracle::{E, Unknown, V, World};

/// An answer for one placement.
#[derive(Clone, Debug, Default)]
pub struct Decided {
    pub offer: Option<String>,
    pub variant: Option<&'static str>,
    pub language: &'static str,
    /// Name and text.
    pub content: Vec<(&'static str, String)>,
    pub exposures: BTreeMap<String, &'static str>,
    /// Offers by rank; of each the codes that may be told.
    pub trace: Vec<(String, Vec<&'static str>)>,
}

/// One person before one workspace, with one question.
pub struct Naive<'a> {
    pub declared: &'a Declared,
    pub person: &'a Person,
    pub asked: &'a Asked,
    allowed: BTreeSet<&'static str>,
    facts: BTreeMap<&'static str, V>,
}

/// What became of an offer.
struct Judged {
    codes: Vec<&'static str>,
    variant: Option<&'static str>,
}

impl Judged {
    fn is(&self, codes: &[&str]) -> bool {
        self.codes.iter().all(|code| codes.contains(code))
    }
}

const PASSES: &str = "won";
const HELD_BACK: [&str; 4] = ["out_of_schedule", "cooling_down", "capped", "budget_spent"];

impl<'a> Naive<'a> {
    pub fn new(declared: &'a Declared, person: &'a Person, asked: &'a Asked) -> Self {
        let mut naive =
            Self { declared, person, asked, allowed: BTreeSet::new(), facts: BTreeMap::new() };
        for purpose in PURPOSES {
            let yes = |said: &BTreeMap<&str, bool>| said.get(purpose) == Some(&true);
            let needs: &[&str] = match purpose {
                "store" => &[],
                "personalise" => &["store", "profile"],
                _ => &["store"],
            };
            let depends = needs.iter().all(|other| naive.allowed.contains(other));
            if yes(&person.said) && (!person.is_person || yes(&person.said_here)) && depends {
                naive.allowed.insert(purpose);
            }
        }
        for path in FIELDS {
            let text = asked.fields.get(path).cloned().unwrap_or_default();
            naive.facts.insert(path, V::Text(text));
        }
        if naive.personalises() {
            naive.facts.extend(person.traits.iter().map(|(name, v)| (*name, v.clone())));
            for (name, metric, _) in COMPUTED {
                if let Some(v) = metric.value(&person.events, asked.now) {
                    naive.facts.insert(name, v);
                }
            }
        }
        naive
    }

    fn personalises(&self) -> bool {
        self.allowed.contains("personalise")
    }

    /// What names are hashed, where anybody may be assigned.
    fn unit(&self) -> Option<&str> {
        self.personalises().then_some(&self.person.name)
    }

    fn world(&self) -> World<'_> {
        World {
            facts: &self.facts,
            now: self.asked.now,
            audiences: &self.declared.audiences,
            events: self.personalises().then_some(&self.person.events),
        }
    }

    fn holds(&self, e: &E) -> Result<bool, Unknown> {
        self.world().holds(e)
    }

    /// The audiences that the person is in.
    pub fn audiences(&self) -> Vec<String> {
        let all = self.declared.audiences.iter().enumerate();
        all.filter(|(_, e)| matches!(self.holds(e), Ok(true)))
            .map(|(at, _)| format!("a{at}"))
            .collect()
    }

    /// The placements of the edge or of the page, in turn: what one shows, the next ones know.
    pub fn page(&self, in_page: bool, shown: &mut Vec<String>) -> BTreeMap<&'static str, Decided> {
        let mut all = BTreeMap::new();
        for (name, _) in self.declared.placements.iter().filter(|(_, page)| **page == in_page) {
            let decided = self.decide(name, shown, in_page);
            shown.extend(decided.offer.clone());
            all.insert(*name, decided);
        }
        all
    }

    fn ranked(&self, placement: &str) -> Vec<&'a String> {
        let offers = self.declared.offers.iter();
        let mut ranked: Vec<(&String, &Offer)> =
            offers.filter(|(_, offer)| offer.placements.contains(placement)).collect();
        ranked.sort_by_key(|(_, offer)| -offer.priority);
        ranked.into_iter().map(|(key, _)| key).collect()
    }

    fn decide(&self, placement: &str, shown: &[String], in_page: bool) -> Decided {
        let ranked = self.ranked(placement);
        let judged: BTreeMap<&String, Judged> =
            ranked.iter().map(|key| (*key, self.judge(key, shown))).collect();
        // What stands at each rank, and what would but for an experiment or a holdout.
        let mut best: Option<(usize, &String)> = None;
        let mut missed = Vec::new();
        for (at, key) in ranked.iter().enumerate() {
            let stands = self.stands(key, &judged);
            if let Some(stands) = stands
                && best.is_none_or(|(other, _)| self.precedes(&ranked, at, other))
            {
                best = Some((at, stands));
            }
            missed.extend(self.why_missed(key, &judged[key], shown).map(|why| (at, why)));
        }
        let mut decided = Decided::default();
        for (at, (experiment, variant)) in missed {
            if best.is_none_or(|(winner, _)| self.precedes(&ranked, at, winner)) {
                decided.exposures.insert(experiment, variant);
            }
        }
        let winner = best.map(|(_, key)| key);
        for key in ranked {
            let offer = &self.declared.offers[key];
            let codes = match &judged[key] {
                passed if passed.is(&[PASSES]) => {
                    vec![if winner == Some(key) { PASSES } else { "outranked" }]
                }
                lost if in_page => self.in_page(offer, &lost.codes),
                lost => lost.codes.clone(),
            };
            decided.trace.push((key.clone(), codes));
        }
        if let Some(key) = winner {
            let offer = &self.declared.offers[key];
            let variant = judged[key].variant;
            if let (Some((name, _)), Some(variant)) = (&offer.experiment, variant) {
                decided.exposures.insert((*name).to_owned(), variant);
            }
            for name in self.holdouts(key) {
                if let Some(variant) = self.held(name) {
                    decided.exposures.insert(format!("holdout.{name}"), variant);
                }
            }
            decided.offer = Some(key.clone());
            decided.variant = variant;
            self.say(offer, variant, &mut decided);
        }
        decided
    }

    /// Whether the offer at one place comes before the one at another.
    fn precedes(&self, ranked: &[&String], at: usize, other: usize) -> bool {
        let rank = |at: usize| {
            let offer = &self.declared.offers[ranked[at]];
            (offer.priority, self.score(offer))
        };
        let ((a, score), (b, other_score)) = (rank(at), rank(other));
        a > b || (a == b && (score > other_score || (score == other_score && at < other)))
    }

    fn score(&self, offer: &Offer) -> f64 {
        let Some(formula) = &offer.rank else { return 0.0 };
        match self.world().eval(formula, &mut Vec::new()) {
            Ok(V::Double(v)) if v.is_finite() => v,
            Ok(V::Int(v)) => v as f64,
            _ => 0.0,
        }
    }

    /// The offer itself, or its fallback while it is held back.
    fn stands<'k>(
        &self,
        key: &'k String,
        judged: &BTreeMap<&'k String, Judged>,
    ) -> Option<&'k String> {
        if judged[key].is(&[PASSES]) {
            return Some(key);
        }
        if !judged[key].is(&HELD_BACK) {
            return None;
        }
        let fallback = self.declared.offers[key].fallback.as_ref()?;
        let (fallback, _) = judged.get_key_value(fallback)?;
        self.stands(fallback, judged)
    }

    /// The experiment or the holdout that alone keeps an offer away.
    fn why_missed(
        &self,
        key: &str,
        judged: &Judged,
        shown: &[String],
    ) -> Option<(String, &'static str)> {
        let offer = &self.declared.offers[key];
        if judged.is(&["control_variant"]) {
            let (name, _) = offer.experiment.as_ref()?;
            return Some(((*name).to_owned(), judged.variant?));
        }
        if !judged.is(&["held_out"]) {
            return None;
        }
        let holds = |name: &&&str| self.held(name) == Some("held_out");
        let holdouts = self.holdouts(key);
        let [only] = holdouts.iter().filter(holds).copied().collect::<Vec<_>>()[..] else {
            return None;
        };
        let rest = self.judge_rest(key, shown);
        rest.is(&[PASSES]).then(|| (format!("holdout.{only}"), "held_out"))
    }

    /// A page is not told why a condition that it cannot read does not hold.
    fn in_page(&self, offer: &Offer, codes: &[&'static str]) -> Vec<&'static str> {
        let hidden = ["not_eligible", "missing_trait", "condition_failed", "not_rolled_out"];
        let private = [&offer.when, &offer.rank].into_iter().flatten().any(|e| {
            let mut read = BTreeSet::new();
            reads(e, self.declared, &mut read);
            read.iter().any(|name| !name.contains('.') && !self.declared.public.contains(name))
        });
        if !codes.iter().all(|code| hidden.contains(code)) {
            return codes.to_vec();
        }
        match (offer.rollout.is_some(), private) {
            (true, _) => vec!["not_eligible"],
            (false, true) => codes.iter().copied().chain(["not_eligible"]).collect(),
            (false, false) => codes.to_vec(),
        }
    }

    fn judge(&self, key: &str, shown: &[String]) -> Judged {
        let offer = &self.declared.offers[key];
        let lost = |codes| Judged { codes, variant: None };
        if offer.purpose.is_some_and(|purpose| !self.allowed.contains(purpose)) {
            return lost(vec!["no_consent"]);
        }
        let assurance = match (self.person.is_person, self.asked.now < self.person.proved_until) {
            (false, _) => 0,
            (true, false) => 1,
            (true, true) => 2,
        };
        if assurance < offer.assurance {
            return lost(vec!["assurance_too_low"]);
        }
        if self.holdouts(key).iter().any(|name| self.held(name) == Some("held_out")) {
            return lost(vec!["held_out"]);
        }
        self.judge_rest(key, shown)
    }

    /// From its condition on.
    fn judge_rest(&self, key: &str, shown: &[String]) -> Judged {
        let offer = &self.declared.offers[key];
        let lost = |codes| Judged { codes, variant: None };
        match offer.when.as_ref().map_or(Ok(true), |e| self.holds(e)) {
            Ok(true) => {}
            Ok(false) => return lost(vec!["not_eligible"]),
            Err(Unknown { missing, wrong }) => {
                let codes = [(missing, "missing_trait"), (wrong, "condition_failed")];
                let codes = codes.into_iter().filter(|(may, _)| *may).map(|(_, code)| code);
                return lost(codes.collect());
            }
        }
        if let Some((coverage, seed)) = offer.rollout {
            let reached =
                self.unit().is_some_and(|unit| hash2(seed.unwrap_or(key), unit) <= coverage);
            if !reached {
                return lost(vec!["not_rolled_out"]);
            }
        }
        if offer.schedule.as_ref().is_some_and(|schedule| !is_open(schedule, self.asked.now)) {
            return lost(vec!["out_of_schedule"]);
        }
        if self.cools_down(key, offer) {
            return lost(vec!["cooling_down"]);
        }
        if offer.caps.iter().any(|cap| self.is_reached(key, cap)) {
            return lost(vec!["capped"]);
        }
        if self.asked.spent.contains(key) {
            return lost(vec!["budget_spent"]);
        }
        if !offer.repeats && shown.iter().any(|other| other == key) {
            return lost(vec!["on_page_already"]);
        }
        let excludes = |other: &String| {
            let known = self.declared.offers.get(other);
            other != key && known.is_some_and(|known| known.exclusion == offer.exclusion)
        };
        if offer.exclusion.is_some() && shown.iter().any(excludes) {
            return lost(vec!["excluded"]);
        }
        let part = offer.experiment.as_ref();
        let variant = part.and_then(|(name, _)| self.variant(name));
        let arm = part.and_then(|(_, arms)| arms.get(variant?));
        let code = if matches!(arm, Some(Arm::Nothing)) { "control_variant" } else { PASSES };
        Judged { codes: vec![code], variant }
    }

    fn met(&self, key: &str, how: usize) -> impl Iterator<Item = &super::people::Met> {
        self.person.contacts.iter().filter(move |met| met.offer == key && met.how == how)
    }

    fn cools_down(&self, key: &str, offer: &Offer) -> bool {
        offer.cool_down_hours.is_some_and(|hours| {
            self.met(key, 2).any(|met| self.asked.now - met.time < hours * HOUR)
        })
    }

    fn is_reached(&self, key: &str, cap: &Cap) -> bool {
        let now = self.asked.now;
        // Half an hour without an event ends a session; without one nothing before now counts.
        let session = self.person.session.filter(|(_, last)| now - last <= HOUR / 2);
        let since = match cap.window {
            "session" => session.map_or(now, |(start, _)| start),
            "day" => now - DAY,
            "week" => now - 7 * DAY,
            _ => i64::MIN,
        };
        let counts = |met: &&super::people::Met| met.time >= since && (met.here || !cap.per_device);
        self.met(key, cap.on).filter(counts).count() >= cap.max
    }

    /// The holdouts that an offer is under. What needs no consent is under none.
    fn holdouts(&self, key: &str) -> Vec<&'static str> {
        if self.declared.offers[key].purpose.is_none() {
            return Vec::new();
        }
        let covers = |holdout: &Holdout| {
            holdout.offers.as_ref().is_none_or(|offers| offers.iter().any(|offer| offer == key))
        };
        let all = self.declared.holdouts.iter();
        all.filter(|(_, holdout)| covers(holdout)).map(|(name, _)| *name).collect()
    }

    fn held(&self, name: &str) -> Option<&'static str> {
        let full = format!("holdout.{name}");
        if let Some(forced) = self.asked.forced.get(full.as_str()) {
            return Some(forced);
        }
        let at = hash2(&full, self.unit()?);
        let known = self.person.assigned.get(full.as_str()).copied();
        let drawn = if at < self.declared.holdouts[name].share { "held_out" } else { "shown" };
        known.filter(|known| ["held_out", "shown"].contains(known)).or(Some(drawn))
    }

    /// The variant that the person sees of an experiment.
    fn variant(&self, name: &str) -> Option<&'static str> {
        let (_, experiment) = self.declared.experiments.get_key_value(name)?;
        let known = |variant: &&&'static str| experiment.variants.contains(variant);
        if let Some(forced) = self.asked.forced.get(name).filter(known) {
            return Some(forced);
        }
        let unit = self.unit()?;
        if let Some(seen) = self.person.assigned.get(name).filter(known) {
            return Some(seen);
        }
        if let Some((other, wanted)) = experiment.prerequisite
            && self.variant(other) != Some(wanted)
        {
            return None;
        }
        if experiment.when.as_ref().is_some_and(|e| !matches!(self.holds(e), Ok(true))) {
            return None;
        }
        if let Some((space, from, until)) = experiment.namespace {
            let at = f64::from(fnv(&format!("{unit}__{space}")) % 1_000) / 1_000.0;
            if at < from || at >= until {
                return None;
            }
        }
        let count = experiment.variants.len();
        let equal = vec![1.0 / count as f64; count];
        let weights = experiment.weights.as_ref().unwrap_or(&equal);
        let at = hash2(experiment.seed.unwrap_or(name), unit);
        let mut start = 0.0;
        for (variant, weight) in experiment.variants.iter().zip(weights) {
            if at >= start && at < start + experiment.coverage.unwrap_or(1.0) * weight {
                return Some(variant);
            }
            start += weight;
        }
        None
    }

    /// The content for the variant and the language.
    fn say(&self, offer: &Offer, variant: Option<&str>, decided: &mut Decided) {
        let own = offer.experiment.as_ref().and_then(|(_, arms)| arms.get(variant?));
        let content = match own {
            Some(Arm::Content(content)) => content,
            _ => &offer.content,
        };
        let wanted = self.asked.fields.get("request.language").cloned().unwrap_or_default();
        let mut tag = wanted.to_lowercase();
        let mut found = None;
        while found.is_none() && !tag.is_empty() {
            found = content.0.iter().find(|(language, _)| *language == tag);
            tag = tag.rsplit_once('-').map(|(head, _)| head.to_owned()).unwrap_or_default();
        }
        let (language, pieces) = found.unwrap_or(&content.0[0]);
        let text = pieces.iter().map(|piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Value(name, default) => {
                let shown = self.facts.get(name).map(shown).unwrap_or_default();
                if shown.is_empty() { (*default).to_owned() } else { shown }
            }
        });
        decided.language = language;
        decided.content = vec![("headline", text.collect()), ("href", format!("/{language}/"))];
    }
}

/// A value as people read it: amounts with two decimals, or none.
fn shown(v: &V) -> String {
    match v {
        V::Text(v) => v.clone(),
        V::Int(v) => v.to_string(),
        V::Double(v) if v.is_finite() && v.abs() < 1e15 => {
            let text = format!("{v:.2}");
            let whole = text.strip_suffix(".00").unwrap_or(&text).to_owned();
            if whole == "-0" { "0".to_owned() } else { whole }
        }
        _ => String::new(),
    }
}

fn is_open(schedule: &Schedule, now: i64) -> bool {
    if schedule.from.is_some_and(|from| now < from) || schedule.until.is_some_and(|end| now >= end)
    {
        return false;
    }
    let time = jiff::Timestamp::from_millisecond(now).expect("in range");
    let local = time.to_zoned(json::zone(schedule));
    let day = i64::from(local.weekday().to_monday_zero_offset());
    let minute = i64::from(local.hour()) * 60 + i64::from(local.minute());
    let open = |(days, from, until): &(BTreeSet<i64>, i64, i64)| {
        if from < until {
            days.contains(&day) && (*from..*until).contains(&minute)
        } else {
            // Over midnight.
            (days.contains(&day) && minute >= *from)
                || (days.contains(&((day + 6) % 7)) && minute < *until)
        }
    };
    schedule.weekly.is_empty() || schedule.weekly.iter().any(open)
}

/// Everything that an expression reads, with what the audiences read that it asks for. Events have
/// no name that anybody could make public.
pub fn reads(e: &E, declared: &Declared, read: &mut BTreeSet<&'static str>) {
    match e {
        E::Slot(name) | E::Default(name, _) | E::Has(name) => {
            read.insert(name);
        }
        E::History(_) => {
            read.insert("an event");
        }
        E::Audience(which) => reads(&declared.audiences[*which], declared, read),
        E::Literal(_) | E::Now | E::Variable(_) => {}
        E::Semver(a) | E::Not(a) | E::Matches(a, _) | E::Size(a) | E::ToDouble(a) => {
            reads(a, declared, read);
        }
        E::Binary(_, a, b) | E::Method(_, a, b) | E::Loop(_, a, _, b) | E::Sets(_, a, b) => {
            reads(a, declared, read);
            reads(b, declared, read);
        }
        E::And(all) | E::Or(all) | E::List(all) => {
            all.iter().for_each(|e| reads(e, declared, read));
        }
        E::If(a, b, c) => [a, b, c].into_iter().for_each(|e| reads(e, declared, read)),
    }
}

/// FNV-1a with 32 bits, over UTF-8.
fn fnv(text: &str) -> u32 {
    let mut hash: u32 = 2_166_136_261;
    for byte in text.bytes() {
        hash ^= u32::from(byte);
        hash = hash.wrapping_mul(16_777_619);
    }
    hash
}

/// GrowthBook's hash, version 2, as its documentation gives it.
fn hash2(seed: &str, value: &str) -> f64 {
    f64::from(fnv(&fnv(&format!("{seed}{value}")).to_string()) % 10_000) / 10_000.0
}
