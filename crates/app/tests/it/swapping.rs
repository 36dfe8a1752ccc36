//! Who answers after changes that overtake each other.

use perennial_app::reading;
use perennial_testkit::{TestApp, TestModel};

#[tokio::test]
async fn a_swap_that_was_overtaken_by_a_later_one_changes_nothing() {
    let (test, project) = TestApp::with_project().await.unwrap();
    test.deploy(&project, "delay", &TestModel::binary(0.0)).await.unwrap();
    let place = test.app.live.find("delay").unwrap();
    let first = reading(&place).clone();
    let second = test.deploy(&project, "delay", &TestModel::binary(1.0)).await.unwrap();
    test.app.live.swap(first);
    assert_eq!(reading(&place).champion.number, second, "what was read earlier does not come back");
    let same = reading(&place).clone();
    test.app.live.swap(same);
    assert_eq!(reading(&place).champion.number, second, "the same may be read again");
}
