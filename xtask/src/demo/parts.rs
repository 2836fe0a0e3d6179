//! How each part of the demo is started: its program, its settings, its log. It waits for
//! nothing.

use std::path::Path;
use std::process::Command;

use super::keys::Keys;
use super::{Ports, TENANT};
use crate::error::Result;
use crate::process::Part;
use crate::{files, paths, tools};

pub fn central(state: &Path, ports: Ports, keys: &Keys) -> Result<Part> {
    let mut command = Command::new(paths::binary("selvedge-central"));
    command
        .current_dir(paths::root())
        .env("SELVEDGE_CENTRAL_LISTEN", format!("127.0.0.1:{}", ports.central))
        .env("SELVEDGE_CENTRAL_DATABASE", state.join("central.sqlite"))
        .env("SELVEDGE_CENTRAL_KEY", &keys.central_key)
        .env("SELVEDGE_EDGE_URL", ports.edge_url())
        .env("SELVEDGE_TENANT", TENANT)
        .env("SELVEDGE_TENANT_KEY", &keys.tenant_key);
    Part::start("central store", &mut command, &state.join("central.log"))
}

pub fn shop(state: &Path, ports: Ports, keys: &Keys) -> Result<Part> {
    let crm = state.join("crm");
    files::make_folder(&crm)?;
    let mut command = tools::node_command()?;
    command
        .arg("examples/shop/server.mjs")
        .env("PORT", ports.shop.to_string())
        .env("TENANT", TENANT)
        .env("CENTRAL_URL", ports.central_url())
        .env("CENTRAL_KEY", &keys.central_key)
        .env("EDGE_URL", ports.edge_url())
        .env("ADMIN_KEY", &keys.admin_key)
        .env("LOGIN_KEY_FILE", state.join("login-key.json"))
        .env("LOGIN_KID", keys.login_kid())
        .env("DATA_DIR", crm);
    Part::start("shop", &mut command, &state.join("shop.log"))
}

pub fn edge(state: &Path, ports: Ports, keys: &Keys) -> Result<Part> {
    let secrets = state.join("edge.vars");
    // In a file for its owner, not among the arguments, which every user of the machine can list.
    let text = format!(
        "TENANT_KEY='{}'\nCOOKIE_KEYS='{}'\nWRITE_KEY='{}'\nADMIN_KEY='{}'\nCENTRAL_KEY='{}'\n",
        keys.tenant_key, keys.cookie_keys, keys.write_key, keys.admin_key, keys.central_key,
    );
    files::write_secret(&secrets, text.as_bytes())?;
    let mut command = tools::npm_command("wrangler")?;
    command
        .args(["dev", "--config", "wrangler.toml", "--ip", "127.0.0.1"])
        .args(["--inspector-port", "0", "--show-interactive-dev-session=false"])
        .arg(format!("--port={}", ports.edge))
        .arg(format!("--var=TENANT:{TENANT}"))
        // Where nothing may be stored before a yes. The runtime's own stand-in is in the US.
        .arg("--var=REGION:DE")
        .arg(format!("--var=ORIGIN_URL:{}", ports.shop_url()))
        .arg(format!("--var=CENTRAL_URL:{}", ports.central_url()))
        .arg("--env-file")
        .arg(&secrets)
        .arg("--persist-to")
        .arg(state.join("edge"))
        .env("SELVEDGE_BUILT", "1")
        // wrangler would keep a trace of every request on disk, whatever the visitor allows.
        .env("X_LOCAL_OBSERVABILITY", "false")
        .env("X_LOCAL_EXPLORER", "false")
        // Else wrangler asks Cloudflare where this machine is.
        .env("CLOUDFLARE_CF_FETCH_ENABLED", "false")
        .env("WRANGLER_LOG_PATH", state.join("wrangler"));
    Part::start("edge", &mut command, &state.join("edge.log"))
}
