//! A decision as texts, each before a byte that no text holds. The page puts them together again:
//! the code to write JSON here would cost every visitor more. It must never say anything else than
//! the core's `Decision`; a test compares the two.

use alloc::vec::Vec;

use selvedge::decide::{self, Chosen, Trace, View};
use selvedge::offer::{FieldKind, Offer};
use selvedge::time::Timestamp;
use selvedge::workspace::{Placement, Workspace};

/// Ends a text: UTF-8 has no such byte.
const END: u8 = 0xff;

/// What was decided. Written as texts it is: offer, variant, reason, decision, language and
/// workspace; then, before an empty one, name, kind and text of each field of the content; before
/// another one, the experiments and variants that decided; then key and code of each offer of the
/// trace. An offer or a variant that is none is empty.
pub struct Said<'a> {
    /// The page's workspace.
    pub workspace: &'a Workspace,
    /// What it was decided from.
    pub view: &'a View<'a>,
    /// When.
    pub now: Timestamp,
    /// For where.
    pub placement: &'a Placement,
    /// In which language.
    pub language: &'a str,
    /// The reason where nothing won.
    pub otherwise: &'static str,
    /// The winner.
    pub chosen: Option<Chosen>,
    /// Why each offer of the placement won or lost, where asked for.
    pub codes: &'a Trace,
    /// The experiments that decided, each with its variant.
    pub exposed: &'a [(u16, u16)],
}

impl Said<'_> {
    fn offer(&self, at: u32) -> Option<&Offer> {
        self.workspace.offers.get(usize::try_from(at).ok()?)
    }

    /// Appends the texts.
    pub fn write(&self, out: &mut Vec<u8>) {
        let workspace = self.workspace;
        let mut content = None;
        match self.chosen.and_then(|chosen| Some((self.offer(chosen.offer)?, chosen.variant))) {
            None => ["", "", self.otherwise, "", ""].iter().for_each(|text| put(out, text)),
            Some((offer, variant)) => {
                put(out, &offer.key);
                put(out, decide::variant_name(workspace, offer, variant).unwrap_or_default());
                put(out, "won");
                put(out, &decide::name(workspace, &self.placement.name, &offer.key, self.now));
                content = offer.pick(variant, self.language);
                put(out, content.as_ref().map_or("", |(language, _)| language));
            }
        }
        put(out, &workspace.version);
        if let Some((_, fields)) = content {
            decide::fill(fields, self.view.facts, |name, kind, text| {
                put(out, name);
                put(out, word(kind));
                put(out, &text);
            });
        }
        put(out, "");
        for one in self.exposed {
            if let Some((experiment, variant)) = decide::exposure_names(workspace, *one) {
                put(out, experiment);
                put(out, variant);
            }
        }
        put(out, "");
        for (at, code) in self.placement.offers.iter().zip(self.codes.words()) {
            put(out, self.offer(*at).map_or("", |offer| &offer.key));
            put(out, code);
        }
    }
}

fn put(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
    out.push(END);
}

fn word(kind: FieldKind) -> &'static str {
    match kind {
        FieldKind::Text => "text",
        FieldKind::Link => "link",
        FieldKind::Image => "image",
    }
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeMap;

    use selvedge::consent::{Purpose, PurposeSet};
    use selvedge::decide::{Request, Work};
    use selvedge::slice::{Resident, Slice};

    use super::*;

    pub(crate) const SHOP: &str = r#"{"format": 1, "languages": ["en", "de"],
        "traits": {"name": {"type": "string", "public": true}},
        "placements": {"tip": {"where": "page"}},
        "experiments": {"copy": {"variants": ["plain", "warm"]}},
        "offers": {
            "hello": {"placements": ["tip"], "when": "profile.name != 'x'", "experiment": "copy",
                "variants": {"warm": {"en": {"headline": "Dear \"{{profile.name|you}}\"!"}}},
                "content": {"en": {"headline": "Hi", "href": "/a"}, "de": {"headline": "Hallo"}}},
            "never": {"placements": ["tip"], "when": "profile.name == 'y'",
                "content": {"en": {"headline": "No"}}}}}"#;

    pub(crate) fn slice(workspace: &Workspace, name: &str) -> Slice {
        let slot = workspace.rules.slot("profile.name").unwrap();
        Slice {
            workspace: workspace.version.clone(),
            expires: Timestamp(10),
            allowed: PurposeSet::NONE.with(Purpose::Personalise),
            values: vec![(slot, selvedge::rule::Value::String(name.into()))],
            variants: vec![(0, 1)],
            ..Slice::default()
        }
    }

    /// As `js/src/core.ts` does it.
    fn read(placement: &str, bytes: &[u8]) -> serde_json::Value {
        let mut texts = bytes.split_inclusive(|byte| *byte == END).map(|text| {
            let (end, text) = text.split_last().unwrap();
            assert_eq!(*end, END);
            core::str::from_utf8(text).unwrap()
        });
        let mut next = || texts.next().unwrap_or_default();
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let mut said = serde_json::json!({
            "placement": placement, "offer": some(next()), "variant": some(next()),
            "reason": next(), "decision": next(), "language": next(), "workspace": next(),
            "content": [], "exposures": [], "trace": [],
        });
        while let Some(name) = some(next()) {
            let field = serde_json::json!({"name": name, "kind": next(), "text": next()});
            said["content"].as_array_mut().unwrap().push(field);
        }
        while let Some(experiment) = some(next()) {
            let one = serde_json::json!({"experiment": experiment, "variant": next()});
            said["exposures"].as_array_mut().unwrap().push(one);
        }
        while let Some(offer) = some(next()) {
            let line = serde_json::json!({"offer": offer, "code": next(), "sentence": ""});
            said["trace"].as_array_mut().unwrap().push(line);
        }
        said
    }

    #[test]
    fn the_texts_say_what_serde_writes() {
        let workspace = selvedge::compile::workspace(SHOP).unwrap().for_page();
        let placement = workspace.placement("tip").unwrap();
        for (name, language) in [("Ada \u{1}", "en-GB"), ("x", "de"), ("", "")] {
            let slice = slice(&workspace, name);
            let request = Request(BTreeMap::from([("language".into(), language.into())]));
            let now = Timestamp(5);
            let mut resident = Resident::new(&workspace);
            assert!(resident.read(&workspace, &slice.to_bytes()));
            let view = resident.view();
            let (mut work, mut codes) = (Work::default(), Trace::default());
            work.begin();
            let trace = Some(&mut codes);
            let chosen = decide::try_each(&workspace, &view, now, placement, &[], &mut work, trace);
            let exposed = decide::exposed(&workspace, &view, chosen, &mut work);
            let said = Said {
                workspace: &workspace,
                view: &view,
                now,
                placement,
                language,
                otherwise: "no_offer",
                chosen,
                codes: &codes,
                exposed: &exposed,
            };
            let mut wanted = slice.decide(&workspace, &request, now, "tip", &[], true);
            // Pages explain by code.
            wanted.trace.iter_mut().for_each(|one| one.sentence.clear());
            let mut bytes = Vec::new();
            said.write(&mut bytes);
            assert_eq!(read("tip", &bytes), serde_json::to_value(&wanted).unwrap(), "{name}");
        }
    }
}
