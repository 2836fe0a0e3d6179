//! Everything that is not ours: the origin's answer, byte for byte, unless it is confirmed HTML
//! for a person to read. Then it streams through the rewriter. On any failure, or past the time
//! budget, the untouched page goes out.

use std::rc::Rc;
use std::time::Duration;

use futures_util::future::{Either, join, select};
use js_sys::Promise;
use js_sys::futures::JsFuture;
use selvedge::consent::Purpose;
use selvedge::decide::Decision;
use selvedge::engine::{Input, Placements, Reply};
use selvedge::page::{
    ConsentAnswer, PAGE_STATE_VERSION, PageDecision, PageImage, PageState, script_text,
};
use selvedge::time::Timestamp;
use selvedge::workspace::Where;
use wasm_bindgen::JsCast;
use worker::{Delay, Env, Headers, Method, Url, web_sys};

use crate::cookie::{self, Reference};
use crate::html::{self, Policy};
use crate::http::{Cache, Fault, Request, header};
use crate::rewrite::{self, Patches};
use crate::settings::Settings;
use crate::visitor::Visit;
use crate::{assets, published};

/// How long a page may wait for its decisions, counted from the request.
const DECIDE_MS: u64 = 300;
/// Headers that belong to one connection (RFC 9110, section 7.6.1).
const HOP_BY_HOP: [&str; 7] = [
    "connection",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
];
/// What the origin says of bytes that are no longer the bytes that go out.
const OF_BYTES: [&str; 9] = [
    "etag",
    "last-modified",
    "content-length",
    "accept-ranges",
    "content-md5",
    "digest",
    "content-digest",
    "repr-digest",
    "expires",
];
/// Conditions on the origin's bytes, which a rewritten page no longer is.
const CONDITIONS: [&str; 6] =
    ["if-none-match", "if-modified-since", "if-match", "if-unmodified-since", "if-range", "range"];
/// Encodings that the runtime reads and writes by itself.
const ENCODINGS: [&str; 2] = ["gzip", "br"];

/// What a page is made of, beside the origin's bytes.
struct Prepared {
    decisions: Vec<Decision>,
    /// JSON that may stand in a script element.
    state: String,
    cookie_line: Option<String>,
    is_preview: bool,
}

/// Serves a request that is none of ours.
pub async fn serve(
    request: &Request,
    env: Env,
    settings: Rc<Settings>,
    now: Timestamp,
) -> Result<web_sys::Response, Fault> {
    let url = request.url();
    let wants_html = request.method() == Method::Get && wants_html(request);
    let known = reference(request, &settings, now);
    let asked = to_origin(request, url, &settings.origin, known, wants_html)?;
    // The runtime sends the request now; the decision is made while the origin works.
    let worker: web_sys::WorkerGlobalScope = js_sys::global().unchecked_into();
    let fetched = worker.fetch_with_request(&asked);
    if !wants_html {
        return Ok(passed_on(answered(fetched).await?, &settings.origin));
    }
    let decided = in_time(prepare(request, env, Rc::clone(&settings), now));
    let (response, prepared) = join(answered(fetched), decided).await;
    let response = response?;
    match prepared {
        Some(prepared) if is_html(&response) => Ok(rewritten(response, prepared, &settings.origin)),
        _ => Ok(passed_on(response, &settings.origin)),
    }
}

/// Serves a request that is none of ours where the edge is not set up: the site goes on without it.
pub async fn untouched(request: &Request, origin: &Url) -> Result<web_sys::Response, Fault> {
    let asked = to_origin(request, request.url(), origin, None, false)?;
    let worker: web_sys::WorkerGlobalScope = js_sys::global().unchecked_into();
    Ok(passed_on(answered(worker.fetch_with_request(&asked)).await?, origin))
}

/// Whether a person is going to read the answer as a page.
fn wants_html(request: &Request) -> bool {
    let upgrade = header(request, "upgrade").is_some();
    let accepted = header(request, "accept").unwrap_or_default();
    let navigates = header(request, "sec-fetch-dest")
        .is_none_or(|dest| matches!(dest.as_ref(), "document" | "iframe" | "frame" | "empty"));
    !upgrade
        && navigates
        && (accepted.is_empty() || accepted.contains("text/html") || accepted == "*/*")
}

/// The request as the origin gets it.
fn to_origin(
    request: &Request,
    url: &Url,
    origin: &Url,
    reference: Option<String>,
    wants_html: bool,
) -> Result<web_sys::Request, Fault> {
    let raw = request.inner();
    let headers = Headers(web_sys::Headers::new_with_headers(&raw.headers()).map_err(runtime)?);
    for name in headers.keys().filter(|name| name.starts_with("selvedge-")).collect::<Vec<_>>() {
        headers.delete(&name)?;
    }
    for name in HOP_BY_HOP {
        headers.delete(name)?;
    }
    if wants_html {
        for name in CONDITIONS {
            headers.delete(name)?;
        }
        let accepted = headers.get("accept-encoding")?.unwrap_or_default();
        let read = ENCODINGS.into_iter().filter(|encoding| accepted.contains(encoding));
        let read: Vec<&str> = read.collect();
        let read = if read.is_empty() { "identity".to_owned() } else { read.join(", ") };
        headers.set("accept-encoding", &read)?;
    }
    let host = match url.port() {
        Some(port) => format!("{}:{port}", url.host_str().unwrap_or_default()),
        None => url.host_str().unwrap_or_default().to_owned(),
    };
    headers.set("x-forwarded-host", &host)?;
    headers.set("x-forwarded-proto", url.scheme())?;
    if let Some(cookies) = headers.get("cookie")? {
        match cookie::without(&cookies) {
            Some(others) => headers.set("cookie", &others)?,
            None => headers.delete("cookie")?,
        }
    }
    if let Some(reference) = reference {
        headers.set("selvedge-visitor", &reference)?;
    }
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    let origin = origin.as_str().trim_end_matches('/');
    let init = web_sys::RequestInit::new();
    init.set_method(&raw.method());
    init.set_headers(headers.as_ref());
    init.set_redirect(web_sys::RequestRedirect::Manual);
    if let Some(body) = raw.body() {
        init.set_body(&body);
    }
    let target = format!("{origin}{}{query}", url.path());
    web_sys::Request::new_with_str_and_init(&target, &init).map_err(runtime)
}

/// What the origin may later ask `explain` with; sealed, so that it names nobody.
fn reference(request: &Request, settings: &Settings, now: Timestamp) -> Option<String> {
    let cookies = header(request, "cookie")?;
    let cookie = settings.cookies.open_cookie(cookie::find(&cookies)?, now)?;
    settings.cookies.seal_reference(&Reference {
        device: cookie.device?,
        person: cookie.person,
        signals: crate::visitor::signals(request, settings),
        issued: now,
    })
}

async fn answered(fetched: Promise) -> Result<web_sys::Response, Fault> {
    let response = JsFuture::from(fetched).await.map_err(|_| {
        worker::console_warn!("the origin did not answer");
        Fault::new(502, "origin_unreachable", "the site behind the edge did not answer", "")
    })?;
    response.dyn_into().map_err(runtime)
}

fn runtime(_: impl Sized) -> Fault {
    Fault::unavailable()
}

/// The decisions, where they come within the budget.
async fn in_time(prepared: impl Future<Output = Result<Prepared, Fault>>) -> Option<Prepared> {
    let late = Delay::from(Duration::from_millis(DECIDE_MS));
    match select(std::pin::pin!(prepared), late).await {
        Either::Left((Ok(prepared), _)) => Some(prepared),
        Either::Left((Err(fault), _)) => {
            worker::console_warn!("the page goes out untouched: {}", fault.code());
            None
        }
        Either::Right(_) => {
            worker::console_warn!("the page goes out untouched: no decision in time");
            None
        }
    }
}

async fn prepare(
    request: &Request,
    env: Env,
    settings: Rc<Settings>,
    now: Timestamp,
) -> Result<Prepared, Fault> {
    let workspace = published::current(&env, &settings.tenant, now).await?;
    let mut visit = Visit::of(request, env, settings, workspace, now);
    let fields = visit.fields(request);
    let input = |speaker| Input::Decide {
        speaker,
        placements: Placements::Every(Where::Edge),
        request: fields.clone(),
        trace: false,
    };
    let (reply, erased) = match visit.consult(&input).await? {
        // The page of somebody erased is the page of somebody new, and sets no new device yet.
        Reply::Erased => (visit.alone(input(visit.nobody()))?, true),
        reply => (reply, false),
    };
    let Reply::Decisions(page) = reply else { return Err(Fault::unavailable()) };
    let may_store = page.consent.effective.allowed().has(Purpose::Store);
    if may_store && visit.cookie.device.is_none() && !erased {
        visit.new_device()?;
    }
    let version = &visit.workspace.version;
    let state = PageState {
        version: PAGE_STATE_VERSION,
        now,
        workspace: version.clone(),
        consent: ConsentAnswer::of(&page.consent, &visit.signals.region),
        request: fields,
        image: PageImage { url: assets::image_path(version) },
        decisions: page.decisions.iter().map(PageDecision::from).collect(),
    };
    let state = script_text(&state)?;
    let (cookie_line, is_preview) = (visit.cookie_line(), visit.is_preview);
    Ok(Prepared { decisions: page.decisions, state, cookie_line, is_preview })
}

/// Whether a response is a page that may be rewritten. Only what is confirmed is touched.
fn is_html(response: &web_sys::Response) -> bool {
    let get = |name: &str| response.headers().get(name).ok().flatten().unwrap_or_default();
    let kind = get("content-type").to_ascii_lowercase();
    let mut parts = kind.split(';').map(str::trim);
    let html = parts.next() == Some("text/html");
    let readable = parts.all(|part| match part.split_once('=') {
        Some(("charset", charset)) => {
            let charset = charset.trim_matches('"');
            charset == "utf-8" || charset == "us-ascii" || charset.starts_with("iso-8859-1")
        }
        _ => true,
    });
    let encoding = get("content-encoding");
    response.status() == 200
        && html
        && readable
        && (encoding.is_empty() || encoding == "identity" || ENCODINGS.contains(&encoding.as_str()))
        && !get("cache-control").contains("no-transform")
        && !get("content-disposition").starts_with("attachment")
        && response.body().is_some()
}

/// The page with its offers; untouched where the runtime refuses.
fn rewritten(response: web_sys::Response, prepared: Prepared, origin: &Url) -> web_sys::Response {
    let policy =
        Policy::of(response.headers().get("content-security-policy").ok().flatten().as_deref());
    let entry = html::entry(&prepared.state, &policy);
    let patches = Patches { decisions: prepared.decisions, entry };
    let made = personal_headers(&response, prepared.cookie_line).and_then(|headers| {
        if prepared.is_preview {
            headers.set("selvedge-preview", "on")?;
        }
        let init = web_sys::ResponseInit::new();
        init.set_status(200);
        init.set_headers(headers.as_ref());
        let page = rewrite::page(&response, patches).map_err(runtime)?;
        web_sys::Response::new_with_opt_readable_stream_and_init(page.body().as_ref(), &init)
            .map_err(runtime)
    });
    made.unwrap_or_else(|_| {
        worker::console_error!("a page cannot be rewritten");
        passed_on(response, origin)
    })
}

fn personal_headers(
    response: &web_sys::Response,
    cookie_line: Option<String>,
) -> Result<Headers, Fault> {
    let headers = web_sys::Headers::new_with_headers(&response.headers()).map_err(runtime)?;
    let headers = Headers(headers);
    for name in OF_BYTES {
        headers.delete(name)?;
    }
    headers.set("cache-control", Cache::Personal.header())?;
    if let Some(line) = cookie_line {
        headers.append("set-cookie", &line)?;
    }
    Ok(headers)
}

/// The origin's answer as it came; only an absolute redirect to the origin itself is turned into
/// one on this site, or browsers would leave it.
fn passed_on(response: web_sys::Response, origin: &Url) -> web_sys::Response {
    let location = response.headers().get("location").ok().flatten();
    let origin = origin.origin().ascii_serialization();
    let moved = location.as_deref().and_then(|location| location.strip_prefix(origin.as_str()));
    let Some(moved) = moved.filter(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#']))
    else {
        return response;
    };
    let moved = if moved.starts_with('/') { moved.to_owned() } else { format!("/{moved}") };
    let changed = || -> Result<web_sys::Response, Fault> {
        let headers = web_sys::Headers::new_with_headers(&response.headers()).map_err(runtime)?;
        headers.set("location", &moved).map_err(runtime)?;
        let init = web_sys::ResponseInit::new();
        init.set_status(response.status());
        init.set_headers(headers.as_ref());
        web_sys::Response::new_with_opt_readable_stream_and_init(response.body().as_ref(), &init)
            .map_err(runtime)
    };
    changed().unwrap_or(response)
}
