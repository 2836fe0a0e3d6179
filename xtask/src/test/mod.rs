//! `cargo xtask test`: every suite in order, with its own runner's count. It holds no test of
//! the product.

pub mod count;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use crate::build::cargo;
use crate::demo::{self, Demo};
use crate::error::{Context, Error, Result};
use crate::{build, files, http, paths, process, step, tools};

use count::Count;

/// How long one test of Node may take before it counts as failed.
const TEST_TIMEOUT_MS: u32 = 180_000;

struct Suite {
    name: &'static str,
    run: fn() -> Result<Count>,
}

/// In the order of their speed: what fails early fails fast.
const SUITES: [Suite; 10] = [
    Suite { name: "native", run: native },
    Suite { name: "node", run: node_units },
    Suite { name: "wasm", run: wasm },
    Suite { name: "cases", run: cases },
    Suite { name: "tag", run: tag },
    Suite { name: "signals", run: signals },
    Suite { name: "worker", run: worker },
    Suite { name: "postgres", run: postgres },
    Suite { name: "replay", run: replay },
    Suite { name: "browser", run: browser },
];

pub fn run(words: &[&str]) -> Result<ExitCode> {
    let chosen = choose(words)?;
    tools::npm_packages()?;
    let mut sum = Count::default();
    let mut table = Vec::new();
    for suite in chosen {
        eprintln!("\n== {}", suite.name);
        let began = Instant::now();
        let count = match (suite.run)() {
            Ok(count) => count,
            Err(_) if process::stopping() => return Err(process::interrupted()),
            Err(error) => {
                eprintln!("error: {error}");
                Count::FAILED
            }
        };
        sum += count;
        let seconds = began.elapsed().as_secs_f64();
        table.push(format!("  {:<9} {} ({seconds:.0} s)", suite.name, count.line()));
    }
    println!("\n{}\n\n{}", table.join("\n"), sum.line());
    if sum.passed == 0 && sum.failed == 0 {
        return Err(Error::new("not one test ran"));
    }
    Ok(if sum.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn choose(words: &[&str]) -> Result<Vec<&'static Suite>> {
    let named = match words {
        [] => return Ok(SUITES.iter().collect()),
        ["--only", names] => names.split(','),
        _ => return Err(Error::new("the words after `test` are --only NAME[,NAME...]")),
    };
    named
        .map(|name| {
            SUITES.iter().find(|suite| suite.name == name).ok_or_else(|| {
                let known = SUITES.map(|suite| suite.name).join(", ");
                Error::new(format!("there is no suite `{name}`; the suites are {known}"))
            })
        })
        .collect()
}

/// Runs a command with its output shown as it comes.
fn shown(command: &mut Command) -> Result<process::Finished> {
    process::run(command, |line| {
        if let Some(line) = line {
            println!("{line}");
        }
    })
}

fn native() -> Result<Count> {
    // The central store's and the tool's own tests may start each other's programs.
    build::run("central")?;
    build::run("cli")?;
    let mut command = cargo();
    command.args(["test", "--no-fail-fast", "--all-features"]);
    const PACKAGES: [&str; 6] = [
        "selvedge",
        "selvedge-page",
        "selvedge-worker",
        "selvedge-cli",
        "selvedge-central",
        "xtask",
    ];
    for package in PACKAGES {
        command.args(["--package", package]);
    }
    let finished = shown(&mut command)?;
    let lines = finished.lines.iter().map(String::as_str);
    Ok(count::cargo(lines).checked(finished.status))
}

/// JavaScript that needs nothing built: the tag's modules, the shop, and vectors against the
/// packages that they came from.
fn node_units() -> Result<Count> {
    let mut found = tests_in("js");
    found.extend(tests_in("examples"));
    found.extend(tests_in("tests/conformance"));
    node("node", &found, &[])
}

/// The vectors through the core as Wasm, in Node.
fn wasm() -> Result<Count> {
    build::run("replay")?;
    build::run("evaluator")?;
    build::run("cli")?;
    node("wasm", &tests_in("tests/wasm"), &[])
}

/// Made-up decisions by the hundred thousand: against naive ones, and the same in Wasm.
fn cases() -> Result<Count> {
    build::run("replay")?;
    const FEATURES: [&str; 4] = ["--package", "selvedge", "--features", "compile,replay"];
    let mut command = cargo();
    command.args(["build", "--profile", "cases", "--example", "decision_blocks"]).args(FEATURES);
    step::run("build what makes decisions up", &mut command)?;
    let blocks = paths::target().join("cases/examples/decision_blocks");
    node("cases", &tests_in("tests/cases"), &[("SELVEDGE_BLOCKS", &blocks)])
}

/// The tag in a real browser, before an edge that only records.
fn tag() -> Result<Count> {
    build::run("tag")?;
    let chromium = tools::need_chromium()?;
    let made = cargo()
        .args(["run", "--quiet", "--package", "selvedge", "--features", "compile,replay"])
        .args(["--example", "tag_fixture"])
        .output()
        .doing(|| "cannot start cargo".into())?;
    if !made.status.success() {
        let said = String::from_utf8_lossy(&made.stderr).into_owned();
        return Err(Error::new(format!("cannot make the fixture of the tag's tests:\n{said}")));
    }
    files::make_folder(&paths::logs())?;
    let fixture = paths::logs().join("tag-fixture.json");
    files::write_if_changed(&fixture, &made.stdout)?;
    let settings = [("CHROMIUM", chromium.as_path()), ("SELVEDGE_TAG_FIXTURE", &fixture)];
    node("tag", &tests_in("tests/tag"), &settings)
}

/// Consent platforms and banners from npm in a real browser, before the tag and the worker.
fn signals() -> Result<Count> {
    build::run("all")?;
    let chromium = tools::need_chromium()?;
    node("signals", &tests_in("tests/signals"), &[("CHROMIUM", &chromium)])
}

fn worker() -> Result<Count> {
    let found = tests_in("tests/worker");
    if !found.is_empty() {
        build::run("all")?;
    }
    let chromium = tools::need_chromium()?;
    node("worker", &found, &[("CHROMIUM", &chromium)])
}

/// Against a server that the tests start themselves from npm's `embedded-postgres`.
fn postgres() -> Result<Count> {
    let found = tests_in("tests/postgres");
    if !found.is_empty() {
        build::run("central")?;
    }
    node("postgres", &found, &[])
}

/// One trace in Node, workerd and Chromium; natively it runs among the core's own tests.
fn replay() -> Result<Count> {
    let found = tests_in("tests/replay");
    let chromium = tools::need_chromium()?;
    build::run("replay")?;
    node("replay", &found, &[("CHROMIUM", &chromium)])
}

/// Against a demo of its own, beside whichever one runs already. All files share it, so they run
/// one after the other: the story compares every row before and after.
fn browser() -> Result<Count> {
    let found = tests_in("tests/e2e");
    if found.is_empty() {
        return node("browser", &found, &[]);
    }
    let chromium = tools::need_chromium()?;
    let state = paths::target().join("xtask/demo");
    let port = http::free_ports(3)?;
    let options = demo::Options { state: state.clone(), port, fresh: true, story: false };
    let demo = Demo::start(&options)?;
    let pictures = state.join("story");
    files::make_folder(&pictures)?;
    node(
        "browser",
        &found,
        &[
            ("SELVEDGE_DEMO", demo.file.as_path()),
            ("SELVEDGE_PICTURES", &pictures),
            ("CHROMIUM", &chromium),
        ],
    )
}

/// Every `*.test.mjs` and `*.test.ts` under a folder of the checkout.
fn tests_in(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![paths::root().join(folder)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(folder) else { continue };
        for path in entries.flatten().map(|entry| entry.path()) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() && name != "node_modules" {
                folders.push(path);
            } else if name.ends_with(".test.mjs") || name.ends_with(".test.ts") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn node(name: &str, tests: &[PathBuf], settings: &[(&str, &Path)]) -> Result<Count> {
    if tests.is_empty() {
        println!("no tests of this kind yet");
        return Ok(Count::default());
    }
    files::make_folder(&paths::logs())?;
    let summary = paths::logs().join(format!("{name}.tap"));
    let _ = std::fs::remove_file(&summary);
    // One browser at a time: several on two cores starve each other's timers.
    let alone = matches!(name, "browser" | "tag" | "signals");
    let mut command = tools::node_command()?;
    command
        .args(["--test", &format!("--test-timeout={TEST_TIMEOUT_MS}")])
        .args(if alone { &["--test-concurrency=1"][..] } else { &[] })
        .args(["--test-reporter=spec", "--test-reporter-destination=stdout"])
        .args(["--test-reporter=tap".into(), destination(&summary)])
        .args(tests)
        .env("SELVEDGE_BIN", paths::binary(""))
        .envs(settings.iter().copied());
    let finished = shown(&mut command)?;
    let text = files::read_text(&summary).unwrap_or_default();
    Ok(count::node(text.lines()).checked(finished.status))
}

fn destination(path: &Path) -> String {
    format!("--test-reporter-destination={}", path.display())
}
