//! `selvedge consent decode`: what a consent string says, as JSON.

use std::io::{self, BufRead, BufWriter, Write};

use selvedge::consent::json::{JsonOptions, decode_json};
use serde_json::Value;

use crate::problem::Outcome;

/// Prints one line of JSON per string; true where every string could be read.
pub fn decode(string: &str) -> Outcome<bool> {
    let options = JsonOptions { all_fields: true, ..JsonOptions::default() };
    let mut out = BufWriter::new(io::stdout().lock());
    let mut fine = true;
    let mut one = |string: &str, out: &mut dyn Write| -> Outcome<()> {
        let answer = decode_json(string, &options);
        fine &= answer.get("error").is_none_or(Value::is_null);
        Ok(writeln!(out, "{answer}")?)
    };
    if string == "-" {
        for line in io::stdin().lock().lines() {
            one(line?.trim(), &mut out)?;
        }
    } else {
        one(string, &mut out)?;
    }
    out.flush()?;
    Ok(fine)
}
