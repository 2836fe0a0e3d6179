//! The routes under `/admin` and `/sync`: publish, explain, export, erase, apply. Each takes its
//! own secret key. It must never answer a visitor.

use std::collections::BTreeMap;
use std::rc::Rc;

use selvedge::compile;
use selvedge::engine::{Exported, Input, Placements, Reply};
use selvedge::identity::{Identifier, IdentifierKind};
use selvedge::ids::ProfileName;
use selvedge::limits;
use selvedge::time::Timestamp;
use selvedge::wire::{Changes, check_version};
use serde::Deserialize;
use serde_json::json;
use worker::Env;

use crate::http::{self, Answer, Fault, Request};
use crate::objects::{self, Published};
use crate::preview;
use crate::published;
use crate::settings::Settings;
use crate::tenant_object;
use crate::views;
use crate::visitor::Visit;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Subject {
    #[serde(default)]
    visitor: Option<String>,
    #[serde(default)]
    customer_id: Option<String>,
    #[serde(default)]
    placements: Option<Vec<String>>,
    #[serde(default)]
    context: BTreeMap<String, String>,
    /// For `explain`: variants to decide with, by experiment.
    #[serde(default)]
    variants: BTreeMap<String, String>,
}

/// `PUT /admin/v1/workspace`: compiles and publishes. Every mistake comes back at once.
pub async fn publish(
    request: &mut Request,
    env: &Env,
    settings: &Settings,
    now: Timestamp,
) -> Result<Answer, Fault> {
    let bytes = http::body(request, limits::WORKSPACE_BYTES).await?;
    let source = String::from_utf8(bytes)
        .map_err(|_| Fault::new(400, "not_utf8", "the workspace is no UTF-8 text", ""))?;
    let workspace = compile::workspace(&source).map_err(|mistakes| {
        let message = match mistakes.len() {
            1 => "the workspace has a mistake".to_owned(),
            count => format!("the workspace has {count} mistakes"),
        };
        Fault::new(400, "bad_workspace", message, "")
            .with_field("mistakes", views::plain(&mistakes))
    })?;
    let version = workspace.version.clone();
    let published =
        Published { version: version.clone(), source, image: workspace.to_bytes()?, time: now };
    let counted = (workspace.placements.len(), workspace.offers.len());
    let notes = compile::notes(&workspace, now);
    let (): () =
        objects::post(&objects::tenant(env, &settings.tenant)?, "publish", &published).await?;
    published::replace(workspace, now);
    let (placements, offers) = counted;
    Answer::json(&json!({
        "version": version, "placements": placements, "offers": offers, "notes": notes,
    }))
}

/// `GET /admin/v1/workspace`: what is published, as it was written.
pub async fn workspace(env: &Env, settings: &Settings) -> Result<Answer, Fault> {
    let stub = objects::tenant(env, &settings.tenant)?;
    let published: Option<Published> = objects::post(&stub, "source", &()).await?;
    let Some(published) = published else {
        return Err(Fault::new(404, "no_workspace", "no workspace is published yet", ""));
    };
    let time = selvedge::json::time_text(published.time);
    Answer::json(&json!({
        "version": published.version, "published": time, "source": published.source,
    }))
}

/// The offers' conditions as they were written, where this version is the one that is published.
async fn written_conditions(
    visit: &Visit,
    version: &str,
) -> Result<BTreeMap<String, String>, Fault> {
    let stub = objects::tenant(&visit.env, &visit.settings.tenant)?;
    let published: Option<Published> = objects::post(&stub, "source", &()).await?;
    let published = published.filter(|published| published.version == version);
    Ok(published.map_or_else(BTreeMap::new, |one| compile::written_conditions(&one.source)))
}

/// `POST /admin/v1/explain`.
pub async fn explain(mut visit: Visit, request: &mut Request) -> Result<Answer, Fault> {
    let asked: Subject = http::call(request, limits::CALL_BYTES).await?;
    visit.forget();
    visit.around.forced = preview::indices(&visit.workspace, &asked.variants)?;
    let found = find(&mut visit, &asked).await?;
    let fields = visit.fields_with(request, asked.context)?;
    let placements = Placements::Named(asked.placements.unwrap_or_else(|| {
        visit.workspace.placements.iter().map(|placement| placement.name.clone()).collect()
    }));
    let unknown = || Answer::json(&json!({ "known": false }));
    if !found {
        return unknown();
    }
    let input = |speaker| Input::Explain {
        speaker,
        placements: placements.clone(),
        request: fields.clone(),
    };
    match visit.consult(input).await? {
        Reply::Explained(explained) => {
            let conditions = written_conditions(&visit, &explained.workspace).await?;
            Answer::json(&views::explained(&explained, &visit.signals.region, &conditions))
        }
        Reply::Erased => unknown(),
        _ => Err(Fault::unavailable()),
    }
}

/// `POST /admin/v1/export`.
pub async fn export(mut visit: Visit, request: &mut Request) -> Result<Answer, Fault> {
    let asked: Subject = http::call(request, limits::CALL_BYTES).await?;
    let name = subject(&mut visit, &asked)?;
    let exported = exported(&visit, &name).await?;
    let held = objects::held(&visit.env, &visit.settings.tenant, &name).await?;
    Answer::json(&json!({
        "profile": name,
        "held": views::plain(&exported),
        "receipts": views::plain(&held.receipts),
        "queued": views::plain(&held.queued),
    }))
}

/// `POST /admin/v1/erase`: at the edge. The central store has its own route, and tells the edge.
pub async fn erase(mut visit: Visit, request: &mut Request) -> Result<Answer, Fault> {
    let asked: Subject = http::call(request, limits::CALL_BYTES).await?;
    let name = subject(&mut visit, &asked)?;
    visit.ask(&name, Input::Erase).await?;
    Answer::json(&json!({ "erased": true, "profile": name }))
}

/// `POST /sync/v1/apply`.
pub async fn apply(
    request: &mut Request,
    env: &Env,
    settings: &Rc<Settings>,
) -> Result<Answer, Fault> {
    let changes: Changes = http::call(request, limits::SYNC_BYTES).await?;
    check_version(changes.wire_version)?;
    if changes.changes.len() > limits::CHANGES {
        let message = format!("one message holds at most {} changes", limits::CHANGES);
        return Err(Fault::new(400, "too_many_changes", message, "changes"));
    }
    for change in &changes.changes {
        ProfileName::parse(change.person.as_str())?;
    }
    if let Some(spent) = &changes.spent {
        let (): () =
            objects::post(&objects::tenant(env, &settings.tenant)?, "spent", spent).await?;
        published::take_spent(spent.clone());
    }
    let changed = tenant_object::apply(env, settings, changes.changes).await?;
    Answer::json(&json!({ "changed": changed }))
}

/// The object that a question is about. Errors: `no_subject`, `bad_visitor`, `bad_identifier`.
fn subject(visit: &mut Visit, asked: &Subject) -> Result<ProfileName, Fault> {
    visit.forget();
    match (&asked.visitor, &asked.customer_id) {
        (Some(sealed), None) => {
            let Some(reference) = visit.settings.cookies.open_reference(sealed, visit.now) else {
                let message = "this is no visitor's reference, or it is over an hour old";
                return Err(Fault::new(400, "bad_visitor", message, "visitor"));
            };
            visit.cookie.device = Some(reference.device);
            visit.cookie.person = reference.person.clone();
            visit.signals = reference.signals;
            Ok(reference.person.unwrap_or_else(|| visit.device_object(reference.device)))
        }
        (None, Some(id)) => {
            let blocked = &visit.workspace.identity.blocked;
            let identifier = Identifier::parse(IdentifierKind::CustomerId, id, blocked)?;
            Ok(visit.settings.tenant_key.person(&identifier))
        }
        _ => {
            let message = "say whom you mean by `visitor` or by `customerId`";
            Err(Fault::new(400, "no_subject", message, ""))
        }
    }
}

/// Finds on whose behalf to explain: a visitor as they came, a customer as on the device that was
/// linked last. False where nobody is known.
async fn find(visit: &mut Visit, asked: &Subject) -> Result<bool, Fault> {
    let name = subject(visit, asked)?;
    if visit.cookie.device.is_some() {
        return Ok(true);
    }
    let Some(profile) = exported(visit, &name).await?.live else { return Ok(false) };
    let linked = profile.devices.iter().filter(|(_, link)| link.logged_out.is_none());
    let Some((device, link)) = linked.max_by_key(|(_, link)| link.linked) else {
        return Ok(false);
    };
    visit.cookie.device = Some(*device);
    visit.cookie.person = Some(name);
    visit.signals.region = link.region.clone();
    visit.signals.gpc = false;
    Ok(true)
}

async fn exported(visit: &Visit, name: &ProfileName) -> Result<Exported, Fault> {
    let mut name = name.clone();
    for _ in 0..3 {
        match visit.ask(&name, Input::Export).await? {
            Reply::Exported(exported) => return Ok(*exported),
            Reply::Moved(to) => name = to,
            _ => break,
        }
    }
    Err(Fault::unavailable())
}
