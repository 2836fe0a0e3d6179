//! What the deployment says: variables and secrets. It must never be shown to anybody, and nothing
//! here has a default that would weaken a lock.

use std::cell::RefCell;
use std::rc::Rc;

use data_encoding::BASE64URL_NOPAD;
use selvedge::consent::Region;
use selvedge::identity::TenantKey;
use selvedge::workspace::LoginKey;
use serde::Deserialize;
use worker::{Env, Url};

use crate::cookie::{self, Keys};
use crate::http::Fault;

/// Identity shards of a tenant. Identifiers stay where they were filed, so this never changes for
/// a tenant that is in use.
pub const IDENTITY_SHARDS: u16 = 64;

/// The deployment's settings, parsed once per isolate.
pub struct Settings {
    pub tenant: String,
    pub tenant_key: TenantKey,
    pub cookies: Keys,
    pub origin: Url,
    pub central: String,
    pub region: Option<Region>,
    /// Keys of the site's login, beside those of the workspace.
    pub login_keys: Vec<LoginKey>,
    write_key: String,
    admin_key: String,
    central_key: String,
}

thread_local! {
    static SETTINGS: RefCell<Option<Rc<Settings>>> = const { RefCell::new(None) };
}

/// The settings, where they are in memory.
pub fn known() -> Option<Rc<Settings>> {
    SETTINGS.with_borrow(Clone::clone)
}

/// The settings, from memory or from the environment. Errors: `misconfigured`, naming the variable.
pub fn of(env: &Env) -> Result<Rc<Settings>, Fault> {
    if let Some(known) = known() {
        return Ok(known);
    }
    let fresh = Rc::new(Settings::read(env)?);
    SETTINGS.set(Some(Rc::clone(&fresh)));
    Ok(fresh)
}

impl Settings {
    fn read(env: &Env) -> Result<Self, Fault> {
        let tenant = text(env, "TENANT")?;
        let tenant_key = TenantKey::parse(&tenant, &text(env, "TENANT_KEY")?)
            .map_err(|_| wrong("TENANT_KEY"))?;
        let cookies =
            Keys::parse(&tenant, &text(env, "COOKIE_KEYS")?).ok_or_else(|| wrong("COOKIE_KEYS"))?;
        let origin = origin(env)?;
        let region = env.var("REGION").ok().map(|value| value.to_string());
        let region = region.filter(|value| !value.is_empty()).map(|value| {
            let (country, part) = value.split_once('-').unwrap_or((&value, ""));
            Region::new(country, part)
        });
        let login_keys = match env.var("LOGIN_KEYS") {
            Ok(keys) => login_keys(&keys.to_string()).ok_or_else(|| wrong("LOGIN_KEYS"))?,
            Err(_) => Vec::new(),
        };
        Ok(Self {
            login_keys,
            tenant_key,
            cookies,
            origin,
            central: text(env, "CENTRAL_URL")?.trim_end_matches('/').to_owned(),
            region,
            write_key: text(env, "WRITE_KEY")?,
            admin_key: text(env, "ADMIN_KEY")?,
            central_key: text(env, "CENTRAL_KEY")?,
            tenant,
        })
    }

    pub fn is_write_key(&self, given: &str) -> bool {
        cookie::same_secret(&self.write_key, given)
    }

    pub fn is_admin_key(&self, given: &str) -> bool {
        cookie::same_secret(&self.admin_key, given)
    }

    pub fn is_central_key(&self, given: &str) -> bool {
        cookie::same_secret(&self.central_key, given)
    }

    /// For our own calls to the central store.
    pub fn central_bearer(&self) -> String {
        format!("Bearer {}", self.central_key)
    }
}

/// A JSON Web Key Set (RFC 7517) of Ed25519 public keys (RFC 8037).
#[derive(Deserialize)]
struct KeySet {
    keys: Vec<WebKey>,
}

#[derive(Deserialize)]
struct WebKey {
    kty: String,
    crv: String,
    kid: String,
    x: String,
}

fn login_keys(text: &str) -> Option<Vec<LoginKey>> {
    let set: KeySet = serde_json::from_str(text).ok()?;
    let key = |key: WebKey| {
        let bytes = BASE64URL_NOPAD.decode(key.x.as_bytes()).ok()?;
        let ed25519 = <[u8; 32]>::try_from(bytes.as_slice()).ok()?;
        (key.kty == "OKP" && key.crv == "Ed25519").then_some(LoginKey { kid: key.kid, ed25519 })
    };
    set.keys.into_iter().map(key).collect()
}

/// Where the site's own pages come from, also where nothing else is set up.
pub fn origin(env: &Env) -> Result<Url, Fault> {
    Url::parse(&text(env, "ORIGIN_URL")?).map_err(|_| wrong("ORIGIN_URL"))
}

fn text(env: &Env, name: &'static str) -> Result<String, Fault> {
    let value = env.var(name).map_err(|_| wrong(name))?.to_string();
    if value.is_empty() { Err(wrong(name)) } else { Ok(value) }
}

fn wrong(name: &'static str) -> Fault {
    worker::console_error!("the setting {name} is missing or malformed");
    Fault::new(503, "misconfigured", "the edge is not set up", "")
}
