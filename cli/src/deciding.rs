//! `selvedge decide` and `selvedge explain`: for one profile, or for a file of many, one answer per
//! line. It must never hold more than one profile of such a file in memory.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use selvedge::compile;
use selvedge::consent::Reason;
use selvedge::decide::Decision;
use selvedge::engine::{ConsentView, Explained, Page, Reply};
use selvedge::json;
use selvedge::time::Timestamp;
use selvedge::workspace::Workspace;
use serde_json::{Map, Value, json};

use crate::args::Which;
use crate::check;
use crate::crowd::{self, Lines, PROFILE_BYTES};
use crate::problem::{Outcome, Problem};
use crate::profile::{self, Overrides, Visitor};
use crate::show;
use crate::story::Stage;

/// What came of one profile.
enum Answer {
    Decided(Page),
    Explained(Box<Explained>),
}

/// Decides or explains; false where the workspace or a profile is wrong.
pub fn run(which: &Which, explain: bool, as_json: bool) -> Outcome<bool> {
    let Some((path, profile)) = which.files() else {
        return Err(Problem::usage("there is one word too many: WORKSPACE and PROFILE are given"));
    };
    let overrides = Overrides::new(which.now.as_deref(), &which.request, clock())?;
    let source = check::read(path)?;
    let Some(workspace) = check::compiled(path, &source, as_json)? else { return Ok(false) };
    let conditions = compile::written_conditions(&source);
    let named = &which.placement;
    let job = Job { workspace: &workspace, named, overrides, explain, conditions };
    match (profile, &which.profiles) {
        (Some(profile), None) => job.one(profile, as_json),
        (None, Some(profiles)) => job.many(profiles),
        _ => Err(Problem::usage("say which profile: a file PROFILE, or `--profiles FILE.ndjson`")),
    }
}

/// The time of this machine, read once per command.
pub fn clock() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

struct Job<'a> {
    workspace: &'a Workspace,
    named: &'a [String],
    overrides: Overrides,
    explain: bool,
    /// As they were written, by the offer's key.
    conditions: BTreeMap<String, String>,
}

impl Job<'_> {
    fn one(&self, path: &Path, as_json: bool) -> Outcome<bool> {
        let mut bytes = Vec::new();
        let open = File::open(path).map_err(|error| Problem::file(path, &error))?;
        let read = open.take(PROFILE_BYTES.saturating_add(1)).read_to_end(&mut bytes);
        read.map_err(|error| Problem::file(path, &error))?;
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > PROFILE_BYTES {
            return Err(crowd::too_large());
        }
        let (visitor, answer, notes) = self.answer(&bytes)?;
        let mut out = BufWriter::new(io::stdout().lock());
        if as_json {
            writeln!(out, "{}", self.to_json(&visitor, &answer, &notes))?;
        } else {
            for note in notes {
                eprintln!("note: {note}");
            }
            match &answer {
                Answer::Decided(page) => show::decisions(&mut out, &page.decisions)?,
                Answer::Explained(explained) => {
                    show::explained(&mut out, explained, &self.conditions)?
                }
            }
        }
        out.flush()?;
        Ok(true)
    }

    /// One line of JSON per line; a line that cannot be answered says why, and the rest goes on.
    fn many(&self, path: &Path) -> Outcome<bool> {
        let (reader, _) = crowd::open(path)?;
        let mut lines = Lines::new(reader);
        let mut out = BufWriter::new(io::stdout().lock());
        let mut fine = true;
        let mut line = Vec::new();
        loop {
            let read = lines.next(&mut line).map_err(|error| Problem::file(path, &error))?;
            let Some(read) = read else { break };
            let answer = read.and_then(|()| self.answer(line.trim_ascii_end()));
            match answer {
                Ok((visitor, answer, notes)) => {
                    writeln!(out, "{}", self.to_json(&visitor, &answer, &notes))?;
                }
                Err(problem) => {
                    fine = false;
                    let answer = json!({ "line": lines.number, "error": problem.to_json() });
                    writeln!(out, "{answer}")?;
                }
            }
        }
        out.flush()?;
        Ok(fine)
    }

    fn answer(&self, bytes: &[u8]) -> Outcome<(Visitor, Answer, Vec<String>)> {
        let visitor = profile::read(bytes, &self.overrides)?;
        let mut stage = Stage::set(self.workspace, &visitor)?;
        let replies = if self.explain {
            stage.explain(&visitor, self.named)?
        } else {
            stage.decide(&visitor, self.named)?
        };
        let answer = joined(replies)
            .ok_or_else(|| Problem::new("no_answer", "the engine gave no decision"))?;
        Ok((visitor, answer, stage.notes))
    }

    fn to_json(&self, visitor: &Visitor, answer: &Answer, notes: &[String]) -> Value {
        let mut fields = Map::new();
        if let Some(id) = &visitor.id {
            fields.insert("id".to_owned(), json!(id));
        }
        match answer {
            Answer::Decided(page) => {
                fields.insert("decisions".to_owned(), decisions(&page.decisions));
                fields.insert("assurance".to_owned(), json!(page.assurance));
                fields.insert("consent".to_owned(), consent(&page.consent));
                fields.insert("workspace".to_owned(), json!(page.workspace));
            }
            Answer::Explained(explained) => {
                let known = &explained.profile;
                let values = |values: &BTreeMap<String, _>| {
                    let shown =
                        values.iter().map(|(name, value)| (name.clone(), json::to_json(value)));
                    Value::Object(shown.collect())
                };
                let profile = json!({
                    "assurance": known.assurance,
                    "traits": values(&known.traits),
                    "computed": values(&known.computed),
                    "audiences": known.audiences,
                    "consent": consent(&known.consent),
                });
                fields.insert("profile".to_owned(), profile);
                fields.insert("decisions".to_owned(), explained.decisions_json(&self.conditions));
                fields.insert("workspace".to_owned(), json!(explained.workspace));
            }
        }
        if !notes.is_empty() {
            fields.insert("notes".to_owned(), json!(notes));
        }
        Value::Object(fields)
    }
}

/// The edge's and the page's placements as one answer, by name.
fn joined(replies: Vec<Reply>) -> Option<Answer> {
    let mut answer: Option<Answer> = None;
    for reply in replies {
        answer = Some(match (answer, reply) {
            (None, Reply::Decisions(page)) => Answer::Decided(page),
            (None, Reply::Explained(explained)) => Answer::Explained(explained),
            (Some(Answer::Decided(mut all)), Reply::Decisions(page)) => {
                all.decisions.extend(page.decisions);
                Answer::Decided(all)
            }
            (Some(Answer::Explained(mut all)), Reply::Explained(more)) => {
                all.decisions.extend(more.decisions);
                all.conditions.extend(more.conditions);
                Answer::Explained(all)
            }
            _ => return None,
        });
    }
    answer
}

fn decisions(decisions: &[Decision]) -> Value {
    decisions
        .iter()
        .map(|decision| {
            let mut value = json!(decision);
            if let (true, Some(fields)) = (decision.trace.is_empty(), value.as_object_mut()) {
                fields.remove("trace");
            }
            value
        })
        .collect()
}

fn consent(view: &ConsentView) -> Value {
    let mut purposes = Map::new();
    for (purpose, reason) in view.effective.reasons() {
        let allowed = matches!(reason, Reason::Granted | Reason::AllowedByRegion);
        let entry = json!({ "allowed": allowed, "reason": reason });
        purposes.insert(purpose.word().to_owned(), entry);
    }
    json!({ "made": view.made, "purposes": purposes })
}
