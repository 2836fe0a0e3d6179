//! Many profiles, one per line: read in bounded pieces, looked at by all processors, tallied. It
//! must never hold more than one round of lines, and never let the number of processors show in an
//! answer.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Read};
use std::num::NonZero;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use selvedge::compile::closest;
use selvedge::workspace::Workspace;
use serde_json::{Value, json};

use crate::problem::{Outcome, Problem};
use crate::profile::{self, Overrides, Visitor};

/// Bytes of one profile; larger ones are no profile that an edge would hold.
pub const PROFILE_BYTES: u64 = 4 * 1024 * 1024;
/// Lines of one round: enough to keep all processors busy between two joins.
const ROUND_LINES: usize = 4_096;
/// Bytes of one round, which with one more profile bounds what is held.
const ROUND_BYTES: usize = 32 * 1024 * 1024;
/// Threads at most; more only wait for the reader.
const THREADS: usize = 16;
/// Lines with mistakes that are spelt out; the first ones, since one cause often has many.
const MISTAKES: usize = 20;
/// Different notes that are counted; a file with more has no common cause to tell.
const NOTES: usize = 50;
/// Runs that take longer say how far they are, this often.
const STEP: Duration = Duration::from_secs(1);

/// The file, or standard input for `-`, and its length where it has one.
pub fn open(path: &Path) -> Outcome<(Box<dyn Read>, Option<u64>)> {
    if path == Path::new("-") {
        return Ok((Box::new(io::stdin().lock()), None));
    }
    let file = File::open(path).map_err(|error| Problem::file(path, &error))?;
    let length = file.metadata().ok().filter(|known| known.is_file()).map(|known| known.len());
    Ok((Box::new(file), length))
}

/// The lines of a file, each bounded; empty ones are passed over, and counted.
pub struct Lines {
    reader: BufReader<Box<dyn Read>>,
    /// The number of the line that was read last, from 1.
    pub number: u64,
    /// Bytes that were read so far.
    pub bytes: u64,
}

impl Lines {
    /// From the start.
    pub fn new(reader: Box<dyn Read>) -> Self {
        Self { reader: BufReader::new(reader), number: 0, bytes: 0 }
    }

    /// The next line that is not empty, without its end; an error where it is too long.
    pub fn next(&mut self, line: &mut Vec<u8>) -> io::Result<Option<Outcome<()>>> {
        loop {
            line.clear();
            let limit = PROFILE_BYTES.saturating_add(1);
            let read = (&mut self.reader).take(limit).read_until(b'\n', line)?;
            if read == 0 {
                return Ok(None);
            }
            let read = u64::try_from(read).unwrap_or(u64::MAX);
            self.number = self.number.saturating_add(1);
            self.bytes = self.bytes.saturating_add(read);
            if read == limit && !line.ends_with(b"\n") {
                line.clear();
                self.skip()?;
                return Ok(Some(Err(too_large())));
            }
            if !line.trim_ascii().is_empty() {
                return Ok(Some(Ok(())));
            }
        }
    }

    fn skip(&mut self) -> io::Result<()> {
        loop {
            let buffer = self.reader.fill_buf()?;
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let taken = end.map_or(buffer.len(), |at| at.saturating_add(1));
            if taken == 0 {
                return Ok(());
            }
            self.reader.consume(taken);
            self.bytes = self.bytes.saturating_add(u64::try_from(taken).unwrap_or(0));
            if end.is_some() {
                return Ok(());
            }
        }
    }
}

/// The refusal of a profile above the bound.
pub fn too_large() -> Problem {
    Problem::new("profile_too_large", format!("a profile has at most {PROFILE_BYTES} bytes"))
}

/// Refuses placements that none of the workspaces has, before a long run.
pub fn check_placements(named: &[String], workspaces: &[&Workspace]) -> Outcome<()> {
    let known = |name: &&String| workspaces.iter().all(|one| one.placement(name).is_none());
    let Some(name) = named.iter().find(known) else { return Ok(()) };
    let all = workspaces.iter().flat_map(|one| &one.placements).map(|one| one.name.as_str());
    let meant = closest(name, all).map(|meant| format!(", did you mean `{meant}`?"));
    let message = format!("there is no placement `{name}`{}", meant.unwrap_or_default());
    Err(Problem::new("unknown_placement", message))
}

/// Somebody of the file, to look them up in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Example {
    /// The line.
    pub line: u64,
    /// The profile's `id`, if it has one.
    pub id: Option<String>,
}

impl Example {
    /// The id, else the line.
    pub fn name(&self) -> String {
        self.id.clone().unwrap_or_else(|| format!("line {}", self.line))
    }
}

/// What is counted. INVARIANT: joining is commutative, so that it does not show who counted what.
pub trait Tally: Send {
    /// Takes another's counts in.
    fn join(&mut self, other: Self);
}

/// What one profile adds, and what of it did not arrive.
pub trait Watch: Sync {
    /// The counts.
    type Tally: Tally;
    /// Nothing counted yet.
    fn empty(&self) -> Self::Tally;
    /// Counts one profile; the notes say what of it was not taken.
    fn look(&self, tally: &mut Self::Tally, who: &Example, seen: &Visitor) -> Outcome<Vec<String>>;
}

/// What was counted over a whole file.
pub struct Crowd<T> {
    /// The file, as it was named.
    file: String,
    /// The counts.
    pub tally: T,
    /// Profiles that were looked at.
    pub profiles: u64,
    /// Lines that hold no profile that can be looked at.
    pub refused: u64,
    /// The first of them.
    pub mistakes: BTreeMap<u64, Problem>,
    /// What profiles say that was not taken, and how many say it.
    pub notes: BTreeMap<String, u64>,
}

impl<T: Tally> Crowd<T> {
    fn new(path: &Path, tally: T) -> Self {
        Self {
            file: path.display().to_string(),
            tally,
            profiles: 0,
            refused: 0,
            mistakes: BTreeMap::new(),
            notes: BTreeMap::new(),
        }
    }

    fn refuse(&mut self, line: u64, problem: Problem) {
        self.refused = self.refused.saturating_add(1);
        self.mistakes.insert(line, problem);
        if self.mistakes.len() > MISTAKES {
            self.mistakes.pop_last();
        }
    }

    fn note(&mut self, note: String, count: u64) {
        let known = self.notes.entry(note).or_default();
        *known = known.saturating_add(count);
        if self.notes.len() > NOTES {
            self.notes.pop_last();
        }
    }

    fn join(&mut self, other: Self) {
        self.tally.join(other.tally);
        self.profiles = self.profiles.saturating_add(other.profiles);
        self.refused = self.refused.saturating_add(other.refused);
        self.mistakes.extend(other.mistakes);
        while self.mistakes.len() > MISTAKES {
            self.mistakes.pop_last();
        }
        for (note, count) in other.notes {
            self.note(note, count);
        }
    }

    /// What keeps the answer from being whole, on standard error, for people.
    pub fn report(&self) {
        for (note, count) in &self.notes {
            eprintln!("note: {count} of the profiles: {note}");
        }
        for (line, problem) in &self.mistakes {
            eprintln!("error: {}:{line}: {}", self.file, problem.line());
        }
        let told = u64::try_from(self.mistakes.len()).unwrap_or(u64::MAX);
        if self.refused > told {
            eprintln!("error: and {} more lines", self.refused.saturating_sub(told));
        }
    }

    /// The same for programs.
    pub fn fields(&self) -> Value {
        let mistake = |(line, problem): (&u64, &Problem)| {
            let error = problem.to_json();
            json!({ "file": self.file, "line": line, "error": error })
        };
        json!({
            "profiles": self.profiles,
            "refused": self.refused,
            "errors": self.mistakes.iter().map(mistake).collect::<Vec<_>>(),
            "notes": self.notes,
        })
    }
}

/// Looks at every profile of a file.
pub fn walk<W: Watch>(
    path: &Path,
    overrides: &Overrides,
    as_json: bool,
    watch: &W,
) -> Outcome<Crowd<W::Tally>> {
    let (reader, length) = open(path)?;
    let mut lines = Lines::new(reader);
    let mut progress = Progress::new(length, as_json);
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(THREADS);
    let mut crowds: Vec<_> = (0..threads).map(|_| Crowd::new(path, watch.empty())).collect();
    let mut all = Crowd::new(path, watch.empty());
    loop {
        let round =
            read_round(&mut lines, &mut all).map_err(|error| Problem::file(path, &error))?;
        if round.is_empty() {
            break;
        }
        let part = round.len().div_ceil(threads).max(1);
        thread::scope(|scope| {
            for (crowd, lines) in crowds.iter_mut().zip(round.chunks(part)) {
                scope.spawn(move || {
                    for (line, bytes) in lines {
                        look(crowd, *line, bytes, overrides, watch);
                    }
                });
            }
        });
        progress.tell(lines.number, lines.bytes);
    }
    progress.end();
    crowds.into_iter().for_each(|crowd| all.join(crowd));
    Ok(all)
}

type Round = Vec<(u64, Vec<u8>)>;

fn read_round<T: Tally>(lines: &mut Lines, all: &mut Crowd<T>) -> io::Result<Round> {
    let mut round = Vec::new();
    let mut bytes = 0_usize;
    let mut line = Vec::new();
    while round.len() < ROUND_LINES && bytes < ROUND_BYTES {
        match lines.next(&mut line)? {
            None => break,
            Some(Ok(())) => {
                bytes = bytes.saturating_add(line.len());
                round.push((lines.number, core::mem::take(&mut line)));
            }
            Some(Err(problem)) => all.refuse(lines.number, problem),
        }
    }
    Ok(round)
}

fn look<W: Watch>(
    crowd: &mut Crowd<W::Tally>,
    line: u64,
    bytes: &[u8],
    overrides: &Overrides,
    watch: &W,
) {
    let looked = || {
        let visitor = profile::read(bytes.trim_ascii_end(), overrides)?;
        let who = Example { line, id: visitor.id.clone() };
        watch.look(&mut crowd.tally, &who, &visitor)
    };
    // A defect of ours over one profile would else end the whole run, and not say over which. What
    // it counted before that stays counted; the exit code says that the answer is not whole.
    let looked = panic::catch_unwind(AssertUnwindSafe(looked)).unwrap_or_else(|_| {
        Err(Problem::new("defect", "selvedge itself failed over this profile: please report it"))
    });
    match looked {
        Ok(notes) => {
            crowd.profiles = crowd.profiles.saturating_add(1);
            // What two workspaces say of one profile is one note.
            for note in notes.into_iter().collect::<BTreeSet<_>>() {
                crowd.note(note, 1);
            }
        }
        Err(problem) => crowd.refuse(line, problem),
    }
}

/// How far a long run is.
struct Progress {
    length: Option<u64>,
    terminal: bool,
    quiet: bool,
    next: Instant,
    said: bool,
}

impl Progress {
    fn new(length: Option<u64>, as_json: bool) -> Self {
        let terminal = io::stderr().is_terminal();
        let quiet = as_json && !terminal;
        Self { length, terminal, quiet, next: Instant::now() + STEP, said: false }
    }

    fn tell(&mut self, lines: u64, bytes: u64) {
        if self.quiet || Instant::now() < self.next {
            return;
        }
        self.next = Instant::now() + STEP;
        self.said = true;
        let part = self.length.and_then(|length| bytes.saturating_mul(100).checked_div(length));
        let part = part.map(|part| format!(", {part} %")).unwrap_or_default();
        if self.terminal {
            eprint!("\r\x1b[K{lines} lines{part}");
        } else {
            eprintln!("{lines} lines{part}");
        }
    }

    fn end(&self) {
        if self.said && self.terminal {
            eprint!("\r\x1b[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::{Example, Tally, Watch, walk};
    use crate::problem::Outcome;
    use crate::profile::{Overrides, Visitor};

    /// Fails over whoever is called Eve, as a defect of ours would.
    struct Defect;

    impl Watch for Defect {
        type Tally = u64;

        fn empty(&self) -> u64 {
            0
        }

        fn look(&self, count: &mut u64, who: &Example, _: &Visitor) -> Outcome<Vec<String>> {
            assert_ne!(who.id.as_deref(), Some("eve"));
            *count = count.saturating_add(1);
            Ok(Vec::new())
        }
    }

    impl Tally for u64 {
        fn join(&mut self, other: Self) {
            *self = self.saturating_add(other);
        }
    }

    #[test]
    fn a_defect_over_one_profile_is_told_by_line_and_stops_nobody() {
        let path = std::env::temp_dir().join(format!("selvedge-defect-{}", std::process::id()));
        let lines: Vec<String> = (1..=200)
            .map(|line| format!(r#"{{"id":"{}"}}"#, if line == 77 { "eve" } else { "ada" }))
            .collect();
        assert!(fs::write(&path, lines.join("\n")).is_ok());
        let crowd = walk(Path::new(&path), &Overrides::default(), true, &Defect);
        assert!(fs::remove_file(&path).is_ok());
        let told = crowd.map(|crowd| {
            let codes = crowd.mistakes.iter().map(|(line, problem)| (*line, problem.line()));
            (crowd.tally, crowd.profiles, crowd.refused, codes.collect::<Vec<_>>())
        });
        let line = "selvedge itself failed over this profile: please report it [defect]";
        assert_eq!(told.ok(), Some((199, 199, 1, vec![(77, line.to_owned())])));
    }
}
