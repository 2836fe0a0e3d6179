//! The one place for what every answer has in common: its cache class, cookies, JSON errors, the
//! bounds of bodies, and who may call. It must never know what a route does.

use std::borrow::Cow;
use std::cell::RefCell;
use std::rc::Rc;

use futures_util::StreamExt;
use js_sys::futures::JsFuture;
use js_sys::{Promise, Uint8Array};
use selvedge::error::Error;
use selvedge::json;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use wasm_bindgen::prelude::*;
use worker::{ByteStream, Method, Url, web_sys};

#[wasm_bindgen(module = "/glue.mjs")]
extern "C" {
    fn field(request: &web_sys::Request, name: &str) -> Option<String>;

    fn place(request: &web_sys::Request) -> Vec<String>;

    #[wasm_bindgen(catch)]
    fn respond(status: u16, fields: &str, body: JsValue) -> Result<web_sys::Response, JsValue>;
}

/// The fields that are read of every request, by their names in lower case.
pub const FIELDS: [&str; 5] = ["cache-control", "content-type", "cookie", "origin", "sec-gpc"];

/// The headers of a personal answer in JSON that has no others.
pub const PLAIN: [(&str, &str); 3] = usual(JSON, Cache::Personal);

const JSON: &str = "application/json";

/// The headers that every answer has.
const fn usual(content_type: &'static str, cache: Cache) -> [(&'static str, &'static str); 3] {
    [
        ("content-type", content_type),
        ("cache-control", cache.header()),
        ("x-content-type-options", "nosniff"),
    ]
}

/// A request. Its head comes from the runtime in one piece: each crossing costs about as much as
/// all that is done with the head here.
#[derive(Debug)]
pub struct Request {
    raw: web_sys::Request,
    head: Head,
    /// Where it was read already, as it came.
    body: RefCell<Option<Vec<u8>>>,
}

impl Request {
    /// A request with its head as `shim.mjs` writes it.
    pub fn new(raw: web_sys::Request, head: String, body: Option<Vec<u8>>) -> worker::Result<Self> {
        Ok(Self { raw, head: Head::parse(head)?, body: RefCell::new(body) })
    }

    pub fn method(&self) -> Method {
        Method::from(self.head.line(0).to_owned())
    }

    /// The address as it came.
    pub fn url(&self) -> &Rc<Url> {
        &self.head.address.url
    }

    /// Country and subdivision as the network says; empty where it says none.
    pub fn place(&self) -> (String, String) {
        let mut said = place(&self.raw).into_iter();
        (said.next().unwrap_or_default(), said.next().unwrap_or_default())
    }

    /// The runtime's own object.
    pub fn inner(&self) -> &web_sys::Request {
        &self.raw
    }
}

/// Method, address and [`FIELDS`], a line each.
#[derive(Debug)]
struct Head {
    text: String,
    address: Rc<Address>,
    lines: [(usize, usize); HEAD_LINES],
}

/// Lines before those of the fields.
const BEFORE: usize = 2;
const HEAD_LINES: usize = BEFORE + FIELDS.len();

#[derive(Debug)]
struct Address {
    url: Rc<Url>,
    /// As a browser's `Origin` has it.
    origin: String,
}

thread_local! {
    /// The last address: most calls are to the same few.
    static LAST: RefCell<Option<Rc<Address>>> = const { RefCell::new(None) };
}

impl Head {
    fn parse(text: String) -> worker::Result<Self> {
        let mut lines = [(0, 0); HEAD_LINES];
        let mut start = 0_usize;
        for (place, line) in lines.iter_mut().zip(text.split('\n')) {
            let end = start.saturating_add(line.len());
            *place = (start, end);
            start = end.saturating_add(1);
        }
        let address = lines.get(1).and_then(|(start, end)| text.get(*start..*end));
        let address = parsed(address.unwrap_or_default())?;
        Ok(Self { address, lines, text })
    }

    fn line(&self, at: usize) -> &str {
        let line = self.lines.get(at).and_then(|(start, end)| self.text.get(*start..*end));
        line.unwrap_or_default()
    }

    /// The value of one of [`FIELDS`], by its place there.
    fn field(&self, at: usize) -> Option<&str> {
        self.line(at.saturating_add(BEFORE)).strip_prefix('=')
    }
}

fn parsed(text: &str) -> worker::Result<Rc<Address>> {
    LAST.with_borrow_mut(|last| match last {
        Some(address) if address.url.as_str() == text => Ok(Rc::clone(address)),
        _ => {
            let url = Rc::new(Url::parse(text)?);
            let origin = url.origin().ascii_serialization();
            Ok(Rc::clone(last.insert(Rc::new(Address { url, origin }))))
        }
    })
}

/// Who may keep an answer. Every answer has a class; there is no default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cache {
    /// Belongs to one visitor, or to nobody.
    Personal,
    /// The name holds a hash of the content.
    Immutable,
    /// The same for everybody, replaced with the next deployment.
    Short,
}

impl Cache {
    /// The header's value.
    pub const fn header(self) -> &'static str {
        match self {
            Self::Personal => "private, no-store",
            Self::Immutable => "public, max-age=31536000, immutable",
            Self::Short => "public, max-age=60, stale-while-revalidate=600",
        }
    }
}

/// An answer of one of our own routes.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
    pub cache: Cache,
    content_type: &'static str,
    headers: Vec<(&'static str, String)>,
}

impl Answer {
    /// A personal answer in JSON.
    pub fn json(value: &impl Serialize) -> Result<Self, Fault> {
        let body = serde_json::to_vec(value).map_err(|_| Fault::unavailable())?;
        Ok(Self::bytes(body, JSON, Cache::Personal))
    }

    /// Bytes of a type, in a cache class.
    pub fn bytes(body: Vec<u8>, content_type: &'static str, cache: Cache) -> Self {
        Self { status: 200, body, cache, content_type, headers: Vec::new() }
    }

    /// With one more header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// With a cookie to set, if there is one.
    #[must_use]
    pub fn with_cookie(self, line: Option<String>) -> Self {
        match line {
            Some(line) => self.with("set-cookie", line),
            None => self,
        }
    }

    /// As the shim wants it: a text where the headers are [`PLAIN`], else a response; `HEAD` leaves
    /// the body away.
    pub fn respond(self, method: &Method) -> worker::Result<JsValue> {
        if self.is_plain()
            && *method != Method::Head
            && let Ok(text) = core::str::from_utf8(&self.body)
        {
            return Ok(text.into());
        }
        // One text for all: each that crosses by itself costs more than its bytes.
        let usual = usual(self.content_type, self.cache);
        let own = self.headers.iter().map(|(name, value)| (*name, value.as_str()));
        let lines = usual.into_iter().chain(own).flat_map(|(name, value)| [name, value]);
        let fields = lines.collect::<Vec<_>>().join("\n");
        let body = if *method == Method::Head || self.status == 304 {
            JsValue::NULL
        } else {
            match core::str::from_utf8(&self.body) {
                Ok(text) if self.content_type == JSON => text.into(),
                _ => Uint8Array::from(self.body.as_slice()).into(),
            }
        };
        Ok(respond(self.status, &fields, body)?.into())
    }

    fn is_plain(&self) -> bool {
        self.status == 200
            && self.headers.is_empty()
            && usual(self.content_type, self.cache) == PLAIN
    }
}

/// A refusal: a status and the error that the caller reads.
#[derive(Debug)]
pub struct Fault {
    status: u16,
    error: Error,
    more: Option<(&'static str, Value)>,
    headers: Vec<(&'static str, String)>,
}

impl Fault {
    /// A refusal with a stable code.
    pub fn new(status: u16, code: &'static str, message: impl Into<String>, place: &str) -> Self {
        Self { status, error: Error::new(code, message, place), more: None, headers: Vec::new() }
    }

    /// Something that the edge leans on did not answer.
    pub fn unavailable() -> Self {
        Self::new(503, "unavailable", "the edge cannot answer now; try again", "")
            .with("retry-after", "1")
    }

    /// A wrong method, naming the right ones.
    pub fn method(allowed: &str) -> Self {
        Self::new(405, "method_not_allowed", format!("this route takes {allowed}"), "method")
            .with("allow", allowed)
    }

    /// With one more header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// With one more field in the answer.
    #[must_use]
    pub fn with_field(mut self, name: &'static str, value: Value) -> Self {
        self.more = Some((name, value));
        self
    }

    /// The stable code.
    pub fn code(&self) -> &str {
        self.error.code()
    }

    /// The status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// What happened, in words.
    pub fn sentence(&self) -> &str {
        &self.error.message
    }

    /// The answer in the form of another protocol, with this refusal's headers.
    pub fn answer_with(self, status: u16, value: &Value) -> Answer {
        let body = value.to_string().into_bytes();
        let mut answer = Answer::bytes(body, JSON, Cache::Personal);
        answer.status = status;
        answer.headers = self.headers;
        answer
    }

    /// The answer that the caller reads.
    pub fn answer(self) -> Answer {
        let mut value = json!({
            "code": self.error.code(),
            "message": self.error.message,
            "where": self.error.place,
        });
        if let (Some((name, more)), Some(fields)) = (&self.more, value.as_object_mut()) {
            fields.insert((*name).to_owned(), more.clone());
        }
        let status = self.status;
        self.answer_with(status, &value)
    }
}

/// The core refuses bad input; only what says "later" is not the caller's mistake.
impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let (status, retry) = match error.code() {
            "outbox_full" => (503, true),
            "event_too_large" | "body_too_large" => (413, false),
            "bad_token"
            | "bad_token_algorithm"
            | "unknown_token_key"
            | "bad_token_signature"
            | "wrong_token_audience"
            | "token_expired"
            | "token_not_yet_valid"
            | "token_replayed" => (401, false),
            _ => (400, false),
        };
        let fault = Self { status, error, more: None, headers: Vec::new() };
        if retry { fault.with("retry-after", "5") } else { fault }
    }
}

/// The runtime failed us; what it says is for the log, not for the caller.
impl From<worker::Error> for Fault {
    fn from(error: worker::Error) -> Self {
        worker::console_error!("the runtime refused: {error}");
        Self::unavailable()
    }
}

/// A request header, where it is there and readable.
pub fn header<'r>(request: &'r Request, name: &str) -> Option<Cow<'r, str>> {
    match FIELDS.iter().position(|field| *field == name) {
        Some(at) => request.head.field(at).map(Cow::Borrowed),
        None => field(&request.raw, name).map(Cow::Owned),
    }
}

/// Reads a body of at most `max_bytes`. Errors: `body_too_large`, `unsupported_encoding`.
pub async fn body(request: &Request, max_bytes: usize) -> Result<Vec<u8>, Fault> {
    let too_large = || {
        Fault::new(413, "body_too_large", format!("a body has at most {max_bytes} bytes here"), "")
    };
    // None of those that were read is encoded.
    if let Some(bytes) = request.body.take() {
        return if bytes.len() > max_bytes { Err(too_large()) } else { Ok(bytes) };
    }
    let gzip = match header(request, "content-encoding").as_deref() {
        None | Some("" | "identity") => false,
        Some("gzip") => true,
        Some(_) => {
            let message = "bodies are taken as they are, or in gzip";
            return Err(Fault::new(415, "unsupported_encoding", message, "content-encoding"));
        }
    };
    let said = header(request, "content-length").and_then(|length| length.parse::<usize>().ok());
    if said.is_some_and(|length| length > max_bytes) {
        return Err(too_large());
    }
    // The runtime takes no more bytes than a length that was said, unless chunks overrule it.
    let chunked = header(request, "transfer-encoding").is_some();
    if said.is_some() && !gzip && !chunked {
        return whole(request, max_bytes).await?.ok_or_else(too_large);
    }
    let Some(raw) = request.inner().body() else { return Ok(Vec::new()) };
    // Bounded as it unpacks: a small body that grows without end stops at the bound.
    let raw = if gzip { gunzipped(raw)? } else { raw };
    let mut stream = ByteStream::from(raw);
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| broken_off())?;
        if bytes.len().saturating_add(chunk.len()) > max_bytes {
            return Err(too_large());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn broken_off() -> Fault {
    Fault::new(400, "bad_body", "the body broke off", "")
}

/// A body of a length that was said: one wait and one copy, where a stream takes many. None where
/// it is longer than `max_bytes` all the same.
async fn whole(request: &Request, max_bytes: usize) -> Result<Option<Vec<u8>>, Fault> {
    let read: Promise = request.inner().array_buffer().map_err(|_| broken_off())?.unchecked_into();
    let read = JsFuture::from(read).await.map_err(|_| broken_off())?;
    let bytes = Uint8Array::new(&read);
    let fits = usize::try_from(bytes.length()).is_ok_and(|length| length <= max_bytes);
    Ok(fits.then(|| bytes.to_vec()))
}

#[wasm_bindgen]
extern "C" {
    /// The runtime's own decoder, which streams.
    type DecompressionStream;

    #[wasm_bindgen(constructor, catch)]
    fn new(format: &str) -> Result<DecompressionStream, JsValue>;

    /// `ReadableStream`, for the method that needs the decoder's type.
    type Piped;

    #[wasm_bindgen(method, catch, js_name = pipeThrough)]
    fn pipe_through(
        this: &Piped,
        decoder: &DecompressionStream,
    ) -> Result<web_sys::ReadableStream, JsValue>;
}

fn gunzipped(raw: web_sys::ReadableStream) -> Result<web_sys::ReadableStream, Fault> {
    let piped: Piped = JsValue::from(raw).unchecked_into();
    DecompressionStream::new("gzip")
        .and_then(|decoder| piped.pipe_through(&decoder))
        .map_err(|_| Fault::unavailable())
}

/// Insists on a media type. Errors: `unsupported_media_type`.
pub fn media_type(request: &Request, wanted: &[&str]) -> Result<(), Fault> {
    let given = header(request, "content-type").unwrap_or_default();
    let mut parts = given.split(';').map(str::trim);
    let kind = parts.next().unwrap_or_default();
    let charset = parts.all(|part| match part.split_once('=') {
        Some((name, value)) if name.eq_ignore_ascii_case("charset") => {
            value.trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        _ => true,
    });
    if charset && wanted.iter().any(|wanted| kind.eq_ignore_ascii_case(wanted)) {
        return Ok(());
    }
    Err(Fault::new(
        415,
        "unsupported_media_type",
        format!("this route takes {} in UTF-8", wanted.join(" or ")),
        "content-type",
    ))
}

/// One of our own calls: JSON, bounded, in UTF-8, without unknown fields. Errors:
/// `unsupported_media_type`, `body_too_large`, `not_utf8`, `json_too_deep`, `bad_json`,
/// `unknown_field`, `missing_field`, `bad_field`.
pub async fn call<T: DeserializeOwned>(
    request: &mut Request,
    max_bytes: usize,
) -> Result<T, Fault> {
    media_type(request, &["application/json"])?;
    let bytes = body(request, max_bytes).await?;
    read(&bytes)
}

/// The same of a body that was read already; None where it was not, or is no such call. The body
/// stays where it is.
pub fn call_at_once<T: DeserializeOwned>(request: &Request, max_bytes: usize) -> Option<T> {
    media_type(request, &["application/json"]).ok()?;
    let body = request.body.borrow();
    read(body.as_deref().filter(|body| body.len() <= max_bytes)?).ok()
}

/// The call behind bounded bytes. Errors: as [`call`].
pub fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Fault> {
    let text = core::str::from_utf8(bytes)
        .map_err(|_| Fault::new(400, "not_utf8", "the body is no UTF-8 text", ""))?;
    json::check_depth(bytes)?;
    // The parser would take a list for a struct, field by field.
    if bytes.trim_ascii_start().first().is_some_and(|first| b"[\"0123456789-tfn".contains(first)) {
        return Err(Fault::new(400, "bad_field", "the body is a JSON object", ""));
    }
    serde_json::from_str(text).map_err(|error| mistake(&error))
}

/// What is wrong with a JSON text, without a word of the text itself but names of fields.
fn mistake(error: &serde_json::Error) -> Fault {
    let place = format!("line {}, column {}", error.line(), error.column());
    if !error.is_data() {
        return Fault::new(400, "bad_json", "the body is no JSON text", &place);
    }
    let said = error.to_string();
    let (code, message) = if said.starts_with("unknown field") {
        ("unknown_field", "the body has a field that this route does not know")
    } else if said.starts_with("missing field") {
        ("missing_field", "the body lacks a field that this route needs")
    } else {
        ("bad_field", "a field of the body has the wrong type or value")
    };
    Fault::new(400, code, message, &place)
}

/// Whether the browser says that the request comes from a page of this very site.
pub fn is_same_origin(request: &Request) -> bool {
    if let Some(origin) = header(request, "origin") {
        return origin == request.head.address.origin;
    }
    header(request, "sec-fetch-site").is_some_and(|site| site == "same-origin")
}

/// Insists on it, for routes that change a visitor's state. Errors: `foreign_origin`.
pub fn same_origin(request: &Request) -> Result<(), Fault> {
    if is_same_origin(request) {
        return Ok(());
    }
    Err(foreign())
}

/// The refusal of another site's pages.
pub fn foreign() -> Fault {
    Fault::new(403, "foreign_origin", "only pages of this site may call this", "origin")
}

/// The bearer token of a request.
pub fn bearer(request: &Request) -> Option<String> {
    let value = header(request, "authorization")?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
}

/// Insists on a bearer token. Errors: `no_key`, `bad_key`.
pub fn with_key(request: &Request, is_right: impl Fn(&str) -> bool) -> Result<(), Fault> {
    let refuse = |code, message: &str| {
        Fault::new(401, code, message, "authorization").with("www-authenticate", "Bearer")
    };
    match bearer(request) {
        None => Err(refuse("no_key", "this route takes a secret key as bearer token")),
        Some(key) if is_right(&key) => Ok(()),
        Some(_) => Err(refuse("bad_key", "this is not the key of this route")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::rc::Rc;

    use super::{FIELDS, Head};

    fn text(fields: &[(&str, &str)]) -> String {
        let value = |name: &str| fields.iter().find(|(field, _)| *field == name);
        let line = |name: &&str| value(name).map_or_else(String::new, |(_, it)| format!("={it}"));
        let lines: Vec<String> = FIELDS.iter().map(line).collect();
        format!("POST\nhttps://shop.example/a?b=c:d\n{}", lines.join("\n"))
    }

    #[test]
    fn a_head_tells_its_address_and_its_fields_apart() {
        let fields = [("cookie", ""), ("origin", "https://shop.example"), ("sec-gpc", "=y")];
        let head = Head::parse(text(&fields)).unwrap();
        assert_eq!(head.address.url.as_str(), "https://shop.example/a?b=c:d");
        assert_eq!(head.address.origin, "https://shop.example");
        assert_eq!(head.line(0), "POST");
        for (at, name) in FIELDS.iter().enumerate() {
            let sent = fields.iter().find(|(field, _)| field == name).map(|(_, value)| *value);
            assert_eq!(head.field(at), sent, "{name}");
        }
        assert_eq!(head.field(FIELDS.len()), None);
    }

    #[test]
    fn the_same_address_is_read_once_and_another_is_not_taken_for_it() {
        let one = Head::parse(text(&[])).unwrap();
        let same = Head::parse(text(&[])).unwrap();
        assert!(Rc::ptr_eq(&one.address, &same.address));
        let other = Head::parse(text(&[]).replace("example/a", "example:81/a")).unwrap();
        assert_eq!(other.address.url.as_str(), "https://shop.example:81/a?b=c:d");
        assert_eq!(other.address.origin, "https://shop.example:81");
    }

    #[test]
    fn a_head_without_an_address_is_refused() {
        for text in ["", "GET", "GET\n/a\n=x"] {
            assert!(Head::parse(text.to_owned()).is_err(), "{text:?}");
        }
    }
}
