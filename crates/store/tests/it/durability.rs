//! Acknowledged means durable: what was answered is there after kill -9, nothing is half there, nothing twice.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use perennial_core::id::RunId;
use perennial_core::ledger::Chain;
use perennial_store::{Options, Store, ledger, metrics, run_contents, runs};

use crate::db::Db;

/// Lets the probe write, kills it after `lines` acknowledged writes, and returns every line that it printed.
fn write_and_kill(url: &str, lines: usize) -> BTreeSet<String> {
    let mut probe =
        Command::new(env!("CARGO_BIN_EXE_perennial-store-probe")).arg(url).stdout(Stdio::piped()).spawn().unwrap();
    let mut printed = BufReader::new(probe.stdout.take().unwrap()).lines();
    let mut answered: BTreeSet<String> = printed.by_ref().take(lines).map(Result::unwrap).collect();
    probe.kill().unwrap();
    probe.wait().unwrap();
    answered.extend(printed.map_while(Result::ok).filter(|line| line.contains('/')));
    assert!(answered.len() >= lines, "the probe ended by itself");
    answered
}

/// Every write that is there, by the ledger; each has its point, and each point its entry.
async fn written(store: &Store) -> BTreeSet<String> {
    let mut reader = store.read().await.unwrap();
    let report = ledger::verify(&mut reader, Chain::Server, None).await.unwrap().unwrap();
    let mut entries = BTreeSet::new();
    let mut before = None;
    loop {
        let page = ledger::list(&mut reader, Chain::Server, before, 1_000).await.unwrap();
        entries.extend(page.items.into_iter().map(|entry| entry.subject));
        let Some(next) = page.next else { break };
        before = Some(next.parse().unwrap());
    }
    assert_eq!(entries.len() as i64, report.entries, "no entry is there twice");
    let runs: BTreeSet<RunId> =
        entries.iter().map(|subject| subject.split_once('/').unwrap().0.parse().unwrap()).collect();
    let mut points = BTreeSet::new();
    for run in runs {
        let history = metrics::history(&mut reader, run, "step", None, 50_000).await.unwrap().items;
        let latest = metrics::latest(&mut reader, run).await.unwrap();
        assert_eq!(latest[0].step, history.iter().map(|point| point.step).max().unwrap());
        points.extend(history.into_iter().map(|point| format!("{run}/{}", point.step)));
        let stored = runs::get(&mut reader, run).await.unwrap();
        let computed = run_contents::compute_sum(&mut reader, &stored).await.unwrap();
        assert_eq!(
            run_contents::find_sum(&mut reader, run).await.unwrap(),
            Some(computed),
            "the sum of the content of {run}"
        );
    }
    assert_eq!(points, entries, "a point without its entry, or the other way round");
    entries
}

#[tokio::test]
async fn a_kill_loses_no_answered_write_on_sqlite() {
    let db = Db::sqlite().await;
    db.store.close().await.unwrap();
    let mut answered = BTreeSet::new();
    for lines in [1, 2, 7, 40, 150, 3] {
        answered.extend(write_and_kill(&db.url, lines));
        let store = Store::open(&db.url, Options::default()).await.unwrap();
        let written = written(&store).await;
        assert!(written.is_superset(&answered), "missing: {:?}", answered.difference(&written).collect::<Vec<_>>());
        store.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_kill_loses_no_answered_write_on_postgres() {
    let db = Db::postgres().await;
    let mut answered = BTreeSet::new();
    for lines in [1, 40, 7] {
        answered.extend(write_and_kill(&db.url, lines));
        let written = written(&db.store).await;
        assert!(written.is_superset(&answered), "missing: {:?}", answered.difference(&written).collect::<Vec<_>>());
    }
    db.finish().await;
}

/// A file that may not grow further stands for a full disk: the shell sets the limit, and the probe inherits it.
#[tokio::test]
async fn a_full_disk_refuses_writes_and_keeps_what_was_answered() {
    let db = Db::sqlite().await;
    db.store.close().await.unwrap();
    let limited =
        format!("trap '' XFSZ; ulimit -f 1200; exec {} {}", env!("CARGO_BIN_EXE_perennial-store-probe"), db.url);
    let ended = Command::new("sh").args(["-c", &limited]).output().unwrap();
    assert!(!ended.status.success(), "it never met the limit");
    let answered: BTreeSet<String> = String::from_utf8(ended.stdout).unwrap().lines().map(str::to_owned).collect();
    assert!(!answered.is_empty());
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(said.contains("could not be committed") || said.contains("database failed"), "{said}");

    let store = Store::open(&db.url, Options::default()).await.unwrap();
    let written = written(&store).await;
    assert!(written.is_superset(&answered), "missing: {:?}", answered.difference(&written).collect::<Vec<_>>());
    store.close().await.unwrap();
}
