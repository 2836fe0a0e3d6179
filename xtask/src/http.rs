//! Just enough HTTP to ask a part on loopback whether it answers. It reads no body.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::process::{self, Part};
use crate::step::Line;

const TIMEOUT: Duration = Duration::from_secs(2);

/// The status of one GET, or None where nobody answers in time.
fn status(port: u16, path: &str) -> Option<u16> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT).ok()?;
    stream.set_read_timeout(Some(TIMEOUT)).ok()?;
    stream.set_write_timeout(Some(TIMEOUT)).ok()?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).ok()?;
    let mut head = [0_u8; 12];
    stream.read_exact(&mut head).ok()?;
    let head = std::str::from_utf8(&head).ok()?;
    head.strip_prefix("HTTP/1.1 ")?.parse().ok()
}

/// Waits until the part answers `path` with 200.
pub fn wait(part: &mut Part, port: u16, path: &str, deadline: Duration) -> Result<()> {
    let mut line = Line::begin(&format!("wait for the {}", part.name));
    let began = Instant::now();
    let mut last = None;
    loop {
        part.check()?;
        last = status(port, path).or(last);
        if last == Some(200) {
            line.end("answers");
            return Ok(());
        }
        if began.elapsed() > deadline {
            let answer = last.map_or("no answer".into(), |status| format!("status {status}"));
            return Err(Error::new(format!(
                "the {} gave {answer} on http://127.0.0.1:{port}{path} for {} s; its last lines:\n{}",
                part.name,
                deadline.as_secs(),
                part.last_lines(20),
            )));
        }
        line.show(None);
        if !process::sleep(Duration::from_millis(100)) {
            return Err(process::interrupted());
        }
    }
}

/// One sentence if somebody listens there already.
pub fn need_free(port: u16, what: &str) -> Result<()> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map(|_| ()).map_err(|reason| {
        Error::new(format!(
            "port {port}, meant for the {what}, is taken ({reason}); stop what listens there or \
             choose another with --port"
        ))
    })
}

/// The first of `count` neighbouring ports that nobody listens on.
pub fn free_ports(count: u16) -> Result<u16> {
    let free = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    (0..50)
        .filter_map(|_| {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).ok()?;
            let first = listener.local_addr().ok()?.port();
            drop(listener);
            let last = first.checked_add(count.checked_sub(1)?)?;
            (first..=last).all(free).then_some(first)
        })
        .next()
        .ok_or_else(|| Error::new(format!("there are no {count} free ports in a row on 127.0.0.1")))
}
