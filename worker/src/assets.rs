//! What browsers load from the edge: the tag, the core, the compiled workspace for pages. Names
//! that hold a hash never change their content.

use selvedge::ids::hex;
use selvedge::workspace::Workspace;
use sha2::{Digest, Sha256};

use crate::http::{Answer, Cache, Fault, Request, header};

#[allow(dead_code, reason = "the build script writes more names than every build needs")]
mod page {
    include!(concat!(env!("OUT_DIR"), "/page.rs"));
}

pub use page::{STUB_JS, TAG_INTEGRITY};

/// The ending of a compiled workspace's name.
const IMAGE: &str = ".workspace";

/// `GET /_selvedge/tag.js`.
pub fn tag(request: &Request) -> Answer {
    script(request, page::TAG_JS)
}

/// `GET /_selvedge/stub.js`, for sites that put the stub first into their own head.
pub fn stub(request: &Request) -> Answer {
    script(request, page::STUB_JS.as_bytes())
}

/// A script whose name stays when its content changes.
fn script(request: &Request, content: &[u8]) -> Answer {
    let etag = format!("\"{}\"", hex(&Sha256::digest(content)));
    let known = header(request, "if-none-match")
        .is_some_and(|seen| seen.split(',').any(|one| one.trim().trim_start_matches("W/") == etag));
    let bytes = if known { Vec::new() } else { content.to_vec() };
    let mut answer = Answer::bytes(bytes, "text/javascript; charset=utf-8", Cache::Short);
    answer.status = if known { 304 } else { 200 };
    answer.with("etag", etag)
}

/// The core, where `name` is its name.
pub fn core(name: &str) -> Option<Answer> {
    (name == page::WASM_NAME && page::BUILT)
        .then(|| Answer::bytes(page::WASM.to_vec(), "application/wasm", Cache::Immutable))
}

/// What hears consent platforms, where `name` is its name.
pub fn signals(name: &str) -> Option<Answer> {
    let kind = "text/javascript; charset=utf-8";
    (name == page::SIGNALS_NAME && page::BUILT)
        .then(|| Answer::bytes(page::SIGNALS.to_vec(), kind, Cache::Immutable))
}

/// The version that the name of a compiled workspace holds.
pub fn image_version(name: &str) -> Option<&str> {
    let version = name.strip_suffix(IMAGE)?;
    let plain = version.len() == 16 && version.bytes().all(|byte| byte.is_ascii_hexdigit());
    plain.then_some(version)
}

/// Where a page finds a workspace.
pub fn image_path(version: &str) -> String {
    format!("/_selvedge/{version}{IMAGE}")
}

/// The compiled workspace for pages.
pub fn image(workspace: &Workspace) -> Result<Answer, Fault> {
    let bytes = workspace.for_page().to_bytes()?;
    Ok(Answer::bytes(bytes, "application/octet-stream", Cache::Immutable))
}
