//! What the reader of the terminal sees: one line per step with its seconds, a spinner where
//! there is a terminal, and the output of a step only when it failed.

use std::io::{self, IsTerminal, Write};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::process;

/// How often a long step says that it still lives when nobody sees a spinner.
const HEARTBEAT: Duration = Duration::from_secs(20);
const SPINNER: [char; 4] = ['|', '/', '-', '\\'];

/// Runs one command as a step.
pub fn run(label: &str, command: &mut Command) -> Result<()> {
    output(label, command).map(|_| ())
}

/// As [`run`], with what the command printed.
pub fn output(label: &str, command: &mut Command) -> Result<Vec<String>> {
    let mut line = Line::begin(label);
    let finished = process::run(command, |text| line.show(text))?;
    if finished.status.success() {
        line.end("done");
        return Ok(finished.lines);
    }
    line.end("failed");
    show_failure(&finished.lines);
    let shown = shown(command);
    let status = finished.status;
    Err(Error::new(format!("{label} failed: `{shown}` ended with {status}, see above")))
}

/// The beginning and the end of what a failed step printed: the cause is in one of them.
fn show_failure(lines: &[String]) {
    const HEAD: usize = 40;
    const TAIL: usize = 60;
    let omitted = lines.len().saturating_sub(HEAD + TAIL);
    for (number, text) in lines.iter().enumerate() {
        if number < HEAD || number >= HEAD + omitted {
            eprintln!("    {text}");
        } else if number == HEAD {
            eprintln!("    ... {omitted} lines ...");
        }
    }
}

/// Work inside this program as a step.
pub fn work<T>(label: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let mut line = Line::begin(label);
    let done = work();
    line.end(if done.is_ok() { "done" } else { "failed" });
    done
}

fn shown(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|word| word.to_string_lossy().into_owned()));
    if let Some(first) = words.first_mut()
        && let Some((_, name)) = first.rsplit_once('/')
    {
        *first = name.to_owned();
    }
    let root = format!("{}/", crate::paths::root().display());
    words.join(" ").replace(&root, "")
}

/// The line of one step; also used by the parts that wait for something.
pub struct Line {
    label: String,
    began: Instant,
    beat: Instant,
    turn: usize,
    terminal: bool,
    ended: bool,
}

impl Line {
    pub fn begin(label: &str) -> Self {
        let now = Instant::now();
        let terminal = io::stderr().is_terminal();
        Line { label: label.to_owned(), began: now, beat: now, turn: 0, terminal, ended: false }
    }

    /// A sign of life; on a terminal with the latest line of output.
    pub fn show(&mut self, text: Option<&str>) {
        let seconds = self.began.elapsed().as_secs();
        if self.terminal {
            self.turn = self.turn.wrapping_add(1);
            let sign = SPINNER.get(self.turn % SPINNER.len()).copied().unwrap_or('|');
            let text: String = text.unwrap_or("").chars().filter(|c| !c.is_control()).collect();
            let text: String = text.trim().chars().take(50).collect();
            if text.is_empty() && !self.turn.is_multiple_of(4) {
                return;
            }
            eprint!("\r\x1b[2K{sign} {} {seconds} s  {text}", self.label);
            let _ = io::stderr().flush();
        } else if self.beat.elapsed() >= HEARTBEAT {
            self.beat = Instant::now();
            eprintln!("  {} ... {seconds} s", self.label);
        }
    }

    pub fn end(&mut self, how: &str) {
        self.ended = true;
        let clear = if self.terminal { "\r\x1b[2K" } else { "" };
        let seconds = self.began.elapsed().as_secs_f64();
        eprintln!("{clear}  {}: {how} in {seconds:.1} s", self.label);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if !self.ended {
            self.end("stopped");
        }
    }
}
