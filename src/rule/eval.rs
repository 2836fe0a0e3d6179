//! Evaluates the expression graph. Total and bounded: every evaluation has a number of steps and
//! a depth, and whatever goes wrong is a value. It must never know of groups or of ranks.

use alloc::vec::Vec;

use crate::limits::{CONDITION_DEPTH, CONDITION_STEPS};

use super::facts::{Facts, MISSING};
use super::image::{Column, Node, Op};
use super::index::Cursor;
use super::number::to_double;
use super::operators::{Made, Text, Val};
use super::pattern::{Threads, is_match};
use super::truth::{Code, Fail, Truth};
use super::value::Value;
use super::{Rules, Slot};

/// What one decision has found out so far, and memory that the next one uses again.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    /// The decision; an entry of another one is stale.
    epoch: u32,
    memo: Vec<Memo>,
    threads: Threads,
    /// How far the last search came.
    pub(super) cursor: Cursor,
    /// What was done, for tests that bound it.
    #[cfg(feature = "replay")]
    pub(super) tally: Tally,
}

/// What the decisions of a page took, counted from where the page began.
#[cfg(feature = "replay")]
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// How often each memoised predicate was evaluated.
    pub evaluated: Vec<u32>,
    /// How many rules the index found and looked at.
    pub candidates: u32,
}

#[cfg(feature = "replay")]
impl Tally {
    fn evaluates(&mut self, place: usize) {
        if self.evaluated.len() <= place {
            self.evaluated.resize(place + 1, 0);
        }
        if let Some(count) = self.evaluated.get_mut(place) {
            *count += 1;
        }
    }
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
        #[cfg(feature = "replay")]
        {
            self.tally.evaluated.fill(0);
            self.tally.candidates = 0;
        }
    }

    /// What was done since the last [`Scratch::begin`].
    #[cfg(feature = "replay")]
    pub fn tally(&self) -> &Tally {
        &self.tally
    }
}

/// The variables of the loops around a node, innermost first.
#[derive(Clone, Copy)]
struct Locals<'e, 'r> {
    value: Val<'r>,
    outer: Option<&'e Locals<'e, 'r>>,
}

/// One evaluation.
pub(super) struct Run<'r, 's> {
    rules: &'r Rules,
    facts: &'r Facts,
    scratch: &'s mut Scratch,
    made: Made<'r>,
    steps: usize,
    depth: u32,
}

type Outcome<'r> = Result<Val<'r>, Fail>;

impl<'r, 's> Run<'r, 's> {
    pub fn new(rules: &'r Rules, facts: &'r Facts, scratch: &'s mut Scratch) -> Self {
        Self {
            rules,
            facts,
            scratch,
            made: Made::default(),
            steps: CONDITION_STEPS,
            depth: CONDITION_DEPTH,
        }
    }

    /// What a conjunct comes to. Each has its own number of steps, so that it comes to the same
    /// whatever was evaluated before it.
    pub fn truth(&mut self, node: u32) -> Truth {
        self.steps = CONDITION_STEPS;
        truth_of(self.eval(node, None))
    }

    pub fn number(&mut self, node: u32) -> Result<f64, Fail> {
        let number = match self.eval(node, None)? {
            Val::Int(v) => to_double(v),
            Val::Double(v) => v,
            _ => return Err(Code::NoOverload.into()),
        };
        if number.is_finite() { Ok(number) } else { Err(Code::NotFinite.into()) }
    }

    fn spend(&mut self, steps: usize) -> Result<(), Fail> {
        self.steps = self.steps.checked_sub(steps).ok_or(Code::TooCostly)?;
        Ok(())
    }

    fn eval(&mut self, place: u32, locals: Option<&Locals<'_, 'r>>) -> Outcome<'r> {
        self.spend(1)?;
        self.depth = self.depth.checked_sub(1).ok_or(Code::TooCostly)?;
        let outcome = match self.rules.image.node(place) {
            Some(node) => self.eval_node(node, locals),
            None => Err(Code::BadImage.into()),
        };
        self.depth += 1;
        outcome
    }

    fn eval_node(&mut self, node: Node, locals: Option<&Locals<'_, 'r>>) -> Outcome<'r> {
        let Node { op, a, b } = node;
        if op.is_unary() || op.is_binary() {
            let x = self.eval(a, locals)?;
            self.spend(self.made.weight(x))?;
            if op == Op::Matches {
                return self.matches(x, b).map(Val::Bool);
            }
            if op.is_unary() {
                return Ok(self.made.unary(op, x, b)?);
            }
            let y = self.eval(b, locals)?;
            let weight = self.made.weight(y);
            let looks = if op >= Op::SetContains { x.len().unwrap_or(0) } else { 1 };
            self.spend(weight.saturating_mul(looks))?;
            return Ok(self.made.binary(op, x, y)?);
        }
        if op.is_loop() {
            return self.each(op, a, b, locals);
        }
        self.special(node, locals)
    }

    fn special(&mut self, node: Node, locals: Option<&Locals<'_, 'r>>) -> Outcome<'r> {
        let Node { op, a, b } = node;
        let rules = self.rules;
        let value = match op {
            Op::False | Op::True => Some(Val::Bool(op == Op::True)),
            Op::Int | Op::Timestamp | Op::Duration | Op::Double => {
                rules.image.int(a).map(|v| match op {
                    Op::Int => Val::Int(v),
                    Op::Timestamp => Val::Timestamp(v),
                    Op::Duration => Val::Duration(v),
                    _ => Val::Double(f64::from_bits(v.cast_unsigned())),
                })
            }
            Op::Text | Op::Version => rules.image.symbol(a).map(|text| match op {
                Op::Text => Val::Text(Text::There(text)),
                _ => Val::Version(Text::There(text)),
            }),
            Op::Slot => return self.slot(a).map(Val::of),
            Op::Has => Some(Val::Bool(self.slot(a).is_ok())),
            Op::Local => {
                let mut frame = locals;
                for _ in 0..a {
                    frame = frame.and_then(|frame| frame.outer);
                }
                frame.map(|frame| frame.value)
            }
            Op::Key => Some(Val::Bool(self.key_set(a)?)),
            Op::Predicate => match self.predicate(a) {
                Truth::Match => Some(Val::Bool(true)),
                Truth::NoMatch => Some(Val::Bool(false)),
                Truth::Missing(slot) => return Err(Fail::Missing(slot)),
                Truth::Error(code) => return Err(code.into()),
            },
            Op::Holds => Some(Val::Bool(matches!(self.eval(a, locals), Ok(Val::Bool(true))))),
            Op::Default => match self.eval(a, locals) {
                Err(Fail::Missing(_)) => return self.eval(b, locals),
                outcome => return outcome,
            },
            Op::Fail => return Err(Code::from_number(a).into()),
            _ => {
                let args = rules.image.args_of(node).ok_or(Code::BadImage)?;
                return self.over_args(op, args, locals);
            }
        };
        value.ok_or(Fail::Error(Code::BadImage))
    }

    #[cfg_attr(feature = "server", inline(never))]
    fn over_args(&mut self, op: Op, args: &[u32], locals: Option<&Locals<'_, 'r>>) -> Outcome<'r> {
        match (op, args) {
            (Op::If, [test, yes, no]) => match self.eval(*test, locals)? {
                Val::Bool(test) => self.eval(if test { *yes } else { *no }, locals),
                _ => Err(Code::NoOverload.into()),
            },
            (Op::List, _) => {
                let mut entries = Vec::with_capacity(args.len());
                for arg in args {
                    entries.push(self.eval(*arg, locals)?);
                }
                Ok(self.made.list(&entries))
            }
            _ => {
                let mut all = Junction::new(op == Op::Or);
                for arg in args {
                    if all.takes(self.eval(*arg, locals)) {
                        break;
                    }
                }
                all.outcome()
            }
        }
    }

    /// The loops over a list.
    #[cfg_attr(feature = "server", inline(never))]
    fn each(&mut self, op: Op, a: u32, b: u32, outer: Option<&Locals<'_, 'r>>) -> Outcome<'r> {
        let list = self.eval(a, outer)?;
        let len = list.len().ok_or(Code::NoOverload)?;
        let mut all = Junction::new(op == Op::Exists);
        let mut found = Vec::new();
        for place in 0..len {
            let Some(value) = self.made.entry(list, place) else { break };
            let outcome = self.eval(b, Some(&Locals { value, outer }));
            match op {
                Op::All | Op::Exists => {
                    if all.takes(outcome) {
                        break;
                    }
                }
                Op::Map => found.push(outcome?),
                _ => match outcome? {
                    Val::Bool(true) => found.push(value),
                    Val::Bool(false) => {}
                    _ => return Err(Code::NoOverload.into()),
                },
            }
        }
        match op {
            Op::All | Op::Exists => all.outcome(),
            Op::ExistsOne => Ok(Val::Bool(found.len() == 1)),
            _ => Ok(self.made.list(&found)),
        }
    }

    #[cfg_attr(feature = "server", inline(never))]
    fn matches(&mut self, text: Val<'r>, pattern: u32) -> Result<bool, Fail> {
        let Val::Text(text) = text else { return Err(Code::NoOverload.into()) };
        let program = self.rules.image.part(Column::StepStarts, pattern, Column::Steps);
        self.spend(self.made.str(text).len().saturating_mul(program.len()) / 64)?;
        Ok(is_match(program, self.made.str(text), &mut self.scratch.threads))
    }

    fn slot(&self, slot: u32) -> Result<&'r Value, Fail> {
        let slot = Slot(u16::try_from(slot).map_err(|_| Code::BadImage)?);
        self.facts.get(slot).ok_or(Fail::Missing(slot))
    }

    /// Whether the slot's value lies in a key set.
    fn key_set(&self, key: u32) -> Result<bool, Fail> {
        let (key, bounds) = self.rules.key(key).ok_or(Code::BadImage)?;
        let segment = self.facts.segment(key.slot);
        if key.needs_value && segment == MISSING {
            let read = self.rules.image.version_of(key.slot);
            let slot = Slot(read.unwrap_or(key.slot));
            // A text that is there, but is no version, is wrong rather than missing.
            let wrong = read.is_some() && self.facts.get(slot).is_some();
            return Err(if wrong { Code::BadText.into() } else { Fail::Missing(slot) });
        }
        Ok(match self.facts.entries(key.slot) {
            Some(segments) => segments.iter().any(|segment| holds(bounds, *segment)),
            None => holds(bounds, segment),
        })
    }

    /// What a predicate comes to, asked at most once in a decision.
    fn predicate(&mut self, predicate: u32) -> Truth {
        let epoch = self.scratch.epoch;
        let place = at(predicate);
        if let Some(memo) = self.scratch.memo.get(place)
            && memo.epoch == epoch
        {
            return memo.truth;
        }
        let predicates = self.rules.image.column(Column::Predicates);
        let Some(node) = predicates.get(place) else {
            return Truth::Error(Code::BadImage);
        };
        #[cfg(feature = "replay")]
        self.scratch.tally.evaluates(place);
        let steps = core::mem::replace(&mut self.steps, CONDITION_STEPS);
        let truth = truth_of(self.eval(*node, None));
        self.steps = steps;
        let memo = &mut self.scratch.memo;
        if memo.len() <= place {
            let stale = Memo { epoch: epoch.wrapping_sub(1), truth };
            memo.resize(predicates.len(), stale);
        }
        if let Some(memo) = memo.get_mut(place) {
            *memo = Memo { epoch, truth };
        }
        truth
    }
}

/// Whether a key set holds in this segment.
pub(super) fn holds(bounds: &[u32], segment: u32) -> bool {
    bounds.partition_point(|bound| *bound <= segment) % 2 == 1
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

/// A 32-bit place as an index: the core runs on 32 and 64 bits.
pub(super) fn at(place: u32) -> usize {
    place as usize
}

/// A value that no facts change.
#[cfg(feature = "compile")]
#[derive(Clone, Debug)]
pub(crate) enum Constant {
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(String),
    Timestamp(i64),
    Duration(i64),
    Version(String),
    List(Vec<Constant>),
}

#[cfg(feature = "compile")]
impl Rules {
    /// What a node comes to that reads no facts, computed by what will run.
    pub(crate) fn constant(&self, node: u32) -> Result<Constant, Fail> {
        let facts = Facts::default();
        let mut scratch = Scratch::default();
        let mut run = Run::new(self, &facts, &mut scratch);
        let value = run.eval(node, None)?;
        Ok(run.own(value))
    }
}

#[cfg(feature = "compile")]
impl<'r> Run<'r, '_> {
    fn own(&self, value: Val<'r>) -> Constant {
        match value {
            Val::Bool(v) => Constant::Bool(v),
            Val::Int(v) => Constant::Int(v),
            Val::Double(v) => Constant::Double(v),
            Val::Text(v) => Constant::Text(self.made.str(v).to_owned()),
            Val::Timestamp(v) => Constant::Timestamp(v),
            Val::Duration(v) => Constant::Duration(v),
            Val::Version(v) => Constant::Version(self.made.str(v).to_owned()),
            list => {
                let entries = 0..list.len().unwrap_or(0);
                let entries = entries.filter_map(|place| self.made.entry(list, place));
                Constant::List(entries.map(|entry| self.own(entry)).collect())
            }
        }
    }
}
