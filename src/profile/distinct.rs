//! How many different values there were, in bounded memory. It must never keep a value itself:
//! only short hashes, the smallest of them (the "k minimum values" of Bar-Yossef et al., 2002).
//!
//! INVARIANT: joining is a union that keeps the smallest; order and repetition do not matter.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::ids::EventKey;
use crate::limits;
use crate::rule::Value;

/// The smallest hashes of the values, ascending, at most `limits::DISTINCT_VALUES` of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Distinct(Vec<u64>);

impl Distinct {
    /// Takes a value in. Taking it twice changes nothing.
    pub fn add(&mut self, value: &Value) {
        self.take(hash(value));
    }

    fn take(&mut self, hash: u64) {
        if let Err(at) = self.0.binary_search(&hash)
            && at < limits::DISTINCT_VALUES
        {
            self.0.insert(at, hash);
            self.0.truncate(limits::DISTINCT_VALUES);
        }
    }

    /// Takes in what another one holds.
    pub fn join(&mut self, other: &Self) {
        other.0.iter().for_each(|hash| self.take(*hash));
    }

    /// How many: exact below `limits::DISTINCT_VALUES`, from there on an estimate.
    pub fn count(&self) -> i64 {
        let held = u64::try_from(self.0.len()).unwrap_or(u64::MAX);
        let count = match self.0.last() {
            Some(largest) if self.0.len() >= limits::DISTINCT_VALUES => {
                // `k - 1` values fall below the k-th smallest hash: the rest is the rule of three.
                let below = u128::from(held.saturating_sub(1)).saturating_mul(1 << 64);
                u64::try_from(below.checked_div(u128::from(*largest)).unwrap_or_default())
                    .unwrap_or(u64::MAX)
                    .max(held)
            }
            _ => held,
        };
        i64::try_from(count).unwrap_or(i64::MAX)
    }
}

/// A value's hash. Numbers that are equal are one value, whatever their type.
fn hash(value: &Value) -> u64 {
    let text = match value {
        Value::Bool(bool) => format!("b{bool}"),
        Value::Int(int) => format!("n{int}"),
        Value::Double(double) => format!("n{double}"),
        Value::String(text) => format!("s{text}"),
        Value::Timestamp(ms) => format!("t{ms}"),
        Value::Duration(ms) => format!("d{ms}"),
        Value::List(entries) => {
            let mut text = String::from("l");
            for entry in entries {
                text.push_str(&format!("{:016x}", hash(entry)));
            }
            text
        }
    };
    let key = EventKey::of(&text);
    let low = key.0.iter().skip(8);
    let mut mixed = low.fold(0_u64, |hash, byte| (hash << 8) | u64::from(*byte));
    // FNV leaves short texts close together; the finaliser of MurmurHash3 spreads them.
    for factor in [0xff51_afd7_ed55_8ccd_u64, 0xc4ce_b9fe_1a85_ec53] {
        mixed = (mixed ^ (mixed >> 33)).wrapping_mul(factor);
    }
    mixed ^ (mixed >> 33)
}
