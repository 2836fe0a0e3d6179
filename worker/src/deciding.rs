//! The routes `POST /v1/decide` and `GET /v1/slice`. They read the visitor who holds the cookie,
//! and nobody else: no key opens them.

use std::collections::BTreeMap;

use selvedge::decide::Request as Fields;
use selvedge::engine::{Input, Placements, Reply};
use selvedge::ids::ProfileName;
use selvedge::limits;
use selvedge::page::{DecideAnswer, IMAGE_HEADER};
use selvedge::workspace::Where;
use serde::Deserialize;
use serde_json::json;

use crate::assets;
use crate::http::{self, Answer, Cache, Fault, Request};
use crate::visitor::Visit;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    #[serde(default)]
    placements: Option<Vec<String>>,
    #[serde(default)]
    context: BTreeMap<String, String>,
    /// Offers that the page shows already.
    #[serde(default)]
    shown: Vec<String>,
    /// Taken, and not answered: why an offer lost may tell what the workspace does not make public.
    /// `explain` says it to whoever holds the admin's key.
    #[serde(default, rename = "trace")]
    _trace: bool,
}

/// `POST /v1/decide`.
pub async fn decide(mut visit: Visit, request: &mut Request) -> Result<Answer, Fault> {
    http::same_origin(request)?;
    let asked: Asked = http::call(request, limits::CALL_BYTES).await?;
    let (placements, fields) = question(&mut visit, request, asked)?;
    let input = |speaker| Input::Decide {
        speaker,
        placements: placements.clone(),
        request: fields.clone(),
        trace: false,
    };
    let reply = match visit.consult(&input).await? {
        // Somebody erased is somebody new.
        Reply::Erased => visit.alone(input(visit.nobody()))?,
        reply => reply,
    };
    let Reply::Decisions(page) = reply else { return Err(Fault::unavailable()) };
    Ok(Answer::json(&DecideAnswer { decisions: page.decisions })?.with_cookie(visit.cookie_line()))
}

/// The same where a copy of the visitor's state answers and the answer sets no cookie: its body.
pub fn at_once(mut visit: Visit, name: ProfileName, request: &Request) -> Option<String> {
    if !visit.takes_copies {
        return None;
    }
    http::same_origin(request).ok()?;
    let asked: Asked = http::call_at_once(request, limits::CALL_BYTES)?;
    let (placements, fields) = question(&mut visit, request, asked).ok()?;
    let input = |speaker| Input::Decide { speaker, placements, request: fields, trace: false };
    let Reply::Decisions(page) = visit.at_once(name, input)? else { return None };
    if visit.cookie_line().is_some() {
        return None;
    }
    serde_json::to_string(&DecideAnswer { decisions: page.decisions }).ok()
}

/// What a call asks. Errors: `unknown_field`, `text_too_long`, `too_many_offers`.
fn question(
    visit: &mut Visit,
    request: &Request,
    asked: Asked,
) -> Result<(Placements, Fields), Fault> {
    let fields = visit.fields_with(request, asked.context)?;
    if asked.shown.len() > limits::SHOWN_PER_CALL {
        let message = format!("at most {} offers are shown already", limits::SHOWN_PER_CALL);
        return Err(Fault::new(400, "too_many_offers", message, "shown"));
    }
    visit.around.shown = asked.shown;
    let placements = asked.placements.map_or(Placements::Every(Where::Page), Placements::Named);
    Ok((placements, fields))
}

/// `GET /v1/slice`: the slice in postcard bytes. Another site's page can send this request, but not
/// read its answer; it changes nothing.
pub async fn slice(mut visit: Visit, request: &Request) -> Result<Answer, Fault> {
    let context = visit.url.query_pairs().into_owned().collect();
    let fields = visit.fields_with(request, context)?;
    let input = |speaker| Input::Slice { speaker, request: fields.clone() };
    let reply = match visit.consult(&input).await? {
        Reply::Erased => visit.alone(input(visit.nobody()))?,
        reply => reply,
    };
    let Reply::Slice(slice) = reply else { return Err(Fault::unavailable()) };
    let answer = Answer::bytes(slice.to_bytes(), "application/octet-stream", Cache::Personal)
        .with(IMAGE_HEADER, assets::image_path(&slice.workspace))
        .with("cross-origin-resource-policy", "same-origin");
    Ok(answer.with_cookie(visit.cookie_line()))
}

/// `GET /.well-known/gpc.json`: that the signal is honoured here.
pub fn gpc() -> Result<Answer, Fault> {
    let mut answer = Answer::json(&json!({ "gpc": true, "lastUpdate": "2026-11-22" }))?;
    answer.cache = Cache::Short;
    Ok(answer)
}
