//! Where things lie in the checkout. It never creates or deletes anything.

use std::env;
use std::path::{Path, PathBuf};

/// The folder that holds the workspace's `Cargo.toml`.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

pub fn target() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => root().join(folder),
        None => root().join("target"),
    }
}

/// What the build makes for browsers and for workerd.
pub fn build() -> PathBuf {
    root().join("build")
}

/// Logs of steps and of the runs of tests.
pub fn logs() -> PathBuf {
    target().join("xtask")
}

/// The Wasm that cargo made of a crate with a profile, before any binding.
pub fn raw_wasm(crate_name: &str, profile: &str) -> PathBuf {
    let file = format!("{}.wasm", crate_name.replace('-', "_"));
    target().join("wasm32-unknown-unknown").join(profile).join(file)
}

/// A native program of this workspace, built with the dev profile.
pub fn binary(name: &str) -> PathBuf {
    target().join("debug").join(name)
}

/// `path` as a reader of the checkout would write it.
pub fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}
