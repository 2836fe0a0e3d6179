//! Makes up rules and facts: small domains, so that things meet; the edges of types, so that they
//! break. It must never know what a condition comes to.

use super::{E, Metric, Pattern, V};

pub const NOW: i64 = 1_764_000_000_000;
const HOUR: i64 = 3_600_000;

/// What expressions may speak of.
pub struct Words {
    /// Slots by name; a name with a dot is no trait's. A version is text for the core.
    pub slots: &'static [(&'static str, Kind)],
    pub metrics: &'static [(Metric, Kind)],
}

/// SplitMix64: the same numbers from the same seed everywhere.
pub struct Dice {
    state: u64,
    words: &'static Words,
}

impl Dice {
    pub fn new(seed: u64, words: &'static Words) -> Self {
        Self { state: seed, words }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut v = self.state;
        v = (v ^ (v >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        v = (v ^ (v >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        v ^ (v >> 31)
    }

    /// 0 up to, but without, `sides`.
    pub fn roll(&mut self, sides: usize) -> usize {
        (self.next() % sides as u64) as usize
    }

    pub fn percent(&mut self, chance: usize) -> bool {
        self.roll(100) < chance
    }

    pub fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.roll(list.len())]
    }

    /// Whether there is a slot of the kind.
    fn knows(&self, kind: Kind) -> bool {
        self.words.slots.iter().any(|(_, known)| *known == kind)
    }

    /// A kind of lists, and that of its entries.
    fn list_kind(&mut self) -> (Kind, Kind) {
        let both = [(Kind::Texts, Kind::Text), (Kind::Ints, Kind::Int)];
        let known: Vec<(Kind, Kind)> =
            both.into_iter().filter(|(list, _)| self.knows(*list)).collect();
        self.pick(&known)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Bool,
    Int,
    Double,
    Text,
    Time,
    Span,
    Version,
    Texts,
    Ints,
}

const INTS: [i64; 12] = [-7, -1, 0, 1, 2, 3, 18, 41, 100, i64::MAX, i64::MIN, i64::MAX - 1];
const DOUBLES: [f64; 10] = [-1.5, 0.0, 0.5, 1.0, 2.0, 3.0, 41.0, 1e300, 9.3e18, -2.5e-10];
const TEXTS: [&str; 10] = ["", "a", "ab", "gold", "silver", "DE", "x y", "sale", "größe", "A"];
const VERSIONS: [&str; 8] =
    ["1.0.0", "1.2.3", "1.2.3-rc", "2", "v1.2", "10.0.1", "0.0.0", "1.1048575.0"];

const PATTERNS: [Pattern; 5] = [
    Pattern { source: "^a", means: |v| v.starts_with('a') },
    Pattern { source: "l(d|e)$", means: |v| v.ends_with("ld") || v.ends_with("le") },
    Pattern { source: "[A-Z]", means: |v| v.chars().any(|c| c.is_ascii_uppercase()) },
    Pattern { source: "^.{2,3}$", means: |v| (2..=3).contains(&v.chars().count()) },
    Pattern { source: "(?i)S", means: |v| v.to_lowercase().contains('s') },
];

const COMPARISONS: [&str; 6] = ["==", "!=", "<", "<=", ">", ">="];

/// A value that a fact or a literal may have.
pub fn value(dice: &mut Dice, kind: Kind) -> V {
    match kind {
        Kind::Bool => V::Bool(dice.percent(50)),
        Kind::Int => V::Int(dice.pick(&INTS)),
        Kind::Double => V::Double(dice.pick(&DOUBLES)),
        Kind::Text => V::Text(dice.pick(&TEXTS).to_owned()),
        Kind::Time => V::Time(NOW + HOUR * (dice.roll(9) as i64 - 4)),
        Kind::Span => V::Span(HOUR * (dice.roll(9) as i64 - 2)),
        Kind::Version => V::Version(dice.pick(&VERSIONS).to_owned()),
        Kind::Texts => list(dice, Kind::Text),
        Kind::Ints => list(dice, Kind::Int),
    }
}

fn list(dice: &mut Dice, kind: Kind) -> V {
    V::List((0..dice.roll(4)).map(|_| value(dice, kind)).collect())
}

/// A fact: also what no literal can be.
pub fn fact(dice: &mut Dice, kind: Kind) -> V {
    match (kind, dice.roll(12)) {
        (Kind::Double, 0) => V::Double(f64::NAN),
        (Kind::Double, 1) => V::Double(f64::INFINITY),
        (Kind::Double, 2) => V::Double(-0.0),
        (Kind::Text, 0) => V::Text(format!("unknown {}", dice.roll(3))),
        (Kind::Version, 0) => V::Text("latest".to_owned()),
        (Kind::Version, 1) => V::Text("1.2.x".to_owned()),
        _ => match value(dice, kind) {
            V::Version(v) => V::Text(v),
            v => v,
        },
    }
}

fn slot_of(dice: &mut Dice, kind: Kind) -> &'static str {
    let all = dice.words.slots.iter();
    let known: Vec<&str> = all.filter(|(_, k)| *k == kind).map(|(n, _)| *n).collect();
    dice.pick(&known)
}

fn metric_of(dice: &mut Dice, kind: Kind) -> Option<E> {
    let all = dice.words.metrics.iter();
    let known: Vec<Metric> = all.filter(|(_, k)| *k == kind).map(|(m, _)| *m).collect();
    (!known.is_empty()).then(|| E::History(dice.pick(&known)))
}

fn boxed(e: E) -> Box<E> {
    Box::new(e)
}

fn any_literal(dice: &mut Dice, kind: Kind) -> E {
    match value(dice, kind) {
        V::Version(v) => E::Semver(boxed(E::Literal(V::Text(v)))),
        v => E::Literal(v),
    }
}

/// A slot of the kind, or what stands for it.
fn reading(dice: &mut Dice, kind: Kind) -> E {
    let name = slot_of(dice, kind);
    match (kind, dice.roll(10)) {
        (Kind::Version, _) => E::Semver(boxed(E::Slot(name))),
        (Kind::Time, 0..=3) => E::Now,
        (_, 0) if !name.contains('.') => E::Default(name, value(dice, kind)),
        (_, 1 | 2) => metric_of(dice, kind).unwrap_or(E::Slot(name)),
        _ => E::Slot(name),
    }
}

/// An expression of the kind that is not a plain slot.
fn computed(dice: &mut Dice, kind: Kind, depth: usize, scope: &[(String, Kind)]) -> E {
    let variables: Vec<&String> =
        scope.iter().filter(|(_, k)| *k == kind).map(|(n, _)| n).collect();
    if !variables.is_empty() && dice.percent(60) {
        return E::Variable(variables[dice.roll(variables.len())].clone());
    }
    if depth == 0 {
        return if dice.percent(50) { reading(dice, kind) } else { any_literal(dice, kind) };
    }
    let inner = |dice: &mut Dice, kind| computed(dice, kind, depth - 1, scope);
    match (kind, dice.roll(6)) {
        (Kind::Int, 0) => {
            let of = if dice.percent(30) { Kind::Text } else { dice.list_kind().0 };
            E::Size(boxed(inner(dice, of)))
        }
        (Kind::Int, 1..=3) => {
            let op = dice.pick(&["+", "-", "*", "/", "%"]);
            E::Binary(op, boxed(inner(dice, kind)), boxed(inner(dice, kind)))
        }
        (Kind::Double, 0) => E::ToDouble(boxed(inner(dice, Kind::Int))),
        (Kind::Double, 1..=3) => {
            let op = dice.pick(&["+", "-", "*", "/"]);
            E::Binary(op, boxed(inner(dice, kind)), boxed(inner(dice, kind)))
        }
        (Kind::Text, 0) => E::Binary("+", boxed(inner(dice, kind)), boxed(inner(dice, kind))),
        (Kind::Time, 0 | 1) => {
            let op = dice.pick(&["+", "-"]);
            E::Binary(op, boxed(inner(dice, kind)), boxed(inner(dice, Kind::Span)))
        }
        (Kind::Span, 0..=2) => {
            E::Binary("-", boxed(inner(dice, Kind::Time)), boxed(inner(dice, Kind::Time)))
        }
        (Kind::Bool, _) => condition(dice, depth - 1, scope, 0),
        (Kind::Version | Kind::Texts | Kind::Ints, _) => reading(dice, kind),
        (_, 4) => {
            let test = condition(dice, depth - 1, scope, 0);
            E::If(boxed(test), boxed(inner(dice, kind)), boxed(inner(dice, kind)))
        }
        _ => reading(dice, kind),
    }
}

/// A formula: a double.
pub fn formula(dice: &mut Dice) -> E {
    computed(dice, Kind::Double, 3, &[])
}

/// A whole condition of one conjunct, up to that many.
pub fn rule(dice: &mut Dice, audiences: usize, conjuncts: usize) -> E {
    let mut all: Vec<E> =
        (0..1 + dice.roll(conjuncts)).map(|_| condition(dice, 2, &[], audiences)).collect();
    if all.len() == 1 { all.remove(0) } else { E::And(all) }
}

fn condition(dice: &mut Dice, depth: usize, scope: &[(String, Kind)], audiences: usize) -> E {
    let again = |dice: &mut Dice| boxed(condition(dice, depth - 1, scope, audiences));
    match dice.roll(if depth == 0 { 70 } else { 100 }) {
        0..20 => {
            let kinds =
                [Kind::Int, Kind::Double, Kind::Text, Kind::Time, Kind::Span, Kind::Version];
            let kind = dice.pick(&kinds);
            let (slot, literal) = (reading(dice, kind), any_literal(dice, kind));
            let op = dice.pick(&COMPARISONS);
            if dice.percent(70) {
                E::Binary(op, boxed(slot), boxed(literal))
            } else {
                E::Binary(op, boxed(literal), boxed(slot))
            }
        }
        20..26 => {
            let (a, b) = if dice.percent(50) {
                (Kind::Int, Kind::Double)
            } else {
                (Kind::Double, Kind::Int)
            };
            let op = dice.pick(&COMPARISONS);
            E::Binary(op, boxed(reading(dice, a)), boxed(any_literal(dice, b)))
        }
        26..34 => {
            let kind = dice.pick(&[Kind::Int, Kind::Text, Kind::Double]);
            let list = (0..1 + dice.roll(4)).map(|_| any_literal(dice, kind)).collect();
            E::Binary("in", boxed(reading(dice, kind)), boxed(E::List(list)))
        }
        34..42 => {
            let (list, entry) = dice.list_kind();
            let list = E::Slot(slot_of(dice, list));
            E::Binary("in", boxed(any_literal(dice, entry)), boxed(list))
        }
        42..47 => E::Slot(slot_of(dice, Kind::Bool)),
        47..50 => {
            let kinds = [Kind::Int, Kind::Double, Kind::Bool, Kind::Time, Kind::Texts];
            let kind = dice.pick(&kinds);
            E::Has(slot_of(dice, kind))
        }
        50..57 => {
            let name = dice.pick(&["contains", "startsWith", "endsWith"]);
            let part = E::Literal(V::Text(dice.pick(&["a", "ol", "e", "", "DE"]).to_owned()));
            E::Method(name, boxed(computed(dice, Kind::Text, depth, scope)), boxed(part))
        }
        57..60 => {
            let text = computed(dice, Kind::Text, 0, scope);
            E::Matches(boxed(text), dice.pick(&PATTERNS))
        }
        60..64 => {
            let name = dice.pick(&["intersects", "contains", "equivalent"]);
            let literal = E::Literal(list(dice, Kind::Text));
            E::Sets(name, boxed(E::Slot(slot_of(dice, Kind::Texts))), boxed(literal))
        }
        64..66 if audiences > 0 => E::Audience(dice.roll(audiences)),
        64..70 => {
            let kind = dice.pick(&[Kind::Int, Kind::Double, Kind::Text, Kind::Time, Kind::Span]);
            let (a, b) = (computed(dice, kind, depth, scope), computed(dice, kind, depth, scope));
            E::Binary(dice.pick(&COMPARISONS), boxed(a), boxed(b))
        }
        70..77 => E::Not(again(dice)),
        77..83 => E::And((0..2 + dice.roll(2)).map(|_| *again(dice)).collect()),
        83..92 => E::Or((0..2 + dice.roll(2)).map(|_| *again(dice)).collect()),
        92..94 => E::If(again(dice), again(dice), again(dice)),
        _ => {
            let (list, entry) = dice.list_kind();
            let variable = format!("x{}", scope.len());
            let mut scope = scope.to_vec();
            scope.push((variable.clone(), entry));
            let body = if dice.percent(40) {
                let same = any_literal(dice, entry);
                E::Binary("==", boxed(E::Variable(variable.clone())), boxed(same))
            } else {
                condition(dice, depth - 1, &scope, audiences)
            };
            let name = dice.pick(&["exists", "all", "exists_one"]);
            E::Loop(name, boxed(E::Slot(slot_of(dice, list))), variable, boxed(body))
        }
    }
}
