//! The types of expressions. It must never know values.

use crate::rule::Kind;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Bool,
    Int,
    Double,
    Text,
    Timestamp,
    Duration,
    Version,
    List(Box<Type>),
    /// Known only when it runs.
    Dyn,
}

impl Type {
    /// By CEL's name.
    pub fn name(&self) -> String {
        match self {
            Type::Bool => "bool".to_owned(),
            Type::Int => "int".to_owned(),
            Type::Double => "double".to_owned(),
            Type::Text => "string".to_owned(),
            Type::Timestamp => "timestamp".to_owned(),
            Type::Duration => "duration".to_owned(),
            Type::Version => "semver".to_owned(),
            Type::List(entry) => format!("list({})", entry.name()),
            Type::Dyn => "dyn".to_owned(),
        }
    }

    pub fn is_number(&self) -> bool {
        matches!(self, Type::Int | Type::Double)
    }

    /// Whether a value of one type may be one of the other.
    pub fn fits(&self, other: &Type) -> bool {
        match (self, other) {
            (Type::Dyn, _) | (_, Type::Dyn) => true,
            (Type::List(a), Type::List(b)) => a.fits(b),
            (a, b) => a == b,
        }
    }

    /// Whether equality makes sense: numbers compare across their types.
    pub fn compares(&self, other: &Type) -> bool {
        match (self, other) {
            (Type::List(a), Type::List(b)) => a.compares(b),
            (a, b) => a.fits(b) || (a.is_number() && b.is_number()),
        }
    }

    /// The type of a list's entries.
    pub fn entry(&self) -> Option<Type> {
        match self {
            Type::List(entry) => Some((**entry).clone()),
            Type::Dyn => Some(Type::Dyn),
            _ => None,
        }
    }

    pub fn list(entry: Type) -> Type {
        Type::List(Box::new(entry))
    }
}

impl From<Kind> for Type {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Bool => Type::Bool,
            Kind::Int => Type::Int,
            Kind::Double => Type::Double,
            Kind::String => Type::Text,
            Kind::Timestamp => Type::Timestamp,
            Kind::Duration => Type::Duration,
            Kind::Bools | Kind::Ints | Kind::Doubles | Kind::Strings => {
                Type::list(kind.entry().map_or(Type::Dyn, Type::from))
            }
        }
    }
}
