//! The routes of the OpenFeature Remote Evaluation Protocol: a placement is a flag, what stands in
//! it the value. With a write key only what the call itself says is looked at: it must never read a
//! profile, and answers the same for people that are known and people that are not. Without a key a
//! visitor gets their own decisions, as by `v1/decide`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use selvedge::consent::{Basis, Choice, Purpose, Record, Region, Signals};
use selvedge::decide::{Decision, Request as Fields};
use selvedge::engine::{self, Body, Input, Page, Placements, Reply, Speaker};
use selvedge::ids::{Entropy, EventKey, ProfileName, hex};
use selvedge::json;
use selvedge::limits;
use selvedge::offer::Offer;
use selvedge::profile::{Source, Stamp, Trait};
use selvedge::rule::Value as Known;
use selvedge::time::Timestamp;
use selvedge::workspace::{REQUEST_FIELDS, Where, Workspace};
use serde_json::{Map, Value, json};

use crate::http::{self, Answer, Fault, Request, header};
use crate::visitor::{FIELD_BYTES, Visit};

/// Where the flags are; a single one follows after `/`.
const FLAGS: &str = "ofrep/v1/evaluate/flags";

/// What `personalise` needs of the caller, here as everywhere.
const NEEDED: [Purpose; 3] = [Purpose::Store, Purpose::Profile, Purpose::Personalise];

/// Whether a path below `/_selvedge/` is one of these routes.
pub fn is_route(path: &str) -> bool {
    let rest = path.strip_prefix(FLAGS);
    rest.is_some_and(|rest| rest.is_empty() || rest.len() > 1 && rest.starts_with('/'))
}

/// The flag that a path names; None for all of them.
pub fn flag(path: &str) -> Option<String> {
    let (_, key) = path.split_once(FLAGS)?;
    let key = key.strip_prefix('/')?;
    let plain = js_sys::decode_uri_component(key).map(String::from);
    Some(plain.unwrap_or_else(|_| key.to_owned()))
}

/// `POST /ofrep/v1/evaluate/flags` and one of them.
pub async fn evaluate(
    visit: Visit,
    request: &mut Request,
    key: Option<&str>,
) -> Result<Answer, Fault> {
    let caller = caller(request, &visit)?;
    let context = context(request).await?;
    if let Some(key) = key
        && visit.workspace.placement(key).is_none()
    {
        let message = "the workspace has no placement of this name";
        return Err(Fault::new(404, "unknown_placement", message, "key"));
    }
    let asked = Asked { key, context };
    match caller {
        Caller::Visitor => of_visitor(visit, request, &asked).await,
        Caller::Server => of_server(&visit, request, &asked),
    }
}

/// A refusal as the protocol writes it, with our own stable code beside the protocol's.
pub fn refuse(fault: Fault, path: &str) -> Answer {
    let key = flag(path);
    let (status, error) = match (fault.code(), fault.status()) {
        ("unknown_placement", _) => (404, "FLAG_NOT_FOUND"),
        ("no_targeting_key", _) => (400, "TARGETING_KEY_MISSING"),
        ("bad_context" | "unknown_field" | "text_too_long" | "bad_trait", _) => {
            (400, "INVALID_CONTEXT")
        }
        // The protocol knows 400 alone for a call that cannot be read.
        (_, 400 | 413 | 415) => (400, "PARSE_ERROR"),
        (_, status) => (status, "GENERAL"),
    };
    let mut value = json!({
        "errorCode": error,
        "errorDetails": fault.sentence(),
        "code": fault.code(),
    });
    if let (Some(key), Some(fields)) = (key, value.as_object_mut()) {
        fields.insert("key".to_owned(), json!(key));
    }
    fault.answer_with(status, &value)
}

/// Who asks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Caller {
    /// Whoever holds the cookie, on a page of this site.
    Visitor,
    /// Whoever holds the write key.
    Server,
}

/// Errors: `no_write_key`, `bad_write_key`, `foreign_origin`.
fn caller(request: &Request, visit: &Visit) -> Result<Caller, Fault> {
    let refuse = |code, message: &str| {
        Fault::new(401, code, message, "authorization").with("www-authenticate", "Bearer")
    };
    match http::bearer(request).or_else(|| header(request, "x-api-key").map(Cow::into_owned)) {
        Some(key) if visit.settings.is_write_key(&key) => Ok(Caller::Server),
        Some(_) => Err(refuse("bad_write_key", "this is not a write key of this site")),
        None if http::is_same_origin(request) => Ok(Caller::Visitor),
        None if header(request, "origin").is_some() => Err(http::foreign()),
        None => Err(refuse("no_write_key", "this route takes a write key as bearer token")),
    }
}

struct Asked<'a> {
    key: Option<&'a str>,
    context: Map<String, Value>,
}

/// The context of a call; absent is empty. Errors: as [`http::call`], and `bad_context`.
async fn context(request: &Request) -> Result<Map<String, Value>, Fault> {
    http::media_type(request, &["application/json"])?;
    let bytes = http::body(request, limits::CALL_BYTES).await?;
    let mut body: Map<String, Value> = http::read(&bytes)?;
    match body.remove("context") {
        None => Ok(Map::new()),
        Some(Value::Object(fields)) if fields.len() <= limits::PROPERTIES => Ok(fields),
        Some(Value::Object(_)) => {
            let message = format!("a context has at most {} attributes", limits::PROPERTIES);
            Err(wrong(&message))
        }
        Some(_) => Err(wrong("`context` is an object")),
    }
}

fn wrong(message: &str) -> Fault {
    Fault::new(400, "bad_context", message, "context")
}

/// The texts under `request` in a context: the fields that conditions read. Errors: `bad_context`.
fn request_fields(context: &Map<String, Value>) -> Result<BTreeMap<String, String>, Fault> {
    let all = match context.get("request") {
        None => return Ok(BTreeMap::new()),
        Some(Value::Object(all)) => all,
        Some(_) => return Err(wrong("`request` is an object of texts")),
    };
    all.iter()
        .map(|(name, value)| match value {
            Value::String(text) => Ok((name.clone(), text.clone())),
            _ => Err(wrong("`request` is an object of texts")),
        })
        .collect()
}

/// A visitor's own decisions. Of the context only `request` counts: who they are, the cookie says,
/// and what is known of them, their profile.
async fn of_visitor(
    mut visit: Visit,
    request: &Request,
    asked: &Asked<'_>,
) -> Result<Answer, Fault> {
    let fields = visit.fields_with(request, request_fields(&asked.context)?)?;
    let mut decisions = Vec::new();
    for placements in questions(asked.key) {
        let input = |speaker| decide(speaker, &placements, &fields);
        let reply = match visit.consult(input).await? {
            // Somebody erased is somebody new.
            Reply::Erased => visit.alone(decide(visit.nobody(), &placements, &fields))?,
            reply => reply,
        };
        let Reply::Decisions(Page { decisions: more, .. }) = reply else {
            return Err(Fault::unavailable());
        };
        visit.around.shown.extend(more.iter().filter_map(|one| one.offer.clone()));
        decisions.extend(more);
    }
    let cookie = visit.cookie_line();
    answer(&visit.workspace, request, asked.key, decisions, false).map(|it| it.with_cookie(cookie))
}

/// Decisions from what a server says, and from nothing else.
fn of_server(visit: &Visit, request: &Request, asked: &Asked<'_>) -> Result<Answer, Fault> {
    let said = Said::read(&visit.workspace, &asked.context)?;
    let mut around = engine::Circumstances { spent: visit.around.spent.clone(), ..<_>::default() };
    let mut decisions = Vec::new();
    for placements in questions(asked.key) {
        let question = decide(said.speaker.clone(), &placements, &said.fields);
        let input = Input::Under { circumstances: around.clone(), question: Box::new(question) };
        let mut state = said.state(visit.now);
        let entropy = Entropy::new([0; 32]);
        let output = engine::handle(&mut state, &visit.workspace, visit.now, entropy, input);
        let page = match output.reply {
            Reply::Decisions(page) => page,
            Reply::Refused(error) => return Err(error.into()),
            _ => return Err(Fault::unavailable()),
        };
        around.shown.extend(page.decisions.iter().filter_map(|one| one.offer.clone()));
        decisions.extend(page.decisions);
    }
    answer(&visit.workspace, request, asked.key, decisions, said.lacks_key)
}

/// All flags are one page: what the edge fills, then what the page does.
fn questions(key: Option<&str>) -> Vec<Placements> {
    match key {
        Some(key) => vec![Placements::Named(vec![key.to_owned()])],
        None => vec![Placements::Every(Where::Edge), Placements::Every(Where::Page)],
    }
}

fn decide(speaker: Speaker, placements: &Placements, fields: &Fields) -> Input {
    let (placements, request) = (placements.clone(), fields.clone());
    Input::Decide { speaker, placements, request, trace: false }
}

/// What a server's context says.
struct Said {
    speaker: Speaker,
    fields: Fields,
    traits: BTreeMap<String, Known>,
    consent: Vec<Purpose>,
    /// Somebody would be assigned to experiments, but nobody is named.
    lacks_key: bool,
}

impl Said {
    /// Errors: `bad_context`, `bad_trait`, `unknown_field`, `text_too_long`.
    fn read(workspace: &Workspace, context: &Map<String, Value>) -> Result<Self, Fault> {
        let consent = consent(context)?;
        let unit = targeting_key(context)?.map(unit);
        let mut traits = BTreeMap::new();
        for decl in &workspace.traits {
            if let Some(value) = context.get(&decl.name)
                && !value.is_null()
            {
                traits.insert(decl.name.clone(), known(&decl.name, value)?);
            }
        }
        let fields = request_fields(context)?;
        check_fields(&fields)?;
        // Where the server stands says nothing of where the visitor is: silence is never consent.
        let signals = Signals { region: Region::default(), ..Signals::default() };
        Ok(Self {
            lacks_key: unit.is_none() && NEEDED.iter().all(|one| consent.contains(one)),
            speaker: Speaker { device: None, profile: unit, signals },
            fields: Fields(fields),
            traits,
            consent,
        })
    }

    /// A state that holds what was said, and is gone with the call.
    fn state(&self, now: Timestamp) -> engine::State {
        let mut state = engine::State::default();
        let Body::Live(profile) = &mut state.body else { return state };
        for purpose in &self.consent {
            profile.consent.take(&Record {
                purpose: *purpose,
                choice: Choice::Grant,
                epoch: 0,
                time: now,
                basis: Basis::Consent,
            });
        }
        let stamp = Stamp { time: now, counter: 0, source: Source::Claimed };
        for (name, value) in &self.traits {
            let told = Trait { value: Some(value.clone()), stamp };
            profile.traits.insert(name.clone(), told);
        }
        state
    }
}

/// Whom experiments assign: the same key has the same variants, and is nobody's profile.
fn unit(key: &str) -> ProfileName {
    ProfileName::device(&EventKey::of(key).0)
}

/// Errors: `unknown_field`, `text_too_long`.
fn check_fields(fields: &BTreeMap<String, String>) -> Result<(), Fault> {
    for (name, value) in fields {
        if !REQUEST_FIELDS.contains(&name.as_str()) {
            let message = format!("`request` knows {}", REQUEST_FIELDS.join(", "));
            return Err(Fault::new(400, "unknown_field", message, "context"));
        }
        if value.len() > FIELD_BYTES {
            let message = format!("a field of `request` has at most {FIELD_BYTES} bytes");
            return Err(Fault::new(400, "text_too_long", message, "context"));
        }
    }
    Ok(())
}

/// `consent`: the purposes that the caller vouches for. Errors: `bad_context`.
fn consent(context: &Map<String, Value>) -> Result<Vec<Purpose>, Fault> {
    let list = match context.get("consent") {
        None => return Ok(Vec::new()),
        Some(Value::Array(list)) if list.len() <= Purpose::ALL.len() => list,
        Some(_) => return Err(wrong("`consent` is a list of purposes")),
    };
    let purpose = |word: &Value| {
        let found = Purpose::ALL.into_iter().find(|one| Some(one.word()) == word.as_str());
        found.ok_or_else(|| wrong("`consent` names a purpose that does not exist"))
    };
    list.iter().map(purpose).collect()
}

/// Errors: `bad_context`.
fn targeting_key(context: &Map<String, Value>) -> Result<Option<&str>, Fault> {
    match context.get("targetingKey") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(key)) if key.is_empty() => Ok(None),
        Some(Value::String(key)) if key.len() <= limits::IDENTIFIER_BYTES => Ok(Some(key)),
        Some(Value::String(_)) => {
            let most = limits::IDENTIFIER_BYTES;
            Err(wrong(&format!("`targetingKey` has at most {most} bytes")))
        }
        Some(_) => Err(wrong("`targetingKey` is a text")),
    }
}

/// Errors: `bad_trait`.
fn known(name: &str, value: &Value) -> Result<Known, Fault> {
    let bad = |message: String| Fault::new(400, "bad_trait", message, name);
    let value = json::value(value)
        .ok_or_else(|| bad(format!("`{name}` is a text, a number, a bool or a list of those")))?;
    match &value {
        Known::String(text) if text.len() > limits::TEXT_BYTES => {
            Err(bad(format!("`{name}` has at most {} bytes", limits::TEXT_BYTES)))
        }
        Known::List(list) if list.len() > limits::LIST_ENTRIES => {
            Err(bad(format!("`{name}` has at most {} entries", limits::LIST_ENTRIES)))
        }
        _ => Ok(value),
    }
}

/// Whether an offer of this placement is given by chance, so that somebody must be named.
fn is_by_chance(workspace: &Workspace, placement: &str) -> bool {
    let Some(placement) = workspace.placement(placement) else { return false };
    let offers = placement.offers.iter().filter_map(|at| usize::try_from(*at).ok());
    offers.filter_map(|at| workspace.offers.get(at)).any(|offer: &Offer| {
        offer.rollout.is_some() || offer.experiment.is_some() || !offer.holdouts.is_empty()
    })
}

/// One flag, or all of them, with their tag.
fn answer(
    workspace: &Workspace,
    request: &Request,
    key: Option<&str>,
    decisions: Vec<Decision>,
    lacks_key: bool,
) -> Result<Answer, Fault> {
    let keyless = |name: &str| lacks_key && is_by_chance(workspace, name);
    let message = "an offer of this placement is given by chance: name somebody by `targetingKey`";
    if let (Some(_), Some(decision)) = (key, decisions.first()) {
        if keyless(&decision.placement) {
            return Err(Fault::new(400, "no_targeting_key", message, "context"));
        }
        return Answer::json(&evaluated(workspace, decision, true));
    }
    let of = |decision: &Decision, named: bool| {
        if keyless(&decision.placement) {
            let code = "TARGETING_KEY_MISSING";
            json!({ "key": decision.placement, "errorCode": code, "errorDetails": message })
        } else {
            evaluated(workspace, decision, named)
        }
    };
    // A decision's own name holds the time, so that without it the same answer has the same tag.
    let lasting: Vec<Value> = decisions.iter().map(|one| of(one, false)).collect();
    let tag = format!("W/\"{}\"", hex(&EventKey::of(&Value::Array(lasting).to_string()).0));
    if header(request, "if-none-match").is_some_and(|sent| matches(&sent, &tag)) {
        let mut answer = Answer::bytes(Vec::new(), "application/json", http::Cache::Personal);
        answer.status = 304;
        return Ok(answer.with("etag", tag));
    }
    let flags: Vec<Value> = decisions.iter().map(|one| of(one, true)).collect();
    Ok(Answer::json(&json!({ "flags": flags }))?.with("etag", tag))
}

/// Weak comparison, as RFC 9110 (section 13.1.2) asks for.
fn matches(sent: &str, tag: &str) -> bool {
    let plain = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    sent.trim() == "*" || sent.split(',').any(|one| plain(one) == plain(tag))
}

/// A decision as an evaluation of the protocol.
fn evaluated(workspace: &Workspace, decision: &Decision, named: bool) -> Value {
    let mut metadata = Map::from_iter([("workspace".to_owned(), json!(decision.workspace))]);
    let mut value = Map::new();
    let mut fields = Map::from_iter([
        ("key".to_owned(), json!(decision.placement)),
        ("reason".to_owned(), json!(reason(workspace, decision))),
    ]);
    if let Some(offer) = &decision.offer {
        for field in &decision.content {
            value.insert(field.name.clone(), json!(field.text));
        }
        metadata.insert("offer".to_owned(), json!(offer));
        metadata.insert("language".to_owned(), json!(decision.language));
        if named {
            metadata.insert("decision".to_owned(), json!(decision.decision));
        }
        let variant = match &decision.variant {
            Some(variant) => format!("{offer}:{variant}"),
            None => offer.clone(),
        };
        fields.insert("variant".to_owned(), json!(variant));
    }
    fields.insert("value".to_owned(), Value::Object(value));
    fields.insert("metadata".to_owned(), Value::Object(metadata));
    Value::Object(fields)
}

/// Why, in OpenFeature's words.
fn reason(workspace: &Workspace, decision: &Decision) -> &'static str {
    let placement = workspace.placement(&decision.placement);
    match (&decision.offer, &decision.variant) {
        (Some(_), Some(_)) => "SPLIT",
        (Some(_), None) => "TARGETING_MATCH",
        (None, _) if placement.is_none_or(|one| one.offers.is_empty()) => "DISABLED",
        (None, _) if !decision.exposures.is_empty() => "SPLIT",
        (None, _) => "DEFAULT",
    }
}
