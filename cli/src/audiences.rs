//! `selvedge audiences`: how many people are in each audience of a workspace, as the central store
//! counts them. It must never count itself.

use std::io::{self, Write};
use std::path::Path;

use selvedge::consent::Region;
use serde::Deserialize;

use crate::args::Central;
use crate::check;
use crate::http::Server;
use crate::problem::{Outcome, Problem};
use crate::show;

/// What the central store answers.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    workspace: String,
    as_of: String,
    people: u64,
    sampled: u64,
    exact: bool,
    confidence: f64,
    consent: ByConsent,
    audiences: Vec<Size>,
}

#[derive(Deserialize)]
struct ByConsent {
    denied: u64,
    silent: u64,
}

#[derive(Deserialize)]
struct Size {
    audience: String,
    size: Option<u64>,
    low: Option<u64>,
    high: Option<u64>,
    #[serde(default)]
    reads: Vec<String>,
}

/// Asks and shows; false where the workspace has mistakes.
pub fn run(
    path: &Path,
    sample: Option<u64>,
    region: Option<&str>,
    central: &Central,
    as_json: bool,
) -> Outcome<bool> {
    let server = Server::new("central store", "--central", &central.url, &central.key)?;
    let source = check::read(path)?;
    // First here, so that mistakes show the author's own lines.
    if check::compiled(path, &source, as_json)?.is_none() {
        return Ok(false);
    }
    let body = source.into_bytes();
    let length = u64::try_from(body.len()).ok();
    let route = route(sample, region)?;
    let media = "application/json";
    let response = server.send("POST", &route, media, io::Cursor::new(body), length)?;
    let answer = server.read(response)?;
    let mut out = io::stdout().lock();
    if as_json {
        writeln!(out, "{answer}")?;
        return Ok(true);
    }
    let answer: Answer = serde_json::from_value(answer).map_err(|_| {
        Problem::new("bad_answer", "the central store answered no sizes of audiences")
            .hint("does it run the same release of Selvedge as this command?")
    })?;
    table(&mut out, &answer)?;
    Ok(true)
}

fn route(sample: Option<u64>, region: Option<&str>) -> Outcome<String> {
    let mut query: Vec<String> = Vec::new();
    query.extend(sample.map(|people| format!("sample={people}")));
    if let Some(region) = region {
        if Region::parse(region).is_none() {
            let message = format!("`--region {region}` is no region: write `DE`, or `US-CA`");
            return Err(Problem::usage(message));
        }
        query.push(format!("region={region}"));
    }
    let mark = if query.is_empty() { "" } else { "?" };
    Ok(format!("/v1/audiences{mark}{}", query.join("&")))
}

fn table(out: &mut dyn Write, answer: &Answer) -> io::Result<()> {
    let Answer { people, sampled, .. } = answer;
    writeln!(out, "workspace {}, {people} people at {}", answer.workspace, answer.as_of)?;
    if answer.exact {
        writeln!(out, "counted: everybody was looked at")?;
    } else {
        let sure = (answer.confidence * 100.0).round();
        writeln!(
            out,
            "estimated from {sampled} people; each range holds with {sure} % confidence"
        )?;
    }
    let ByConsent { denied, silent } = answer.consent;
    writeln!(
        out,
        "not counted: {} who do not allow profiling, {} who were never asked\n",
        show::percent(denied, *sampled),
        show::percent(silent, *sampled)
    )?;
    let name_width = answer.audiences.iter().map(|one| one.audience.chars().count()).max();
    let name_width = name_width.unwrap_or(0);
    let digits = people.to_string().len();
    for one in &answer.audiences {
        let name = show::plain(&one.audience);
        let (Some(size), Some(low), Some(high)) = (one.size, one.low, one.high) else {
            let reads = show::plain(&one.reads.join(", "));
            writeln!(out, "{name:name_width$}  depends on the visit: it reads {reads}")?;
            continue;
        };
        let share = show::percent(size, *people);
        match answer.exact {
            true => writeln!(out, "{name:name_width$}  {size:digits$}  {share:>7}")?,
            false => {
                writeln!(out, "{name:name_width$}  {size:digits$}  {share:>7}  {low} to {high}")?;
            }
        }
    }
    Ok(())
}
