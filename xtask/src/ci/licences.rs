//! Licences, sources and banned crates of every dependency, by deny.toml. The advisory database
//! is asked only where cargo-deny and the database are to be had, and the lack is said.

use std::process::Command;

use serde_json::Value;
use toml::Table;

use crate::build::cargo;
use crate::error::{Context, Error, Result};
use crate::{files, paths, step};

struct Rules {
    allowed: Vec<String>,
    banned: Vec<String>,
    sources: Vec<String>,
}

impl Rules {
    fn read() -> Result<Self> {
        let text = files::read_text(&paths::root().join("deny.toml"))?;
        let table: Table = text.parse().doing(|| "cannot parse `deny.toml`".into())?;
        let list = |section: &str, key: &str| -> Result<Vec<String>> {
            let list = table.get(section).and_then(|section| section.get(key)?.as_array());
            let list =
                list.ok_or_else(|| Error::new(format!("deny.toml lacks {section}.{key}")))?;
            let name = |one: &toml::Value| {
                one.as_str().or_else(|| one.get("crate")?.as_str()).map(str::to_owned)
            };
            Ok(list.iter().filter_map(name).collect())
        };
        Ok(Rules {
            allowed: list("licenses", "allow")?,
            banned: list("bans", "deny")?,
            sources: list("sources", "allow-registry")?,
        })
    }
}

pub fn check() -> Result<()> {
    let rules = Rules::read()?;
    let mut faults = crates(&rules)?;
    faults.extend(packages()?);
    if faults.is_empty() {
        return Ok(());
    }
    Err(Error::new(format!(
        "dependencies that deny.toml does not allow:\n    {}",
        faults.join("\n    ")
    )))
}

fn crates(rules: &Rules) -> Result<Vec<String>> {
    let mut command = cargo();
    command.args(["metadata", "--format-version", "1", "--all-features", "--locked"]);
    let text = step::output("list every crate", &mut command)?;
    // Cargo may print notes before the one line of JSON.
    let json = text.iter().find(|line| line.starts_with('{')).map(String::as_str);
    let value: Value = serde_json::from_str(json.unwrap_or_default())
        .doing(|| "cannot parse cargo's metadata".into())?;
    let packages = value.get("packages").and_then(Value::as_array);
    let packages = packages.ok_or_else(|| Error::new("cargo's metadata has no packages"))?;
    let mut faults = Vec::new();
    for package in packages {
        let field = |name: &str| package.get(name).and_then(Value::as_str).unwrap_or_default();
        let (name, version) = (field("name"), field("version"));
        let source = field("source");
        if source.is_empty() {
            continue;
        }
        if !permitted(field("license"), &rules.allowed) {
            faults.push(format!("{name} {version}: licence `{}`", field("license")));
        }
        if !rules.sources.iter().any(|allowed| source == format!("registry+{allowed}")) {
            faults.push(format!("{name} {version}: source `{source}`"));
        }
        if rules.banned.iter().any(|banned| banned == name) {
            faults.push(format!("{name} {version}: banned"));
        }
    }
    println!("  {} crates", packages.len());
    Ok(faults)
}

/// npm's packages are tools that nobody is given, so any stated licence will do; but the tag must
/// stay without a dependency, and nothing may come from outside the registry.
fn packages() -> Result<Vec<String>> {
    let own = json("package.json")?;
    let lock = json("package-lock.json")?;
    let packages = lock.get("packages").and_then(Value::as_object);
    let packages = packages.ok_or_else(|| Error::new("package-lock.json has no packages"))?;
    let mut faults = Vec::new();
    if own.get("dependencies").is_some() {
        faults.push("package.json: the tag has `dependencies`, and must have none".to_owned());
    }
    for (path, package) in packages.iter().filter(|(path, _)| !path.is_empty()) {
        let field = |name: &str| package.get(name).and_then(Value::as_str).unwrap_or_default();
        if field("license").is_empty() && !has_licence_file(path) {
            faults.push(format!("{path}: no licence"));
        }
        if package.get("link").is_some() || field("version").contains([':', '/']) {
            faults.push(format!("{path}: not from the registry"));
        }
        if !field("resolved").is_empty() {
            faults.push(format!("{path}: names the registry it came from; see .npmrc"));
        }
    }
    println!("  {} packages of npm", packages.len().saturating_sub(1));
    Ok(faults)
}

/// Some packages state their licence in its file alone.
fn has_licence_file(package: &str) -> bool {
    let file = paths::root().join(package).join("LICENSE");
    files::read_text(&file).is_ok_and(|text| text.contains("License"))
}

fn json(file: &str) -> Result<Value> {
    let text = files::read_text(&paths::root().join(file))?;
    serde_json::from_str(&text).doing(|| format!("cannot parse `{file}`"))
}

/// Whether an SPDX expression can be met with allowed licences alone. `AND` binds stronger than
/// `OR`; an exception after `WITH` only gives more freedom; `/` is cargo's old way to say `OR`.
fn permitted(expression: &str, allowed: &[String]) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    let met = either(&mut rest, allowed);
    !words.is_empty() && rest.is_empty() && met
}

fn either(words: &mut &[&str], allowed: &[String]) -> bool {
    let mut met = all(words, allowed);
    while let ["OR", rest @ ..] = *words {
        *words = rest;
        met |= all(words, allowed);
    }
    met
}

fn all(words: &mut &[&str], allowed: &[String]) -> bool {
    let mut met = one(words, allowed);
    while let ["AND", rest @ ..] = *words {
        *words = rest;
        met &= one(words, allowed);
    }
    met
}

fn one(words: &mut &[&str], allowed: &[String]) -> bool {
    match *words {
        ["(", rest @ ..] => {
            *words = rest;
            let met = either(words, allowed);
            match *words {
                [")", rest @ ..] => {
                    *words = rest;
                    met
                }
                _ => false,
            }
        }
        [name, "WITH", _, rest @ ..] | [name, rest @ ..] => {
            let met = allowed.iter().any(|one| one == name);
            *words = rest;
            met
        }
        [] => false,
    }
}

/// Known vulnerabilities, if there is a database to look them up in.
pub fn advisories() -> Result<()> {
    let present = |words: &[&str]| {
        Command::new("cargo")
            .current_dir(paths::root())
            .args(words)
            .output()
            .is_ok_and(|output| output.status.success())
    };
    if !present(&["deny", "--version"]) {
        println!("  advisories: NOT checked: no cargo-deny here, so no advisory database");
        return Ok(());
    }
    if !present(&["deny", "fetch", "db"]) {
        println!("  advisories: NOT checked: the advisory database cannot be reached");
        return Ok(());
    }
    step::run(
        "look for known vulnerabilities",
        cargo().args(["deny", "--offline", "check", "advisories"]),
    )
}

#[cfg(test)]
mod tests {
    use super::permitted;

    fn is(expression: &str) -> bool {
        permitted(expression, &["MIT".into(), "Apache-2.0".into(), "Zlib".into()])
    }

    #[test]
    fn one_allowed_side_of_a_choice_is_enough() {
        assert!(is("GPL-3.0 OR MIT"));
        assert!(is("MIT/GPL-3.0"));
        assert!(!is("GPL-3.0 OR AGPL-3.0"));
    }

    #[test]
    fn every_side_of_a_conjunction_is_needed() {
        assert!(is("(GPL-3.0 OR MIT) AND Zlib"));
        assert!(!is("MIT AND GPL-3.0"));
        assert!(is("Apache-2.0 WITH LLVM-exception OR GPL-3.0"));
    }

    #[test]
    fn a_missing_or_broken_expression_is_not_permitted() {
        assert!(!is(""));
        assert!(!is("(MIT"));
        assert!(!is("MIT Zlib"));
    }
}
