//! The core for servers that hold profiles themselves, with its JavaScript in one module.

use std::path::PathBuf;
use std::process::Command;

use super::{compile_with, wasm};
use crate::error::{Error, Result};
use crate::{files, paths, step, tools};

const PACKAGE: &str = "selvedge-evaluator";
const PROFILE: &str = "wasm-evaluator";
/// A fresh process compiles each function when it is first called: less is copied into others.
const FLAGS: [&str; 1] = ["-Cllvm-args=-inline-threshold=25"];
/// The first keeps functions that are called from one place by themselves.
const PASSES: [&str; 4] =
    ["--one-caller-inline-max-function-size=200", "-O3", "--strip-debug", "--strip-producers"];
/// What callers import, and what they start.
const ENTRIES: [&str; 2] = ["js/evaluator/evaluator.ts", "js/evaluator/prepare.mjs"];
const PARTS: [&str; 2] = ["js/evaluator/open.ts", "js/evaluator/pack.ts"];

pub fn folder() -> PathBuf {
    paths::build().join("evaluator")
}

pub fn build() -> Result<()> {
    tools::npm_packages()?;
    compile_with(PACKAGE, PROFILE, &FLAGS)?;
    let raw = paths::raw_wasm(PACKAGE, PROFILE);
    let folder = folder();
    let mut source = Vec::new();
    for name in ENTRIES.iter().chain(&PARTS) {
        source.extend(files::read(&paths::root().join(name))?);
    }
    let key = wasm::key(&files::read(&raw)?, &source)?;
    let stamp = folder.join(".stamp");
    if files::is_fresh(&stamp, &key) {
        return Ok(());
    }
    // No JavaScript object crosses, and a table for them takes nearly half a millisecond to make.
    let plain = paths::build().join("evaluator.plain.wasm");
    wasm::without_references(&raw, &plain)?;
    wasm::bind(&plain, "core", &folder, |bindgen| {
        bindgen.web(true).map_err(|error| Error::new(format!("{error:#}")))?;
        bindgen.typescript(false).omit_default_module_path(true).remove_name_section(true);
        Ok(())
    })?;
    let core = folder.join("core_bg.wasm");
    wasm::optimise("the evaluator's core", &core, &PASSES)?;
    wasm::say_build(&core)?;
    step::run(
        "bundle the evaluator",
        Command::new(tools::npm_binary("esbuild"))
            .current_dir(paths::root())
            .args(ENTRIES)
            .args(["--bundle", "--format=esm", "--target=es2022", "--external:node:*"])
            .args(["--legal-comments=none", "--log-level=warning", "--charset=utf8"])
            .args(["--out-extension:.js=.mjs", &format!("--outdir={}", folder.display())]),
    )?;
    files::write_if_changed(&stamp, key.as_bytes())
}
