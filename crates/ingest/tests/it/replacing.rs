//! Mode `replace`: the newest content is the dataset, and equal content makes no version.

use perennial_core::state::{AlertState, LoadState};

use crate::support::{FLOWN, TestProject};

fn planes(checks: &str) -> String {
    format!("{}\n{checks}", FLOWN.replace("*.csv", "planes.csv").replace("append", "replace"))
}

const POSITIVE: &str = "[checks.flown]\npositive = \"n > 0\"\n";

#[tokio::test]
async fn the_new_content_replaces_every_row() {
    let test = TestProject::start(&planes("")).await;
    test.load("planes.csv", "n\n1\n2\n").await;
    let load = test.load("planes.csv", "n\n3\n").await;
    assert_eq!((test.values("SELECT n FROM flown").await.as_str(), test.number("flown").await), ("3", 2));
    assert_eq!((load.replaces, test.states("flown").await), (None, vec![LoadState::Committed; 2]));
}

#[tokio::test]
async fn the_same_rows_in_another_order_make_no_version() {
    let test = TestProject::start(&planes("")).await;
    test.load("planes.csv", "n\n1\n2\n").await;
    test.offer(&[("planes.csv", "n\n2\n1\n")]);
    assert!(test.collect().await.is_idle());
    assert_eq!((test.number("flown").await, test.loads("flown").await.len()), (1, 1));
    assert!(test.test.data.staged_loads().is_empty());
    test.test.data.take_fingerprinted();
    assert!(test.collect().await.is_idle());
    assert!(test.test.data.take_fingerprinted().is_empty(), "the file is known");
}

#[tokio::test]
async fn rows_that_differ_only_in_the_quarantine_make_a_version() {
    let most = "[checks.flown]\npositive = { that = \"n > 0\", at_least = 0.5 }\n";
    let test = TestProject::start(&planes(most)).await;
    let contents = ["n\n1\n2\n-1\n", "n\n1\n2\n-7\n", "n\n1\n2\n"];
    for (content, set_aside) in contents.into_iter().zip([1, 1, 0]) {
        let load = test.load("planes.csv", content).await;
        assert_eq!((load.state, load.set_aside), (LoadState::Committed, set_aside), "{content:?}");
    }
    let digests: Vec<_> = test.versions("flown").await.into_iter().map(|version| version.digest).collect();
    assert_eq!(digests.len(), 3);
    assert!(digests.iter().all(|digest| *digest == digests[0]), "the rows of the dataset are the same");
}

#[tokio::test]
async fn new_content_replaces_a_held_load() {
    let test = TestProject::start(&planes(POSITIVE)).await;
    let held = test.load("planes.csv", "n\n-1\n").await;
    let good = test.load("planes.csv", "n\n1\n").await;
    assert_eq!(good.state, LoadState::Committed);
    let held = test.get(held.id).await;
    assert_eq!((held.state, held.replaced_by), (LoadState::Replaced, Some(good.id)));
    assert_eq!(test.alerts().await[0].1, AlertState::Resolved);
    assert!(test.test.data.staged_loads().is_empty(), "its staged rows are discarded");
}

#[tokio::test]
async fn a_held_load_replaced_by_the_content_of_the_dataset_names_the_load_that_committed_it() {
    let test = TestProject::start(&planes(POSITIVE)).await;
    let good = test.load("planes.csv", "n\n1\n").await;
    let held = test.load("planes.csv", "n\n-1\n").await;
    test.offer(&[("planes.csv", "n\n1\n")]);
    assert!(test.collect().await.is_idle());
    let held = test.get(held.id).await;
    assert_eq!((held.state, held.replaced_by), (LoadState::Replaced, Some(good.id)));
    assert_eq!(test.number("flown").await, 1);
    assert!(test.test.data.staged_loads().is_empty());
}

#[tokio::test]
async fn content_that_a_person_accepted_is_not_held_again() {
    for all in [false, true] {
        let test = TestProject::start(&planes(POSITIVE)).await;
        let held = test.load("planes.csv", "n\n1\n-1\n").await;
        test.accept(held.id, all).await;
        test.offer(&[("planes.csv", "n\n-1\n1\n")]);
        let collected = test.collect().await;
        assert!(collected.is_idle(), "all = {all}: {:?}", collected.held);
        assert_eq!(test.number("flown").await, 1, "all = {all}");
        test.offer(&[("planes.csv", "n\n1\n-1\n2\n")]);
        assert_eq!(test.collect().await.held.len(), 1, "other content is held");
    }
}

#[tokio::test]
async fn accepted_content_is_held_when_another_check_fails() {
    let test = TestProject::start(&planes(POSITIVE)).await;
    let held = test.load("planes.csv", "n\n1\n-1\n").await;
    test.accept(held.id, true).await;
    test.submit(&planes("[checks.flown]\npositive = \"n > 0\"\nlarge = \"n > 5\"\n")).await;
    test.offer(&[("planes.csv", "n\n-1\n1\n")]);
    assert_eq!(test.collect().await.held.len(), 1);
}

#[tokio::test]
async fn another_file_with_the_same_rows_is_not_taken_for_the_committed_one() {
    let test = TestProject::start(&planes("").replace("planes.csv", "*.csv")).await;
    test.load("a.csv", "n\n1\n").await;
    test.offer(&[("b.csv", "n\n1\n")]);
    assert!(test.collect().await.is_idle());
    test.offer(&[("b.csv", "n\n2\n")]);
    assert_eq!(test.collect().await.committed.len(), 1);
    assert_eq!(test.values("SELECT n FROM flown").await, "2");
}
