//! `selvedge import`: streams a file into the central store and shows the report. It must never
//! hold a file in memory.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::args::Central;
use crate::http::Server;
use crate::problem::{Outcome, Problem};

/// How often progress is shown.
const STEP: Duration = Duration::from_millis(200);

/// Imports; false where rows were refused.
pub fn run(source: &str, path: &Path, central: &Central, as_json: bool) -> Outcome<bool> {
    let media = media_type(path)?;
    if source.is_empty() || !source.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    {
        return Err(Problem::usage(format!("`{source}` is no name of a source"))
            .hint("a name such as `crm` or `shop-eu`: letters, digits, `-` and `_`"));
    }
    let server = Server::new("central store", "--central", &central.url, &central.key)?;
    let (reader, length): (Box<dyn Read>, Option<u64>) = if path == Path::new("-") {
        (Box::new(io::stdin()), None)
    } else {
        let file = File::open(path).map_err(|error| Problem::file(path, &error))?;
        let length = file.metadata().ok().filter(|known| known.is_file()).map(|known| known.len());
        (Box::new(file), length)
    };
    let shown = !as_json && io::stderr().is_terminal();
    let body = Progress { reader, length, sent: 0, shown, next: Instant::now() };
    let response = server.send("POST", &format!("/v1/import/{source}"), media, body, length)?;
    if shown {
        eprint!("\r\x1b[K");
    }
    let report = server.read(response)?;
    let refused = report.get("refusedTotal").and_then(Value::as_u64).unwrap_or(0);
    let mut out = io::stdout().lock();
    if as_json {
        writeln!(out, "{report}")?;
    } else {
        show(&mut out, &report, refused)?;
    }
    Ok(refused == 0)
}

fn media_type(path: &Path) -> Outcome<&'static str> {
    if path == Path::new("-") {
        return Ok("application/x-ndjson");
    }
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("ndjson" | "jsonl") => Ok("application/x-ndjson"),
        Some("csv") => Ok("text/csv"),
        _ => Err(Problem::usage(format!("`{}` is neither NDJSON nor CSV", path.display()))
            .hint("the file's name ends in .ndjson, .jsonl or .csv")),
    }
}

fn show(out: &mut dyn Write, report: &Value, refused: u64) -> Outcome<()> {
    let number = |name: &str| report.get(name).and_then(Value::as_u64).unwrap_or(0);
    writeln!(
        out,
        "{} rows accepted, {} known before, {refused} refused",
        number("accepted"),
        number("duplicates")
    )?;
    let rows = report.get("refused").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    for row in rows {
        let text = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default();
        let line = row.get("line").and_then(Value::as_u64).unwrap_or(0);
        let place = match text("where") {
            "" => String::new(),
            place => format!(" ({place})"),
        };
        writeln!(out, "  line {line}: {} [{}]{place}", text("message"), text("code"))?;
    }
    let listed = u64::try_from(rows.len()).unwrap_or(u64::MAX);
    if refused > listed {
        writeln!(out, "  and {} more", refused.saturating_sub(listed))?;
    }
    Ok(())
}

/// A reader that says how far it is.
struct Progress {
    reader: Box<dyn Read>,
    length: Option<u64>,
    sent: u64,
    shown: bool,
    next: Instant,
}

impl Read for Progress {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.sent = self.sent.saturating_add(u64::try_from(read).unwrap_or(0));
        if self.shown && Instant::now() >= self.next {
            self.next = Instant::now() + STEP;
            let part =
                self.length.and_then(|length| self.sent.saturating_mul(100).checked_div(length));
            let part = part.map(|part| format!(", {part} %")).unwrap_or_default();
            eprint!("\r\x1b[Ksent {} KB{part}", self.sent / 1024);
        }
        Ok(read)
    }
}
