//! The sync state machines: what to send, what may go, when to try again. They decide; the host
//! sends, stores and waits. They must never read a clock or drop what nobody confirmed.
//!
//! The edge's side of a push:
//!
//! ```text
//! let count = batch(sizes of the waiting rows);       // what goes into one message
//! host sends them, and gets an answer or a failure
//! let gone = confirmed(producer, rows, &answer)?;     // exactly these leave the outbox
//! let wait_ms = retry.failed();  or  retry.worked();  // when to wake up again
//! ```

use alloc::vec::Vec;

use crate::error::Error;
use crate::ids::ProfileName;
use crate::limits;
use crate::wire::{Changes, PushAnswer, check_version};

/// Bytes of facts in one push: a quarter of a message, since JSON may double them.
const PUSH_BYTES: u64 = (limits::SYNC_BYTES / 4) as u64;

/// Waits that double with each failure and end with the first success.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retry {
    failures: u32,
}

impl Retry {
    /// It worked.
    pub fn worked(&mut self) {
        self.failures = 0;
    }

    /// It failed: wait this long, in milliseconds.
    pub fn failed(&mut self) -> i64 {
        let doublings = self.failures.min(30);
        self.failures = self.failures.saturating_add(1);
        limits::RETRY_FIRST_MS
            .checked_shl(doublings)
            .filter(|wait_ms| *wait_ms > 0)
            .map_or(limits::RETRY_LAST_MS, |wait_ms| wait_ms.min(limits::RETRY_LAST_MS))
    }
}

/// How many of the waiting rows go into the next push, by their sizes in bytes, the oldest first.
/// At least one goes, however large, or it would wait forever.
pub fn batch(sizes_bytes: impl IntoIterator<Item = u32>) -> usize {
    let mut total = 0_u64;
    let mut count = 0_usize;
    for size_bytes in sizes_bytes.into_iter().take(limits::PUSH_FACTS) {
        total = total.saturating_add(u64::from(size_bytes));
        if total > PUSH_BYTES && count > 0 {
            break;
        }
        count = count.saturating_add(1);
    }
    count
}

/// The rows (seq and size) that the central store has, and that may leave the outbox. Errors:
/// `nothing_stored`, since a push that moves nothing would be sent again at once, for ever.
pub fn confirmed(
    producer: &ProfileName,
    sent: &[(u64, u32)],
    answer: &PushAnswer,
) -> Result<Vec<(u64, u32)>, Error> {
    let stored = answer.stored.get(producer).map_or(&[][..], Vec::as_slice);
    let gone: Vec<(u64, u32)> =
        sent.iter().filter(|(seq, _)| stored.contains(seq)).copied().collect();
    if gone.is_empty() && !sent.is_empty() {
        return Err(Error::new("nothing_stored", "the central store stored nothing", "stored"));
    }
    Ok(gone)
}

/// Follows the central store's changes by cursor, for what a push did not bring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Follower {
    /// Everything up to here was taken.
    pub cursor: u64,
}

/// What a follower does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Ask again at once.
    Ask,
    /// Everything is here; ask again later.
    Rest,
}

impl Follower {
    /// After an answer's changes were applied. A cursor that falls is refused: it would apply the
    /// same changes for ever. Errors: `wire_version`, `cursor_fell`.
    pub fn applied(&mut self, answer: &Changes) -> Result<Next, Error> {
        check_version(answer.wire_version)?;
        if answer.cursor < self.cursor {
            return Err(Error::new(
                "cursor_fell",
                "the central store's cursor fell: was it restored from a snapshot?",
                "cursor",
            ));
        }
        let moved = answer.cursor > self.cursor;
        self.cursor = answer.cursor;
        Ok(if answer.more && moved { Next::Ask } else { Next::Rest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound_and_begin_anew() {
        let mut retry = Retry::default();
        let waits: Vec<i64> = (0..12).map(|_| retry.failed()).collect();
        assert_eq!(waits[..4], [1_000, 2_000, 4_000, 8_000]);
        assert_eq!(waits[9..], [limits::RETRY_LAST_MS; 3]);
        let bound = (0..100).map(|_| retry.failed()).all(|wait| wait == limits::RETRY_LAST_MS);
        assert!(bound);
        retry.worked();
        assert_eq!(retry.failed(), limits::RETRY_FIRST_MS);
    }

    #[test]
    fn a_push_is_bounded_and_never_empty() {
        assert_eq!(batch([]), 0);
        assert_eq!(batch([u32::MAX, 1]), 1);
        assert_eq!(batch([300; 1_000]), limits::PUSH_FACTS);
        let half = u32::try_from(PUSH_BYTES / 2).unwrap();
        assert_eq!(batch([half, half, 1]), 2);
    }

    #[test]
    fn only_what_is_stored_leaves_the_outbox() {
        let (own, other) = (ProfileName::person(&[1; 16]), ProfileName::person(&[2; 16]));
        let sent = [(1, 10), (2, 20), (3, 30)];
        let answer =
            PushAnswer { stored: [(own.clone(), vec![1, 3, 9]), (other.clone(), vec![2])].into() };
        assert_eq!(confirmed(&own, &sent, &answer), Ok(vec![(1, 10), (3, 30)]));
        let foreign = PushAnswer { stored: [(other, vec![1, 2, 3])].into() };
        assert_eq!(confirmed(&own, &sent, &foreign).unwrap_err().code(), "nothing_stored");
    }

    #[test]
    fn a_follower_goes_on_until_it_has_everything() {
        let answer = |cursor, more| Changes {
            wire_version: 1,
            changes: Vec::new(),
            cursor,
            more,
            spent: None,
        };
        let mut follower = Follower { cursor: 5 };
        assert_eq!(follower.applied(&answer(9, true)), Ok(Next::Ask));
        assert_eq!(follower.applied(&answer(9, true)), Ok(Next::Rest));
        assert_eq!(follower.applied(&answer(12, false)), Ok(Next::Rest));
        assert_eq!(follower.applied(&answer(3, false)).unwrap_err().code(), "cursor_fell");
        assert_eq!(follower.cursor, 12);
        let newer = Changes { wire_version: 99, ..answer(13, false) };
        assert_eq!(follower.applied(&newer).unwrap_err().code(), "wire_version");
    }
}
