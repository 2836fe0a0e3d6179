//! What a decision may cost once a host is warm: no allocation, no predicate evaluated twice, and
//! work that grows with the offers that match instead of with all. Nothing is timed here.
#![allow(unsafe_code, reason = "an allocator that counts can be made no other way")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fmt::Write;

use selvedge::consent::{Purpose, PurposeSet};
use selvedge::decide::{self, Chosen, Trace, Work};
use selvedge::rule::Value;
use selvedge::slice::{Resident, Slice};
use selvedge::time::Timestamp;
use selvedge::workspace::Workspace;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    ALLOCATIONS.with(|count| count.set(count.get() + 1));
}

/// SAFETY: it hands everything on to the system's allocator, whose promises are then its own.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        unsafe { System.realloc(at, layout, size) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How many allocations of this thread `act` makes.
fn allocations<T>(act: impl FnOnce() -> T) -> (u64, T) {
    let before = ALLOCATIONS.with(Cell::get);
    let made = act();
    (ALLOCATIONS.with(Cell::get) - before, made)
}

const MATCHING: usize = 8;
const NOW: Timestamp = Timestamp(1_764_000_000_000);

/// So many offers for three placements of a page, of which the first and last few match whoever
/// has `tier` 0. All ask for two things that no table of the index knows.
fn workspace(count: usize) -> Workspace {
    let mut offers = String::new();
    for at in 0..count {
        let matches = at < MATCHING / 2 || at >= count - MATCHING / 2;
        let tier = if matches { 0 } else { 1 + at % 500 };
        let caps = r#"{"per": "person", "window": "day", "on": "impression", "max": 3}"#;
        let more = match at % 4 {
            0 => format!(r#""caps": [{caps}], "coolDown": "1d","#),
            1 => r#""experiment": "copy","#.to_owned(),
            2 => r#""rollout": 0.9,"#.to_owned(),
            _ => r#""exclusion": "one","#.to_owned(),
        };
        write!(
            offers,
            r#"{}"o{at:05}": {{"placements": ["a", "b", "c"], {more}
                "when": "profile.tier == {tier} && profile.name.contains('a')
                    && (profile.name.endsWith('a') || profile.tier > 7)",
                "content": {{"en": {{"headline": "Offer"}}}}}}"#,
            if at == 0 { "" } else { ", " },
        )
        .expect("a text takes everything");
    }
    let source = format!(
        r#"{{"format": 1, "languages": ["en"],
            "traits": {{"tier": {{"type": "int", "public": true}},
                "name": {{"type": "string", "public": true}}}},
            "placements": {{"a": {{"where": "page"}}, "b": {{"where": "page"}},
                "c": {{"where": "page"}}}},
            "experiments": {{"copy": {{"variants": ["plain", "warm"],
                "when": "profile.name.contains('a')"}}}},
            "holdouts": {{"nobody": {{"share": 0.2}}}},
            "offers": {{{offers}}}}}"#
    );
    let source = source.replace('\n', " ");
    selvedge::compile::workspace(&source)
        .unwrap_or_else(|why| panic!("{:?}", why.first()))
        .for_evaluator()
}

/// One person of whom the offers' conditions know something.
fn person(workspace: &Workspace, tier: i64, unit: usize) -> Resident {
    let slot = |path| workspace.rules.slot(path).expect("a trait that conditions read");
    let mut values = vec![
        (slot("profile.tier"), Value::Int(tier)),
        (slot("profile.name"), Value::String("Ada Lovelace, anna".into())),
    ];
    values.sort_by_key(|(slot, _)| *slot);
    let slice = Slice {
        workspace: workspace.version.clone(),
        expires: Timestamp(i64::MAX),
        allowed: PurposeSet::NONE.with(Purpose::Personalise),
        values,
        unit: Some(format!("person {unit}")),
        ..Slice::default()
    };
    let mut resident = Resident::new(workspace);
    assert!(resident.read(workspace, &slice.to_bytes()));
    resident
}

/// Decides a page; how many of its placements were won.
fn page(
    workspace: &Workspace,
    person: &mut Resident,
    work: &mut Work,
    taken: &mut Vec<u32>,
    mut trace: Option<&mut Trace>,
) -> usize {
    person.facts.set_now(&workspace.rules, NOW.0);
    let view = person.view();
    work.begin();
    taken.clear();
    for placement in &workspace.placements {
        let chosen: Option<Chosen> = match &mut trace {
            Some(trace) => {
                decide::choose_and_trace(workspace, &view, NOW, placement, taken, work, trace)
            }
            None => decide::choose(workspace, &view, NOW, placement, taken, work),
        };
        taken.extend(chosen.map(|chosen| chosen.offer));
    }
    taken.len()
}

#[test]
fn a_warm_decision_allocates_nothing() {
    let workspace = workspace(1_000);
    let mut people: Vec<Resident> =
        (0..50).map(|unit| person(&workspace, i64::from(unit % 5 != 0), unit)).collect();
    people.extend((50..100).map(|unit| person(&workspace, 0, unit)));
    let (mut work, mut taken, mut trace) = (Work::default(), Vec::new(), Trace::default());
    let mut all = || {
        let mut won = 0;
        for person in &mut people {
            won += page(&workspace, person, &mut work, &mut taken, None);
            won += page(&workspace, person, &mut work, &mut taken, Some(&mut trace));
        }
        won
    };
    let (cold, first) = allocations(&mut all);
    let (warm, second) = allocations(&mut all);
    assert!(cold > 0, "the allocator counts");
    assert_eq!(warm, 0, "allocations of 200 warm pages");
    assert!(first > 100 && first == second, "{first} placements were won, then {second}");
}

#[test]
fn no_predicate_is_evaluated_twice_for_a_page() {
    let workspace = workspace(1_000);
    let (mut work, mut taken, mut trace) = (Work::default(), Vec::new(), Trace::default());
    let (mut evaluated, mut won) = (0, 0);
    for unit in 0..50 {
        let mut person = person(&workspace, 0, unit);
        for with_reasons in [false, true] {
            let trace = with_reasons.then_some(&mut trace);
            won += page(&workspace, &mut person, &mut work, &mut taken, trace);
            let times = &work.tally().evaluated;
            assert!(times.iter().all(|times| *times <= 1), "{times:?}");
            evaluated += times.iter().sum::<u32>();
        }
    }
    assert!(evaluated > 0 && won > 0, "{evaluated} predicates, {won} placements were won");
}

#[test]
fn work_grows_with_the_offers_that_match_not_with_all() {
    let work_of = |count| {
        let workspace = workspace(count);
        let (mut work, mut taken, mut trace) = (Work::default(), Vec::new(), Trace::default());
        let mut person = person(&workspace, 0, 1);
        let mut done = Vec::new();
        for with_reasons in [false, true] {
            let trace = with_reasons.then_some(&mut trace);
            assert_eq!(page(&workspace, &mut person, &mut work, &mut taken, trace), 3);
            let tally = work.tally();
            done.push((tally.candidates, tally.evaluated.iter().sum::<u32>()));
        }
        done
    };
    let (few, many) = (work_of(1_000), work_of(10_000));
    assert_eq!(few, many, "candidates and predicates, without and with reasons");
    for (candidates, evaluated) in few {
        assert!((3..=MATCHING as u32).contains(&candidates), "{candidates} candidates");
        assert!((1..=3).contains(&evaluated), "{evaluated} predicates");
    }
}
