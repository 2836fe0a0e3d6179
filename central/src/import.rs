//! Imports: a file of any size, read as a stream, one row at a time, committed in batches. A row
//! that cannot be taken is refused with its line and code; it must never refuse its neighbours.

mod csv;
mod ndjson;
mod row;
mod typing;
mod write;

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use selvedge::error::Error;
use serde::Serialize;

use crate::app::App;
use crate::body::{broken, media_type, wrong_type};
use crate::failure::Failure;
use row::Row;

/// Rows in one commit: few enough to hold in memory, many enough that commits do not dominate.
const BATCH_ROWS: usize = 500;
/// A feed that keeps its connection open gets its rows committed after this pause.
const PAUSE: Duration = Duration::from_millis(20);
/// Refused rows that a report lists; the rest is counted.
const REFUSED_LISTED: usize = 1_000;
/// Bytes of a source's name.
const SOURCE_BYTES: usize = 63;

/// What became of an import.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    /// Rows that changed something.
    accepted: u64,
    /// Rows that were known before.
    duplicates: u64,
    /// The first refused rows.
    refused: Vec<Refused>,
    /// How many rows were refused.
    refused_total: u64,
}

/// A refused row.
#[derive(Debug, Serialize)]
pub(crate) struct Refused {
    /// The line where the row begins, from 1.
    line: u64,
    code: String,
    message: String,
    /// The field, where one is to blame.
    #[serde(rename = "where")]
    place: String,
}

impl Report {
    fn refuse(&mut self, line: u64, error: Error) {
        self.refused_total = self.refused_total.saturating_add(1);
        if self.refused.len() < REFUSED_LISTED {
            let code = error.code().to_owned();
            self.refused.push(Refused { line, code, message: error.message, place: error.place });
        }
    }
}

/// A row as a format reads it: its first line, and the row or why there is none.
type Read = (u64, Result<Row, Error>);

/// A format's reader: takes bytes as they come, gives rows as they are complete.
enum Reader {
    Ndjson(ndjson::Lines),
    Csv(Box<csv::Reader>),
}

impl Reader {
    fn of(media: &str) -> Option<Self> {
        match media {
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" => {
                Some(Self::Ndjson(ndjson::Lines::default()))
            }
            "text/csv" => Some(Self::Csv(Box::default())),
            _ => None,
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        match self {
            Self::Ndjson(lines) => lines.push(bytes),
            Self::Csv(reader) => reader.push(bytes),
        }
    }

    fn end(&mut self) {
        match self {
            Self::Ndjson(lines) => lines.end(),
            Self::Csv(reader) => reader.end(),
        }
    }

    /// The next complete row. The outer error refuses the file: its header cannot be read.
    fn next(&mut self, context: &row::Context<'_>) -> Result<Option<Read>, Error> {
        match self {
            Self::Ndjson(lines) => Ok(lines.next(context)),
            Self::Csv(reader) => reader.next(context),
        }
    }
}

/// Takes a file in. Errors: `bad_source`, `bad_content_type`, `body_broken`, and those of a CSV
/// header: `missing_column`, `duplicate_column`, `broken_quoting`, `not_utf8`, `row_too_large`.
pub(crate) async fn run(
    app: &App,
    source: &str,
    headers: &HeaderMap,
    mut body: Body,
) -> Result<Report, Failure> {
    check_source(source)?;
    let mut reader = Reader::of(&media_type(headers))
        .ok_or_else(|| wrong_type("application/x-ndjson or text/csv"))?;
    let mut report = Report::default();
    let mut batch: Vec<(u64, Row)> = Vec::new();
    let mut open = true;
    while open {
        let frame = if batch.is_empty() {
            body.frame().await
        } else {
            match tokio::time::timeout(PAUSE, body.frame()).await {
                Ok(frame) => frame,
                Err(_) => {
                    commit(app, source, &mut batch, &mut report).await?;
                    continue;
                }
            }
        };
        match frame {
            None => {
                reader.end();
                open = false;
            }
            Some(Ok(frame)) => reader.push(&frame.into_data().unwrap_or_default()),
            Some(Err(_)) => return Err(broken()),
        }
        let context = row::Context { app, source, now: app.now() };
        while let Some((line, read)) = reader.next(&context)? {
            match read {
                Ok(row) => batch.push((line, row)),
                Err(error) => report.refuse(line, error),
            }
            if batch.len() >= BATCH_ROWS {
                commit(app, source, &mut batch, &mut report).await?;
            }
        }
    }
    commit(app, source, &mut batch, &mut report).await?;
    report.refused.sort_by_key(|refused| refused.line);
    app.metrics.rows_refused.add(usize::try_from(report.refused_total).unwrap_or(usize::MAX));
    tracing::info!(
        accepted = report.accepted,
        duplicates = report.duplicates,
        refused = report.refused_total,
        "import"
    );
    Ok(report)
}

async fn commit(
    app: &App,
    source: &str,
    batch: &mut Vec<(u64, Row)>,
    report: &mut Report,
) -> Result<(), Failure> {
    if batch.is_empty() {
        return Ok(());
    }
    let done = write::batch(app, source, std::mem::take(batch)).await?;
    report.accepted = report.accepted.saturating_add(done.accepted);
    report.duplicates = report.duplicates.saturating_add(done.duplicates);
    for (line, error) in done.refused {
        report.refuse(line, error);
    }
    Ok(())
}

fn check_source(source: &str) -> Result<(), Failure> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    if !source.is_empty()
        && source.len() <= SOURCE_BYTES
        && source.bytes().all(plain)
        && source != "edge"
        && source != "central"
    {
        return Ok(());
    }
    Err(Failure::new(
        StatusCode::BAD_REQUEST,
        "bad_source",
        "a source has 1 to 63 lower-case letters, digits, hyphens and underscores; `edge` and \
         `central` are taken",
        "source",
    ))
}
