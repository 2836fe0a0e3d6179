//! The routes under `/v1/me`: what is held of a visitor, told to that visitor; and erasure at their
//! word (decision record 10). It must never take whom it is about from anything but the sealed
//! cookie, and never tell a person's data to a device that did not prove who uses it.

use std::collections::BTreeMap;

use selvedge::consent::Purpose;
use selvedge::engine::{Explained, Exported, Input, Placements, Reply};
use selvedge::ids::{DeviceId, ProfileName};
use selvedge::json::{time_text, to_json};
use selvedge::limits;
use selvedge::offer::Assurance;
use selvedge::page::ConsentAnswer;
use selvedge::profile::Profile;
use selvedge::rule::Value as Known;
use selvedge::wire::Receipt;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::cookie::Cookie;
use crate::http::{self, Answer, Fault, Request, header};
use crate::objects::{self, Held};
use crate::views::plain;
use crate::visitor::Visit;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EraseAsked {}

/// All that is held of whoever asks.
struct Seen {
    explained: Explained,
    exported: Option<Exported>,
    /// What each object holds that knows of them: a device keeps the receipts of before its login.
    held: Vec<(ProfileName, Held)>,
}

impl Seen {
    fn is_authenticated(&self) -> bool {
        self.explained.profile.assurance == Assurance::Authenticated
    }

    /// Every receipt that this device may read, oldest first.
    fn receipts(&self, device: Option<DeviceId>) -> Vec<&Receipt> {
        let complete = self.is_authenticated();
        let all = self.held.iter().flat_map(|(_, held)| &held.receipts);
        let mut own: Vec<&Receipt> =
            all.filter(|receipt| complete || Some(receipt.device) == device).collect();
        own.sort_by_key(|receipt| receipt.time);
        own
    }

    fn live(&self) -> Option<&Profile> {
        self.exported.as_ref()?.live.as_ref()
    }
}

/// `GET /v1/me`.
pub async fn read(mut visit: Visit, request: &Request) -> Result<Answer, Fault> {
    not_foreign(request)?;
    let seen = look(&mut visit, request).await?;
    Ok(Answer::json(&told(&visit, &seen))?.with_cookie(visit.cookie_line()))
}

/// `GET /v1/me/export`: the same as a file, with every row where the person has proved who it is.
pub async fn export(mut visit: Visit, request: &Request) -> Result<Answer, Fault> {
    not_foreign(request)?;
    let seen = look(&mut visit, request).await?;
    let mut value = told(&visit, &seen);
    if let Some(fields) = value.as_object_mut() {
        let complete = seen.is_authenticated();
        fields.insert("format".to_owned(), json!(1));
        fields.insert("time".to_owned(), json!(time_text(visit.now)));
        fields.insert("complete".to_owned(), json!(complete));
        if complete {
            fields.insert("held".to_owned(), plain(&seen.exported));
            let chains = seen.held.iter().map(|(name, held)| (name.as_str(), &held.receipts));
            let queued = seen.held.iter().flat_map(|(_, held)| &held.queued);
            fields.insert("chains".to_owned(), plain(&chains.collect::<BTreeMap<_, _>>()));
            fields.insert("queued".to_owned(), plain(&queued.collect::<Vec<_>>()));
        }
    }
    Ok(Answer::json(&value)?
        .with("content-disposition", "attachment; filename=\"what-we-hold.json\"")
        .with_cookie(visit.cookie_line()))
}

/// `POST /v1/me/erase`. Who has proved who they are erases the person, here and at the central
/// store; any other device only itself.
pub async fn erase(mut visit: Visit, request: &mut Request) -> Result<Answer, Fault> {
    http::same_origin(request)?;
    let _: EraseAsked = http::call(request, limits::CALL_BYTES).await?;
    let explained = explain(&mut visit, request).await?;
    let authenticated = explained.profile.assurance == Assurance::Authenticated;
    let mut erased = "device";
    if let Some(device) = visit.cookie.device {
        let own = visit.device_object(device);
        match visit.cookie.person.clone() {
            Some(person) if authenticated => {
                visit.ask(&person, Input::EraseEverywhere).await?;
                erased = "person";
            }
            // The person stays: whoever holds this device may not be her.
            Some(person) => {
                visit.ask(&person, Input::Logout { device }).await?;
                visit.ask(&own, Input::Erase).await?;
            }
            None => {
                visit.ask(&own, Input::EraseEverywhere).await?;
            }
        }
    }
    visit.cookie = Cookie::default();
    Ok(Answer::json(&json!({ "erased": erased }))?.with_cookie(visit.cookie_line()))
}

/// A page of another site cannot read the answer; that it may not even ask is the second lock.
fn not_foreign(request: &Request) -> Result<(), Fault> {
    let said = header(request, "origin").is_some()
        || header(request, "sec-fetch-site").is_some_and(|site| site != "none");
    if said { http::same_origin(request) } else { Ok(()) }
}

async fn explain(visit: &mut Visit, request: &Request) -> Result<Explained, Fault> {
    let request = visit.fields(request);
    let input = |speaker| Input::Explain {
        speaker,
        placements: Placements::Named(Vec::new()),
        request: request.clone(),
    };
    let reply = match visit.consult(input).await? {
        Reply::Erased => visit.alone(input(visit.nobody()))?,
        reply => reply,
    };
    match reply {
        Reply::Explained(explained) => Ok(*explained),
        _ => Err(Fault::unavailable()),
    }
}

/// Looks at the object that the cookie names, after the object has said who the device is to it.
async fn look(visit: &mut Visit, request: &Request) -> Result<Seen, Fault> {
    let explained = explain(visit, request).await?;
    let mut seen = Seen { explained, exported: None, held: Vec::new() };
    let Some(device) = visit.cookie.device else { return Ok(seen) };
    let name: ProfileName =
        visit.cookie.person.clone().unwrap_or_else(|| visit.device_object(device));
    if let Reply::Exported(exported) = visit.ask(&name, Input::Export).await? {
        seen.exported = Some(*exported);
    }
    let mut names = vec![name, visit.device_object(device)];
    if seen.is_authenticated() {
        let linked = seen.live().map(|live| live.devices.values()).into_iter().flatten();
        names.extend(linked.map(|link| link.object.clone()));
    }
    names.sort_unstable();
    names.dedup();
    for name in names {
        let held = objects::held(&visit.env, &visit.settings.tenant, &name).await?;
        seen.held.push((name, held));
    }
    Ok(seen)
}

/// The answer: for everybody the consent, this device's receipts, and how much is held; what it is,
/// only for a person who has proved who it is.
fn told(visit: &Visit, seen: &Seen) -> Value {
    let profile = &seen.explained.profile;
    let complete = seen.is_authenticated();
    let receipts: Vec<Value> =
        seen.receipts(visit.cookie.device).into_iter().map(receipt).collect();
    let consent = ConsentAnswer::of(&profile.consent, &visit.signals.region);
    let mut value = json!({
        "assurance": plain(&profile.assurance),
        "device": visit.cookie.device.is_some(),
        "region": plain(&consent.region),
        "choice": plain(&consent.choice),
        "purposes": purposes(&consent, seen.live()),
        "receipts": receipts,
        "counts": counts(seen),
        "content": null,
    });
    if complete && let Some(fields) = value.as_object_mut() {
        let content = json!({
            "traits": values(&profile.traits),
            "computed": values(&profile.computed),
            "audiences": profile.audiences,
            "claims": profile.claims,
            "devices": profile.devices.iter().map(|device| json!({
                "linked": time_text(device.linked),
                "loggedOut": device.logged_out.map(time_text),
                "attached": device.attached,
            })).collect::<Vec<_>>(),
        });
        fields.insert("content".to_owned(), content);
    }
    value
}

/// Per purpose whether, why, and since when it was chosen so.
fn purposes(consent: &ConsentAnswer, live: Option<&Profile>) -> Map<String, Value> {
    let since = |purpose| live.and_then(|profile| profile.consent.since(purpose)).map(time_text);
    Purpose::ALL
        .into_iter()
        .map(|purpose| {
            let word = purpose.word();
            let value = json!({
                "allowed": consent.purposes.get(word),
                "reason": consent.reasons.get(word).map(plain),
                "since": since(purpose),
            });
            (word.to_owned(), value)
        })
        .collect()
}

fn receipt(receipt: &Receipt) -> Value {
    let choices: Map<String, Value> = receipt
        .records
        .iter()
        .map(|record| (record.purpose.word().to_owned(), plain(&record.choice)))
        .collect();
    json!({
        "time": time_text(receipt.time),
        "choices": choices,
        "banner": receipt.evidence,
        "source": receipt.source,
        "region": plain(&receipt.region),
    })
}

fn counts(seen: &Seen) -> Value {
    let profile = &seen.explained.profile;
    let live = seen.live();
    let counters = live.map_or(0, |live| live.series.values().map(BTreeMap::len).sum::<usize>());
    let contacts = live.map_or(0, |live| live.history.values().map(Vec::len).sum::<usize>());
    json!({
        "traits": profile.traits.len(),
        "audiences": profile.audiences.len(),
        "counters": counters,
        "contacts": contacts,
        "claims": profile.claims.len(),
        "assignments": live.map_or(0, |live| live.assignments.len()),
        "devices": profile.devices.len(),
        "queued": seen.held.iter().map(|(_, held)| held.queued.len()).sum::<usize>(),
    })
}

fn values(of: &BTreeMap<String, Known>) -> Map<String, Value> {
    of.iter().map(|(name, value)| (name.clone(), to_json(value))).collect()
}
