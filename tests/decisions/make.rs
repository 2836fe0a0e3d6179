//! Makes up workspaces, people and questions: few names and small numbers, so that things meet. It
//! must never know what is decided.

use std::collections::{BTreeMap, BTreeSet};

use super::declared::*;
use super::json;
use super::people::{Asked, Met, Person};
use crate::oracle::generate::{self, Dice, Kind, NOW};
use crate::oracle::{E, Happened, V};
use selvedge::workspace::Workspace;

const PLACEMENTS: [&str; 4] = ["aside", "hero", "pop", "tip"];
const EXPERIMENTS: [&str; 4] = ["colour", "copy", "order", "price"];
const VARIANTS: [&str; 4] = ["off", "on", "plain", "warm"];

fn maybe<T>(dice: &mut Dice, chance: usize, make: impl FnOnce(&mut Dice) -> T) -> Option<T> {
    dice.percent(chance).then(|| make(dice))
}

fn some<T: Copy + Ord>(dice: &mut Dice, of: &[T], at_most: usize) -> BTreeSet<T> {
    (0..1 + dice.roll(at_most)).map(|_| dice.pick(of)).collect()
}

/// A workspace, with its compiled form. What the compiler refuses for good reasons is left out of
/// it; `refused` counts how often.
pub fn workspace(dice: &mut Dice, refused: &mut usize) -> (Declared, Workspace) {
    let mut declared = made_up(dice);
    for _ in 0..20 {
        match selvedge::compile::workspace(&json::workspace(&declared)) {
            Ok(workspace) => return (declared, workspace),
            Err(mistakes) => {
                for mistake in mistakes {
                    let fine = ["always_fails", "never_starts"].contains(&&*mistake.code);
                    assert!(fine, "{mistake:?}");
                    *refused += 1;
                    declared.leave_out(&mistake.path);
                }
            }
        }
    }
    panic!("this workspace does not come clean: {}", json::workspace(&declared));
}

impl Declared {
    /// Takes what stands at a path out again.
    fn leave_out(&mut self, path: &str) {
        let parts: Vec<&str> = path.split('.').collect();
        match parts[..] {
            ["audiences", name, ..] => {
                let at: usize = name[1..].parse().expect("a number");
                self.audiences[at] = E::Literal(V::Bool(true));
            }
            ["experiments", name, "when"] => {
                self.experiments.get_mut(name).expect("declared").when = None;
            }
            ["offers", key, field, ..] => {
                let offer = self.offers.get_mut(key).expect("declared");
                match field {
                    "when" => offer.when = None,
                    "rank" => offer.rank = None,
                    "schedule" => offer.schedule = None,
                    _ => panic!("{path}"),
                }
            }
            _ => panic!("{path}"),
        }
    }
}

fn made_up(dice: &mut Dice) -> Declared {
    let mut declared = Declared::default();
    for (name, _) in TRAITS.iter().map(|(name, kind)| (*name, *kind)) {
        if dice.percent(50) {
            declared.public.insert(name);
        }
    }
    for (name, _, _) in COMPUTED {
        if dice.percent(50) {
            declared.public.insert(name);
        }
    }
    for at in 0..dice.roll(4) {
        declared.audiences.push(generate::rule(dice, at, 1));
    }
    for name in PLACEMENTS {
        declared.placements.insert(name, dice.percent(50));
    }
    for (at, name) in EXPERIMENTS.into_iter().enumerate().take(dice.roll(5)) {
        let made = experiment(dice, &EXPERIMENTS[..at], &declared);
        declared.experiments.insert(name, made);
    }
    let count = if dice.percent(3) { 70 } else { 1 + dice.roll(14) };
    for at in 0..count {
        let made = offer(dice, &declared);
        declared.offers.insert(format!("o{at:02}"), made);
    }
    for name in ["all", "few"].into_iter().take(dice.roll(4).saturating_sub(1)) {
        let share = dice.pick(&[0.05, 0.1, 0.3]);
        let keys: Vec<String> = declared.offers.keys().cloned().collect();
        let offers = maybe(dice, 70, |dice| {
            let kept: Vec<String> = keys.iter().filter(|_| dice.percent(40)).cloned().collect();
            if kept.is_empty() { keys.clone() } else { kept }
        });
        declared.holdouts.insert(name, Holdout { share, offers });
    }
    fallbacks(dice, &mut declared);
    declared
}

/// Each leads to a later offer, so that none goes in a circle; it stands wherever the first does.
fn fallbacks(dice: &mut Dice, declared: &mut Declared) {
    let keys: Vec<String> = declared.offers.keys().cloned().collect();
    for (at, key) in keys.iter().enumerate() {
        let later = &keys[at + 1..];
        if later.is_empty() || !dice.percent(25) {
            continue;
        }
        let other = &later[dice.roll(later.len().min(3))];
        let offer = declared.offers[key].clone();
        let fallback = declared.offers.get_mut(other).expect("an offer");
        if offer.purpose.is_none() && fallback.purpose.is_some() {
            continue;
        }
        if dice.percent(50) {
            fallback.placements.extend(&offer.placements);
        }
        if offer.placements.is_subset(&fallback.placements) {
            declared.offers.get_mut(key).expect("an offer").fallback = Some(other.clone());
        }
    }
    // A placement that was added later must have the fallback of the fallback too.
    for key in keys {
        let offer = &declared.offers[&key];
        let fits = offer
            .fallback
            .as_ref()
            .is_none_or(|other| offer.placements.is_subset(&declared.offers[other].placements));
        if !fits {
            declared.offers.get_mut(&key).expect("an offer").fallback = None;
        }
    }
}

fn experiment(dice: &mut Dice, before: &[&'static str], declared: &Declared) -> Experiment {
    let count = 2 + dice.roll(3);
    let variants = VARIANTS[..count].to_vec();
    let weights = maybe(dice, 50, |dice| {
        let first = dice.pick(&[0.0, 0.1, 0.5]);
        let mut weights = vec![first];
        weights.resize(count, (1.0 - first) / (count - 1) as f64);
        weights
    });
    let prerequisite = (!before.is_empty() && dice.percent(40)).then(|| {
        let other = dice.pick(before);
        (other, dice.pick(&declared.experiments[other].variants))
    });
    Experiment {
        variants,
        weights,
        coverage: maybe(dice, 40, |dice| dice.pick(&[0.0, 0.3, 0.9])),
        seed: maybe(dice, 30, |dice| dice.pick(&["s1", "s2"])),
        when: maybe(dice, 30, |dice| generate::rule(dice, declared.audiences.len(), 1)),
        namespace: maybe(dice, 30, |dice| {
            let from = dice.pick(&[0.0, 0.2, 0.5]);
            (dice.pick(&["n", "m"]), from, from + 0.4)
        }),
        prerequisite,
    }
}

fn offer(dice: &mut Dice, declared: &Declared) -> Offer {
    let purpose = match dice.roll(10) {
        0 => None,
        1 => Some("measure"),
        2 => Some(dice.pick(&["profile", "share"])),
        _ => Some("personalise"),
    };
    let personal = purpose.is_some();
    let mut offer = Offer {
        placements: some(dice, &PLACEMENTS, 3),
        when: maybe(dice, 85, |dice| match personal {
            true => {
                let conjuncts = if dice.percent(30) { 5 } else { 1 };
                generate::rule(dice, declared.audiences.len(), conjuncts)
            }
            false => of_the_request(dice),
        }),
        purpose,
        assurance: 0,
        priority: dice.roll(4) as i64 - 1,
        rollout: None,
        rank: None,
        exclusion: maybe(dice, 25, |dice| dice.pick(&["g", "h"])),
        repeats: dice.percent(25),
        experiment: None,
        caps: Vec::new(),
        cool_down_hours: None,
        has_budget: dice.percent(15),
        fallback: None,
        schedule: maybe(dice, 25, schedule),
        content: content(dice, declared, personal),
    };
    if personal {
        offer.assurance = if dice.percent(25) { 1 + dice.roll(2) } else { 0 };
        offer.rollout = maybe(dice, 15, |dice| {
            (dice.pick(&[0.1, 0.5, 0.95]), maybe(dice, 50, |dice| dice.pick(&["s1", "s2"])))
        });
        offer.rank = maybe(dice, 25, generate::formula);
        offer.caps = (0..dice.roll(4).saturating_sub(1)).map(|_| cap(dice)).collect();
        offer.cool_down_hours = maybe(dice, 25, |dice| dice.pick(&[1, 24, 240]));
        let known: Vec<&'static str> = declared.experiments.keys().copied().collect();
        if !known.is_empty() && dice.percent(40) {
            let name = dice.pick(&known);
            let mut arms = BTreeMap::new();
            for variant in &declared.experiments[name].variants {
                match dice.roll(3) {
                    0 => arms.insert(*variant, Arm::Nothing),
                    1 => arms.insert(*variant, Arm::Content(content(dice, declared, true))),
                    _ => None,
                };
            }
            offer.experiment = Some((name, arms));
        }
    }
    offer
}

/// What an offer without purpose may ask for.
fn of_the_request(dice: &mut Dice) -> E {
    let name = dice.pick(&["request.country", "request.path"]);
    let literal = E::Literal(V::Text(dice.pick(&["DE", "a", "gold", ""]).to_owned()));
    let op = dice.pick(&["==", "!=", "<", ">="]);
    E::Binary(op, Box::new(E::Slot(name)), Box::new(literal))
}

fn cap(dice: &mut Dice) -> Cap {
    Cap {
        per_device: dice.percent(50),
        window: dice.pick(&["session", "day", "week", "ever"]),
        on: dice.roll(3),
        max: 1 + dice.roll(3),
    }
}

fn schedule(dice: &mut Dice) -> Schedule {
    let zones = ["Europe/Berlin", "America/New_York", "Asia/Kolkata", "UTC"];
    let from = maybe(dice, 40, |dice| NOW + HOUR * (dice.roll(97) as i64 - 60));
    let windows = if dice.percent(50) { 0 } else { 1 + dice.roll(2) };
    Schedule {
        from,
        until: maybe(dice, 40, |dice| {
            from.unwrap_or(NOW - 40 * HOUR) + HOUR * (1 + dice.roll(90) as i64)
        }),
        zone: maybe(dice, 70, |dice| dice.pick(&zones)),
        weekly: (0..windows)
            .map(|_| {
                let from = 30 * dice.roll(48) as i64;
                let until = 30 * (1 + dice.roll(48)) as i64;
                let until = if until == from { from + 30 } else { until };
                (some(dice, &[0, 1, 2, 3, 4, 5, 6], 5), from, until)
            })
            .collect(),
    }
}

fn content(dice: &mut Dice, declared: &Declared, personal: bool) -> Content {
    let shown: Vec<&'static str> = WORDS
        .slots
        .iter()
        .filter(|(name, kind)| {
            let printable = matches!(kind, Kind::Int | Kind::Double | Kind::Text | Kind::Version);
            printable && declared.public.contains(name)
        })
        .map(|(name, _)| *name)
        .collect();
    let pieces = |dice: &mut Dice, language: &str| {
        let mut pieces = vec![Piece::Text(format!("{language} {} ", dice.roll(100)))];
        if personal && !shown.is_empty() && dice.percent(60) {
            pieces.push(Piece::Value(dice.pick(&shown), dice.pick(&["", "you"])));
            pieces.push(Piece::Text("!".to_owned()));
        }
        pieces
    };
    let mut all = vec![("en", pieces(dice, "en"))];
    if dice.percent(50) {
        all.push(("de", pieces(dice, "de")));
    }
    Content(all)
}

/// Somebody who may have met what is declared.
pub fn person(dice: &mut Dice, declared: &Declared, number: u64) -> Person {
    let mut person = Person::named(number, dice.percent(50));
    for (name, kind) in TRAITS {
        match dice.roll(20) {
            0..14 => {
                person.traits.insert(name, generate::fact(dice, kind));
            }
            14 => {
                person.garbled.insert(name);
            }
            _ => {}
        }
    }
    person.events = events(dice);
    for key in declared.offers.keys() {
        for _ in 0..dice.roll(6).saturating_sub(2) {
            let ago = dice.pick(&[0, 1, HOUR / 4, HOUR, DAY, DAY - 1, 3 * DAY, 7 * DAY, 40 * DAY]);
            person.contacts.push(Met {
                offer: key.clone(),
                how: dice.roll(3),
                time: NOW - ago,
                here: dice.percent(60),
            });
        }
    }
    person.session = maybe(dice, 70, |dice| {
        let last = NOW - dice.pick(&[0, HOUR / 4, HOUR / 2, HOUR]);
        (last - dice.pick(&[0, HOUR / 2, 3 * HOUR]), last)
    });
    for purpose in PURPOSES {
        for said in [&mut person.said, &mut person.said_here] {
            match dice.roll(50) {
                0 => said.insert(purpose, false),
                1 => None,
                _ => said.insert(purpose, true),
            };
        }
    }
    person.proved_until = NOW + HOUR * (dice.roll(5) as i64 - 2);
    for name in declared.experiments.keys() {
        if dice.percent(20) {
            person.assigned.insert(name, dice.pick(&["off", "on", "warm", "gone"]));
        }
    }
    person
}

fn events(dice: &mut Dice) -> Vec<Happened> {
    let mut times = BTreeSet::new();
    for _ in 0..dice.roll(12) {
        let ago = if dice.percent(50) { dice.roll(3 * 24) } else { dice.roll(40 * 24) };
        times.insert(NOW - HOUR * (ago as i64 - 2));
    }
    let mut all = Vec::new();
    for time in times {
        let mut properties = BTreeMap::new();
        properties.insert("total", V::Double(dice.roll(40) as f64 / 4.0 - 1.0));
        properties.insert("category", V::Text(dice.pick(&["gold", "a", "ab"]).to_owned()));
        let event = dice.pick(&["Bought", "Bought", "Visited"]);
        all.push(Happened { event, time, properties });
    }
    all
}

/// A question.
pub fn asked(dice: &mut Dice, declared: &Declared) -> Asked {
    let day = dice.pick(&[0, 0, 0, 0, 1, -3, 7, 120, 200]);
    let within = [0, 1, HOUR / 4, HOUR, -HOUR, 5 * HOUR, 11 * HOUR, -9 * HOUR];
    let mut asked = Asked { now: NOW + day * DAY + dice.pick(&within), ..Asked::default() };
    let texts: [(&'static str, &[&str]); 3] = [
        ("request.country", &["DE", "AT", "a", "gold"]),
        ("request.language", &["", "en", "de", "de-AT", "EN-gb", "den", "fr"]),
        ("request.path", &["/", "a", "x y", "/sale/gold"]),
    ];
    for (path, values) in texts {
        if dice.percent(85) {
            asked.fields.insert(path, dice.pick(values).to_owned());
        }
    }
    for (key, offer) in &declared.offers {
        if offer.has_budget && dice.percent(40) {
            asked.spent.insert(key.clone());
        }
        if dice.percent(3) {
            asked.shown.push(key.clone());
        }
    }
    if dice.percent(3) {
        asked.shown.push("nobody_knows".to_owned());
    }
    if dice.percent(6) {
        for (name, experiment) in &declared.experiments {
            if dice.percent(50) {
                asked.forced.insert(name, dice.pick(&experiment.variants));
            }
        }
    }
    asked
}
