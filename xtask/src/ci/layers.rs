//! The direction of dependencies: the core's tree holds nothing of a host. The same search must
//! find what it looks for where it belongs, since a misspelt name would pass everywhere.

use crate::build::cargo;
use crate::error::{Error, Result};
use crate::step;

/// What only hosts may use: the browser, the edge's runtime, threads, clocks, randomness.
const HOSTS: [&str; 8] =
    ["wasm-bindgen", "js-sys", "web-sys", "worker", "tokio", "getrandom", "rand", "mio"];
/// What would make the page's download several times as large.
const HEAVY: [&str; 3] = ["serde_json", "serde-wasm-bindgen", "ed25519-dalek"];

pub fn check() -> Result<()> {
    let core = |features: &[&str]| tree(&[&["--package", "selvedge"], features].concat());
    let plain = core(&["--no-default-features"])?;
    none_of("the core as the page builds it", &plain, &HOSTS)?;
    none_of("the core as the page builds it", &plain, &HEAVY)?;
    none_of("the core with all features", &core(&["--all-features"])?, &HOSTS)?;
    let page = tree(&["--package", "selvedge-page"])?;
    none_of("the page", &page, &HEAVY)?;
    one_of("the page", &page, "wasm-bindgen")?;
    let worker = tree(&["--package", "selvedge-worker"])?;
    one_of("the worker", &worker, "wasm-bindgen")?;
    one_of("the worker", &worker, "worker")?;
    one_of("the worker", &worker, "js-sys")
}

/// The names of all crates that a build of `words` links, on every platform.
fn tree(words: &[&str]) -> Result<Vec<String>> {
    let lines = step::output(
        &format!("list the crates of {}", words.join(" ").replace("--package ", "")),
        cargo()
            .args(["tree", "--edges", "normal", "--target", "all", "--prefix", "none"])
            .args(["--format", "{p}"])
            .args(words),
    )?;
    Ok(lines.iter().filter_map(|line| line.split_whitespace().next().map(str::to_owned)).collect())
}

fn none_of(what: &str, crates: &[String], names: &[&str]) -> Result<()> {
    match names.iter().find(|name| crates.iter().any(|one| one == *name)) {
        None => Ok(()),
        Some(name) => Err(Error::new(format!(
            "{what} depends on `{name}`, which it must not know; `cargo tree --invert {name}` \
             shows through whom"
        ))),
    }
}

fn one_of(what: &str, crates: &[String], name: &str) -> Result<()> {
    if crates.iter().any(|one| one == name) {
        return Ok(());
    }
    Err(Error::new(format!(
        "the layering check does not find `{name}` in the tree of {what}, where it must be: the \
         check is blind"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forbidden_crate_is_named_and_a_similar_name_is_not_taken_for_it() {
        let crates = vec!["tokio-util".to_owned(), "serde".to_owned()];
        assert!(none_of("x", &crates, &HOSTS).is_ok());
        let crates = vec!["serde".to_owned(), "tokio".to_owned()];
        let error = none_of("x", &crates, &HOSTS).expect_err("tokio is there").to_string();
        assert!(error.contains("`tokio`"), "{error}");
    }
}
