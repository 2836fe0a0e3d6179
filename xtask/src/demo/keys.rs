//! The demo's secrets: drawn once, kept in its state folder for its owner only. They protect
//! nothing but the demo.

use std::path::Path;

use serde_json::{Value, json};

use crate::error::{Context, Error, Result};
use crate::{files, paths, step, tools};

const DRAW: &str = include_str!("keys.mjs");

pub struct Keys {
    pub tenant_key: String,
    pub cookie_keys: String,
    pub write_key: String,
    pub admin_key: String,
    pub central_key: String,
    /// An Ed25519 private key as a JWK, with its `kid`.
    pub login_key: Value,
}

impl Keys {
    /// The key that login tokens are checked with, as a workspace lists it.
    pub fn login_public(&self) -> Value {
        let public = self.login_key.get("x").cloned().unwrap_or_default();
        json!({ "kid": self.login_kid(), "alg": "EdDSA", "publicKey": public })
    }

    pub fn login_kid(&self) -> &str {
        self.login_key.get("kid").and_then(Value::as_str).unwrap_or_default()
    }
}

/// The keys of this state folder; new ones where it has none.
pub fn of(state: &Path) -> Result<Keys> {
    let path = state.join("keys.json");
    if !path.is_file() {
        let lines = step::output(
            "draw the demo's keys",
            tools::node_command()?.args(["--input-type=module", "--eval", DRAW]),
        )?;
        files::write_secret(&path, lines.concat().as_bytes())?;
    }
    let text = files::read_text(&path)?;
    let value: Value =
        serde_json::from_str(&text).doing(|| format!("cannot parse `{}`", paths::shown(&path)))?;
    let field = |name: &str| {
        value.get(name).cloned().ok_or_else(|| {
            let path = paths::shown(&path);
            Error::new(format!("`{path}` has no `{name}`; start again with --fresh"))
        })
    };
    let text = |name: &str| field(name).map(|value| value.as_str().unwrap_or_default().to_owned());
    let keys = Keys {
        tenant_key: text("tenantKey")?,
        cookie_keys: text("cookieKeys")?,
        write_key: text("writeKey")?,
        admin_key: text("adminKey")?,
        central_key: text("centralKey")?,
        login_key: field("loginKey")?,
    };
    files::write_secret(&state.join("login-key.json"), keys.login_key.to_string().as_bytes())?;
    Ok(keys)
}
