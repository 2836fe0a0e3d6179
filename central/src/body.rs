//! Bodies of requests: bounded before they are read, checked before they are parsed.

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt;
use selvedge::json;
use serde::de::DeserializeOwned;

use crate::failure::Failure;

/// The media type of a request, in lower case and without parameters.
pub(crate) fn media_type(headers: &HeaderMap) -> String {
    let text = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = text.and_then(|text| text.split(';').next()).unwrap_or_default();
    essence.trim().to_ascii_lowercase()
}

/// Refuses a media type. Code: `bad_content_type`.
pub(crate) fn wrong_type(expected: &str) -> Failure {
    Failure::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "bad_content_type",
        format!("this route takes {expected}"),
        "content-type",
    )
}

/// Refuses a body that ended before its time. Code: `body_broken`.
pub(crate) fn broken() -> Failure {
    Failure::new(StatusCode::BAD_REQUEST, "body_broken", "the body ended too early", "body")
}

/// A JSON body of at most `limit` bytes. Errors: `bad_content_type`, `body_too_large`,
/// `body_broken`, `not_utf8`, `too_deep`, `bad_json`, `bad_shape`.
pub(crate) async fn read_json<T: DeserializeOwned>(
    headers: &HeaderMap,
    body: Body,
    limit: usize,
) -> Result<T, Failure> {
    if media_type(headers) != "application/json" {
        return Err(wrong_type("application/json"));
    }
    let bytes = read(body, limit).await?;
    let text = json::check_depth(&bytes)?;
    serde_json::from_str(text).map_err(|error| json::syntax(&error).into())
}

/// A JSON body as its text, for what reads it with places. Errors: `bad_content_type`,
/// `body_too_large`, `body_broken`, `not_utf8`.
pub(crate) async fn read_text(
    headers: &HeaderMap,
    body: Body,
    limit: usize,
) -> Result<String, Failure> {
    if media_type(headers) != "application/json" {
        return Err(wrong_type("application/json"));
    }
    let bytes = read(body, limit).await?;
    String::from_utf8(bytes)
        .map_err(|_| Failure::new(StatusCode::BAD_REQUEST, "not_utf8", "no UTF-8 text", "body"))
}

async fn read(mut body: Body, limit: usize) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| broken())?.into_data() else { continue };
        if bytes.len().saturating_add(data.len()) > limit {
            return Err(Failure::too_large(limit));
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}
