//! The edge worker. For now it proves the chain: a fetch handler and the three Durable Object
//! classes, each with its own SQLite database. It must never decide anything itself.

use worker::{
    Context, DurableObject, Env, Request, Response, Result, State, durable_object, event,
};

#[allow(dead_code)]
mod page {
    include!(concat!(env!("OUT_DIR"), "/page.rs"));
}

#[event(fetch)]
async fn fetch(request: Request, env: Env, _context: Context) -> Result<Response> {
    let url = request.url()?;
    match url.path() {
        "/_selvedge/tag.js" => {
            let response = Response::from_bytes(page::TAG_JS.to_vec())?;
            response.headers().set("content-type", "text/javascript; charset=utf-8")?;
            Ok(response)
        }
        "/_selvedge/chain" | "/_selvedge/chain/panic" => {
            let object = env.durable_object("PROFILE")?.id_from_name("chain")?.get_stub()?;
            object.fetch_with_str(url.as_str()).await
        }
        _ => Response::error("not here yet", 404),
    }
}

macro_rules! object {
    ($name:ident) => {
        #[durable_object]
        pub struct $name {
            state: State,
        }

        impl DurableObject for $name {
            fn new(state: State, _env: Env) -> Self {
                Self { state }
            }

            async fn fetch(&self, request: Request) -> Result<Response> {
                if request.path().ends_with("/panic") {
                    panic!("chain panic");
                }
                let sql = self.state.storage().sql();
                sql.exec("create table if not exists visits (n integer)", None)?;
                sql.exec("insert into visits values (1)", None)?;
                let rows: Vec<std::collections::BTreeMap<String, i64>> =
                    sql.exec("select count(*) as n from visits", None)?.to_array()?;
                Response::from_json(&rows)
            }
        }
    };
}

object!(ProfileObject);
object!(IdentityShard);
object!(TenantObject);
