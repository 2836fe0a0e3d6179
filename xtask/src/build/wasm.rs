//! From cargo's Wasm to Wasm with its JavaScript bindings, optimised. It knows neither the page
//! nor the worker.

use std::path::Path;

use serde_json::{Value, json};
use wasm_bindgen_cli_support::Bindgen;

use crate::error::{Context, Result};
use crate::{files, paths, step, tools};

/// What rustc emits for this target by default, and nothing that a runtime may not have yet:
/// `--all-features` would let the optimiser use encodings that workerd cannot read.
const FEATURES: [&str; 6] = [
    "--enable-bulk-memory",
    "--enable-multivalue",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-sign-ext",
];

/// Raised when the steps below change, so that old results are not taken for fresh.
const RECIPE: &str = "7";

/// What the result depends on: the Wasm, the recipe and the packages of npm.
pub fn key(raw: &[u8], more: &[u8]) -> Result<String> {
    let lock = files::read(&paths::root().join("package-lock.json"))?;
    let parts = [raw, RECIPE.as_bytes(), &lock, more].map(files::sha256).concat();
    Ok(files::hex(&files::sha256(&parts)))
}

/// Copies Wasm as one that must not refer to JavaScript's objects: else its bindings get a table for
/// them, and the functions to tend it.
pub fn without_references(from: &Path, to: &Path) -> Result<()> {
    const USED: &[u8] = b"+\x0freference-types";
    let mut bytes = files::read(from)?;
    let places = bytes.windows(USED.len()).rposition(|name| name == USED);
    // In the list of features, which stands at the end, `-` is for what is not allowed.
    if let Some(used) = places.and_then(|at| bytes.get_mut(at)) {
        *used = b'-';
    }
    files::write_if_changed(to, &bytes)
}

/// Writes `<name>.js` and `<name>_bg.wasm` into `folder`.
pub fn bind(
    raw: &Path,
    name: &str,
    folder: &Path,
    settings: impl FnOnce(&mut Bindgen) -> Result<()>,
) -> Result<()> {
    files::remove_folder(folder)?;
    files::make_folder(folder)?;
    let mut bindgen = Bindgen::new();
    bindgen.input_path(raw).out_name(name).remove_producers_section(true);
    settings(&mut bindgen)?;
    step::work(&format!("bind {name} to JavaScript"), || {
        bindgen
            .generate(folder)
            .map_err(|error| format!("{error:#}"))
            .doing(|| format!("cannot bind `{}` to JavaScript", paths::shown(raw)))
    })
}

/// Takes out all exports but these, in place, and what only they need.
pub fn keep_exports(label: &str, file: &Path, exports: &[&str]) -> Result<()> {
    let kept = exports.iter().map(|name| json!({ "name": name, "export": name, "root": true }));
    let graph = file.with_extension("exports.json");
    files::write_if_changed(&graph, Value::from_iter(kept).to_string().as_bytes())?;
    step::run(
        &format!("keep what is called of {label}"),
        tools::npm_command("wasm-metadce")?
            .args(FEATURES)
            .arg(file)
            .arg("--graph-file")
            .arg(&graph)
            .arg("-o")
            .arg(file),
    )
}

/// Optimises a Wasm file in place, by the passes given.
pub fn optimise(label: &str, file: &Path, passes: &[&str]) -> Result<()> {
    step::run(
        &format!("optimise {label}"),
        tools::npm_command("wasm-opt")?.args(FEATURES).args(passes).arg(file).arg("-o").arg(file),
    )
}

/// Ends a Wasm file with a section that says which build it is, for what holds for this one alone.
pub fn say_build(file: &Path) -> Result<()> {
    /// A custom section of 70 bytes, whose name has five.
    const HEAD: &[u8] = b"\x00\x46\x05build";
    let mut bytes = files::read(file)?;
    let build = files::hex(&files::sha256(&bytes));
    bytes.extend(HEAD);
    bytes.extend(build.as_bytes());
    files::write_if_changed(file, &bytes)
}
