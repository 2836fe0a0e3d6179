//! Small file work with errors that name the file. It knows no step.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::error::{Context, Result};
use crate::paths::shown;

pub fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).doing(|| format!("cannot read `{}`", shown(path)))
}

pub fn read_text(path: &Path) -> Result<String> {
    fs::read_to_string(path).doing(|| format!("cannot read `{}`", shown(path)))
}

pub fn make_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).doing(|| format!("cannot create the folder `{}`", shown(path)))
}

pub fn remove_folder(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(reason) if reason.kind() != std::io::ErrorKind::NotFound => {
            Err(reason).doing(|| format!("cannot delete `{}`", shown(path)))
        }
        _ => Ok(()),
    }
}

/// Leaves an equal file alone, so that cargo and esbuild see no change where there is none.
pub fn write_if_changed(path: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    fs::write(path, bytes).doing(|| format!("cannot write `{}`", shown(path)))
}

/// A file that only its owner may read, put in place whole.
pub fn write_secret(path: &Path, bytes: &[u8]) -> Result<()> {
    let staged = path.with_extension("new");
    let write = || -> std::io::Result<()> {
        let _ = fs::remove_file(&staged);
        let mut file: File =
            File::options().write(true).create_new(true).mode(0o600).open(&staged)?;
        file.write_all(bytes)?;
        fs::rename(&staged, path)
    };
    write().doing(|| format!("cannot write `{}`", shown(path)))
}

pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether the work behind `stamp` was done for this very `key`.
pub fn is_fresh(stamp: &Path, key: &str) -> bool {
    fs::read_to_string(stamp).is_ok_and(|old| old == key)
}
