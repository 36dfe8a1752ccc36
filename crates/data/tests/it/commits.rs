//! Commits: exactly once, whatever dies or races.

use perennial_core::id::LoadId;
use perennial_core::port::data::{CommitRequest, DataEngine, Mode, QueryRequest};
use serde_json::json;

use crate::support::{How, Place, Running, TABLE, commit_of, says};

const ONE: &str = "{\"n\": 1}\n";

async fn count(place: &Place) -> u64 {
    place.rows("SELECT count(*) FROM rows").await[0][0].as_u64().unwrap()
}

#[tokio::test]
async fn committing_twice_with_one_number_is_committing_once() {
    let place = Place::new();
    let (load, _) = place.stage(&How::lines(ONE)).await.unwrap();
    let first = place.engine.commit(commit_of(load, 0)).await.unwrap();
    let second = place.engine.commit(commit_of(load, 0)).await.unwrap();
    assert_eq!(first, second);
    // After a restart, and with the staging area gone, the answer is the same.
    place.engine.discard(load).await.unwrap();
    assert_eq!(place.again().commit(commit_of(load, 0)).await.unwrap(), first);
    assert_eq!(count(&place).await, 1);
    let position = place.engine.position(TABLE).await.unwrap().unwrap();
    assert_eq!((position.number, position.delta_version, position.bytes), (1, first.delta_version, first.bytes));
}

#[tokio::test]
async fn an_older_number_is_answered_as_it_was_committed() {
    let place = Place::new();
    let (first, _) = place.load(&How::lines(ONE)).await;
    let committed = place.engine.commit(commit_of(first, 0)).await.unwrap();
    place.load(&How::lines(ONE)).await;
    assert_eq!(place.engine.commit(commit_of(first, 0)).await.unwrap(), committed);
    assert_eq!(count(&place).await, 2);
}

#[tokio::test]
async fn another_previous_number_is_refused() {
    let place = Place::new();
    let (load, _) = place.stage(&How::lines(ONE)).await.unwrap();
    says(
        &place.engine.commit(commit_of(load, 3)).await.unwrap_err(),
        "wrong-state",
        &["stands at number 0, expected 3"],
    );
    place.commit(load).await.unwrap();
    let (second, _) = place.stage(&How::lines(ONE)).await.unwrap();
    let request = CommitRequest { number: 3, ..commit_of(second, 0) };
    says(&place.engine.commit(request).await.unwrap_err(), "wrong-state", &["stands at number 1, expected 0"]);
    assert_eq!(count(&place).await, 1);
}

#[tokio::test]
async fn a_number_that_another_load_took_is_refused() {
    let place = Place::new();
    let (first, _) = place.load(&How::lines(ONE)).await;
    let (second, _) = place.stage(&How::lines(ONE)).await.unwrap();
    let error = place.engine.commit(commit_of(second, 0)).await.unwrap_err();
    says(&error, "wrong-state", &["another load", &first.to_string()]);
    assert_eq!(count(&place).await, 1);
}

#[tokio::test]
async fn numbers_may_leave_gaps() {
    let place = Place::new();
    let (load, _) = place.stage(&How::lines(ONE)).await.unwrap();
    place.engine.commit(CommitRequest { number: 7, ..commit_of(load, 0) }).await.unwrap();
    assert_eq!(place.number().await, 7);
}

#[tokio::test]
async fn engines_that_race_commit_one_of_two_loads() {
    for round in 0..6 {
        let place = Place::new();
        if round % 2 == 0 {
            place.load(&How::lines(ONE)).await;
        }
        let previous = place.number().await;
        let (a, _) = place.stage(&How::lines(ONE)).await.unwrap();
        let (b, _) = place.stage(&How::lines(ONE)).await.unwrap();
        let other = place.again();
        let (left, right) =
            tokio::join!(place.engine.commit(commit_of(a, previous)), other.commit(commit_of(b, previous)));
        assert!(left.is_ok() != right.is_ok(), "{left:?} {right:?}");
        let refused = left.err().or(right.err()).unwrap();
        assert_eq!(refused.code().name(), "wrong-state", "{refused:?}");
        assert_eq!((count(&place).await, place.number().await), (previous as u64 + 1, previous + 1));
    }
}

#[tokio::test]
async fn engines_that_race_with_one_load_commit_it_once() {
    for _ in 0..4 {
        let place = Place::new();
        let (load, _) = place.stage(&How::lines(ONE)).await.unwrap();
        let other = place.again();
        let (left, right) = tokio::join!(place.engine.commit(commit_of(load, 0)), other.commit(commit_of(load, 0)));
        assert_eq!(left.unwrap(), right.unwrap());
        assert_eq!(count(&place).await, 1);
    }
}

#[tokio::test]
async fn a_file_put_before_a_crash_is_put_again_without_harm() {
    let place = Place::new();
    let (load, _) = place.stage(&How::lines(ONE)).await.unwrap();
    // As if the process died between the data file and the log entry, and once halfway through the file.
    let committed = place.engine.commit(commit_of(load, 0)).await.unwrap();
    let log = place.table().join("_delta_log");
    std::fs::remove_dir_all(&log).unwrap();
    let again = place.again();
    assert_eq!(again.commit(commit_of(load, 0)).await.unwrap(), committed);
    std::fs::remove_dir_all(&log).unwrap();
    for entry in std::fs::read_dir(place.table()).unwrap() {
        let path = entry.unwrap().path();
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, b"half").unwrap();
    }
    assert_eq!(place.again().commit(commit_of(load, 0)).await.unwrap(), committed);
    assert_eq!(count(&place).await, 1);
}

#[tokio::test]
async fn replace_puts_new_rows_in_place_of_all_old_ones() {
    let place = Place::new();
    place.load(&How::lines("{\"n\": 1}\n{\"n\": 2}\n")).await;
    let (_, staged) = place.load(&How::lines("{\"n\": 3}\n").mode(Mode::Replace)).await;
    assert_eq!(place.rows("SELECT n FROM rows").await, [[json!(3)]]);
    assert_eq!(staged.change.removed_rows, 0, "all rows leave and are not counted");
    let mut running = Running::default();
    running.apply(&staged.change);
    assert_eq!(running.digest(&staged), place.whole_digest().await);
}

#[tokio::test]
async fn a_changed_file_s_load_takes_the_place_of_the_old_one() {
    let place = Place::new();
    let mut running = Running::default();
    let (old, staged) = place.load(&How::lines("{\"n\": 1}\n{\"n\": 2}\n")).await;
    running.apply(&staged.change);
    let (_, staged) = place.load(&How::lines("{\"n\": 10}\n")).await;
    running.apply(&staged.change);
    let (_, staged) = place.load(&How::lines("{\"n\": 2}\n{\"n\": 3}\n{\"n\": 4}\n").replaces(old)).await;
    assert_eq!((staged.change.added_rows, staged.change.removed_rows), (3, 2));
    running.apply(&staged.change);
    assert_eq!(place.rows("SELECT n FROM rows ORDER BY n").await, [[json!(2)], [json!(3)], [json!(4)], [json!(10)]]);
    assert_eq!(running.digest(&staged), place.whole_digest().await);
}

#[tokio::test]
async fn a_replacing_load_may_bring_the_keys_of_the_rows_it_replaces() {
    let place = Place::new();
    let (old, _) = place.load(&How::lines("{\"k\": 1, \"v\": 1}\n{\"k\": 2, \"v\": 1}\n").key(&["k"])).await;
    place.load(&How::lines("{\"k\": 3, \"v\": 1}\n").key(&["k"])).await;
    let how = How::lines("{\"k\": 1, \"v\": 2}\n{\"k\": 3, \"v\": 2}\n").key(&["k"]).replaces(old);
    let (_, staged) = place.load(&how).await;
    assert_eq!(staged.aside, [("key exists".to_owned(), 1)]);
    assert_eq!(place.rows("SELECT k, v FROM rows ORDER BY k").await, [[json!(1), json!(2)], [json!(3), json!(1)]]);
}

#[tokio::test]
async fn old_versions_stay_readable() {
    let place = Place::new();
    place.load(&How::lines(ONE)).await;
    let old = place.base().await.unwrap();
    place.load(&How::lines(ONE).mode(Mode::Replace)).await;
    place.load(&How::lines(ONE)).await;
    let tables = vec![perennial_core::port::data::NamedTable { name: "rows".into(), table: old }];
    let request = QueryRequest { sql: "SELECT count(*) FROM rows".into(), tables, limit: 1 };
    assert_eq!(place.again().query(request).await.unwrap().rows, [[json!(1)]]);
}

#[tokio::test]
async fn a_hundred_and_twenty_small_commits_keep_their_numbers_past_a_checkpoint() {
    let place = Place::new();
    for number in 1..=120 {
        let (load, _) = place.stage(&How::lines(ONE)).await.unwrap();
        place.engine.commit(commit_of(load, number - 1)).await.unwrap();
    }
    let again = place.again();
    assert_eq!(again.position(TABLE).await.unwrap().unwrap().number, 120);
    assert_eq!(count(&place).await, 120);
    assert!(
        std::fs::read_dir(place.table().join("_delta_log"))
            .unwrap()
            .any(|entry| { entry.unwrap().file_name().to_string_lossy().ends_with(".checkpoint.parquet") })
    );
}

#[tokio::test]
async fn a_load_that_was_never_staged_is_refused() {
    let place = Place::new();
    says(&place.engine.commit(commit_of(LoadId::generate(), 0)).await.unwrap_err(), "wrong-state", &["not staged"]);
}
