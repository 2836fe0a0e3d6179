//! Evaluates the expression graph. Total and bounded: every evaluation has a number of steps and
//! a depth, and whatever goes wrong is a value. It must never know of groups or of ranks.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::calendar::{part_of_duration, part_of_time};
use super::facts::{Facts, MISSING};
use super::image::{Node, Op};
use super::number::to_double;
use super::operators::{Val, arithmetic, compare, convert, equal, index, negate, size, text_test};
use super::pattern::Threads;
use super::truth::{Code, Fail, Truth};
use super::value::Value;
use super::{Rules, Slot};

/// Steps that one predicate may take: list entries looked at, sixteenths of texts, nodes. A
/// condition over the longest list that is kept takes a few hundred.
pub const STEPS: u32 = 100_000;
/// Nesting of nodes that is evaluated; twice what the compiler lets pass, so that only a damaged
/// image meets it.
const DEPTH: u32 = 512;

/// What one decision has found out so far, and memory that the next one uses again.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    /// The decision; an entry of another one is stale.
    epoch: u32,
    memo: Vec<Memo>,
    threads: Threads,
    /// Of the block of rules that is searched: where the rows of its tables begin.
    pub(super) rows: Vec<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Memo {
    epoch: u32,
    truth: Truth,
}

impl Scratch {
    /// Begins a decision. Call it whenever the facts changed: until the next call, what a
    /// predicate came to is not asked again.
    pub fn begin(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
        if self.epoch == 0 {
            self.memo.clear();
        }
    }
}

/// The variables of the loops around a node, innermost first.
#[derive(Clone, Copy)]
struct Locals<'e, 'r> {
    value: &'e Val<'r>,
    outer: Option<&'e Locals<'e, 'r>>,
}

/// One evaluation.
pub(super) struct Run<'r, 's> {
    rules: &'r Rules,
    facts: &'r Facts,
    scratch: &'s mut Scratch,
    steps: u32,
    depth: u32,
}

type Outcome<'r> = Result<Val<'r>, Fail>;

impl<'r, 's> Run<'r, 's> {
    pub fn new(rules: &'r Rules, facts: &'r Facts, scratch: &'s mut Scratch) -> Self {
        Self { rules, facts, scratch, steps: STEPS, depth: DEPTH }
    }

    /// What a conjunct comes to. Each has its own number of steps, so that it comes to the same
    /// whatever was evaluated before it.
    pub fn truth(&mut self, node: u32) -> Truth {
        self.steps = STEPS;
        truth_of(self.eval(node, None))
    }

    pub fn number(&mut self, node: u32) -> Result<f64, Fail> {
        self.steps = STEPS;
        let number = match self.eval(node, None)? {
            Val::Int(v) => to_double(v),
            Val::Double(v) => v,
            _ => return Err(Code::NoOverload.into()),
        };
        if number.is_finite() { Ok(number) } else { Err(Code::NotFinite.into()) }
    }

    fn spend(&mut self, steps: usize) -> Result<(), Fail> {
        let steps = u32::try_from(steps).unwrap_or(u32::MAX);
        self.steps = self.steps.checked_sub(steps).ok_or(Code::TooCostly)?;
        Ok(())
    }

    fn eval(&mut self, place: u32, locals: Option<&Locals<'_, 'r>>) -> Outcome<'r> {
        self.spend(1)?;
        self.depth = self.depth.checked_sub(1).ok_or(Code::TooCostly)?;
        let node = self.rules.image.nodes.get(at(place)).ok_or(Code::BadImage)?;
        let outcome = self.eval_node(node, locals);
        self.depth += 1;
        outcome
    }

    fn eval_node(&mut self, node: &'r Node, locals: Option<&Locals<'_, 'r>>) -> Outcome<'r> {
        let Node { op, a, b } = *node;
        let image = &self.rules.image;
        let bad = Fail::Error(Code::BadImage);
        let text = || image.symbols.get(at(a)).map(|s| Cow::Borrowed(s.as_str())).ok_or(bad);
        let int = || image.ints.get(at(a)).copied().ok_or(bad);
        match op {
            Op::False => Ok(Val::Bool(false)),
            Op::True => Ok(Val::Bool(true)),
            Op::Int => int().map(Val::Int),
            Op::Double => image.doubles.get(at(a)).copied().map(Val::Double).ok_or(bad),
            Op::Text => text().map(Val::Text),
            Op::Version => text().map(Val::Version),
            Op::Timestamp => int().map(Val::Timestamp),
            Op::Duration => int().map(Val::Duration),
            Op::List => {
                let args = self.args(a, b)?;
                args.iter()
                    .map(|arg| self.eval(*arg, locals))
                    .collect::<Result<_, _>>()
                    .map(Val::List)
            }
            Op::Slot => self.slot(a).map(Val::of),
            Op::Has => Ok(Val::Bool(self.slot(a).is_ok())),
            Op::Local => {
                let mut frame = locals;
                for _ in 0..a {
                    frame = frame.and_then(|frame| frame.outer);
                }
                frame.map(|frame| frame.value.clone()).ok_or(bad)
            }
            Op::Key => self.key_set(a).map(Val::Bool),
            Op::Predicate => match self.predicate(a) {
                Truth::Match => Ok(Val::Bool(true)),
                Truth::NoMatch => Ok(Val::Bool(false)),
                Truth::Missing(slot) => Err(Fail::Missing(slot)),
                Truth::Error(code) => Err(Fail::Error(code)),
            },
            Op::Holds => Ok(Val::Bool(matches!(self.eval(a, locals), Ok(Val::Bool(true))))),
            Op::Not => match self.eval(a, locals)? {
                Val::Bool(v) => Ok(Val::Bool(!v)),
                _ => Err(Code::NoOverload.into()),
            },
            Op::And | Op::Or => {
                let args = self.args(a, b)?;
                let mut all = Junction::new(op == Op::Or);
                for arg in args {
                    if all.takes(self.eval(*arg, locals)) {
                        break;
                    }
                }
                all.outcome()
            }
            Op::If => {
                let [test, yes, no] = self.args(a, 3)? else { return Err(bad) };
                match self.eval(*test, locals)? {
                    Val::Bool(true) => self.eval(*yes, locals),
                    Val::Bool(false) => self.eval(*no, locals),
                    _ => Err(Code::NoOverload.into()),
                }
            }
            Op::In => self.is_in(a, b, locals).map(Val::Bool),
            Op::All | Op::Exists => {
                let list = self.list(a, locals)?;
                let mut all = Junction::new(op == Op::Exists);
                for value in entries(&list) {
                    if all.takes(self.body(b, &value, locals)) {
                        break;
                    }
                }
                all.outcome()
            }
            Op::ExistsOne | Op::Filter | Op::Map => self.collect(op, a, b, locals),
            Op::Matches => {
                let Val::Text(text) = self.eval(a, locals)? else {
                    return Err(Code::NoOverload.into());
                };
                let program = image.patterns.get(at(b)).ok_or(bad)?;
                self.spend(text.len().saturating_mul(program.0.len()) / 64)?;
                Ok(Val::Bool(program.is_match(&text, &mut self.scratch.threads)))
            }
            Op::Default => match self.eval(a, locals) {
                Err(Fail::Missing(_)) => self.eval(b, locals),
                outcome => outcome,
            },
            Op::Fail => Err(Code::from_number(a).into()),
            Op::Negate => Ok(negate(&self.eval(a, locals)?)?),
            Op::Size => Ok(Val::Int(size(&self.eval(a, locals)?)?)),
            Op::Part => {
                let part = b % 16;
                let offset_ms = (i64::from(b / 16) - 1_440) * 60_000;
                match self.eval(a, locals)? {
                    Val::Timestamp(ms) => part_of_time(ms.saturating_add(offset_ms), part),
                    Val::Duration(ms) => part_of_duration(ms, part),
                    _ => None,
                }
                .map(Val::Int)
                .ok_or(Fail::Error(Code::NoOverload))
            }
            Op::ToInt
            | Op::ToDouble
            | Op::ToText
            | Op::ToBool
            | Op::ToTimestamp
            | Op::ToDuration
            | Op::ToVersion => convert(op, self.eval(a, locals)?),
            _ => {
                let a = self.eval(a, locals)?;
                let b = self.eval(b, locals)?;
                self.spend(a.weight() + b.weight())?;
                self.binary(op, a, b)
            }
        }
    }

    fn binary(&mut self, op: Op, a: Val<'r>, b: Val<'r>) -> Outcome<'r> {
        Ok(match op {
            Op::Equal => Val::Bool(equal(&a, &b)),
            Op::Unequal => Val::Bool(!equal(&a, &b)),
            Op::Less => Val::Bool(compare(&a, &b)? == Some(Ordering::Less)),
            Op::LessEqual => {
                Val::Bool(matches!(compare(&a, &b)?, Some(Ordering::Less | Ordering::Equal)))
            }
            Op::Index => index(&a, &b)?,
            Op::Contains | Op::StartsWith | Op::EndsWith => Val::Bool(text_test(op, &a, &b)?),
            Op::SetContains | Op::SetIntersects => {
                let (Some(_), Some(n)) = (a.entries(), b.entries()) else {
                    return Err(Code::NoOverload.into());
                };
                self.spend(a.weight().saturating_mul(n))?;
                let shared = entries(&b).filter(|y| entries(&a).any(|x| equal(&x, y))).count();
                Val::Bool(if op == Op::SetContains { shared == n } else { shared > 0 })
            }
            _ => arithmetic(op, a, b)?,
        })
    }

    fn args(&self, from: u32, len: u32) -> Result<&'r [u32], Fail> {
        let from = at(from);
        let to = from.saturating_add(at(len));
        self.rules.image.args.get(from..to).ok_or(Fail::Error(Code::BadImage))
    }

    fn slot(&self, slot: u32) -> Result<&'r Value, Fail> {
        let slot = Slot(u16::try_from(slot).map_err(|_| Code::BadImage)?);
        self.facts.get(slot).ok_or(Fail::Missing(slot))
    }

    /// Whether the slot's value lies in a key set.
    fn key_set(&self, key: u32) -> Result<bool, Fail> {
        let key = self.rules.keys.get(at(key)).ok_or(Code::BadImage)?;
        let segment = self.facts.segment(key.slot);
        if key.needs_value && segment == MISSING {
            let read = self.rules.version_of(key.slot);
            let slot = Slot(read.unwrap_or(key.slot));
            // A text that is there, but is no version, is wrong rather than missing.
            let wrong = read.is_some() && self.facts.get(slot).is_some();
            return Err(if wrong { Code::BadText.into() } else { Fail::Missing(slot) });
        }
        Ok(match self.facts.entries(key.slot) {
            Some(segments) => segments.iter().any(|segment| key.holds(*segment)),
            None => key.holds(segment),
        })
    }

    /// What a predicate comes to, asked at most once in a decision.
    fn predicate(&mut self, predicate: u32) -> Truth {
        let epoch = self.scratch.epoch;
        if let Some(memo) = self.scratch.memo.get(at(predicate))
            && memo.epoch == epoch
        {
            return memo.truth;
        }
        let Some(node) = self.rules.image.predicates.get(at(predicate)) else {
            return Truth::Error(Code::BadImage);
        };
        let steps = std::mem::replace(&mut self.steps, STEPS);
        let truth = truth_of(self.eval(*node, None));
        self.steps = steps;
        let memo = &mut self.scratch.memo;
        if memo.len() <= at(predicate) {
            let stale = Memo { epoch: epoch.wrapping_sub(1), truth };
            memo.resize(self.rules.image.predicates.len(), stale);
        }
        if let Some(memo) = memo.get_mut(at(predicate)) {
            *memo = Memo { epoch, truth };
        }
        truth
    }

    fn list(&mut self, place: u32, locals: Option<&Locals<'_, 'r>>) -> Outcome<'r> {
        let list = self.eval(place, locals)?;
        if list.entries().is_some() { Ok(list) } else { Err(Code::NoOverload.into()) }
    }

    fn body(&mut self, place: u32, value: &Val<'r>, outer: Option<&Locals<'_, 'r>>) -> Outcome<'r> {
        self.eval(place, Some(&Locals { value, outer }))
    }

    fn is_in(&mut self, a: u32, b: u32, locals: Option<&Locals<'_, 'r>>) -> Result<bool, Fail> {
        let value = self.eval(a, locals)?;
        let list = self.list(b, locals)?;
        self.spend(list.weight())?;
        Ok(entries(&list).any(|entry| equal(&value, &entry)))
    }

    /// Loops that look at every entry: `exists_one`, `filter`, `map`.
    fn collect(&mut self, op: Op, a: u32, b: u32, locals: Option<&Locals<'_, 'r>>) -> Outcome<'r> {
        let list = self.list(a, locals)?;
        let mut found = Vec::new();
        for value in entries(&list) {
            match (op, self.body(b, &value, locals)?) {
                (Op::Map, mapped) => found.push(mapped),
                (_, Val::Bool(true)) => found.push(value),
                (_, Val::Bool(false)) => {}
                _ => return Err(Code::NoOverload.into()),
            }
        }
        Ok(if op == Op::ExistsOne { Val::Bool(found.len() == 1) } else { Val::List(found) })
    }
}

/// Rules under construction, so that what is constant is computed by what will run.
#[cfg(feature = "compile")]
#[derive(Default)]
pub(crate) struct Draft {
    rules: Rules,
    scratch: Scratch,
}

#[cfg(feature = "compile")]
impl Draft {
    pub fn image(&self) -> &super::Image {
        &self.rules.image
    }

    pub fn image_mut(&mut self) -> &mut super::Image {
        &mut self.rules.image
    }

    /// What a node comes to that reads no facts.
    pub fn value(&mut self, node: u32) -> Result<Val<'static>, Fail> {
        let facts = Facts::default();
        let mut run = Run::new(&self.rules, &facts, &mut self.scratch);
        run.eval(node, None).map(Val::into_owned)
    }
}

/// CEL's `&&` and `||`: one deciding operand decides, whatever else there is; else the first
/// failure stands.
struct Junction {
    /// What decides: true for `||`.
    decisive: bool,
    decided: bool,
    failed: Option<Fail>,
}

impl Junction {
    fn new(decisive: bool) -> Self {
        Self { decisive, decided: false, failed: None }
    }

    /// Whether this operand decides.
    fn takes(&mut self, outcome: Outcome<'_>) -> bool {
        let failed = match outcome {
            Ok(Val::Bool(v)) => {
                self.decided |= v == self.decisive;
                return self.decided;
            }
            Ok(_) => Code::NoOverload.into(),
            Err(fail) => fail,
        };
        self.failed = self.failed.or(Some(failed));
        false
    }

    fn outcome<'r>(&self) -> Outcome<'r> {
        match self.failed {
            Some(fail) if !self.decided => Err(fail),
            _ => Ok(Val::Bool(self.decided == self.decisive)),
        }
    }
}

fn truth_of(outcome: Outcome<'_>) -> Truth {
    match outcome {
        Ok(Val::Bool(true)) => Truth::Match,
        Ok(Val::Bool(false)) => Truth::NoMatch,
        Ok(_) => Truth::Error(Code::NoOverload),
        Err(fail) => fail.into(),
    }
}

fn entries<'v, 'r>(list: &'v Val<'r>) -> impl Iterator<Item = Val<'r>> + use<'v, 'r> {
    (0..list.entries().unwrap_or(0)).filter_map(|place| list.entry(place))
}

/// A 32-bit place as an index: the core runs on 32 and 64 bits.
pub(super) fn at(place: u32) -> usize {
    place as usize
}
