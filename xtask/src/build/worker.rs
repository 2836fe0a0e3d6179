//! The worker for workerd: its Wasm, the bindings, and the shim that brings a panicked instance
//! back, in one module beside one Wasm file.

use std::path::PathBuf;
use std::process::Command;

use super::{compile, wasm};
use crate::error::{Error, Result};
use crate::{files, paths, step, tools};

const PACKAGE: &str = "selvedge-worker";
const PROFILE: &str = "wasm-server";

/// The bindings catch JavaScript's exceptions inside Wasm; browsers' older engines cannot, so only
/// the worker may use them. The compiler has inlined already: to do it again takes longer than all
/// other passes, for a hundredth of a call's time and no smaller file.
const PASSES: [&str; 3] = ["-Os", "--skip-pass=inlining-optimizing", "--enable-exception-handling"];

pub fn folder() -> PathBuf {
    paths::build().join("worker")
}

pub fn build() -> Result<()> {
    compile(PACKAGE, PROFILE)?;
    let raw = paths::raw_wasm(PACKAGE, PROFILE);
    let shim = files::read(&paths::root().join("worker/shim.mjs"))?;
    let key = wasm::key(&files::read(&raw)?, &shim)?;
    let stamp = folder().join(".stamp");
    if files::is_fresh(&stamp, &key) {
        return Ok(());
    }
    let staged = paths::build().join("worker.new");
    wasm::bind(&raw, "core", &staged, |bindgen| {
        bindgen.module(true).map_err(|error| Error::new(format!("{error:#}")))?;
        // The first function gives the module a fresh instance; the second tells it that a
        // panic, which aborts in Wasm, has made it need one.
        bindgen.typescript(false).reset_state_function(true).force_enable_abort_handler(true);
        Ok(())
    })?;
    wasm::optimise("the worker", &staged.join("core_bg.wasm"), &PASSES)?;
    files::write_if_changed(&staged.join("shim.mjs"), &shim)?;
    bundle(&staged)?;
    let finished = folder();
    files::make_folder(&finished)?;
    for file in ["core_bg.wasm", "index.js"] {
        files::write_if_changed(&finished.join(file), &files::read(&staged.join(file))?)?;
    }
    files::remove_folder(&staged)?;
    files::write_if_changed(&stamp, key.as_bytes())
}

fn bundle(staged: &PathBuf) -> Result<()> {
    tools::npm_packages()?;
    let glue = staged.join("core.js");
    // Source-phase imports are younger than workerd's; there, a plain import of a Wasm file is
    // already the compiled module.
    let text = files::read_text(&glue)?.replace("import source ", "import ");
    files::write_if_changed(&glue, text.as_bytes())?;
    step::run(
        "bundle the worker",
        Command::new(tools::npm_binary("esbuild"))
            .current_dir(staged)
            .args(["shim.mjs", "--bundle", "--minify-syntax", "--minify-whitespace"])
            .args(["--format=esm", "--target=es2022", "--legal-comments=none"])
            .args(["--external:./core_bg.wasm", "--external:cloudflare:*"])
            .args(["--log-level=warning", "--outfile=index.js"]),
    )
}
