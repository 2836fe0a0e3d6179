//! A naive interpreter of conditions, written apart: its own tree, its own values, its own walk.
//! It shares no code with the core, tries every rule, and remembers nothing; what is wrong here
//! and there alike would have to be thought wrong twice.

pub mod generate;
pub mod history;
mod source;

use std::cmp::Ordering;
use std::collections::BTreeMap;

pub use history::{Happened, Metric};
pub use source::source;

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
    /// `profile.name`, or the path as it stands where it has a dot.
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
    /// `count('Order Completed', days(30))` and the like
    History(Metric),
}

/// A pattern, and the same as a function.
#[derive(Clone, Copy, Debug)]
pub struct Pattern {
    pub source: &'static str,
    pub means: fn(&str) -> bool,
}

/// Nothing to be told: of what is missing and what is wrong either may be named.
#[derive(Clone, Copy, Debug)]
pub struct Unknown {
    pub missing: bool,
    pub wrong: bool,
}

const MISSING: Unknown = Unknown { missing: true, wrong: false };
const WRONG: Unknown = Unknown { missing: false, wrong: true };

impl Unknown {
    fn or(self, other: Self) -> Self {
        Self { missing: self.missing || other.missing, wrong: self.wrong || other.wrong }
    }
}

/// Everything that an expression may look at.
pub struct World<'w> {
    pub facts: &'w BTreeMap<&'static str, V>,
    pub now: i64,
    pub audiences: &'w [E],
    /// None where nothing of the profile may be read.
    pub events: Option<&'w [Happened]>,
}

type Outcome = Result<V, Unknown>;

const EARLIEST: i64 = -62_135_596_800_000;
const LATEST: i64 = 253_402_300_799_999;
const LONGEST: i64 = 9_223_372_036_854;

impl World<'_> {
    pub fn holds(&self, e: &E) -> Result<bool, Unknown> {
        match self.eval(e, &mut Vec::new())? {
            V::Bool(v) => Ok(v),
            _ => Err(WRONG),
        }
    }

    pub fn eval(&self, e: &E, scope: &mut Vec<(String, V)>) -> Outcome {
        Ok(match e {
            E::Literal(v) => v.clone(),
            E::Slot(name) => self.facts.get(name).cloned().ok_or(MISSING)?,
            E::Now => V::Time(self.now),
            E::Default(name, v) => self.facts.get(name).cloned().unwrap_or_else(|| v.clone()),
            E::Has(name) => V::Bool(self.facts.contains_key(name)),
            E::Semver(e) => match self.eval(e, scope)? {
                V::Text(v) if numbers(&v).is_some() => V::Version(v),
                _ => return Err(WRONG),
            },
            E::Not(e) => match self.eval(e, scope)? {
                V::Bool(v) => V::Bool(!v),
                _ => return Err(WRONG),
            },
            E::And(all) => self.any(all, false, scope)?,
            E::Or(all) => self.any(all, true, scope)?,
            E::If(test, yes, no) => match self.eval(test, scope)? {
                V::Bool(true) => self.eval(yes, scope)?,
                V::Bool(false) => self.eval(no, scope)?,
                _ => return Err(WRONG),
            },
            E::Binary(op, a, b) => {
                let (a, b) = self.both(a, b, scope)?;
                binary(op, &a, &b)?
            }
            E::Method(name, a, b) => match self.both(a, b, scope)? {
                (V::Text(a), V::Text(b)) => V::Bool(match *name {
                    "contains" => a.contains(&b),
                    "startsWith" => a.starts_with(&b),
                    _ => a.ends_with(&b),
                }),
                _ => return Err(WRONG),
            },
            E::Matches(e, pattern) => match self.eval(e, scope)? {
                V::Text(v) => V::Bool((pattern.means)(&v)),
                _ => return Err(WRONG),
            },
            E::Size(e) => V::Int(match self.eval(e, scope)? {
                V::Text(v) => v.chars().count() as i64,
                V::List(v) => v.len() as i64,
                _ => return Err(WRONG),
            }),
            E::Loop(name, list, variable, body) => {
                let V::List(list) = self.eval(list, scope)? else { return Err(WRONG) };
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
                        let count = booleans(results)?.into_iter().filter(|v| *v).count();
                        V::Bool(count == 1)
                    }
                }
            }
            E::Variable(name) => {
                let found = scope.iter().rev().find(|(known, _)| known == name);
                found.map(|(_, v)| v.clone()).ok_or(WRONG)?
            }
            E::List(entries) => {
                let mut all = Ok(Vec::new());
                for result in entries.iter().map(|e| self.eval(e, scope)) {
                    all = match (all, result) {
                        (Ok(mut all), Ok(v)) => {
                            all.push(v);
                            Ok(all)
                        }
                        (Err(a), Err(b)) => Err(a.or(b)),
                        (Err(e), _) | (_, Err(e)) => Err(e),
                    };
                }
                V::List(all?)
            }
            E::Sets(name, a, b) => match self.both(a, b, scope)? {
                (V::List(a), V::List(b)) => {
                    let within = |list: &[V], v: &V| list.iter().any(|e| equal(e, v));
                    V::Bool(match *name {
                        "intersects" => b.iter().any(|v| within(&a, v)),
                        "contains" => b.iter().all(|v| within(&a, v)),
                        _ => b.iter().all(|v| within(&a, v)) && a.iter().all(|v| within(&b, v)),
                    })
                }
                _ => return Err(WRONG),
            },
            E::ToDouble(e) => match self.eval(e, scope)? {
                V::Int(v) => V::Double(v as f64),
                V::Double(v) => V::Double(v),
                _ => return Err(WRONG),
            },
            E::History(metric) => {
                let events = self.events.ok_or(MISSING)?;
                metric.value(events, self.now).ok_or(MISSING)?
            }
            E::Audience(which) => V::Bool(matches!(self.holds(&self.audiences[*which]), Ok(true))),
        })
    }

    /// Two operands; where both are unknown, either may be told.
    fn both(&self, a: &E, b: &E, scope: &mut Vec<(String, V)>) -> Result<(V, V), Unknown> {
        match (self.eval(a, scope), self.eval(b, scope)) {
            (Ok(a), Ok(b)) => Ok((a, b)),
            (Err(a), Err(b)) => Err(a.or(b)),
            (Err(e), _) | (_, Err(e)) => Err(e),
        }
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
    } else {
        booleans(results).map(|_| V::Bool(!decisive))
    }
}

/// All of them, or why not: any of the reasons that there are.
fn booleans(results: Vec<Outcome>) -> Result<Vec<bool>, Unknown> {
    let mut all = Ok(Vec::new());
    for result in results {
        all = match (all, result) {
            (Ok(mut all), Ok(V::Bool(v))) => {
                all.push(v);
                Ok(all)
            }
            (Ok(_), Ok(_)) => Err(WRONG),
            (Ok(_), Err(e)) => Err(e),
            (Err(all), Ok(V::Bool(_))) => Err(all),
            (Err(all), Ok(_)) => Err(all.or(WRONG)),
            (Err(all), Err(e)) => Err(all.or(e)),
        };
    }
    all
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
            _ => return Err(WRONG),
        },
        _ => return arithmetic(op, a, b),
    })
}

fn arithmetic(op: &str, a: &V, b: &V) -> Outcome {
    let fits = |v: i128| i64::try_from(v).map_err(|_| WRONG);
    let within = |v: i128, from: i64, to: i64| {
        if v >= i128::from(from) && v <= i128::from(to) { fits(v) } else { Err(WRONG) }
    };
    Ok(match (a, b) {
        (V::Int(a), V::Int(b)) => {
            let (a, b) = (i128::from(*a), i128::from(*b));
            V::Int(fits(match op {
                "+" => a + b,
                "-" => a - b,
                "*" => a * b,
                _ if b == 0 => return Err(WRONG),
                "/" => a / b,
                "%" if fits(a / b).is_err() => return Err(WRONG),
                _ => a % b,
            })?)
        }
        (V::Double(a), V::Double(b)) => V::Double(match op {
            "+" => a + b,
            "-" => a - b,
            "*" => a * b,
            "/" => a / b,
            _ => return Err(WRONG),
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
        _ => return Err(WRONG),
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
            let (a, b) = (numbers(a).ok_or(WRONG)?, numbers(b).ok_or(WRONG)?);
            Some(a.cmp(&b))
        }
        _ => return Err(WRONG),
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
