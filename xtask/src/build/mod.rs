//! `cargo xtask build`: what runs in the browser and at the edge, and the native programs. What
//! is up to date is left alone.

mod evaluator;
mod page;
mod replay;
mod tag;
mod wasm;
mod worker;

use std::fs::File;
use std::process::Command;

use crate::error::{Context, Error, Result};
use crate::{files, paths, step, tools};

pub use page::{glue, manifest, signals};

/// Builds one part and what it needs.
pub fn run(what: &str) -> Result<()> {
    let _lock = lock()?;
    match what {
        "page" => page::build(),
        "tag" => page::build().and_then(|()| tag::build()),
        "worker" => edge(),
        "replay" => replay::build(),
        "evaluator" => evaluator::build(),
        "central" => native(&["selvedge-central"]),
        "cli" => native(&["selvedge-cli"]),
        "all" => edge().and_then(|()| native(&["selvedge-central", "selvedge-cli"])),
        other => Err(Error::new(format!(
            "there is no part `{other}` to build; the parts are page, tag, worker, replay, \
             evaluator, central, cli, all"
        ))),
    }
}

/// The worker carries the page's files, so they come first.
fn edge() -> Result<()> {
    page::build()?;
    tag::build()?;
    worker::build()
}

fn native(packages: &[&str]) -> Result<()> {
    let mut command = cargo();
    command.arg("build");
    for package in packages {
        command.args(["--package", package]);
    }
    step::run(&format!("build {}", packages.join(" and ")), &mut command)
}

/// Cargo as this program was started by it.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(paths::root());
    command
}

/// Two builds at a time would write over each other.
fn lock() -> Result<File> {
    files::make_folder(&paths::build())?;
    let path = paths::build().join(".lock");
    let file = File::create(&path).doing(|| format!("cannot write `{}`", paths::shown(&path)))?;
    if file.try_lock().is_err() {
        step::work("wait for another build to end", || {
            file.lock().doing(|| "cannot lock the build folder".into())
        })?;
    }
    Ok(file)
}

/// Compiles one crate to Wasm.
fn compile(package: &str, profile: &str) -> Result<()> {
    compile_with(package, profile, &[])
}

/// The same, with flags for the compiler's last step, which optimises all crates as one.
fn compile_with(package: &str, profile: &str, flags: &[&str]) -> Result<()> {
    tools::wasm_target()?;
    step::run(
        &format!("compile {package} to Wasm"),
        cargo()
            .args(["rustc", "--package", package, "--profile", profile])
            .args(["--target", "wasm32-unknown-unknown", "--lib", "--"])
            .args(flags),
    )
}
