//! The core for servers that hold profiles themselves: packed profiles in, numbers out. Profiles
//! stay in Wasm memory between calls, under numbers that the host gives them; texts cross once, in
//! the catalog. It must never decide anything itself.
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

use std::cell::RefCell;

use selvedge::decide::{self, Code, Trace, Work};
use selvedge::limits::PLAIN_QUESTIONS;
use selvedge::rule::{Slot, push_digits};
use selvedge::slice::Resident;
use selvedge::time::Timestamp;
use selvedge::workspace::Workspace;
use wasm_bindgen::prelude::wasm_bindgen;

#[cfg(target_family = "wasm")]
#[global_allocator]
static ALLOCATOR: rlsf::SmallGlobalTlsf = rlsf::SmallGlobalTlsf::new();

/// Profiles that may be held at a time; each takes some kilobytes.
const PROFILES: usize = 65_536;
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
    static EVALUATOR: RefCell<Evaluator> = RefCell::default();
}

/// Calls do not nest, so it is never taken; if it were, the answer would be the default one.
fn with<T: Default>(act: impl FnOnce(&mut Evaluator) -> T) -> T {
    EVALUATOR.with(|one| one.try_borrow_mut().map(|mut one| act(&mut one)).unwrap_or_default())
}

/// Takes an evaluator's image in; false if it cannot be read. The profiles go: they were another's.
#[wasm_bindgen]
pub fn load(image: &[u8]) -> bool {
    with(|one| {
        let old = std::mem::take(one);
        match old.workspace {
            // Nothing to give back, and the code for it need not be compiled.
            None => std::mem::forget(old),
            Some(_) => give_back(old),
        }
        let Some(workspace) = Workspace::read_plain(image) else { return false };
        // There was none, as above.
        std::mem::forget(one.workspace.replace(workspace));
        true
    })
}

/// The workspace's names, parted by NUL, each list after its length: the version; slots, each with
/// path and type; placements; experiments, each as the list of its variants; reason codes.
#[wasm_bindgen]
pub fn catalog() -> String {
    with(|one| {
        let Some(workspace) = &one.workspace else { return String::new() };
        let mut out = workspace.version.clone();
        let slots = workspace.rules.paths();
        count(&mut out, slots.len());
        for (path, kind) in slots {
            name(&mut out, path);
            count(&mut out, usize::try_from(kind).unwrap_or_default());
        }
        count(&mut out, workspace.placements.len());
        for placement in &workspace.placements {
            name(&mut out, &placement.name);
        }
        count(&mut out, workspace.experiments.len());
        for experiment in &workspace.experiments {
            count(&mut out, experiment.variants.len());
            for variant in &experiment.variants {
                name(&mut out, variant);
            }
        }
        count(&mut out, Code::WORDS.len());
        for word in Code::WORDS {
            name(&mut out, word);
        }
        out
    })
}

#[inline(never)]
fn name(out: &mut String, name: &str) {
    out.push('\0');
    out.push_str(name);
}

/// A number that follows a name.
#[inline(never)]
fn count(out: &mut String, number: usize) {
    out.push('\0');
    push_digits(out, number as u64);
}

/// The key of an offer, and behind a NUL the number of its experiment plus one: names are asked for
/// when an offer first wins, since most never do.
#[wasm_bindgen]
pub fn offer(at: usize) -> String {
    with(|one| {
        let offer = one.workspace.as_ref().and_then(|workspace| workspace.offers.get(at));
        offer.map_or_else(String::new, |offer| {
            let experiment = offer.experiment.as_ref();
            let experiment = experiment.map_or(0, |part| usize::from(part.experiment) + 1);
            let mut out = offer.key.clone();
            count(&mut out, experiment);
            out
        })
    })
}

/// Room for `len` bytes of a packed profile; null where it is too much. It may move the memory that
/// JavaScript sees.
#[wasm_bindgen]
pub fn input(len: usize) -> *mut u8 {
    EVALUATOR.with(|one| match one.try_borrow_mut() {
        Ok(mut one) if len <= PROFILE_BYTES => {
            if one.input.len() < len {
                one.input.resize(len, 0);
            }
            one.input.as_mut_ptr()
        }
        _ => std::ptr::null_mut(),
    })
}

/// The slots of texts, and of lists of texts, that profiles may bring as segments.
#[wasm_bindgen]
pub fn brief_slots() -> Vec<u16> {
    with(|one| {
        let slots = one.workspace.as_ref().map(|workspace| workspace.rules.brief_slots());
        slots.unwrap_or_default().into_iter().map(|slot| slot.0).collect()
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
        } = &mut *one
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

#[inline(never)]
fn give_back(old: Evaluator) {
    drop(old);
}

/// By itself, since a fresh process compiles each function when it is first called.
#[inline(never)]
fn index(workspace: &mut Workspace) {
    workspace.rules.index();
}

#[expect(clippy::cast_possible_truncation, reason = "`as` holds at the ends of the range")]
fn timestamp(ms: f64) -> Timestamp {
    Timestamp(ms as i64)
}
