//! Backups of a busy server: loads arrive and predictions are answered while the copies are made. Each copy must be
//! consistent, and a server over a restored backup must continue from it.

mod consistency;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use serde_json::{Value, json};

use crate::drifting::{self, NAME, month};
use crate::support::{LOAD_PREDICTIONS, Place, Server, text};

/// The number of backups, made one after the other.
const BACKUPS: usize = 3;
/// Copies that are checked before each backup. They are made fast enough to coincide with open commits.
const COPIES: usize = 3;
/// Threads that request predictions.
const CLIENTS: usize = 2;
/// The least number of predictions between two backups.
const ANSWERS_BETWEEN: usize = 150;
/// The greatest number of predictions during a backup.
const ANSWERS_MEANWHILE: usize = 300;
/// Predictions after which a client loads the log into its dataset.
const LOAD_EVERY: usize = 40;
/// Rows of the held load.
const HELD: usize = 20;
/// Rows of each file that arrives during the backups.
const PIECE: usize = 6;

fn at(path: &str) -> String {
    format!("/api/v1/projects/{NAME}/{path}")
}

/// The project file, with a gate that is easy to pass and without a canary.
fn file() -> String {
    let lines = drifting::FILE.lines().map(|line| match line {
        line if line.starts_with("canary = ") => "",
        line if line.starts_with("better = ") => "better = \"candidate.auc >= 0.5\"",
        line => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// A backup, and the requests that were acknowledged before it was started.
struct Backup {
    folder: PathBuf,
    answered: HashSet<String>,
}

#[test]
fn a_server_continues_from_every_backup_of_a_busy_server() {
    let place = drifting::place(&file());
    let server = Server::up(&place, &[]);
    drifting::three_months(&place, &server);
    assert!(place.good(&["release"]).contains("version 1 answers at `late`"));
    let held = hold(&place, &server);

    let backups = while_busy(&place, &server);

    // The result of the original server, once all files are loaded.
    let end = finish(&place, &server, &held);
    for backup in &backups {
        let restored = restore(&place, &backup.folder);
        check_ledger(&restored, &backup.folder);
        let server = Server::up(&restored, &[]);
        let restores = server.list("/api/v1/ledger");
        assert!(restores.iter().any(|entry| entry["noun"] == json!("backup") && entry["verb"] == json!("restore")));
        check_predictions(&server, &backup.answered);
        assert_eq!(finish(&restored, &server, &held), end, "the restored server gets other rows");
        server.post("/v2/models/late/infer", &drifting::request(&month(4)[..1]));
        assert!(restored.good(&["verify"]).contains("is intact"));
    }
}

#[test]
fn an_incomplete_backup_is_not_restored() {
    let place = Place::with_file("[project]\nname = \"small\"\n");
    place.good(&["run"]);
    let folder = place.folder.path().join("backup");
    place.good(&["backup", folder.to_str().unwrap()]);
    assert!(
        std::fs::read_dir(place.path().join(".perennial/work")).unwrap().next().is_none(),
        "the server removed its own copy"
    );
    std::fs::remove_file(folder.join("backup.json")).unwrap();
    let output = place.run(&["restore", folder.to_str().unwrap()]);
    assert!(!output.status.success());
    assert!(text(&output.stderr).contains("is not a complete backup"), "{}", text(&output.stderr));
}

/// Delivers a file in another unit, whose load is held; gives the id of the load.
fn hold(place: &Place, server: &Server) -> String {
    let mut rows = month(4);
    rows.truncate(HELD);
    for row in &mut rows {
        row.a *= 10.0;
    }
    place.write("data/asked/2013-04-held.csv", drifting::asked(&rows));
    place.held(&["run", "features"]);
    let loads = server.list(&at("datasets/asked/loads?limit=100"));
    let held = loads.iter().find(|load| load["state"] == json!("held")).expect("a held load");
    held["id"].as_str().unwrap().to_owned()
}

/// Makes backups while files arrive and predictions are answered.
fn while_busy(place: &Place, server: &Server) -> Vec<Backup> {
    let (sender, answers) = sync_channel(ANSWERS_MEANWHILE);
    let over = &AtomicBool::new(false);
    std::thread::scope(|scope| {
        let ended = Ended(over, answers);
        for _ in 0..CLIENTS {
            let sender = sender.clone();
            scope.spawn(move || ask(server, over, &sender));
        }
        scope.spawn(move || deliver(place, server, over));
        let mut answered = HashSet::new();
        let (mut backups, mut cut) = (Vec::new(), None);
        for number in 0..BACKUPS {
            let wanted = answered.len() + ANSWERS_BETWEEN;
            while answered.len() < wanted {
                answered.insert(ended.1.recv().expect("a client thread ended"));
            }
            answered.extend(ended.1.try_iter());
            for _ in 0..COPIES {
                let copied = copy_and_compare(place, server, cut.is_none());
                cut = cut.or(copied.map(|folder| Backup { folder, answered: answered.clone() }));
            }
            answered.extend(ended.1.try_iter());
            let folder = place.folder.path().join(format!("backup-{number}"));
            place.good(&["backup", folder.to_str().unwrap()]);
            backups.push(Backup { folder, answered: answered.clone() });
        }
        backups.extend(cut);
        backups
    })
}

/// Lets the server copy its store, and checks that the copy is consistent. With `keeps`, a copy that was made during
/// a commit is kept.
fn copy_and_compare(place: &Place, server: &Server, keeps: bool) -> Option<PathBuf> {
    let made = server.post("/api/v1/backup", &json!({}));
    let copy = place.path().join(".perennial").join(made["folder"].as_str().unwrap());
    let is_cut = server.block_on(consistency::check(&copy));
    if keeps && is_cut {
        let kept = place.folder.path().join("backup-cut");
        std::fs::rename(copy, &kept).unwrap();
        std::fs::write(kept.join("backup.json"), made.to_string()).unwrap();
        return Some(kept);
    }
    std::fs::remove_dir_all(copy).unwrap();
    None
}

/// Stops the client threads when it is dropped, also if the test fails.
struct Ended<'a>(&'a AtomicBool, Receiver<String>);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn ask(server: &Server, over: &AtomicBool, sender: &SyncSender<String>) {
    let rows = month(4);
    for (number, row) in rows.iter().cycle().enumerate() {
        if over.load(Ordering::SeqCst) {
            return;
        }
        let answer = server.post("/v2/models/late/infer", &drifting::request(std::slice::from_ref(row)));
        let request = answer["parameters"]["request_id"].as_str().unwrap().to_owned();
        if number % LOAD_EVERY == 0 {
            server.post(&at(LOAD_PREDICTIONS), &json!({}));
        }
        // The receiver is dropped when the test is over.
        let _ = sender.send(request);
    }
}

/// Delivers the rest of April in many small files, each of which becomes a load.
fn deliver(place: &Place, server: &Server, over: &AtomicBool) {
    for (number, rows) in month(4)[HELD..].chunks(PIECE).enumerate() {
        if over.load(Ordering::SeqCst) {
            return;
        }
        place.write(&format!("data/asked/2013-04-{number:03}.csv"), drifting::asked(rows));
        let run = server.post(&at("pipeline-runs"), &json!({ "kind": "run", "options": { "steps": ["features"] } }));
        let events = at(&format!("pipeline-runs/{}/events", run["id"].as_str().unwrap()));
        let mut after = json!(0);
        loop {
            let page = server.get(&format!("{events}?after={after}&wait_ms=20000"));
            if page["is_over"] == json!(true) {
                break;
            }
            after = page["events"].as_array().unwrap().last().map_or(after, |event| event["sequence"].clone());
        }
    }
}

/// Restores a backup to another folder, with the same project and the present files.
fn restore(place: &Place, backup: &Path) -> Place {
    let restored = drifting::place(&file());
    for folder in ["data/asked", "data/turned_out"] {
        for entry in std::fs::read_dir(place.path().join(folder)).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{folder}/{}", entry.file_name().to_str().unwrap());
            restored.write(&name, std::fs::read(entry.path()).unwrap());
        }
    }
    restored.good(&["restore", backup.to_str().unwrap()]);
    restored
}

/// The ledger continues each head in the description of the backup.
fn check_ledger(restored: &Place, backup: &Path) {
    let description: Value = serde_json::from_slice(&std::fs::read(backup.join("backup.json")).unwrap()).unwrap();
    let heads = description["heads"].as_object().unwrap();
    assert!(heads.len() >= 2, "expected the heads of the server and of the project: {heads:?}");
    for head in heads.values() {
        let verified = restored.good(&["verify", "--head", head.as_str().unwrap()]);
        assert!(verified.contains("is intact"), "{verified}");
    }
}

/// Each prediction that was acknowledged before the backup is present, and none is present twice.
fn check_predictions(server: &Server, answered: &HashSet<String>) {
    server.post(&at(LOAD_PREDICTIONS), &json!({}));
    let sql = "SELECT request_id, prediction_id FROM predictions_late";
    let page = server.post(&at("query"), &json!({ "sql": sql, "limit": 10_000 }));
    assert_eq!(page["truncated"], json!(false));
    let rows: Vec<&Value> = page["rows"].as_array().unwrap().iter().collect();
    let there: HashSet<&str> = rows.iter().map(|row| row[0].as_str().unwrap()).collect();
    let lost: Vec<&String> = answered.iter().filter(|request| !there.contains(request.as_str())).collect();
    assert!(lost.is_empty(), "{} of {} predictions are lost", lost.len(), answered.len());
    let distinct: HashSet<&str> = rows.iter().map(|row| row[1].as_str().unwrap()).collect();
    assert_eq!(distinct.len(), rows.len(), "a prediction is present twice");
    let alerts = server.list(&at("alerts"));
    assert!(alerts.iter().all(|alert| alert["name"] != json!("stuck")), "{alerts:?}");
}

/// Accepts the held load and updates the features; gives the number of rows and the digest of `asked`.
fn finish(place: &Place, server: &Server, held: &str) -> (Value, Value) {
    server.post(&at(&format!("loads/{held}/accept")), &json!({ "all": true }));
    place.good(&["run", "features"]);
    let versions = server.list(&at("datasets/asked/versions"));
    let counted = place.query("SELECT count(*), count(DISTINCT id) FROM asked");
    assert_eq!(counted[0][0], counted[0][1], "an order is present twice");
    (counted[0][0].clone(), versions[0]["digest"].clone())
}
