//! Fallbacks of offers: that each leads to an offer, in the same placements, and to an end. It must
//! never know when a fallback is shown.

use std::collections::BTreeMap;

use super::offers::Draft;
use super::reader::{Fields, Node, Reader};
use crate::limits;

/// Checks every `fallback`. Notes `unknown_offer`, `fallback_elsewhere`, `cyclic_fallback`,
/// `contextual_reads_profile`.
pub(super) fn check<'a>(reader: &mut Reader<'a>, workspace: &Fields<'a>, drafts: &[Draft<'a>]) {
    let named = workspace.get("offers").map(Node::names).unwrap_or_default();
    let known: BTreeMap<&str, &Draft<'a>> =
        drafts.iter().map(|draft| (draft.key.as_str(), draft)).collect();
    for draft in drafts {
        let Some((wanted, node)) = &draft.fallback else { continue };
        let Some(other) = known.get(wanted.as_str()) else {
            // An offer with a mistake is still known, so that its uses are not mistakes as well.
            if !named.contains(wanted.as_str()) {
                let names = named.iter().copied();
                reader.note_unknown(node, "unknown_offer", "offer", wanted, names);
            }
            continue;
        };
        let missing = draft.placements.iter().find(|name| !other.placements.contains(name));
        if let Some(missing) = missing {
            let message =
                format!("`{wanted}` stands in for it, but not in its placement `{missing}`");
            reader.note(node, "fallback_elsewhere", message);
        }
        if draft.purpose.is_none() && other.purpose.is_some() {
            let message = "an offer without purpose is shown without consent, \
                           but its fallback needs one";
            reader.note(node, "contextual_reads_profile", message);
        }
        let next = |draft: &&Draft<'a>| {
            let (next, _) = draft.fallback.as_ref()?;
            known.get(next.as_str()).copied()
        };
        if core::iter::successors(Some(*other), next).nth(limits::FALLBACKS).is_some() {
            let message =
                format!("fallbacks go in a circle, or more than {} in a row", limits::FALLBACKS);
            reader.note(node, "cyclic_fallback", message);
        }
    }
}
