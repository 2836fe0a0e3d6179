//! Which path and method lead where. It must never do what a route does.

use selvedge::event::EventKind;
use wasm_bindgen::JsValue;
use worker::{Env, Method};

use crate::http::{self, Answer, Fault, Request};
use crate::objects;
use crate::settings;
use crate::visitor::{self, Visit};
use crate::{
    admin, assets, consenting, deciding, leases, login, me, ofrep, page, preview, published,
    segment,
};

/// Our own paths; everything else is the site's.
const OURS: &str = "/_selvedge/";

/// A route of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    Tag,
    Stub,
    File,
    Events(Option<EventKind>),
    Decide,
    Flags,
    Slice,
    Consent,
    Me,
    MeExport,
    MeErase,
    Login,
    Logout,
    Workspace,
    Explain,
    PreviewLink,
    Preview,
    Export,
    Erase,
    Apply,
    Gpc,
}

impl Route {
    fn of(path: &str) -> Option<Self> {
        if path == "/.well-known/gpc.json" {
            return Some(Self::Gpc);
        }
        Some(match path.strip_prefix(OURS)? {
            "tag.js" => Self::Tag,
            "stub.js" => Self::Stub,
            "v1/batch" => Self::Events(None),
            "v1/track" => Self::Events(Some(EventKind::Track)),
            "v1/identify" => Self::Events(Some(EventKind::Identify)),
            "v1/page" => Self::Events(Some(EventKind::Page)),
            "v1/screen" => Self::Events(Some(EventKind::Screen)),
            "v1/group" => Self::Events(Some(EventKind::Group)),
            "v1/alias" => Self::Events(Some(EventKind::Alias)),
            "v1/decide" => Self::Decide,
            "v1/slice" => Self::Slice,
            "v1/consent" => Self::Consent,
            "v1/me" => Self::Me,
            "v1/me/export" => Self::MeExport,
            "v1/me/erase" => Self::MeErase,
            "v1/login" => Self::Login,
            "v1/logout" => Self::Logout,
            "admin/v1/workspace" => Self::Workspace,
            "admin/v1/explain" => Self::Explain,
            "admin/v1/preview" => Self::PreviewLink,
            "preview" => Self::Preview,
            "admin/v1/export" => Self::Export,
            "admin/v1/erase" => Self::Erase,
            "sync/v1/apply" => Self::Apply,
            name if ofrep::is_route(name) => Self::Flags,
            name if !name.contains('/') => Self::File,
            _ => return None,
        })
    }

    /// The methods that a route takes, as `Allow` lists them.
    fn methods(self) -> &'static str {
        match self {
            Self::Tag
            | Self::Stub
            | Self::File
            | Self::Slice
            | Self::Me
            | Self::MeExport
            | Self::Preview
            | Self::Gpc => "GET, HEAD",
            Self::Consent => "GET, HEAD, POST",
            Self::Workspace => "GET, HEAD, PUT",
            Self::Events(_)
            | Self::Decide
            | Self::Flags
            | Self::MeErase
            | Self::Login
            | Self::Logout
            | Self::Explain
            | Self::PreviewLink
            | Self::Export
            | Self::Erase
            | Self::Apply => "POST",
        }
    }
}

/// The body of a plain answer, where all that it takes is in memory: a workspace that is taken for
/// the current one, and a copy of the visitor's state that counts. None says nothing about the
/// request: [`answer`] finds out what it is.
pub fn at_once(request: &Request, env: &Env) -> Option<String> {
    let route = Route::of(request.url().path());
    if route != Some(Route::Decide) || request.method() != Method::Post {
        return None;
    }
    let now = objects::now();
    let settings = settings::known()?;
    let opened = visitor::opened(request, &settings, now)?;
    let name = opened.name.clone().filter(|name| leases::holds(name, now))?;
    let workspace = published::fresh(now)?;
    let visit = Visit::by(request, Some(opened), env.clone(), settings, workspace, now);
    deciding::at_once(visit, name, request)
}

/// Answers a request, whatever it is.
pub async fn answer(mut request: Request, env: Env) -> worker::Result<JsValue> {
    let method = request.method();
    let path = request.url().path().to_owned();
    if !path.starts_with(OURS) && Route::of(&path).is_none() {
        let served = match settings::of(&env) {
            Ok(settings) => page::serve(&request, env, settings, objects::now()).await,
            Err(fault) => match settings::origin(&env) {
                Ok(origin) => page::untouched(&request, &origin).await,
                Err(_) => Err(fault),
            },
        };
        return match served {
            Ok(response) => Ok(response.into()),
            Err(fault) => fault.answer().respond(&method),
        };
    }
    let answer =
        own(&mut request, env, &method, &path).await.unwrap_or_else(|fault| {
            match Route::of(&path) {
                Some(Route::Flags) => ofrep::refuse(fault, &path),
                _ => fault.answer(),
            }
        });
    answer.respond(&method)
}

async fn own(
    request: &mut Request,
    env: Env,
    method: &Method,
    path: &str,
) -> Result<Answer, Fault> {
    let not_found = || Fault::new(404, "not_found", "the edge has no such route", "path");
    let route = Route::of(path).ok_or_else(not_found)?;
    if !route.methods().split(", ").any(|allowed| allowed == method.as_ref()) {
        return Err(Fault::method(route.methods()));
    }
    let reads = matches!(method, Method::Get | Method::Head);
    let name = path.strip_prefix(OURS).unwrap_or_default();
    let now = objects::now();
    match route {
        Route::Tag => return Ok(assets::tag(request)),
        Route::Stub => return Ok(assets::stub(request)),
        Route::Gpc => return deciding::gpc(),
        Route::File => {
            if let Some(answer) = assets::core(name).or_else(|| assets::signals(name)) {
                return Ok(answer);
            }
            let version = assets::image_version(name).ok_or_else(not_found)?;
            let settings = settings::of(&env)?;
            return match published::version(&env, &settings.tenant, version).await {
                Ok(workspace) => assets::image(&workspace),
                Err(fault) if fault.code() == "no_workspace" => Err(not_found()),
                Err(fault) => Err(fault),
            };
        }
        _ => {}
    }
    let settings = settings::of(&env)?;
    match route {
        Route::Workspace | Route::Explain | Route::PreviewLink | Route::Export | Route::Erase => {
            http::with_key(request, |key| settings.is_admin_key(key))?;
        }
        Route::Apply => http::with_key(request, |key| settings.is_central_key(key))?,
        _ => {}
    }
    match route {
        Route::Workspace if reads => return admin::workspace(&env, &settings).await,
        Route::Workspace => return admin::publish(request, &env, &settings, now).await,
        Route::Apply => return admin::apply(request, &env, &settings).await,
        Route::PreviewLink => return preview::make(request, &env, &settings, now).await,
        Route::Preview => return preview::enter(request, &settings, now),
        _ => {}
    }
    let workspace = published::current(&env, &settings.tenant, now).await?;
    let visit = Visit::of(request, env, settings, workspace, now);
    match route {
        Route::Events(kind) => segment::events(visit, request, kind).await,
        Route::Decide => deciding::decide(visit, request).await,
        Route::Flags => ofrep::evaluate(visit, request, ofrep::flag(path).as_deref()).await,
        Route::Slice => deciding::slice(visit, request).await,
        Route::Consent if reads => consenting::read(visit).await,
        Route::Consent => consenting::change(visit, request).await,
        Route::Me => me::read(visit, request).await,
        Route::MeExport => me::export(visit, request).await,
        Route::MeErase => me::erase(visit, request).await,
        Route::Login => login::login(visit, request).await,
        Route::Logout => login::logout(visit, request).await,
        Route::Explain => admin::explain(visit, request).await,
        Route::Export => admin::export(visit, request).await,
        Route::Erase => admin::erase(visit, request).await,
        _ => Err(not_found()),
    }
}
