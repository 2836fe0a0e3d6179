//! The profile object: one person or unlinked device. It keeps the engine's state and carries out
//! its effects in one transaction. It must never decide anything about a profile, and never answer
//! before what it answers is stored.
//!
//! INVARIANT: nothing is awaited between the engine's turn and the end of its transaction, so no
//! other call sees a state that is not stored.

use std::cell::{Cell, RefCell, RefMut};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::{Either, select};
use js_sys::futures::future_to_promise;
use selvedge::engine::{self, Effect, Input, Output, Reply};
use selvedge::ids::{Entropy, EventKey};
use selvedge::limits;
use selvedge::sync::Retry;
use selvedge::time::Timestamp;
use selvedge::wire::Fact;
use selvedge::workspace::Workspace;
use wasm_bindgen::prelude::*;
use worker::{
    Delay, DurableObject, Env, Error, Request, Response, Result, SqlStorageValue, State,
    durable_object,
};

use crate::http::Fault;
use crate::leases::{self, Copies, Leases};
use crate::objects::{self, Call, Given, Held};
use crate::outbox;
use crate::published;
use crate::settings::{self, Settings};
use crate::sql::{Sql, as_bytes, marks};

/// How long a login waits for what the central store knows; later it comes by the alarm.
const HYDRATE_MS: u64 = 400;
/// The key under which the object notes that copies of its state may be out.
const LEASED: &str = "leased";
/// Bound parameters that the runtime takes in one statement.
const BINDINGS: usize = 100;

const SCHEMA: [&str; 5] = [
    "CREATE TABLE state (key TEXT, part INTEGER, bytes BLOB NOT NULL, PRIMARY KEY (key, part)) \
     WITHOUT ROWID",
    "CREATE TABLE seen (key BLOB PRIMARY KEY, until INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE outbox (seq INTEGER PRIMARY KEY, size INTEGER NOT NULL, event INTEGER NOT NULL, \
     bytes BLOB NOT NULL)",
    "CREATE TABLE receipts (seq INTEGER PRIMARY KEY, bytes BLOB NOT NULL)",
    "CREATE TABLE tell (id INTEGER PRIMARY KEY, target TEXT NOT NULL, bytes BLOB NOT NULL)",
];

/// The Durable Object class.
#[durable_object]
pub struct ProfileObject {
    core: Rc<Core>,
}

/// What the object's calls, alarms and background tasks share.
pub struct Core {
    state: State,
    pub env: Env,
    /// The state as it is stored; None before it was read, and after a transaction failed.
    resident: RefCell<Option<engine::State>>,
    /// Bytes of that very state, as they are stored.
    state_bytes: Cell<usize>,
    /// What questions about it left behind.
    desk: RefCell<engine::Desk>,
    /// Whether the tables are there; None before anybody looked.
    tables: Cell<Option<bool>>,
    /// When the alarm is set for, where one is; None before anybody looked.
    alarm: Cell<Option<Option<Timestamp>>>,
    leases: RefCell<Leases>,
    pub draining: Cell<bool>,
    pub retry: Cell<Retry>,
}

/// Rows that go in the transaction that stores what they led to.
#[derive(Clone, Debug)]
pub enum Gone {
    /// Nothing.
    Nothing,
    /// Facts that the central store has.
    Facts(Vec<u64>),
    /// A message that was answered.
    Told(i64),
}

impl DurableObject for ProfileObject {
    fn new(state: State, env: Env) -> Self {
        let core = Core {
            state,
            env,
            resident: RefCell::new(None),
            state_bytes: Cell::new(0),
            desk: RefCell::default(),
            tables: Cell::new(None),
            alarm: Cell::new(None),
            leases: RefCell::default(),
            draining: Cell::new(false),
            retry: Cell::new(Retry::default()),
        };
        Self { core: Rc::new(core) }
    }

    async fn fetch(&self, request: Request) -> Result<Response> {
        match request.path().as_str() {
            "/held" => objects::given(&self.core.held()?),
            _ => Response::error("an object takes no such call", 404),
        }
    }

    async fn alarm(&self) -> Result<Response> {
        self.core.alarm.set(Some(None));
        outbox::forget_old_keys(&self.core)?;
        if let Err(error) = self.core.wake().await {
            worker::console_warn!("who is in which audience is seen later: {error}");
            self.core.arm(limits::RETRY_LAST_MS).await?;
        }
        outbox::drain(Rc::clone(&self.core)).await;
        Response::ok("")
    }
}

#[wasm_bindgen]
impl ProfileObject {
    /// A packed [`Call`]; the answer is a packed [`Given`], or a promise of one where what it says
    /// has to be waited for.
    pub fn call(&self, message: &str) -> std::result::Result<JsValue, JsValue> {
        let call: Call = objects::unpacked(message)
            .ok_or_else(|| Error::from("a message between objects cannot be read"))?;
        let core = Rc::clone(&self.core);
        // A promise costs more than most answers, so there is none where nothing has to wait.
        let Some(workspace) = core.alarm.get().and(published::known(&call.workspace)) else {
            return Ok(promised(async move { core.call(call).await }));
        };
        if leases::may_answer(&call.input) {
            return Ok(core.tell(&workspace, &call)?.into());
        }
        let output = core.answer(&workspace, call)?;
        Ok(promised(async move { core.follow(output).await }))
    }
}

fn promised(answer: impl Future<Output = Result<String>> + 'static) -> JsValue {
    future_to_promise(async move { Ok(answer.await?.into()) }).into()
}

fn packed(reply: &Reply, copy: Option<&engine::State>) -> Result<String> {
    objects::packed(&Given { reply, copy })
        .ok_or_else(|| Error::from("an answer between objects cannot be written"))
}

impl Core {
    pub fn settings(&self) -> Result<Rc<Settings>> {
        settings::of(&self.env).map_err(|fault| Error::from(fault.code().to_owned()))
    }

    pub fn sql(&self) -> Sql {
        Sql::new(self.state.storage())
    }

    async fn call(self: &Rc<Self>, call: Call) -> Result<String> {
        let settings = self.settings()?;
        let workspace = published::version(&self.env, &settings.tenant, &call.workspace)
            .await
            .map_err(failed)?;
        self.look_for_alarm().await?;
        if leases::may_answer(&call.input) {
            return self.tell(&workspace, &call);
        }
        let output = self.answer(&workspace, call)?;
        self.follow(output).await
    }

    fn answer(&self, workspace: &Workspace, call: Call) -> Result<Output> {
        let Call { now, input, copies, .. } = call;
        if let Some(copies) = copies {
            self.leases()?.hear(copies, objects::now());
        }
        let seed = objects::seed().map_err(failed)?;
        self.turn(workspace, now, seed, input, &Gone::Nothing)
    }

    /// Answers a question, with a copy of the state where one is wanted.
    fn tell(&self, workspace: &Workspace, call: &Call) -> Result<String> {
        let mut resident = self.resident.borrow_mut();
        let state = match resident.take() {
            Some(state) => state,
            None => self.read(&self.sql())?,
        };
        let state = &*resident.insert(state);
        let mut desk = self.desk.borrow_mut();
        let reply = engine::ask(state, &mut desk, workspace, call.now, &call.input)
            .ok_or_else(|| Error::from("this is no question"))?;
        // What was never stored costs nothing to ask for.
        let Some(copies) = call.copies.filter(|_| self.tables.get() == Some(true)) else {
            return packed(&reply, None);
        };
        let wanted = copies.wanted && self.state_bytes.get() <= leases::COPY_BYTES;
        let lease = self.leases()?.hear(Copies { wanted, ..copies }, objects::now());
        let Some(note) = lease else { return packed(&reply, None) };
        if let Some(until) = note {
            // The runtime lets no answer out before what was written is stored.
            self.sql()
                .put_blob("state", LEASED, &until.0.to_be_bytes())
                .inspect_err(|_| self.leases.borrow_mut().forget_note())?;
        }
        packed(&reply, Some(state))
    }

    /// The leases, with what is stored of them.
    fn leases(&self) -> Result<RefMut<'_, Leases>> {
        let mut leases = self.leases.borrow_mut();
        if leases.is_fresh() {
            let sql = self.sql();
            let noted = if self.has_tables(&sql)? { sql.blob("state", LEASED)? } else { None };
            let noted = noted.and_then(|bytes| bytes.try_into().ok()).map_or(0, i64::from_be_bytes);
            leases.begin(Timestamp(noted), objects::now());
        }
        Ok(leases)
    }

    /// Waits until no copy lacks what an answer confirms.
    async fn settle(&self) -> Result<()> {
        let wait_ms = self.leases()?.wait_ms(objects::now());
        if let Some(wait_ms) = wait_ms {
            Delay::from(Duration::from_millis(wait_ms)).await;
        }
        Ok(())
    }

    /// Sees to what an answer left to do.
    async fn follow(self: &Rc<Self>, output: Output) -> Result<String> {
        if output.changed {
            self.see_to(&output).await?;
        }
        // Also what changed nothing, since it may confirm what an earlier call changed.
        self.settle().await?;
        packed(&output.reply, None)
    }

    async fn see_to(self: &Rc<Self>, output: &Output) -> Result<()> {
        let leaves_work = output.effects.iter().any(leaves_work);
        // The outbox first: what it needs comes sooner nearly always, and one alarm is enough.
        if leaves_work {
            self.arm(outbox::SAFETY_MS).await?;
        }
        self.arm_to_wake().await?;
        if leaves_work {
            if output.effects.iter().any(|effect| matches!(effect, Effect::Hydrate(_))) {
                self.hydrate_in_time().await;
            }
            self.state.wait_until(outbox::drain(Rc::clone(self)));
        }
        Ok(())
    }

    /// One turn of the engine, stored.
    pub fn turn(
        &self,
        workspace: &Workspace,
        now: Timestamp,
        seed: [u8; 32],
        input: Input,
        gone: &Gone,
    ) -> Result<Output> {
        let sql = self.sql();
        self.desk.take();
        let mut state = match self.resident.take() {
            Some(state) => state,
            None => self.read(&sql)?,
        };
        let input = self.recall(&sql, input)?;
        // What the central store has confirmed is nothing that a decision reads.
        let shows = !matches!(input, Input::Stored { .. });
        let output = engine::handle(&mut state, workspace, now, Entropy::new(seed), input);
        if output.changed || !matches!(gone, Gone::Nothing) {
            // A failure here leaves nothing resident: the next call reads what is really stored.
            self.store(&sql, &state, &output.effects, gone)?;
        }
        if output.changed && shows {
            self.leases()?.changed();
        }
        self.resident.replace(Some(state));
        Ok(output)
    }

    pub fn has_tables(&self, sql: &Sql) -> Result<bool> {
        if let Some(known) = self.tables.get() {
            return Ok(known);
        }
        let found = sql.has_table("state")?;
        self.tables.set(Some(found));
        Ok(found)
    }

    fn read(&self, sql: &Sql) -> Result<engine::State> {
        let stored = if self.has_tables(sql)? { sql.blob("state", "state")? } else { None };
        self.state_bytes.set(stored.as_ref().map_or(0, Vec::len));
        let Some(bytes) = stored else { return Ok(engine::State::default()) };
        postcard::from_bytes(&bytes).map_err(|_| Error::from("a stored profile cannot be read"))
    }

    /// Fills in what only the host remembers: which keys are known already.
    fn recall(&self, sql: &Sql, input: Input) -> Result<Input> {
        Ok(match input {
            Input::Events { speaker, events, .. } => {
                let keys: Vec<EventKey> = events.iter().map(selvedge::event::Event::key).collect();
                let known = self.known(sql, &keys)?;
                Input::Events { speaker, events, known }
            }
            Input::Login(mut login) => {
                let key = EventKey::of(&login.evidence);
                login.evidence_known = self.known(sql, &[key])?.contains(&key);
                Input::Login(login)
            }
            other => other,
        })
    }

    fn known(&self, sql: &Sql, keys: &[EventKey]) -> Result<BTreeSet<EventKey>> {
        let mut known = BTreeSet::new();
        if !self.has_tables(sql)? {
            return Ok(known);
        }
        for some in keys.chunks(BINDINGS) {
            let query = format!("SELECT key FROM seen WHERE key IN ({})", marks(some.len()));
            let bindings = some.iter().map(|key| key.0.to_vec().into()).collect();
            for row in sql.run(&query, bindings)? {
                if let Ok(bytes) = <[u8; 16]>::try_from(as_bytes(&row, 0)?) {
                    known.insert(EventKey(bytes));
                }
            }
        }
        Ok(known)
    }

    fn store(
        &self,
        sql: &Sql,
        state: &engine::State,
        effects: &[Effect],
        gone: &Gone,
    ) -> Result<()> {
        let bytes =
            postcard::to_allocvec(state).map_err(|_| Error::from("a profile cannot be written"))?;
        let fresh = !self.has_tables(sql)?;
        self.tables.set(None);
        sql.transaction(|sql| {
            if fresh {
                for statement in SCHEMA {
                    sql.run(statement, vec![])?;
                }
            }
            sql.put_blob("state", "state", &bytes)?;
            effects.iter().try_for_each(|effect| carry_out(sql, effect))?;
            match gone {
                Gone::Nothing => Ok(()),
                Gone::Facts(seqs) => seqs.iter().try_for_each(|seq| {
                    sql.run("DELETE FROM outbox WHERE seq = ?", vec![number(*seq)]).map(drop)
                }),
                Gone::Told(id) => {
                    sql.run("DELETE FROM tell WHERE id = ?", vec![(*id).into()]).map(drop)
                }
            }
        })?;
        self.tables.set(Some(true));
        self.state_bytes.set(bytes.len());
        Ok(())
    }

    async fn look_for_alarm(&self) -> Result<()> {
        if self.alarm.get().is_none() {
            let alarm = self.state.storage().get_alarm().await?;
            self.alarm.set(Some(alarm.map(Timestamp)));
        }
        Ok(())
    }

    /// Sets the alarm for what waits in the outbox, unless it comes soon: one that a failure put
    /// off stays. Called right after a transaction, it is stored with it.
    pub async fn arm(&self, after_ms: i64) -> Result<()> {
        let soon = objects::now().plus_ms(limits::RETRY_LAST_MS);
        if self.alarm.get().flatten().is_some_and(|alarm| alarm <= soon) {
            return Ok(());
        }
        self.wake_after(after_ms).await
    }

    /// Sets the alarm, or lets an earlier one for an audience stand.
    pub async fn wake_after(&self, after_ms: i64) -> Result<()> {
        let at = objects::now().plus_ms(after_ms);
        let wake = self.planned()?.filter(|wake| *wake < at);
        self.set_alarm(wake.unwrap_or(at)).await
    }

    /// Sets the alarm for when time alone may change who is in which audience, where none comes
    /// before that.
    pub async fn arm_to_wake(&self) -> Result<()> {
        let Some(wake) = self.planned()? else { return Ok(()) };
        self.look_for_alarm().await?;
        match self.alarm.get().flatten() {
            Some(alarm) if alarm <= wake => Ok(()),
            _ => self.set_alarm(wake).await,
        }
    }

    async fn set_alarm(&self, at: Timestamp) -> Result<()> {
        self.alarm.set(Some(Some(at)));
        let after_ms = u64::try_from(at.since_ms(objects::now())).unwrap_or_default();
        self.state.storage().set_alarm(Duration::from_millis(after_ms)).await
    }

    /// When the engine wants to be woken.
    fn planned(&self) -> Result<Option<Timestamp>> {
        if let Some(state) = self.resident.borrow().as_ref() {
            return Ok(state.wake());
        }
        let state = self.read(&self.sql())?;
        let wake = state.wake();
        self.resident.replace(Some(state));
        Ok(wake)
    }

    /// Where it is time to, looks who is in which audience now.
    async fn wake(&self) -> Result<()> {
        let now = objects::now();
        if self.planned()?.is_none_or(|wake| wake > now) {
            return Ok(());
        }
        let settings = self.settings()?;
        let workspace =
            published::current(&self.env, &settings.tenant, now).await.map_err(failed)?;
        let seed = objects::seed().map_err(failed)?;
        self.turn(&workspace, objects::now(), seed, Input::Wake, &Gone::Nothing)?;
        Ok(())
    }

    async fn hydrate_in_time(self: &Rc<Self>) {
        let asked = std::pin::pin!(outbox::hydrate(self));
        let late = Delay::from(Duration::from_millis(HYDRATE_MS));
        if let Either::Left((Err(error), _)) = select(asked, late).await {
            worker::console_warn!("the central store does not know yet: {error}");
        }
    }

    fn held(&self) -> Result<Held> {
        let sql = self.sql();
        if !self.has_tables(&sql)? {
            return Ok(Held::default());
        }
        let unreadable = || Error::from("a stored row cannot be read");
        let mut held = Held::default();
        for row in sql.run("SELECT bytes FROM receipts ORDER BY seq", vec![])? {
            let bytes = as_bytes(&row, 0)?;
            held.receipts.push(postcard::from_bytes(bytes).map_err(|_| unreadable())?);
        }
        for row in sql.run("SELECT bytes FROM outbox ORDER BY seq", vec![])? {
            let bytes = as_bytes(&row, 0)?;
            held.queued.push(postcard::from_bytes(bytes).map_err(|_| unreadable())?);
        }
        Ok(held)
    }
}

/// Whether an effect leaves rows that the alarm must see to.
fn leaves_work(effect: &Effect) -> bool {
    matches!(
        effect,
        Effect::Queue(_) | Effect::Tell(..) | Effect::Hydrate(_) | Effect::EraseCentrally(_)
    )
}

/// Carries out one effect, inside the transaction.
fn carry_out(sql: &Sql, effect: &Effect) -> Result<()> {
    let unwritable = || Error::from("an effect cannot be written");
    let bytes = |encoded: core::result::Result<Vec<u8>, postcard::Error>| {
        encoded.map_err(|_| unwritable()).map(SqlStorageValue::from)
    };
    match effect {
        Effect::Queue(row) => {
            let is_event = matches!(row.fact, Fact::Event { .. });
            let size = i64::from(row.size_bytes()).into();
            let row_bytes = bytes(postcard::to_allocvec(row))?;
            sql.run(
                "INSERT INTO outbox (seq, size, event, bytes) VALUES (?, ?, ?, ?)",
                vec![number(row.seq), size, i64::from(is_event).into(), row_bytes],
            )?;
        }
        Effect::Remember(key, until) => {
            sql.run(
                "INSERT OR REPLACE INTO seen (key, until) VALUES (?, ?)",
                vec![key.0.to_vec().into(), until.0.into()],
            )?;
        }
        Effect::Keep(receipt) => {
            let kept = i64::try_from(limits::RECEIPTS).unwrap_or(i64::MAX);
            let receipt_bytes = bytes(postcard::to_allocvec(receipt))?;
            let seq = number(receipt.seq);
            sql.run(
                "INSERT OR REPLACE INTO receipts (seq, bytes) VALUES (?, ?)",
                vec![seq.clone(), receipt_bytes],
            )?;
            sql.run("DELETE FROM receipts WHERE seq <= ? - ?", vec![seq, kept.into()])?;
        }
        Effect::CancelQueued => {
            sql.run("DELETE FROM outbox WHERE event = 1", vec![])?;
        }
        Effect::ForgetAll => {
            for query in ["DELETE FROM seen", "DELETE FROM outbox", "DELETE FROM receipts"] {
                sql.run(query, vec![])?;
            }
        }
        Effect::Tell(target, input) => {
            tell(sql, target.as_str(), bytes(postcard::to_allocvec(input))?)?
        }
        Effect::Hydrate(person) => tell(sql, outbox::CENTRAL, person.as_str().into())?,
        Effect::EraseCentrally(profile) => {
            tell(sql, outbox::CENTRAL_ERASE, profile.as_str().into())?
        }
    }
    Ok(())
}

fn tell(sql: &Sql, target: &str, message: SqlStorageValue) -> Result<()> {
    let message = match message {
        SqlStorageValue::String(text) => SqlStorageValue::Blob(text.into_bytes()),
        other => other,
    };
    sql.run("INSERT INTO tell (target, bytes) VALUES (?, ?)", vec![target.into(), message])
        .map(drop)
}

/// A number that counts up from 1 and stays far below 2^53, where JavaScript's numbers are exact.
fn number(seq: u64) -> SqlStorageValue {
    SqlStorageValue::Integer(i64::try_from(seq).unwrap_or(i64::MAX))
}

pub fn failed(fault: Fault) -> Error {
    Error::from(fault.code().to_owned())
}
