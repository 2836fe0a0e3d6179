//! The central store's server: the system of record behind the edge. It takes imports and the
//! edge's facts in, tells the edge what changed, and exports and erases people. It must never
//! decide an offer.
//!
//! Map: `routes` is every path; `import` reads files; `sync` speaks with the edge; `push` calls it;
//! `people` reads and exports; `erasure` erases; `budgets` and `experiments` count and judge what
//! the edge declares; `audiences` counts who is in them; `storage` is the database.
#![warn(missing_docs)]

mod app;
mod audiences;
mod body;
mod budgets;
pub mod config;
mod erasure;
mod experiments;
mod failure;
mod import;
mod metrics;
mod people;
mod push;
mod routes;
pub mod storage;
mod sync;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use app::App;
use config::Config;
use storage::Storage;
use storage::sqlite::SqliteStorage;

/// How long open requests may go on after the server was asked to stop.
const GRACE: Duration = Duration::from_secs(10);

/// A server that runs in this process.
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
    pushing: JoinHandle<()>,
    storage: Arc<dyn Storage>,
}

/// Starts a server. The error is a sentence for people.
pub async fn start(config: Config) -> Result<Running, String> {
    let path = config.database.display().to_string();
    let storage = SqliteStorage::open(&config.database, config.tenant.tenant())
        .await
        .map_err(|error| format!("the database `{path}` cannot be opened: {error}"))?;
    let listener = TcpListener::bind(config.listen).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            format!("another program listens on {}; choose another with --listen", config.listen)
        }
        _ => format!("cannot listen on {}: {error}", config.listen),
    })?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let storage: Arc<dyn Storage> = Arc::new(storage);
    let (stop, stopped) = watch::channel(false);
    let app = Arc::new(App::new(&config, Arc::clone(&storage)));
    let pushing = tokio::spawn(push::run(Arc::clone(&app), stopped.clone()));
    let router = routes::router(app);
    let serving = tokio::spawn(async move {
        let mut ended = stopped.clone();
        let serve = axum::serve(listener, router)
            .with_graceful_shutdown(async move { drop(ended.wait_for(|stop| *stop).await) });
        let mut late = stopped;
        let grace = async move {
            drop(late.wait_for(|stop| *stop).await);
            tokio::time::sleep(GRACE).await;
        };
        tokio::select! {
            done = serve => if let Err(error) = done { tracing::error!(%error, "serving ended") },
            () = grace => tracing::warn!("requests were cut off"),
        }
    });
    Ok(Running { address, stop, serving, pushing, storage })
}

impl Running {
    /// Stops: no new requests, open ones finish, the database closes.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        for task in [self.serving, self.pushing] {
            if let Err(error) = task.await {
                tracing::error!(%error, "a task ended badly");
            }
        }
        self.storage.close().await;
    }
}
