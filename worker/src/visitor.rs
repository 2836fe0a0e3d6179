//! Whoever is in front of the screen, as far as their request says: cookie, signals, the request's
//! fields; and the way from there to the object that answers for them. It must never take an id
//! from anywhere but the sealed cookie.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use selvedge::consent::signals::gpc_header;
use selvedge::consent::{Basis, Choice, Purpose, Record, Region, Signals};
use selvedge::decide::Request as Fields;
use selvedge::engine::{self, Body, Circumstances, Input, Reply, Speaker};
use selvedge::ids::{DeviceId, Entropy, ProfileName};
use selvedge::offer::is_spoken;
use selvedge::time::Timestamp;
use selvedge::workspace::{REQUEST_FIELDS, Workspace};
use worker::{Env, Url};

use crate::cookie::{self, Cookie};
use crate::http::{Fault, Request, header};
use crate::leases::{self, Copies};
use crate::objects::{self, Answered, Call};
use crate::recent::Recent;
use crate::settings::Settings;
use crate::{preview, published};

/// A person's object may name another, which may name one more; more would be a circle.
const HOPS: usize = 4;
/// Bytes of one field of the request that conditions may read.
pub const FIELD_BYTES: usize = 1_024;

/// What every route is given.
pub struct Visit {
    pub env: Env,
    pub settings: Rc<Settings>,
    pub workspace: Rc<Workspace>,
    pub now: Timestamp,
    pub url: Rc<Url>,
    pub signals: Signals,
    /// The cookie as it came; what it should become is [`Visit::cookie_line`].
    came: Option<Rc<Opened>>,
    pub cookie: Cookie,
    /// A cookie came that does not open.
    pub forged: bool,
    /// What questions are asked under.
    pub around: Circumstances,
    /// Copies may answer: the request does not say `no-cache`.
    pub takes_copies: bool,
    /// This browser is shown forced variants: nothing that it reports is kept.
    pub is_preview: bool,
}

impl Visit {
    /// What a request says.
    pub fn of(
        request: &Request,
        env: Env,
        settings: Rc<Settings>,
        workspace: Rc<Workspace>,
        now: Timestamp,
    ) -> Self {
        let came = opened(request, &settings, now);
        Self::by(request, came, env, settings, workspace, now)
    }

    /// The same of a request whose cookie was looked at.
    pub fn by(
        request: &Request,
        came: Option<Rc<Opened>>,
        env: Env,
        settings: Rc<Settings>,
        workspace: Rc<Workspace>,
        now: Timestamp,
    ) -> Self {
        let url = Rc::clone(request.url());
        let signals = signals(request, &settings);
        let cookies = header(request, "cookie").unwrap_or_default();
        let forced = preview::forced(request, &settings, &workspace, now);
        let is_preview = forced.is_some();
        let around = Circumstances {
            spent: published::spent(&workspace, now),
            shown: Vec::new(),
            forced: forced.unwrap_or_default(),
        };
        let control = header(request, "cache-control").unwrap_or_default();
        let sealed = || cookie::find(&cookies).is_some_and(|text| !text.is_empty());
        Self {
            around,
            takes_copies: !control.contains("no-cache"),
            is_preview,
            forged: came.is_none() && sealed(),
            cookie: came.as_ref().map(|came| came.cookie.clone()).unwrap_or_default(),
            env,
            settings,
            workspace,
            now,
            url,
            signals,
            came,
        }
    }

    /// The `Set-Cookie` line that the answer needs, if any.
    pub fn cookie_line(&self) -> Option<String> {
        let empty = Cookie::default();
        if self.cookie == empty {
            return (self.came.is_some() || self.forged).then(cookie::expiry);
        }
        let came = self.came.as_ref().map(|came| &came.cookie);
        if came == Some(&self.cookie) && !self.cookie.is_old(self.now) {
            return None;
        }
        self.settings.cookies.seal_cookie(&self.cookie, self.now).map(|value| cookie::line(&value))
    }

    /// Goes on as if no cookie had come.
    pub fn forget(&mut self) {
        self.came = None;
        self.cookie = Cookie::default();
        self.forged = false;
    }

    /// The object of a device.
    pub fn device_object(&self, device: DeviceId) -> ProfileName {
        self.settings.tenant_key.device(device)
    }

    /// Answers a question, at once when it came, from a copy of the state of whoever the cookie
    /// names.
    pub fn at_once(
        &self,
        name: ProfileName,
        input: impl FnOnce(Speaker) -> Input,
    ) -> Option<Reply> {
        let speaker = self.speaker(self.cookie.device?, name.clone());
        let input = self.under(input(speaker));
        leases::answer(&name, &self.workspace, self.now, self.now, &input)
    }

    /// Who asks, at the device's own object.
    pub fn as_device(&self, device: DeviceId) -> Speaker {
        self.speaker(device, self.device_object(device))
    }

    /// Who asks, at a person's object.
    pub fn as_person(&self, device: DeviceId, person: ProfileName) -> Speaker {
        self.speaker(device, person)
    }

    fn speaker(&self, device: DeviceId, profile: ProfileName) -> Speaker {
        Speaker { device: Some(device), profile: Some(profile), signals: self.signals.clone() }
    }

    /// A question with what it is asked under; every other input as it is.
    fn under(&self, input: Input) -> Input {
        match input {
            Input::Decide { .. } | Input::Slice { .. } | Input::Explain { .. }
                if self.around != Circumstances::default() =>
            {
                Input::Under { circumstances: self.around.clone(), question: Box::new(input) }
            }
            other => other,
        }
    }

    /// Asks one object, or a copy of its state that still counts.
    pub async fn ask(&self, name: &ProfileName, input: Input) -> Result<Reply, Fault> {
        let is_question = leases::may_answer(&input);
        let from_copies = self.takes_copies && is_question;
        let input = self.under(input);
        let now = objects::now();
        if from_copies
            && let Some(reply) = leases::answer(name, &self.workspace, now, self.now, &input)
        {
            return told(reply);
        }
        let copies = if from_copies {
            leases::with_question(name, now)?
        } else if !is_question {
            leases::with_change(name)?
        } else {
            None
        };
        let call = Call { workspace: self.workspace.version.clone(), now: self.now, input, copies };
        let Answered { reply, copy } =
            objects::ask_for_copy(&self.env, &self.settings.tenant, name, &call).await?;
        if let (Some(Copies { number, .. }), Some(state)) = (copies, copy) {
            leases::take(name, number, state);
        }
        told(reply)
    }

    /// Asks whoever answers for this visitor: the person, else the device, else an empty state in
    /// this very worker. The cookie follows what the objects say.
    pub async fn consult(&mut self, input: impl Fn(Speaker) -> Input) -> Result<Reply, Fault> {
        for _ in 0..HOPS {
            let Some(device) = self.cookie.device else { break };
            let speaker = match self.cookie.person.clone() {
                Some(person) => self.as_person(device, person),
                None => self.as_device(device),
            };
            let Some(name) = speaker.profile.clone() else { break };
            match self.ask(&name, input(speaker)).await? {
                // A person who was told of a logout elsewhere, or a device that was linked.
                Reply::NotLinked => self.cookie.person = None,
                Reply::Moved(to) => self.cookie.person = Some(to),
                Reply::Erased => {
                    self.cookie = Cookie::default();
                    return Ok(Reply::Erased);
                }
                reply => return Ok(reply),
            }
        }
        if self.cookie.device.is_some() {
            // The objects name each other in a circle: this device is nobody's any more.
            self.cookie = Cookie::default();
        }
        self.alone(input(self.nobody()))
    }

    /// Who asks without a device.
    pub fn nobody(&self) -> Speaker {
        Speaker { device: None, profile: None, signals: self.signals.clone() }
    }

    /// Handles an input on a state that holds nothing but the cookie's refusals. Nothing is stored.
    pub fn alone(&self, input: Input) -> Result<Reply, Fault> {
        let mut state = engine::State::default();
        if let Body::Live(profile) = &mut state.body {
            for purpose in Purpose::ALL {
                if self.cookie.refused.has(purpose) {
                    profile.consent.take(&Record {
                        purpose,
                        choice: Choice::Deny,
                        epoch: 0,
                        time: Timestamp(1),
                        basis: Basis::Consent,
                    });
                }
            }
        }
        let entropy = Entropy::new([0; 32]);
        let input = self.under(input);
        told(engine::handle(&mut state, &self.workspace, self.now, entropy, input).reply)
    }

    /// A fresh device id, kept by the cookie.
    pub fn new_device(&mut self) -> Result<DeviceId, Fault> {
        let device = DeviceId(Entropy::new(objects::seed()?).take16());
        self.cookie.device = Some(device);
        self.cookie.person = None;
        self.cookie.refused = Default::default();
        Ok(device)
    }

    /// All of the request's fields.
    pub fn fields(&self, request: &Request) -> Fields {
        fields(request, &self.signals.region, &self.workspace.languages, |_| true)
    }

    /// The request's fields that a decision here reads, with those that a call of the page says.
    /// Errors: `unknown_field`, `text_too_long`.
    pub fn fields_with(
        &self,
        request: &Request,
        context: BTreeMap<String, String>,
    ) -> Result<Fields, Fault> {
        let Workspace { languages, request: read, .. } = &*self.workspace;
        // Where all contents are in one language, no decision asks for it.
        let by_language = languages.len() > 1;
        let wanted = |name: &str| {
            let said = context.contains_key(name) && is_for_page(name);
            let reads =
                (name == "language" && by_language) || read.iter().any(|field| field.name == name);
            reads && !said
        };
        let mut fields = fields(request, &self.signals.region, languages, wanted);
        for (name, value) in context {
            if !REQUEST_FIELDS.contains(&name.as_str()) {
                let message = "the context has a field that conditions do not know";
                return Err(Fault::new(400, "unknown_field", message, "context"));
            }
            if value.len() > FIELD_BYTES {
                let message = format!("a field of the context has at most {FIELD_BYTES} bytes");
                return Err(Fault::new(400, "text_too_long", message, "context"));
            }
            if is_for_page(&name) {
                fields.0.insert(name, value);
            }
        }
        Ok(fields)
    }
}

/// Where the visitor is, is not the page's to say.
fn is_for_page(field: &str) -> bool {
    !matches!(field, "country" | "subdivision" | "host")
}

fn told(reply: Reply) -> Result<Reply, Fault> {
    match reply {
        Reply::Refused(error) => Err(error.into()),
        reply => Ok(reply),
    }
}

/// What the browser and the network say.
pub fn signals(request: &Request, settings: &Settings) -> Signals {
    let region = settings.region.clone().unwrap_or_else(|| region(request));
    // Several fields of one name come as one value with commas.
    let gpc = gpc_header(header(request, "sec-gpc").iter().map(AsRef::as_ref));
    Signals { region, gpc, ..Signals::default() }
}

/// Where the network says that the request comes from; unknown where it says nothing readable.
fn region(request: &Request) -> Region {
    let (country, subdivision) = request.place();
    Region::new(&country, &subdivision)
}

/// Cookies that were opened lately, twice this many at most.
const OPENED: usize = 256;

thread_local! {
    static KNOWN: RefCell<Recent<Rc<Opened>>> = const { RefCell::new(Recent::new(OPENED)) };
}

/// A cookie that opens, and the object that it leads to.
pub struct Opened {
    pub cookie: Cookie,
    /// The person's object, else the device's; None without a device.
    pub name: Option<ProfileName>,
}

/// The cookie of a request, where it opens. To open a seal costs as much as a decision, so the last
/// ones are remembered, by all of their text.
pub fn opened(request: &Request, settings: &Settings, now: Timestamp) -> Option<Rc<Opened>> {
    let cookies = header(request, "cookie")?;
    let sealed = cookie::find(&cookies)?;
    if let Some(opened) = KNOWN.with_borrow_mut(|known| known.get(sealed).map(|it| Rc::clone(it))) {
        return opened.cookie.is_valid(now).then_some(opened);
    }
    let cookie = settings.cookies.open_cookie(sealed, now)?;
    let device = cookie.device.map(|device| settings.tenant_key.device(device));
    let name = device.map(|device| cookie.person.clone().unwrap_or(device));
    let opened = Rc::new(Opened { cookie, name });
    KNOWN.with_borrow_mut(|known| known.put(sealed.to_owned(), Rc::clone(&opened)));
    Some(opened)
}

/// The request's fields of these names, of those that are known.
fn fields(
    request: &Request,
    region: &Region,
    spoken: &[String],
    wanted: impl Fn(&str) -> bool,
) -> Fields {
    let url = request.url();
    let said = |name| header(request, name).unwrap_or_default();
    let value = |name: &str| match name {
        "path" => url.path().to_owned(),
        "host" => url.host_str().unwrap_or_default().to_owned(),
        "query" => url.query().unwrap_or_default().to_owned(),
        "country" => region.country.clone(),
        "subdivision" => region.subdivision.clone(),
        "referrer" => said("referer").into_owned(),
        "language" => language(&said("accept-language"), spoken),
        "device" => device_class(request).to_owned(),
        of_query => {
            let found = url.query_pairs().find(|(key, _)| key == of_query);
            found.map(|(_, value)| value.into_owned()).unwrap_or_default()
        }
    };
    let wanted = REQUEST_FIELDS.into_iter().filter(|name| wanted(name));
    let fields = wanted.map(|name| (name.to_owned(), value(name)));
    Fields(fields.filter(|(_, value)| value.len() <= FIELD_BYTES).collect())
}

/// The language that the browser likes best (RFC 9110, section 12.5.4) of those that the workspace
/// speaks, else of all; empty where it says none.
fn language(header: &str, spoken: &[String]) -> String {
    let mut best = ("", (false, 0.0_f32));
    for part in header.split(',') {
        let (tag, rest) = part.split_once(';').unwrap_or((part, ""));
        let weight = rest.trim().strip_prefix("q=").map_or(Some(1.0), |q| q.parse().ok());
        let tag = tag.trim();
        let plain = tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if let Some(weight) = weight.filter(|weight| *weight > 0.0)
            && plain
        {
            let rank = (is_spoken(spoken, tag), weight);
            if rank > best.1 {
                best = (tag, rank);
            }
        }
    }
    best.0.to_ascii_lowercase()
}

fn device_class(request: &Request) -> &'static str {
    let agent = header(request, "user-agent").unwrap_or_default();
    let hint = header(request, "sec-ch-ua-mobile").is_some_and(|value| value == "?1");
    if agent.contains("iPad") || (agent.contains("Android") && !agent.contains("Mobile")) {
        "tablet"
    } else if hint || agent.contains("Mobi") {
        "mobile"
    } else if agent.is_empty() {
        ""
    } else {
        "desktop"
    }
}

#[cfg(test)]
mod tests {
    use super::language;

    #[test]
    fn the_best_liked_language_that_is_spoken_is_read() {
        let spoken = ["en".to_owned(), "de".to_owned(), "de-at".to_owned()];
        let of = |header| language(header, &spoken);
        assert_eq!(of("fr-CH, fr;q=0.9, de;q=0.8, en;q=0.7"), "de");
        assert_eq!(of("fr, de-CH;q=0.5"), "de-ch");
        assert_eq!(of("en;q=0.5, de-AT;q=0.6"), "de-at");
        assert_eq!(of("fr, it;q=0.5"), "fr", "none of them: a condition may still ask for it");
        assert_eq!(of("fr, de;q=0"), "fr", "what is refused is not taken");
    }

    #[test]
    fn the_best_liked_language_is_read() {
        let language = |header| language(header, &[]);
        assert_eq!(language("de-DE,de;q=0.9,en;q=0.8"), "de-de");
        assert_eq!(language("en;q=0.2, fr"), "fr");
        assert_eq!(language("*;q=0.5"), "");
        assert_eq!(language("<script>;q=1, en;q=0.1"), "en");
        assert_eq!(language("en;q=NaN"), "");
    }
}
