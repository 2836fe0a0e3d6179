//! What a caller gets when something went wrong: a status, and `{code, message, where}`. It must
//! never tell what the database said.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use selvedge::compile::Mistake;
use selvedge::error::Error;
use serde::Serialize;

use crate::storage;

/// A refusal, or a fault of ours.
#[derive(Debug)]
pub struct Failure {
    status: StatusCode,
    body: Said,
}

#[derive(Debug, Serialize)]
struct Said {
    #[serde(flatten)]
    error: Error,
    /// Of a workspace, each with its place.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mistakes: Vec<Mistake>,
}

impl Failure {
    /// A failure with its own status.
    pub fn new(
        status: StatusCode,
        code: &'static str,
        message: impl Into<String>,
        place: impl Into<String>,
    ) -> Self {
        let error = Error::new(code, message, place);
        Self { status, body: Said { error, mistakes: Vec::new() } }
    }

    /// A workspace that cannot be compiled, as the edge refuses it.
    pub fn bad_workspace(mistakes: Vec<Mistake>) -> Self {
        let message = match mistakes.len() {
            1 => "the workspace has a mistake".to_owned(),
            count => format!("the workspace has {count} mistakes"),
        };
        let failure = Self::new(StatusCode::BAD_REQUEST, "bad_workspace", message, "");
        Self { body: Said { mistakes, ..failure.body }, ..failure }
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
        Self { status: StatusCode::BAD_REQUEST, body: Said { error, mistakes: Vec::new() } }
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
        let mut response = (self.status, Json(self.body)).into_response();
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
