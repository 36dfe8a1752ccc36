//! Held loads: accepted, rejected, or replaced by new content of their file.

use std::sync::Arc;

use perennial_core::id::LoadId;
use perennial_core::permission::Role;
use perennial_core::state::{AlertState, LoadState};
use perennial_core::{ErrorCode, Result};
use perennial_ingest::datasets::Load;
use perennial_ingest::snapshot::get_dataset;
use perennial_store::ledger;
use perennial_testkit::TestApp;

use crate::support::{FLOWN, TestProject, name};

const POSITIVE: &str = "[checks.flown]\npositive = \"n > 0\"\n";

/// A dataset with the row `n` = 1, and a held load of the rows 2 and -1.
async fn held() -> (TestProject, Load) {
    let test = TestProject::start(&format!("{FLOWN}\n{POSITIVE}")).await;
    test.load("a.csv", "n\n1\n").await;
    let load = test.load("b.csv", "n\n2\n-1\n").await;
    assert_eq!(load.state, LoadState::Held);
    (test, load)
}

async fn reject(test: &TestProject, load: LoadId) -> Result<Load> {
    let caller = test.approver().await;
    test.test.app.ingest.reject_load(&caller, &test.project, load).await.map(|(load, _)| load)
}

/// Verbs of the ledger entries about loads.
async fn ledger_verbs(test: &TestApp, project: &perennial_projects::ProjectState) -> Vec<(String, String)> {
    let chain = perennial_core::ledger::Chain::Project(project.id);
    let entries = ledger::list(&mut test.app.kernel.store().read().await.unwrap(), chain, None, 100).await.unwrap();
    let of_loads = entries.items.into_iter().filter(|entry| entry.noun == "load");
    of_loads.map(|entry| (entry.verb, entry.actor)).collect()
}

#[tokio::test]
async fn an_accepted_load_commits_its_passing_rows_or_every_row() {
    for (all, rows, passing, set_aside) in [(false, "1 2", 1, 1), (true, "-1 1 2", 2, 0)] {
        let (test, load) = held().await;
        let caller = test.approver().await;
        let ingest = &test.test.app.ingest;
        let (accepted, table) = ingest.accept_load(&caller, &test.project, load.id, all).await.unwrap();
        assert_eq!((accepted.state, accepted.passing, accepted.set_aside), (LoadState::Committed, passing, set_aside));
        assert_eq!((table.version.number, accepted.number), (2, Some(2)));
        assert_eq!(test.values("SELECT n FROM flown ORDER BY n").await, rows);
        assert_eq!(test.alerts().await[0].1, AlertState::Resolved);
        assert_eq!(ledger_verbs(&test.test, &test.project).await, [("accept".to_owned(), "ann".to_owned())]);
        assert!(test.collect().await.is_idle(), "its file is known");
        assert!(test.test.data.staged_loads().is_empty());
    }
}

#[tokio::test]
async fn a_decision_about_a_held_load_waits_for_a_load_into_the_same_dataset() {
    let (test, load) = held().await;
    let dataset = {
        let mut reader = test.test.app.kernel.store().read().await.unwrap();
        get_dataset(&mut reader, test.project.id, &name("flown")).await.unwrap()
    };
    let writer = test.test.app.ingest.writer(&dataset).await;
    let (ingest, caller, project) = (test.test.app.ingest.clone(), test.approver().await, test.project.clone());
    let accepting = tokio::spawn(async move { ingest.accept_load(&caller, &project, load.id, false).await });
    for _ in 0..50 {
        assert_eq!(test.get(load.id).await.state, LoadState::Held);
    }
    assert!(!accepting.is_finished(), "the dataset has a writer");
    drop(writer);
    assert_eq!(accepting.await.unwrap().unwrap().0.state, LoadState::Committed);
}

#[tokio::test]
async fn a_rejected_load_adds_nothing_and_its_file_is_loaded_with_other_content_only() {
    let (test, load) = held().await;
    reject(&test, load.id).await.unwrap();
    let rejected = test.get(load.id).await;
    assert_eq!((rejected.state, rejected.message.as_deref()), (LoadState::Rejected, Some("rejected by `ann`")));
    assert_eq!(test.alerts().await[0].1, AlertState::Resolved);
    assert_eq!(ledger_verbs(&test.test, &test.project).await, [("reject".to_owned(), "ann".to_owned())]);
    assert!(test.test.data.staged_loads().is_empty());
    assert!(test.collect().await.is_idle());
    let other = test.load("b.csv", "n\n2\n3\n").await;
    assert_eq!((other.state, other.replaces), (LoadState::Committed, None));
    assert_eq!(test.values("SELECT n FROM flown ORDER BY n").await, "1 2 3");
}

#[tokio::test]
async fn new_content_of_its_file_replaces_a_held_load() {
    let (test, load) = held().await;
    let still_bad = test.load("b.csv", "n\n2\n-3\n").await;
    assert_eq!((still_bad.state, still_bad.replaces), (LoadState::Held, Some(load.id)));
    let good = test.load("b.csv", "n\n2\n3\n").await;
    assert_eq!(good.state, LoadState::Committed);
    for (replaced, by) in [(load.id, still_bad.id), (still_bad.id, good.id)] {
        let replaced = test.get(replaced).await;
        assert_eq!((replaced.state, replaced.replaced_by), (LoadState::Replaced, Some(by)));
    }
    assert_eq!(test.values("SELECT n FROM flown ORDER BY n").await, "1 2 3");
    assert!(test.alerts().await.iter().all(|(_, state, _)| *state == AlertState::Resolved));
    assert!(test.test.data.staged_loads().is_empty());
}

#[tokio::test]
async fn a_held_load_that_cannot_be_replaced_stays_held() {
    let (test, load) = held().await;
    test.offer(&[("b.csv", "n,m\n2\n")]);
    assert_eq!(test.collect().await.failed.len(), 1);
    assert_eq!(test.get(load.id).await.state, LoadState::Held);
    assert_eq!(test.accept(load.id, false).await.state, LoadState::Committed);
}

#[tokio::test]
async fn a_held_load_that_was_to_replace_committed_rows_replaces_them_when_accepted() {
    let file = FLOWN.replace("\"*.csv\"", "\"*.csv\", on_change = \"replace\"");
    for middle in [&[][..], &["n\n7\n-7\n"]] {
        let test = TestProject::start(&format!("{file}\n{POSITIVE}")).await;
        test.load("a.csv", "n\n1\n").await;
        for content in middle {
            test.load("a.csv", content).await;
        }
        let held = test.load("a.csv", "n\n2\n-2\n").await;
        assert_eq!((held.state, test.values("SELECT n FROM flown").await.as_str()), (LoadState::Held, "1"));
        test.accept(held.id, false).await;
        assert_eq!(test.values("SELECT n FROM flown").await, "2", "{middle:?}");
        assert!(test.test.data.staged_loads().is_empty());
    }
}

#[tokio::test]
async fn keys_and_checks_of_a_held_load_are_evaluated_again_when_it_is_accepted() {
    let file = format!("{FLOWN}key = [\"n\"]\n\n{POSITIVE}");
    let test = TestProject::start(&file).await;
    let held = test.load("a.csv", "n\n1\n2\n-1\n").await;
    test.load("b.csv", "n\n2\n").await;
    test.submit(&file.replace("n > 0", "n > -5")).await;
    let accepted = test.accept(held.id, false).await;
    assert_eq!(accepted.reasons, serde_json::json!({ "key exists": 1 }));
    assert_eq!(test.values("SELECT n FROM flown ORDER BY n").await, "-1 1 2");
}

#[tokio::test]
async fn only_a_held_load_is_accepted_or_rejected() {
    let (test, load) = held().await;
    test.accept(load.id, false).await;
    let ingest = &test.test.app.ingest;
    let system = test.test.system();
    let again = ingest.accept_load(&system, &test.project, load.id, false).await.unwrap_err();
    assert_eq!(again.code(), ErrorCode::WrongState);
    let late = ingest.reject_load(&system, &test.project, load.id).await.unwrap_err();
    assert_eq!(
        late.message(),
        format!("load `{}` is committed: only a held load can be accepted or rejected", load.id)
    );
    let unknown = ingest.reject_load(&system, &test.project, LoadId::generate()).await.unwrap_err();
    assert_eq!(unknown.code(), ErrorCode::NotFound);
}

#[tokio::test]
async fn deciding_about_a_held_load_needs_the_permission_to_approve() {
    let (test, load) = held().await;
    for (name, role) in [("vic", Role::Viewer), ("con", Role::Contributor)] {
        let caller = test.test.caller(name, role).await.unwrap();
        let ingest = &test.test.app.ingest;
        let accepted = ingest.accept_load(&caller, &test.project, load.id, true).await.unwrap_err();
        let rejected = ingest.reject_load(&caller, &test.project, load.id).await.unwrap_err();
        assert_eq!((accepted.code(), rejected.code()), (ErrorCode::PermissionDenied, ErrorCode::PermissionDenied));
    }
    assert_eq!(test.get(load.id).await.state, LoadState::Held);
}

#[tokio::test]
async fn a_load_of_another_project_is_not_found() {
    let (test, load) = held().await;
    let other = TestProject::start(FLOWN).await;
    let stranger = Arc::clone(&other.project);
    let error = test.test.app.ingest.accept_load(&test.test.system(), &stranger, load.id, false).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::NotFound);
}
