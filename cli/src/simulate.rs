//! `selvedge simulate`: over many profiles, which offers reach whom, which win, which stand in each
//! other's way, and which never appear. It must never decide otherwise than `decide` does.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use selvedge::decide::{Decision, OfferTrace};
use selvedge::workspace::{Placement, Where, Workspace};
use serde_json::{Value, json};

use crate::args::Trial;
use crate::crowd::{self, Crowd, Example, Tally, Watch};
use crate::problem::Outcome;
use crate::profile::{Overrides, Visitor};
use crate::show::percent;
use crate::story::Stage;
use crate::{check, deciding};

/// Of a placement's offers the first this many by rank are looked at in pairs: the table of pairs
/// grows with the square.
const OVERLAP_OFFERS: usize = 128;
/// Pairs that are told, the most frequent first.
const PAIRS_SHOWN: usize = 10;
const PAIRS_TOLD: usize = 100;
/// Offers that are named as better ones.
const BETTER_SHOWN: usize = 3;

/// What an offer that passes every step of its own may still lose to: other offers.
const ELIGIBLE: [&str; 4] = ["won", "outranked", "on_page_already", "excluded"];

/// Counts, and tells; false where a line holds no profile.
pub fn run(path: &Path, profiles: &Path, trial: &Trial, as_json: bool) -> Outcome<bool> {
    let overrides = Overrides::new(trial.now.as_deref(), &trial.request, deciding::clock())?;
    let Some(workspace) = check::workspace(path, as_json)? else { return Ok(false) };
    crowd::check_placements(&trial.placement, &[&workspace])?;
    let watch = Simulation { workspace: &workspace, named: &trial.placement };
    let crowd = crowd::walk(profiles, &overrides, as_json, &watch)?;
    let mut out = BufWriter::new(io::stdout().lock());
    if as_json {
        writeln!(out, "{}", to_json(&crowd, &workspace))?;
    } else {
        crowd.report();
        text(&mut out, &crowd, &workspace)?;
    }
    out.flush()?;
    Ok(crowd.refused == 0)
}

struct Simulation<'a> {
    workspace: &'a Workspace,
    named: &'a [String],
}

/// Counts per placement, by name.
type Placements = BTreeMap<String, Placed>;

impl Watch for Simulation<'_> {
    type Tally = Placements;

    fn empty(&self) -> Placements {
        let asked = |one: &&Placement| self.named.is_empty() || self.named.contains(&one.name);
        let placements = self.workspace.placements.iter().filter(asked);
        placements.map(|one| (one.name.clone(), Placed::new(self.workspace, one))).collect()
    }

    fn look(&self, tally: &mut Placements, _: &Example, seen: &Visitor) -> Outcome<Vec<String>> {
        let mut stage = Stage::set(self.workspace, seen)?;
        let decisions = stage.decisions(seen, self.named, true)?;
        for (at, decision) in decisions.iter().enumerate() {
            if let Some(placed) = tally.get_mut(&decision.placement) {
                placed.count(self.workspace, decision, decisions.get(..at).unwrap_or_default());
            }
        }
        Ok(stage.notes)
    }
}

impl Tally for Placements {
    fn join(&mut self, other: Self) {
        for (name, placed) in other {
            if let Some(known) = self.get_mut(&name) {
                known.join(placed);
            }
        }
    }
}

/// Counts of one placement.
struct Placed {
    at: Where,
    decided: u64,
    shown: u64,
    /// By rank.
    offers: Vec<Offered>,
    /// How often two of the first offers were eligible together: a square, its upper half used.
    pairs: Vec<u32>,
}

/// Counts of one offer in one placement.
#[derive(Default)]
struct Offered {
    key: String,
    eligible: u64,
    won: u64,
    /// Which offers it lost to, while eligible.
    beaten_by: BTreeMap<String, u64>,
    /// Where it failed first; few, since the sentences name no one.
    failed: Vec<Failed>,
}

#[derive(Clone)]
struct Failed {
    code: String,
    sentence: String,
    count: u64,
}

impl Placed {
    fn new(workspace: &Workspace, placement: &Placement) -> Self {
        let offers = placement.offers.iter().filter_map(|at| usize::try_from(*at).ok());
        let offers: Vec<Offered> = offers
            .filter_map(|at| workspace.offers.get(at))
            .map(|offer| Offered { key: offer.key.clone(), ..Offered::default() })
            .collect();
        let side = offers.len().min(OVERLAP_OFFERS);
        let pairs = vec![0; side.saturating_mul(side)];
        Self { at: placement.at, decided: 0, shown: 0, offers, pairs }
    }

    fn side(&self) -> usize {
        self.offers.len().min(OVERLAP_OFFERS)
    }

    fn count(&mut self, workspace: &Workspace, decision: &Decision, before: &[Decision]) {
        self.decided = self.decided.saturating_add(1);
        if decision.offer.is_some() {
            self.shown = self.shown.saturating_add(1);
        }
        let mut together = Vec::new();
        for (place, one) in decision.trace.iter().enumerate() {
            // The trace has the placement's offers in their order.
            let Some(offered) = self.offers.get_mut(place).filter(|known| known.key == one.offer)
            else {
                continue;
            };
            if !ELIGIBLE.contains(&one.code.as_str()) {
                offered.fail(one);
                continue;
            }
            together.push(place);
            offered.eligible = offered.eligible.saturating_add(1);
            match one.code.as_str() {
                "won" => offered.won = offered.won.saturating_add(1),
                "outranked" => offered.lose(decision.offer.as_deref()),
                "excluded" => offered.lose(excluding(workspace, &one.offer, before)),
                _ => {}
            }
        }
        let side = self.side();
        let together: Vec<usize> = together.into_iter().filter(|at| *at < side).collect();
        for (nth, first) in together.iter().enumerate() {
            for second in together.iter().skip(nth.saturating_add(1)) {
                let place = first.saturating_mul(side).saturating_add(*second);
                if let Some(count) = self.pairs.get_mut(place) {
                    *count = count.saturating_add(1);
                }
            }
        }
    }

    fn join(&mut self, other: Self) {
        self.decided = self.decided.saturating_add(other.decided);
        self.shown = self.shown.saturating_add(other.shown);
        for (known, more) in self.offers.iter_mut().zip(other.offers) {
            known.join(more);
        }
        for (known, more) in self.pairs.iter_mut().zip(other.pairs) {
            *known = known.saturating_add(more);
        }
    }

    /// The pairs that are most often eligible together.
    fn overlaps(&self) -> Vec<(&str, &str, u32)> {
        let side = self.side().max(1);
        let name = |at: usize| self.offers.get(at).map_or("", |offered| offered.key.as_str());
        let counts = self.pairs.iter().enumerate().filter(|(_, count)| **count > 0);
        let mut pairs: Vec<_> =
            counts.map(|(place, count)| (name(place / side), name(place % side), *count)).collect();
        pairs.sort_by_key(|(first, second, count)| (core::cmp::Reverse(*count), *first, *second));
        pairs.truncate(PAIRS_TOLD);
        pairs
    }
}

/// Which offer of an earlier placement excludes another of its group.
fn excluding<'a>(workspace: &Workspace, key: &str, before: &'a [Decision]) -> Option<&'a str> {
    let group = workspace.offer(key)?.exclusion.as_ref()?;
    let shown = before.iter().filter_map(|decision| decision.offer.as_deref());
    shown.filter(|other| *other != key).find(|other| {
        workspace.offer(other).is_some_and(|other| other.exclusion.as_ref() == Some(group))
    })
}

impl Offered {
    fn lose(&mut self, to: Option<&str>) {
        let Some(better) = to else { return };
        match self.beaten_by.get_mut(better) {
            Some(count) => *count = count.saturating_add(1),
            None => {
                self.beaten_by.insert(better.to_owned(), 1);
            }
        }
    }

    fn fail(&mut self, one: &OfferTrace) {
        let same = |known: &&mut Failed| known.code == one.code && known.sentence == one.sentence;
        match self.failed.iter_mut().find(same) {
            Some(known) => known.count = known.count.saturating_add(1),
            None => self.failed.push(Failed {
                code: one.code.clone(),
                sentence: one.sentence.clone(),
                count: 1,
            }),
        }
    }

    fn join(&mut self, other: Self) {
        self.eligible = self.eligible.saturating_add(other.eligible);
        self.won = self.won.saturating_add(other.won);
        for (better, count) in other.beaten_by {
            let known = self.beaten_by.entry(better).or_default();
            *known = known.saturating_add(count);
        }
        for more in other.failed {
            let same =
                |known: &&mut Failed| known.code == more.code && known.sentence == more.sentence;
            match self.failed.iter_mut().find(same) {
                Some(known) => known.count = known.count.saturating_add(more.count),
                None => self.failed.push(more),
            }
        }
    }

    /// The offers that it loses to, the most frequent first.
    fn better(&self) -> Vec<(&str, u64)> {
        let all = self.beaten_by.iter().map(|(key, count)| (key.as_str(), *count));
        let mut all: Vec<_> = all.collect();
        all.sort_by_key(|(key, count)| (core::cmp::Reverse(*count), *key));
        all
    }

    /// Where it fails first, the most frequent first.
    fn reasons(&self) -> Vec<&Failed> {
        let mut all: Vec<&Failed> = self.failed.iter().collect();
        all.sort_by(|one, other| {
            let of = |failed: &Failed| (failed.code.clone(), failed.sentence.clone());
            other.count.cmp(&one.count).then_with(|| of(one).cmp(&of(other)))
        });
        all
    }
}

/// The offers that nobody saw, over all placements: shadowed ones, which somebody was eligible for,
/// and unreachable ones.
fn unseen(placements: &Placements) -> (Vec<Offered>, Vec<Offered>) {
    let mut sums: BTreeMap<String, Offered> = BTreeMap::new();
    for offered in placements.values().flat_map(|placed| &placed.offers) {
        let key = offered.key.clone();
        let sum = sums.entry(key.clone()).or_insert(Offered { key, ..Offered::default() });
        sum.join(Offered {
            key: String::new(),
            eligible: offered.eligible,
            won: offered.won,
            beaten_by: offered.beaten_by.clone(),
            failed: offered.failed.clone(),
        });
    }
    sums.into_values().filter(|sum| sum.won == 0).partition(|sum| sum.eligible > 0)
}

fn word(at: Where) -> &'static str {
    match at {
        Where::Edge => "edge",
        Where::Page => "page",
    }
}

/// A part of a whole, with four decimals.
fn share(part: u64, whole: u64) -> f64 {
    let tenths = part.saturating_mul(10_000).checked_div(whole).unwrap_or(0);
    f64::from(u32::try_from(tenths).unwrap_or(u32::MAX)) / 10_000.0
}

fn to_json(crowd: &Crowd<Placements>, workspace: &Workspace) -> Value {
    let better = |offered: &Offered| {
        let better = offered.better().into_iter();
        better.map(|(offer, count)| json!({ "offer": offer, "count": count })).collect::<Value>()
    };
    let reasons = |offered: &Offered| {
        let entry = |failed: &Failed| {
            let Failed { code, sentence, count } = failed;
            json!({ "code": code, "sentence": sentence, "count": count })
        };
        offered.reasons().into_iter().map(entry).collect::<Value>()
    };
    let offer = |offered: &Offered, placed: &Placed| {
        json!({
            "offer": offered.key,
            "eligible": offered.eligible,
            "reach": share(offered.eligible, placed.decided),
            "won": offered.won,
            "share": share(offered.won, placed.decided),
            "beatenBy": better(offered),
            "reasons": reasons(offered),
        })
    };
    let placement = |(name, placed): (&String, &Placed)| {
        let pair = |(first, second, count): (&str, &str, u32)| {
            let offers = [first, second];
            json!({ "offers": offers, "count": count })
        };
        json!({
            "placement": name,
            "where": word(placed.at),
            "decided": placed.decided,
            "shown": placed.shown,
            "offers": placed.offers.iter().map(|one| offer(one, placed)).collect::<Value>(),
            "overlaps": placed.overlaps().into_iter().map(pair).collect::<Value>(),
            "overlapsAmong": placed.side(),
        })
    };
    let (shadowed, unreachable) = unseen(&crowd.tally);
    let shadow = |one: &Offered| {
        let Offered { key, eligible, .. } = one;
        json!({ "offer": key, "eligible": eligible, "beatenBy": better(one) })
    };
    let lost = |one: &Offered| json!({ "offer": one.key, "reasons": reasons(one) });
    let mut answer = crowd.fields();
    if let Some(fields) = answer.as_object_mut() {
        let placements = crowd.tally.iter().map(placement).collect();
        fields.insert("workspace".to_owned(), json!(workspace.version));
        fields.insert("placements".to_owned(), placements);
        fields.insert("shadowed".to_owned(), shadowed.iter().map(shadow).collect());
        fields.insert("unreachable".to_owned(), unreachable.iter().map(lost).collect());
    }
    answer
}

fn text(out: &mut dyn Write, crowd: &Crowd<Placements>, workspace: &Workspace) -> io::Result<()> {
    writeln!(out, "{} profiles, workspace {}", crowd.profiles, workspace.version)?;
    for (name, placed) in &crowd.tally {
        placement(out, name, placed)?;
    }
    let (shadowed, unreachable) = unseen(&crowd.tally);
    if !shadowed.is_empty() {
        writeln!(out, "\nshadowed: somebody is eligible, and nobody is shown them")?;
    }
    for one in &shadowed {
        write!(out, "  {}: eligible {} times", one.key, one.eligible)?;
        let better = better(one);
        writeln!(out, "{}{better}", if better.is_empty() { "" } else { "; loses to " })?;
    }
    if !unreachable.is_empty() && crowd.profiles > 0 {
        writeln!(out, "\nunreachable: nobody is eligible")?;
        for one in &unreachable {
            let Some(first) = one.reasons().first().copied().cloned() else { continue };
            let all = one.failed.iter().fold(0_u64, |sum, one| sum.saturating_add(one.count));
            let often = percent(first.count, all);
            writeln!(out, "  {}: {} ({}, {often})", one.key, first.sentence, first.code)?;
        }
    }
    Ok(())
}

fn better(offered: &Offered) -> String {
    let better = offered.better();
    let mut told: Vec<String> =
        better.iter().take(BETTER_SHOWN).map(|(key, count)| format!("{key} {count}")).collect();
    if better.len() > BETTER_SHOWN {
        told.push(format!("and {} more", better.len().saturating_sub(BETTER_SHOWN)));
    }
    told.join(", ")
}

fn placement(out: &mut dyn Write, name: &str, placed: &Placed) -> io::Result<()> {
    let Placed { decided, shown, .. } = *placed;
    let part = percent(shown, decided);
    writeln!(out, "\n{name} ({}): an offer for {shown} ({part})", word(placed.at))?;
    let names = placed.offers.iter().map(|one| one.key.chars().count());
    let width = names.max().unwrap_or(0).max("offer".len());
    writeln!(
        out,
        "  {:width$}  {:>9} {:>7}  {:>9} {:>7}  loses to",
        "offer", "eligible", "reach", "won", "share"
    )?;
    for one in &placed.offers {
        let (reach, part) = (percent(one.eligible, decided), percent(one.won, decided));
        let line = format!(
            "  {:width$}  {:>9} {reach:>7}  {:>9} {part:>7}  {}",
            one.key,
            one.eligible,
            one.won,
            better(one)
        );
        writeln!(out, "{}", line.trim_end())?;
    }
    let pairs = placed.overlaps();
    if pairs.is_empty() {
        return Ok(());
    }
    match placed.offers.len() > OVERLAP_OFFERS {
        true => writeln!(out, "  eligible together, of the first {OVERLAP_OFFERS} by rank:")?,
        false => writeln!(out, "  eligible together:")?,
    }
    for (first, second, count) in pairs.iter().take(PAIRS_SHOWN) {
        let part = percent(u64::from(*count), decided);
        writeln!(out, "    {first} + {second}: {count} ({part})")?;
    }
    Ok(())
}
