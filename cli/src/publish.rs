//! `selvedge publish`: checks a workspace here, then makes it the current one of an edge.

use std::io::{self, Write};
use std::path::Path;

use selvedge::compile::Note;
use serde_json::{Value, json};

use crate::args::Edge;
use crate::check;
use crate::http::Server;
use crate::login_key;
use crate::problem::Outcome;
use crate::show;

/// Publishes; false where the workspace has mistakes.
pub fn run(path: &Path, edge: &Edge, login_key: Option<&Path>, as_json: bool) -> Outcome<bool> {
    let server = Server::new("edge", "--edge", &edge.url, &edge.key)?;
    let mut source = check::read(path)?;
    // First as it was written, so that mistakes show the author's own lines.
    let Some(mut workspace) = check::compiled(path, &source, as_json)? else { return Ok(false) };
    if let Some(key) = login_key {
        source = login_key::add(&source, key)?;
        let Some(with_key) = check::compiled(path, &source, as_json)? else { return Ok(false) };
        workspace = with_key;
    }
    let body = source.into_bytes();
    let length = u64::try_from(body.len()).ok();
    let route = "/_selvedge/admin/v1/workspace";
    let media = "application/json";
    let response = server.send("PUT", route, media, io::Cursor::new(body), length)?;
    let answer = server.read(response)?;
    let version = answer.get("version").and_then(Value::as_str).unwrap_or(&workspace.version);
    let mut out = io::stdout().lock();
    // An older edge says none.
    let said = answer.get("notes").cloned().unwrap_or_default();
    let notes: Vec<Note> = serde_json::from_value(said).unwrap_or_default();
    if as_json {
        writeln!(out, "{}", json!({ "ok": true, "version": version, "notes": notes }))?;
        return Ok(true);
    }
    writeln!(out, "published {}: {}", path.display(), show::counts(&workspace))?;
    if version != workspace.version {
        writeln!(
            out,
            "the edge names it {version}: it runs another release of Selvedge than this command"
        )?;
    }
    show::notes(&mut out, &notes)?;
    Ok(true)
}
