//! Calls to the edge and to the central store. It must never send a key to a host that was not
//! named, so redirects are not followed.

use std::io::Read;
use std::time::Duration;

use serde_json::Value;
use ureq::http::Response;
use ureq::{Agent, Body, SendBody};

use crate::problem::{Outcome, Problem};

/// Bytes of an answer that is read into memory.
const ANSWER_BYTES: u64 = 32 * 1024 * 1024;

/// One server and its key.
pub struct Server {
    agent: Agent,
    /// How people call it: `edge`, `central store`.
    name: &'static str,
    /// How its address is given.
    option: &'static str,
    base: String,
    key: String,
}

impl Server {
    /// A server by its address. Errors: usage.
    pub fn new(name: &'static str, option: &'static str, base: &str, key: &str) -> Outcome<Self> {
        let rest = base.strip_prefix("https://").or_else(|| base.strip_prefix("http://"));
        if rest.is_none_or(|rest| rest.is_empty() || rest.contains(['@', '?', '#', ' '])) {
            let message = format!("`{base}` is no address of the {name}");
            let hint = format!("give it by {option}, such as https://shop.example");
            return Err(Problem::usage(message).hint(hint));
        }
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_connect(Some(Duration::from_secs(10)))
            .timeout_recv_response(Some(Duration::from_secs(600)))
            .build();
        Ok(Self {
            agent: config.new_agent(),
            name,
            option,
            base: base.trim_end_matches('/').to_owned(),
            key: key.to_owned(),
        })
    }

    /// Sends a body, streamed, and gives the answer where it is a good one. Errors: the server's
    /// own code, `unreachable`.
    pub fn send(
        &self,
        method: &str,
        path: &str,
        media: &str,
        body: impl Read + 'static,
        length: Option<u64>,
    ) -> Outcome<Response<Body>> {
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("authorization", format!("Bearer {}", self.key))
            .header("content-type", media);
        if let Some(length) = length {
            request = request.header("content-length", length);
        }
        let request = request
            .body(SendBody::from_owned_reader(body))
            .map_err(|error| Problem::usage(format!("this cannot be sent: {error}")))?;
        let response = self.agent.run(request).map_err(|error| {
            let message = format!("cannot reach the {} at {}: {error}", self.name, self.base);
            let hint = format!("is it running, and is {} right?", self.option);
            Problem::new("unreachable", message).hint(hint)
        })?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(self.refused(response))
    }

    /// The same with JSON in and out.
    pub fn call(&self, method: &str, path: &str, body: &Value) -> Outcome<Value> {
        let text = body.to_string().into_bytes();
        let length = u64::try_from(text.len()).ok();
        let response =
            self.send(method, path, "application/json", std::io::Cursor::new(text), length)?;
        self.read(response)
    }

    /// The JSON of an answer. Errors: `bad_answer`.
    pub fn read(&self, mut response: Response<Body>) -> Outcome<Value> {
        let text = response.body_mut().with_config().limit(ANSWER_BYTES).read_to_string();
        text.ok().and_then(|text| serde_json::from_str(&text).ok()).ok_or_else(|| {
            Problem::new("bad_answer", format!("the {} answered no JSON", self.name))
                .hint(format!("does {} name the right server?", self.option))
        })
    }

    /// What a server says that refuses: `{code, message, where}`.
    fn refused(&self, response: Response<Body>) -> Problem {
        let status = response.status();
        let answer = self.read(response).unwrap_or_default();
        let text = |name: &str| answer.get(name).and_then(Value::as_str);
        let problem = match (text("code"), text("message")) {
            (Some(code), Some(message)) => {
                let message = format!("the {} refused: {message}", self.name);
                Problem::new(code, message).at(text("where").unwrap_or_default())
            }
            _ => Problem::new("bad_answer", format!("the {} answered {status}", self.name))
                .hint(format!("does {} name the right server?", self.option)),
        };
        let problem = problem.answer(&answer);
        match status.as_u16() {
            401 | 403 => problem.hint("give the right key by --key or by the environment"),
            _ => problem,
        }
    }
}
