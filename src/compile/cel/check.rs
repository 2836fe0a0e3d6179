//! Types and lowers an expression: from the syntax tree to the graph, with every mistake that can
//! be told at once. It must never know what the condition is for.

use super::Compiler;
use super::ast::{Expr, Form};
use super::error::{CelError, Place, closest};
use super::keys::{Absent, KeyDef, Literal, all_keys, keys_where, mirrored};
use super::types::Type;
use crate::limits::CONDITION_LEVELS;
use crate::rule::draft::{Code, Kind, Node, Op, Version};

/// A lowered expression.
#[derive(Clone, Debug)]
pub(super) struct Typed {
    pub node: u32,
    pub ty: Type,
}

/// One source under compilation.
pub(super) struct Checker<'c> {
    pub compiler: &'c mut Compiler,
    /// Variables of the loops around, innermost last.
    pub scope: Vec<(String, Type)>,
    pub errors: Vec<CelError>,
    /// Where something constant went wrong: an error only if it is not absorbed.
    pub fails: Vec<(Code, Place)>,
}

impl<'c> Checker<'c> {
    pub fn new(compiler: &'c mut Compiler) -> Self {
        Self { compiler, scope: Vec::new(), errors: Vec::new(), fails: Vec::new() }
    }

    /// The mistakes, with those that show only in the whole.
    pub fn finish(mut self, roots: &[u32], place: Place) -> Result<(), Vec<CelError>> {
        if self.errors.is_empty() {
            let graph = &self.compiler.graph;
            let fails = std::mem::take(&mut self.fails);
            for code in graph.failures(roots) {
                let known = fails.iter().find(|(known, _)| *known == code);
                let place = known.map_or(place, |(_, place)| *place);
                let message = format!("this always fails: {}", reason(code));
                self.errors.push(CelError::new("always_fails", place, message));
            }
            if roots.iter().any(|root| graph.height(*root) > CONDITION_LEVELS) {
                let message =
                    format!("with its audiences this has more than {CONDITION_LEVELS} levels");
                self.errors.push(CelError::new("too_deep", place, message));
            }
        }
        if self.errors.is_empty() { Ok(()) } else { Err(self.errors) }
    }

    pub fn error(&mut self, error: CelError) -> Typed {
        self.errors.push(error);
        Typed { node: self.compiler.graph.fail(Code::BadImage), ty: Type::Dyn }
    }

    pub fn expr(&mut self, expr: &Expr) -> Typed {
        let typed = self.form(expr);
        let node = self.compiler.graph.get(typed.node);
        if node.op == Op::Fail {
            self.fails.push((Code::from_number(node.a), expr.place));
        }
        typed
    }

    fn form(&mut self, expr: &Expr) -> Typed {
        let graph = &mut self.compiler.graph;
        match &expr.form {
            Form::Bool(v) => Typed { node: graph.bool(*v), ty: Type::Bool },
            Form::Int(v) => Typed { node: graph.int(Op::Int, *v), ty: Type::Int },
            Form::Double(v) => Typed { node: graph.double(*v), ty: Type::Double },
            Form::Text(v) => Typed { node: graph.text(Op::Text, v), ty: Type::Text },
            Form::List(entries) => self.list(entries),
            Form::Name(_) | Form::Field(..) => self.named(expr),
            Form::Index(of, index) => self.index(expr, of, index),
            Form::Call(call) => self.call(expr, call),
            Form::Not(of) => {
                let of = self.condition(of, "`!`");
                Typed { node: self.compiler.graph.not(of), ty: Type::Bool }
            }
            Form::Negate(of) => {
                let typed = self.expr(of);
                match typed.ty {
                    Type::Int | Type::Double | Type::Duration | Type::Dyn => {
                        let node = self.compiler.graph.unary(Op::Negate, typed.node, 0);
                        Typed { node, ty: typed.ty }
                    }
                    ty => self.wrong_type(expr.place, format!("`-` does not take {}", ty.name())),
                }
            }
            Form::And(all) => self.junction(Op::And, "`&&`", all),
            Form::Or(all) => self.junction(Op::Or, "`||`", all),
            Form::If(parts) => self.conditional(expr, parts),
            Form::Binary(op, sides) => {
                let [a, b] = &**sides;
                let left = self.expr(a);
                let right = self.expr(b);
                match *op {
                    "+" | "-" | "*" | "/" | "%" => self.arithmetic(expr, op, left, right),
                    "in" => self.is_in(expr.place, left, right),
                    _ => self.relation(expr.place, op, left, right),
                }
            }
        }
    }

    pub fn wrong_type(&mut self, place: Place, message: String) -> Typed {
        self.error(CelError::new("wrong_type", place, message))
    }

    /// An expression that has to be true or false; a trait of that type reads as a predicate.
    pub fn condition(&mut self, expr: &Expr, of: &str) -> u32 {
        let typed = self.expr(expr);
        if !typed.ty.fits(&Type::Bool) {
            let message = format!("{of} takes a bool, this is {}", typed.ty.name());
            return self.wrong_type(expr.place, message).node;
        }
        self.as_predicate(typed)
    }

    pub fn as_predicate(&mut self, typed: Typed) -> u32 {
        let yes = Typed { node: self.compiler.graph.bool(true), ty: Type::Bool };
        match self.by_keys("==", &typed, &yes) {
            Some(node) if self.slot_side(typed.node).is_some() => node,
            _ => typed.node,
        }
    }

    fn junction(&mut self, op: Op, of: &str, all: &[Expr]) -> Typed {
        let nodes: Vec<u32> = all.iter().map(|expr| self.condition(expr, of)).collect();
        Typed { node: self.compiler.graph.junction(op, &nodes), ty: Type::Bool }
    }

    fn conditional(&mut self, expr: &Expr, parts: &[Expr; 3]) -> Typed {
        let [test, yes, no] = parts;
        let test = self.condition(test, "`?`");
        let (yes, no) = (self.expr(yes), self.expr(no));
        if !yes.ty.fits(&no.ty) {
            let message = format!(
                "both sides of `:` have one type, not {} and {}",
                yes.ty.name(),
                no.ty.name()
            );
            return self.wrong_type(expr.place, message);
        }
        let ty = if yes.ty == no.ty { yes.ty } else { Type::Dyn };
        let graph = &mut self.compiler.graph;
        let test = graph.atom(test);
        let node = match graph.get(test).op {
            Op::True => yes.node,
            Op::False => no.node,
            _ => graph.many(Op::If, vec![test, yes.node, no.node]),
        };
        Typed { node, ty }
    }

    fn list(&mut self, entries: &[Expr]) -> Typed {
        let typed: Vec<Typed> = entries.iter().map(|entry| self.expr(entry)).collect();
        let mut types = typed.iter().map(|entry| &entry.ty);
        let entry = match types.next() {
            Some(first) if types.all(|ty| ty == first) => first.clone(),
            _ => Type::Dyn,
        };
        let nodes = typed.iter().map(|entry| entry.node).collect();
        Typed { node: self.compiler.graph.many(Op::List, nodes), ty: Type::list(entry) }
    }

    /// A variable, a trait, a field of the request.
    fn named(&mut self, expr: &Expr) -> Typed {
        let Some(path) = expr.path() else {
            let Form::Field(of, field, place) = &expr.form else {
                return self.wrong_type(expr.place, "this is no value".to_owned());
            };
            let of = self.expr(of);
            let message = format!("{} has no field `{field}`", of.ty.name());
            return self.wrong_type(*place, message);
        };
        let root = path.split('.').next().unwrap_or("");
        let variable = self.scope.iter().rev().zip(0..).find(|((name, _), _)| name == root);
        if let Some(((name, ty), outwards)) = variable {
            let ty = ty.clone();
            if *name == path {
                return Typed { node: self.compiler.graph.local(outwards), ty };
            }
            let message = format!("`{root}` is {} and has no fields", ty.name());
            return self.wrong_type(expr.place, message);
        }
        if path == "now" {
            return self.now();
        }
        match self.compiler.slots.get(&path).copied() {
            Some(slot) => self.slot(slot.0),
            None => {
                let error = self.unknown(expr, &path);
                self.error(error)
            }
        }
    }

    pub fn slot(&mut self, slot: u16) -> Typed {
        let ty = self.compiler.graph.kind(slot).map_or(Type::Dyn, Type::from);
        Typed { node: self.compiler.graph.slot(slot), ty }
    }

    pub fn now(&mut self) -> Typed {
        let slot = self.compiler.now_slot();
        self.slot(slot)
    }

    /// What is wrong with a path that nobody declared.
    pub fn unknown(&self, expr: &Expr, path: &str) -> CelError {
        let (root, rest) = path.split_once('.').unwrap_or((path, ""));
        let declared = || self.compiler.slots.keys().map(String::as_str);
        let within = |path: &'_ str| path.split_once('.').is_some_and(|(r, _)| r == root);
        if rest.is_empty() || !declared().any(within) {
            let roots = declared().filter_map(|path| path.split('.').next()).chain(["now"]);
            let mut place = expr;
            while let Form::Field(of, ..) | Form::Index(of, _) = &place.form {
                place = of;
            }
            let message = format!("unknown name `{root}`");
            if roots.clone().any(|known| known == root) {
                let message = format!("`{root}` has no value itself, write `{root}.` and a name");
                return CelError::new("unknown_name", place.place, message);
            }
            return CelError::new("unknown_name", place.place, message)
                .suggest(closest(root, roots));
        }
        let value = declared()
            .find(|known| path.strip_prefix(known).is_some_and(|rest| rest.starts_with('.')));
        let place = match &expr.form {
            Form::Field(_, _, place) => *place,
            Form::Index(_, index) => index.place,
            _ => expr.place,
        };
        if let Some(value) = value {
            let message = format!("`{value}` has no fields");
            return CelError::new("wrong_type", place, message);
        }
        let (code, what) = match root {
            "profile" => ("unknown_trait", "trait"),
            _ => ("unknown_field", "field"),
        };
        let siblings = declared().filter_map(|path| path.strip_prefix(root)?.strip_prefix('.'));
        CelError::new(code, place, format!("unknown {what} `{path}`"))
            .suggest(closest(rest, siblings))
    }

    fn index(&mut self, expr: &Expr, of: &Expr, index: &Expr) -> Typed {
        let root_is_variable = |root: &str| self.scope.iter().any(|(name, _)| name == root);
        if let Some(path) = expr.path()
            && !path.split('.').next().is_some_and(root_is_variable)
        {
            return self.named(expr);
        }
        let of = self.expr(of);
        let place = index.place;
        let index = self.expr(index);
        let Some(entry) = of.ty.entry() else {
            return self.wrong_type(expr.place, format!("`[ ]` does not take {}", of.ty.name()));
        };
        if !index.ty.fits(&Type::Int) {
            let message = format!("a list's entry is told by an int, not {}", index.ty.name());
            return self.wrong_type(place, message);
        }
        Typed { node: self.compiler.graph.binary(Op::Index, of.node, index.node), ty: entry }
    }

    fn arithmetic(&mut self, expr: &Expr, op: &str, a: Typed, b: Typed) -> Typed {
        let ty = match (op, &a.ty, &b.ty) {
            (_, Type::Dyn, _) | (_, _, Type::Dyn) => Type::Dyn,
            (_, Type::Int, Type::Int) => Type::Int,
            ("+" | "-" | "*" | "/", Type::Double, Type::Double) => Type::Double,
            ("+", Type::Text, Type::Text) => Type::Text,
            ("+", Type::List(x), Type::List(y)) if x == y => a.ty.clone(),
            ("+", Type::List(_), Type::List(_)) => Type::list(Type::Dyn),
            ("+", Type::Timestamp, Type::Duration) | ("+", Type::Duration, Type::Timestamp) => {
                Type::Timestamp
            }
            ("-", Type::Timestamp, Type::Duration) => Type::Timestamp,
            ("-", Type::Timestamp, Type::Timestamp) => Type::Duration,
            ("+" | "-", Type::Duration, Type::Duration) => Type::Duration,
            _ => {
                let error = self.no_arithmetic(expr, op, &a, &b);
                return self.error(error);
            }
        };
        let op = match op {
            "+" => Op::Add,
            "-" => Op::Subtract,
            "*" => Op::Multiply,
            "/" => Op::Divide,
            _ => Op::Modulo,
        };
        let by_zero = self.compiler.graph.as_literal(b.node) == Some(Literal::Int(0));
        if by_zero && matches!(op, Op::Divide | Op::Modulo) {
            // Whatever is divided.
            return Typed { node: self.compiler.graph.fail(Code::DivideByZero), ty };
        }
        Typed { node: self.compiler.graph.binary(op, a.node, b.node), ty }
    }

    fn no_arithmetic(&self, expr: &Expr, op: &str, a: &Typed, b: &Typed) -> CelError {
        let message = format!("`{op}` does not take {} and {}", a.ty.name(), b.ty.name());
        let error = CelError::new("wrong_type", expr.place, message);
        let mixed = a.ty.is_number() && b.ty.is_number() && op != "%";
        let Some(whole) = [a, b].into_iter().find(|side| side.ty == Type::Int).filter(|_| mixed)
        else {
            return error;
        };
        let instead = match self.compiler.graph.as_literal(whole.node) {
            Some(Literal::Int(v)) => format!("{v}.0"),
            _ => "double(..)".to_owned(),
        };
        let message = format!("{}, write `{instead}`", error.message);
        CelError { message, ..error }.instead(instead)
    }

    fn is_in(&mut self, place: Place, value: Typed, list: Typed) -> Typed {
        let Some(entry) = list.ty.entry() else {
            return self.wrong_type(place, format!("`in` looks in a list, not {}", list.ty.name()));
        };
        if !entry.compares(&value.ty) {
            let message = format!("{} is never in {}", value.ty.name(), list.ty.name());
            return self.wrong_type(place, message);
        }
        let node = match self.contained(&value, &list).or_else(|| self.held(&value, &list)) {
            Some(node) => node,
            None => self.compiler.graph.binary(Op::In, value.node, list.node),
        };
        Typed { node, ty: Type::Bool }
    }

    /// `slot in [literals]` as keys.
    fn contained(&mut self, value: &Typed, list: &Typed) -> Option<u32> {
        let node = self.compiler.graph.get(list.node);
        let entries = self.compiler.graph.args_of(node).to_vec();
        if node.op != Op::List || self.slot_side(value.node).is_none() {
            return None;
        }
        let mut all = Vec::new();
        for entry in entries {
            all.push(self.by_keys("==", value, &Typed { node: entry, ty: Type::Dyn })?);
        }
        // A value that is missing is missing, however short the list.
        if all.is_empty() {
            return None;
        }
        Some(self.compiler.graph.junction(Op::Or, &all))
    }

    /// `literal in slot`, of a slot that holds a list, as keys.
    pub fn held(&mut self, value: &Typed, list: &Typed) -> Option<u32> {
        let graph = &mut self.compiler.graph;
        let node = graph.get(list.node);
        let slot = u16::try_from(node.a).ok().filter(|_| node.op == Op::Slot)?;
        let kind = graph.kind(slot)?.entry()?;
        let bounds = keys_where(kind, "==", graph.as_literal(value.node)?)?;
        Some(graph.key(KeyDef { slot, absent: Absent::Fails, bounds }))
    }

    pub fn relation(&mut self, place: Place, op: &'static str, a: Typed, b: Typed) -> Typed {
        let equality = matches!(op, "==" | "!=");
        let ordered = !matches!(a.ty, Type::List(_)) && !matches!(b.ty, Type::List(_));
        if !a.ty.compares(&b.ty) || !(equality || ordered) {
            let message = format!("`{op}` does not take {} and {}", a.ty.name(), b.ty.name());
            return self.wrong_type(place, message);
        }
        let keys = self.by_keys(op, &a, &b).or_else(|| self.by_keys(mirrored(op), &b, &a));
        let graph = &mut self.compiler.graph;
        let node = keys.unwrap_or_else(|| match op {
            "==" => graph.binary(Op::Equal, a.node, b.node),
            "!=" => graph.binary(Op::Unequal, a.node, b.node),
            "<" => graph.binary(Op::Less, a.node, b.node),
            "<=" => graph.binary(Op::LessEqual, a.node, b.node),
            ">" => graph.binary(Op::Less, b.node, a.node),
            _ => graph.binary(Op::LessEqual, b.node, a.node),
        });
        Typed { node, ty: Type::Bool }
    }

    /// The slot that a node reads, and the literal that stands in where it is missing.
    fn slot_side(&self, node: u32) -> Option<(u16, Option<u32>)> {
        let graph = &self.compiler.graph;
        let node = graph.get(node);
        let (slot, default) = match node.op {
            Op::Slot => (node, None),
            Op::Default => (graph.get(node.a), Some(node.b)),
            _ => return None,
        };
        let slot = u16::try_from(slot.a).ok().filter(|_| slot.op == Op::Slot)?;
        graph.kind(slot)?.entry().is_none().then_some((slot, default))
    }

    /// `slot op literal` as keys, where keys can tell.
    pub fn by_keys(&mut self, op: &str, side: &Typed, literal: &Typed) -> Option<u32> {
        if let Some(node) = self.by_version(op, side.node, literal.node) {
            return Some(node);
        }
        let (slot, default) = self.slot_side(side.node)?;
        let graph = &mut self.compiler.graph;
        let value = graph.as_literal(literal.node)?;
        let bounds = keys_where(graph.kind(slot)?, op, value)?;
        let absent = match default {
            None => Absent::Fails,
            Some(default) => {
                let default = Typed { node: default, ty: side.ty.clone() };
                let op = ["==", "!=", "<", "<=", ">", ">="].into_iter().find(|o| *o == op)?;
                let literal = literal.clone();
                let node = self.relation(Place::default(), op, default, literal).node;
                match self.compiler.graph.get(node).op {
                    Op::True => Absent::True,
                    Op::False => Absent::False,
                    _ => return None,
                }
            }
        };
        Some(self.compiler.graph.key(KeyDef { slot, absent, bounds }))
    }

    fn by_version(&mut self, op: &str, side: u32, literal: u32) -> Option<u32> {
        let graph = &mut self.compiler.graph;
        let read: Node = graph.get(side);
        if read.op != Op::ToVersion || graph.get(literal).op != Op::Version {
            return None;
        }
        let text = graph.as_text(literal)?;
        let key = Version::parse(text).filter(Version::has_exact_key)?.key();
        let bounds = keys_where(Kind::Int, op, Literal::Int(key))?;
        let source = graph.get(read.a);
        let source = u16::try_from(source.a).ok().filter(|_| source.op == Op::Slot)?;
        let slot = graph.version_view(source);
        Some(graph.key(KeyDef { slot, absent: Absent::Fails, bounds }))
    }

    /// `has(path)`.
    pub fn has(&mut self, expr: &Expr) -> Typed {
        let Some(path) = expr.path() else {
            let message = "`has` takes a trait or a field, such as has(profile.tier)".to_owned();
            return self.error(CelError::new("wrong_arguments", expr.place, message));
        };
        match self.compiler.slots.get(&path).copied() {
            Some(slot) => {
                let graph = &mut self.compiler.graph;
                let list = graph.kind(slot.0).is_some_and(|kind| kind.entry().is_some());
                let node = if list {
                    // An empty list has no entry whose key could tell.
                    graph.has(slot.0)
                } else {
                    graph.key(KeyDef { slot: slot.0, absent: Absent::False, bounds: all_keys() })
                };
                Typed { node, ty: Type::Bool }
            }
            None => {
                let error = self.unknown(expr, &path);
                self.error(error)
            }
        }
    }
}

/// Why a constant has no value, in words.
fn reason(code: Code) -> &'static str {
    match code {
        Code::DivideByZero => "it divides by zero",
        Code::Overflow => "a number, time or length leaves its range",
        Code::NoSuchEntry => "the list has no such entry",
        Code::BadText => "the text cannot be read as what it should be",
        Code::TooCostly => "it takes too many steps",
        Code::NotFinite => "it is no finite number",
        _ => "an operator does not take these values",
    }
}
