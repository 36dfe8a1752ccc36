//! Files that may still be being written are left for a later scan.

use std::fmt::Write as _;

use crate::support::{FLOWN, TestProject, name};

/// A project on the wall clock, with more declared at its source, and the present.
async fn start(declared: &str) -> (TestProject, i64) {
    start_with(&FLOWN.replace("\"*.csv\"", &format!("\"*.csv\"{declared}"))).await
}

async fn start_with(file: &str) -> (TestProject, i64) {
    let test = TestProject::start(file).await;
    let now_ms = test.test.app.kernel.services.clock.wall_ms();
    (test, now_ms)
}

fn offer(test: &TestProject, path: &str, content: &str, modified_ms: i64) {
    test.offer(&[(path, content)]);
    test.test.data.set_modified(path, modified_ms);
}

#[tokio::test]
async fn a_fresh_file_is_left_and_an_old_one_is_loaded() {
    let (test, now_ms) = start("").await;
    offer(&test, "a.csv", "n\n1\n", now_ms - 2000);
    offer(&test, "b.csv", "n\n2\n", now_ms - 1999);
    let collected = test.collect().await;
    assert_eq!(collected.unsettled, [(name("flown"), "b.csv".to_owned())]);
    assert_eq!((collected.settle_wait_ms, test.number("flown").await), (1, 1));
}

#[tokio::test]
async fn a_file_that_grows_is_loaded_once_when_it_is_complete() {
    let (test, now_ms) = start("").await;
    let mut content = "n\n".to_owned();
    for second in 0..5 {
        writeln!(content, "{second}").unwrap();
        offer(&test, "a.csv", &content, now_ms + second * 1000);
        assert_eq!(test.collect().await.unsettled.len(), 1, "after {second} s");
        test.test.clock.advance(1000);
    }
    test.test.clock.advance(1000);
    assert_eq!(test.collect().await.committed.len(), 1);
    assert_eq!(test.values("SELECT count(*) FROM flown").await, "5");
}

#[tokio::test]
async fn a_source_of_complete_files_loads_them_at_once() {
    let (test, now_ms) = start(", settle = \"0 s\"").await;
    offer(&test, "a.csv", "n\n1\n", now_ms);
    assert_eq!(test.collect().await.committed.len(), 1);
    let (test, now_ms) = start(", settle = \"1 min\"").await;
    offer(&test, "a.csv", "n\n1\n", now_ms - 59_000);
    assert_eq!(test.collect().await.settle_wait_ms, 1000);
}

#[tokio::test]
async fn files_that_are_loaded_together_wait_for_the_last_one() {
    let together = FLOWN.replace("\"*.csv\"", "\"*.csv\", batch = \"all\"");
    for file in [together, FLOWN.replace("append", "replace")] {
        let (test, now_ms) = start_with(&file).await;
        offer(&test, "a.csv", "n\n1\n", now_ms - 60_000);
        offer(&test, "b.csv", "n\n2\n", now_ms);
        let collected = test.collect().await;
        assert!(collected.committed.is_empty() && collected.unsettled.len() == 1, "{file}");
        test.test.clock.advance(2000);
        assert!(!test.collect().await.committed.is_empty(), "{file}");
    }
}

#[tokio::test]
async fn the_scheduler_scans_a_source_again_when_its_files_should_have_settled() {
    let (test, now_ms) = start("").await;
    let changed = async || test.test.app.ingest.sources_changed(&test.project).await.unwrap();
    offer(&test, "a.csv", "n\n1\n", now_ms);
    assert!(changed().await);
    test.collect().await;
    changed().await;
    assert!(!changed().await, "the file is fresh");
    test.test.clock.advance(2000);
    assert!(changed().await);
    assert_eq!(test.collect().await.committed.len(), 1);
}

#[tokio::test]
async fn a_file_that_only_grew_is_refused_with_both_sizes_and_the_remedy() {
    let (test, _) = start("").await;
    test.load("a.csv", "n\n1\n").await;
    test.offer(&[("a.csv", "n\n1\n2\n")]);
    let error = test.collect().await.failed.remove(0).1;
    let expected = "file `a.csv` of dataset `flown` was loaded with 4 bytes and has grown to 6 bytes";
    assert!(error.message().starts_with(expected), "{}", error.message());
    let hint = error.hint().unwrap();
    assert!(
        hint.contains("`settle`") && hint.contains("on_change = \"replace\"") && hint.contains("new files"),
        "{hint}"
    );
    test.offer(&[("a.csv", "n\n3\n2\n")]);
    let error = test.collect().await.failed.remove(0).1;
    assert!(error.message().ends_with("its content has changed"), "{}", error.message());
}
