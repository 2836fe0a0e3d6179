//! What a profile object still has to say: messages to other objects, and facts for the central
//! store. A row goes only after its answer; the alarm and the task after a write are wake-ups.
//! It must never drop what nobody has confirmed.

use std::rc::Rc;

use selvedge::engine::{Input, Reply};
use selvedge::ids::ProfileName;
use selvedge::limits;
use selvedge::sync;
use selvedge::wire::{FactRow, Push, WIRE_VERSION};
use worker::{Error, Result};

use crate::central;
use crate::objects::{self, Call};
use crate::profile_object::{Core, Gone, failed};
use crate::published;
use crate::sql::{as_bytes, as_integer, as_text};

/// The alarm after a write: it only fires where the task after the write did not get through.
pub const SAFETY_MS: i64 = 5_000;
/// The target of messages that ask the central store about a person.
pub const CENTRAL: &str = "central";
/// The target of messages that ask it to erase a profile.
pub const CENTRAL_ERASE: &str = "central erase";
/// Messages that one round sends.
const TELLS: i64 = 32;

/// Ends a drain however it ends.
struct Draining<'c>(&'c Core);

impl Drop for Draining<'_> {
    fn drop(&mut self) {
        self.0.draining.set(false);
    }
}

/// Sends everything that waits; what cannot be sent now, the alarm tries again.
pub async fn drain(core: Rc<Core>) {
    if core.draining.replace(true) {
        return;
    }
    let guard = Draining(&core);
    let failed = loop {
        match round(&core).await {
            Ok(true) => {}
            Ok(false) => break false,
            Err(error) => {
                worker::console_warn!("the outbox waits: {error}");
                break true;
            }
        }
    };
    drop(guard);
    let mut retry = core.retry.get();
    if failed {
        let wait_ms = retry.failed();
        core.retry.set(retry);
        if let Err(error) = core.wake_after(wait_ms).await {
            worker::console_error!("the alarm cannot be set: {error}");
        }
    } else {
        retry.worked();
        core.retry.set(retry);
        if let Err(error) = core.arm_to_wake().await {
            worker::console_error!("the alarm cannot be set: {error}");
        }
    }
}

/// One round; whether there may be more.
async fn round(core: &Rc<Core>) -> Result<bool> {
    if !core.has_tables(&core.sql())? {
        return Ok(false);
    }
    // A person whom the central store cannot describe now must not hold up the facts.
    let told = tell(core).await;
    let pushed = push(core).await;
    Ok(told? | pushed?)
}

/// Messages to other objects. Whether there was any.
async fn tell(core: &Rc<Core>) -> Result<bool> {
    let query = "SELECT id, target, bytes FROM tell ORDER BY id LIMIT ?";
    let rows = core.sql().run(query, vec![TELLS.into()])?;
    let mut failure = None;
    for row in &rows {
        let id = as_integer(row, 0)?;
        let sent = match as_text(row, 1)? {
            CENTRAL => ask_central(core, id, as_bytes(row, 2)?).await,
            CENTRAL_ERASE => erase_centrally(core, id, as_bytes(row, 2)?).await,
            target => tell_one(core, id, target, as_bytes(row, 2)?).await,
        };
        failure = failure.or(sent.err());
    }
    match failure {
        Some(error) => Err(error),
        None => Ok(!rows.is_empty()),
    }
}

async fn tell_one(core: &Rc<Core>, id: i64, target: &str, bytes: &[u8]) -> Result<()> {
    let settings = core.settings()?;
    let (Ok(name), Ok(input)) = (ProfileName::parse(target), postcard::from_bytes(bytes)) else {
        worker::console_error!("a message cannot be read and is dropped");
        return forget(core, id);
    };
    let now = objects::now();
    let workspace = published::current(&core.env, &settings.tenant, now).await.map_err(failed)?;
    let call = Call { workspace: workspace.version.clone(), now, input, copies: None };
    let reply = objects::ask(&core.env, &settings.tenant, &name, &call).await.map_err(failed)?;
    match reply {
        Reply::Refused(error) if error.code() == "outbox_full" => {
            Err(Error::from("another object's outbox is full"))
        }
        _ => forget(core, id),
    }
}

fn forget(core: &Core, id: i64) -> Result<()> {
    core.sql().run("DELETE FROM tell WHERE id = ?", vec![id.into()]).map(drop)
}

/// Asks the central store about every person that waits for it, now.
pub async fn hydrate(core: &Rc<Core>) -> Result<()> {
    let query = "SELECT id, bytes FROM tell WHERE target = ? ORDER BY id";
    for row in core.sql().run(query, vec![CENTRAL.into()])? {
        ask_central(core, as_integer(&row, 0)?, as_bytes(&row, 1)?).await?;
    }
    Ok(())
}

async fn ask_central(core: &Rc<Core>, id: i64, person: &[u8]) -> Result<()> {
    let settings = core.settings()?;
    let text = core::str::from_utf8(person).unwrap_or_default();
    let Ok(person) = ProfileName::parse(text) else { return forget(core, id) };
    let now = objects::now();
    let workspace = published::current(&core.env, &settings.tenant, now).await.map_err(failed)?;
    let changes = central::hydrate(&settings, &person, &workspace).await?;
    let seed = objects::seed().map_err(failed)?;
    // The answer may have taken a while: the turn reads the state as it is now.
    core.turn(&workspace, objects::now(), seed, Input::Apply { changes }, &Gone::Told(id))?;
    Ok(())
}

/// The row goes with the central store's answer: an erasure that was promised is never lost.
async fn erase_centrally(core: &Rc<Core>, id: i64, profile: &[u8]) -> Result<()> {
    let text = core::str::from_utf8(profile).unwrap_or_default();
    let Ok(profile) = ProfileName::parse(text) else { return forget(core, id) };
    central::erase(&*core.settings()?, &profile).await?;
    forget(core, id)
}

/// One batch of facts. Whether there was any.
async fn push(core: &Rc<Core>) -> Result<bool> {
    let facts = i64::try_from(limits::PUSH_FACTS).unwrap_or(i64::MAX);
    let query = "SELECT seq, size, bytes FROM outbox ORDER BY seq LIMIT ?";
    let rows = core.sql().run(query, vec![facts.into()])?;
    let mut sent = Vec::with_capacity(rows.len());
    for row in &rows {
        let seq = u64::try_from(as_integer(row, 0)?).unwrap_or_default();
        sent.push((seq, u32::try_from(as_integer(row, 1)?).unwrap_or(u32::MAX)));
    }
    sent.truncate(sync::batch(sent.iter().map(|(_, size)| *size)));
    let mut batch: Vec<FactRow> = Vec::with_capacity(sent.len());
    for row in rows.iter().take(sent.len()) {
        batch.push(
            postcard::from_bytes(as_bytes(row, 2)?)
                .map_err(|_| Error::from("a queued fact cannot be read"))?,
        );
    }
    let Some(producer) = batch.first().map(|row| row.producer.clone()) else { return Ok(false) };
    let settings = core.settings()?;
    let answer =
        central::push(&settings, &Push { wire_version: WIRE_VERSION, facts: batch }).await?;
    let seqs = sync::confirmed(&producer, &sent, &answer)
        .map_err(|error| Error::from(error.code().to_owned()))?;
    let now = objects::now();
    let workspace = published::current(&core.env, &settings.tenant, now).await.map_err(failed)?;
    let gone = Gone::Facts(seqs.iter().map(|(seq, _)| *seq).collect());
    let seed = objects::seed().map_err(failed)?;
    core.turn(&workspace, now, seed, Input::Stored { seqs }, &gone)?;
    Ok(true)
}

/// Keys whose events can no longer count twice.
pub fn forget_old_keys(core: &Core) -> Result<()> {
    let sql = core.sql();
    if core.has_tables(&sql)? {
        sql.run("DELETE FROM seen WHERE until < ?", vec![objects::now().0.into()])?;
    }
    Ok(())
}
