//! The tools from outside: Rust's wasm target, Node and npm's packages, Chromium. Each is looked
//! for once, and what is missing is one sentence. It never installs anything outside the
//! checkout but the wasm target (and, as root on Debian, Chromium for the tests and wrk for a
//! benchmark).

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::error::{Error, Result};
use crate::{files, paths, step};

const WASM_TARGET: &str = "wasm32-unknown-unknown";
/// npm and the packages' own scripts need this one.
const NODE_MAJOR: u32 = 20;
/// wrangler and Miniflare need this one; npm brings it where the machine's is older.
const RUNTIME_NODE: (u32, u32) = (22, 12);

/// What `command` prints in one line, if it can be run at all.
fn ask(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

fn version_of(node: &Path) -> Option<(u32, u32)> {
    let text = ask(Command::new(node).arg("--version"))?;
    let mut parts = text.trim_start_matches('v').split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// Adds the wasm target: naming it in rust-toolchain.toml does not help a toolchain that is
/// already there.
pub fn wasm_target() -> Result<()> {
    static DONE: OnceLock<Result<(), String>> = OnceLock::new();
    DONE.get_or_init(|| find_wasm_target().map_err(|error| error.to_string()))
        .clone()
        .map_err(Error::new)
}

fn find_wasm_target() -> Result<()> {
    let folder = ask(Command::new("rustc").current_dir(paths::root()).args([
        "--print",
        "target-libdir",
        "--target",
        WASM_TARGET,
    ]));
    if folder.is_some_and(|folder| Path::new(&folder).is_dir()) {
        return Ok(());
    }
    if ask(Command::new("rustup").arg("--version")).is_none() {
        return Err(Error::new(format!(
            "the Rust target {WASM_TARGET} is missing and there is no rustup to add it; \
             install Rust with rustup (https://rustup.rs)"
        )));
    }
    step::run(
        "add the wasm target to Rust",
        Command::new("rustup").current_dir(paths::root()).args(["target", "add", WASM_TARGET]),
    )
}

/// Installs npm's packages, unless the lock file's own were installed already.
pub fn npm_packages() -> Result<()> {
    let root = paths::root();
    let lock = files::read(&root.join("package-lock.json"))?;
    let key = files::hex(&files::sha256(&lock));
    let stamp = root.join("node_modules/.selvedge-lock");
    if files::is_fresh(&stamp, &key) {
        return Ok(());
    }
    match version_of(Path::new("node")) {
        None => {
            return Err(Error::new(format!(
                "Node is missing; install Node {NODE_MAJOR} or newer (https://nodejs.org)"
            )));
        }
        Some((major, minor)) if major < NODE_MAJOR => {
            return Err(Error::new(format!(
                "Node {major}.{minor} is too old; install Node {NODE_MAJOR} or newer \
                 (https://nodejs.org)"
            )));
        }
        Some(_) => {}
    }
    if ask(Command::new("npm").arg("--version")).is_none() {
        return Err(Error::new(
            "npm is missing; install it (it comes with Node from https://nodejs.org, or as \
             Debian's package `npm`)",
        ));
    }
    step::run(
        "install the packages of npm",
        Command::new("npm").current_dir(&root).args(["ci", "--no-audit", "--no-fund"]),
    )?;
    files::write_if_changed(&stamp, key.as_bytes())
}

/// The Node that runs wrangler, Miniflare, the shop and the tests.
pub fn node() -> Result<PathBuf> {
    npm_packages()?;
    let own = npm_binary("node");
    if version_of(&own).is_some() {
        return Ok(own);
    }
    match version_of(Path::new("node")) {
        Some(version) if version >= RUNTIME_NODE => Ok(PathBuf::from("node")),
        _ => Err(Error::new(format!(
            "npm has no Node {} for this machine; install Node {}.{} or newer yourself",
            RUNTIME_NODE.0, RUNTIME_NODE.0, RUNTIME_NODE.1
        ))),
    }
}

/// A program of an npm package.
pub fn npm_binary(name: &str) -> PathBuf {
    paths::root().join("node_modules/.bin").join(name)
}

/// `node` with the checkout as its folder and a quiet, offline wrangler.
pub fn node_command() -> Result<Command> {
    let mut command = Command::new(node()?);
    command
        .current_dir(paths::root())
        .env("CI", "1")
        .env("WRANGLER_SEND_METRICS", "false")
        .env("NO_COLOR", "1");
    Ok(command)
}

/// A JavaScript program of an npm package, run by the Node that we chose.
pub fn npm_command(name: &str) -> Result<Command> {
    let mut command = node_command()?;
    command.arg(npm_binary(name));
    Ok(command)
}

/// Where the machine's Chromium is: `CHROMIUM` if set, else the usual names.
pub fn chromium() -> Option<PathBuf> {
    if let Some(given) = env::var_os("CHROMIUM") {
        let given = PathBuf::from(given);
        return given.is_file().then_some(given);
    }
    let folders = env::var_os("PATH").unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome"];
    env::split_paths(&folders)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|path| path.is_file())
}

/// Chromium, installed from Debian first where that is allowed.
pub fn need_chromium() -> Result<PathBuf> {
    if let Some(found) = chromium() {
        return Ok(found);
    }
    let missing = "Chromium is missing, which the browser tests and the story need";
    from_debian("chromium", &format!("{missing}; or name it in `CHROMIUM`"))?;
    chromium().ok_or_else(|| Error::new(format!("{missing}, even after installing it")))
}

/// wrk, which loads the edge in its benchmark, installed from Debian first where that is allowed.
pub fn need_wrk() -> Result<()> {
    // Asked for its version it prints it and ends with 1.
    let found = || Command::new("wrk").arg("--version").stdout(Stdio::null()).status().is_ok();
    if found() {
        return Ok(());
    }
    let missing = "wrk is missing, which the benchmark of the edge loads it with";
    from_debian("wrk", missing)?;
    if found() { Ok(()) } else { Err(Error::new(format!("{missing}, even after installing it"))) }
}

/// Installs one of Debian's packages, as root on Debian; else says what is missing.
fn from_debian(package: &str, missing: &str) -> Result<()> {
    let is_root = ask(Command::new("id").arg("-u")).as_deref() == Some("0");
    if !is_root || ask(Command::new("apt-get").arg("--version")).is_none() {
        return Err(Error::new(format!("{missing}; install it (Debian's package `{package}`)")));
    }
    let apt = |words: &[&str]| {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").args(words);
        command
    };
    step::run("refresh Debian's package list", &mut apt(&["update", "-q"]))?;
    step::run(
        &format!("install {package} from Debian"),
        &mut apt(&["install", "-q", "-y", "--no-install-recommends", package]),
    )
}
