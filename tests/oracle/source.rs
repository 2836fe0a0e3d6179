//! Writes an expression in CEL. It must never know what the expression comes to.

use super::{E, Metric, V};

/// The expression in CEL.
pub fn source(e: &E) -> String {
    match e {
        E::Literal(v) => literal(v),
        E::Slot(name) if name.contains('.') => (*name).to_owned(),
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
        E::History(metric) => history(metric),
    }
}

fn history(metric: &Metric) -> String {
    let property = metric.property.map(|name| format!(", '{name}'")).unwrap_or_default();
    let window = metric.days.map(|days| format!(", days({days})")).unwrap_or_default();
    format!("{}('{}'{property}{window})", metric.way, metric.event)
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
