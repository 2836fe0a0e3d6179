//! Leases (Gray and Cheriton, "Leases", SOSP 1989): an isolate that is asked again and again about
//! one profile may hold a copy of its state for a moment, and the profile's object confirms no
//! change before every copy that lacks it has run out. So what was confirmed is never missing from
//! an answer. It must never give a copy a longer life than the object waits for.
//!
//! An isolate counts a copy's time from before it asked, the object from when it gave it, plus
//! [`GRACE_MS`]. See docs/decisions/0015-copies-under-leases.md.

use std::cell::RefCell;
use std::collections::BTreeMap;

use selvedge::engine::{self, Input, Reply};
use selvedge::ids::{Entropy, ProfileName};
use selvedge::time::Timestamp;
use selvedge::workspace::Workspace;
use serde::{Deserialize, Serialize};

use crate::http::Fault;
use crate::objects;
use crate::recent::Recent;

/// How long a copy may answer.
pub const LEASE_MS: i64 = 1_000;
/// How much longer the object waits: two machines' clocks need not run alike, and the runtime's
/// stands still while a call computes.
const GRACE_MS: i64 = 100;
/// Questions about a profile, each soon after the one before, from which on a copy is asked for:
/// the calls of one page are fewer.
const OFTEN: u32 = 3;
/// Bytes of the largest state, as it is stored, of which a copy is given.
pub const COPY_BYTES: usize = 48 * 1_024;
/// Profiles that an isolate remembers being asked about, twice this many at most.
const PROFILES: usize = 128;
/// Isolates that hold a copy of one profile at a time.
const ISOLATES: usize = 64;
/// An object's note that copies may be out covers this long, so that it is seldom written.
const NOTE_MS: i64 = 60_000;

/// What a call says of the copies in the isolate that it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copies {
    /// The isolate.
    pub isolate: [u8; 16],
    /// It dropped each copy that it asked for under a smaller number, and takes none any more.
    pub number: u64,
    /// It asks for one under this number.
    pub wanted: bool,
}

/// What an isolate knows of one profile.
#[derive(Default)]
struct Asked {
    /// When the last question came, and how many came each within [`LEASE_MS`] of the one before.
    last: Timestamp,
    row: u32,
    /// The number under which a copy was asked for that is not here yet.
    awaited: Option<(u64, Timestamp)>,
    copy: Option<Copy>,
}

/// A copy of a state.
struct Copy {
    state: engine::State,
    desk: engine::Desk,
    /// Since when it counts.
    given: Timestamp,
}

/// The copies of an isolate.
struct Isolate {
    id: Option<[u8; 16]>,
    numbers: u64,
    swept: Timestamp,
    profiles: Recent<Asked>,
}

thread_local! {
    static ISOLATE: RefCell<Isolate> = const {
        RefCell::new(Isolate {
            id: None,
            numbers: 0,
            swept: Timestamp(0),
            profiles: Recent::new(PROFILES),
        })
    };
}

/// Whether a copy may answer this; the object's answer then waits for no copies either. Everything
/// else is a change, or says what is recorded, and is answered once no copy lacks it.
pub fn may_answer(input: &Input) -> bool {
    match input {
        Input::Decide { .. } | Input::Slice { .. } => true,
        Input::Under { question, .. } => may_answer(question),
        _ => false,
    }
}

/// Whether there is a copy that counts.
pub fn holds(name: &ProfileName, now: Timestamp) -> bool {
    ISOLATE.with_borrow_mut(|isolate| {
        isolate.profiles.get(name.as_str()).is_some_and(|asked| asked.copy(now).is_some())
    })
}

/// Answers a question from a copy, where there is one that counts. `now` is the time by the clock,
/// `asked_at` that of the question.
pub fn answer(
    name: &ProfileName,
    workspace: &Workspace,
    now: Timestamp,
    asked_at: Timestamp,
    question: &Input,
) -> Option<Reply> {
    ISOLATE.with_borrow_mut(|isolate| {
        let asked = isolate.profiles.get(name.as_str())?;
        let Copy { state, desk, .. } = asked.copy(now)?;
        let reply = engine::ask(state, desk, workspace, asked_at, question);
        asked.count(now);
        reply
    })
}

/// A clock that was set back ends a copy as well.
fn is_within(given: Timestamp, now: Timestamp) -> bool {
    (0..LEASE_MS).contains(&now.since_ms(given))
}

/// What to say with a question: that a copy is wanted, where the profile is asked about often.
pub fn with_question(name: &ProfileName, now: Timestamp) -> Result<Option<Copies>, Fault> {
    ISOLATE.with_borrow_mut(|isolate| {
        isolate.sweep(now);
        let Some(asked) = isolate.profiles.get(name.as_str()) else {
            let asked = Asked { last: now, row: 1, ..Asked::default() };
            isolate.profiles.put(name.as_str().to_owned(), asked);
            return Ok(None);
        };
        asked.count(now);
        // It ran out, and stays so whatever the clock says later.
        asked.copy = None;
        // An answer that never came must not keep the profile from being asked for again.
        let awaits = asked.awaited.is_some_and(|(_, since)| is_within(since, now));
        if asked.row < OFTEN || awaits {
            return Ok(None);
        }
        isolate.numbers = isolate.numbers.saturating_add(1);
        asked.awaited = Some((isolate.numbers, now));
        isolate.said(true).map(Some)
    })
}

/// What to say with a change: this isolate has no copy of the profile from here on.
pub fn with_change(name: &ProfileName) -> Result<Option<Copies>, Fault> {
    ISOLATE.with_borrow_mut(|isolate| {
        let Some(asked) = isolate.profiles.get(name.as_str()) else { return Ok(None) };
        *asked = Asked { last: asked.last, row: asked.row, ..Asked::default() };
        isolate.numbers = isolate.numbers.saturating_add(1);
        isolate.said(false).map(Some)
    })
}

/// Takes a copy in, unless it is no longer wanted.
pub fn take(name: &ProfileName, number: u64, state: engine::State) {
    ISOLATE.with_borrow_mut(|isolate| {
        let Some(asked) = isolate.profiles.get(name.as_str()) else { return };
        if let Some((_, since)) = asked.awaited.take_if(|(awaited, _)| *awaited == number) {
            asked.copy = Some(Copy { state, desk: engine::Desk::default(), given: since });
        }
    });
}

impl Asked {
    fn count(&mut self, now: Timestamp) {
        self.row = if is_within(self.last, now) { self.row.saturating_add(1) } else { 1 };
        self.last = now;
    }

    fn copy(&mut self, now: Timestamp) -> Option<&mut Copy> {
        self.copy.as_mut().filter(|copy| is_within(copy.given, now))
    }
}

impl Isolate {
    /// Nothing of anybody stays in memory for longer than it may be used, and a little.
    fn sweep(&mut self, now: Timestamp) {
        if !is_within(self.swept, now) {
            self.swept = now;
            self.profiles.each(|asked| {
                asked.copy.take_if(|copy| !is_within(copy.given, now));
            });
        }
    }

    fn said(&mut self, wanted: bool) -> Result<Copies, Fault> {
        let isolate = match self.id {
            Some(id) => id,
            None => {
                let id = Entropy::new(objects::seed()?).take16();
                *self.id.insert(id)
            }
        };
        Ok(Copies { isolate, number: self.numbers, wanted })
    }
}

/// The leases that an object gave.
#[derive(Debug, Default)]
pub struct Leases {
    /// By isolate, those on the state as it is: the last number, and until when.
    current: BTreeMap<[u8; 16], (u64, Timestamp)>,
    /// Until when there may be copies that lack a change.
    stale_until: Timestamp,
    /// What the stored note says; None before anybody looked.
    noted_until: Option<Timestamp>,
}

impl Leases {
    /// Whether the stored note still has to be read.
    pub fn is_fresh(&self) -> bool {
        self.noted_until.is_none()
    }

    /// Begins with what the stored note says: where it holds, whoever went before may have given
    /// leases until now.
    pub fn begin(&mut self, noted_until: Timestamp, now: Timestamp) {
        if noted_until > now {
            self.stale_until = until(now);
        }
        self.noted_until = Some(noted_until);
    }

    /// Takes in what a call says of its isolate's copies. None where no lease is wanted; else the
    /// note that has to be stored before the copy goes out, if there is one.
    pub fn hear(&mut self, copies: Copies, now: Timestamp) -> Option<Option<Timestamp>> {
        let Copies { isolate, number, wanted } = copies;
        self.current
            .retain(|known, (last, until)| *until > now && (*known != isolate || *last >= number));
        let room = self.current.len() < ISOLATES || self.current.contains_key(&isolate);
        if !wanted || !room {
            return None;
        }
        let until = until(now);
        let (last, latest) = self.current.entry(isolate).or_insert((number, until));
        *last = number.max(*last);
        *latest = until.max(*latest);
        if self.noted_until.is_some_and(|noted| noted >= until) {
            return Some(None);
        }
        let note = now.plus_ms(NOTE_MS);
        self.noted_until = Some(note);
        Some(Some(note))
    }

    /// The note could not be stored: the next lease brings one again.
    pub fn forget_note(&mut self) {
        self.noted_until = Some(Timestamp(0));
    }

    /// The state changed: every copy that is out lacks something.
    pub fn changed(&mut self) {
        for (_, until) in core::mem::take(&mut self.current).into_values() {
            self.stale_until = self.stale_until.max(until);
        }
    }

    /// Milliseconds until no copy lacks any change so far.
    pub fn wait_ms(&self, now: Timestamp) -> Option<u64> {
        u64::try_from(self.stale_until.since_ms(now)).ok().filter(|left| *left > 0)
    }
}

fn until(now: Timestamp) -> Timestamp {
    now.plus_ms(LEASE_MS.saturating_add(GRACE_MS))
}

#[cfg(test)]
mod tests {
    use selvedge::engine::State;
    use selvedge::ids::ProfileName;
    use selvedge::time::Timestamp;

    use super::{Copies, GRACE_MS, ISOLATES, LEASE_MS, Leases, NOTE_MS, OFTEN};

    const WHOLE: i64 = LEASE_MS + GRACE_MS;

    fn says(isolate: u8, number: u64, wanted: bool) -> Copies {
        Copies { isolate: [isolate; 16], number, wanted }
    }

    fn begun() -> Leases {
        let mut leases = Leases::default();
        leases.begin(Timestamp(0), Timestamp(0));
        leases
    }

    fn wait_ms(leases: &Leases, now: i64) -> Option<u64> {
        leases.wait_ms(Timestamp(now))
    }

    /// Asks until a copy is wanted; the number that it is wanted under.
    fn wanted(name: &ProfileName, now: i64) -> Option<u64> {
        let asks = (0..OFTEN).map(|_| super::with_question(name, Timestamp(now)));
        asks.filter_map(|said| said.ok().flatten()).map(|copies| copies.number).max()
    }

    fn take(name: &ProfileName, number: Option<u64>) {
        super::take(name, number.unwrap_or_default(), State::default());
    }

    fn holds(name: &ProfileName, now: i64) -> bool {
        super::holds(name, Timestamp(now))
    }

    #[test]
    fn a_copy_that_was_asked_for_before_a_change_is_not_taken_in() {
        let name = ProfileName::person(&[1; 16]);
        let before = wanted(&name, 0);
        assert!(before.is_some());
        assert!(super::with_change(&name).is_ok());
        take(&name, before);
        assert!(!holds(&name, 1), "it lacks the change");
        let after = wanted(&name, 2);
        assert!(after > before);
        take(&name, before);
        assert!(!holds(&name, 3), "still the first answer, overtaken by the second question");
        take(&name, after);
        assert!(holds(&name, 4));
        assert!(super::with_change(&name).is_ok());
        assert!(!holds(&name, 5), "the isolate's own change drops it");
    }

    #[test]
    fn a_copy_counts_from_before_it_was_asked_for() {
        let (name, other) = (ProfileName::person(&[2; 16]), ProfileName::person(&[4; 16]));
        let number = wanted(&name, 500);
        take(&name, number);
        assert!(holds(&name, 500) && holds(&name, 499 + LEASE_MS));
        assert!(!holds(&name, 500 + LEASE_MS) && !holds(&name, 499), "nor with an earlier clock");
        // Others' questions sweep, while it still counts.
        assert!(wanted(&other, LEASE_MS).is_some() && holds(&name, LEASE_MS));
        // Asked for anew it is gone, whatever the clock says then.
        assert!(wanted(&name, 500 + LEASE_MS).is_some());
        assert!(!holds(&name, LEASE_MS));
    }

    #[test]
    fn who_asks_now_and_then_gets_no_copy() {
        let name = ProfileName::person(&[3; 16]);
        for nth in 0..10 {
            let said = super::with_question(&name, Timestamp(nth * LEASE_MS));
            assert!(matches!(said, Ok(None)), "{nth}");
        }
    }

    #[test]
    fn a_change_waits_for_the_last_copy_that_lacks_it() {
        let mut leases = begun();
        leases.changed();
        assert_eq!(wait_ms(&leases, 0), None, "nobody has a copy");
        leases.hear(says(1, 1, true), Timestamp(0));
        leases.hear(says(2, 1, true), Timestamp(10));
        assert_eq!(wait_ms(&leases, 10), None, "nothing has changed");
        leases.changed();
        assert_eq!(wait_ms(&leases, 10), u64::try_from(WHOLE).ok());
        // A copy of what is there now is no reason to wait.
        leases.hear(says(1, 2, true), Timestamp(500));
        assert_eq!(wait_ms(&leases, WHOLE + 9), Some(1));
        assert_eq!(wait_ms(&leases, WHOLE + 10), None);
    }

    #[test]
    fn an_isolate_that_dropped_its_copy_is_not_waited_for() {
        let mut leases = begun();
        leases.hear(says(1, 1, true), Timestamp(0));
        leases.hear(says(1, 2, false), Timestamp(1));
        leases.changed();
        assert_eq!(wait_ms(&leases, 1), None);
    }

    #[test]
    fn messages_that_overtake_each_other_shorten_no_wait() {
        // Dropped by 2, asked for again under 3, which arrives first.
        let mut leases = begun();
        leases.hear(says(1, 3, true), Timestamp(5));
        leases.hear(says(1, 2, false), Timestamp(6));
        leases.changed();
        assert_eq!(wait_ms(&leases, 6), u64::try_from(WHOLE - 1).ok());
        // An older question that arrives last neither ends nor hides the newer lease.
        let mut leases = begun();
        leases.hear(says(1, 3, true), Timestamp(5));
        leases.hear(says(1, 1, true), Timestamp(6));
        leases.hear(says(1, 2, false), Timestamp(7));
        leases.changed();
        assert_eq!(wait_ms(&leases, 7), u64::try_from(WHOLE - 1).ok());
    }

    #[test]
    fn the_note_covers_every_lease_and_is_seldom_written() {
        let mut leases = begun();
        let mut noted = 0;
        for now in (0..3 * NOTE_MS).step_by(100) {
            let lease = leases.hear(says(1, 1, true), Timestamp(now)).unwrap_or_default();
            noted = lease.map_or(noted, |until| until.0);
            assert!(noted >= now + WHOLE, "at {now}");
            if lease.is_some() {
                assert!(now == 0 || now > NOTE_MS / 2);
            }
        }
    }

    #[test]
    fn a_note_that_was_not_stored_is_written_again() {
        let mut leases = begun();
        assert!(matches!(leases.hear(says(1, 1, true), Timestamp(0)), Some(Some(_))));
        assert_eq!(leases.hear(says(2, 1, true), Timestamp(1)), Some(None));
        leases.forget_note();
        assert!(matches!(leases.hear(says(3, 1, true), Timestamp(2)), Some(Some(_))));
    }

    #[test]
    fn whoever_comes_after_waits_where_the_note_holds() {
        let mut leases = Leases::default();
        assert!(leases.is_fresh());
        leases.begin(Timestamp(100), Timestamp(50));
        assert_eq!(wait_ms(&leases, 50), u64::try_from(WHOLE).ok());
        let mut leases = Leases::default();
        leases.begin(Timestamp(100), Timestamp(100));
        assert!(!leases.is_fresh());
        assert_eq!(wait_ms(&leases, 100), None);
    }

    #[test]
    fn more_isolates_than_there_is_room_for_get_no_copy() {
        let mut leases = begun();
        let given = |leases: &mut Leases, isolate: usize, now| {
            let isolate = u8::try_from(isolate).unwrap_or_default();
            leases.hear(says(isolate, 1, true), Timestamp(now)).is_some()
        };
        assert!((0..ISOLATES).all(|isolate| given(&mut leases, isolate, 0)));
        assert!(!given(&mut leases, ISOLATES, 1));
        assert!(given(&mut leases, 0, 1), "whoever has one may have it longer");
        assert!(given(&mut leases, ISOLATES, WHOLE + 1), "there is room again");
    }
}
