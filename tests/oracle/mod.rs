//! A naive interpreter of conditions, written apart: its own tree, its own values, its own walk.
//! It shares no code with the core, tries every rule, and remembers nothing; what is wrong here
//! and there alike would have to be thought wrong twice.

pub mod generate;

use std::cmp::Ordering;
use std::collections::BTreeMap;

/// A value of an expression.
#[derive(Clone, Debug)]
pub enum V {
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(String),
    /// Milliseconds since 1970.
    Time(i64),
    /// Milliseconds.
    Span(i64),
    Version(String),
    List(Vec<V>),
}

/// An expression, as it is written.
#[derive(Clone, Debug)]
pub enum E {
    Literal(V),
    /// `profile.name`
    Slot(&'static str),
    Now,
    /// `trait('name', literal)`
    Default(&'static str, V),
    Has(&'static str),
    /// `semver(e)`
    Semver(Box<E>),
    Not(Box<E>),
    And(Vec<E>),
    Or(Vec<E>),
    If(Box<E>, Box<E>, Box<E>),
    Binary(&'static str, Box<E>, Box<E>),
    /// `e.contains(e)` and the like
    Method(&'static str, Box<E>, Box<E>),
    /// `e.matches(pattern)`, with what the pattern means
    Matches(Box<E>, Pattern),
    Size(Box<E>),
    /// `list.exists(x, e)` and the like, and the name of the variable
    Loop(&'static str, Box<E>, String, Box<E>),
    Variable(String),
    List(Vec<E>),
    Sets(&'static str, Box<E>, Box<E>),
    /// `double(e)`
    ToDouble(Box<E>),
    /// `inAudience(name)`
    Audience(usize),
}

/// A pattern, and the same as a function.
#[derive(Clone, Copy, Debug)]
pub struct Pattern {
    pub source: &'static str,
    pub means: fn(&str) -> bool,
}

/// Nothing to be told: a value is missing or wrong.
#[derive(Clone, Copy, Debug)]
pub struct Unknown;

/// Everything that an expression may look at.
pub struct World<'w> {
    pub facts: &'w BTreeMap<&'static str, V>,
    pub now: i64,
    pub audiences: &'w [E],
}

type Outcome = Result<V, Unknown>;

const EARLIEST: i64 = -62_135_596_800_000;
const LATEST: i64 = 253_402_300_799_999;
const LONGEST: i64 = 9_223_372_036_854;

impl World<'_> {
    pub fn holds(&self, e: &E) -> Result<bool, Unknown> {
        match self.eval(e, &mut Vec::new())? {
            V::Bool(v) => Ok(v),
            _ => Err(Unknown),
        }
    }

    pub fn eval(&self, e: &E, scope: &mut Vec<(String, V)>) -> Outcome {
        Ok(match e {
            E::Literal(v) => v.clone(),
            E::Slot(name) => self.facts.get(name).cloned().ok_or(Unknown)?,
            E::Now => V::Time(self.now),
            E::Default(name, v) => self.facts.get(name).cloned().unwrap_or_else(|| v.clone()),
            E::Has(name) => V::Bool(self.facts.contains_key(name)),
            E::Semver(e) => match self.eval(e, scope)? {
                V::Text(v) if numbers(&v).is_some() => V::Version(v),
                _ => return Err(Unknown),
            },
            E::Not(e) => match self.eval(e, scope)? {
                V::Bool(v) => V::Bool(!v),
                _ => return Err(Unknown),
            },
            E::And(all) => self.any(all, false, scope)?,
            E::Or(all) => self.any(all, true, scope)?,
            E::If(test, yes, no) => match self.eval(test, scope)? {
                V::Bool(true) => self.eval(yes, scope)?,
                V::Bool(false) => self.eval(no, scope)?,
                _ => return Err(Unknown),
            },
            E::Binary(op, a, b) => {
                let (a, b) = (self.eval(a, scope)?, self.eval(b, scope)?);
                binary(op, &a, &b)?
            }
            E::Method(name, a, b) => match (self.eval(a, scope)?, self.eval(b, scope)?) {
                (V::Text(a), V::Text(b)) => V::Bool(match *name {
                    "contains" => a.contains(&b),
                    "startsWith" => a.starts_with(&b),
                    _ => a.ends_with(&b),
                }),
                _ => return Err(Unknown),
            },
            E::Matches(e, pattern) => match self.eval(e, scope)? {
                V::Text(v) => V::Bool((pattern.means)(&v)),
                _ => return Err(Unknown),
            },
            E::Size(e) => V::Int(match self.eval(e, scope)? {
                V::Text(v) => v.chars().count() as i64,
                V::List(v) => v.len() as i64,
                _ => return Err(Unknown),
            }),
            E::Loop(name, list, variable, body) => {
                let V::List(list) = self.eval(list, scope)? else { return Err(Unknown) };
                let mut results = Vec::new();
                for entry in list {
                    scope.push((variable.clone(), entry));
                    results.push(self.eval(body, scope));
                    scope.pop();
                }
                match *name {
                    "exists" => decide(results, true)?,
                    "all" => decide(results, false)?,
                    _ => {
                        let mut count = 0;
                        for result in results {
                            let V::Bool(v) = result? else { return Err(Unknown) };
                            count += usize::from(v);
                        }
                        V::Bool(count == 1)
                    }
                }
            }
            E::Variable(name) => {
                let found = scope.iter().rev().find(|(known, _)| known == name);
                found.map(|(_, v)| v.clone()).ok_or(Unknown)?
            }
            E::List(entries) => {
                let entries: Result<Vec<V>, Unknown> =
                    entries.iter().map(|e| self.eval(e, scope)).collect();
                V::List(entries?)
            }
            E::Sets(name, a, b) => match (self.eval(a, scope)?, self.eval(b, scope)?) {
                (V::List(a), V::List(b)) => {
                    let within = |list: &[V], v: &V| list.iter().any(|e| equal(e, v));
                    V::Bool(match *name {
                        "intersects" => b.iter().any(|v| within(&a, v)),
                        "contains" => b.iter().all(|v| within(&a, v)),
                        _ => b.iter().all(|v| within(&a, v)) && a.iter().all(|v| within(&b, v)),
                    })
                }
                _ => return Err(Unknown),
            },
            E::ToDouble(e) => match self.eval(e, scope)? {
                V::Int(v) => V::Double(v as f64),
                V::Double(v) => V::Double(v),
                _ => return Err(Unknown),
            },
            E::Audience(which) => V::Bool(matches!(self.holds(&self.audiences[*which]), Ok(true))),
        })
    }

    fn any(&self, all: &[E], decisive: bool, scope: &mut Vec<(String, V)>) -> Outcome {
        decide(all.iter().map(|e| self.eval(e, scope)).collect(), decisive)
    }
}

/// `||` where `decisive` is true, else `&&`: over everything, since order plays no part.
fn decide(results: Vec<Outcome>, decisive: bool) -> Outcome {
    let is = |wanted: bool| move |r: &Outcome| matches!(r, Ok(V::Bool(v)) if *v == wanted);
    if results.iter().any(is(decisive)) {
        Ok(V::Bool(decisive))
    } else if results.iter().all(is(!decisive)) {
        Ok(V::Bool(!decisive))
    } else {
        Err(Unknown)
    }
}

fn binary(op: &str, a: &V, b: &V) -> Outcome {
    let order = || compare(a, b);
    Ok(match op {
        "==" => V::Bool(equal(a, b)),
        "!=" => V::Bool(!equal(a, b)),
        "<" => V::Bool(order()? == Some(Ordering::Less)),
        ">" => V::Bool(order()? == Some(Ordering::Greater)),
        "<=" => V::Bool(matches!(order()?, Some(Ordering::Less | Ordering::Equal))),
        ">=" => V::Bool(matches!(order()?, Some(Ordering::Greater | Ordering::Equal))),
        "in" => match b {
            V::List(list) => V::Bool(list.iter().any(|entry| equal(entry, a))),
            _ => return Err(Unknown),
        },
        _ => return arithmetic(op, a, b),
    })
}

fn arithmetic(op: &str, a: &V, b: &V) -> Outcome {
    let fits = |v: i128| i64::try_from(v).map_err(|_| Unknown);
    let within = |v: i128, from: i64, to: i64| {
        if v >= i128::from(from) && v <= i128::from(to) { fits(v) } else { Err(Unknown) }
    };
    Ok(match (a, b) {
        (V::Int(a), V::Int(b)) => {
            let (a, b) = (i128::from(*a), i128::from(*b));
            V::Int(fits(match op {
                "+" => a + b,
                "-" => a - b,
                "*" => a * b,
                _ if b == 0 => return Err(Unknown),
                "/" => a / b,
                "%" if fits(a / b).is_err() => return Err(Unknown),
                _ => a % b,
            })?)
        }
        (V::Double(a), V::Double(b)) => V::Double(match op {
            "+" => a + b,
            "-" => a - b,
            "*" => a * b,
            "/" => a / b,
            _ => return Err(Unknown),
        }),
        (V::Text(a), V::Text(b)) if op == "+" => V::Text(format!("{a}{b}")),
        (V::Time(a), V::Span(b)) if op == "+" => {
            V::Time(within(i128::from(*a) + i128::from(*b), EARLIEST, LATEST)?)
        }
        (V::Time(a), V::Span(b)) if op == "-" => {
            V::Time(within(i128::from(*a) - i128::from(*b), EARLIEST, LATEST)?)
        }
        (V::Time(a), V::Time(b)) if op == "-" => {
            V::Span(within(i128::from(*a) - i128::from(*b), -LONGEST, LONGEST)?)
        }
        _ => return Err(Unknown),
    })
}

fn equal(a: &V, b: &V) -> bool {
    match (a, b) {
        (V::List(a), V::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        _ => matches!(compare(a, b), Ok(Some(Ordering::Equal))),
    }
}

fn compare(a: &V, b: &V) -> Result<Option<Ordering>, Unknown> {
    Ok(match (a, b) {
        (V::Bool(a), V::Bool(b)) => Some(a.cmp(b)),
        (V::Int(a), V::Int(b)) | (V::Time(a), V::Time(b)) | (V::Span(a), V::Span(b)) => {
            Some(a.cmp(b))
        }
        (V::Double(a), V::Double(b)) => a.partial_cmp(b),
        (V::Int(a), V::Double(b)) => (*a as f64).partial_cmp(b),
        (V::Double(a), V::Int(b)) => a.partial_cmp(&(*b as f64)),
        (V::Text(a), V::Text(b)) => Some(a.chars().cmp(b.chars())),
        (V::Version(a), V::Version(b)) => {
            let (a, b) = (numbers(a).ok_or(Unknown)?, numbers(b).ok_or(Unknown)?);
            Some(a.cmp(&b))
        }
        _ => return Err(Unknown),
    })
}

/// A version as something that orders like it: numbers, then whether it is a release, then its
/// prerelease, of which the generator makes one identifier at most.
fn numbers(version: &str) -> Option<(Vec<u64>, bool, String)> {
    let version = version.strip_prefix('v').unwrap_or(version);
    let (numbers, prerelease) = match version.split_once('-') {
        Some((numbers, prerelease)) => (numbers, prerelease.to_owned()),
        None => (version, String::new()),
    };
    let mut parts = Vec::new();
    for part in numbers.split('.') {
        parts.push(part.parse().ok()?);
    }
    parts.resize(3, 0);
    Some((parts, prerelease.is_empty(), prerelease))
}

/// The expression in CEL.
pub fn source(e: &E) -> String {
    match e {
        E::Literal(v) => literal(v),
        E::Slot(name) => format!("profile.{name}"),
        E::Now => "now".to_owned(),
        E::Default(name, v) => format!("trait('{name}', {})", literal(v)),
        E::Has(name) => format!("has(profile.{name})"),
        E::Semver(e) => format!("semver({})", source(e)),
        E::Not(e) => format!("!({})", source(e)),
        E::And(all) => joined(all, " && "),
        E::Or(all) => joined(all, " || "),
        E::If(test, yes, no) => format!("({} ? {} : {})", source(test), source(yes), source(no)),
        E::Binary(op, a, b) => format!("({} {op} {})", source(a), source(b)),
        E::Method(name, a, b) => format!("{}.{name}({})", source(a), source(b)),
        E::Matches(e, pattern) => format!("{}.matches(r'{}')", source(e), pattern.source),
        E::Size(e) => format!("size({})", source(e)),
        E::Loop(name, list, variable, body) => {
            format!("{}.{name}({variable}, {})", source(list), source(body))
        }
        E::Variable(name) => name.clone(),
        E::List(entries) => {
            format!("[{}]", entries.iter().map(source).collect::<Vec<_>>().join(", "))
        }
        E::Sets(name, a, b) => format!("sets.{name}({}, {})", source(a), source(b)),
        E::ToDouble(e) => format!("double({})", source(e)),
        E::Audience(which) => format!("inAudience('a{which}')"),
    }
}

fn joined(all: &[E], by: &str) -> String {
    let all: Vec<String> = all
        .iter()
        .map(|e| match e {
            E::And(_) | E::Or(_) => format!("({})", source(e)),
            e => source(e),
        })
        .collect();
    all.join(by)
}

fn literal(v: &V) -> String {
    match v {
        V::Bool(v) => v.to_string(),
        V::Int(v) => v.to_string(),
        V::Double(v) => format!("{v:?}"),
        V::Text(v) | V::Version(v) => format!("'{v}'"),
        V::Time(v) => format!("timestamp({})", v / 1_000),
        V::Span(v) => format!("duration('{v}ms')"),
        V::List(v) => format!("[{}]", v.iter().map(literal).collect::<Vec<_>>().join(", ")),
    }
}
