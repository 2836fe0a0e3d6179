//! What a caller gets when something went wrong: a status, and `{code, message, where}`. It must
//! never tell what the database said.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use selvedge::error::Error;

use crate::storage;

/// A refusal, or a fault of ours.
#[derive(Debug)]
pub struct Failure {
    status: StatusCode,
    error: Error,
}

impl Failure {
    /// A failure with its own status.
    pub fn new(
        status: StatusCode,
        code: &'static str,
        message: impl Into<String>,
        place: impl Into<String>,
    ) -> Self {
        Self { status, error: Error::new(code, message, place) }
    }

    /// Nothing is known under this name.
    pub fn unknown(code: &'static str, message: &str, place: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message, place)
    }

    /// The body is larger than `bytes`.
    pub fn too_large(bytes: usize) -> Self {
        let message = format!("this body has at most {bytes} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message, "body")
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error }
    }
}

impl From<storage::Error> for Failure {
    fn from(error: storage::Error) -> Self {
        tracing::error!(%error, "the storage failed");
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "storage_unavailable",
            "the database does not answer; try again later",
            "",
        )
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.error)).into_response();
        let headers = response.headers_mut();
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
