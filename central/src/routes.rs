//! Every path of the server, and what holds for all of them: the key, the methods, the errors. It
//! must never answer in another form than JSON where something is wrong.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use selvedge::budget::Spent;
use selvedge::limits;
use selvedge::wire::{Changes, Declare, Erase, Hydrate, Push, PushAnswer};

use crate::app::App;
use crate::body::{read_json, read_text};
use crate::failure::Failure;
use crate::import::Report;
use crate::people::WhomBody;
use crate::{audiences, budgets, erasure, experiments, import, people, sync};

type Shared = State<Arc<App>>;

/// The part of a path that a route leaves open. Errors: `bad_path`.
struct Part(String);

impl<S: Send + Sync> FromRequestParts<S> for Part {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let bad = |_: PathRejection| {
            Failure::new(StatusCode::BAD_REQUEST, "bad_path", "this path is not UTF-8", "path")
        };
        Path::from_request_parts(parts, state).await.map(|Path(part)| Self(part)).map_err(bad)
    }
}

/// The server's router.
pub(crate) fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/metrics", get(counters))
        .route("/v1/import/{source}", post(take_import))
        .route("/v1/people/{customer_id}", get(person))
        .route("/v1/exports", post(export))
        .route("/v1/erasures", post(erase))
        .route("/v1/erasures/{id}", get(erasure_status))
        .route("/v1/erasures/{id}/receipts", get(erasure_proof))
        .route("/v1/audiences", post(audience_sizes))
        .route("/v1/experiments", get(experiments_view))
        .route("/v1/budgets", get(budgets_view))
        .route("/sync/v1/push", post(push))
        .route("/sync/v1/declare", post(declare))
        .route("/sync/v1/hydrate", post(hydrate))
        .route("/sync/v1/erase", post(erase_named))
        .route("/sync/v1/changes", get(changes))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), need_key))
        .route("/healthz", get(health))
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(middleware::from_fn_with_state(Arc::clone(&app), count))
        .with_state(app)
}

async fn need_key(State(app): Shared, request: Request, next: Next) -> Response {
    let header = request.headers().get(header::AUTHORIZATION);
    let key = header.and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    if key.is_some_and(|key| app.knows(key)) {
        return next.run(request).await;
    }
    Failure::new(
        StatusCode::UNAUTHORIZED,
        "bad_key",
        "this route needs the central store's key as a bearer token",
        "authorization",
    )
    .into_response()
}

async fn count(State(app): Shared, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    match response.status().as_u16() {
        400..=499 => app.metrics.requests_refused.add(1),
        500..=599 => app.metrics.requests_failed.add(1),
        _ => {}
    }
    response
}

async fn no_route() -> Failure {
    Failure::unknown("no_route", "there is no such route", "path")
}

async fn no_method() -> Failure {
    Failure::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "bad_method",
        "this route has another method",
        "method",
    )
}

async fn health(State(app): Shared) -> Result<Json<serde_json::Value>, Failure> {
    app.storage.read().await?.counter(crate::storage::Counter::Change).await?;
    Ok(Json(serde_json::json!({ "ok": true, "version": env!("CARGO_PKG_VERSION") })))
}

async fn counters(State(app): Shared) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], app.metrics.text())
}

async fn take_import(
    State(app): Shared,
    Part(source): Part,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Report>, Failure> {
    import::run(&app, &source, &headers, body).await.map(Json)
}

async fn person(
    State(app): Shared,
    Part(customer_id): Part,
) -> Result<Json<serde_json::Value>, Failure> {
    people::view(&app, &customer_id).await.map(Json)
}

async fn export(State(app): Shared, headers: HeaderMap, body: Body) -> Result<Response, Failure> {
    let whom: WhomBody = read_json(&headers, body, limits::CALL_BYTES).await?;
    people::export(app, &whom.customer_id).await
}

async fn erase(
    State(app): Shared,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<erasure::Erasure>, Failure> {
    let whom: WhomBody = read_json(&headers, body, limits::CALL_BYTES).await?;
    erasure::erase(app, &whom.customer_id).await.map(Json)
}

async fn erasure_proof(
    State(app): Shared,
    Part(id): Part,
) -> Result<Json<serde_json::Value>, Failure> {
    erasure::proof(&app, &id).await.map(Json)
}

async fn erasure_status(
    State(app): Shared,
    Part(id): Part,
) -> Result<Json<erasure::Erasure>, Failure> {
    erasure::status(&app, &id).await.map(Json)
}

async fn audience_sizes(
    State(app): Shared,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<audiences::Answer>, Failure> {
    let asked = audiences::Asked::parse(uri.query().unwrap_or_default())?;
    let source = read_text(&headers, body, limits::WORKSPACE_BYTES).await?;
    audiences::count(&app, &asked, source).await.map(Json)
}

async fn experiments_view(State(app): Shared) -> Result<Json<experiments::Answer>, Failure> {
    experiments::view(&app).await.map(Json)
}

async fn budgets_view(State(app): Shared) -> Result<Json<serde_json::Value>, Failure> {
    budgets::view(&app).await.map(Json)
}

async fn declare(
    State(app): Shared,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Spent>, Failure> {
    let declare: Declare = read_json(&headers, body, limits::SYNC_BYTES).await?;
    budgets::declare(&app, declare).await.map(Json)
}

async fn push(
    State(app): Shared,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<PushAnswer>, Failure> {
    let push: Push = read_json(&headers, body, limits::SYNC_BYTES).await?;
    sync::push(&app, push).await.map(Json)
}

async fn hydrate(
    State(app): Shared,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Changes>, Failure> {
    let asked: Hydrate = read_json(&headers, body, limits::SYNC_BYTES).await?;
    sync::hydrate(&app, asked).await.map(Json)
}

async fn erase_named(
    State(app): Shared,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<erasure::Erasure>, Failure> {
    let asked: Erase = read_json(&headers, body, limits::CALL_BYTES).await?;
    erasure::erase_named(app, asked).await.map(Json)
}

async fn changes(State(app): Shared, uri: Uri) -> Result<Json<Changes>, Failure> {
    sync::poll(&app, uri.query().unwrap_or_default()).await.map(Json)
}
