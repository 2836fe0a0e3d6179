//! What a browser loads: the core as Wasm under a name made of its content, and the manifest that
//! the tag's bundle and the worker's build script read.

use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{compile_with, wasm};
use crate::error::{Context, Error, Result};
use crate::{files, paths, step};

const PACKAGE: &str = "selvedge-page";
const PROFILE: &str = "wasm";
/// Digits of the hash in the file name: 64 bits, far beyond chance.
const NAME_DIGITS: usize = 16;

/// Found by trying which compress best: structured anew, made small twice, and functions that are
/// called often under short numbers. The first leaves functions that are called once where they are;
/// the second says that nothing lies below address 1,024, where only the far end of the stack is, so
/// that small offsets go into the accesses themselves.
const PASSES: [&str; 15] = [
    "--one-caller-inline-max-function-size=0",
    "--low-memory-unused",
    "--flatten",
    "--rereloop",
    "-Os",
    "-Oz",
    "--coalesce-locals-learning",
    "--vacuum",
    "--optimize-instructions",
    "--merge-blocks",
    "--reorder-locals",
    "--reorder-functions",
    "--strip-debug",
    "--strip-producers",
    "--strip-target-features",
];

/// What the compiler leaves out, since it takes more code than it saves: loops rewritten for
/// addresses that count up, values computed early on one way to save them on another, and memory
/// kept in variables for the length of a loop. It inlines a little more than it would for size,
/// which leaves less to pass around; and with half of the usual stack, addresses of what lies behind
/// it take a byte less each. Conditions nest no deeper than 180 KB of it.
const FLAGS: [&str; 6] = [
    "-Cllvm-args=-disable-lsr",
    "-Cllvm-args=-enable-pre=false",
    "-Cllvm-args=-disable-licm-promotion",
    "-Cllvm-args=-inline-threshold=10",
    "-Cllvm-args=-inline-instr-cost=2",
    "-Clink-arg=-zstack-size=524288",
];

/// What `js/src/core.ts` calls. The bindings export two globals more, for exceptions that a page
/// does not have.
const EXPORTS: [&str; 5] = ["memory", "room", "load", "set_slice", "decide"];

/// `build/page/manifest.json`.
pub struct Manifest {
    /// The file name of the core, `<hash>.wasm`.
    pub wasm: String,
    /// Its subresource integrity, `sha256-...`.
    pub integrity: String,
}

pub fn folder() -> PathBuf {
    paths::build().join("page")
}

/// The bindings, which the tag bundles. What the core exports takes and gives numbers alone, so
/// they are written by hand.
pub fn glue() -> PathBuf {
    paths::root().join("js/src/core.ts")
}

fn read_manifest() -> Result<Value> {
    let path = folder().join("manifest.json");
    let text = files::read_text(&path)?;
    serde_json::from_str(&text).doing(|| format!("cannot parse `{}`", paths::shown(&path)))
}

pub fn manifest() -> Result<Manifest> {
    let value = read_manifest()?;
    let field = |name: &str| {
        value.get(name).and_then(Value::as_str).map(str::to_owned).ok_or_else(|| {
            Error::new(format!(
                "the page's manifest has no `{name}`; delete `build/` and try again"
            ))
        })
    };
    Ok(Manifest { wasm: field("wasm")?, integrity: field("integrity")? })
}

/// The file that hears consent platforms.
pub fn signals() -> Result<PathBuf> {
    let manifest = read_manifest()?;
    let name = manifest["signals"].as_str().ok_or_else(|| {
        Error::new("the page's manifest has no `signals`; delete `build/` and try again")
    })?;
    Ok(folder().join(name))
}

pub fn integrity(bytes: &[u8]) -> String {
    format!("sha256-{}", STANDARD.encode(files::sha256(bytes)))
}

/// Adds the tag to the manifest, once it is bundled.
pub fn record_tag(bytes: &[u8]) -> Result<()> {
    let mut manifest = read_manifest()?;
    manifest["tag"] = "tag.js".into();
    manifest["tagIntegrity"] = integrity(bytes).into();
    write_manifest(&manifest)
}

/// Lays out what hears consent platforms, under a name made of its content; gives the name.
pub fn lay_out_signals(bytes: &[u8]) -> Result<String> {
    let digits: String = files::hex(&files::sha256(bytes)).chars().take(NAME_DIGITS).collect();
    let name = format!("{digits}.js");
    let mut manifest = read_manifest()?;
    // Only the newest is served; an older one would only be confusing.
    if let Some(old) = manifest["signals"].as_str().filter(|old| *old != name) {
        let _ = std::fs::remove_file(folder().join(old));
    }
    files::write_if_changed(&folder().join(&name), bytes)?;
    manifest["signals"] = name.clone().into();
    write_manifest(&manifest)?;
    Ok(name)
}

fn write_manifest(manifest: &Value) -> Result<()> {
    let text = format!("{manifest:#}\n");
    files::write_if_changed(&folder().join("manifest.json"), text.as_bytes())
}

pub fn build() -> Result<()> {
    compile_with(PACKAGE, PROFILE, &FLAGS)?;
    let raw = paths::raw_wasm(PACKAGE, PROFILE);
    let folder = folder();
    let key = wasm::key(&files::read(&raw)?, b"page")?;
    let stamp = folder.join(".stamp");
    if files::is_fresh(&stamp, &key) {
        return Ok(());
    }
    let staged = paths::build().join("page.new");
    let plain = paths::build().join("page.plain.wasm");
    wasm::without_references(&raw, &plain)?;
    wasm::bind(&plain, "core", &staged, |bindgen| {
        bindgen.bundler(true).map_err(|error| Error::new(format!("{error:#}")))?;
        bindgen.typescript(false);
        Ok(())
    })?;
    let bound = staged.join("core_bg.wasm");
    wasm::keep_exports("the page's core", &bound, &EXPORTS)?;
    wasm::optimise("the page's core", &bound, &PASSES)?;
    let bytes = files::read(&bound)?;
    let digits: String = files::hex(&files::sha256(&bytes)).chars().take(NAME_DIGITS).collect();
    let name = format!("{digits}.wasm");
    files::remove_folder(&folder)?;
    files::make_folder(&folder)?;
    step::work("lay out the page's files", || {
        files::write_if_changed(&folder.join(&name), &bytes)?;
        let manifest = json!({ "wasm": name, "integrity": integrity(&bytes) });
        write_manifest(&manifest)?;
        files::remove_folder(&staged)
    })?;
    files::write_if_changed(&stamp, key.as_bytes())
}
