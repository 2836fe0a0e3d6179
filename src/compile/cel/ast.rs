//! The syntax tree of an expression. It must never know types.

use super::error::Place;

#[derive(Clone, Debug)]
pub(super) struct Expr {
    pub form: Form,
    pub place: Place,
    /// How many levels it has.
    pub height: usize,
}

#[derive(Clone, Debug)]
pub(super) enum Form {
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(String),
    List(Vec<Expr>),
    Name(String),
    /// A field, and where its name stands.
    Field(Box<Expr>, String, Place),
    Index(Box<Expr>, Box<Expr>),
    Call(Box<Call>),
    Not(Box<Expr>),
    Negate(Box<Expr>),
    And(Vec<Expr>),
    Or(Vec<Expr>),
    If(Box<[Expr; 3]>),
    Binary(&'static str, Box<[Expr; 2]>),
}

#[derive(Clone, Debug)]
pub(super) struct Call {
    pub target: Option<Expr>,
    pub name: String,
    /// Where the name stands.
    pub name_place: Place,
    pub args: Vec<Expr>,
}

impl Expr {
    /// `profile.address.state` as one path; None where it is something else.
    pub fn path(&self) -> Option<String> {
        match &self.form {
            Form::Name(name) => Some(name.clone()),
            Form::Field(of, field, _) => Some(format!("{}.{field}", of.path()?)),
            Form::Index(of, index) => match &index.form {
                Form::Text(field) => Some(format!("{}.{field}", of.path()?)),
                _ => None,
            },
            _ => None,
        }
    }
}
