//! Budgets of offers. It must never let one pass that could never be spent, or that is spent before
//! anybody came.

use super::reader::{Node, Reader};
use super::schedule;
use crate::budget::{Budget, Period};
use crate::limits;
use crate::profile::Contact;

const CONTACTS: [(&str, Contact); 2] =
    [("impression", Contact::Impression), ("click", Contact::Click)];
const PERIODS: [(&str, Period); 2] = [("day", Period::Day), ("ever", Period::Ever)];

/// Reads an offer's budget. Notes `budget_of_zero`, `out_of_range`, `zone_without_days` and others.
pub(super) fn read<'a>(reader: &mut Reader<'a>, node: &Node<'a>, offer: &str) -> Option<Budget> {
    let fields = reader.fields(node, &["max", "on", "per", "zone"])?;
    let on = fields
        .need(reader, "on")
        .and_then(|node| reader.word(node, "unknown_contact", "contact", &CONTACTS));
    let per = fields
        .need(reader, "per")
        .and_then(|node| reader.word(node, "unknown_period", "period", &PERIODS));
    let max = fields.need(reader, "max").and_then(|node| max(reader, node));
    let offsets = match fields.get("zone") {
        None => Some(Vec::new()),
        Some(node) if per == Some(Period::Ever) => {
            let message = "a budget for ever has no days, so it needs no `zone`";
            reader.note(node, "zone_without_days", message);
            None
        }
        Some(node) => schedule::zone_offsets(reader, node),
    };
    Some(Budget { offer: offer.to_owned(), max: max?, on: on?, per: per?, offsets: offsets? })
}

fn max<'a>(reader: &mut Reader<'a>, node: &Node<'a>) -> Option<u64> {
    let max = reader.whole(node, i64::MIN..=i64::MAX)?;
    if max == 0 {
        let message = "a budget of zero would never show the offer: take the offer out instead";
        reader.note(node, "budget_of_zero", message);
        return None;
    }
    let found = u64::try_from(max).ok().filter(|max| *max <= limits::BUDGET_MAX);
    if found.is_none() {
        let message = format!("a budget is a whole number from 1 to {}", limits::BUDGET_MAX);
        reader.note(node, "out_of_range", message);
    }
    found
}
