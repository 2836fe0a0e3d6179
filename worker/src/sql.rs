//! SQLite of a Durable Object: transactions that roll back, statements whose rows are read before
//! anybody waits, and blobs cut into rows. It must never know what is stored.

use wasm_bindgen::prelude::*;
use wasm_bindgen::{JsCast, JsValue};
use worker::{Error, Result, SqlStorage, SqlStorageValue as Value, Storage};

/// The runtime holds a row under 2 MB.
const PART_BYTES: usize = 1_000_000;

#[wasm_bindgen]
extern "C" {
    /// `DurableObjectStorage`, for the method that the `worker` crate does not bind.
    #[wasm_bindgen(extends = js_sys::Object)]
    type Transactional;

    #[wasm_bindgen(method, catch, js_name = transactionSync)]
    fn transaction_sync(
        this: &Transactional,
        run: &mut dyn FnMut() -> std::result::Result<(), JsValue>,
    ) -> std::result::Result<JsValue, JsValue>;
}

/// An object's database.
pub struct Sql {
    storage: Storage,
    sql: SqlStorage,
}

/// One row.
pub type Row = Vec<Value>;

impl Sql {
    pub fn new(storage: Storage) -> Self {
        let sql = storage.sql();
        Self { storage, sql }
    }

    /// Runs one statement and reads all its rows. Several statements in one text would not be
    /// atomic, so nobody passes them.
    pub fn run(&self, query: &str, bindings: Vec<Value>) -> Result<Vec<Row>> {
        self.sql.exec(query, bindings)?.raw().collect()
    }

    /// Runs `work`; every statement of it holds, or none. An application error alone would not
    /// roll back what already ran.
    pub fn transaction<T>(&self, work: impl FnOnce(&Self) -> Result<T>) -> Result<T> {
        let mut work = Some(work);
        let mut answer = None;
        let raw: &JsValue = self.storage.as_raw().as_ref();
        let transactional: &Transactional = raw.unchecked_ref();
        transactional
            .transaction_sync(&mut || {
                let Some(work) = work.take() else { return Err("run twice".into()) };
                answer = Some(work(self).map_err(JsValue::from)?);
                Ok(())
            })
            .map_err(Error::from)?;
        answer.ok_or_else(|| Error::from("the transaction did not run"))
    }

    /// Whether the object has this table: a fresh object that is only read stays without rows.
    pub fn has_table(&self, table: &str) -> Result<bool> {
        let query = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?";
        Ok(!self.run(query, vec![table.into()])?.is_empty())
    }

    /// Writes a blob under a key, in as many rows as it needs.
    /// The table has `key`, `part` (primary key) and `bytes`.
    pub fn put_blob(&self, table: &str, key: &str, bytes: &[u8]) -> Result<()> {
        let mut parts = 0_i64;
        for part in bytes.chunks(PART_BYTES) {
            let query =
                format!("INSERT OR REPLACE INTO {table} (key, part, bytes) VALUES (?, ?, ?)");
            self.run(&query, vec![key.into(), parts.into(), part.to_vec().into()])?;
            parts = parts.saturating_add(1);
        }
        let query = format!("DELETE FROM {table} WHERE key = ? AND part >= ?");
        self.run(&query, vec![key.into(), parts.into()])?;
        Ok(())
    }

    /// Reads a blob; None where there is none.
    pub fn blob(&self, table: &str, key: &str) -> Result<Option<Vec<u8>>> {
        let query = format!("SELECT bytes FROM {table} WHERE key = ? ORDER BY part");
        let rows = self.run(&query, vec![key.into()])?;
        if rows.is_empty() {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        for row in &rows {
            bytes.extend_from_slice(as_bytes(row, 0)?);
        }
        Ok(Some(bytes))
    }
}

/// The bytes of a column.
pub fn as_bytes(row: &Row, column: usize) -> Result<&[u8]> {
    match row.get(column) {
        Some(Value::Blob(bytes)) => Ok(bytes),
        _ => Err("a column holds no bytes".into()),
    }
}

/// The text of a column.
pub fn as_text(row: &Row, column: usize) -> Result<&str> {
    match row.get(column) {
        Some(Value::String(text)) => Ok(text),
        _ => Err("a column holds no text".into()),
    }
}

/// The integer of a column.
pub fn as_integer(row: &Row, column: usize) -> Result<i64> {
    match row.get(column) {
        Some(Value::Integer(number)) => Ok(*number),
        _ => Err("a column holds no integer".into()),
    }
}

/// `?, ?, ?` for as many values.
pub fn marks(count: usize) -> String {
    vec!["?"; count].join(", ")
}
