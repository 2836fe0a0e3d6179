//! The tag: `js/src/tag.ts` and the core's bindings in one script, the stub that pages carry inline,
//! and what hears the consent platforms of the pages that have one. It never reads the core's Wasm, only its name and hash.

use std::process::Command;

use super::page;
use crate::error::Result;
use crate::{files, paths, step, tools};

/// Until the tag's source is there, pages get this.
const STAND_IN: &[u8] = b"/* the tag has not been written yet */\n";

pub fn build() -> Result<()> {
    let entry = paths::root().join("js/src/tag.ts");
    let out = page::folder().join("tag.js");
    if !entry.is_file() {
        files::write_if_changed(&out, STAND_IN)?;
        return page::record_tag(STAND_IN);
    }
    tools::npm_packages()?;
    let manifest = page::manifest()?;
    let stub = bundle("the stub", "js/src/stub.ts", &[])?;
    files::write_if_changed(&page::folder().join("stub.js"), &stub)?;
    let signals =
        bundle("what hears consent platforms", "js/src/signals.ts", &["--format=esm".into()])?;
    let name = page::lay_out_signals(&signals)?;
    let bytes = bundle(
        "the tag",
        "js/src/tag.ts",
        &[
            format!("--define:SELVEDGE_WASM={:?}", manifest.wasm),
            format!("--define:SELVEDGE_WASM_INTEGRITY={:?}", manifest.integrity),
            format!("--define:SELVEDGE_SIGNALS={name:?}"),
            format!("--define:SELVEDGE_SIGNALS_INTEGRITY={:?}", page::integrity(&signals)),
        ],
    )?;
    files::write_if_changed(&out, &bytes)?;
    page::record_tag(&bytes)
}

fn bundle(label: &str, entry: &str, more: &[String]) -> Result<Vec<u8>> {
    let staged = paths::build().join("tag.new.js");
    step::run(
        &format!("bundle {label}"),
        Command::new(tools::npm_binary("esbuild"))
            .current_dir(paths::root())
            .arg(entry)
            .args(["--bundle", "--minify", "--format=iife", "--target=es2020"])
            .args(["--legal-comments=none", "--log-level=warning", "--charset=utf8"])
            .args(more)
            .arg(format!("--outfile={}", staged.display())),
    )?;
    files::read(&staged)
}
