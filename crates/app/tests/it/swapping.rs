//! Who answers after changes that overtake each other.

use perennial_app::Deployment;
use perennial_testkit::{TestApp, TestModel};

#[tokio::test]
async fn a_swap_that_was_overtaken_by_a_later_one_changes_nothing() {
    let (test, project) = TestApp::with_project().await.unwrap();
    test.deploy(&project, "delay", &TestModel::binary(0.0)).await.unwrap();
    let answering = || Deployment::clone(&test.app.endpoints.router.find("delay").unwrap());
    let first = answering();
    let second = test.deploy(&project, "delay", &TestModel::binary(1.0)).await.unwrap();
    test.app.endpoints.router.swap(first);
    assert_eq!(answering().champion.number, second, "what was read earlier does not come back");
    test.app.endpoints.router.swap(answering());
    assert_eq!(answering().champion.number, second, "the same may be read again");
}

#[tokio::test]
async fn a_swap_waits_for_the_answer_under_way_and_keeps_nobody_from_the_new_version() {
    let (test, project) = TestApp::with_project().await.unwrap();
    test.deploy(&project, "delay", &TestModel::binary(0.0)).await.unwrap();
    let under_way = test.app.endpoints.router.find("delay").unwrap();
    let swap = |generation: i64| {
        let next = Deployment { generation, ..Deployment::clone(&under_way) };
        let app = test.app.clone();
        let swap = std::thread::spawn(move || app.endpoints.router.swap(next));
        while test.app.endpoints.router.find("delay").unwrap().generation != generation {
            std::thread::yield_now();
        }
        swap
    };
    let swaps = [swap(under_way.generation + 1), swap(under_way.generation + 2)];
    assert!(swaps.iter().all(|swap| !swap.is_finished()), "an old version still answers");
    drop(under_way);
    for swap in swaps {
        swap.join().unwrap();
    }
}
