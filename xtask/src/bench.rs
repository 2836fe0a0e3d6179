//! `cargo xtask bench`: runs a benchmark of `benches/`. It measures nothing itself.

use std::process::ExitCode;

use crate::error::{Error, Result};
use crate::{build, paths, process, tools};

pub fn run(words: &[&str]) -> Result<ExitCode> {
    let known = benches();
    let [name, options @ ..] = words else {
        match known.as_slice() {
            [] => println!("there are no benchmarks yet"),
            names => println!("{}", names.join("\n")),
        }
        return Ok(ExitCode::SUCCESS);
    };
    if !known.iter().any(|one| one == name) {
        let known = if known.is_empty() { "none yet".into() } else { known.join(", ") };
        return Err(Error::new(format!("there is no benchmark `{name}`; there are: {known}")));
    }
    build::run("all")?;
    let mut command = tools::node_command()?;
    command.arg(format!("benches/{name}.mjs")).args(options);
    let finished = process::run(&mut command, |line| {
        if let Some(line) = line {
            println!("{line}");
        }
    })?;
    Ok(if finished.status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Each is a program of Node, `benches/<name>.mjs`.
fn benches() -> Vec<String> {
    let entries = std::fs::read_dir(paths::root().join("benches"));
    let names = entries.into_iter().flatten().flatten().map(|entry| entry.file_name());
    let mut names: Vec<String> =
        names.filter_map(|name| name.to_str()?.strip_suffix(".mjs").map(str::to_owned)).collect();
    names.sort();
    names
}
