//! The pusher: sends the feed to the edge as soon as something is committed. It keeps nothing but a
//! cursor; what the edge misses it asks for itself.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{Method, Request, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use selvedge::budget::Spent;
use selvedge::limits;
use selvedge::wire::Changes;
use tokio::sync::watch;

use crate::app::App;
use crate::budgets;
use crate::erasure;
use crate::storage::Counter;
use crate::sync::page;

/// How long the edge may take to answer.
const DEADLINE: Duration = Duration::from_secs(10);
/// What the edge's answer may weigh.
const ANSWER_BYTES: usize = 16 * 1024;
/// First and longest wait after a failure, as the edge's own.
const RETRY_FIRST: Duration = Duration::from_millis(limits::RETRY_FIRST_MS.unsigned_abs());
const RETRY_LAST: Duration = Duration::from_millis(limits::RETRY_LAST_MS.unsigned_abs());

type Http = Client<HttpConnector, Full<Bytes>>;

/// Pushes until told to stop.
pub(crate) async fn run(app: Arc<App>, mut stopped: watch::Receiver<bool>) {
    let Some(edge_url) = app.edge_url.clone() else { return };
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let http: Http = Client::builder(TokioExecutor::new()).build(connector);
    let mut wait = RETRY_FIRST;
    loop {
        let turn = tokio::select! {
            turn = turn(&app, &http, &edge_url) => turn,
            _ = stopped.wait_for(|stop| *stop) => return,
        };
        let pause = async {
            match turn {
                Ok(true) => wait = RETRY_FIRST,
                Ok(false) => {
                    wait = RETRY_FIRST;
                    app.changed.notified().await;
                }
                Err(reason) => {
                    app.metrics.pushes_failed.add(1);
                    tracing::warn!(reason, wait_ms = wait.as_millis(), "a push failed");
                    tokio::time::sleep(wait).await;
                    wait = wait.saturating_mul(2).min(RETRY_LAST);
                }
            }
        };
        tokio::select! {
            () = pause => {}
            _ = stopped.wait_for(|stop| *stop) => return,
        }
    }
}

/// Pushes what waits; false where nothing does.
async fn turn(app: &App, http: &Http, edge_url: &str) -> Result<bool, &'static str> {
    let storage = |_| "the storage failed";
    let mut snapshot = app.storage.read().await.map_err(storage)?;
    let from = snapshot.counter(Counter::Pushed).await.map_err(storage)?;
    let mut page = page(snapshot.as_mut(), from, limits::CHANGES).await.map_err(storage)?;
    let told = snapshot.counter(Counter::SpentPushed).await.map_err(storage)?;
    let spent = budgets::spent(snapshot.as_mut(), app.now()).await.map_err(storage)?;
    let spent = spent.filter(|spent| said(spent) > told);
    drop(snapshot);
    if page.cursor == from && spent.is_none() {
        return Ok(false);
    }
    let said = spent.as_ref().map(said);
    page.spent = spent;
    if !page.changes.is_empty() || page.spent.is_some() {
        send(app, http, edge_url, &page).await?;
        app.metrics.pushes_taken.add(1);
        app.metrics.changes_pushed.add(page.changes.len());
    }
    let mut tx = app.storage.begin().await.map_err(storage)?;
    tx.set_counter(Counter::Pushed, page.cursor).await.map_err(storage)?;
    if let Some(said) = said {
        tx.set_counter(Counter::SpentPushed, said).await.map_err(storage)?;
    }
    tx.commit().await.map_err(storage)?;
    erasure::acknowledge(app, page.cursor, app.now()).await.map_err(|_| "the storage failed")?;
    Ok(true)
}

/// When spent offers were said, as a counter holds it.
fn said(spent: &Spent) -> u64 {
    u64::try_from(spent.as_of.0).unwrap_or_default()
}

/// Sends a page. A 2xx says that all of it is applied and durable; more is not read from the
/// answer, whose cursor is the edge's own business.
async fn send(app: &App, http: &Http, edge_url: &str, page: &Changes) -> Result<(), &'static str> {
    let body = serde_json::to_vec(page).map_err(|_| "changes have no JSON")?;
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("{edge_url}/_selvedge/sync/v1/apply"))
        .header(header::AUTHORIZATION, format!("Bearer {}", app.key))
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body)))
        .map_err(|_| "the request cannot be made")?;
    let exchange = async {
        let response = http.request(request).await.map_err(|_| "the edge does not answer")?;
        let status = response.status();
        // Read to its end, so that the connection serves the next push.
        let bounded = Limited::new(response.into_body(), ANSWER_BYTES);
        bounded.collect().await.map_err(|_| "the edge's answer broke off")?;
        if status.is_success() {
            return Ok(());
        }
        tracing::debug!(status = status.as_u16(), "the edge's status");
        Err("the edge refused the changes")
    };
    tokio::time::timeout(DEADLINE, exchange).await.map_err(|_| "the edge is too slow")?
}
