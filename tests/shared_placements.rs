//! Placements of one page with the same offers: what the first found out serves the next, and no
//! reason is another for it.

use selvedge::consent::{Purpose, PurposeSet};
use selvedge::decide::{self, Request, Trace, Work};
use selvedge::rule::Value;
use selvedge::slice::{Resident, Slice};
use selvedge::time::Timestamp;
use selvedge::workspace::Workspace;

const NOW: Timestamp = Timestamp(1_764_000_000_000);
const PLACEMENTS: usize = 5;

/// A linear congruential generator: the same seed makes the same workspace.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) % end
    }

    fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}

/// A made-up workspace; or why it was refused, as one whose fallbacks go in circles is.
fn workspace(dice: &mut Dice) -> Result<Workspace, Option<String>> {
    let ranked = dice.once_in(3);
    let offers: Vec<String> = (0..12)
        .map(|at| {
            let mut one = format!(r#""o{at:02}": {{"placements": ["a", "b", "c", "d", "e"]"#);
            let mut put = |field: String| {
                one += ", ";
                one += &field;
            };
            put(format!(r#""priority": {}"#, dice.below(3)));
            if dice.once_in(3) {
                put(format!(r#""exclusion": "g{}""#, dice.below(2)));
            }
            if dice.once_in(6) {
                put(r#""repeats": true"#.into());
            }
            if dice.once_in(4) {
                put(r#""experiment": "copy", "variants": {"nothing": null}"#.into());
            }
            if dice.once_in(4) {
                put(r#""rollout": 0.5"#.into());
            }
            if dice.once_in(4) {
                put(r#""schedule": {"from": "2099-01-01T00:00:00Z"}"#.into());
                put(format!(r#""fallback": "o{:02}""#, at / 2 + 6).replace("o12", "o11"));
            }
            if dice.once_in(3) {
                put(format!(r#""when": "profile.points > {}""#, dice.below(6)));
            }
            if ranked && dice.once_in(2) {
                put(format!(r#""rank": "double(profile.points * {})""#, dice.below(4)));
            }
            one + r#", "content": {"en": {"headline": "Offer"}}}"#
        })
        .collect();
    let source = format!(
        r#"{{"format": 1, "languages": ["en"], "traits": {{"points": {{"type": "int"}}}},
            "placements": {{"a": {{}}, "b": {{}}, "c": {{}}, "d": {{}}, "e": {{}}}},
            "experiments": {{"copy": {{"variants": ["nothing", "warm"]}}}},
            "holdouts": {{"some": {{"share": 0.2}}}},
            "offers": {{{}}}}}"#,
        offers.join(", ")
    );
    selvedge::compile::workspace(&source).map_err(|why| why.first().map(|one| one.code.to_string()))
}

fn person(workspace: &Workspace, points: i64) -> Resident {
    let slot = workspace.rules.slot("profile.points");
    let slice = Slice {
        workspace: workspace.version.clone(),
        expires: Timestamp(i64::MAX),
        allowed: PurposeSet::NONE.with(Purpose::Personalise),
        values: slot.map(|slot| (slot, Value::Int(points))).into_iter().collect(),
        unit: Some(format!("person {points}")),
        ..Slice::default()
    };
    let mut resident = Resident::new(workspace);
    assert!(resident.read(workspace, &slice.to_bytes()));
    resident
}

#[test]
fn each_is_decided_and_explained_as_by_itself() {
    let mut codes = std::collections::BTreeMap::new();
    let (mut pages, mut refused) = (0, 0);
    for seed in 1..=400 {
        let workspace = match workspace(&mut Dice(seed)) {
            Ok(workspace) => workspace,
            Err(why) => {
                assert_eq!(why.as_deref(), Some("cyclic_fallback"));
                refused += 1;
                continue;
            }
        };
        let shares =
            workspace.placements.iter().all(|one| one.group == workspace.placements[0].group);
        assert!(shares && workspace.placements.len() == PLACEMENTS);
        for points in 0..6 {
            let resident = person(&workspace, points);
            let view = resident.view();
            let (mut work, mut trace) = (Work::default(), Trace::default());
            let (mut taken, mut keys) = (Vec::new(), Vec::<String>::new());
            work.begin();
            for placement in &workspace.placements {
                let chosen = decide::choose_and_trace(
                    &workspace, &view, NOW, placement, &taken, &mut work, &mut trace,
                );
                let request = Request::default();
                let name = &placement.name;
                let wanted = decide::decide(&workspace, &view, &request, NOW, name, &keys, true);
                let offer =
                    chosen.map(|one| &workspace.offers.get(one.offer as usize).unwrap().key);
                assert_eq!(offer, wanted.offer.as_ref(), "seed {seed}, {name}");
                let words: Vec<_> = wanted.trace.iter().map(|one| one.code.as_str()).collect();
                assert!(trace.words().eq(words.iter().copied()), "seed {seed}, {name}: {words:?}");
                for word in trace.words() {
                    *codes.entry(word).or_insert(0) += 1;
                }
                taken.extend(chosen.map(|one| one.offer));
                keys.extend(offer.cloned());
            }
            pages += 1;
        }
    }
    for word in ["won", "outranked", "on_page_already", "excluded", "control_variant", "held_out"] {
        assert!(codes.get(word).is_some_and(|count| *count > 50), "{word} of {codes:?}");
    }
    assert!(pages > 600, "{pages} pages, {refused} workspaces refused");
}
