//! Predicates over one slot as sets of keys, while they are put together. A set is the ascending
//! list of keys where it begins and ends to hold; an odd number means that it goes on for ever.
//! It must never know an expression.

use crate::rule::draft::{Kind, Node, Op, double_key, to_double, to_int};

/// What a predicate comes to where its slot holds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Absent {
    /// It cannot be told.
    Fails,
    False,
    True,
}

/// A predicate over one slot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct KeyDef {
    pub slot: u16,
    pub absent: Absent,
    pub bounds: Vec<i64>,
}

/// A literal that a slot's keys can be compared with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Literal {
    Bool(bool),
    Int(i64),
    Double(f64),
    /// The number of a symbol plus one.
    Text(i64),
    Timestamp(i64),
    Duration(i64),
}

/// The keys from `start` up to, but without, `end`.
fn stretch(start: i128, end: i128) -> Vec<i64> {
    if start >= end {
        return Vec::new();
    }
    [start, end].into_iter().filter_map(|bound| i64::try_from(bound).ok()).collect()
}

const FIRST: i128 = i64::MIN as i128;
/// One beyond the last key.
const BEYOND: i128 = i64::MAX as i128 + 1;
/// Integers from here on are not told apart as doubles, so comparing them with one is not the
/// same as comparing their keys.
const EXACT: f64 = 9_007_199_254_740_991.0;

/// The keys for which `slot op literal` holds, where keys can tell.
pub(super) fn keys_where(kind: Kind, op: &str, literal: Literal) -> Option<Vec<i64>> {
    let mut last = BEYOND;
    let key: i128 = match (kind, literal) {
        (Kind::Bool, Literal::Bool(v)) => i128::from(v),
        (Kind::Int, Literal::Int(v))
        | (Kind::Timestamp, Literal::Timestamp(v))
        | (Kind::Duration, Literal::Duration(v))
        | (Kind::String, Literal::Text(v)) => i128::from(v),
        (Kind::Int, Literal::Double(v)) => return whole_keys_where(op, v),
        (Kind::Double, Literal::Double(v)) if v.is_nan() => {
            return Some(if op == "!=" { stretch(FIRST, BEYOND) } else { Vec::new() });
        }
        (Kind::Double, Literal::Double(_) | Literal::Int(_)) => {
            // NaN, which has the last key, is in no order.
            last = i128::from(double_key(f64::INFINITY)) + 1;
            i128::from(double_key(match literal {
                Literal::Double(v) => v,
                Literal::Int(v) => to_double(v),
                _ => return None,
            }))
        }
        _ => return None,
    };
    let ordered = kind != Kind::String;
    Some(match op {
        "==" => stretch(key, key + 1),
        "!=" => complement(&stretch(key, key + 1)),
        "<" if ordered => stretch(FIRST, key),
        "<=" if ordered => stretch(FIRST, key + 1),
        ">" if ordered => stretch(key + 1, last),
        ">=" if ordered => stretch(key, last),
        _ => return None,
    })
}

/// The same of an integer slot and a double.
fn whole_keys_where(op: &str, v: f64) -> Option<Vec<i64>> {
    if v.is_nan() {
        return keys_where(Kind::Double, op, Literal::Double(v));
    }
    if v.abs() > EXACT {
        return None;
    }
    // Exact: `v` is small enough.
    let (floor, ceil) = (to_int(v.floor()), to_int(v.ceil()));
    let (op, bound) = match op {
        "<" => ("<", ceil),
        "<=" => ("<=", floor),
        ">" => (">", floor),
        ">=" => (">=", ceil),
        "==" | "!=" if floor != ceil => {
            return Some(if op == "==" { Vec::new() } else { stretch(FIRST, BEYOND) });
        }
        _ => (op, floor),
    };
    keys_where(Kind::Int, op, Literal::Int(bound))
}

/// Every key.
pub(super) fn all_keys() -> Vec<i64> {
    stretch(FIRST, BEYOND)
}

pub(super) fn complement(bounds: &[i64]) -> Vec<i64> {
    match bounds.split_first() {
        Some((&i64::MIN, rest)) => rest.to_vec(),
        _ => std::iter::once(i64::MIN).chain(bounds.iter().copied()).collect(),
    }
}

/// Where both hold, or where either does.
pub(super) fn combine(a: &[i64], b: &[i64], both: bool) -> Vec<i64> {
    let mut bounds: Vec<i64> = a.iter().chain(b).copied().collect();
    bounds.sort_unstable();
    bounds.dedup();
    let holds = |set: &[i64], key: i64| set.partition_point(|bound| *bound <= key) % 2 == 1;
    let mut before = false;
    bounds.retain(|key| {
        let (x, y) = (holds(a, *key), holds(b, *key));
        let now = if both { x && y } else { x || y };
        std::mem::replace(&mut before, now) != now
    });
    bounds
}

impl Absent {
    pub fn not(self) -> Self {
        match self {
            Absent::Fails => Absent::Fails,
            Absent::False => Absent::True,
            Absent::True => Absent::False,
        }
    }

    /// `&&`, or else `||`, of two.
    pub fn combine(self, other: Self, both: bool) -> Self {
        let decisive = if both { Absent::False } else { Absent::True };
        match (self, other) {
            (a, b) if a == decisive || b == decisive => decisive,
            (Absent::Fails, _) | (_, Absent::Fails) => Absent::Fails,
            _ => self,
        }
    }
}

/// The operator that says the same with its sides swapped.
pub(super) fn mirrored(op: &'static str) -> &'static str {
    match op {
        "<" => ">",
        "<=" => ">=",
        ">" => "<",
        ">=" => "<=",
        other => other,
    }
}

/// Whether a node is a literal by itself.
pub(super) fn is_literal(node: &Node) -> bool {
    matches!(
        node.op,
        Op::False
            | Op::True
            | Op::Int
            | Op::Double
            | Op::Text
            | Op::Timestamp
            | Op::Duration
            | Op::Version
    )
}
