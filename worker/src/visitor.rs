//! Whoever is in front of the screen, as far as their request says: cookie, signals, the request's
//! fields; and the way from there to the object that answers for them. It must never take an id
//! from anywhere but the sealed cookie.

use std::collections::BTreeMap;
use std::rc::Rc;

use js_sys::Reflect;
use selvedge::consent::signals::gpc_header;
use selvedge::consent::{Basis, Choice, Purpose, Record, Region, Signals};
use selvedge::decide::Request as Fields;
use selvedge::engine::{self, Body, Circumstances, Input, Reply, Speaker};
use selvedge::ids::{DeviceId, Entropy, ProfileName};
use selvedge::offer::is_spoken;
use selvedge::time::Timestamp;
use selvedge::workspace::{REQUEST_FIELDS, Workspace};
use serde::Deserialize;
use worker::{Env, Url};

use crate::cookie::{self, Cookie};
use crate::http::{Fault, Request, header};
use crate::objects::{self, Call};
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
    pub url: Url,
    pub signals: Signals,
    pub fields: Fields,
    /// The cookie as it came; what it should become is [`Visit::cookie_line`].
    pub came: Option<Cookie>,
    pub cookie: Cookie,
    /// A cookie came that does not open.
    pub forged: bool,
    /// What questions are asked under.
    pub around: Circumstances,
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
    ) -> Result<Self, Fault> {
        let url = request.url().clone();
        let signals = signals(request, &settings);
        let fields = fields(request, &url, &signals.region, &workspace.languages);
        let sent = header(request, "cookie");
        let sealed = sent.as_deref().and_then(cookie::find);
        let came = sealed.and_then(|text| settings.cookies.open_cookie(text, now));
        let forced = preview::forced(request, &settings, &workspace, now);
        let around = Circumstances {
            spent: published::spent(&workspace, now),
            shown: Vec::new(),
            forced: forced.clone().unwrap_or_default(),
        };
        Ok(Self {
            around,
            is_preview: forced.is_some(),
            forged: sealed.is_some_and(|text| !text.is_empty()) && came.is_none(),
            cookie: came.clone().unwrap_or_default(),
            env,
            settings,
            workspace,
            now,
            url,
            signals,
            fields,
            came,
        })
    }

    /// The `Set-Cookie` line that the answer needs, if any.
    pub fn cookie_line(&self) -> Option<String> {
        let empty = Cookie::default();
        if self.cookie == empty {
            return (self.came.is_some() || self.forged).then(cookie::expiry);
        }
        if self.came.as_ref() == Some(&self.cookie) && !self.cookie.is_old(self.now) {
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

    /// Who asks, at the device's own object.
    pub fn as_device(&self, device: DeviceId) -> Speaker {
        Speaker {
            device: Some(device),
            profile: Some(self.device_object(device)),
            signals: self.signals.clone(),
        }
    }

    /// Who asks, at a person's object.
    pub fn as_person(&self, device: DeviceId, person: ProfileName) -> Speaker {
        Speaker { device: Some(device), profile: Some(person), signals: self.signals.clone() }
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

    /// Asks one object.
    pub async fn ask(&self, name: &ProfileName, input: Input) -> Result<Reply, Fault> {
        let call = Call {
            workspace: self.workspace.version.clone(),
            now: self.now,
            seed: objects::seed()?,
            input: self.under(input),
        };
        match objects::ask(&self.env, &self.settings.tenant, name, &call).await? {
            Reply::Refused(error) => Err(error.into()),
            reply => Ok(reply),
        }
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
        let output = engine::handle(&mut state, &self.workspace, self.now, entropy, input);
        match output.reply {
            Reply::Refused(error) => Err(error.into()),
            reply => Ok(reply),
        }
    }

    /// A fresh device id, kept by the cookie.
    pub fn new_device(&mut self) -> Result<DeviceId, Fault> {
        let device = DeviceId(Entropy::new(objects::seed()?).take16());
        self.cookie.device = Some(device);
        self.cookie.person = None;
        self.cookie.refused = Default::default();
        Ok(device)
    }

    /// The request's fields with those that a call of the page says. Errors: `unknown_field`,
    /// `text_too_long`.
    pub fn fields_with(&self, context: &BTreeMap<String, String>) -> Result<Fields, Fault> {
        let mut fields = self.fields.clone();
        for (name, value) in context {
            if !REQUEST_FIELDS.contains(&name.as_str()) {
                let message = "the context has a field that conditions do not know";
                return Err(Fault::new(400, "unknown_field", message, "context"));
            }
            if value.len() > FIELD_BYTES {
                let message = format!("a field of the context has at most {FIELD_BYTES} bytes");
                return Err(Fault::new(400, "text_too_long", message, "context"));
            }
            // Where the visitor is, is not the page's to say.
            if !matches!(name.as_str(), "country" | "subdivision" | "host") {
                fields.0.insert(name.clone(), value.clone());
            }
        }
        Ok(fields)
    }
}

/// What the browser and the network say.
pub fn signals(request: &Request, settings: &Settings) -> Signals {
    let region = settings.region.clone().unwrap_or_else(|| region(request));
    // Several fields of one name come as one value with commas.
    let gpc = gpc_header(header(request, "sec-gpc").iter().map(String::as_str));
    Signals { region, gpc, ..Signals::default() }
}

/// The part of the runtime's `request.cf` that is read here.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Place {
    country: Option<String>,
    region_code: Option<String>,
}

/// Where the network says that the request comes from; unknown where it says nothing readable.
fn region(request: &Request) -> Region {
    let cf = Reflect::get(request.inner(), &"cf".into()).unwrap_or_default();
    let place: Option<Place> = serde_wasm_bindgen::from_value(cf).unwrap_or_default();
    let place = place.unwrap_or_default();
    Region::new(&place.country.unwrap_or_default(), &place.region_code.unwrap_or_default())
}

fn fields(request: &Request, url: &Url, region: &Region, spoken: &[String]) -> Fields {
    let mut fields = BTreeMap::new();
    let mut set = |name: &str, value: String| {
        if value.len() <= FIELD_BYTES {
            fields.insert(name.to_owned(), value);
        }
    };
    set("path", url.path().to_owned());
    set("host", url.host_str().unwrap_or_default().to_owned());
    set("query", url.query().unwrap_or_default().to_owned());
    set("country", region.country.clone());
    set("subdivision", region.subdivision.clone());
    set("referrer", header(request, "referer").unwrap_or_default());
    set("language", language(&header(request, "accept-language").unwrap_or_default(), spoken));
    set("device", device_class(request).to_owned());
    for name in ["utm_source", "utm_medium", "utm_campaign"] {
        let value = url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value);
        set(name, value.unwrap_or_default().into_owned());
    }
    Fields(fields)
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
