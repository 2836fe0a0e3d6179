//! The core for servers that hold profiles themselves: packed profiles in, numbers out. Profiles
//! stay in Wasm memory between calls, under numbers that the host gives them; no text comes out but
//! the keys of offers. JavaScript calls these functions as they stand, without bindings in between.
//! It must never decide anything itself.
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

use std::cell::RefCell;
use std::mem::ManuallyDrop;

use selvedge::decide::{self, Trace, Work};
use selvedge::limits::PLAIN_QUESTIONS;
use selvedge::offer::Offer;
use selvedge::rule::Slot;
use selvedge::slice::Resident;
use selvedge::time::Timestamp;
use selvedge::workspace::Workspace;
use wasm_bindgen::prelude::wasm_bindgen;

#[cfg(target_family = "wasm")]
#[global_allocator]
static ALLOCATOR: rlsf::SmallGlobalTlsf = rlsf::SmallGlobalTlsf::new();

/// Profiles that may be held at a time; each takes some kilobytes.
const PROFILES: usize = 65_536;
/// Bytes of an image: more than any workspace takes.
const IMAGE_BYTES: usize = 256 * 1024 * 1024;
/// Bytes of one packed profile.
const PROFILE_BYTES: usize = 1024 * 1024;

#[derive(Default)]
struct Evaluator {
    workspace: Option<Workspace>,
    /// How many questions were asked, up to `PLAIN_QUESTIONS`: from then on there is an index.
    asked: usize,
    profiles: Vec<Resident>,
    work: Work,
    input: Vec<u8>,
    taken: Vec<u32>,
    trace_of: Trace,
    output: Vec<u32>,
    codes: Vec<u8>,
}

thread_local! {
    // Made by the first call: the code to make it in advance could also give it back, which takes
    // a tenth of what a fresh process compiles.
    static EVALUATOR: RefCell<Option<Evaluator>> = const { RefCell::new(None) };
}

/// Calls do not nest, so it is never taken; if it were, the answer would be the default one.
#[inline(always)]
fn with<T: Default>(act: impl FnOnce(&mut Evaluator) -> T) -> T {
    EVALUATOR.with(|one| match one.try_borrow_mut() {
        Ok(mut one) => act(made(&mut one)),
        Err(_) => T::default(),
    })
}

#[inline(never)]
fn made(one: &mut Option<Evaluator>) -> &mut Evaluator {
    one.get_or_insert_default()
}

/// Room for an image of `len` bytes; null where it is too much.
#[wasm_bindgen]
pub fn image(len: usize) -> *mut u8 {
    room(len, IMAGE_BYTES)
}

/// Room for `len` bytes of a packed profile; null where it is too much. What stood there stays.
#[wasm_bindgen]
pub fn input(len: usize) -> *mut u8 {
    room(len, PROFILE_BYTES)
}

/// It may move the memory that JavaScript sees.
#[inline(never)]
fn room(len: usize, most: usize) -> *mut u8 {
    EVALUATOR.with(|one| match one.try_borrow_mut() {
        Ok(mut one) if len <= most => {
            let one = made(&mut one);
            if one.input.len() < len {
                one.input.resize(len, 0);
            }
            one.input.as_mut_ptr()
        }
        _ => std::ptr::null_mut(),
    })
}

/// Takes the image in whose `len` bytes stand in the input; false where they are none, or where one
/// was taken in before. Profiles go where it stood. What was no image stays in memory, since
/// JavaScript lets go of all of it then.
#[wasm_bindgen]
pub fn load(len: usize) -> bool {
    with(|one| {
        if one.workspace.is_some() {
            return false;
        }
        let (workspace, whole) = Workspace::unpack(one.input.get(..len).unwrap_or_default());
        if !whole {
            return false;
        }
        // There was none, and the code to give one back need not be compiled.
        let read = Some(ManuallyDrop::into_inner(workspace));
        std::mem::forget(std::mem::replace(&mut one.workspace, read));
        true
    })
}

/// Where in memory the key of an offer stands: names are asked for when an offer first wins, since
/// most never do. 0 of what is no offer's number.
#[wasm_bindgen]
pub fn key(at: usize) -> usize {
    of_offer(at, |offer| offer.key.as_ptr().addr())
}

/// How many bytes that key has.
#[wasm_bindgen]
pub fn key_len(at: usize) -> usize {
    of_offer(at, |offer| offer.key.len())
}

/// The number of an offer's experiment plus one; 0 where it is in none.
#[wasm_bindgen]
pub fn experiment(at: usize) -> usize {
    of_offer(at, |offer| {
        offer.experiment.as_ref().map_or(0, |part| usize::from(part.experiment) + 1)
    })
}

#[inline(always)]
fn of_offer(at: usize, asked: impl FnOnce(&Offer) -> usize) -> usize {
    with(|one| {
        one.workspace.as_ref().and_then(|workspace| workspace.offers.get(at)).map_or(0, asked)
    })
}

/// The segment of a slot that the text in these bytes of the input lies in; 0 where it is none.
#[wasm_bindgen]
pub fn segment(slot: u16, from: usize, until: usize) -> u32 {
    with(|one| {
        let text = one.input.get(from..until).and_then(|bytes| str::from_utf8(bytes).ok());
        let found = one.workspace.as_ref().zip(text);
        found.map_or(0, |(workspace, text)| workspace.rules.segment_of(Slot(slot), text))
    })
}

/// Holds the profile whose first `len` bytes stand in the input, under a number; false where they
/// are none. What was held under it is gone.
#[wasm_bindgen]
pub fn hold(profile: usize, len: usize) -> bool {
    with(|one| {
        let Evaluator { workspace: Some(workspace), profiles, input, .. } = one else {
            return false;
        };
        if profile >= PROFILES {
            return false;
        }
        while profiles.len() <= profile {
            profiles.push(Resident::new(workspace));
        }
        let bytes = input.get(..len).unwrap_or_default();
        profiles.get_mut(profile).is_some_and(|held| held.read(workspace, bytes))
    })
}

/// Decides every placement, in order, no offer twice unless it repeats. Two numbers for each: the
/// winner's plus one, its variant's plus one. With `trace` follows where the codes of each
/// placement's offers end, one after the other and a byte each by rank (the place of its word in
/// the catalog); last, where they begin in memory. Null where no such profile is held.
#[wasm_bindgen]
pub fn choose(profile: usize, now_ms: f64, trace: bool) -> *const u32 {
    EVALUATOR.with(|one| {
        let Ok(mut one) = one.try_borrow_mut() else { return std::ptr::null() };
        let Evaluator {
            workspace: Some(workspace),
            asked,
            profiles,
            work,
            taken,
            trace_of,
            output,
            codes,
            ..
        } = made(&mut one)
        else {
            return std::ptr::null();
        };
        let now = timestamp(now_ms);
        let Some(held) = profiles.get_mut(profile).filter(|held| now < held.expires) else {
            return std::ptr::null();
        };
        if *asked < PLAIN_QUESTIONS {
            *asked += 1;
            if *asked == PLAIN_QUESTIONS {
                index(workspace);
            }
        }
        let tries = *asked < PLAIN_QUESTIONS;
        held.facts.set_now(&workspace.rules, now.0);
        let view = held.view();
        work.begin();
        taken.clear();
        output.clear();
        output.resize(2 * workspace.placements.len(), 0);
        codes.clear();
        for (at, placement) in workspace.placements.iter().enumerate() {
            let of = &mut *trace_of;
            let chosen = match (tries, trace) {
                (true, _) => {
                    let of = trace.then_some(&mut *of);
                    decide::try_each(workspace, &view, now, placement, taken, work, of)
                }
                (false, true) => {
                    decide::choose_and_trace(workspace, &view, now, placement, taken, work, of)
                }
                (false, false) => decide::choose(workspace, &view, now, placement, taken, work),
            };
            if trace {
                codes.extend_from_slice(of.numbers());
                output.push(u32::try_from(codes.len()).unwrap_or(u32::MAX));
            }
            let Some(chosen) = chosen else { continue };
            taken.push(chosen.offer);
            if let Some([offer, variant]) = output.get_mut(2 * at..2 * at + 2) {
                *offer = chosen.offer.saturating_add(1);
                *variant = chosen.variant.map_or(0, |variant| u32::from(variant) + 1);
            }
        }
        output.push(u32::try_from(codes.as_ptr().addr()).unwrap_or(0));
        output.as_ptr()
    })
}

/// By itself, since a fresh process compiles each function when it is first called.
#[inline(never)]
fn index(workspace: &mut Workspace) {
    // An offer that is not whole was none before.
    workspace.index();
}

#[expect(clippy::cast_possible_truncation, reason = "`as` holds at the ends of the range")]
fn timestamp(ms: f64) -> Timestamp {
    Timestamp(ms as i64)
}
