//! The routes `POST /v1/login` and `/v1/logout`: the sequences of decision record 1. Every step can
//! be done again. It must never name a person from anything but a verified token.

use selvedge::engine::{Input, Login, Reply};
use selvedge::identity::IdentifierKind;
use selvedge::identity::shard::Proof;
use selvedge::identity::token::{self, Verified};
use selvedge::ids::{DeviceId, ProfileName};
use selvedge::limits;
use selvedge::page::LoginAnswer;
use serde::Deserialize;
use serde_json::json;

use crate::cookie::Cookie;
use crate::http::{self, Answer, Fault, Request};
use crate::objects::{self, Filing};
use crate::settings::IDENTITY_SHARDS;
use crate::visitor::Visit;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LoginAsked {
    token: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LogoutAsked {}

/// Who a token proves, and a weaker profile that turns out to be the same person.
struct Proved {
    person: ProfileName,
    same: Option<ProfileName>,
}

/// `POST /v1/login`.
pub async fn login(mut visit: Visit, request: &mut Request) -> Result<Answer, Fault> {
    http::same_origin(request)?;
    let asked: LoginAsked = http::call(request, limits::CALL_BYTES).await?;
    let mut settings = visit.workspace.identity.clone();
    settings.login_keys.extend(visit.settings.login_keys.iter().cloned());
    let proof = token::verify(&asked.token, &settings, &visit.settings.tenant, visit.now)?;
    let Some(device) = visit.cookie.device else {
        return outcome(&visit, Some("no_consent"), false);
    };
    // First whether anything may be kept at all: a proof that is filed is kept.
    if let Some(refused) = refusal(&mut visit).await? {
        return outcome(&visit, Some(refused), false);
    }
    let proved = name(&visit, &proof).await?;
    let other = visit
        .cookie
        .person
        .clone()
        .filter(|known| *known != proved.person && proved.same.as_ref() != Some(known));
    let device = match other {
        // Rule 5: logging in as B on A's device is a logout of A first.
        Some(other) => leave(&mut visit, device, &other).await?,
        None => device,
    };
    link(&mut visit, device, &proof, &proved).await
}

/// Why a login would store nothing. Looks at what the visitor allows now.
async fn refusal(visit: &mut Visit) -> Result<Option<&'static str>, Fault> {
    let reply = visit.consult(|speaker| Input::Consent { speaker }).await?;
    let Reply::Consent(view) = reply else { return Ok(Some("no_consent")) };
    let allowed = view.effective.permit::<selvedge::consent::Store>().is_some()
        && view.effective.permit::<selvedge::consent::Profiling>().is_some();
    Ok((!allowed || visit.cookie.device.is_none()).then_some("no_consent"))
}

/// Names the person behind a token, and files the weaker identifiers under them.
async fn name(visit: &Visit, proof: &Verified) -> Result<Proved, Fault> {
    let key = &visit.settings.tenant_key;
    let Some(strongest) = proof.identifiers().first() else { return Err(Fault::unavailable()) };
    let mut proved = Proved { person: key.person(strongest), same: None };
    for identifier in proof.identifiers() {
        if identifier.kind() == IdentifierKind::CustomerId {
            continue;
        }
        let (lookup, shard) = key.lookup(identifier, IDENTITY_SHARDS);
        let filing = Filing {
            key: lookup,
            proof: Proof {
                profile: proved.person.clone(),
                strength: strongest.kind(),
                time: visit.now,
            },
        };
        let filed = objects::file(&visit.env, &visit.settings.tenant, shard, &filing).await?;
        if strongest.kind() != IdentifierKind::CustomerId {
            proved.person = filed.filed.profile;
        }
        proved.same = proved.same.or(filed.redirect);
    }
    Ok(proved)
}

async fn link(
    visit: &mut Visit,
    device: DeviceId,
    proof: &Verified,
    proved: &Proved,
) -> Result<Answer, Fault> {
    let own = visit.device_object(device);
    let from = proved.same.clone().unwrap_or_else(|| own.clone());
    let mut person = proved.person.clone();
    for _ in 0..2 {
        let hand_over = Input::HandOver { device, to: person.clone() };
        let Reply::HandedOver { history, consent } = visit.ask(&from, hand_over).await? else {
            return gone(visit);
        };
        let login = Login {
            speaker: visit.as_person(device, person.clone()),
            from: own.clone(),
            history: history.filter(|_| !visit.cookie.is_shared(visit.now)),
            consent,
            evidence: proof.jti().to_owned(),
            evidence_known: false,
            traits: proof.traits(),
        };
        match visit.ask(&person, Input::Login(login)).await? {
            Reply::LoggedIn { refused: Some(code), .. } => {
                return outcome(visit, Some(&code), false);
            }
            Reply::LoggedIn { attached, .. } => {
                for object in [Some(own), proved.same.clone()].into_iter().flatten() {
                    visit.ask(&object, Input::MoveTo { to: person.clone() }).await?;
                }
                visit.cookie.person = Some(person);
                return outcome(visit, None, attached);
            }
            Reply::Moved(to) => person = to,
            Reply::Erased => return gone(visit),
            _ => return Err(Fault::unavailable()),
        }
    }
    Err(Fault::unavailable())
}

/// An erased device or person: nothing is linked, and the device begins anew with the next yes.
fn gone(visit: &mut Visit) -> Result<Answer, Fault> {
    visit.cookie = Cookie::default();
    outcome(visit, Some("erased"), false)
}

/// `POST /v1/logout`.
pub async fn logout(mut visit: Visit, request: &mut Request) -> Result<Answer, Fault> {
    http::same_origin(request)?;
    let _: LogoutAsked = http::call(request, limits::CALL_BYTES).await?;
    if let (Some(device), Some(person)) = (visit.cookie.device, visit.cookie.person.clone()) {
        leave(&mut visit, device, &person).await?;
    }
    Ok(Answer::json(&json!({ "done": true }))?.with_cookie(visit.cookie_line()))
}

/// A logout: the browser goes on under a fresh device id, with its own choices and nothing else.
async fn leave(
    visit: &mut Visit,
    device: DeviceId,
    person: &ProfileName,
) -> Result<DeviceId, Fault> {
    let reply = visit.ask(person, Input::Logout { device }).await?;
    let fresh = visit.new_device()?;
    visit.cookie.shared_until = Some(visit.now.plus_ms(limits::SHARED_DEVICE_MS));
    if let Reply::LoggedOut { consent } = reply {
        let speaker = visit.as_device(fresh);
        let name = visit.device_object(fresh);
        visit.ask(&name, Input::Carry { speaker, consent }).await?;
    }
    Ok(fresh)
}

/// `{linked, attached, refused?}`. Who it is, stays out of it.
fn outcome(visit: &Visit, refused: Option<&str>, attached: bool) -> Result<Answer, Fault> {
    let answer =
        LoginAnswer { linked: refused.is_none(), attached, refused: refused.map(str::to_owned) };
    Ok(Answer::json(&answer)?.with_cookie(visit.cookie_line()))
}
