//! `cargo xtask size`: what a visitor downloads, compressed as a server would, against the
//! budgets in budgets.json.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::error::{Context, Error, Result};
use crate::{build, files, paths, step, tools};

const MEASURE: &str = "\
import { readFileSync } from 'node:fs';
import { brotliCompressSync, constants } from 'node:zlib';
const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_LGWIN]: 22 };
for (const path of process.argv.slice(1)) {
  const bytes = readFileSync(path);
  console.log(bytes.length, brotliCompressSync(bytes, { params }).length);
}";

struct Size {
    plain: u64,
    brotli: u64,
}

pub fn run(check: bool) -> Result<()> {
    build::run("tag")?;
    let page = paths::build().join("page");
    let manifest = build::manifest()?;
    let glue = minified(&build::glue())?;
    let files = [page.join(&manifest.wasm), glue, page.join("tag.js"), build::signals()?];
    let [wasm, glue, tag, signals] = measure(files)?;
    let both = Size { plain: wasm.plain + glue.plain, brotli: wasm.brotli + glue.brotli };
    println!("{:<28} {:>8} {:>8} {:>8}", "", "plain", "brotli", "budget");
    show("core (wasm)", &wasm, None);
    show("its bindings, minified", &glue, None);
    let over = [
        over_budget("core and bindings", "coreAndBindings", &both)?,
        over_budget("tag.js", "tag", &tag)?,
        over_budget("consent platforms", "signals", &signals)?,
    ];
    match over.into_iter().flatten().reduce(|all, one| format!("{all}; {one}")) {
        Some(over) if check => Err(Error::new(format!(
            "{over}; make it smaller, or raise the budget in `budgets.json` with a reason"
        ))),
        _ => Ok(()),
    }
}

fn show(what: &str, size: &Size, budget: Option<u64>) {
    let budget = budget.map(|bytes| bytes.to_string()).unwrap_or_default();
    println!("{what:<28} {:>8} {:>8} {budget:>8}", size.plain, size.brotli);
}

fn over_budget(what: &str, key: &str, size: &Size) -> Result<Option<String>> {
    let path = paths::root().join("budgets.json");
    let value: Value = serde_json::from_str(&files::read_text(&path)?)
        .doing(|| "cannot parse `budgets.json`".into())?;
    let budget = value
        .pointer(&format!("/{key}/brotliBytes"))
        .and_then(Value::as_u64)
        .ok_or_else(|| Error::new(format!("`budgets.json` has no `{key}.brotliBytes`")))?;
    show(what, size, Some(budget));
    let over = size.brotli > budget;
    Ok(over.then(|| format!("{what} takes {} bytes of {budget} allowed", size.brotli)))
}

/// The bindings as the tag carries them.
fn minified(glue: &Path) -> Result<PathBuf> {
    files::make_folder(&paths::logs())?;
    let out = paths::logs().join("core.min.js");
    step::run(
        "minify the bindings",
        Command::new(tools::npm_binary("esbuild"))
            .current_dir(paths::root())
            .arg(glue)
            .args(["--minify", "--format=esm", "--target=es2020", "--log-level=warning"])
            .arg(format!("--outfile={}", out.display())),
    )?;
    Ok(out)
}

fn measure<const N: usize>(files: [PathBuf; N]) -> Result<[Size; N]> {
    let lines = step::output(
        "measure",
        tools::node_command()?.args(["--input-type=module", "--eval", MEASURE]).args(files),
    )?;
    let sizes: Vec<Size> = lines
        .iter()
        .filter_map(|line| {
            let (plain, brotli) = line.split_once(' ')?;
            Some(Size { plain: plain.parse().ok()?, brotli: brotli.parse().ok()? })
        })
        .collect();
    sizes.try_into().map_err(|_| Error::new("cannot read the sizes that Node printed"))
}
