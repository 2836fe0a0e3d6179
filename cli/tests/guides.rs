//! The guides' commands, run as a reader would run them: every `sh` block of a guide that says what
//! comes out. A block `text` after it is the output, to the letter, but for versions of workspaces;
//! `UPDATE=1` writes it anew.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const GUIDES: [&str; 1] = ["docs/guides/before-publishing.md"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A folder as a reader has it: the checkout's examples, and room to write.
fn desk() -> PathBuf {
    let desk = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("desk");
    let shop = desk.join("examples/shop");
    fs::create_dir_all(&shop).unwrap();
    for name in ["workspace.json", "profile.json", "profiles.ndjson"] {
        fs::copy(root().join("examples/shop").join(name), shop.join(name)).unwrap();
    }
    desk
}

/// Runs a block of commands; what it prints.
fn run(block: &str) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_selvedge"));
    let path = std::env::var("PATH").unwrap_or_default();
    let output = Command::new("sh")
        .args(["-c", block])
        .current_dir(desk())
        .env("PATH", format!("{}:{path}", program.parent().unwrap().display()))
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.is_empty(), "{block}\n{errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// A text without the versions of workspaces, which follow the format of images.
fn without_versions(text: &str) -> String {
    let is_version = |word: &str| word.len() == 16 && word.bytes().all(|b| b.is_ascii_hexdigit());
    let words = text.split_inclusive(|sign: char| !sign.is_ascii_alphanumeric());
    let hidden = words.map(|word| {
        let bare = word.trim_end_matches(|sign: char| !sign.is_ascii_alphanumeric());
        if is_version(bare) { word.replace(bare, "VERSION") } else { word.to_owned() }
    });
    hidden.collect()
}

/// The guide with every output as it is now, and how many there are.
fn played(guide: &str) -> (String, usize) {
    let mut out = String::new();
    let mut outputs = 0;
    let mut last: Option<String> = None;
    let mut rest = guide;
    while let Some((before, block)) = rest.split_once("```") {
        let (language, block) = block.split_once('\n').unwrap();
        let (body, after) = block.split_once("```").unwrap();
        out += before;
        let body = match (language, last.take()) {
            ("sh", _) => {
                last = Some(run(body));
                body.to_owned()
            }
            ("text", Some(printed)) => {
                outputs += 1;
                if without_versions(&printed) == without_versions(body) {
                    body.to_owned()
                } else {
                    printed
                }
            }
            _ => body.to_owned(),
        };
        out += &format!("```{language}\n{body}```");
        rest = after;
    }
    (out + rest, outputs)
}

#[test]
fn the_guides_commands_print_what_the_guides_show() {
    for name in GUIDES {
        let path = root().join(name);
        let guide = fs::read_to_string(&path).unwrap();
        let (now, outputs) = played(&guide);
        assert!(outputs > 0, "{name} shows no output");
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&path, &now).unwrap();
        } else {
            assert_eq!(guide, now, "{name}: UPDATE=1 writes what comes out now");
        }
    }
}

#[test]
fn versions_alone_are_hidden() {
    let hidden = without_versions("w 56f78549a6b360f5 -> 56f78549a6b360f5, 6 (ben) abc\n");
    assert_eq!(hidden, "w VERSION -> VERSION, 6 (ben) abc\n");
}
