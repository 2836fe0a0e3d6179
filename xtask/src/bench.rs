//! `cargo xtask bench`: runs a benchmark of `benches/`. It measures nothing itself.

use std::process::{Command, ExitCode};

use crate::error::{Error, Result};
use crate::{build, files, paths, process, step, tools};

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
    match *name {
        "edge" => {
            build::run("worker")?;
            tools::need_wrk()?;
        }
        _ => {
            build::run("evaluator")?;
            // Publishing is timed too, so the compiler is built as it ships.
            step::run(
                "build selvedge-cli for release",
                build::cargo().args(["build", "--release", "--package", "selvedge-cli"]),
            )?;
            peers()?;
        }
    }
    let mut command = tools::node_command()?;
    command.arg(format!("benches/{name}.mjs")).args(options);
    let finished = process::run(&mut command, |line| {
        if let Some(line) = line {
            println!("{line}");
        }
    })?;
    Ok(if finished.status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

const BENCHES: [&str; 2] = ["decide", "edge"];

/// Installs the packages that are measured beside ours. Nothing but benchmarks needs them.
fn peers() -> Result<()> {
    let folder = paths::root().join("benches");
    let key = files::hex(&files::sha256(&files::read(&folder.join("package-lock.json"))?));
    let stamp = folder.join("node_modules/.selvedge-lock");
    if files::is_fresh(&stamp, &key) {
        return Ok(());
    }
    step::run("install the peers", Command::new("npm").current_dir(&folder).arg("ci"))?;
    files::write_if_changed(&stamp, key.as_bytes())
}

/// Each is a program of Node, `benches/<name>.mjs`.
fn benches() -> Vec<String> {
    let entries = std::fs::read_dir(paths::root().join("benches"));
    let names = entries.into_iter().flatten().flatten().map(|entry| entry.file_name());
    let known = names.filter_map(|name| name.to_str()?.strip_suffix(".mjs").map(str::to_owned));
    // What stands beside them are their parts.
    known.filter(|name| BENCHES.contains(&name.as_str())).collect()
}
