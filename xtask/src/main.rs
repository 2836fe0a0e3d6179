//! `cargo xtask`: builds, runs, tests and guards the project. It may use every tool of the
//! checkout; no other crate may use it.

mod bench;
mod build;
mod ci;
mod demo;
mod error;
mod files;
mod http;
mod paths;
mod process;
mod size;
mod step;
mod test;
mod tools;

use std::process::ExitCode;

use error::{Error, Result};

const USAGE: &str = "\
usage: cargo xtask COMMAND

  build [PART]                              build page, tag, worker, replay, evaluator,
                                            central, cli, or all
  demo [--fresh] [--port N] [--story]       run the shop, the edge and the central store here
  test [--only SUITE[,SUITE]]               run the tests, or some suites of them
  ci                                        form, lints, licences, layers, budgets, tests
  size [--check]                            what a visitor downloads, against the budgets
  bench [NAME]                              run a benchmark, or list them";

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
        ["demo", options @ ..] => return demo::run(&demo::Options::parse(options)?),
        ["test", options @ ..] => return test::run(options),
        ["ci"] => return ci::run(),
        ["size"] => size::run(false)?,
        ["size", "--check"] => size::run(true)?,
        ["bench", options @ ..] => return bench::run(options),
        [] | ["help" | "--help" | "-h"] => println!("{USAGE}"),
        [other, ..] => {
            return Err(Error::new(format!(
                "there is no command `{other}` with these words\n{USAGE}"
            )));
        }
    }
    Ok(ExitCode::SUCCESS)
}
