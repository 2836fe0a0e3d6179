//! `selvedge image`: the compiled workspace in a file, for pages or for servers that hold profiles
//! themselves. It must never write a workspace that has a mistake.

use std::io::{self, Write};
use std::path::Path;

use selvedge::json::evaluator_file;
use serde_json::json;

use crate::args::ImageFor;
use crate::check;
use crate::problem::{Outcome, Problem};

/// Writes the image; false where the workspace has a mistake, which is shown.
pub fn run(path: &Path, out: &Path, whom: ImageFor, as_json: bool) -> Outcome<bool> {
    let Some(workspace) = check::workspace(path, as_json)? else { return Ok(false) };
    let bytes = match whom {
        ImageFor::Page => workspace.for_page().to_bytes(),
        ImageFor::Evaluator => evaluator_file(&workspace),
    };
    let bytes = bytes.map_err(Problem::from)?;
    std::fs::write(out, &bytes).map_err(|error| Problem::file(out, &error))?;
    let mut said = io::stdout().lock();
    if as_json {
        let answer = json!({ "ok": true, "version": workspace.version, "bytes": bytes.len() });
        writeln!(said, "{answer}")?;
    } else {
        writeln!(
            said,
            "{} holds version {}: {} bytes",
            out.display(),
            workspace.version,
            bytes.len()
        )?;
    }
    Ok(true)
}
