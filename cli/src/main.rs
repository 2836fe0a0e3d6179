//! `selvedge`, the command for people: checks, decides and explains from files, publishes, imports,
//! exports and erases. It must never decide anything itself: that is the core's, called as the edge
//! calls it.
//!
//! Exit codes: 0 done; 1 the answer is no, or something is wrong with what was given or reached;
//! 2 the command was not understood.

mod args;
mod check;
mod consent;
mod deciding;
mod http;
mod image;
mod import;
mod login_key;
mod people;
mod problem;
mod profile;
mod publish;
mod receipts;
mod show;
mod story;

use std::process::ExitCode;

use clap::Parser;

use args::{Arguments, Command, ConsentCommand};
use problem::Outcome;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let json = arguments.json;
    match run(arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(problem) => problem.report(json),
    }
}

/// Ok(false) where the answer is no.
fn run(arguments: Arguments) -> Outcome<bool> {
    let json = arguments.json;
    match arguments.command {
        Command::Check { workspace } => check::run(&workspace, json),
        Command::Decide(which) => deciding::run(&which, false, json),
        Command::Explain(which) => deciding::run(&which, true, json),
        Command::Image { workspace, out, whom } => image::run(&workspace, &out, whom, json),
        Command::Publish { workspace, edge, login_key } => {
            publish::run(&workspace, &edge, login_key.as_deref(), json)
        }
        Command::Import { source, file, central } => import::run(&source, &file, &central, json),
        Command::Export { customer_id, central } => people::export(&customer_id, &central),
        Command::Erase { customer_id, yes, central } => {
            people::erase(&customer_id, yes, &central, json)
        }
        Command::Consent { command } => match command {
            ConsentCommand::Decode { string, all } => consent::decode(&string, all),
            ConsentCommand::Explain { string, region, gpc, vendor } => {
                let case = consent::Case { region: &region, gpc, vendor };
                consent::explain(&string, &case, json)
            }
            ConsentCommand::Verify { file } => receipts::verify(&file, json),
        },
    }
}
