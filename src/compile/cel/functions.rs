//! The functions and macros of conditions. It must never know operators.

use super::ast::{Call, Expr, Form};
use super::check::{Checker, Typed};
use super::error::{CelError, Place, closest};
use super::keys::{Absent, KeyDef, Literal, combine, keys_where};
use super::regex;
use super::schema::History;
use super::types::Type;
use crate::rule::draft::{
    Kind, Op, duration_in_range, format_duration, format_time, parse_duration, part_named,
    to_double,
};

/// Names that are called by themselves.
const FUNCTIONS: [&str; 29] = [
    "size",
    "has",
    "int",
    "double",
    "string",
    "bool",
    "dyn",
    "timestamp",
    "duration",
    "semver",
    "now",
    "inAudience",
    "trait",
    "count",
    "sum",
    "min",
    "max",
    "first",
    "last",
    "distinct",
    "recency",
    "streak",
    "weeks",
    "days",
    "hours",
    "minutes",
    "seconds",
    "matches",
    "milliseconds",
];

/// Names that are called on a value.
const METHODS: [&str; 20] = [
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "exists",
    "all",
    "exists_one",
    "filter",
    "map",
    "getFullYear",
    "getMonth",
    "getDayOfYear",
    "getDayOfMonth",
    "getDate",
    "getDayOfWeek",
    "getHours",
    "getMinutes",
    "getSeconds",
    "getMilliseconds",
];

const SETS: [&str; 3] = ["contains", "intersects", "equivalent"];

impl Checker<'_> {
    pub(super) fn call(&mut self, expr: &Expr, call: &Call) -> Typed {
        let Some(target) = &call.target else { return self.function(expr, call) };
        let is_sets = matches!(&target.form, Form::Name(name) if name == "sets");
        if is_sets && !self.scope.iter().any(|(name, _)| name == "sets") {
            return self.sets(expr, call);
        }
        match call.name.as_str() {
            "exists" | "all" | "exists_one" | "filter" | "map" => self.macro_call(call, target),
            "contains" | "startsWith" | "endsWith" => self.text_test(expr, call, target),
            "matches" => match call.args.as_slice() {
                [pattern] => self.matches(target, pattern),
                _ => self.arity(expr, call, "a pattern"),
            },
            "size" if call.args.is_empty() => self.size(target),
            name => match part_named(name) {
                Some(part) => self.part(expr, call, target, part),
                None => {
                    self.expr(target);
                    self.unknown_function(call, &METHODS)
                }
            },
        }
    }

    fn unknown_function(&mut self, call: &Call, known: &[&str]) -> Typed {
        for arg in &call.args {
            self.expr(arg);
        }
        let message = format!("unknown function `{}`", call.name);
        let suggestion = closest(&call.name, known.iter().copied());
        let error = CelError::new("unknown_function", call.name_place, message);
        self.error(error.suggest(suggestion))
    }

    fn arity(&mut self, expr: &Expr, call: &Call, takes: &str) -> Typed {
        let message = format!("`{}` takes {takes}", call.name);
        self.error(CelError::new("wrong_arguments", expr.place, message))
    }

    fn function(&mut self, expr: &Expr, call: &Call) -> Typed {
        let name = call.name.as_str();
        match (name, call.args.as_slice()) {
            ("size", [of]) => self.size(of),
            ("matches", [of, pattern]) => self.matches(of, pattern),
            ("has", [of]) => self.has(of),
            ("now", []) => self.now(),
            ("dyn", [of]) => Typed { ty: Type::Dyn, ..self.expr(of) },
            ("int" | "double" | "string" | "bool" | "timestamp" | "duration" | "semver", [of]) => {
                self.conversion(expr, name, of)
            }
            ("weeks" | "days" | "hours" | "minutes" | "seconds" | "milliseconds", [of]) => {
                self.length(name, of)
            }
            ("inAudience", [of]) => self.in_audience(of),
            ("trait", [of]) => self.trait_by_name(of, None),
            ("trait", [of, default]) => self.trait_by_name(of, Some(default)),
            _ => match history_named(name) {
                Some((kind, takes_property)) => self.history(expr, call, kind, takes_property),
                None if FUNCTIONS.contains(&name) => {
                    let takes = match name {
                        "now" => "nothing",
                        "trait" => "the name of a trait, and what stands in where it is missing",
                        "matches" => "a text and a pattern",
                        _ => "one value",
                    };
                    self.arity(expr, call, takes)
                }
                None if METHODS.contains(&name) => {
                    let message = format!("`{name}` is called on a value: x.{name}(..)");
                    self.error(CelError::new("wrong_arguments", call.name_place, message))
                }
                None => self.unknown_function(call, &FUNCTIONS),
            },
        }
    }

    fn size(&mut self, of: &Expr) -> Typed {
        let typed = self.expr(of);
        match typed.ty {
            Type::Text | Type::List(_) | Type::Dyn => {
                Typed { node: self.compiler.graph.unary(Op::Size, typed.node, 0), ty: Type::Int }
            }
            ty => self.wrong_type(of.place, format!("{} has no size", ty.name())),
        }
    }

    fn text_test(&mut self, expr: &Expr, call: &Call, target: &Expr) -> Typed {
        let text = self.expr(target);
        let [part] = call.args.as_slice() else { return self.arity(expr, call, "one string") };
        let part_place = part.place;
        let part = self.expr(part);
        if matches!(text.ty, Type::List(_)) && call.name == "contains" {
            let message = "`contains` looks in a string; of a list, write `x in list`".to_owned();
            return self.wrong_type(call.name_place, message);
        }
        for (typed, place) in [(&text, target.place), (&part, part_place)] {
            if !typed.ty.fits(&Type::Text) {
                let message = format!("`{}` takes strings, this is {}", call.name, typed.ty.name());
                return self.wrong_type(place, message);
            }
        }
        let op = match call.name.as_str() {
            "contains" => Op::Contains,
            "startsWith" => Op::StartsWith,
            _ => Op::EndsWith,
        };
        Typed { node: self.compiler.graph.binary(op, text.node, part.node), ty: Type::Bool }
    }

    fn matches(&mut self, target: &Expr, pattern: &Expr) -> Typed {
        let text = self.expr(target);
        let typed = self.expr(pattern);
        if !text.ty.fits(&Type::Text) {
            let message = format!("`matches` takes a string, this is {}", text.ty.name());
            return self.wrong_type(target.place, message);
        }
        let Some(source) = self.compiler.graph.as_text(typed.node) else {
            let message = "a pattern is a literal string, so that it is checked when published";
            return self.error(CelError::new("bad_pattern", pattern.place, message.to_owned()));
        };
        match regex::compile(source) {
            Ok(program) => {
                let node = self.compiler.graph.pattern(text.node, program);
                Typed { node, ty: Type::Bool }
            }
            Err(error) => {
                // Inside of a plain literal the byte of the pattern is the byte of the source.
                let plain = pattern.place.len == source.len() + 2;
                let inside = Place { offset: pattern.place.offset + 1 + error.offset, len: 1 };
                let place = if plain { inside } else { pattern.place };
                let message = format!("bad pattern: {}", error.message);
                self.error(CelError::new("bad_pattern", place, message))
            }
        }
    }

    fn macro_call(&mut self, call: &Call, target: &Expr) -> Typed {
        let list = self.expr(target);
        let Some(entry) = list.ty.entry() else {
            let message = format!("`{}` goes through a list, not {}", call.name, list.ty.name());
            return self.wrong_type(target.place, message);
        };
        let (variable, test, mapped) = match (call.name.as_str(), call.args.as_slice()) {
            ("map", [variable, mapped]) => (variable, None, Some(mapped)),
            ("map", [variable, test, mapped]) => (variable, Some(test), Some(mapped)),
            (name, [variable, test]) if name != "map" => (variable, Some(test), None),
            _ => return self.arity(target, call, "a variable and an expression"),
        };
        let Form::Name(name) = &variable.form else {
            let message =
                format!("the first argument of `{}` is the name of a variable", call.name);
            return self.error(CelError::new("wrong_arguments", variable.place, message));
        };
        self.scope.push((name.clone(), entry.clone()));
        let test = test.map(|test| self.condition(test, &format!("`{}`", call.name)));
        let mapped = mapped.map(|mapped| self.expr(mapped));
        self.scope.pop();
        let graph = &mut self.compiler.graph;
        let (node, ty) = match (call.name.as_str(), test, mapped) {
            ("map", test, Some(mapped)) => {
                let list = test.map_or(list.node, |test| graph.binary(Op::Filter, list.node, test));
                (graph.binary(Op::Map, list, mapped.node), Type::list(mapped.ty))
            }
            ("filter", Some(test), _) => (graph.binary(Op::Filter, list.node, test), list.ty),
            ("exists_one", Some(test), _) => {
                (graph.binary(Op::ExistsOne, list.node, test), Type::Bool)
            }
            ("all", Some(test), _) => (graph.binary(Op::All, list.node, test), Type::Bool),
            (_, Some(test), _) => match self.some_entry(&list, test) {
                Some(node) => (node, Type::Bool),
                None => (self.compiler.graph.binary(Op::Exists, list.node, test), Type::Bool),
            },
            _ => (graph.bool(false), Type::Bool),
        };
        Typed { node, ty }
    }

    /// `list.exists(x, x == literal)` and `list.exists(x, x in [literals])` as keys.
    fn some_entry(&mut self, list: &Typed, test: u32) -> Option<u32> {
        let graph = &self.compiler.graph;
        let test = graph.get(test);
        let is_variable = |node: u32| graph.get(node).op == Op::Local && graph.get(node).a == 0;
        let literals = match test.op {
            Op::Equal if is_variable(test.a) => vec![test.b],
            Op::Equal if is_variable(test.b) => vec![test.a],
            Op::In if is_variable(test.a) && graph.get(test.b).op == Op::List => {
                graph.args_of(graph.get(test.b)).to_vec()
            }
            _ => return None,
        };
        self.some_of(list, &literals)
    }

    /// Whether a slot's list holds any of the literals, as keys.
    fn some_of(&mut self, list: &Typed, literals: &[u32]) -> Option<u32> {
        let graph = &mut self.compiler.graph;
        let node = graph.get(list.node);
        let slot = u16::try_from(node.a).ok().filter(|_| node.op == Op::Slot)?;
        let kind = graph.kind(slot)?.entry()?;
        let mut bounds = Vec::new();
        for literal in literals {
            let one = keys_where(kind, "==", graph.as_literal(*literal)?)?;
            bounds = combine(&bounds, &one, false);
        }
        Some(graph.key(KeyDef { slot, absent: Absent::Fails, bounds }))
    }

    fn sets(&mut self, expr: &Expr, call: &Call) -> Typed {
        if !SETS.contains(&call.name.as_str()) {
            return self.unknown_function(call, &SETS);
        }
        let [a, b] = call.args.as_slice() else { return self.arity(expr, call, "two lists") };
        let mut typed = Vec::new();
        for list in [a, b] {
            let of = self.expr(list);
            if of.ty.entry().is_none() {
                let message = format!("sets are lists, this is {}", of.ty.name());
                return self.wrong_type(list.place, message);
            }
            typed.push(of);
        }
        let [a, b] = typed.as_slice() else { return self.arity(expr, call, "two lists") };
        if !a.ty.compares(&b.ty) {
            let message = format!("{} and {} share nothing", a.ty.name(), b.ty.name());
            return self.wrong_type(expr.place, message);
        }
        let graph = &self.compiler.graph;
        let literals = |typed: &Typed| {
            let node = graph.get(typed.node);
            (node.op == Op::List).then(|| graph.args_of(node).to_vec())
        };
        let (in_a, in_b) = (literals(a), literals(b));
        let node = match call.name.as_str() {
            "intersects" => {
                let by_b = in_b.and_then(|literals| self.some_of(a, &literals));
                by_b.or_else(|| in_a.and_then(|literals| self.some_of(b, &literals)))
                    .unwrap_or_else(|| {
                        self.compiler.graph.binary(Op::SetIntersects, a.node, b.node)
                    })
            }
            "contains" => {
                let all = in_b.filter(|literals| !literals.is_empty()).and_then(|literals| {
                    literals.iter().map(|one| self.some_of(a, &[*one])).collect::<Option<Vec<_>>>()
                });
                match all {
                    Some(all) => self.compiler.graph.junction(Op::And, &all),
                    None => self.compiler.graph.binary(Op::SetContains, a.node, b.node),
                }
            }
            _ => {
                let graph = &mut self.compiler.graph;
                let one = graph.binary(Op::SetContains, a.node, b.node);
                let other = graph.binary(Op::SetContains, b.node, a.node);
                graph.junction(Op::And, &[one, other])
            }
        };
        Typed { node, ty: Type::Bool }
    }

    fn conversion(&mut self, expr: &Expr, to: &str, of: &Expr) -> Typed {
        let typed = self.expr(of);
        let (op, ty) = match to {
            "int" => (Op::ToInt, Type::Int),
            "double" => (Op::ToDouble, Type::Double),
            "string" => (Op::ToText, Type::Text),
            "bool" => (Op::ToBool, Type::Bool),
            "timestamp" => (Op::ToTimestamp, Type::Timestamp),
            "duration" => (Op::ToDuration, Type::Duration),
            _ => (Op::ToVersion, Type::Version),
        };
        if let Some(node) = self.literal_conversion(op, &typed, of) {
            return Typed { node, ty };
        }
        let known = match (op, &typed.ty) {
            (_, Type::Dyn) => true,
            (_, from) if *from == ty => true,
            (Op::ToInt, from) => matches!(from, Type::Double | Type::Text | Type::Timestamp),
            (Op::ToDouble, from) => *from == Type::Int,
            (Op::ToText, from) => matches!(from, Type::Int | Type::Bool | Type::Version),
            (Op::ToTimestamp, from) => matches!(from, Type::Text | Type::Int),
            (Op::ToVersion, from) => *from == Type::Text,
            _ => false,
        };
        if !known {
            let literal_only = matches!(
                (op, &typed.ty),
                (Op::ToDouble | Op::ToBool | Op::ToDuration, Type::Text)
                    | (Op::ToText, Type::Double | Type::Timestamp | Type::Duration)
            );
            let from = typed.ty.name();
            let message = if literal_only {
                format!("`{to}` takes {from} only as a literal, which is converted when published")
            } else {
                format!("`{to}` does not take {from}")
            };
            return self.wrong_type(expr.place, message);
        }
        Typed { node: self.compiler.graph.unary(op, typed.node, 0), ty }
    }

    /// Conversions whose code is too large for a page, of literals.
    fn literal_conversion(&mut self, op: Op, typed: &Typed, of: &Expr) -> Option<u32> {
        let graph = &mut self.compiler.graph;
        if op == Op::ToText {
            let text = match graph.as_literal(typed.node)? {
                Literal::Double(v) => format_double(v),
                Literal::Timestamp(v) => format_time(v),
                Literal::Duration(v) => format_duration(v),
                _ => return None,
            };
            return Some(graph.text(Op::Text, &text));
        }
        let text = graph.as_text(typed.node)?.to_owned();
        let (node, what) = match op {
            Op::ToDouble => (text.parse().ok().map(|v| graph.double(v)), "number"),
            Op::ToBool => (bool_of(&text).map(|v| graph.bool(v)), "bool"),
            Op::ToDuration => {
                let ms = parse_duration(&text);
                (ms.map(|ms| graph.int(Op::Duration, ms)), "duration in milliseconds and up")
            }
            _ => return None,
        };
        Some(node.unwrap_or_else(|| {
            let message = format!("`{}` is no {what}", text.escape_debug());
            self.error(CelError::new("bad_literal", of.place, message)).node
        }))
    }

    /// `days(30)`.
    fn length(&mut self, unit: &str, of: &Expr) -> Typed {
        let typed = self.expr(of);
        let unit_ms = match unit {
            "weeks" => 7 * 86_400_000,
            "days" => 86_400_000,
            "hours" => 3_600_000,
            "minutes" => 60_000,
            "seconds" => 1_000,
            _ => 1,
        };
        let Some(Literal::Int(count)) = self.compiler.graph.as_literal(typed.node) else {
            let message = format!("`{unit}` takes a whole number that is written out");
            return self.error(CelError::new("wrong_arguments", of.place, message));
        };
        match count.checked_mul(unit_ms).and_then(duration_in_range) {
            Some(ms) => {
                Typed { node: self.compiler.graph.int(Op::Duration, ms), ty: Type::Duration }
            }
            None => {
                let message = "this length of time is out of range".to_owned();
                self.error(CelError::new("bad_literal", of.place, message))
            }
        }
    }

    fn part(&mut self, expr: &Expr, call: &Call, target: &Expr, part: u32) -> Typed {
        let typed = self.expr(target);
        let offset = match call.args.as_slice() {
            [] => Some(0),
            [zone] => {
                let typed = self.expr(zone);
                let offset = self.compiler.graph.as_text(typed.node).and_then(offset_minutes);
                if offset.is_none() {
                    let message = "a time zone is `UTC` or a literal such as `+02:00`".to_owned();
                    return self.error(CelError::new("bad_literal", zone.place, message));
                }
                offset
            }
            _ => None,
        };
        let Some(offset) = offset else { return self.arity(expr, call, "at most a time zone") };
        let known = match typed.ty {
            Type::Timestamp | Type::Dyn => true,
            Type::Duration => part >= 6 && call.args.is_empty(),
            _ => false,
        };
        if !known {
            let message = format!("`{}` does not take {}", call.name, typed.ty.name());
            return self.wrong_type(expr.place, message);
        }
        let how = part + 16 * u32::try_from(offset + 1_440).unwrap_or(0);
        Typed { node: self.compiler.graph.unary(Op::Part, typed.node, how), ty: Type::Int }
    }

    /// The text of an argument that has to be written out.
    fn literal_text(&mut self, of: &Expr, what: &str) -> Option<String> {
        let typed = self.expr(of);
        let text = self.compiler.graph.as_text(typed.node).map(str::to_owned);
        if text.is_none() {
            let message = format!("{what} is written out as a string");
            self.error(CelError::new("wrong_arguments", of.place, message));
        }
        text
    }

    fn in_audience(&mut self, of: &Expr) -> Typed {
        let Some(name) = self.literal_text(of, "the name of an audience") else {
            return Typed { node: self.compiler.graph.bool(false), ty: Type::Bool };
        };
        match self.compiler.audience_node(&name) {
            Ok(node) => {
                let node = self.compiler.graph.unary(Op::Holds, node, 0);
                Typed { node, ty: Type::Bool }
            }
            Err(mut error) => {
                (error.offset, error.len) = (of.place.offset, of.place.len);
                self.error(error)
            }
        }
    }

    fn trait_by_name(&mut self, of: &Expr, default: Option<&Expr>) -> Typed {
        let Some(name) = self.literal_text(of, "the name of a trait") else {
            return Typed { node: self.compiler.graph.bool(false), ty: Type::Dyn };
        };
        let path = format!("profile.{name}");
        let Some(slot) = self.compiler.slots.get(&path).copied() else {
            let error = self.unknown(of, &path);
            let (offset, len) = (of.place.offset, of.place.len);
            return self.error(CelError { offset, len, ..error });
        };
        let slot = self.slot(slot.0);
        let Some(default) = default else { return slot };
        let place = default.place;
        let mut default = self.expr(default);
        if slot.ty == Type::Double
            && let Some(Literal::Int(v)) = self.compiler.graph.as_literal(default.node)
        {
            default = Typed { node: self.compiler.graph.double(to_double(v)), ty: Type::Double };
        }
        if !slot.ty.fits(&default.ty) {
            let message = format!("`{path}` is {}, not {}", slot.ty.name(), default.ty.name());
            return self.wrong_type(place, message);
        }
        let node = self.compiler.graph.binary(Op::Default, slot.node, default.node);
        Typed { node, ty: slot.ty }
    }

    fn history(&mut self, expr: &Expr, call: &Call, kind: History, takes_property: bool) -> Typed {
        let takes = match (kind, takes_property) {
            (History::Count, _) => "an event, and how far back",
            (_, true) => "an event, a property, and how far back",
            _ => "an event",
        };
        let (event, property, window) = match (call.args.as_slice(), takes_property) {
            ([event], false) => (event, None, None),
            ([event, window], false) if kind == History::Count => (event, None, Some(window)),
            ([event, property], true) => (event, Some(property), None),
            ([event, property, window], true) => (event, Some(property), Some(window)),
            _ => return self.arity(expr, call, takes),
        };
        let event_place = event.place;
        let event = self.literal_text(event, "the name of an event");
        let property_place = property.map(|property| property.place);
        let property =
            property.map(|property| self.literal_text(property, "the name of a property"));
        let window = match window {
            None => Some(None),
            Some(window) => self.window(window).map(Some),
        };
        let nothing = Typed { node: self.compiler.graph.bool(false), ty: Type::Dyn };
        let (Some(event), Some(window)) = (event, window) else { return nothing };
        let Some(properties) = self.compiler.events.get(&event) else {
            let known = self.compiler.events.keys().map(String::as_str);
            let suggestion = closest(&event, known);
            let message = format!("unknown event `{event}`");
            let error = CelError::new("unknown_event", event_place, message).suggest(suggestion);
            return self.error(error);
        };
        let mut value = match kind {
            History::Recency => Kind::Duration,
            _ => Kind::Int,
        };
        let property = match property {
            None => None,
            Some(None) => return nothing,
            Some(Some(property)) => {
                let place = property_place.unwrap_or(event_place);
                let Some(found) = properties.get(&property).copied() else {
                    let suggestion = closest(&property, properties.keys().map(String::as_str));
                    let message = format!("unknown property `{property}` of event `{event}`");
                    let error = CelError::new("unknown_property", place, message);
                    return self.error(error.suggest(suggestion));
                };
                let numbers = matches!(kind, History::Sum | History::Min | History::Max);
                if numbers && !matches!(found, Kind::Int | Kind::Double) {
                    let ty = Type::from(found).name();
                    let message = format!("`{}` takes a number, `{property}` is {ty}", call.name);
                    return self.wrong_type(place, message);
                }
                if kind != History::Distinct {
                    value = found;
                }
                Some(property)
            }
        };
        let slot = self.compiler.computed_slot(kind, event, property, window, value);
        self.slot(slot.0)
    }

    /// A sliding window in milliseconds.
    fn window(&mut self, of: &Expr) -> Option<i64> {
        let typed = self.expr(of);
        let message = match self.compiler.graph.as_literal(typed.node) {
            Some(Literal::Duration(ms)) if ms > 0 => return Some(ms),
            Some(Literal::Duration(_)) => "a window is longer than nothing",
            _ => "a window is a length of time that is written out, such as days(30)",
        };
        self.error(CelError::new("wrong_arguments", of.place, message.to_owned()));
        None
    }
}

fn history_named(name: &str) -> Option<(History, bool)> {
    Some(match name {
        "count" => (History::Count, false),
        "recency" => (History::Recency, false),
        "streak" => (History::Streak, false),
        "sum" => (History::Sum, true),
        "min" => (History::Min, true),
        "max" => (History::Max, true),
        "first" => (History::First, true),
        "last" => (History::Last, true),
        "distinct" => (History::Distinct, true),
        _ => return None,
    })
}

/// As CEL reads bools.
fn bool_of(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" | "t" | "1" => Some(true),
        "false" | "False" | "FALSE" | "f" | "0" => Some(false),
        _ => None,
    }
}

/// `UTC`, `+02:00`, `-09:30`, `02:00`.
fn offset_minutes(zone: &str) -> Option<i32> {
    if zone == "UTC" || zone == "Z" {
        return Some(0);
    }
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    let (hours, minutes) = zone.strip_prefix(['+', '-']).unwrap_or(zone).split_once(':')?;
    let number = |text: &str, below: i32| {
        let plain = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
        text.parse::<i32>().ok().filter(|v| plain && *v < below)
    };
    Some(sign * (60 * number(hours, 24)? + number(minutes, 60)?))
}

/// As CEL writes doubles: the shortest text that reads as the same.
fn format_double(v: f64) -> String {
    let magnitude = v.abs();
    if v == 0.0 || (1e-6..1e21).contains(&magnitude) || !v.is_finite() {
        match v {
            v if v.is_nan() => "NaN".to_owned(),
            v if v == f64::INFINITY => "+Inf".to_owned(),
            v if v == f64::NEG_INFINITY => "-Inf".to_owned(),
            v => format!("{v}"),
        }
    } else {
        let text = format!("{v:e}");
        match text.split_once('e') {
            Some((digits, power)) => {
                let (sign, power) = power.strip_prefix('-').map_or(("+", power), |p| ("-", p));
                format!("{digits}e{sign}{power:0>2}")
            }
            None => text,
        }
    }
}
