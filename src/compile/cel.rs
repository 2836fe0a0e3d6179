//! Compiles conditions and ranking formulas: CEL in, [`Rules`] out, with every mistake told at its
//! place. A condition that compiles can fail at run time only over values: overflow, a missing
//! entry, a text that is no version. It must never know offers, placements or files.
//!
//! ```
//! use selvedge::compile::cel::{Compiler, Schema};
//! use selvedge::rule::Kind;
//!
//! let mut schema = Schema::new();
//! schema.field("profile.tier", Kind::String);
//! let mut compiler = Compiler::new(schema);
//! assert!(compiler.condition("profile.tier == 'gold'").is_ok());
//! let errors = compiler.condition("profile.tierr == 'gold'").unwrap_err();
//! assert_eq!(errors[0].message, "unknown trait `profile.tierr`, did you mean `tier`?");
//! ```

mod ast;
mod check;
mod error;
mod functions;
mod graph;
mod keys;
mod lex;
mod pack;
mod parse;
mod regex;
mod schema;
mod types;

use std::collections::BTreeMap;

use check::Checker;
pub use error::CelError;
use error::Place;
pub use error::closest;
use graph::Graph;
use keys::Literal;
pub use schema::{ComputedRequest, History, Schema};
use types::Type;

use crate::rule::draft::Op;
use crate::rule::{GroupId, Kind, RuleId, Rules, Slot, Span};

/// Compiles the conditions of one workspace.
#[derive(Default)]
pub struct Compiler {
    graph: Graph,
    slots: BTreeMap<String, Slot>,
    events: BTreeMap<String, BTreeMap<String, Kind>>,
    audiences: BTreeMap<String, Audience>,
    /// Audiences under compilation, outermost first.
    open: Vec<String>,
    rules: Vec<Rule>,
    groups: Vec<Vec<u32>>,
    computed: BTreeMap<(History, String, Option<String>, Option<i64>), ComputedRequest>,
    now: Option<u16>,
}

struct Rule {
    conjuncts: Vec<u32>,
    spans: Vec<Span>,
}

#[derive(Clone)]
enum Audience {
    Source(String),
    Open,
    Done(RuleId, u32),
    Broken(Vec<CelError>),
}

impl Compiler {
    /// Conditions may speak of what the schema declares.
    pub fn new(schema: Schema) -> Self {
        let mut compiler = Self { slots: schema.slots, events: schema.events, ..Self::default() };
        for (path, kind) in schema.fields {
            compiler.graph.add_slot(path, kind, None);
        }
        compiler
    }

    /// Declares an audience for `inAudience`. All are declared before the first condition is
    /// compiled, so that they may ask for one another in any order.
    pub fn declare_audience(&mut self, name: &str, source: &str) {
        self.audiences.insert(name.to_owned(), Audience::Source(source.to_owned()));
    }

    /// The condition of a declared audience. Mistakes in it are told here, not where it is asked
    /// for.
    pub fn audience(&mut self, name: &str) -> Result<RuleId, Vec<CelError>> {
        let Some(audience) = self.audiences.get_mut(name) else {
            let known = self.audiences.keys().map(String::as_str);
            let suggestion = closest(name, known);
            let message = format!("unknown audience `{name}`");
            let error = CelError::new("unknown_audience", Place::default(), message);
            return Err(vec![error.suggest(suggestion)]);
        };
        let source = match audience {
            Audience::Done(rule, _) => return Ok(*rule),
            Audience::Broken(errors) => return Err(errors.clone()),
            Audience::Open => {
                let from = self.open.iter().position(|open| open == name).unwrap_or(0);
                let mut path: Vec<&str> = self.open.iter().skip(from).map(String::as_str).collect();
                path.push(name);
                let message = format!("audience `{name}` asks for itself: {}", path.join(" -> "));
                return Err(vec![CelError::new("cyclic_audience", Place::default(), message)]);
            }
            Audience::Source(source) => std::mem::take(source),
        };
        *audience = Audience::Open;
        self.open.push(name.to_owned());
        let result = self.condition(&source);
        self.open.pop();
        let done = match &result {
            Ok(rule) => {
                let conjuncts = self.rules.get(rule.0 as usize).map(|rule| rule.conjuncts.clone());
                let node = self.graph.junction(Op::And, &conjuncts.unwrap_or_default());
                Audience::Done(*rule, self.graph.atom(node))
            }
            Err(errors) => Audience::Broken(errors.clone()),
        };
        self.audiences.insert(name.to_owned(), done);
        result
    }

    /// Compiles a condition.
    pub fn condition(&mut self, source: &str) -> Result<RuleId, Vec<CelError>> {
        let expr = parse::parse(source).map_err(|error| vec![error])?;
        let mut checker = Checker::new(self);
        let parts = match &expr.form {
            ast::Form::And(parts) => parts.as_slice(),
            _ => std::slice::from_ref(&expr),
        };
        let mut rule = Rule { conjuncts: Vec::new(), spans: Vec::new() };
        for part in parts {
            let node = checker.condition(part, "a condition");
            let node = checker.compiler.graph.atom(node);
            if checker.compiler.graph.get(node).op != Op::True {
                rule.conjuncts.push(node);
                rule.spans.push(span(part.place));
            }
        }
        checker.finish(&rule.conjuncts, expr.place)?;
        Ok(self.add(rule))
    }

    /// Compiles a ranking formula, which comes to a number.
    pub fn number(&mut self, source: &str) -> Result<RuleId, Vec<CelError>> {
        let expr = parse::parse(source).map_err(|error| vec![error])?;
        let mut checker = Checker::new(self);
        let typed = checker.expr(&expr);
        if !typed.ty.is_number() && typed.ty != Type::Dyn {
            let message = format!("a formula comes to a number, this is {}", typed.ty.name());
            checker.wrong_type(expr.place, message);
        }
        if let Some(Literal::Double(v)) = checker.compiler.graph.as_literal(typed.node)
            && !v.is_finite()
        {
            let message = "this formula never comes to a finite number".to_owned();
            checker.error(CelError::new("always_fails", expr.place, message));
        }
        checker.finish(&[typed.node], expr.place)?;
        Ok(self.add(Rule { conjuncts: vec![typed.node], spans: vec![span(expr.place)] }))
    }

    /// Makes a group of rules that are searched together; those of lower rank come first, of equal
    /// rank in the order in which they stand here. Groups of the same rules are one.
    pub fn group(&mut self, mut members: Vec<(RuleId, i64)>) -> GroupId {
        members.sort_by_key(|(_, rank)| *rank);
        let members: Vec<u32> = members.into_iter().map(|(rule, _)| rule.0).collect();
        let known = self.groups.iter().position(|group| *group == members);
        GroupId(small(known.unwrap_or_else(|| {
            self.groups.push(members);
            self.groups.len() - 1
        })))
    }

    /// The conditions, and the computed traits that they imply.
    pub fn finish(self) -> (Rules, Vec<ComputedRequest>) {
        let computed = self.computed.values().cloned().collect();
        (pack::pack(self), computed)
    }

    fn add(&mut self, rule: Rule) -> RuleId {
        self.rules.push(rule);
        RuleId(small(self.rules.len() - 1))
    }

    /// The slot of `now`.
    fn now_slot(&mut self) -> u16 {
        let graph = &mut self.graph;
        *self.now.get_or_insert_with(|| graph.add_slot("now".to_owned(), Kind::Timestamp, None))
    }

    /// The slot of a computed trait that a condition implies.
    fn computed_slot(
        &mut self,
        kind: History,
        event: String,
        property: Option<String>,
        window_ms: Option<i64>,
        value: Kind,
    ) -> Slot {
        let key = (kind, event, property, window_ms);
        if let Some(known) = self.computed.get(&key) {
            return known.slot;
        }
        let (kind, event, property, window_ms) = key.clone();
        // A name for messages; not among those that a source can speak of.
        let mut path = format!("{kind:?}('{event}'").to_lowercase();
        if let Some(property) = &property {
            path.push_str(&format!(", '{property}'"));
        }
        if let Some(ms) = window_ms {
            path.push_str(&format!(", {ms} ms"));
        }
        path.push(')');
        let slot = Slot(self.graph.add_slot(path, value, None));
        let request = ComputedRequest { kind, event, property, window_ms, slot, value };
        self.computed.insert(key, request);
        slot
    }

    /// What `inAudience` asks for.
    fn audience_node(&mut self, name: &str) -> Result<u32, CelError> {
        match self.audience(name) {
            Ok(_) => {}
            Err(mut errors) => {
                let told = errors
                    .iter()
                    .position(|e| matches!(e.code, "unknown_audience" | "cyclic_audience"));
                return Err(match told {
                    Some(place) => errors.swap_remove(place),
                    None => {
                        let message = format!("audience `{name}` has mistakes of its own");
                        CelError::new("broken_audience", Place::default(), message)
                    }
                });
            }
        }
        match self.audiences.get(name) {
            Some(Audience::Done(_, node)) => Ok(*node),
            _ => {
                let message = format!("unknown audience `{name}`");
                Err(CelError::new("unknown_audience", Place::default(), message))
            }
        }
    }
}

fn small(v: usize) -> u32 {
    u32::try_from(v).unwrap_or(u32::MAX)
}

fn span(place: Place) -> Span {
    Span { offset: small(place.offset), len: small(place.len) }
}
