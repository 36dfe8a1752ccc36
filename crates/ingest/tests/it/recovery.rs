//! Crashes at each step of a load: every file is committed exactly once, and nothing staged is left.

use std::task::{Context, Waker};
use std::time::Duration;

use perennial_core::state::LoadState;
use perennial_core::{ErrorCode, Result};
use perennial_ingest::loads;
use perennial_kernel::{attempts, held};
use perennial_store::{attempts as attempt_rows, loads as load_rows};
use perennial_testkit::fakes::Call;
use tokio::time::timeout;

use crate::support::{FLOWN, TestProject, name};

/// Rows of which one fails its check.
const CONTENT: &str = "n\n1\n2\n-1\n";

fn checked(at_least: f64) -> String {
    format!("{FLOWN}\n[checks.flown]\npositive = {{ that = \"n > 0\", at_least = {at_least} }}\n")
}

/// A dataset with the row `n` = 0, where the load of a second file was interrupted at `call`.
async fn interrupted(file: &str, call: Call) -> TestProject {
    let test = TestProject::start(file).await;
    test.load("a.csv", "n\n10\n").await;
    test.offer(&[("b.csv", CONTENT)]);
    test.test.data.fail_next(call);
    let collected = test.collect().await;
    assert_eq!(collected.failed.len(), 1, "{call:?}");
    test
}

/// Whether a dataset has an open intent.
async fn has_intent(test: &TestProject) -> bool {
    let mut reader = test.test.app.kernel.store().read().await.unwrap();
    let dataset = perennial_ingest::snapshot::get_dataset(&mut reader, test.project.id, &name("flown")).await.unwrap();
    load_rows::find_intent(&mut reader, dataset.id).await.unwrap().is_some()
}

#[tokio::test]
async fn a_load_interrupted_at_any_call_is_committed_exactly_once() {
    // The call, the state that the interrupted load has, and its state after recovery.
    let cases = [
        (Call::Stage, None, None),
        (Call::Quarantine, Some(LoadState::Staged), Some(LoadState::Failed)),
        (Call::BeforeCommit, Some(LoadState::Committing), Some(LoadState::Committed)),
        (Call::AfterCommit, Some(LoadState::Committing), Some(LoadState::Committed)),
        (Call::Discard, Some(LoadState::Committed), Some(LoadState::Committed)),
    ];
    for (call, before, after) in cases {
        let test = interrupted(&checked(0.5), call).await;
        assert_eq!(test.states("flown").await.get(1).copied(), before, "{call:?}");
        assert_eq!(has_intent(&test).await, before == Some(LoadState::Committing), "{call:?}");
        let restarted = test.restart().await;
        loads::sweep(&restarted.test.app.kernel).await.unwrap();
        for _ in 0..3 {
            assert!(restarted.collect().await.failed.is_empty(), "{call:?}");
        }
        assert_eq!(restarted.states("flown").await.get(1).copied(), after.or(Some(LoadState::Committed)), "{call:?}");
        assert_eq!(restarted.values("SELECT n FROM flown ORDER BY n").await, "1 2 10", "{call:?}");
        assert_eq!(restarted.number("flown").await, 2, "{call:?}");
        assert!(!has_intent(&restarted).await, "{call:?}");
        assert!(restarted.test.data.staged_loads().is_empty(), "{call:?}");
    }
}

#[tokio::test]
async fn a_version_that_recovery_records_is_the_one_that_was_to_be_recorded() {
    let whole = TestProject::start(&checked(0.5)).await;
    whole.load("a.csv", "n\n10\n").await;
    whole.load("b.csv", CONTENT).await;
    let recovered = interrupted(&checked(0.5), Call::AfterCommit).await;
    recovered.collect().await;
    let summary = async |test: &TestProject| {
        let versions = test.versions("flown").await;
        let load = test.loads("flown").await.remove(1);
        let versions: Vec<_> = versions
            .into_iter()
            .map(|version| (version.number, version.digest, version.row_count, version.size_bytes, version.schema))
            .collect();
        (versions, load.passing, load.set_aside, load.number, load.settled_ms.is_some())
    };
    assert_eq!(summary(&recovered).await, summary(&whole).await);
}

#[tokio::test]
async fn an_intent_whose_rows_are_gone_is_abandoned_and_its_file_is_loaded_again() {
    let test = interrupted(&checked(0.5), Call::BeforeCommit).await;
    test.test.data.lose_staging();
    let collected = test.collect().await;
    assert_eq!((collected.committed.len(), collected.failed.len()), (1, 0));
    assert_eq!(test.states("flown").await, [LoadState::Committed, LoadState::Failed, LoadState::Committed]);
    let abandoned = test.loads("flown").await.remove(1);
    let message = abandoned.message.unwrap();
    assert!(
        message.starts_with("its commit could not be finished: ") && message.contains("is not completely staged"),
        "{message}"
    );
    assert_eq!(
        (test.number("flown").await, test.values("SELECT n FROM flown ORDER BY n").await),
        (2, "1 2 10".to_owned())
    );
}

#[tokio::test]
async fn an_intent_that_was_committed_is_never_abandoned_although_its_rows_are_gone() {
    let test = interrupted(&checked(0.5), Call::AfterCommit).await;
    test.test.data.lose_staging();
    assert!(test.collect().await.is_idle());
    assert_eq!(test.states("flown").await, [LoadState::Committed; 2]);
    assert_eq!(test.values("SELECT n FROM flown ORDER BY n").await, "1 2 10");
}

#[tokio::test]
async fn an_intent_stays_open_while_the_engine_cannot_commit() {
    let test = interrupted(&checked(0.5), Call::BeforeCommit).await;
    for code in [ErrorCode::Storage, ErrorCode::TooLarge] {
        test.test.data.fail_next_with(Call::BeforeCommit, code);
        let collected = test.collect().await;
        assert_eq!(collected.failed[0].1.code(), code);
        assert!(has_intent(&test).await);
    }
    test.collect().await;
    assert!(!has_intent(&test).await);
    assert_eq!(test.values("SELECT n FROM flown ORDER BY n").await, "1 2 10");
}

#[tokio::test]
async fn an_accepted_load_interrupted_at_its_commit_is_finished_as_it_was_accepted() {
    for call in [Call::BeforeCommit, Call::AfterCommit] {
        for (all, rows, counts) in [(false, "1 2", (2, 1)), (true, "-1 1 2", (3, 0))] {
            let test = TestProject::start(&checked(1.0)).await;
            let held = test.load("b.csv", CONTENT).await;
            test.test.data.fail_next(call);
            let ingest = &test.test.app.ingest;
            let failed: Result<_> = ingest.accept_load(&test.test.system(), &test.project, held.id, all).await;
            assert_eq!(failed.unwrap_err().code(), ErrorCode::Storage);
            let restarted = test.restart().await;
            restarted.collect().await;
            assert_eq!(restarted.values("SELECT n FROM flown ORDER BY n").await, rows, "{call:?}, all = {all}");
            let load = restarted.get(held.id).await;
            assert_eq!(
                (load.state, (load.passing, load.set_aside)),
                (LoadState::Committed, counts),
                "{call:?}, all = {all}"
            );
            assert_eq!(restarted.number("flown").await, 1);
        }
    }
}

#[tokio::test]
async fn a_load_interrupted_before_its_hold_is_held_the_next_time() {
    let test = interrupted(&checked(1.0), Call::Quarantine).await;
    let collected = test.collect().await;
    assert_eq!(collected.held.len(), 1);
    assert_eq!(test.states("flown").await, [LoadState::Committed, LoadState::Failed, LoadState::Held]);
    let failed = test.loads("flown").await.remove(1);
    let expected = "it was interrupted before it was committed or held; its rows are loaded again";
    assert_eq!(failed.message.as_deref(), Some(expected));
    let alerts = test.alerts().await;
    assert_eq!(alerts.iter().filter(|(name, ..)| name == "held").count(), 1);
}

#[tokio::test]
async fn a_sweep_keeps_the_rows_of_held_loads_only() {
    let test = TestProject::start(&checked(1.0)).await;
    let held = test.load("a.csv", CONTENT).await;
    test.offer(&[("b.csv", "n\n5\n")]);
    test.test.data.fail_next(Call::Discard);
    test.collect().await;
    assert_eq!(test.test.data.staged_loads().len(), 2);
    let restarted = test.restart().await;
    loads::sweep(&restarted.test.app.kernel).await.unwrap();
    assert_eq!(restarted.test.data.staged_loads(), [held.id]);
    restarted.accept(held.id, true).await;
    assert_eq!(restarted.values("SELECT n FROM flown ORDER BY n").await, "-1 1 2 5");
}

/// The same project on the next server, after this one died while it began to load what is new. The first server owns
/// the folder of the store, so it must outlive the next ones.
async fn die_while_loading(test: &TestProject) -> TestProject {
    let mut collecting = Box::pin(test.collect());
    let recorded = async {
        loop {
            let polled = collecting.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert!(polled.is_pending(), "the load ended before its attempt was seen");
            tokio::task::yield_now().await;
            let mut reader = test.test.app.kernel.store().read().await.unwrap();
            if !attempt_rows::list_open(&mut reader).await.unwrap().rows.is_empty() {
                return;
            }
        }
    };
    timeout(Duration::from_secs(60), recorded).await.expect("the attempt is recorded");
    // A server that has died starts nothing more, such as the record of an end.
    test.test.app.kernel.work.stop(Duration::ZERO).await;
    drop(collecting);
    let next = test.restart().await;
    attempts::recover(&next.test.system()).await.unwrap();
    next
}

#[tokio::test]
async fn a_file_that_ended_two_servers_is_held_and_others_are_loaded() {
    let first = TestProject::start(FLOWN).await;
    first.offer(&[("a.csv", "n\n1\n")]);
    let second = die_while_loading(&first).await;
    let test = die_while_loading(&second).await;
    test.offer(&[("b.csv", "n\n2\n")]);
    let collected = test.collect().await;
    let failed: Vec<_> = collected.failed.iter().map(|(_, error)| (error.code(), error.message())).collect();
    let message = "file `a.csv` of dataset `flown` is held: the server died 2 times while it processed it";
    assert_eq!(failed, [(ErrorCode::Held, message)]);
    assert_eq!(test.values("SELECT n FROM flown").await, "2");
    let (caller, project) = (test.test.system(), test.project.id);
    let held = held::list(&caller, project).await.unwrap();
    held::release(&caller, project, &held[0].id()).await.unwrap();
    assert!(test.collect().await.failed.is_empty());
    assert_eq!(test.values("SELECT n FROM flown ORDER BY n").await, "1 2");
}
