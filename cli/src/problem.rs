//! What goes wrong on the way to an answer: what, where, and what to do. It must never quote a key.

use std::io;
use std::path::Path;
use std::process::ExitCode;

use selvedge::error::Error;
use serde_json::{Value, json};

/// A result that a person reads.
pub type Outcome<T> = Result<T, Problem>;

/// Something that keeps a command from its answer.
#[derive(Debug)]
pub struct Problem(Box<Details>);

#[derive(Debug, Default)]
struct Details {
    code: String,
    message: String,
    place: String,
    /// What to do about it; empty where the message says it.
    hint: String,
    /// Mistakes that a server found in a workspace.
    mistakes: Vec<Value>,
    usage: bool,
    /// Nobody reads the answer any more: no problem of ours.
    quiet: bool,
}

impl Problem {
    /// A problem with a stable code.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        let (code, message) = (code.to_owned(), message.into());
        Self(Box::new(Details { code, message, ..Details::default() }))
    }

    /// A command that was not understood: exit code 2.
    pub fn usage(message: impl Into<String>) -> Self {
        let mut problem = Self::new("bad_usage", message);
        problem.0.usage = true;
        problem
    }

    /// Where it is.
    pub fn at(mut self, place: impl Into<String>) -> Self {
        self.0.place = place.into();
        self
    }

    /// What to do.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = hint.into();
        self
    }

    /// A file that cannot be read.
    pub fn file(path: &Path, error: &io::Error) -> Self {
        let path = path.display();
        match error.kind() {
            io::ErrorKind::NotFound => Self::new("no_file", format!("there is no file `{path}`")),
            io::ErrorKind::InvalidData => Self::new("not_utf8", format!("`{path}` is not UTF-8")),
            _ => Self::new("unreadable_file", format!("cannot read `{path}`: {error}")),
        }
    }

    /// What a server answered beside its code: the mistakes of a workspace.
    pub fn answer(mut self, answer: &Value) -> Self {
        let mistakes = answer.get("mistakes").and_then(Value::as_array);
        self.0.mistakes = mistakes.cloned().unwrap_or_default();
        self
    }

    /// The sentence.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The sentence with its place and its code.
    pub fn line(&self) -> String {
        let Details { code, message, place, .. } = &*self.0;
        let place = if place.is_empty() { String::new() } else { format!(" ({place})") };
        format!("{message} [{code}]{place}")
    }

    /// The problem as JSON.
    pub fn to_json(&self) -> Value {
        let Details { code, message, place, mistakes, .. } = &*self.0;
        let mut value = json!({ "code": code, "message": message, "where": place });
        if let (false, Some(fields)) = (mistakes.is_empty(), value.as_object_mut()) {
            fields.insert("mistakes".to_owned(), json!(mistakes));
        }
        value
    }

    /// Says it, and how to exit.
    pub fn report(&self, as_json: bool) -> ExitCode {
        let Details { message, place, hint, mistakes, usage, quiet, .. } = &*self.0;
        if *quiet {
            return ExitCode::SUCCESS;
        }
        if as_json {
            println!("{}", json!({ "error": self.to_json() }));
        } else {
            let place = if place.is_empty() { "" } else { &format!(" ({place})") };
            eprintln!("error: {message}{place}");
            for mistake in mistakes {
                let of = |name: &str| mistake.get(name).cloned().unwrap_or_default();
                let message = of("message");
                let message = message.as_str().unwrap_or_default();
                eprintln!("  {}:{}: {message}", of("line"), of("column"));
            }
            if !hint.is_empty() {
                eprintln!("  {hint}");
            }
        }
        ExitCode::from(if *usage { 2 } else { 1 })
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let code = error.code().to_owned();
        Self::new(&code, error.message).at(error.place)
    }
}

/// An answer that cannot be written. Whoever closed the pipe has read enough.
impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        let mut problem = Self::new("unwritable", format!("cannot write the answer: {error}"));
        problem.0.quiet = error.kind() == io::ErrorKind::BrokenPipe;
        problem
    }
}
