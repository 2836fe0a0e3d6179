//! `cargo xtask ci`: what a change must pass: form, lints, licences, layers, budgets, then every
//! test. `.ci/run` calls it; it runs the same way on anybody's machine.

mod layers;
mod licences;

use std::process::{Command, ExitCode};

use crate::build::cargo;
use crate::error::Result;
use crate::{build, paths, size, step, test, tools};

pub fn run() -> Result<ExitCode> {
    components()?;
    tools::npm_packages()?;
    step::run(
        "check Rust's formatting",
        cargo().args(["fmt", "--all", "--check", "--", "--color=never"]),
    )?;
    step::run(
        "check JavaScript's form and lints",
        &mut biome(&["ci", "--error-on-warnings", "--colors=off"]),
    )?;
    licences::check()?;
    licences::advisories()?;
    layers::check()?;
    // The worker's build script takes the page's files, so the lints see the real ones.
    build::run("worker")?;
    if paths::root().join("js/src/tag.ts").is_file() {
        step::run("check TypeScript's types", tools::npm_command("tsc")?.arg("--noEmit"))?;
    }
    clippy("lint every crate", &["--workspace", "--all-targets", "--all-features"])?;
    // Apart: a build of both would give the page the standard library that the worker has.
    for package in ["selvedge-page", "selvedge-worker"] {
        clippy(
            &format!("lint {package} for Wasm"),
            &["--package=selvedge", "--package", package, "--target=wasm32-unknown-unknown"],
        )?;
    }
    size::run(true)?;
    test::run(&[])
}

/// `biome` with the words given, over the whole checkout.
pub fn biome(words: &[&str]) -> Command {
    let mut command = Command::new(tools::npm_binary("biome"));
    command.current_dir(paths::root()).args(words);
    command
}

fn clippy(label: &str, words: &[&str]) -> Result<()> {
    step::run(label, cargo().arg("clippy").args(words).args(["--", "--deny", "warnings"]))
}

/// Naming the components in rust-toolchain.toml does not help a toolchain that is already there.
fn components() -> Result<()> {
    for (component, word) in [("rustfmt", "fmt"), ("clippy", "clippy")] {
        let here = cargo().args([word, "--version"]).output();
        if !here.is_ok_and(|output| output.status.success()) {
            step::run(
                &format!("add {component} to Rust"),
                Command::new("rustup").current_dir(paths::root()).args([
                    "component",
                    "add",
                    component,
                ]),
            )?;
        }
    }
    Ok(())
}
