//! A server whose data folder is on a full disk.

use std::path::Path;

use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::disk::Disk;
use crate::drifting::{self, month};
use crate::support::{Place, Server, administrator_token, text};

const DISK_BYTES: u64 = 192 << 20;
/// Writes through each of the APIs; `{n}` makes names differ.
const WRITES: [(&str, &str); 2] = [
    ("/api/v1/tokens", r#"{ "name": "ada-{n}", "role": "viewer" }"#),
    ("/api/2.0/mlflow/experiments/create", r#"{ "name": "late-{n}" }"#),
];
/// Writes that the files of the database have room for on a full disk, at most.
const WRITES_MAX: usize = 5_000;
const READS: [&str; 6] = [
    "/ready",
    "/api/v1/projects/drifting/endpoints",
    "/api/v1/projects/drifting/ledger",
    "/api/v1/projects/drifting/datasets/asked",
    "/api/2.0/mlflow/experiments/get?experiment_id=0",
    "/metrics",
];

fn predict(server: &Server) -> (StatusCode, Value) {
    server.ask(Method::POST, "/v2/models/late/infer", Some(&drifting::request(&month(4)[..1])))
}

fn reads(server: &Server) {
    for path in READS {
        let (status, answer) = server.ask(Method::GET, path, None);
        assert_eq!(status, StatusCode::OK, "{path}: {answer}");
    }
}

/// Writes until a write is refused: the files of the database have some room, which later writes use again.
fn refused(server: &Server, start: usize, (path, body): (&str, &str)) {
    let write = |number: usize| {
        let body = body.replace("{n}", &format!("{start}-{number}"));
        server.ask_with_headers(Method::POST, path, Some(&serde_json::from_str(&body).unwrap()))
    };
    let mut answers = (0..WRITES_MAX).map(write);
    let refusal = answers.find(|(status, ..)| *status != StatusCode::OK);
    let (status, headers, answer) = refusal.expect("a write is refused on a full disk");
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{path}: {answer}");
    assert!(headers.contains_key("retry-after"), "{path}");
    assert!(answer.to_string().contains("disk") && answer.to_string().contains("full"), "{path}: {answer}");
}

/// A server on a disk of its own, with a champion and a token.
struct Champion {
    place: Place,
    disk: Disk,
    token: String,
}

impl Champion {
    fn new() -> Self {
        let place = drifting::place(drifting::FILE);
        let data = place.path().join(".perennial");
        std::fs::create_dir(&data).unwrap();
        let disk = Disk::mount(&data, DISK_BYTES);
        let mut champion = Self { place, disk, token: String::new() };
        let mut server = champion.start();
        champion.token = server.block_on(administrator_token(&champion.disk.path(&data)));
        server.token.clone_from(&champion.token);
        drifting::three_months(&champion.place, &server);
        let released = champion.disk.with(&champion.place.command(&["release"])).output().unwrap();
        assert!(released.status.success(), "{}", text(&released.stderr));
        assert_eq!(predict(&server).0, StatusCode::OK);
        server.kill();
        champion
    }

    fn file(&self, name: &str) -> std::path::PathBuf {
        self.place.path().join(".perennial").join(name)
    }

    fn start(&self) -> Server {
        let command = self.disk.with(&self.place.command(&["up", "--port", "0"]));
        Server::start_with_token(command, &self.token)
    }
}

#[test]
fn a_server_on_a_full_disk_starts_predicts_and_reads_and_refuses_writes_with_the_cause() {
    let champion = Champion::new();
    let fill = champion.file("fill");
    for start in 1..=2 {
        champion.disk.fill(&fill);
        let server = champion.start();
        assert_eq!(predict(&server).0, StatusCode::OK, "start {start}: a start leaves room for predictions");
        reads(&server);
        champion.disk.fill(&fill);
        for write in WRITES {
            refused(&server, start, write);
        }
        reads(&server);
        server.kill();
    }
    let server = champion.start();
    reads(&server);
    std::fs::remove_file(champion.disk.path(Path::new(&fill))).unwrap();
    assert_eq!(predict(&server).0, StatusCode::OK);
    let (path, body) = WRITES[0];
    let (status, answer) =
        server.ask(Method::POST, path, Some(&serde_json::from_str(&body.replace("{n}", "later")).unwrap()));
    assert_eq!(status, StatusCode::OK, "there is room again: {answer}");
}
