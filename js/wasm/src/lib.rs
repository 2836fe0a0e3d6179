//! The browser's binding of the core: bytes in, texts out, through one buffer in the core's memory.
//! The workspace image and the slice stay here between calls. It must never decide anything itself,
//! and never hold more than the slice of a visitor.
//!
//! Only numbers cross by themselves, so that neither side needs code to pass texts: the page asks
//! for [`room`], writes its bytes there, calls, and reads the answer from the same place.
//!
//! There is no standard library here: the code of its panics, with their texts, would cost the page
//! 290 bytes.
#![cfg_attr(all(target_family = "wasm", not(feature = "replay")), no_std)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

extern crate alloc;

mod answer;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::mem::ManuallyDrop;

use selvedge::decide::{self, Trace, Work};
use selvedge::limits::PLAIN_QUESTIONS;
use selvedge::slice::{Resident, STALE};
use selvedge::time::Timestamp;
use selvedge::workspace::{Where, Workspace};
use spin::Mutex;
use wasm_bindgen::prelude::wasm_bindgen;

use answer::Said;

/// SAFETY: a page's Wasm runs on one thread and spawns none, which is all that this wrapper asks.
#[cfg(target_family = "wasm")]
#[allow(unsafe_code, reason = "an allocator that assumes one thread can be made no other way")]
#[global_allocator]
static ALLOCATOR: lol_alloc::AssumeSingleThreaded<lol_alloc::FreeListAllocator> =
    unsafe { lol_alloc::AssumeSingleThreaded::new(lol_alloc::FreeListAllocator::new()) };

/// A panic is a defect of ours, and all that a page can do about it is to show its own content.
#[cfg(all(target_family = "wasm", not(feature = "replay")))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

/// What the page asks, then what it is told; and what it decides from.
struct Host {
    bytes: Vec<u8>,
    page: Option<ManuallyDrop<Box<Page>>>,
}

/// A page loads one workspace, seldom a second: it is never given back, since the code for that
/// would cost every visitor more than the memory costs the few.
struct Page {
    workspace: ManuallyDrop<Workspace>,
    slice: Resident,
    holds_slice: bool,
    work: Work,
    /// How many questions were asked, up to `PLAIN_QUESTIONS`: from then on there is an index.
    asked: usize,
}

static HOST: Mutex<ManuallyDrop<Host>> =
    Mutex::new(ManuallyDrop::new(Host { bytes: Vec::new(), page: None }));

/// Calls do not nest, so the host is never taken; if it were, the answer would be the default one.
fn with<T: Default>(act: impl FnOnce(&mut Host) -> Option<T>) -> T {
    HOST.try_lock().and_then(|mut host| act(&mut host)).unwrap_or_default()
}

/// Makes the buffer this long, and says where it is: before a call, to write what is asked; after
/// it, with the length that it gave, to read the answer.
#[wasm_bindgen]
pub fn room(length: usize) -> usize {
    with(|host| {
        host.bytes.resize(length, 0);
        Some(host.bytes.as_ptr().addr())
    })
}

/// Takes the workspace image in the buffer in; false if it cannot be read. The slice goes: it was
/// another's.
#[wasm_bindgen]
pub fn load() -> bool {
    with(|host| {
        let image = core::mem::take(&mut host.bytes);
        let (workspace, whole) = Workspace::unpack(&image);
        host.page = whole.then(|| {
            let slice = Resident::new(&workspace);
            let work = Work::default();
            let page = Page { workspace, slice, holds_slice: false, work, asked: 0 };
            ManuallyDrop::new(Box::new(page))
        });
        Some(whole)
    })
}

/// Takes the slice in the buffer in: milliseconds since 1970 at which it expires, or 0 where it
/// cannot be read or does not belong to the image. Whatever comes, the slice before is gone; no
/// bytes are no slice.
#[wasm_bindgen]
pub fn set_slice() -> f64 {
    with(|host| {
        let page = &mut ***host.page.as_mut()?;
        page.holds_slice = page.slice.read(&page.workspace, &host.bytes);
        page.holds_slice.then(|| milliseconds(page.slice.expires))
    })
}

/// Decides what the buffer asks for, and says how long the answer is that stands there then: see
/// [`answer::Said`]. It is 0 where only the edge can decide: without image and slice, and for
/// placements that the page does not fill.
///
/// What is asked for are texts, parted by NUL, which no URL and no key holds: the placement, the
/// offers that the page shows already, an empty one, names and values of the request's fields.
#[wasm_bindgen]
pub fn decide(now_ms: f64, trace: bool) -> usize {
    with(|host| {
        let asked = core::mem::take(&mut host.bytes);
        let asked = Parts(selvedge::text_of(&asked)?);
        answer(host.page.as_mut()?, asked, timestamp(now_ms), trace, &mut host.bytes)?;
        Some(host.bytes.len())
    })
}

fn answer(
    page: &mut Page,
    mut asked: Parts<'_>,
    now: Timestamp,
    trace: bool,
    out: &mut Vec<u8>,
) -> Option<()> {
    let Page { workspace, slice, holds_slice, work, asked: count } = page;
    if *count < PLAIN_QUESTIONS {
        *count += 1;
        if *count == PLAIN_QUESTIONS {
            workspace.index();
        }
    }
    let placement = workspace.placement(asked.next())?;
    if !*holds_slice || placement.at != Where::Page {
        return None;
    }
    let mut taken = Vec::new();
    loop {
        let key = asked.next();
        if key.is_empty() {
            break;
        }
        taken.extend(workspace.shown_at(key));
    }
    decide::set_fields(&mut slice.facts, workspace, now, |name| asked.value(name));
    let view = &slice.view();
    let mut codes = Trace::default();
    let mut otherwise = "no_offer";
    let mut chosen = None;
    let mut exposed = Vec::new();
    work.begin();
    if now >= slice.expires {
        otherwise = STALE;
    } else {
        chosen = if trace || *count < PLAIN_QUESTIONS {
            let codes = trace.then_some(&mut codes);
            decide::try_each(workspace, view, now, placement, &taken, work, codes)
        } else {
            decide::choose_alone(workspace, view, now, placement, &taken, work)
        };
        exposed = decide::exposed(workspace, view, chosen, work);
    }
    let language = asked.value("language");
    let (codes, exposed) = (&codes, exposed.as_slice());
    Said { workspace, view, now, placement, language, otherwise, chosen, exposed, codes }
        .write(out);
    Some(())
}

/// The parts of a text between its NULs.
#[derive(Clone, Copy)]
struct Parts<'a>(&'a str);

impl<'a> Parts<'a> {
    /// The next part; an empty one behind the last.
    fn next(&mut self) -> &'a str {
        let end = self.0.bytes().position(|byte| byte == 0).unwrap_or(self.0.len());
        let part = self.0.get(..end).unwrap_or_default();
        self.0 = self.0.get(end.saturating_add(1)..).unwrap_or_default();
        part
    }

    /// What follows the name, in a list of names and values; empty of an unknown one.
    fn value(mut self, name: &str) -> &'a str {
        while !self.0.is_empty() {
            let known = self.next();
            let value = self.next();
            if known == name {
                return value;
            }
        }
        ""
    }
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
    #![allow(clippy::unwrap_used)]

    use super::answer::tests::{SHOP, slice as shown_to};
    use super::*;

    #[test]
    fn texts_are_parted_by_nul() {
        let mut parts = Parts("path\0/x\0query\0\0é\0");
        assert_eq!(parts.value("path"), "/x");
        assert_eq!(parts.value("query"), "");
        assert_eq!(parts.value("host"), "");
        for part in ["path", "/x", "query", "", "é", "", ""] {
            assert_eq!(parts.next(), part);
        }
    }

    #[test]
    fn the_index_changes_no_answer() {
        for name in ["Ada", ""] {
            let workspace = ManuallyDrop::new(selvedge::compile::workspace(SHOP).unwrap());
            let bytes = workspace.for_page().to_bytes().unwrap();
            let (workspace, whole) = Workspace::unpack(&bytes);
            assert!(whole);
            let mut slice = Resident::new(&workspace);
            assert!(slice.read(&workspace, &shown_to(&workspace, name).to_bytes()));
            let work = Work::default();
            let mut page = Page { workspace, slice, holds_slice: true, work, asked: 0 };
            let mut ask = |trace| {
                let mut out = Vec::new();
                let asked = Parts("tip\0\0language\0de\0");
                answer(&mut page, asked, Timestamp(5), trace, &mut out).unwrap();
                out
            };
            let (plain, explained) = (ask(false), ask(true));
            assert_ne!(plain, explained);
            for _ in 0..PLAIN_QUESTIONS {
                assert_eq!(ask(false), plain);
                assert_eq!(ask(true), explained);
            }
            assert_eq!(page.asked, PLAIN_QUESTIONS);
        }
    }

    #[test]
    fn without_image_and_slice_only_the_edge_decides() {
        assert_ne!(room(8), 0);
        assert!(!load());
        room(8);
        assert!(set_slice() == 0.0);
        assert_eq!(decide(0.0, true), 0);
    }
}
