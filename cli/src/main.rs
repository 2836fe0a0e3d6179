//! `selvedge`, the command for people: checks, decides and explains from files, publishes, imports,
//! exports and erases. It must never decide anything itself: that is the core's, called as the edge
//! calls it.
//!
//! Exit codes: 0 done; 1 the answer is no, or something is wrong with what was given or reached;
//! 2 the command was not understood; 3 `diff` found decisions that change.

mod args;
mod audiences;
mod changes;
mod check;
mod consent;
mod crowd;
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
mod simulate;
mod story;

use std::process::ExitCode;

use clap::Parser;

use args::{Arguments, Command, ConsentCommand};
use problem::Outcome;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let json = arguments.json;
    match run(arguments) {
        Ok(code) => code,
        Err(problem) => problem.report(json),
    }
}

fn run(arguments: Arguments) -> Outcome<ExitCode> {
    let json = arguments.json;
    // False where the answer is no.
    let done = match arguments.command {
        Command::Diff { before, after, profiles, trial } => {
            return changes::run([&before, &after], &profiles, &trial, json);
        }
        Command::Simulate { workspace, profiles, trial } => {
            simulate::run(&workspace, &profiles, &trial, json)
        }
        Command::Check { workspace } => check::run(&workspace, json),
        Command::Decide(which) => deciding::run(&which, false, json),
        Command::Explain(which) => deciding::run(&which, true, json),
        Command::Image { workspace, out, whom } => image::run(&workspace, &out, whom, json),
        Command::Publish { workspace, edge, login_key } => {
            publish::run(&workspace, &edge, login_key.as_deref(), json)
        }
        Command::Import { source, file, central } => import::run(&source, &file, &central, json),
        Command::Audiences { workspace, sample, region, central } => {
            audiences::run(&workspace, sample, region.as_deref(), &central, json)
        }
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
    }?;
    Ok(if done { ExitCode::SUCCESS } else { ExitCode::from(1) })
}
