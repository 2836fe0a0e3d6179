//! stand-in
use serde::{Deserialize, Serialize};
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Value {
    Bool(bool),
    Int(i64),
    Double(f64),
    String(String),
    Timestamp(i64),
    Duration(i64),
    List(Vec<Value>),
}
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Slot(pub u16);
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RuleId(pub u32);
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupId(pub u32);
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Rules {}
pub struct Facts {}
pub struct Scratch {}
pub enum Truth {
    Match,
    NoMatch,
    Missing(Slot),
    Error(u8),
}
