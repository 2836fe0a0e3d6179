//! The browser's binding of the core: bytes in, one JSON text out. The workspace image and the
//! slice stay here between calls. It must never decide anything itself, and never hold more than
//! the slice of a visitor.
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

mod json;

use std::cell::RefCell;
use std::mem::ManuallyDrop;

use selvedge::decide::{self, Work};
use selvedge::slice::{Resident, STALE};
use selvedge::time::Timestamp;
use selvedge::workspace::{Where, Workspace};
use wasm_bindgen::prelude::wasm_bindgen;

use json::Said;

/// SAFETY: a page's Wasm runs on one thread and spawns none, which is all that this wrapper asks.
#[cfg(target_family = "wasm")]
#[allow(unsafe_code, reason = "an allocator that assumes one thread can be made no other way")]
#[global_allocator]
static ALLOCATOR: lol_alloc::AssumeSingleThreaded<lol_alloc::FreeListAllocator> =
    unsafe { lol_alloc::AssumeSingleThreaded::new(lol_alloc::FreeListAllocator::new()) };

/// A page loads one workspace, seldom a second: it is never given back, since the code for that
/// would cost every visitor more than the memory costs the few.
struct Page {
    workspace: ManuallyDrop<Workspace>,
    slice: Resident,
    holds_slice: bool,
    work: Work,
}

thread_local! {
    static PAGE: RefCell<Option<ManuallyDrop<Box<Page>>>> = const { RefCell::new(None) };
}

/// Calls do not nest, so the page is never taken; if it were, the answer would be the default one.
fn with<T: Default>(act: impl FnOnce(&mut Page) -> Option<T>) -> T {
    PAGE.with(|page| {
        let mut page = page.try_borrow_mut().ok()?;
        act(page.as_mut()?)
    })
    .unwrap_or_default()
}

/// Takes a workspace image in; false if it cannot be read. The slice goes: it was another's.
#[wasm_bindgen]
pub fn load(image: &[u8]) -> bool {
    PAGE.with(|page| {
        let Ok(mut page) = page.try_borrow_mut() else { return false };
        *page = Workspace::read(image).map(|workspace| {
            ManuallyDrop::new(Box::new(Page {
                slice: Resident::new(&workspace),
                workspace: ManuallyDrop::new(workspace),
                holds_slice: false,
                work: Work::default(),
            }))
        });
        page.is_some()
    })
}

/// Takes a slice in: milliseconds since 1970 at which it expires, or 0 where it cannot be read or
/// does not belong to the image. Whatever comes, the slice before is gone; no bytes are no slice.
#[wasm_bindgen]
pub fn set_slice(bytes: &[u8]) -> f64 {
    with(|page| {
        page.holds_slice = page.slice.read(&page.workspace, bytes);
        page.holds_slice.then(|| milliseconds(page.slice.expires))
    })
}

/// Decides a placement: the JSON of a `Decision`, or an empty text where only the edge can: without
/// image and slice, and for placements that the page does not fill. `request` holds the names and
/// values of the request's fields, `taken` the offers that the page shows already; both parted by
/// NUL, which no URL and no key holds.
#[wasm_bindgen]
pub fn decide(placement: &str, request: &str, taken: &str, now_ms: f64, trace: bool) -> String {
    with(|page| {
        let Page { workspace, slice, holds_slice, work } = page;
        let placement = workspace.placement(placement)?;
        if !*holds_slice || placement.at != Where::Page {
            return None;
        }
        let now = timestamp(now_ms);
        let field = |name: &str| {
            let mut parts = parts(request);
            while let (Some(known), Some(value)) = (parts.next(), parts.next()) {
                if known == name {
                    return value;
                }
            }
            ""
        };
        decide::set_fields(&mut slice.facts, workspace, now, field);
        let taken: Vec<u32> = parts(taken).filter_map(|key| workspace.shown_at(key)).collect();
        let view = slice.view();
        let mut codes = Vec::new();
        work.begin();
        let (chosen, otherwise) = if now >= slice.expires {
            (None, STALE)
        } else if trace {
            let codes = &mut codes;
            let of =
                decide::choose_and_trace(workspace, &view, now, placement, &taken, work, codes);
            (of, "no_offer")
        } else {
            (decide::choose(workspace, &view, now, placement, &taken, work), "no_offer")
        };
        // What was missed by an earlier decision is none of a stale slice's business.
        let fresh = now < slice.expires;
        let exposed = fresh.then(|| decide::exposed(workspace, &view, chosen, work));
        let exposed = exposed.unwrap_or_default();
        let (view, exposed, codes) = (&view, exposed.as_slice(), codes.as_slice());
        let language = field("language");
        let said =
            Said { workspace, view, now, placement, language, otherwise, chosen, exposed, codes };
        Some(said.json())
    })
}

/// The parts of a text between its NULs.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    core::iter::from_fn(move || {
        let text = rest?;
        let end = text.bytes().position(|byte| byte == 0);
        rest = end.and_then(|end| text.get(end + 1..));
        text.get(..end.unwrap_or(text.len()))
    })
}

/// Runs a recorded trace through the whole engine: the outcome's bytes, none where the trace or its
/// image cannot be read. Test builds only.
#[cfg(feature = "replay")]
#[wasm_bindgen]
pub fn replay(trace: &[u8]) -> Vec<u8> {
    selvedge::replay::run_bytes(trace).unwrap_or_default()
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
    fn texts_are_parted_by_nul() {
        let all: Vec<&str> = parts("path\0/x\0query\0\0é\0").collect();
        assert_eq!(all, ["path", "/x", "query", "", "é", ""]);
        assert_eq!(parts("").collect::<Vec<_>>(), [""]);
    }

    #[test]
    fn without_image_and_slice_only_the_edge_decides() {
        assert!(!load(b"no image"));
        assert!(set_slice(b"no slice") == 0.0);
        assert_eq!(decide("hero", "", "", 0.0, true), "");
    }
}
