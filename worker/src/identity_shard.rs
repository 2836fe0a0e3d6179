//! The identity shard: identifier -> profile, for the identifiers whose keyed hash falls here. The
//! rule is the core's; this object only keeps its answer. It must never see an identifier.

use selvedge::identity::shard::{self, Filed, Outcome};
use worker::{DurableObject, Env, Error, Request, Response, Result, State, durable_object};

use crate::objects::{self, Filing};
use crate::sql::{Sql, as_bytes};

const SCHEMA: &str =
    "CREATE TABLE IF NOT EXISTS filed (key BLOB PRIMARY KEY, bytes BLOB NOT NULL) WITHOUT ROWID";

/// The Durable Object class.
#[durable_object]
pub struct IdentityShard {
    state: State,
}

impl DurableObject for IdentityShard {
    fn new(state: State, _env: Env) -> Self {
        Self { state }
    }

    async fn fetch(&self, mut request: Request) -> Result<Response> {
        match request.path().as_str() {
            "/file" => {
                let filing: Filing = objects::taken(&mut request).await?;
                objects::given(&self.file(&filing)?)
            }
            _ => Response::error("an object takes no such call", 404),
        }
    }
}

impl IdentityShard {
    fn file(&self, filing: &Filing) -> Result<Outcome> {
        let sql = Sql::new(self.state.storage());
        sql.transaction(|sql| {
            sql.run(SCHEMA, vec![])?;
            let key = filing.key.to_vec();
            let query = "SELECT bytes FROM filed WHERE key = ?";
            let known = match sql.run(query, vec![key.clone().into()])?.first() {
                None => None,
                Some(row) => Some(
                    postcard::from_bytes::<Filed>(as_bytes(row, 0)?)
                        .map_err(|_| Error::from("a filed profile cannot be read"))?,
                ),
            };
            let outcome = shard::file(known.as_ref(), &filing.proof);
            if outcome.changed {
                let bytes = postcard::to_allocvec(&outcome.filed)
                    .map_err(|_| Error::from("a filed profile cannot be written"))?;
                let query = "INSERT OR REPLACE INTO filed (key, bytes) VALUES (?, ?)";
                sql.run(query, vec![key.into(), bytes.into()])?;
            }
            Ok(outcome)
        })
    }
}
