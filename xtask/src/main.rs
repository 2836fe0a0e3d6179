//! `cargo xtask`: builds, runs, tests and guards the project. It may use every tool of the
//! checkout; no other crate may use it.

// Signals, waiting and free ports are the demo's, which follows.
#![allow(dead_code)]

mod build;
mod error;
mod files;
mod paths;
mod process;
mod step;
mod tools;

use std::process::ExitCode;

use error::{Error, Result};

const USAGE: &str = "\
usage: cargo xtask COMMAND

  build [page|tag|worker|central|cli|all]   build a part and what it needs";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str]) -> Result<ExitCode> {
    process::watch_for_stop()?;
    match words {
        ["build"] => build::run("all")?,
        ["build", what] => build::run(what)?,
        [] | ["help" | "--help" | "-h"] => println!("{USAGE}"),
        [other, ..] => {
            return Err(Error::new(format!(
                "there is no command `{other}` with these words\n{USAGE}"
            )));
        }
    }
    Ok(ExitCode::SUCCESS)
}
