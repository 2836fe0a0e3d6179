//! Puts the page's files into the worker: what `cargo xtask build page` and `build tag` made, or
//! empty stand-ins, so that lints and editors work on a fresh checkout. It builds nothing itself.

use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let page = root.join("../build/page");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={}", page.join("manifest.json").display());
    println!("cargo::rerun-if-changed={}", page.join("tag.js").display());
    println!("cargo::rerun-if-changed={}", page.join("stub.js").display());
    let Built { module, wasm, tag, signals } = match built(&page) {
        Some(built) => built,
        None => {
            println!("cargo::warning=the page is not built; run `cargo xtask build tag`");
            let module = module(false, "0000000000000000.wasm", "", "", "0000000000000000.js");
            Built { module, wasm: Vec::new(), tag: Vec::new(), signals: Vec::new() }
        }
    };
    fs::write(out.join("core.wasm"), wasm).expect("OUT_DIR is writable");
    fs::write(out.join("tag.js"), tag).expect("OUT_DIR is writable");
    fs::write(out.join("signals.js"), signals).expect("OUT_DIR is writable");
    let stub = fs::read_to_string(page.join("stub.js")).unwrap_or_default();
    fs::write(out.join("stub.js"), stub).expect("OUT_DIR is writable");
    fs::write(out.join("page.rs"), module).expect("OUT_DIR is writable");
}

struct Built {
    module: String,
    wasm: Vec<u8>,
    tag: Vec<u8>,
    signals: Vec<u8>,
}

fn built(page: &Path) -> Option<Built> {
    let manifest = fs::read_to_string(page.join("manifest.json")).ok()?;
    let name = field(&manifest, "wasm")?;
    let wasm = fs::read(page.join(&name)).ok()?;
    let tag = fs::read(page.join("tag.js")).ok()?;
    let signals_name = field(&manifest, "signals")?;
    let signals = fs::read(page.join(&signals_name)).ok()?;
    let integrity = field(&manifest, "integrity")?;
    let tag_integrity = field(&manifest, "tagIntegrity")?;
    let module = module(true, &name, &integrity, &tag_integrity, &signals_name);
    Some(Built { module, wasm, tag, signals })
}

/// The manifest is ours and flat, with strings that hold no quote: no JSON parser is needed.
fn field(manifest: &str, name: &str) -> Option<String> {
    let (_, rest) = manifest.split_once(&format!("\"{name}\""))?;
    let (_, rest) = rest.split_once('"')?;
    rest.split_once('"').map(|(value, _)| value.to_owned())
}

fn module(built: bool, name: &str, integrity: &str, tag_integrity: &str, signals: &str) -> String {
    format!(
        r#"
/// False for the stand-ins of a checkout where the page was never built.
pub const BUILT: bool = {built};
/// The file name of the page's core, made of its content.
pub const WASM_NAME: &str = {name:?};
/// Its subresource integrity.
pub const WASM_INTEGRITY: &str = {integrity:?};
pub const WASM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/core.wasm"));
/// The subresource integrity of the tag.
pub const TAG_INTEGRITY: &str = {tag_integrity:?};
/// The queue that stands in for the tag until it has loaded.
pub const STUB_JS: &str = include_str!(concat!(env!("OUT_DIR"), "/stub.js"));
pub const TAG_JS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/tag.js"));
/// The file name of what hears consent platforms, made of its content.
pub const SIGNALS_NAME: &str = {signals:?};
pub const SIGNALS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/signals.js"));
"#
    )
}
