//! The storage on SQLite: one file, one writer, any number of readers. It must never be reached
//! but through the traits of `storage`, and it builds no SQL from values.

mod counting;
mod read;
mod rows;
mod write;

use std::borrow::Cow;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Row, SqlSafeStr, Sqlite};

use super::{Error, Result, Snapshot, Storage, Transaction};

/// Readers at a time; each holds a file handle and a cache of its own.
const READERS: u32 = 4;
/// How long a call waits for a lock that another process holds.
const BUSY: Duration = Duration::from_secs(10);
/// Tries to empty the log while readers come and go, and the pause between two.
const CHECKPOINTS: u32 = 100;
const CHECKPOINT_PAUSE: Duration = Duration::from_millis(20);

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        // The database's own messages name constraints and files, never values.
        Self::new(error.to_string())
    }
}

/// A SQLite file, opened for one tenant.
pub struct SqliteStorage {
    tenant: String,
    writer: SqlitePool,
    readers: SqlitePool,
}

/// One open transaction.
pub(super) struct SqliteTransaction {
    tenant: String,
    tx: sqlx::Transaction<'static, Sqlite>,
}

fn migrations() -> Migrator {
    let step = |version, name, sql: &'static str| {
        let (name, kind) = (Cow::Borrowed(name), MigrationType::Simple);
        Migration::new(version, name, kind, sql.into_sql_str(), false)
    };
    Migrator::with_migrations(vec![
        step(1, "first", include_str!("sqlite/schema.sql")),
        step(2, "experiments and budgets", include_str!("sqlite/experiments.sql")),
    ])
}

impl SqliteStorage {
    /// Opens the file, makes it where it is missing, and brings its schema up to date.
    pub async fn open(path: &Path, tenant: &str) -> Result<Self> {
        make_private(path)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            // Answers promise that a commit outlives a power cut.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY)
            .foreign_keys(true)
            // What is deleted is overwritten, and nothing personal goes to temporary files.
            .pragma("secure_delete", "ON")
            .pragma("temp_store", "MEMORY");
        let writer =
            SqlitePoolOptions::new().max_connections(1).connect_with(options.clone()).await?;
        migrations().run(&writer).await.map_err(|error| Error::new(error.to_string()))?;
        let readers = SqlitePoolOptions::new().max_connections(READERS).connect_lazy_with(options);
        Ok(Self { tenant: tenant.to_owned(), writer, readers })
    }
}

/// A new file is its owner's alone; SQLite gives its companions the same mode.
fn make_private(path: &Path) -> Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop).map_err(|error| Error::new(error.to_string()))
}

#[async_trait]
impl Storage for SqliteStorage {
    async fn read(&self) -> Result<Box<dyn Snapshot>> {
        let tx = self.readers.begin().await?;
        Ok(Box::new(SqliteTransaction { tenant: self.tenant.clone(), tx }))
    }

    async fn begin(&self) -> Result<Box<dyn Transaction>> {
        // Immediate: a reader that turns writer can fail halfway, a writer from the start waits.
        let tx = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        Ok(Box::new(SqliteTransaction { tenant: self.tenant.clone(), tx }))
    }

    async fn scrub(&self) -> Result<()> {
        // `secure_delete` cleans what is freed, but a page whose cells moved keeps their old
        // copies, and so does the log: only a new file and an empty log are clean.
        sqlx::query("VACUUM").execute(&self.writer).await?;
        for _ in 0..CHECKPOINTS {
            let row =
                sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&self.writer).await?;
            let busy: i64 = row.try_get(0)?;
            if busy == 0 {
                return Ok(());
            }
            tokio::time::sleep(CHECKPOINT_PAUSE).await;
        }
        Err(Error::new("readers kept the log from being emptied"))
    }

    async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}
