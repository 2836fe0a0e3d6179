//! Child processes: each leads its own process group, each is ended by its own id, and what it
//! printed is kept. It knows no step by name.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::error::{Context, Error, Result};
use crate::files;

static STOP: AtomicBool = AtomicBool::new(false);

const POLL: Duration = Duration::from_millis(50);
/// How long a group may take to end by itself before it is killed.
const GRACE: Duration = Duration::from_secs(5);

/// From here on Ctrl-C, SIGTERM and SIGHUP raise a flag, and every wait below gives up on it.
pub fn watch_for_stop() -> Result<()> {
    ctrlc::set_handler(|| STOP.store(true, Ordering::SeqCst))
        .doing(|| "cannot watch for Ctrl-C".into())
}

pub fn stopping() -> bool {
    STOP.load(Ordering::SeqCst)
}

pub fn interrupted() -> Error {
    Error::new("interrupted")
}

/// Sleeps in small pieces; false as soon as someone wants the program to stop.
pub fn sleep(time: Duration) -> bool {
    let until = Instant::now() + time;
    while Instant::now() < until {
        if stopping() {
            return false;
        }
        thread::sleep(POLL.min(until.saturating_duration_since(Instant::now())));
    }
    !stopping()
}

/// A child and whatever it started in its turn; all of it ends when this is dropped.
pub struct Group {
    child: Child,
    group: Pid,
    ended: Option<ExitStatus>,
}

impl Group {
    /// Starts `command` as the leader of a new process group with no standard input.
    pub fn start(command: &mut Command) -> Result<Self> {
        let program = command.get_program().to_string_lossy().into_owned();
        let child = command
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()
            .doing(|| format!("cannot start `{program}`"))?;
        let group = Pid::from_raw(i32::try_from(child.id()).doing(|| "process id".into())?);
        Ok(Group { child, group, ended: None })
    }

    /// The status, once the leader has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().ok().flatten();
        }
        self.ended
    }

    pub fn stop(&mut self) {
        for signal in [Signal::SIGTERM, Signal::SIGKILL] {
            // The leader must be reaped first: a zombie still counts as a member of the group.
            let until = Instant::now() + GRACE;
            if killpg(self.group, signal).is_err() {
                return;
            }
            while Instant::now() < until {
                self.ended();
                if killpg(self.group, None).is_err() {
                    return;
                }
                thread::sleep(POLL);
            }
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A long-running part, whose output goes to a file.
pub struct Part {
    pub name: &'static str,
    group: Group,
    log: PathBuf,
}

impl Part {
    pub fn start(name: &'static str, command: &mut Command, log: &Path) -> Result<Self> {
        let open = || -> std::io::Result<(File, File)> {
            let file = File::create(log)?;
            let twin = file.try_clone()?;
            Ok((file, twin))
        };
        let (out, err) = open().doing(|| format!("cannot write the log of the {name}"))?;
        let group = Group::start(command.stdout(out).stderr(err))?;
        Ok(Part { name, group, log: log.to_path_buf() })
    }

    /// An error with the last lines of its log, if the part is no longer there.
    pub fn check(&mut self) -> Result<()> {
        match self.group.ended() {
            None => Ok(()),
            Some(status) => Err(Error::new(format!(
                "the {} ended by itself ({status}); the last lines of `{}`:\n{}",
                self.name,
                crate::paths::shown(&self.log),
                self.last_lines(20),
            ))),
        }
    }

    pub fn last_lines(&self, count: usize) -> String {
        let text = files::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        let from = lines.len().saturating_sub(count);
        lines.iter().skip(from).map(|line| format!("    {line}\n")).collect()
    }

    pub fn stop(&mut self) {
        self.group.stop();
    }
}

/// What a finished command left behind.
pub struct Finished {
    pub status: ExitStatus,
    pub lines: Vec<String>,
}

/// Runs `command` to its end; `each` sees every line of its output, and None while it is silent.
pub fn run(command: &mut Command, mut each: impl FnMut(Option<&str>)) -> Result<Finished> {
    let (sender, receiver) = channel();
    let mut group = Group::start(command.stdout(Stdio::piped()).stderr(Stdio::piped()))?;
    if let Some(pipe) = group.child.stdout.take() {
        pump(pipe, sender.clone());
    }
    if let Some(pipe) = group.child.stderr.take() {
        pump(pipe, sender.clone());
    }
    drop(sender);
    let mut lines = Vec::new();
    let status = loop {
        drain(&receiver, &mut lines, &mut each, POLL);
        each(None);
        if stopping() {
            return Err(interrupted());
        }
        if let Some(status) = group.ended() {
            break status;
        }
    };
    // A grandchild that keeps the pipe open must not keep us.
    let until = Instant::now() + Duration::from_secs(1);
    while Instant::now() < until && drain(&receiver, &mut lines, &mut each, POLL) {}
    Ok(Finished { status, lines })
}

/// False once every writer has closed its end.
fn drain(
    receiver: &Receiver<String>,
    lines: &mut Vec<String>,
    each: &mut impl FnMut(Option<&str>),
    wait: Duration,
) -> bool {
    let until = Instant::now() + wait;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        match receiver.recv_timeout(left) {
            Ok(line) => {
                each(Some(&line));
                lines.push(line);
            }
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => return true,
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => {
                thread::sleep(left.min(Duration::from_millis(5)));
                return false;
            }
        }
    }
}

fn pump(pipe: impl Read + Send + 'static, lines: Sender<String>) {
    thread::spawn(move || {
        let mut reader = BufReader::new(pipe);
        let mut bytes = Vec::new();
        while reader.read_until(b'\n', &mut bytes).is_ok_and(|read| read > 0) {
            let line = String::from_utf8_lossy(&bytes).trim_end_matches(['\n', '\r']).to_owned();
            if lines.send(line).is_err() {
                return;
            }
            bytes.clear();
        }
    });
}
