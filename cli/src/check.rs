//! `selvedge check`: every mistake of a workspace. Other commands come here for a compiled one.

use std::io::{self, Write};
use std::path::Path;

use selvedge::compile::{self, Mistake};
use selvedge::workspace::Workspace;
use serde_json::json;

use crate::deciding::clock;
use crate::problem::{Outcome, Problem};
use crate::show;

/// Shows every mistake; true where there is none.
pub fn run(path: &Path, as_json: bool) -> Outcome<bool> {
    let source = read(path)?;
    let compiled = compile::workspace(&source);
    let mut out = io::stdout().lock();
    match (&compiled, as_json) {
        (Ok(workspace), true) => {
            let answer = json!({
                "ok": true, "version": workspace.version, "mistakes": [],
                "placements": workspace.placements.len(), "offers": workspace.offers.len(),
                "audiences": workspace.audiences.len(),
                "notes": compile::notes(workspace, clock()),
            });
            writeln!(out, "{answer}")?;
        }
        (Ok(workspace), false) => {
            writeln!(out, "{} is fine: {}", path.display(), show::counts(workspace))?;
            show::notes(&mut out, &compile::notes(workspace, clock()))?;
        }
        (Err(mistakes), true) => {
            writeln!(out, "{}", json!({ "ok": false, "mistakes": mistakes }))?;
        }
        (Err(mistakes), false) => show::mistakes(&mut out, path, mistakes)?,
    }
    Ok(compiled.is_ok())
}

/// The source of a workspace.
pub fn read(path: &Path) -> Outcome<String> {
    let bytes = std::fs::read(path).map_err(|error| Problem::file(path, &error))?;
    String::from_utf8(bytes).map_err(|error| {
        let read = error.utf8_error().valid_up_to();
        let before = error.as_bytes().iter().take(read);
        let line = before.filter(|byte| **byte == b'\n').count().saturating_add(1);
        Problem::new("not_utf8", format!("`{}` is not UTF-8", path.display()))
            .at(format!("line {line}"))
            .hint("save it as UTF-8, as JSON demands")
    })
}

/// A compiled workspace; its mistakes are shown as `check` shows them.
pub fn workspace(path: &Path, as_json: bool) -> Outcome<Option<Workspace>> {
    compiled(path, &read(path)?, as_json)
}

/// The same of a source that was read from `path`.
pub fn compiled(path: &Path, source: &str, as_json: bool) -> Outcome<Option<Workspace>> {
    match compile::workspace(source) {
        Ok(workspace) => Ok(Some(workspace)),
        Err(mistakes) => {
            refuse(path, &mistakes, as_json)?;
            Ok(None)
        }
    }
}

fn refuse(path: &Path, mistakes: &[Mistake], as_json: bool) -> Outcome<()> {
    if as_json {
        let answer = json!({ "ok": false, "mistakes": mistakes });
        writeln!(io::stdout().lock(), "{answer}")?;
    } else {
        show::mistakes(&mut io::stderr().lock(), path, mistakes)?;
    }
    Ok(())
}
