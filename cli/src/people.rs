//! `selvedge export` and `selvedge erase`: one person, at the central store, which tells the edge.

use std::io::{self, BufRead, IsTerminal, Write};

use serde_json::{Value, json};

use crate::args::Central;
use crate::http::Server;
use crate::problem::{Outcome, Problem};

fn server(central: &Central) -> Outcome<Server> {
    Server::new("central store", "--central", &central.url, &central.key)
}

/// Prints everything as NDJSON, as it comes.
pub fn export(customer_id: &str, central: &Central) -> Outcome<bool> {
    let body = json!({ "customerId": customer_id }).to_string().into_bytes();
    let length = u64::try_from(body.len()).ok();
    let mut response = server(central)?.send(
        "POST",
        "/v1/exports",
        "application/json",
        io::Cursor::new(body),
        length,
    )?;
    let mut out = io::stdout().lock();
    io::copy(&mut response.body_mut().as_reader(), &mut out)?;
    out.flush()?;
    Ok(true)
}

/// Erases, after asking; false where the answer was no.
pub fn erase(customer_id: &str, yes: bool, central: &Central, as_json: bool) -> Outcome<bool> {
    let server = server(central)?;
    if !yes && !confirm(customer_id)? {
        eprintln!("nothing was erased");
        return Ok(false);
    }
    let answer = server.call("POST", "/v1/erasures", &json!({ "customerId": customer_id }))?;
    let mut out = io::stdout().lock();
    if as_json {
        writeln!(out, "{answer}")?;
        return Ok(true);
    }
    let id = answer.get("id").and_then(Value::as_str).unwrap_or_default();
    let told = answer.get("acknowledged").and_then(Value::as_bool).unwrap_or(false);
    let edge = if told { "the edge has confirmed it" } else { "the edge will confirm it" };
    writeln!(out, "erased, for good; {edge} (erasure {id})")?;
    Ok(true)
}

fn confirm(customer_id: &str) -> Outcome<bool> {
    if !io::stdin().is_terminal() {
        return Err(Problem::usage("an erasure cannot be undone, and nobody is there to ask")
            .hint("say --yes"));
    }
    eprint!("erase customer `{customer_id}` everywhere, for good? Type the id again: ");
    io::stderr().flush()?;
    let mut typed = String::new();
    io::stdin().lock().read_line(&mut typed)?;
    Ok(typed.trim() == customer_id)
}
