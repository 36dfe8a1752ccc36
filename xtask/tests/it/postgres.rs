//! A server that tests started ends with the run, however the run ends.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

/// How long the server may take to stop.
const STOP_MAX: Duration = Duration::from_secs(30);

/// `xtask postgres` with a connection to its server.
struct Owner {
    process: Child,
    /// Ends when no process of the run is left.
    errors: ChildStderr,
    connection: TcpStream,
}

impl Owner {
    fn start() -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_xtask"))
            .arg("postgres")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let errors = process.stderr.take().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let address = output
            .lines()
            .map(Result::unwrap)
            .find_map(|line| Some(line.split_once("postgres@")?.1.trim_end_matches("/postgres").to_owned()))
            .expect("xtask prints the URL of the server");
        let mut connection = TcpStream::connect(address).unwrap();
        connection.set_read_timeout(Some(STOP_MAX)).unwrap();
        // A server that stops waits a minute for a client that is connected and has not sent its first message.
        connection.write_all(b"\0\0\0\x17\0\x03\0\0user\0postgres\0\0").unwrap();
        while next_message(&mut connection) != READY {}
        Self { process, errors, connection }
    }

    fn folder(&self) -> std::path::PathBuf {
        std::env::temp_dir().join(format!("perennial-postgres-{}", self.process.id()))
    }

    /// Fails unless the server closes its connections.
    fn server_ends(&mut self) {
        let end = self.connection.read_to_end(&mut Vec::new());
        let is_closed = end.as_ref().map_or_else(|error| error.kind() == ErrorKind::ConnectionReset, |_| true);
        assert!(is_closed, "the server still runs: {end:?}");
    }
}

/// The type of the message with which PostgreSQL says that it accepts a query.
const READY: u8 = b'Z';

/// Reads one message of the server, which is a type, a length that counts itself, and a body; returns the type.
fn next_message(connection: &mut TcpStream) -> u8 {
    let mut head = [0; 5];
    connection.read_exact(&mut head).unwrap();
    let [kind, length @ ..] = head;
    let mut body = vec![0; u32::from_be_bytes(length) as usize - length.len()];
    connection.read_exact(&mut body).unwrap();
    kind
}

fn kill(signal: &str, process: u32) {
    assert!(Command::new("kill").args([signal, &process.to_string()]).status().unwrap().success());
}

#[test]
fn a_server_ends_with_a_run_that_is_killed() {
    for signal in ["-TERM", "-KILL"] {
        let mut owner = Owner::start();
        assert!(owner.folder().is_dir());
        kill(signal, owner.process.id());
        owner.process.wait().unwrap();
        owner.server_ends();
        owner.errors.read_to_string(&mut String::new()).unwrap();
        assert!(!owner.folder().exists(), "its files are removed");
    }
}

#[test]
fn a_server_ends_with_a_run_that_completes() {
    let mut owner = Owner::start();
    drop(owner.process.stdin.take());
    assert!(owner.process.wait().unwrap().success());
    owner.server_ends();
    assert!(!owner.folder().exists(), "its files are removed");
}

#[cfg(target_os = "linux")]
#[test]
fn a_server_ends_when_its_supervisor_is_killed() {
    let mut owner = Owner::start();
    let id = owner.process.id();
    let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
    kill("-KILL", children.trim().parse().unwrap());
    owner.server_ends();
    let folder = owner.folder();
    kill("-KILL", id);
    owner.process.wait().unwrap();
    std::fs::remove_dir_all(folder).unwrap();
}
