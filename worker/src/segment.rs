//! Segment's HTTP API: `batch`, `track` and the rest. A write key lets events in; whose they are,
//! only the visitor's own cookie says, sent by a page of this site. It must never answer with
//! anything about a profile.

use std::collections::BTreeMap;

use data_encoding::BASE64;
use selvedge::engine::{Input, Reply};
use selvedge::error::Error;
use selvedge::event::{Event, EventKind};
use selvedge::ids::Entropy;
use selvedge::{json, limits};
use serde::Deserialize;
use serde_json::json as value;

use crate::http::{self, Answer, Fault, Request, header};
use crate::objects;
use crate::settings::Settings;
use crate::views;
use crate::visitor::Visit;

/// Refusals of single events that an answer spells out.
const ERRORS: usize = 20;

/// Where Segment's own libraries for browsers put the key.
#[derive(Deserialize)]
struct Keyed {
    #[serde(default, rename = "writeKey")]
    write_key: Option<String>,
}

/// A call of one kind, or, without a kind, a batch.
pub async fn events(
    mut visit: Visit,
    request: &mut Request,
    kind: Option<EventKind>,
) -> Result<Answer, Fault> {
    let own = http::is_same_origin(request);
    // Segment's beacons come as plain text, which needs no preflight: only a key lets them in.
    http::media_type(request, &["application/json", "text/plain"])?;
    let plain = http::media_type(request, &["application/json"]).is_err();
    let max_bytes = if kind.is_some() { limits::EVENT_BYTES } else { limits::BATCH_BYTES };
    let bytes = http::body(request, max_bytes).await?;
    if core::str::from_utf8(&bytes).is_err() {
        return Err(Fault::new(400, "not_utf8", "the body is no UTF-8 text", ""));
    }
    json::check_depth(&bytes)?;
    admit(request, &visit.settings, &bytes, own && !plain)?;
    if !own {
        // A foreign page that sends the visitor's cookie along speaks for nobody.
        visit.forget();
    }
    let read = json::batch(&bytes, kind, visit.now, &mut Entropy::new(objects::seed()?))?;
    let single = kind.is_some();
    let mut events = Vec::with_capacity(read.len());
    let mut refused = Vec::new();
    for one in read {
        match one.and_then(|event| event.check().map(|()| event)) {
            Ok(event) => events.push(event),
            Err(error) if single => return Err(error.into()),
            Err(error) => refused.push(error),
        }
    }
    if events.is_empty() && !refused.is_empty() {
        return Err(refused.swap_remove(0).into());
    }
    take(visit, events, &refused).await
}

async fn take(mut visit: Visit, events: Vec<Event>, refused: &[Error]) -> Result<Answer, Fault> {
    let count = u32::try_from(events.len()).unwrap_or(u32::MAX);
    if visit.is_preview {
        let dropped = BTreeMap::from([("preview".to_owned(), count)]);
        return tally(&visit, (0, 0, dropped), refused);
    }
    let input =
        |speaker| Input::Events { speaker, events: events.clone(), known: Default::default() };
    let reply = visit.consult(input).await?;
    let told = match reply {
        // Without a device nothing was looked at, so nothing is said of consent.
        Reply::Events { .. } if visit.cookie.device.is_none() => {
            (0, 0, BTreeMap::from([("no_device".to_owned(), count)]))
        }
        Reply::Events { kept, duplicate, dropped } => (kept, duplicate, dropped),
        Reply::Erased => (0, 0, BTreeMap::from([("erased".to_owned(), count)])),
        _ => return Err(Fault::unavailable()),
    };
    tally(&visit, told, refused)
}

fn tally(
    visit: &Visit,
    (kept, duplicate, mut dropped): (u32, u32, BTreeMap<String, u32>),
    refused: &[Error],
) -> Result<Answer, Fault> {
    for error in refused {
        let some = dropped.entry(error.code().to_owned()).or_default();
        *some = some.saturating_add(1);
    }
    let answer = value!({
        "success": true,
        "kept": kept,
        "duplicate": duplicate,
        "dropped": dropped,
        "errors": refused.iter().take(ERRORS).map(views::plain).collect::<Vec<_>>(),
    });
    Ok(Answer::json(&answer)?.with_cookie(visit.cookie_line()))
}

/// Lets a request in by its key, or as a page's own. Errors: `no_write_key`, `bad_write_key`,
/// `foreign_origin`.
fn admit(request: &Request, settings: &Settings, bytes: &[u8], own: bool) -> Result<(), Fault> {
    let refuse = |code, message: &str| {
        Fault::new(401, code, message, "authorization").with("www-authenticate", "Basic")
    };
    let in_body = || serde_json::from_slice::<Keyed>(bytes).ok()?.write_key;
    match basic_user(request).or_else(in_body) {
        Some(key) if settings.is_write_key(&key) => Ok(()),
        Some(_) => Err(refuse("bad_write_key", "this is not a write key of this site")),
        None if own => Ok(()),
        None if header(request, "origin").is_some() => Err(http::foreign()),
        None => Err(refuse("no_write_key", "this route takes a write key as Basic user")),
    }
}

/// The user name of Basic credentials, which is where Segment's libraries put the write key.
fn basic_user(request: &Request) -> Option<String> {
    let value = header(request, "authorization")?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let bytes = BASE64.decode(encoded.trim().as_bytes()).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    Some(text.split_once(':').map_or(text.as_str(), |(user, _)| user).to_owned())
}
