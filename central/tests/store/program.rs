//! The program itself: how it starts, and how it ends.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::harness::KEY;

fn program(database: &Path, listen: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_selvedge-central"));
    command
        .env_clear()
        .env("SELVEDGE_CENTRAL_LISTEN", listen)
        .env("SELVEDGE_CENTRAL_DATABASE", database)
        .env("SELVEDGE_CENTRAL_KEY", KEY)
        .env("SELVEDGE_TENANT", "shop")
        .env("SELVEDGE_TENANT_KEY", "0".repeat(64))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// One line on standard error and exit code 1.
fn refuses(command: &mut Command, part: &str) {
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.starts_with("selvedge-central: ") && text.contains(part), "{text}");
}

#[test]
fn a_bad_start_is_one_clear_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("central.sqlite");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    refuses(&mut program(&file, &address), &format!("another program listens on {address}"));
    let garbage = folder.path().join("garbage");
    std::fs::write(&garbage, "not a database, but long enough to be read as one".repeat(99))
        .unwrap();
    refuses(&mut program(&garbage, "127.0.0.1:0"), "cannot be opened");
    refuses(&mut program(&folder.path().join("no/folder"), "127.0.0.1:0"), "cannot be opened");
    let any = "127.0.0.1:0";
    for (variable, value, part) in [
        ("SELVEDGE_CENTRAL_KEY", "", "SELVEDGE_CENTRAL_KEY is not set"),
        ("SELVEDGE_CENTRAL_KEY", "short", "fewer than 16 bytes"),
        ("SELVEDGE_TENANT", "", "SELVEDGE_TENANT is not set"),
        ("SELVEDGE_TENANT", "No Name", "a tenant's name"),
        ("SELVEDGE_TENANT_KEY", "abc", "64 hexadecimal digits"),
        ("SELVEDGE_EDGE_URL", "localhost", "is no URL"),
        ("SELVEDGE_EDGE_URL", "https://edge", "http only"),
        ("SELVEDGE_CENTRAL_LISTEN", "nowhere", "is no address"),
        ("SELVEDGE_CENTRAL_DATABASE", "postgres://x", "SQLite only"),
    ] {
        refuses(program(&file, any).env(variable, value), part);
    }
    refuses(program(&file, any).arg("--frobnicate"), "unknown argument");
}

#[test]
fn a_signal_ends_it_cleanly_and_the_log_holds_no_input() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("central.sqlite");
    let mut child = program(&file, "127.0.0.1:0").spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    log.read_line(&mut line).unwrap();
    let at = line.find("127.0.0.1:").unwrap();
    let address = line[at..].trim().trim_end_matches("\u{1b}[0m").to_owned();
    let body = "{\"type\":\"page\",\"userId\":\"evil\\r\\nline\"}\n";
    let request = format!(
        "POST /v1/import/crm HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n\
         connection: close\r\ncontent-type: application/x-ndjson\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = std::net::TcpStream::connect(&address).unwrap();
    std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut stream, &mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let killed = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    assert!(child.wait().unwrap().success());
    let rest: Vec<String> = log.lines().map(Result::unwrap).collect();
    assert!(rest.iter().any(|line| line.contains("stopping")), "{rest:?}");
    assert!(rest.iter().all(|line| !line.contains("evil")), "{rest:?}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
