//! Answers for people. It must never change what an answer says, and never let what it shows
//! steer the terminal.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use selvedge::compile::{Mistake, Note};
use selvedge::decide::Decision;
use selvedge::engine::{ConsentView, Explained};
use selvedge::json;
use selvedge::workspace::Workspace;

/// How much a workspace holds.
pub fn counts(workspace: &Workspace) -> String {
    let of = |count: usize, one: &str| match count {
        1 => format!("1 {one}"),
        _ => format!("{count} {one}s"),
    };
    format!(
        "{}, {}, {}, version {}",
        of(workspace.placements.len(), "placement"),
        of(workspace.offers.len(), "offer"),
        of(workspace.audiences.len(), "audience"),
        workspace.version
    )
}

/// Mistakes, each with the line it stands in.
pub fn mistakes(out: &mut dyn Write, path: &Path, mistakes: &[Mistake]) -> io::Result<()> {
    for mistake in mistakes {
        let margin = " ".repeat(mistake.line.to_string().len());
        let indent = " ".repeat(usize::try_from(mistake.caret).unwrap_or(1).saturating_sub(1));
        let carets = "^".repeat(usize::try_from(mistake.len).unwrap_or(1));
        let place = format!("{}:{}:{}", path.display(), mistake.line, mistake.column);
        writeln!(out, "error[{}]: {}", mistake.code, mistake.message)?;
        match mistake.path.as_str() {
            "" => writeln!(out, "{margin}--> {place}")?,
            field => writeln!(out, "{margin}--> {place}, {field}")?,
        }
        writeln!(out, "{margin} |")?;
        writeln!(out, "{} | {}", mistake.line, mistake.snippet)?;
        writeln!(out, "{margin} | {indent}{carets}")?;
        writeln!(out)?;
    }
    match mistakes.len() {
        1 => writeln!(out, "1 mistake"),
        count => writeln!(out, "{count} mistakes"),
    }
}

/// What is worth to know and no mistake.
pub fn notes(out: &mut dyn Write, notes: &[Note]) -> io::Result<()> {
    for note in notes {
        writeln!(out, "note[{}]: {}: {}", note.code, plain(&note.path), plain(&note.message))?;
    }
    Ok(())
}

/// A text as a terminal may show it.
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A part of a whole, with one decimal.
pub fn percent(part: u64, whole: u64) -> String {
    let tenths = part.saturating_mul(1_000).checked_div(whole).unwrap_or(0);
    format!("{}.{} %", tenths / 10, tenths % 10)
}

/// An offer with the variant that was shown of it.
fn with_variant(offer: &str, decision: &Decision) -> String {
    match &decision.variant {
        Some(variant) => format!("{offer}:{variant}"),
        None => offer.to_owned(),
    }
}

/// What was decided.
pub fn decisions(out: &mut dyn Write, decisions: &[Decision]) -> io::Result<()> {
    let width = decisions.iter().map(|one| one.placement.chars().count()).max().unwrap_or(0);
    for decision in decisions {
        let placement = &decision.placement;
        match &decision.offer {
            Some(offer) => {
                let offer = with_variant(offer, decision);
                writeln!(out, "{placement:width$}  {offer} ({})", decision.language)?;
                for field in &decision.content {
                    let text = plain(&field.text);
                    writeln!(out, "{:width$}    {}: {text}", "", field.name)?;
                }
            }
            None => writeln!(out, "{placement:width$}  no offer ({})", decision.reason)?,
        }
    }
    Ok(())
}

/// What is allowed, and why.
pub fn consent(out: &mut dyn Write, view: &ConsentView) -> io::Result<()> {
    let allowed = view.effective.allowed();
    for (purpose, reason) in view.effective.reasons() {
        let word = if allowed.has(purpose) { "yes" } else { "no" };
        let reason = serde_json::to_value(reason).unwrap_or_default();
        let reason = reason.as_str().unwrap_or_default().replace('_', " ");
        writeln!(out, "  {:12} {word:3}  {reason}", purpose.word())?;
    }
    Ok(())
}

/// What is known, what was decided, and why.
pub fn explained(
    out: &mut dyn Write,
    explained: &Explained,
    conditions: &BTreeMap<String, String>,
) -> io::Result<()> {
    let known = &explained.profile;
    writeln!(out, "workspace {}, visitor {}", explained.workspace, known.assurance.word())?;
    writeln!(out, "\nconsent")?;
    consent(out, &known.consent)?;
    for (title, values) in [("traits", &known.traits), ("computed traits", &known.computed)] {
        if !values.is_empty() {
            writeln!(out, "\n{title}")?;
        }
        for (name, value) in values {
            writeln!(out, "  {} = {}", plain(name), json::to_json(value))?;
        }
    }
    let audiences = known.audiences.join(", ");
    writeln!(out, "\naudiences: {}", if audiences.is_empty() { "none" } else { &audiences })?;
    for decision in &explained.decisions {
        let offer = decision.offer.as_deref().map(|offer| with_variant(offer, decision));
        let offer = offer.unwrap_or_else(|| "no offer".to_owned());
        writeln!(out, "\n{}: {offer}", decision.placement)?;
        let width = decision.trace.iter().map(|one| one.offer.len()).max().unwrap_or(0);
        for one in &decision.trace {
            let mark = if one.code == "won" { '*' } else { ' ' };
            let sentence = plain(&explained.sentence(one, conditions));
            writeln!(out, "{mark} {:width$}  {:18} {sentence}", one.offer, one.code)?;
        }
    }
    Ok(())
}
