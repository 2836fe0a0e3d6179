//! Audiences: named conditions that other conditions may use, in any order.

use super::conditions::Conditions;
use super::names;
use super::reader::{Fields, Node, Reader};
use crate::limits;
use crate::workspace::Audience;

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
            audiences.push(Audience { name: source.name.to_owned(), rule });
        }
    }
    audiences.sort_by(|a, b| a.name.cmp(&b.name));
    audiences
}
