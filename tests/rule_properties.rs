//! The engine against the naive interpreter of `oracle/`: random rules, random facts that change
//! one at a time; what matches, in which order, and what formulas come to.
//!
//! `RULE_CASES` sets how many decisions are compared, `RULE_SEED` where they begin.
#![cfg(feature = "compile")]

mod oracle;

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use oracle::generate::{self, Dice, Kind as Made, NOW, Words};
use oracle::{E, V, World, source};
use selvedge::compile::cel::{Compiler, Schema};
use selvedge::rule::{Facts, GroupId, Kind, RuleId, Rules, Scratch, Truth, Value};

/// Decisions over one set of rules.
const DECISIONS: usize = 50;
const DEFAULT_CASES: u64 = 4_000;

/// What rules by themselves speak of.
static WORDS: Words = Words { slots: &SLOTS, metrics: &[] };

const SLOTS: [(&str, Made); 17] = [
    ("vip", Made::Bool),
    ("mail", Made::Bool),
    ("age", Made::Int),
    ("orders", Made::Int),
    ("visits", Made::Int),
    ("score", Made::Double),
    ("total", Made::Double),
    ("tier", Made::Text),
    ("country", Made::Text),
    ("city", Made::Text),
    ("path", Made::Text),
    ("seen", Made::Time),
    ("away", Made::Span),
    ("app", Made::Version),
    ("segments", Made::Texts),
    ("basket", Made::Texts),
    ("sizes", Made::Ints),
];

/// A fact, or none, for one slot.
fn change(dice: &mut Dice, facts: &mut BTreeMap<&'static str, V>) -> &'static str {
    let (name, kind) = dice.pick(&SLOTS);
    if dice.percent(20) {
        facts.remove(name);
    } else {
        facts.insert(name, generate::fact(dice, kind));
    }
    name
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

fn schema() -> Schema {
    let mut schema = Schema::new();
    for (name, kind) in SLOTS {
        let kind = match kind {
            Made::Bool => Kind::Bool,
            Made::Int => Kind::Int,
            Made::Double => Kind::Double,
            Made::Text | Made::Version => Kind::String,
            Made::Time => Kind::Timestamp,
            Made::Span => Kind::Duration,
            Made::Texts => Kind::Strings,
            Made::Ints => Kind::Ints,
        };
        schema.field(&format!("profile.{name}"), kind);
    }
    schema
}

fn value(v: &V) -> Value {
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

struct Set {
    rules: Rules,
    group: GroupId,
    audiences: Vec<E>,
    /// By rank.
    members: Vec<(RuleId, E)>,
    formulas: Vec<(RuleId, E)>,
    /// Sources that always fail, which the compiler refuses.
    refused: usize,
}

fn made_up(dice: &mut Dice, size: usize) -> Set {
    let mut compiler = Compiler::new(schema());
    let mut audiences: Vec<E> = Vec::new();
    let mut refused = 0;
    while audiences.len() < 3 {
        let audience = generate::rule(dice, audiences.len(), 5);
        let name = format!("a{}", audiences.len());
        compiler.declare_audience(&name, &source(&audience));
        match compiler.audience(&name) {
            Ok(_) => audiences.push(audience),
            Err(errors) => refused += refusal(&errors, &audience),
        }
    }
    let mut ranked = Vec::new();
    while ranked.len() < size {
        let rule = generate::rule(dice, audiences.len(), 5);
        match compiler.condition(&source(&rule)) {
            Ok(id) => ranked.push((dice.roll(size) as i64, id, rule)),
            Err(errors) => refused += refusal(&errors, &rule),
        }
    }
    let mut formulas = Vec::new();
    while formulas.len() < 3 {
        let formula = generate::formula(dice);
        match compiler.number(&source(&formula)) {
            Ok(id) => formulas.push((id, formula)),
            Err(errors) => refused += refusal(&errors, &formula),
        }
    }
    let group = compiler.group(ranked.iter().map(|(rank, id, _)| (*id, *rank)).collect());
    let bytes = compiler.finish().0.to_bytes();
    let rules = Rules::from_bytes(&bytes).expect("the same image");
    ranked.sort_by_key(|(rank, ..)| *rank);
    let members = ranked.into_iter().map(|(_, id, rule)| (id, rule)).collect();
    Set { rules, group, audiences, members, formulas, refused }
}

/// The only thing that may be wrong with what the generator writes.
fn refusal(errors: &[selvedge::compile::cel::CelError], e: &E) -> usize {
    for error in errors {
        assert_eq!(error.code, "always_fails", "{}: {error:?}", source(e));
    }
    1
}

fn compare(set: &Set, facts: &Facts, world: &World, scratch: &mut Scratch) -> usize {
    let mut expected = Vec::new();
    for (id, rule) in &set.members {
        let naive = world.holds(rule);
        scratch.begin();
        let truth = set.rules.truth(*id, facts, scratch);
        let same = match naive {
            Ok(true) => truth == Truth::Match,
            Ok(false) => truth == Truth::NoMatch,
            Err(why) => match truth {
                Truth::Missing(_) => why.missing,
                Truth::Error(_) => why.wrong,
                _ => false,
            },
        };
        assert!(same, "{}\n{naive:?} {truth:?}\n{:?}", source(rule), world.facts);
        if truth == Truth::Match {
            expected.push(*id);
        }
    }
    for limit in [usize::MAX, 3] {
        scratch.begin();
        let mut found = Vec::new();
        set.rules.matching(set.group, facts, scratch, |id| {
            found.push(id);
            if found.len() == limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        let expected = &expected[..expected.len().min(limit)];
        assert_eq!(found, expected, "{:?}", world.facts);
    }
    for (id, formula) in &set.formulas {
        let naive = match world.eval(formula, &mut Vec::new()) {
            Ok(V::Double(v)) if v.is_finite() => Some(v),
            _ => None,
        };
        let found = set.rules.value(*id, facts, scratch).ok();
        let same = match (naive, found) {
            (Some(naive), Some(found)) => naive == found,
            (naive, found) => naive.is_none() && found.is_none(),
        };
        assert!(same, "{}\n{naive:?} {found:?}\n{:?}", source(formula), world.facts);
    }
    expected.len()
}

#[test]
fn the_index_the_graph_and_the_naive_interpreter_agree() {
    let cases = number("RULE_CASES").unwrap_or(DEFAULT_CASES);
    let first = number("RULE_SEED").unwrap_or(1);
    let mut compared = 0;
    let (mut matched, mut refused, mut rules) = (0, 0, 0);
    for seed in first.. {
        if compared >= cases {
            break;
        }
        let mut dice = Dice::new(seed, &WORDS);
        // Now and then more rules than one block of the index holds.
        let size = if seed % 400 == 1 { 1_100 } else { 1 + dice.roll(24) };
        let decisions = if size > 1_000 { 5 } else { DECISIONS };
        let set = made_up(&mut dice, size);
        refused += set.refused;
        rules += size;
        let mut facts = Facts::new(&set.rules);
        facts.set_now(&set.rules, NOW);
        let mut known: BTreeMap<&'static str, V> = BTreeMap::new();
        let mut scratch = Scratch::default();
        for _ in 0..decisions {
            for _ in 0..1 + dice.roll(3) {
                let name = change(&mut dice, &mut known);
                let slot = set.rules.slot(&format!("profile.{name}")).expect("declared");
                match known.get(name) {
                    Some(v) => facts.set(&set.rules, slot, &value(v)),
                    None => facts.clear(&set.rules, slot),
                }
            }
            let world = World { facts: &known, now: NOW, audiences: &set.audiences, events: None };
            matched += compare(&set, &facts, &world, &mut scratch);
            compared += 1;
        }
    }
    // The generator is of use: rules match now and then, and few are refused.
    assert!(matched as u64 > cases / 4, "{matched} matches in {compared} decisions");
    assert!(refused * 5 < rules, "{refused} of {rules} sources refused");
}
