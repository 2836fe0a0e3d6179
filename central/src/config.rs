//! What the operator sets, from flags and the environment. Secrets come from the environment only,
//! because flags show in process lists. It must never be printed.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use axum::http::Uri;
use selvedge::identity::TenantKey;

/// Shortest key that is taken: a guess at it must be hopeless.
const KEY_BYTES_MIN: usize = 16;

/// What `--help` prints.
pub const HELP: &str = "\
selvedge-central: the central store's server

usage: selvedge-central [--listen HOST:PORT] [--database FILE] [--edge-url URL] [--tenant NAME]

environment (a flag wins over its variable):
  SELVEDGE_CENTRAL_LISTEN    address to listen on (127.0.0.1:8788)
  SELVEDGE_CENTRAL_DATABASE  SQLite file (selvedge-central.sqlite)
  SELVEDGE_CENTRAL_KEY       secret bearer key of every caller, 16 bytes or more (required)
  SELVEDGE_EDGE_URL          where changes are pushed, http://host[:port]; without it the edge polls
  SELVEDGE_TENANT            the tenant's name (required)
  SELVEDGE_TENANT_KEY        the tenant's key, 64 hexadecimal digits (required)
  SELVEDGE_LOG               what is logged, as in `info` or `selvedge_central=debug` (info)";

/// A checked configuration.
#[derive(Clone)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The SQLite file.
    pub database: PathBuf,
    /// The bearer key.
    pub key: String,
    /// Where changes go, without a final slash.
    pub edge_url: Option<String>,
    /// The tenant and its key.
    pub tenant: TenantKey,
    /// The tenant key's bytes, for ids of rows that bring none.
    pub row_key: Vec<u8>,
}

/// What the command line asks for.
pub enum Asked {
    /// To serve.
    Serve(Box<Config>),
    /// To print a text and go.
    Print(String),
}

impl Config {
    /// From flags and the environment. The error is a sentence for people.
    pub fn from(
        arguments: impl Iterator<Item = String>,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Asked, String> {
        let flags = match flags(arguments)? {
            Ok(flags) => flags,
            Err(text) => return Ok(Asked::Print(text)),
        };
        let setting = |flag: &str, variable: &str| {
            flags.get(flag).cloned().or_else(|| environment(variable)).filter(|v| !v.is_empty())
        };
        let required = |flag: &str, variable: &str| {
            setting(flag, variable).ok_or_else(|| format!("{variable} is not set"))
        };
        let listen = setting("listen", "SELVEDGE_CENTRAL_LISTEN");
        let database = setting("database", "SELVEDGE_CENTRAL_DATABASE");
        let tenant_key = required("", "SELVEDGE_TENANT_KEY")?;
        let config = Self {
            listen: address(listen.as_deref().unwrap_or("127.0.0.1:8788"))?,
            database: file(database.as_deref().unwrap_or("selvedge-central.sqlite"))?,
            key: required("", "SELVEDGE_CENTRAL_KEY")?,
            edge_url: setting("edge-url", "SELVEDGE_EDGE_URL").map(|url| edge(&url)).transpose()?,
            tenant: TenantKey::parse(&required("tenant", "SELVEDGE_TENANT")?, &tenant_key)
                .map_err(|error| error.message)?,
            row_key: tenant_key.into_bytes(),
        };
        if config.key.len() < KEY_BYTES_MIN {
            return Err(format!("SELVEDGE_CENTRAL_KEY has fewer than {KEY_BYTES_MIN} bytes"));
        }
        Ok(Asked::Serve(Box::new(config)))
    }
}

type Flags = BTreeMap<String, String>;

/// The flags, or the text that one of them asks for.
fn flags(arguments: impl Iterator<Item = String>) -> Result<Result<Flags, String>, String> {
    let mut flags = Flags::new();
    let mut arguments = arguments;
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--help" | "-h" => return Ok(Err(HELP.to_owned())),
            "--version" => return Ok(Err(env!("CARGO_PKG_VERSION").to_owned())),
            "--listen" | "--database" | "--edge-url" | "--tenant" => {
                let value =
                    arguments.next().ok_or_else(|| format!("`{argument}` needs a value"))?;
                flags.insert(argument.trim_start_matches('-').to_owned(), value);
            }
            _ => return Err(format!("unknown argument `{argument}`; see --help")),
        }
    }
    Ok(Ok(flags))
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("`{text}` is no address such as 127.0.0.1:8788"))
}

fn file(text: &str) -> Result<PathBuf, String> {
    if text.starts_with("postgres:") || text.starts_with("postgresql:") {
        return Err("this release stores in SQLite only; give the path of a file".to_owned());
    }
    Ok(PathBuf::from(text.strip_prefix("sqlite:").unwrap_or(text)))
}

fn edge(text: &str) -> Result<String, String> {
    let wrong = || format!("SELVEDGE_EDGE_URL `{text}` is no URL such as http://localhost:8787");
    let url: Uri = text.parse().map_err(|_| wrong())?;
    match (url.scheme_str(), url.host()) {
        (Some("http"), Some(_)) => Ok(text.trim_end_matches('/').to_owned()),
        (Some("https"), Some(_)) => Err(
            "this release pushes over http only; name a local proxy that speaks https for it, or \
             leave SELVEDGE_EDGE_URL out and let the edge poll"
                .to_owned(),
        ),
        _ => Err(wrong()),
    }
}
