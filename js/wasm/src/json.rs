//! A decision as JSON, written by hand: a serialiser would cost the page more bytes than the rest
//! of this crate. It must never differ from what serde writes for the core's `Decision`; a test
//! compares them.

use selvedge::decide::{self, Chosen, Code, View};
use selvedge::offer::{FieldKind, Offer};
use selvedge::time::Timestamp;
use selvedge::workspace::{Placement, Workspace};

/// What was decided.
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
    /// The experiments that decided it, each with its variant, by index.
    pub exposed: &'a [(u16, u16)],
    /// Why each offer of the placement won or lost, where asked for.
    pub codes: &'a [Code],
}

impl Said<'_> {
    fn offer(&self, at: u32) -> Option<&Offer> {
        self.workspace.offers.get(usize::try_from(at).ok()?)
    }

    /// The JSON of a `Decision`.
    pub fn json(&self) -> String {
        let variant = self.chosen.and_then(|chosen| chosen.variant);
        let won = self.chosen.and_then(|chosen| self.offer(chosen.offer));
        let key = won.map(|offer| offer.key.as_str());
        let mut out = Writer(String::from("{"));
        out.text("placement", &self.placement.name);
        out.optional("offer", key);
        let name = won.and_then(|offer| decide::variant_name(self.workspace, offer, variant));
        out.optional("variant", name);
        out.text("reason", if won.is_some() { "won" } else { self.otherwise });
        let id = key.map(|key| decide::name(self.workspace, &self.placement.name, key, self.now));
        out.text("decision", id.as_deref().unwrap_or_default());
        out.list("content");
        let mut language = "";
        if let Some((tag, fields)) =
            won.and_then(|offer| offer.contents(variant).pick(self.language))
        {
            language = tag;
            decide::fill(fields, self.view.facts, |name, kind, text| {
                out.open();
                out.text("name", name);
                out.text("kind", word(kind));
                out.text("text", &text);
                out.0.push('}');
            });
        }
        out.0.push(']');
        out.text("language", language);
        out.text("workspace", &self.workspace.version);
        out.list("exposures");
        for (at, variant) in self.exposed {
            let Some(experiment) = self.workspace.experiment(*at) else { continue };
            let Some(variant) = experiment.variants.get(usize::from(*variant)) else { continue };
            out.open();
            out.text("experiment", &experiment.name);
            out.text("variant", variant);
            out.0.push('}');
        }
        out.0.push(']');
        out.list("trace");
        for (at, code) in self.placement.offers.iter().zip(self.codes) {
            out.open();
            out.text("offer", self.offer(*at).map_or("", |offer| &offer.key));
            out.text("code", code.as_str());
            out.text("sentence", "");
            out.0.push('}');
        }
        out.0.push_str("]}");
        out.0
    }
}

fn word(kind: FieldKind) -> &'static str {
    match kind {
        FieldKind::Text => "text",
        FieldKind::Link => "link",
        FieldKind::Image => "image",
    }
}

struct Writer(String);

impl Writer {
    /// Puts a comma after whatever ended before.
    fn part(&mut self) {
        if !self.0.ends_with(['{', '[']) {
            self.0.push(',');
        }
    }

    fn open(&mut self) {
        self.part();
        self.0.push('{');
    }

    fn name(&mut self, name: &str) {
        self.part();
        self.quote(name);
        self.0.push(':');
    }

    fn list(&mut self, name: &str) {
        self.name(name);
        self.0.push('[');
    }

    fn text(&mut self, name: &str, text: &str) {
        self.name(name);
        self.quote(text);
    }

    fn optional(&mut self, name: &str, text: Option<&str>) {
        self.name(name);
        match text {
            Some(text) => self.quote(text),
            None => self.0.push_str("null"),
        }
    }

    /// Texts are UTF-8, and what must be escaped is ASCII: the bytes between stay as they are.
    fn quote(&mut self, text: &str) {
        self.0.push('"');
        let mut rest = text;
        while let Some(at) =
            rest.bytes().position(|byte| byte < 0x20 || byte == b'"' || byte == b'\\')
        {
            self.0.push_str(rest.get(..at).unwrap_or_default());
            let byte = rest.as_bytes().get(at).copied().unwrap_or_default();
            self.0.push_str(if byte < 0x10 {
                "\\u000"
            } else if byte < 0x20 {
                "\\u001"
            } else {
                "\\"
            });
            let shown = match byte & 15 {
                _ if byte >= 0x20 => byte,
                digit @ 0..=9 => b'0' + digit,
                letter => b'a' - 10 + letter,
            };
            self.0.push(char::from(shown));
            rest = rest.get(at.saturating_add(1)..).unwrap_or_default();
        }
        self.0.push_str(rest);
        self.0.push('"');
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeMap;

    use selvedge::consent::{Purpose, PurposeSet};
    use selvedge::decide::{Request, Work};
    use selvedge::slice::{Resident, Slice};

    use super::*;

    const SHOP: &str = r#"{"format": 1, "languages": ["en", "de"],
        "traits": {"name": {"type": "string", "public": true}},
        "placements": {"tip": {"where": "page"}},
        "experiments": {"copy": {"variants": ["plain", "warm"]}},
        "offers": {
            "hello": {"placements": ["tip"], "when": "profile.name != 'x'", "experiment": "copy",
                "variants": {"warm": {"en": {"headline": "Dear \"{{profile.name|you}}\"!"}}},
                "content": {"en": {"headline": "Hi", "href": "/a"}, "de": {"headline": "Hallo"}}},
            "never": {"placements": ["tip"], "when": "profile.name == 'y'",
                "content": {"en": {"headline": "No"}}}}}"#;

    fn slice(workspace: &Workspace, name: &str) -> Slice {
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

    #[test]
    fn the_json_is_what_serde_writes() {
        let workspace = selvedge::compile::workspace(SHOP).unwrap().for_page();
        let placement = workspace.placement("tip").unwrap();
        for (name, language) in [("Ada \u{1}", "en-GB"), ("x", "de"), ("", "")] {
            let slice = slice(&workspace, name);
            let request = Request(BTreeMap::from([("language".into(), language.into())]));
            let now = Timestamp(5);
            let mut resident = Resident::new(&workspace);
            assert!(resident.read(&workspace, &slice.to_bytes()));
            let view = resident.view();
            let (mut work, mut codes) = (Work::default(), Vec::new());
            work.begin();
            let (worker, all) = (&mut work, &mut codes);
            let chosen =
                decide::choose_and_trace(&workspace, &view, now, placement, &[], worker, all);
            let exposed = decide::exposed(&workspace, &view, chosen, &mut work);
            let said = Said {
                workspace: &workspace,
                view: &view,
                now,
                placement,
                language,
                otherwise: "no_offer",
                chosen,
                exposed: &exposed,
                codes: &codes,
            };
            let mut wanted = slice.decide(&workspace, &request, now, "tip", &[], true);
            // Pages explain by code.
            wanted.trace.iter_mut().for_each(|one| one.sentence.clear());
            let ours: serde_json::Value = serde_json::from_str(&said.json()).unwrap();
            assert_eq!(ours, serde_json::to_value(&wanted).unwrap(), "{name}");
        }
    }

    #[test]
    fn what_is_quoted_reads_back() {
        let every: String =
            (0..0x300).filter_map(char::from_u32).chain("\u{2028}😀".chars()).collect();
        for text in ["", "\"", "a\\b\"", every.as_str()] {
            let mut out = Writer(String::new());
            out.quote(text);
            assert_eq!(serde_json::from_str::<String>(&out.0).unwrap(), text);
        }
    }
}
