//! What a page is told, as JSON: the state that the edge writes into the HTML, and the answers of
//! the visitor's calls. It must never hold anything that the visitor may not read.
//!
//! The tag's TypeScript types are made from these types by `cargo test` (`js/src/types.gen.ts`).

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use serde::Serialize;

use crate::consent::{Purpose, Reason, Region};
use crate::decide::{Decision, Exposure, Request};
use crate::engine::ConsentView;
use crate::time::Timestamp;

/// Version of [`PageState`]; a tag that does not know it asks the edge instead.
pub const PAGE_STATE_VERSION: u8 = 1;
/// Header of the slice's answer that holds the path of the workspace image it belongs to.
pub const IMAGE_HEADER: &str = "selvedge-image";

/// What the edge writes into the page as `<script type="application/json" id="selvedge-state">`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct PageState {
    /// The format's version, 1.
    pub version: u8,
    /// The edge's clock when it made the page, so that a wrong clock of the browser does not
    /// change a decision.
    #[cfg_attr(test, ts(type = "number"))]
    pub now: Timestamp,
    /// The workspace's version.
    pub workspace: String,
    /// The consent as it stands, with the region.
    pub consent: ConsentAnswer,
    /// The request's fields as the edge read them; the page puts its own path over them.
    #[cfg_attr(test, ts(type = "Record<string, string>"))]
    pub request: Request,
    /// The workspace image for in-page decisions.
    pub image: PageImage,
    /// What stands in this page's placements.
    pub decisions: Vec<PageDecision>,
}

/// Where the page finds the workspace image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct PageImage {
    /// A path on this site that names the workspace's version.
    pub url: String,
}

/// A decision that the edge made for this page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct PageDecision {
    /// Which placement.
    pub placement: String,
    /// The winner's key; None where the page kept its own content.
    pub offer: Option<String>,
    /// The winner's variant.
    pub variant: Option<String>,
    /// Stable code, as in a decision.
    pub reason: String,
    /// Names the decision in impressions and clicks.
    pub decision: String,
    /// The experiments that decided what stands there.
    pub exposures: Vec<Exposure>,
}

impl From<&Decision> for PageDecision {
    fn from(decision: &Decision) -> Self {
        Self {
            placement: decision.placement.clone(),
            offer: decision.offer.clone(),
            variant: decision.variant.clone(),
            reason: decision.reason.clone(),
            decision: decision.decision.clone(),
            exposures: decision.exposures.clone(),
        }
    }
}

/// Whether the visitor ever chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum ChoiceState {
    /// Only the region's default, the browser's signals and the workspace speak.
    None,
    /// The visitor chose.
    Made,
}

/// The answer of `GET` and `POST /_selvedge/v1/consent`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct ConsentAnswer {
    /// Where the request comes from.
    pub region: Region,
    /// Whether the visitor ever chose.
    pub choice: ChoiceState,
    /// What is allowed now: one entry per purpose.
    #[cfg_attr(test, ts(type = "Record<Purpose, boolean>"))]
    pub purposes: BTreeMap<&'static str, bool>,
    /// Why: one entry per purpose.
    #[cfg_attr(test, ts(type = "Record<Purpose, Reason>"))]
    pub reasons: BTreeMap<&'static str, Reason>,
}

impl ConsentAnswer {
    /// The view of a profile's consent, in the words of the page.
    pub fn of(view: &ConsentView, region: &Region) -> Self {
        let allowed = view.effective.allowed();
        Self {
            region: region.clone(),
            choice: if view.made { ChoiceState::Made } else { ChoiceState::None },
            purposes: Purpose::ALL.into_iter().map(|p| (p.word(), allowed.has(p))).collect(),
            reasons: view.effective.reasons().map(|(p, reason)| (p.word(), reason)).collect(),
        }
    }
}

/// The answer of `POST /_selvedge/v1/decide`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct DecideAnswer {
    /// One per placement asked for, in that order.
    pub decisions: Vec<Decision>,
}

/// The answer of `POST /_selvedge/v1/login`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct LoginAnswer {
    /// Whether the device is linked to the person now.
    pub linked: bool,
    /// Whether what was seen before came along.
    pub attached: bool,
    /// Stable code of why it was not linked.
    pub refused: Option<String>,
}

/// JSON text that may stand inside a `script` element: no `<` is left that could end it.
#[cfg(feature = "json")]
pub fn script_text(state: &PageState) -> Result<String, crate::error::Error> {
    let text = serde_json::to_string(state).map_err(|_| {
        crate::error::Error::new("bad_state", "the page's state cannot be written", "")
    })?;
    Ok(text.replace('<', "\\u003c"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;
    use std::path::Path;

    use ts_rs::{Config, TS};

    use super::*;
    use crate::consent::Effective;
    use crate::decide::{ContentField, OfferTrace};
    use crate::offer::FieldKind;

    const HEAD: &str = "//! Made by `cargo test` from the types of the core (`src/page.rs`); not \
                        to be edited.\n";

    /// The declaration as a formatter would lay it out.
    fn declare<T: TS>(text: &mut String) {
        let declaration = T::decl(&Config::default()).replace(", };", ",\n};");
        text.push_str("\nexport ");
        for line in declaration.lines().map(str::trim_end) {
            text.push_str(match line {
                "};" => "",
                line if line.starts_with(" *") => "  ",
                line if line.starts_with("type ") => "",
                _ => "  ",
            });
            text.push_str(line);
            text.push('\n');
        }
    }

    #[test]
    fn the_types_of_the_tag_are_those_of_the_core() {
        let mut text = HEAD.to_owned();
        declare::<Purpose>(&mut text);
        declare::<Reason>(&mut text);
        declare::<Region>(&mut text);
        declare::<ChoiceState>(&mut text);
        declare::<ConsentAnswer>(&mut text);
        declare::<PageImage>(&mut text);
        declare::<Exposure>(&mut text);
        declare::<PageDecision>(&mut text);
        declare::<PageState>(&mut text);
        declare::<FieldKind>(&mut text);
        declare::<ContentField>(&mut text);
        declare::<OfferTrace>(&mut text);
        declare::<Decision>(&mut text);
        declare::<DecideAnswer>(&mut text);
        declare::<LoginAnswer>(&mut text);
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("js/src/types.gen.ts");
        let found = fs::read_to_string(&path).unwrap_or_default();
        if found != text {
            fs::write(&path, text).unwrap();
        }
        let fresh = fs::read_to_string(&path).unwrap();
        assert!(found == fresh, "`js/src/types.gen.ts` was stale and is written anew: commit it");
    }

    #[test]
    fn a_page_is_told_every_purpose_with_its_reason() {
        let view = ConsentView { effective: Effective::nothing(), made: false };
        let answer = ConsentAnswer::of(&view, &Region::new("de", "BY"));
        let json = serde_json::to_value(&answer).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "region": {"country": "DE", "subdivision": "BY"},
                "choice": "none",
                "purposes": {"store": false, "profile": false, "personalise": false,
                             "measure": false, "share": false},
                "reasons": {"store": "no_consent", "profile": "no_consent",
                            "personalise": "no_consent", "measure": "no_consent",
                            "share": "no_consent"},
            })
        );
    }

    #[cfg(feature = "json")]
    #[test]
    fn no_value_ends_the_script_element() {
        let view = ConsentView { effective: Effective::nothing(), made: false };
        let mut request = Request::default();
        request.0.insert("path".into(), "/</script><script>alert(1)</script><!--".into());
        let state = PageState {
            version: PAGE_STATE_VERSION,
            now: Timestamp(1),
            workspace: "w".into(),
            consent: ConsentAnswer::of(&view, &Region::default()),
            request,
            image: PageImage { url: "/_selvedge/v1/image/w".into() },
            decisions: Vec::new(),
        };
        let text = script_text(&state).unwrap();
        assert!(!text.contains('<'), "{text}");
        let back: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(back["request"]["path"], "/</script><script>alert(1)</script><!--");
    }
}
