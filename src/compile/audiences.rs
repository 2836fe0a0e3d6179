//! Audiences: named conditions that other conditions may use, in any order.

use super::conditions::{Compiled, Conditions};
use super::names;
use super::reader::{Fields, Node, Reader};
use crate::limits;
use crate::rule::draft::Clock;
use crate::workspace::{Audience, ComputedKind, Watch};

/// An audience's name and where its condition stands.
pub(super) struct Source<'a> {
    pub name: &'a str,
    pub when: Option<Node<'a>>,
}

/// Reads the names and conditions of `audiences`.
pub(super) fn read<'a>(reader: &mut Reader<'a>, workspace: &Fields<'a>) -> Vec<Source<'a>> {
    let Some(node) = workspace.get("audiences") else { return Vec::new() };
    let message = format!("a workspace has at most {} audiences", limits::AUDIENCES);
    let mut sources = Vec::new();
    for entry in reader.map(node, 0..=limits::AUDIENCES, "too_many_audiences", message) {
        names::check_key(reader, &entry, "an audience");
        let fields = reader.fields(&entry.node, &["when"]);
        let when = fields.and_then(|fields| fields.need(reader, "when").cloned());
        sources.push(Source { name: entry.name, when });
    }
    sources
}

/// Compiles them all; sorted by name.
pub(super) fn compile<'a>(
    reader: &mut Reader<'a>,
    sources: &[Source<'a>],
    conditions: &mut Conditions<'a>,
) -> Vec<Audience> {
    let mut audiences = Vec::new();
    for source in sources {
        let Some(node) = &source.when else { continue };
        if let Some(rule) = conditions.audience(reader, source.name, node) {
            let name = source.name.to_owned();
            // What they read is known once all conditions are compiled.
            audiences.push(Audience { name, rule, kept: false, timed: false });
        }
    }
    audiences.sort_by(|a, b| a.name.cmp(&b.name));
    audiences
}

/// Finds out which entries and exits can be told, and what must be watched for them.
pub(super) fn watch(audiences: &mut [Audience], compiled: &Compiled<'_>) -> Watch {
    let request = compiled.slots.request.iter().map(|field| field.slot).collect::<Vec<_>>();
    let moving = |kind, windowed: bool| {
        windowed
            || matches!(kind, ComputedKind::Recency | ComputedKind::Streak | ComputedKind::Sequence)
    };
    let computed = compiled.slots.computed.iter();
    let moving: Vec<_> = computed
        .filter(|decl| moving(decl.kind, decl.window_ms.is_some()))
        .map(|decl| decl.slot)
        .collect();
    let mut all = Clock::default();
    for audience in audiences {
        let clock = compiled.rules.clock(audience.rule);
        audience.kept = !request.iter().any(|slot| clock.slots.contains(slot));
        audience.timed = clock.reads_now || moving.iter().any(|slot| clock.slots.contains(slot));
        if audience.kept {
            all.join(&clock);
        }
    }
    Watch {
        slots: all.slots,
        times: all.times.into_iter().collect(),
        lengths: all.lengths.into_iter().collect(),
        is_calendar: all.is_calendar,
    }
}
