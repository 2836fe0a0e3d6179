//! The routes `GET` and `POST /v1/consent`: read and change what the visitor allows. It must never
//! make a device before something may be stored.

use std::collections::BTreeMap;

use selvedge::consent::signals::{self, Reading, Strings};
use selvedge::consent::{Basis, Choice, Consent, Effective, Purpose, PurposeSet, Record};
use selvedge::engine::{ConsentView, Input, Placements, Reply};
use selvedge::limits;
use selvedge::page::ConsentAnswer;
use selvedge::wire::Chosen;
use selvedge::workspace::Where;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::cookie::Cookie;
use crate::http::{self, Answer, Fault, Request};
use crate::views;
use crate::visitor::Visit;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Asked {
    #[serde(default)]
    choices: BTreeMap<Purpose, bool>,
    /// What the page's own consent platform says.
    #[serde(default)]
    strings: Strings,
    /// The version of the banner that the visitor saw; empty or absent where none asked.
    #[serde(default)]
    banner: String,
}

/// `GET`.
pub async fn read(mut visit: Visit) -> Result<Answer, Fault> {
    let view = standing(&mut visit).await?;
    answer(&visit, &view, Value::Null, &Reading::default())
}

async fn standing(visit: &mut Visit) -> Result<ConsentView, Fault> {
    match visit.consult(|speaker| Input::Consent { speaker }).await? {
        Reply::Consent(view) => Ok(view),
        Reply::Erased => erased(visit),
        _ => Err(Fault::unavailable()),
    }
}

/// `POST`. The very answer holds what may still be shown.
pub async fn change(mut visit: Visit, request: &mut Request) -> Result<Answer, Fault> {
    http::same_origin(request)?;
    let asked: Asked = http::call(request, limits::CONSENT_CALL_BYTES).await?;
    if asked.choices.is_empty() && asked.strings.is_empty() {
        return Err(Fault::new(400, "bad_choices", "a call chooses for a purpose", "choices"));
    }
    signals::check(&asked.strings)?;
    let reading = signals::read(&asked.strings, &visit.workspace.consent.signals);
    visit.signals.gpc |= reading.gpc;
    visit.signals.denied = reading.denied;
    let choices = signals::joined(&asked.choices, &reading);
    let view = if choices.is_empty() {
        standing(&mut visit).await?
    } else if visit.cookie.device.is_none() && !may_store(&visit, &choices) {
        refuse(&mut visit, &choices)?
    } else {
        keep(&mut visit, &choices, &asked, &reading).await?
    };
    if !view.effective.allowed().has(Purpose::Store) {
        // The device goes; that it said no stays, or it would be asked again, or taken for a yes.
        let known = visit.cookie.refused;
        let refused = choices.iter().filter(|chosen| !chosen.yes);
        let refused = refused.fold(known, |set, chosen| set.with(chosen.purpose));
        visit.cookie = Cookie { refused, ..Cookie::default() };
    }
    let shown = shown(&mut visit, request).await.unwrap_or(Value::Null);
    answer(&visit, &view, shown, &reading)
}

/// Where the choices came from, and what shows it.
fn proof(asked: &Asked, reading: &Reading) -> (String, String) {
    if asked.strings.is_empty() {
        let source = if asked.banner.is_empty() { "api" } else { "banner" };
        return (source.to_owned(), asked.banner.clone());
    }
    let strings = asked.strings.evidence_or_hash();
    let both = format!("banner {}\n{strings}", asked.banner);
    let fits = !asked.banner.is_empty() && both.len() <= limits::TEXT_BYTES;
    let source = match reading.source() {
        // A string may say nothing of any purpose, such as `1---`.
        source if source.is_empty() => "signal".to_owned(),
        source => source,
    };
    (source, if fits { both } else { strings })
}

async fn keep(
    visit: &mut Visit,
    choices: &[Chosen],
    asked: &Asked,
    reading: &Reading,
) -> Result<ConsentView, Fault> {
    let (source, evidence) = proof(asked, reading);
    let refused = visit.cookie.refused;
    let mut choices = choices.to_vec();
    if visit.cookie.device.is_none() {
        visit.new_device()?;
        // What was refused before there was a device is part of what is chosen now.
        let unsaid = |purpose: &Purpose| !choices.iter().any(|chosen| chosen.purpose == *purpose);
        let carried: Vec<Chosen> = Purpose::ALL
            .into_iter()
            .filter(|purpose| refused.has(*purpose) && unsaid(purpose))
            .map(|purpose| Chosen { purpose, yes: false })
            .collect();
        choices.extend(carried);
    }
    let choose = |speaker| Input::Choose {
        speaker,
        choices: choices.clone(),
        source: source.clone(),
        evidence: evidence.clone(),
    };
    match visit.consult(choose).await? {
        Reply::Consent(view) => Ok(view),
        Reply::Erased => erased(visit),
        _ => Err(Fault::unavailable()),
    }
}

/// What stands for somebody who was erased: the region's default, as for anybody new.
fn erased(visit: &Visit) -> Result<ConsentView, Fault> {
    match visit.alone(Input::Consent { speaker: visit.nobody() })? {
        Reply::Consent(view) => Ok(view),
        _ => Err(Fault::unavailable()),
    }
}

/// Whether these choices of somebody without a device allow storing.
fn may_store(visit: &Visit, choices: &[Chosen]) -> bool {
    let mut consent = Consent::default();
    for chosen in choices {
        consent.take(&Record {
            purpose: chosen.purpose,
            choice: if chosen.yes { Choice::Grant } else { Choice::Deny },
            epoch: 0,
            time: visit.now,
            basis: Basis::Consent,
        });
    }
    let said = choices.iter().any(|chosen| chosen.purpose == Purpose::Store);
    let before = visit.cookie.refused.has(Purpose::Store) && !said;
    let settings = &visit.workspace.consent;
    let effective = Effective::of(None, Some(&consent), &visit.signals, settings);
    !before && effective.allowed().has(Purpose::Store)
}

/// A no of somebody without a device: only the cookie keeps it.
fn refuse(visit: &mut Visit, choices: &[Chosen]) -> Result<ConsentView, Fault> {
    let mut refused = PurposeSet::NONE;
    for purpose in Purpose::ALL {
        let said =
            choices.iter().find(|chosen| chosen.purpose == purpose).map(|chosen| !chosen.yes);
        if said.unwrap_or(visit.cookie.refused.has(purpose)) {
            refused = refused.with(purpose);
        }
    }
    visit.cookie.refused = refused;
    erased(visit)
}

/// The decisions of the page's placements as they are from now on.
async fn shown(visit: &mut Visit, request: &Request) -> Result<Value, Fault> {
    let request = visit.fields(request);
    let input = |speaker| Input::Decide {
        speaker,
        placements: Placements::Every(Where::Edge),
        request: request.clone(),
        trace: false,
    };
    match visit.consult(input).await? {
        Reply::Decisions(page) => Ok(views::plain(&page.decisions)),
        _ => Ok(Value::Null),
    }
}

fn answer(
    visit: &Visit,
    view: &ConsentView,
    decisions: Value,
    reading: &Reading,
) -> Result<Answer, Fault> {
    let mut value = views::plain(&ConsentAnswer::of(view, &visit.signals.region));
    if let Some(fields) = value.as_object_mut()
        && !decisions.is_null()
    {
        fields.insert("decisions".into(), decisions);
    }
    if let Some(fields) = value.as_object_mut()
        && *reading != Reading::default()
    {
        let said =
            json!({ "problems": reading.problems.clone(), "reasons": reading.reasons.clone() });
        fields.insert("signals".into(), said);
    }
    Ok(Answer::json(&value)?.with_cookie(visit.cookie_line()))
}
