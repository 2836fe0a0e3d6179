//! The tenant's own object: the published workspaces, the cursor up to which this edge has the
//! central store's changes, and which offers it says are spent. It must never hold anything of a
//! visitor.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use selvedge::budget::Spent;
use selvedge::engine::{Input, Reply};
use selvedge::ids::ProfileName;
use selvedge::limits;
use selvedge::sync::{Follower, Next};
use selvedge::time::Timestamp;
use selvedge::wire::{Change, Declare};
use selvedge::workspace::Workspace;
use worker::{DurableObject, Env, Error, Request, Response, Result, State, durable_object};

use crate::central;
use crate::objects::{self, Call, Have, News, Published};
use crate::profile_object::failed;
use crate::published;
use crate::settings::{self, Settings};
use crate::sql::{Sql, as_text};

const SCHEMA: [&str; 2] = [
    "CREATE TABLE IF NOT EXISTS workspace (key TEXT, part INTEGER, bytes BLOB NOT NULL, \
     PRIMARY KEY (key, part)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
];
/// Rounds of changes that one alarm takes before it lets others in.
const ROUNDS: u32 = 20;
/// Objects that may name one another before a change is left to the next healing.
const HOPS: u32 = 3;
/// People to whom changes are applied at a time.
const AT_ONCE: usize = 64;

/// The Durable Object class.
#[durable_object]
pub struct TenantObject {
    state: State,
    env: Env,
    /// The current version with its image, once it was read.
    current: RefCell<Option<(String, Vec<u8>)>>,
    /// Which offers are spent, once it was read.
    spent: RefCell<Option<Spent>>,
    failures: Cell<u32>,
}

impl DurableObject for TenantObject {
    fn new(state: State, env: Env) -> Self {
        Self {
            state,
            env,
            current: RefCell::new(None),
            spent: RefCell::new(None),
            failures: Cell::new(0),
        }
    }

    async fn fetch(&self, mut request: Request) -> Result<Response> {
        match request.path().as_str() {
            "/current" => {
                let have: Have = objects::taken(&mut request).await?;
                let image = self.current(&have.version)?;
                let spent = Some(self.spent()?).filter(|spent| spent.as_of > have.spent_as_of);
                objects::given(&News { image, spent })
            }
            "/spent" => {
                let spent: Spent = objects::taken(&mut request).await?;
                self.take_spent(spent)?;
                objects::given(&())
            }
            "/image" => {
                let version: String = objects::taken(&mut request).await?;
                objects::given(&self.part(&image_key(&version))?)
            }
            "/source" => objects::given(&self.source()?),
            "/publish" => {
                let workspace: Published = objects::taken(&mut request).await?;
                self.publish(&workspace)?;
                self.state.storage().set_alarm(Duration::from_millis(1)).await?;
                objects::given(&())
            }
            _ => Response::error("an object takes no such call", 404),
        }
    }

    async fn alarm(&self) -> Result<Response> {
        let failures = match self.heal().await {
            Ok(()) => 0,
            Err(error) => {
                worker::console_warn!("the changes of the central store wait: {error}");
                self.failures.get().saturating_add(1)
            }
        };
        self.failures.set(failures);
        // Doubled with each failure, so that a central store that comes back is not run over.
        let factor = i64::from(failures.min(4)).checked_add(1).unwrap_or(1);
        let wait_ms = limits::HEAL_MS.saturating_mul(factor);
        let wait = Duration::from_millis(u64::try_from(wait_ms).unwrap_or_default());
        self.state.storage().set_alarm(wait).await?;
        Response::ok("")
    }
}

fn image_key(version: &str) -> String {
    format!("image/{version}")
}

fn source_key(version: &str) -> String {
    format!("source/{version}")
}

impl TenantObject {
    fn sql(&self) -> Sql {
        Sql::new(self.state.storage())
    }

    fn part(&self, key: &str) -> Result<Option<Vec<u8>>> {
        let sql = self.sql();
        if !sql.has_table("workspace")? {
            return Ok(None);
        }
        sql.blob("workspace", key)
    }

    fn setting(&self, name: &str) -> Result<Option<String>> {
        let sql = self.sql();
        if !sql.has_table("setting")? {
            return Ok(None);
        }
        let rows = sql.run("SELECT value FROM setting WHERE name = ?", vec![name.into()])?;
        rows.first().map(|row| as_text(row, 0).map(str::to_owned)).transpose()
    }

    /// The current image; None where the caller has it, or where there is none.
    fn current(&self, have: &str) -> Result<Option<Vec<u8>>> {
        if self.current.borrow().is_none()
            && let Some(version) = self.setting("current")?
            && let Some(image) = self.part(&image_key(&version))?
        {
            self.current.replace(Some((version, image)));
        }
        let current = self.current.borrow();
        Ok(current.as_ref().filter(|(version, _)| version != have).map(|(_, image)| image.clone()))
    }

    fn source(&self) -> Result<Option<Published>> {
        let Some(version) = self.setting("current")? else { return Ok(None) };
        let source = self.part(&source_key(&version))?.unwrap_or_default();
        let time = self.setting("published")?.and_then(|text| text.parse().ok()).unwrap_or(0);
        Ok(Some(Published {
            version,
            source: String::from_utf8(source)
                .map_err(|_| Error::from("a stored workspace cannot be read"))?,
            image: Vec::new(),
            time: selvedge::time::Timestamp(time),
        }))
    }

    fn publish(&self, workspace: &Published) -> Result<()> {
        self.current.replace(None);
        self.sql().transaction(|sql| {
            for statement in SCHEMA {
                sql.run(statement, vec![])?;
            }
            let version = &workspace.version;
            sql.put_blob("workspace", &image_key(version), &workspace.image)?;
            sql.put_blob("workspace", &source_key(version), workspace.source.as_bytes())?;
            set(sql, "current", version)?;
            set(sql, "published", &workspace.time.0.to_string())
        })
    }

    /// Which offers are spent, as the central store said last.
    fn spent(&self) -> Result<Spent> {
        if let Some(known) = &*self.spent.borrow() {
            return Ok(known.clone());
        }
        let stored = self.setting("spent")?;
        let spent: Spent = stored
            .map(|text| serde_json::from_str(&text))
            .transpose()
            .map_err(|_| Error::from("the stored spent offers cannot be read"))?
            .unwrap_or_default();
        self.spent.replace(Some(spent.clone()));
        Ok(spent)
    }

    /// Keeps which offers are spent; the later word stands, whichever came first.
    fn take_spent(&self, spent: Spent) -> Result<()> {
        if spent.as_of <= self.spent()?.as_of {
            return Ok(());
        }
        let text = serde_json::to_string(&spent)?;
        self.spent.replace(None);
        self.sql().transaction(|sql| {
            for statement in SCHEMA {
                sql.run(statement, vec![])?;
            }
            set(sql, "spent", &text)
        })
    }

    /// Tells the central store what the current workspace declares, until it has answered once. An
    /// older central store does not know the call: then experiments and budgets are not counted.
    async fn declare(&self, settings: &Settings) -> Result<()> {
        let Some(current) = self.setting("current")? else { return Ok(()) };
        let published = self.setting("published")?.unwrap_or_default();
        let mark = format!("{current} {published}");
        if self.setting("declared")?.as_ref() == Some(&mark) {
            return Ok(());
        }
        let Some(image) = self.part(&image_key(&current))? else { return Ok(()) };
        let workspace =
            Workspace::from_bytes(&image).map_err(|error| Error::from(error.code().to_owned()))?;
        let published = Timestamp(published.parse().unwrap_or_default());
        let spent = central::declare(settings, &Declare::of(&workspace, published)).await?;
        self.take_spent(spent)?;
        self.sql().transaction(|sql| set(sql, "declared", &mark))
    }

    /// Takes the changes that a lost push did not bring.
    async fn heal(&self) -> Result<()> {
        let settings = settings::of(&self.env).map_err(failed)?;
        if let Err(error) = self.declare(&settings).await {
            worker::console_warn!("experiments and budgets are not declared yet: {error}");
        }
        let cursor = self.setting("cursor")?.and_then(|text| text.parse().ok()).unwrap_or(0);
        let mut follower = Follower { cursor };
        for _ in 0..ROUNDS {
            let mut answer = central::changes(&settings, follower.cursor).await?;
            match answer.spent.take() {
                Some(spent) => self.take_spent(spent)?,
                // It knows of no declaration: it is new, or was restored from before.
                None if self.setting("declared")?.is_some_and(|mark| !mark.is_empty()) => {
                    self.sql().transaction(|sql| set(sql, "declared", ""))?;
                }
                None => {}
            }
            let before = follower.cursor;
            apply(&self.env, &settings, core::mem::take(&mut answer.changes)).await?;
            let next =
                follower.applied(&answer).map_err(|error| Error::from(error.code().to_owned()))?;
            if follower.cursor != before {
                let cursor = follower.cursor.to_string();
                self.sql().transaction(|sql| set(sql, "cursor", &cursor))?;
            }
            if next == Next::Rest {
                break;
            }
        }
        Ok(())
    }
}

fn set(sql: &Sql, name: &str, value: &str) -> Result<()> {
    let query = "INSERT OR REPLACE INTO setting (name, value) VALUES (?, ?)";
    sql.run(query, vec![name.into(), value.into()]).map(drop)
}

/// Applies changes at the objects that they are about. How many changed anything.
pub async fn apply(env: &Env, settings: &Settings, changes: Vec<Change>) -> Result<u32> {
    let mut by_person: BTreeMap<ProfileName, Vec<Change>> = BTreeMap::new();
    for change in changes {
        // Whoever it came from, an object's name is never made of what is not one.
        let person = ProfileName::parse(change.person.as_str())
            .map_err(|error| Error::from(error.code().to_owned()))?;
        by_person.entry(person).or_default().push(change);
    }
    if by_person.is_empty() {
        return Ok(0);
    }
    let now = objects::now();
    let workspace = published::current(env, &settings.tenant, now).await.map_err(failed)?;
    // Whoever has to wait for copies of a state holds nobody else up.
    stream::iter(by_person)
        .map(|(person, changes)| {
            apply_to(env, settings, (&workspace.version, now), person, changes)
        })
        .buffer_unordered(AT_ONCE)
        .try_fold(0_u32, async |all, changed| Ok(all.saturating_add(changed)))
        .await
}

/// Applies changes about one person.
async fn apply_to(
    env: &Env,
    settings: &Settings,
    (workspace, now): (&String, Timestamp),
    person: ProfileName,
    changes: Vec<Change>,
) -> Result<u32> {
    let mut name = person;
    for _ in 0..HOPS {
        let call = Call {
            workspace: workspace.clone(),
            now,
            input: Input::Apply { changes: changes.clone() },
            copies: None,
        };
        match objects::ask(env, &settings.tenant, &name, &call).await.map_err(failed)? {
            Reply::Applied { changed } => return Ok(changed),
            // A weaker identifier's object: what is known of it is the person's by now.
            Reply::Moved(to) => name = to,
            Reply::Refused(error) if error.code() == "outbox_full" => {
                return Err(Error::from("an object's outbox is full"));
            }
            _ => break,
        }
    }
    Ok(0)
}
