//! What every route shares: the storage, the tenant's key, counters, and the clock. Nothing else of
//! the server reads a clock.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit, Mac};
use selvedge::identity::TenantKey;
use selvedge::time::Timestamp;
use sha2::Sha256;
use tokio::sync::{Mutex, Notify};

use crate::config::Config;
use crate::metrics::Metrics;
use crate::storage::Storage;

/// The server's shared parts.
pub(crate) struct App {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) tenant: TenantKey,
    pub(crate) edge_url: Option<String>,
    pub(crate) key: String,
    pub(crate) metrics: Metrics,
    /// Rung after a commit that the edge should hear of.
    pub(crate) changed: Notify,
    /// Held by who counts audiences: one at a time, since each reads thousands of people.
    pub(crate) counting: Mutex<()>,
    row_key: Vec<u8>,
}

impl App {
    pub(crate) fn new(config: &Config, storage: Arc<dyn Storage>) -> Self {
        Self {
            storage,
            tenant: config.tenant.clone(),
            edge_url: config.edge_url.clone(),
            key: config.key.clone(),
            metrics: Metrics::default(),
            changed: Notify::new(),
            counting: Mutex::new(()),
            row_key: config.row_key.clone(),
        }
    }

    /// Milliseconds since 1970.
    pub(crate) fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    /// A keyed hash of parts, told apart by their lengths. Keyed, so that what remains of a row
    /// cannot be guessed back without the tenant's key.
    pub(crate) fn keyed(&self, parts: &[&[u8]]) -> [u8; 16] {
        let mut out = [0; 16];
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.row_key) else { return out };
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        for (slot, byte) in out.iter_mut().zip(mac.finalize().into_bytes()) {
            *slot = byte;
        }
        out
    }

    /// Whether a caller's key is ours. Both are hashed first, so that the time tells nothing.
    pub(crate) fn knows(&self, key: &[u8]) -> bool {
        let ours = self.keyed(&[b"bearer", self.key.as_bytes()]);
        let theirs = self.keyed(&[b"bearer", key]);
        let differing = ours.iter().zip(theirs).fold(0, |all, (a, b)| all | (a ^ b));
        std::hint::black_box(differing) == 0
    }
}
