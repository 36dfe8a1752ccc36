//! Commits happen exactly once, in spite of crashes and races.

use perennial_core::id::LoadId;
use perennial_core::port::data::{CommitRequest, DataEngine, Mode, QueryRequest};
use serde_json::json;

use crate::support::{Fixture, IncrementalDigest, StageOptions, TABLE, assert_error, commit_of};

const ONE: &str = "{\"n\": 1}\n";

async fn count(fixture: &Fixture) -> u64 {
    fixture.rows("SELECT count(*) FROM rows").await[0][0].as_u64().unwrap()
}

#[tokio::test]
async fn committing_twice_with_one_number_commits_once() {
    let fixture = Fixture::new();
    let (load, _) = fixture.stage(&StageOptions::lines(ONE)).await.unwrap();
    let first = fixture.engine.commit(commit_of(load, 0)).await.unwrap();
    let second = fixture.engine.commit(commit_of(load, 0)).await.unwrap();
    assert_eq!(first, second);
    // After a restart, and without the staging area, the result is the same.
    fixture.engine.discard(load).await.unwrap();
    assert_eq!(fixture.reopen().commit(commit_of(load, 0)).await.unwrap(), first);
    assert_eq!(count(&fixture).await, 1);
    let position = fixture.engine.position(TABLE).await.unwrap().unwrap();
    assert_eq!((position.number, position.delta_version, position.bytes), (1, first.delta_version, first.bytes));
}

#[tokio::test]
async fn committing_an_older_number_again_returns_its_version() {
    let fixture = Fixture::new();
    let (first, _) = fixture.load(&StageOptions::lines(ONE)).await;
    let committed = fixture.engine.commit(commit_of(first, 0)).await.unwrap();
    fixture.load(&StageOptions::lines(ONE)).await;
    assert_eq!(fixture.engine.commit(commit_of(first, 0)).await.unwrap(), committed);
    assert_eq!(count(&fixture).await, 2);
}

#[tokio::test]
async fn another_previous_number_is_refused() {
    let fixture = Fixture::new();
    let (load, _) = fixture.stage(&StageOptions::lines(ONE)).await.unwrap();
    assert_error(
        &fixture.engine.commit(commit_of(load, 3)).await.unwrap_err(),
        "wrong-state",
        &["is at number 0, expected 3"],
    );
    fixture.commit(load).await.unwrap();
    let (second, _) = fixture.stage(&StageOptions::lines(ONE)).await.unwrap();
    let request = CommitRequest { number: 3, ..commit_of(second, 0) };
    assert_error(&fixture.engine.commit(request).await.unwrap_err(), "wrong-state", &["is at number 1, expected 0"]);
    assert_eq!(count(&fixture).await, 1);
}

#[tokio::test]
async fn a_number_of_another_load_is_refused() {
    let fixture = Fixture::new();
    let (first, _) = fixture.load(&StageOptions::lines(ONE)).await;
    let (second, _) = fixture.stage(&StageOptions::lines(ONE)).await.unwrap();
    let error = fixture.engine.commit(commit_of(second, 0)).await.unwrap_err();
    assert_error(&error, "wrong-state", &["another load", &first.to_string()]);
    assert_eq!(count(&fixture).await, 1);
}

#[tokio::test]
async fn numbers_may_leave_gaps() {
    let fixture = Fixture::new();
    let (load, _) = fixture.stage(&StageOptions::lines(ONE)).await.unwrap();
    fixture.engine.commit(CommitRequest { number: 7, ..commit_of(load, 0) }).await.unwrap();
    assert_eq!(fixture.number().await, 7);
}

#[tokio::test]
async fn concurrent_engines_commit_one_of_two_loads() {
    for round in 0..6 {
        let fixture = Fixture::new();
        if round % 2 == 0 {
            fixture.load(&StageOptions::lines(ONE)).await;
        }
        let previous = fixture.number().await;
        let (a, _) = fixture.stage(&StageOptions::lines(ONE)).await.unwrap();
        let (b, _) = fixture.stage(&StageOptions::lines(ONE)).await.unwrap();
        let other = fixture.reopen();
        let (left, right) =
            tokio::join!(fixture.engine.commit(commit_of(a, previous)), other.commit(commit_of(b, previous)));
        assert!(left.is_ok() != right.is_ok(), "{left:?} {right:?}");
        let refused = left.err().or(right.err()).unwrap();
        assert_eq!(refused.code().name(), "wrong-state", "{refused:?}");
        assert_eq!((count(&fixture).await, fixture.number().await), (previous as u64 + 1, previous + 1));
    }
}

#[tokio::test]
async fn concurrent_engines_commit_one_load_once() {
    for _ in 0..4 {
        let fixture = Fixture::new();
        let (load, _) = fixture.stage(&StageOptions::lines(ONE)).await.unwrap();
        let other = fixture.reopen();
        let (left, right) = tokio::join!(fixture.engine.commit(commit_of(load, 0)), other.commit(commit_of(load, 0)));
        assert_eq!(left.unwrap(), right.unwrap());
        assert_eq!(count(&fixture).await, 1);
    }
}

#[tokio::test]
async fn a_file_stored_before_a_crash_is_stored_again() {
    let fixture = Fixture::new();
    let (load, _) = fixture.stage(&StageOptions::lines(ONE)).await.unwrap();
    // As after a crash between data file and log entry, and once in the middle of the file.
    let committed = fixture.engine.commit(commit_of(load, 0)).await.unwrap();
    let log = fixture.table().join("_delta_log");
    std::fs::remove_dir_all(&log).unwrap();
    let again = fixture.reopen();
    assert_eq!(again.commit(commit_of(load, 0)).await.unwrap(), committed);
    std::fs::remove_dir_all(&log).unwrap();
    for entry in std::fs::read_dir(fixture.table()).unwrap() {
        let path = entry.unwrap().path();
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, b"half").unwrap();
    }
    assert_eq!(fixture.reopen().commit(commit_of(load, 0)).await.unwrap(), committed);
    assert_eq!(count(&fixture).await, 1);
}

#[tokio::test]
async fn replace_replaces_all_rows() {
    let fixture = Fixture::new();
    fixture.load(&StageOptions::lines("{\"n\": 1}\n{\"n\": 2}\n")).await;
    let (_, staged) = fixture.load(&StageOptions::lines("{\"n\": 3}\n").mode(Mode::Replace)).await;
    assert_eq!(fixture.rows("SELECT n FROM rows").await, [[json!(3)]]);
    assert_eq!(staged.change.removed_rows, 0, "all rows leave and are not counted");
    let mut running = IncrementalDigest::default();
    running.apply(&staged.change);
    assert_eq!(running.digest(&staged), fixture.full_digest().await);
}

#[tokio::test]
async fn the_load_of_a_changed_file_replaces_the_old_one() {
    let fixture = Fixture::new();
    let mut running = IncrementalDigest::default();
    let (old, staged) = fixture.load(&StageOptions::lines("{\"n\": 1}\n{\"n\": 2}\n")).await;
    running.apply(&staged.change);
    let (_, staged) = fixture.load(&StageOptions::lines("{\"n\": 10}\n")).await;
    running.apply(&staged.change);
    let (_, staged) = fixture.load(&StageOptions::lines("{\"n\": 2}\n{\"n\": 3}\n{\"n\": 4}\n").replaces(old)).await;
    assert_eq!((staged.change.added_rows, staged.change.removed_rows), (3, 2));
    running.apply(&staged.change);
    assert_eq!(fixture.rows("SELECT n FROM rows ORDER BY n").await, [[json!(2)], [json!(3)], [json!(4)], [json!(10)]]);
    assert_eq!(running.digest(&staged), fixture.full_digest().await);
}

#[tokio::test]
async fn a_replacing_load_may_have_the_keys_of_the_rows_it_replaces() {
    let fixture = Fixture::new();
    let (old, _) = fixture.load(&StageOptions::lines("{\"k\": 1, \"v\": 1}\n{\"k\": 2, \"v\": 1}\n").key(&["k"])).await;
    fixture.load(&StageOptions::lines("{\"k\": 3, \"v\": 1}\n").key(&["k"])).await;
    let options = StageOptions::lines("{\"k\": 1, \"v\": 2}\n{\"k\": 3, \"v\": 2}\n").key(&["k"]).replaces(old);
    let (_, staged) = fixture.load(&options).await;
    assert_eq!(staged.quarantined, [("key exists".to_owned(), 1)]);
    assert_eq!(fixture.rows("SELECT k, v FROM rows ORDER BY k").await, [[json!(1), json!(2)], [json!(3), json!(1)]]);
}

#[tokio::test]
async fn old_versions_remain_readable() {
    let fixture = Fixture::new();
    fixture.load(&StageOptions::lines(ONE)).await;
    let old = fixture.base().await.unwrap();
    fixture.load(&StageOptions::lines(ONE).mode(Mode::Replace)).await;
    fixture.load(&StageOptions::lines(ONE)).await;
    let tables = vec![perennial_core::port::data::NamedTable { name: "rows".into(), table: old }];
    let request = QueryRequest { sql: "SELECT count(*) FROM rows".into(), tables, limit: 1 };
    assert_eq!(fixture.reopen().query(request).await.unwrap().rows, [[json!(1)]]);
}

#[tokio::test]
async fn a_hundred_and_twenty_small_commits_keep_their_numbers_past_a_checkpoint() {
    let fixture = Fixture::new();
    for number in 1..=120 {
        let (load, _) = fixture.stage(&StageOptions::lines(ONE)).await.unwrap();
        fixture.engine.commit(commit_of(load, number - 1)).await.unwrap();
    }
    let again = fixture.reopen();
    assert_eq!(again.position(TABLE).await.unwrap().unwrap().number, 120);
    assert_eq!(count(&fixture).await, 120);
    assert!(
        std::fs::read_dir(fixture.table().join("_delta_log"))
            .unwrap()
            .any(|entry| { entry.unwrap().file_name().to_string_lossy().ends_with(".checkpoint.parquet") })
    );
}

#[tokio::test]
async fn a_load_that_was_never_staged_is_refused() {
    let fixture = Fixture::new();
    assert_error(
        &fixture.engine.commit(commit_of(LoadId::generate(), 0)).await.unwrap_err(),
        "wrong-state",
        &["not completely staged"],
    );
}
