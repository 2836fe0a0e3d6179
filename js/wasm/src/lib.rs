//! The browser's binding of the core: bytes in, one JSON text out. The workspace image and the
//! slice stay here between calls. It must never decide anything itself, and never hold more than
//! the slice of a visitor.
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

mod json;

use std::cell::RefCell;

use selvedge::decide::Request;
use selvedge::slice::Slice;
use selvedge::time::Timestamp;
use selvedge::workspace::{Where, Workspace};
use wasm_bindgen::prelude::wasm_bindgen;

/// SAFETY: a page's Wasm runs on one thread and spawns none, which is all that this wrapper asks.
#[cfg(target_family = "wasm")]
#[allow(unsafe_code, reason = "an allocator that assumes one thread can be made no other way")]
#[global_allocator]
static ALLOCATOR: lol_alloc::AssumeSingleThreaded<lol_alloc::FreeListAllocator> =
    unsafe { lol_alloc::AssumeSingleThreaded::new(lol_alloc::FreeListAllocator::new()) };

struct Page {
    workspace: Option<Workspace>,
    slice: Option<Slice>,
}

thread_local! {
    static PAGE: RefCell<Page> = const { RefCell::new(Page { workspace: None, slice: None }) };
}

/// Calls do not nest, so the page is never taken; if it were, the answer would be the default one.
fn with<T: Default>(act: impl FnOnce(&mut Page) -> T) -> T {
    PAGE.with(|page| page.try_borrow_mut().map(|mut page| act(&mut page)).unwrap_or_default())
}

/// Takes a workspace image in; false if it cannot be read. The slice goes: it was another's.
#[wasm_bindgen]
pub fn load(image: &[u8]) -> bool {
    with(|page| {
        page.slice = None;
        page.workspace = Workspace::read(image);
        page.workspace.is_some()
    })
}

/// Takes a slice in: milliseconds since 1970 at which it expires, or 0 where it cannot be read or
/// does not belong to the image. Whatever comes, the slice before is gone; no bytes are no slice.
#[wasm_bindgen]
pub fn set_slice(bytes: &[u8]) -> f64 {
    with(|page| {
        let version = page.workspace.as_ref().map(|workspace| workspace.version.as_str());
        page.slice =
            Slice::from_bytes(bytes).filter(|slice| Some(slice.workspace.as_str()) == version);
        page.slice.as_ref().map_or(0.0, |slice| milliseconds(slice.expires))
    })
}

/// Decides a placement: the JSON of a `Decision`, or an empty text where only the edge can: without
/// image and slice, and for placements that the page does not fill. `request` holds the names and
/// values of the request's fields, `taken` the offers that the page shows already; both parted by
/// NUL, which no URL and no key holds.
#[wasm_bindgen]
pub fn decide(placement: &str, request: &str, taken: &str, now_ms: f64, trace: bool) -> String {
    with(|page| {
        let (Some(workspace), Some(slice)) = (&page.workspace, &page.slice) else {
            return String::new();
        };
        if workspace.placement(placement).is_none_or(|known| known.at != Where::Page) {
            return String::new();
        }
        let request = fields(request);
        let taken: Vec<String> = taken.split('\0').map(str::to_owned).collect();
        let now = timestamp(now_ms);
        json::decision(&slice.decide(workspace, &request, now, placement, &taken, trace))
    })
}

/// Runs a recorded trace through the whole engine: the outcome's bytes, none where the trace or its
/// image cannot be read. Test builds only.
#[cfg(feature = "replay")]
#[wasm_bindgen]
pub fn replay(trace: &[u8]) -> Vec<u8> {
    selvedge::replay::run_bytes(trace).unwrap_or_default()
}

fn fields(text: &str) -> Request {
    let mut request = Request::default();
    let mut parts = text.split('\0');
    while let (Some(name), Some(value)) = (parts.next(), parts.next()) {
        request.0.insert(name.to_owned(), value.to_owned());
    }
    request
}

#[expect(clippy::cast_possible_truncation, reason = "`as` holds at the ends of the range")]
fn timestamp(ms: f64) -> Timestamp {
    Timestamp(ms as i64)
}

#[expect(clippy::cast_precision_loss, reason = "exact until the year 287396")]
fn milliseconds(time: Timestamp) -> f64 {
    time.0 as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_crosses_as_names_and_values() {
        let request = fields("path\0/x\0query\0\0utm_source\0news");
        let pairs: Vec<_> = request.0.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(pairs, [("path", "/x"), ("query", ""), ("utm_source", "news")]);
    }

    #[test]
    fn without_image_and_slice_only_the_edge_decides() {
        assert!(!load(b"no image"));
        assert!(set_slice(b"no slice") == 0.0);
        assert_eq!(decide("hero", "", "", 0.0, true), "");
    }
}
