//! The core with its replay, for the tests that run one trace on every host. It is built as the
//! page's core is, and no visitor ever loads it.

use std::path::PathBuf;

use super::{compile, wasm};
use crate::error::{Error, Result};
use crate::{files, paths};

const PACKAGE: &str = "selvedge-replay";
const PROFILE: &str = "wasm";

pub fn folder() -> PathBuf {
    paths::build().join("replay")
}

pub fn build() -> Result<()> {
    compile(PACKAGE, PROFILE)?;
    let raw = paths::raw_wasm(PACKAGE, PROFILE);
    let folder = folder();
    let key = wasm::key(&files::read(&raw)?, b"replay")?;
    let stamp = folder.join(".stamp");
    if files::is_fresh(&stamp, &key) {
        return Ok(());
    }
    wasm::bind(&raw, "core", &folder, |bindgen| {
        bindgen.web(true).map_err(|error| Error::new(format!("{error:#}")))?;
        bindgen.typescript(false).omit_default_module_path(true);
        Ok(())
    })?;
    wasm::optimise("the replay's core", &folder.join("core_bg.wasm"), &["-Oz"])?;
    files::write_if_changed(&stamp, key.as_bytes())
}
