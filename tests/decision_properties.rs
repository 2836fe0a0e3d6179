//! Whole decisions against naive ones: made-up workspaces, people and questions; winner, variant,
//! content, exposures, audiences and every reason, at the edge and from the slice in a page. More
//! of them, and the same in Wasm, is what `cargo xtask test --only cases` compares.

mod decisions;
mod oracle;

use std::collections::BTreeMap;

use decisions::block::Block;
use decisions::compare::Tally;
use decisions::declared::{Arm, Declared, Experiment, Offer};
use decisions::json;
use oracle::{E, V};
use selvedge::consent::{Purpose, Region};
use selvedge::decide::{self, Trace, Work};
use selvedge::engine::{self, Circumstances, Desk, Input, Placements, Reply};
use selvedge::ids::Entropy;
use selvedge::replay::cases;
use selvedge::slice::Resident;
use selvedge::workspace::{Where, Workspace};

const CASES: usize = 2_000;

#[test]
fn the_engine_decides_as_the_naive_interpreter_does() {
    let mut tally = Tally::default();
    for seed in 1.. {
        if tally.cases >= CASES {
            break;
        }
        let block = Block::made_up(seed, &mut tally.refused);
        let answers = cases::run(&block.cases).unwrap();
        if let Err(why) = block.compare(&answers, &mut tally) {
            panic!("{why}");
        }
    }
    tally.check();
    println!("{}", tally.line());
}

/// A page asks for its placements in turn, and what the first found out serves the next; by the
/// index or without one.
#[test]
fn placements_of_one_page_are_decided_as_each_by_itself() {
    let (mut goes_on, mut won) = (0, 0);
    for seed in 1..=150 {
        let block = Block::made_up(seed, &mut 0);
        let workspace = Workspace::from_bytes(&block.cases.image).unwrap().for_page();
        let answers = cases::run(&block.cases).unwrap();
        for (case, answered) in block.cases.cases.iter().zip(&answers) {
            let mut resident = Resident::new(&workspace);
            assert!(resident.read(&workspace, &answered.slice));
            decide::set_request(&mut resident.facts, &workspace, &case.request, case.now);
            for (by_index, with_reasons) in
                [(true, false), (true, true), (false, false), (false, true)]
            {
                let (mut work, mut trace) = (Work::default(), Trace::default());
                let shown = answered.edge.decisions.iter().filter_map(|one| one.offer.as_ref());
                let shown = case.around.shown.iter().chain(shown);
                let mut taken: Vec<u32> = shown.filter_map(|key| workspace.shown_at(key)).collect();
                work.begin();
                let placements = workspace.placements.iter().zip(&answered.page_explained);
                for (placement, wanted) in placements {
                    let (view, now) = (resident.view(), case.now);
                    let (taken_now, work) = (taken.as_slice(), &mut work);
                    let chosen = if !by_index {
                        let trace = with_reasons.then_some(&mut trace);
                        decide::try_each(&workspace, &view, now, placement, taken_now, work, trace)
                    } else if with_reasons {
                        let trace = &mut trace;
                        decide::choose_and_trace(
                            &workspace, &view, now, placement, taken_now, work, trace,
                        )
                    } else {
                        decide::choose(&workspace, &view, now, placement, taken_now, work)
                    };
                    let offer = chosen.map(|one| workspace.offers.get(one.offer as usize).unwrap());
                    assert_eq!(offer.map(|offer| &offer.key), wanted.offer.as_ref(), "{seed}");
                    let variant = chosen
                        .and_then(|one| decide::variant_name(&workspace, offer?, one.variant));
                    assert_eq!(variant, wanted.variant.as_deref(), "{seed}");
                    let exposed = decide::exposed(&workspace, &view, chosen, work);
                    let exposed: Vec<_> = exposed
                        .iter()
                        .filter_map(|one| decide::exposure_names(&workspace, *one))
                        .collect();
                    let wanted_exposures: Vec<_> = wanted
                        .exposures
                        .iter()
                        .map(|one| (one.experiment.as_str(), one.variant.as_str()))
                        .collect();
                    assert_eq!(exposed, wanted_exposures, "{seed}");
                    if with_reasons {
                        let codes = wanted.trace.iter().map(|one| one.code.as_str());
                        assert!(trace.words().eq(codes), "{seed}");
                    }
                    won += usize::from(chosen.is_some());
                    taken.extend(chosen.map(|one| one.offer));
                }
                let mut groups: Vec<_> = workspace.placements.iter().map(|one| one.group).collect();
                groups.dedup();
                goes_on += workspace.placements.len() - groups.len();
            }
        }
    }
    assert!(goes_on > 0 && won > 0, "{goes_on} placements share their offers, {won} were won");
}

/// What one question leaves on the desk changes no answer to the next, whoever asks it and under
/// whatever workspace.
#[test]
fn a_desk_that_is_kept_gives_the_same_answers() {
    let (mut won, mut denied) = (0, 0);
    for seed in 1..=60 {
        let block = Block::made_up(seed, &mut 0);
        let other = Block::made_up(seed + 1_000, &mut 0);
        let workspaces = [&block, &other].map(|one| Workspace::from_bytes(&one.cases.image));
        let workspaces = workspaces.map(Result::unwrap);
        for (at, state) in block.cases.states.iter().enumerate() {
            let mut desk = Desk::default();
            let of_it = |case: &&cases::Case| case.state as usize == at;
            // Each by one workspace, by the other, by the first again, and once with an objection.
            for (nth, case) in block.cases.cases.iter().filter(of_it).enumerate() {
                for (workspace, objects) in [(0, false), (1, false), (0, true), (0, false)] {
                    let mut speaker = case.speaker.clone();
                    speaker.signals.gpc = objects;
                    if objects {
                        speaker.signals.region = Region::new("US", "CA");
                    }
                    let mut around = case.around.clone();
                    if workspace == 1 {
                        // What is known by index is known of one workspace.
                        around = Circumstances { shown: around.shown, ..<_>::default() };
                    }
                    let request = case.request.clone();
                    let question = if nth % 2 == 0 {
                        let placements = Placements::Every(Where::Edge);
                        Input::Decide { speaker, placements, request, trace: objects }
                    } else {
                        Input::Slice { speaker, request }
                    };
                    let input = Input::Under { circumstances: around, question: question.into() };
                    let workspace = &workspaces[workspace];
                    let kept = engine::ask(state, &mut desk, workspace, case.now, &input).unwrap();
                    let (mut state, entropy) = (state.clone(), Entropy::new([0; 32]));
                    let output = engine::handle(&mut state, workspace, case.now, entropy, input);
                    // As texts, in which one NaN is as another.
                    let [text, wanted] = [&kept, &output.reply].map(|reply| format!("{reply:?}"));
                    assert_eq!(text, wanted, "{seed}");
                    if let Reply::Decisions(page) = kept {
                        let personal = page.consent.effective.allowed().has(Purpose::Personalise);
                        denied += usize::from(!personal);
                        won += page.decisions.iter().filter(|one| one.offer.is_some()).count();
                    }
                }
            }
        }
    }
    assert!(won > 0 && denied > 0, "{won} were won, {denied} times nothing was let in");
}

type Bug = fn(&mut Declared);

fn offers(declared: &mut Declared, change: fn(&mut Offer)) {
    declared.offers.values_mut().for_each(change);
}

fn experiments(declared: &mut Declared, change: fn(&mut Experiment)) {
    declared.experiments.values_mut().for_each(change);
}

/// What an engine may get wrong, as a workspace that it would be right for.
const BUGS: [(&str, Bug); 31] = [
    ("asks for no purpose of its own", |d| {
        offers(d, |o| o.purpose = o.purpose.map(|_| "store"));
    }),
    ("asks for no assurance", |d| offers(d, |o| o.assurance = 0)),
    ("takes recognised for authenticated", |d| offers(d, |o| o.assurance = o.assurance.min(1))),
    ("holds nobody out", |d| d.holdouts.clear()),
    ("holds out from everything", |d| d.holdouts.values_mut().for_each(|h| h.offers = None)),
    ("takes every condition for true", |d| offers(d, |o| o.when = None)),
    ("takes an audience for everybody", |d| d.audiences.fill(E::Literal(V::Bool(true)))),
    ("rolls out to all", |d| offers(d, |o| o.rollout = None)),
    ("rolls out by another seed", |d| {
        offers(d, |o| o.rollout = o.rollout.map(|(part, _)| (part, None)));
    }),
    ("knows no schedule", |d| offers(d, |o| o.schedule = None)),
    ("never ends a schedule", |d| {
        offers(d, |o| o.schedule.iter_mut().for_each(|s| s.until = None));
    }),
    ("knows no weekly window", |d| {
        offers(d, |o| o.schedule.iter_mut().for_each(|s| s.weekly.clear()));
    }),
    ("takes every zone for UTC", |d| {
        offers(d, |o| {
            let weekly = o.schedule.iter_mut().filter(|s| !s.weekly.is_empty());
            weekly.for_each(|s| s.zone = None);
        });
    }),
    ("never cools down", |d| offers(d, |o| o.cool_down_hours = None)),
    ("cools down an hour longer", |d| {
        offers(d, |o| o.cool_down_hours = o.cool_down_hours.map(|hours| hours + 1));
    }),
    ("knows no cap", |d| offers(d, |o| o.caps.clear())),
    ("counts one contact too few", |d| {
        offers(d, |o| o.caps.iter_mut().for_each(|cap| cap.max += 1));
    }),
    ("counts all devices", |d| {
        offers(d, |o| o.caps.iter_mut().for_each(|cap| cap.per_device = false));
    }),
    ("takes a session for a day", |d| {
        let session = |o: &mut Offer| {
            let caps = o.caps.iter_mut().filter(|cap| cap.window == "session");
            caps.for_each(|cap| cap.window = "day");
        };
        offers(d, session);
    }),
    ("shows offers twice on a page", |d| offers(d, |o| o.repeats = true)),
    ("excludes nothing", |d| offers(d, |o| o.exclusion = None)),
    ("shows the control", |d| {
        offers(d, |o| {
            let arms = o.experiment.iter_mut().map(|(_, arms)| arms);
            arms.for_each(|arms| arms.retain(|_, arm| !matches!(arm, Arm::Nothing)));
        });
    }),
    ("shows every variant alike", |d| {
        offers(d, |o| o.experiment.iter_mut().for_each(|(_, arms)| *arms = BTreeMap::new()));
    }),
    ("weighs variants alike", |d| experiments(d, |e| e.weights = None)),
    ("covers everybody", |d| experiments(d, |e| e.coverage = None)),
    ("lets everybody into a namespace", |d| experiments(d, |e| e.namespace = None)),
    ("asks for no prerequisite", |d| experiments(d, |e| e.prerequisite = None)),
    ("experiments with everybody", |d| experiments(d, |e| e.when = None)),
    ("knows no priority", |d| offers(d, |o| o.priority = 0)),
    ("ranks by priority alone", |d| offers(d, |o| o.rank = None)),
    ("falls back to nothing", |d| offers(d, |o| o.fallback = None)),
];

/// A comparison that finds nothing shows nothing: each of these bugs must be found, and soon.
#[test]
fn every_planted_bug_is_found() {
    let blocks: Vec<Block> = (1..=120).map(|seed| Block::made_up(seed, &mut 0)).collect();
    for (name, bug) in BUGS {
        let found = blocks.iter().any(|block| {
            let mut declared = block.declared.clone();
            bug(&mut declared);
            let wrong = selvedge::compile::workspace(&json::workspace(&declared)).unwrap();
            let cases = Block::ask(&wrong, &block.people, &block.questions);
            let answers = cases::run(&cases).unwrap();
            block.compare(&answers, &mut Tally::default()).is_err()
        });
        assert!(found, "an engine that {name} is not noticed");
    }
}
