//! What a person's receipts, joined, say: whether web events may be kept and the edge may be told.
//! It must never change a receipt.

use std::collections::{BTreeMap, BTreeSet};

use selvedge::consent::{Basis, Choice, Consent, Purpose, Record};
use selvedge::ids::ProfileName;
use selvedge::time::Timestamp;

use crate::storage::{ChangeKind, ReceiptRow, Result, Snapshot, Transaction};

/// A subject's consent, as far as the central store knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    /// The join of all records.
    pub(crate) consent: Consent,
    /// The latest no to `store` or `profile`: nothing web-born that came up to then is kept.
    pub(crate) last_no: Option<Timestamp>,
    /// The time of the latest record, by purpose.
    latest: BTreeMap<Purpose, Timestamp>,
}

impl Standing {
    /// Whether somebody said no to `store` or `profile` and did not say yes since. Silence is the
    /// region's matter, which the edge decides: it sends nothing that it may not.
    pub(crate) fn is_denied(&self) -> bool {
        [Purpose::Store, Purpose::Profile]
            .into_iter()
            .any(|purpose| self.consent.choice(purpose) == Some(false))
    }

    /// Whether a web event that was accepted at `accepted` may be kept.
    pub(crate) fn keeps(&self, accepted: Timestamp) -> bool {
        !self.is_denied() && self.last_no.is_none_or(|no| accepted > no)
    }

    /// The record of a choice that was made elsewhere at `time`. One that is older than what is
    /// known is a mere note: it starts no epoch, and its time decides.
    pub(crate) fn record(
        &self,
        purpose: Purpose,
        yes: bool,
        basis: Basis,
        time: Timestamp,
    ) -> Record {
        let latest = self.latest.get(&purpose).copied();
        if latest.is_none_or(|latest| time >= latest) {
            return self.consent.next_record(purpose, yes, basis, time);
        }
        let choice = if yes { Choice::Grant } else { Choice::Deny };
        Record { purpose, choice, epoch: self.consent.epoch(purpose), time, basis }
    }

    /// Takes a record in.
    pub(crate) fn take(&mut self, record: &Record) {
        self.consent.take(record);
        let latest = self.latest.entry(record.purpose).or_insert(record.time);
        *latest = record.time.max(*latest);
        let gates = matches!(record.purpose, Purpose::Store | Purpose::Profile);
        if gates && record.choice != Choice::Grant {
            self.last_no = self.last_no.max(Some(record.time));
        }
    }
}

/// The records of a receipt; one of a shape that this release does not know counts as none.
pub(crate) fn records(receipt: &ReceiptRow) -> Vec<Record> {
    let list = receipt.body.get("records").cloned().unwrap_or_default();
    serde_json::from_value(list).unwrap_or_default()
}

/// The subject and the devices' own profiles that were ever linked to it: a person's consent is the
/// join of all of theirs.
pub(crate) async fn subjects(
    snapshot: &mut dyn Snapshot,
    owner: &ProfileName,
) -> Result<BTreeSet<ProfileName>> {
    let mut subjects = BTreeSet::from([owner.clone()]);
    if owner.is_person() {
        let links = snapshot.links(owner).await?;
        subjects.extend(links.into_iter().filter_map(|link| link.object));
    }
    Ok(subjects)
}

/// How a person or an unlinked device stands.
pub(crate) async fn standing(snapshot: &mut dyn Snapshot, owner: &ProfileName) -> Result<Standing> {
    let subjects = subjects(snapshot, owner).await?;
    let mut standing = Standing::default();
    for receipt in snapshot.receipts(&subjects).await? {
        for record in records(&receipt) {
            standing.take(&record);
        }
    }
    Ok(standing)
}

/// Does what a change of consent asks for: a no deletes web events and stands in the feed for good,
/// and a yes after a no lets traits and series go to the edge again.
pub(crate) async fn note_change(
    tx: &mut dyn Transaction,
    owner: &ProfileName,
    before: &Standing,
    after: &Standing,
    now: Timestamp,
) -> Result<()> {
    if after.is_denied() || after.last_no != before.last_no {
        let until = if after.is_denied() { None } else { after.last_no };
        for subject in subjects(tx, owner).await? {
            tx.delete_web_events(&subject, until).await?;
        }
    }
    let alone = BTreeSet::from([owner.clone()]);
    if !tx.active(&alone).await?.contains(owner) {
        return Ok(());
    }
    let says_no = |standing: &Standing, purpose| standing.consent.choice(purpose) == Some(false);
    if Purpose::ALL.into_iter().any(|of| says_no(after, of) && !says_no(before, of)) {
        // Also where the edge said it: an edge that is restored from a snapshot forgets its own no.
        tx.mark(owner, ChangeKind::Consent, now).await?;
    }
    if before.is_denied() && !after.is_denied() {
        tx.mark(owner, ChangeKind::Traits, now).await?;
        tx.mark(owner, ChangeKind::Series, now).await?;
    }
    Ok(())
}
