//! `selvedge diff`: whose decision changes between two workspaces, before the second is published.
//! It must never say that nothing changes where a line could not be looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

use selvedge::decide::Decision;
use selvedge::workspace::Workspace;
use serde_json::{Value, json};

use crate::args::Trial;
use crate::crowd::{self, Crowd, Example, Tally, Watch};
use crate::problem::Outcome;
use crate::profile::{Overrides, Visitor};
use crate::story::Stage;
use crate::{check, deciding, show};

/// Somebody's decision changes.
const CHANGED: u8 = 3;
/// Profiles that are named for each change; the first of the file.
const EXAMPLES: usize = 5;
/// Kinds of change that are counted apart in one placement, by name; the rest is counted together.
const KINDS: usize = 20_000;
/// Kinds of change that people are shown of one placement.
const KINDS_SHOWN: usize = 20;

/// Compares, and tells. Exit codes: 0 nothing changes, 3 something does, 1 something is wrong.
pub fn run(paths: [&Path; 2], profiles: &Path, trial: &Trial, as_json: bool) -> Outcome<ExitCode> {
    let overrides = Overrides::new(trial.now.as_deref(), &trial.request, deciding::clock())?;
    let [before, after] = paths;
    let (Some(before), Some(after)) =
        (check::workspace(before, as_json)?, check::workspace(after, as_json)?)
    else {
        return Ok(ExitCode::from(1));
    };
    crowd::check_placements(&trial.placement, &[&before, &after])?;
    let of = |workspace| Side::new(workspace, &trial.placement);
    let comparison = Comparison { before: of(&before), after: of(&after) };
    let crowd = crowd::walk(profiles, &overrides, as_json, &comparison)?;
    let mut out = BufWriter::new(io::stdout().lock());
    if as_json {
        writeln!(out, "{}", to_json(&crowd, &comparison))?;
    } else {
        crowd.report();
        text(&mut out, &crowd, &comparison)?;
    }
    out.flush()?;
    Ok(match (crowd.refused, crowd.tally.changed) {
        (0, 0) => ExitCode::SUCCESS,
        (0, _) => ExitCode::from(CHANGED),
        _ => ExitCode::from(1),
    })
}

/// One of the two workspaces, and what is asked of it.
struct Side<'a> {
    workspace: &'a Workspace,
    /// Those of the named placements that it has; empty asks for all.
    named: Vec<String>,
    /// None of the named ones is there.
    silent: bool,
}

impl<'a> Side<'a> {
    fn new(workspace: &'a Workspace, named: &[String]) -> Self {
        let has = |name: &&String| workspace.placement(name).is_some();
        let here: Vec<String> = named.iter().filter(has).cloned().collect();
        Self { workspace, silent: here.is_empty() && !named.is_empty(), named: here }
    }

    fn decide(&self, seen: &Visitor, notes: &mut Vec<String>) -> Outcome<Vec<Decision>> {
        if self.silent {
            return Ok(Vec::new());
        }
        let mut stage = Stage::set(self.workspace, seen)?;
        let decisions = stage.decisions(seen, &self.named, false)?;
        notes.append(&mut stage.notes);
        Ok(decisions)
    }
}

struct Comparison<'a> {
    before: Side<'a>,
    after: Side<'a>,
}

/// What a placement shows somebody.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Shown {
    /// The workspace has no such placement.
    NoPlacement,
    NoOffer,
    Offer(String, Option<String>),
}

impl Shown {
    fn of(decision: Option<&Decision>) -> Self {
        match decision {
            None => Self::NoPlacement,
            Some(decision) => match &decision.offer {
                None => Self::NoOffer,
                Some(offer) => Self::Offer(offer.clone(), decision.variant.clone()),
            },
        }
    }

    fn to_json(&self) -> Value {
        match self {
            Self::NoPlacement => json!({ "placement": false }),
            Self::NoOffer => json!({ "offer": null }),
            Self::Offer(offer, None) => json!({ "offer": offer }),
            Self::Offer(offer, Some(variant)) => json!({ "offer": offer, "variant": variant }),
        }
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPlacement => f.write_str("(no placement)"),
            Self::NoOffer => f.write_str("(no offer)"),
            Self::Offer(offer, None) => f.write_str(offer),
            Self::Offer(offer, Some(variant)) => write!(f, "{offer}:{variant}"),
        }
    }
}

/// From what to what; the same twice where only the words change.
type Kind = (Shown, Shown);

#[derive(Default)]
struct Changes {
    /// Profiles with any change.
    changed: u64,
    placements: BTreeMap<String, Changed>,
}

/// Changes in one placement.
#[derive(Default)]
struct Changed {
    unchanged: u64,
    /// Another offer or variant, or none, or one where none was.
    changed: u64,
    /// The same offer with another content.
    reworded: u64,
    kinds: BTreeMap<Kind, Counted>,
}

#[derive(Default)]
struct Counted {
    count: u64,
    examples: BTreeSet<Example>,
}

impl Counted {
    fn join(&mut self, other: Self) {
        self.count = self.count.saturating_add(other.count);
        self.examples.extend(other.examples);
        while self.examples.len() > EXAMPLES {
            self.examples.pop_last();
        }
    }
}

impl Changed {
    fn add(&mut self, kind: Kind, counted: Counted) {
        self.kinds.entry(kind).or_default().join(counted);
        // What is dropped is the last by name and never comes back, whoever counts.
        if self.kinds.len() > KINDS {
            self.kinds.pop_last();
        }
    }

    fn compare(&mut self, old: Option<&Decision>, new: Option<&Decision>, who: &Example) -> bool {
        let kind = (Shown::of(old), Shown::of(new));
        let said =
            |one: Option<&Decision>| one.map(|one| (one.content.clone(), one.language.clone()));
        let count = if kind.0 != kind.1 {
            &mut self.changed
        } else if said(old) != said(new) {
            &mut self.reworded
        } else {
            self.unchanged = self.unchanged.saturating_add(1);
            return false;
        };
        *count = count.saturating_add(1);
        self.add(kind, Counted { count: 1, examples: BTreeSet::from([who.clone()]) });
        true
    }

    /// The kinds, the most frequent first.
    fn sorted(&self) -> Vec<(&Kind, &Counted)> {
        let mut all: Vec<_> = self.kinds.iter().collect();
        all.sort_by_key(|(kind, counted)| (core::cmp::Reverse(counted.count), *kind));
        all
    }
}

impl Tally for Changes {
    fn join(&mut self, other: Self) {
        self.changed = self.changed.saturating_add(other.changed);
        for (name, more) in other.placements {
            let known = self.placements.entry(name).or_default();
            known.unchanged = known.unchanged.saturating_add(more.unchanged);
            known.changed = known.changed.saturating_add(more.changed);
            known.reworded = known.reworded.saturating_add(more.reworded);
            for (kind, counted) in more.kinds {
                known.add(kind, counted);
            }
        }
    }
}

impl Watch for Comparison<'_> {
    type Tally = Changes;

    fn empty(&self) -> Changes {
        Changes::default()
    }

    fn look(&self, tally: &mut Changes, who: &Example, seen: &Visitor) -> Outcome<Vec<String>> {
        let mut notes = Vec::new();
        let old = self.before.decide(seen, &mut notes)?;
        let new = self.after.decide(seen, &mut notes)?;
        let of = |all: &[Decision]| -> BTreeSet<String> {
            all.iter().map(|one| one.placement.clone()).collect()
        };
        let mut differs = false;
        for name in of(&old).union(&of(&new)) {
            let find = |all: &'_ [Decision]| all.iter().position(|one| one.placement == *name);
            let (was, is) = (find(&old), find(&new));
            let (was, is) = (was.and_then(|at| old.get(at)), is.and_then(|at| new.get(at)));
            differs |= tally.placements.entry(name.clone()).or_default().compare(was, is, who);
        }
        if differs {
            tally.changed = tally.changed.saturating_add(1);
        }
        Ok(notes)
    }
}

fn to_json(crowd: &Crowd<Changes>, comparison: &Comparison<'_>) -> Value {
    let kind = |(kind, counted): (&Kind, &Counted)| {
        let examples = counted.examples.iter();
        json!({
            "from": kind.0.to_json(),
            "to": kind.1.to_json(),
            "count": counted.count,
            "examples": examples
                .map(|one| json!({ "line": one.line, "id": one.id }))
                .collect::<Value>(),
        })
    };
    let placement = |(name, changed): (&String, &Changed)| {
        json!({
            "placement": name,
            "unchanged": changed.unchanged,
            "changed": changed.changed,
            "reworded": changed.reworded,
            "changes": changed.sorted().into_iter().map(kind).collect::<Value>(),
        })
    };
    let mut answer = crowd.fields();
    if let Some(fields) = answer.as_object_mut() {
        let placements = crowd.tally.placements.iter().map(placement).collect();
        fields.insert("before".to_owned(), json!(comparison.before.workspace.version));
        fields.insert("after".to_owned(), json!(comparison.after.workspace.version));
        fields.insert("changed".to_owned(), json!(crowd.tally.changed));
        fields.insert("placements".to_owned(), placements);
    }
    answer
}

fn text(
    out: &mut dyn Write,
    crowd: &Crowd<Changes>,
    comparison: &Comparison<'_>,
) -> io::Result<()> {
    let Crowd { profiles, tally, .. } = crowd;
    let versions = (&comparison.before.workspace.version, &comparison.after.workspace.version);
    let part = show::percent(tally.changed, *profiles);
    writeln!(out, "workspace {} -> {}", versions.0, versions.1)?;
    writeln!(out, "{profiles} profiles: the decisions of {} change ({part})", tally.changed)?;
    for (name, changed) in &tally.placements {
        let Changed { unchanged, changed: other, reworded, .. } = changed;
        writeln!(out, "\n{name}: {other} changed, {reworded} reworded, {unchanged} unchanged")?;
        let kinds = changed.sorted();
        for ((from, to), counted) in kinds.iter().take(KINDS_SHOWN) {
            let names: Vec<String> =
                counted.examples.iter().map(|one| show::plain(&one.name())).collect();
            let (names, count) = (names.join(", "), counted.count);
            match from == to {
                true => writeln!(out, "  {from}, other content  {count}  ({names})")?,
                false => writeln!(out, "  {from} -> {to}  {count}  ({names})")?,
            }
        }
        if kinds.len() > KINDS_SHOWN {
            writeln!(out, "  and {} other kinds of change", kinds.len() - KINDS_SHOWN)?;
        }
    }
    Ok(())
}
