//! `cargo xtask demo`: every part of the story on this machine, and the end of each of them with
//! the end of the command. It decides nothing: it starts, waits, fills and prints.

mod keys;
mod parts;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::error::{Context, Error, Result};
use crate::process::{self, Part};
use crate::{build, files, http, paths, step, tools};

use keys::Keys;

pub const TENANT: &str = "shop";
const PORT: u16 = 8787;
const WORKSPACE: &str = "examples/shop/workspace.json";

pub struct Options {
    /// Where everything that the demo remembers lies.
    pub state: PathBuf,
    /// The edge's port; the central store and the shop take the two after it.
    pub port: u16,
    pub fresh: bool,
    pub story: bool,
}

impl Options {
    pub fn parse(words: &[&str]) -> Result<Self> {
        let mut options = Options { state: PathBuf::new(), port: PORT, fresh: false, story: false };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().copied().unwrap_or_default();
            match *word {
                "--fresh" => options.fresh = true,
                "--story" => options.story = true,
                "--state" => options.state = paths::root().join(value()),
                "--port" => options.port = port(value())?,
                other => match other.strip_prefix("--port=") {
                    Some(text) => options.port = port(text)?,
                    None => {
                        return Err(Error::new(format!(
                            "the demo knows no `{other}`; it takes --fresh, --port N, --state \
                             FOLDER and --story"
                        )));
                    }
                },
            }
        }
        // The story ends with the erasure of its heroine, who never returns: each telling begins
        // anew, in a folder of its own, and leaves the demo that somebody lives with alone.
        options.fresh |= options.story;
        if options.state.as_os_str().is_empty() {
            let name = if options.story { ".selvedge/story" } else { ".selvedge" };
            options.state = paths::root().join(name);
        }
        Ok(options)
    }
}

fn port(text: &str) -> Result<u16> {
    match text.parse() {
        Ok(port) if (1024..=65_533).contains(&port) => Ok(port),
        _ => Err(Error::new(format!("`{text}` is not a port from 1024 to 65533"))),
    }
}

#[derive(Clone, Copy)]
pub struct Ports {
    pub edge: u16,
    pub central: u16,
    pub shop: u16,
}

impl Ports {
    fn from(first: u16) -> Self {
        Ports { edge: first, central: first.saturating_add(1), shop: first.saturating_add(2) }
    }

    pub fn edge_url(self) -> String {
        format!("http://127.0.0.1:{}", self.edge)
    }

    pub fn central_url(self) -> String {
        format!("http://127.0.0.1:{}", self.central)
    }

    pub fn shop_url(self) -> String {
        format!("http://127.0.0.1:{}", self.shop)
    }
}

/// A demo that answers; it ends when this is dropped.
pub struct Demo {
    parts: Vec<Part>,
    ports: Ports,
    /// What a script needs to talk to it.
    pub file: PathBuf,
    _lock: File,
}

impl Demo {
    pub fn start(options: &Options) -> Result<Self> {
        let ports = Ports::from(options.port);
        let state = &options.state;
        http::need_free(ports.edge, "edge")?;
        http::need_free(ports.central, "central store")?;
        http::need_free(ports.shop, "shop")?;
        let lock = lock(state)?;
        let file = state.join("demo.json");
        if options.fresh {
            empty(state)?;
        } else if file.is_file() {
            std::fs::remove_file(&file).doing(|| "cannot delete the last demo.json".into())?;
        }
        tools::npm_packages()?;
        build::run("all")?;
        let keys = keys::of(state)?;
        let mut demo = Demo { parts: Vec::new(), ports, file, _lock: lock };
        // All at once: each takes a second or more to begin.
        for start in [parts::central, parts::shop, parts::edge] {
            demo.parts.push(start(state, ports, &keys)?);
        }
        let asked = [(ports.central, "/healthz"), (ports.shop, "/"), (ports.edge, TAG)];
        for (part, (port, path)) in demo.parts.iter_mut().zip(asked) {
            http::wait(part, port, path, Duration::from_secs(60))?;
        }
        publish(state, ports, &keys)?;
        fill(state, ports, &keys)?;
        demo.describe(&keys)?;
        Ok(demo)
    }

    /// Written last: whoever sees the file may use what it names.
    fn describe(&self, keys: &Keys) -> Result<()> {
        let value = json!({
            "edgeUrl": self.ports.edge_url(),
            "centralUrl": self.ports.central_url(),
            "shopUrl": self.ports.shop_url(),
            "tenant": TENANT,
            "writeKey": keys.write_key,
            "adminKey": keys.admin_key,
            "centralKey": keys.central_key,
            "loginKey": keys.login_key,
            "loginKid": keys.login_kid(),
        });
        files::write_secret(&self.file, format!("{value:#}\n").as_bytes())
    }

    /// Returns when someone asks for the end, or with an error when a part ended by itself.
    fn watch(&mut self) -> Result<()> {
        while process::sleep(Duration::from_millis(300)) {
            for part in &mut self.parts {
                part.check()?;
            }
        }
        Ok(())
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.file);
        // The edge first, so that it does not see the others go.
        while let Some(mut part) = self.parts.pop() {
            part.stop();
        }
    }
}

/// Any path that the worker answers by itself would do; this one needs no key.
const TAG: &str = "/_selvedge/tag.js";

fn lock(state: &Path) -> Result<File> {
    files::make_folder(state)?;
    let path = state.join("lock");
    let file = File::create(&path).doing(|| format!("cannot write `{}`", paths::shown(&path)))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(_) => Err(Error::new(format!(
            "another demo runs with the state in `{}`; end it, or give this one --state and --port",
            paths::shown(state)
        ))),
    }
}

/// Deletes all that an earlier demo left, but the lock that we hold.
fn empty(state: &Path) -> Result<()> {
    let entries =
        std::fs::read_dir(state).doing(|| format!("cannot read `{}`", paths::shown(state)))?;
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            files::remove_folder(&path)?;
        } else if entry.file_name() != "lock" {
            std::fs::remove_file(&path)
                .doing(|| format!("cannot delete `{}`", paths::shown(&path)))?;
        }
    }
    Ok(())
}

/// The shop's workspace with this demo's login key in it.
fn publish(state: &Path, ports: Ports, keys: &Keys) -> Result<()> {
    let source = files::read_text(&paths::root().join(WORKSPACE))?;
    let login_keys = format!("\"loginKeys\": [{}]", keys.login_public());
    let path = state.join("workspace.json");
    files::write_if_changed(&path, source.replace("\"loginKeys\": []", &login_keys).as_bytes())?;
    step::run(
        "publish the shop's workspace",
        Command::new(paths::binary("selvedge"))
            .current_dir(paths::root())
            .arg("publish")
            .arg(&path)
            .env("SELVEDGE_EDGE", ports.edge_url())
            .env("SELVEDGE_ADMIN_KEY", &keys.admin_key),
    )
}

/// Imports the shop's people and purchases, once for this state and these files.
fn fill(state: &Path, ports: Ports, keys: &Keys) -> Result<()> {
    let shop = paths::root().join("examples/shop");
    let mut sources = vec![shop.join("fill.mjs")];
    if let Ok(entries) = std::fs::read_dir(shop.join("data")) {
        sources.extend(entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()));
    }
    sources.sort();
    let mut hashes = Vec::new();
    for source in sources {
        hashes.extend(files::sha256(&files::read(&source)?));
    }
    let key = files::hex(&files::sha256(&hashes));
    let stamp = state.join("filled");
    if files::is_fresh(&stamp, &key) {
        return Ok(());
    }
    step::run(
        "fill the central store with people and purchases",
        tools::node_command()?
            .arg("examples/shop/fill.mjs")
            .env("CENTRAL_URL", ports.central_url())
            .env("CENTRAL_KEY", &keys.central_key),
    )?;
    files::write_if_changed(&stamp, key.as_bytes())
}

pub fn run(options: &Options) -> Result<ExitCode> {
    let began = Instant::now();
    let chromium = if options.story { Some(tools::need_chromium()?) } else { None };
    let mut demo = Demo::start(options)?;
    if let Some(chromium) = chromium {
        return story(&demo, options, &chromium);
    }
    let edge = demo.ports.edge_url();
    let file = paths::shown(&demo.file);
    println!(
        "\nThe shop is open, {:.0} s after the start.\n\n\
         \x20 the shop         {edge}/\n\
         \x20 the call centre  {edge}/call-centre/\n\
         \x20 for scripts      {file}\n\n\
         Ctrl-C ends everything; --fresh begins anew.",
        began.elapsed().as_secs_f64(),
    );
    let watched = demo.watch();
    println!("\nending every part");
    watched.map(|()| ExitCode::SUCCESS)
}

/// Plays the seven steps in a headless browser.
fn story(demo: &Demo, options: &Options, chromium: &Path) -> Result<ExitCode> {
    let pictures = options.state.join("pictures");
    files::make_folder(&pictures)?;
    let mut command = tools::node_command()?;
    command
        .arg("tests/e2e/story.mjs")
        .env("SELVEDGE_DEMO", &demo.file)
        .env("SELVEDGE_PICTURES", &pictures)
        .env("SELVEDGE_BIN", paths::binary(""))
        .env("CHROMIUM", chromium);
    let finished = process::run(&mut command, |text| {
        if let Some(text) = text {
            println!("{text}");
        }
    })?;
    println!("pictures: {}", paths::shown(&pictures));
    Ok(if finished.status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
