//! Reads of monitor results.

use perennial_core::ErrorCode;
use perennial_core::permission::Role;
use perennial_watch::monitor_results;

use crate::support::{Monitored, failing, month};

#[tokio::test]
async fn results_are_listed_by_window_and_revisions_on_request() {
    let monitored = Monitored::start(&failing()).await;
    for (number, statuses) in [(0, &[200][..]), (1, &[200, 500])] {
        monitored.answer(month(number).start_ms, statuses);
    }
    monitored.tick_at(month(1).end_ms).await;
    monitored.answer(month(0).start_ms, &[500]);
    monitored.tick_at(month(2).end_ms).await;
    let (caller, name) = (monitored.test().system(), "delay".parse().unwrap());
    let list = async |window| {
        let results = monitor_results::list(&caller, monitored.project(), &name, window).await.unwrap();
        results.iter().map(|result| (result.window_start_ms, result.revision)).collect::<Vec<_>>()
    };
    assert_eq!(list(None).await, [(month(0).start_ms, 2), (month(1).start_ms, 1)]);
    let mut revisions = list(Some(month(0).start_ms)).await;
    revisions.sort_unstable();
    assert_eq!(revisions, [(month(0).start_ms, 1), (month(0).start_ms, 2)]);
}

#[tokio::test]
async fn a_monitor_that_is_neither_declared_nor_has_results_is_not_found() {
    let monitored = Monitored::start(&failing()).await;
    let caller = monitored.test().system();
    assert_eq!(monitor_results::monitors(&caller, monitored.project()).unwrap(), ["delay".parse().unwrap()]);
    let found = monitor_results::list(&caller, monitored.project(), &"delay".parse().unwrap(), None).await.unwrap();
    assert!(found.is_empty());
    let unknown = monitor_results::list(&caller, monitored.project(), &"other".parse().unwrap(), None).await;
    assert_eq!(unknown.unwrap_err().code(), ErrorCode::NotFound);
}

#[tokio::test]
async fn results_need_the_permission_to_read_and_the_clock_the_permission_to_manage() {
    let monitored = Monitored::start(&failing()).await;
    let viewer = monitored.test().caller("vic", Role::Viewer).await.unwrap();
    assert!(monitor_results::monitors(&viewer, monitored.project()).is_ok());
    let watch = &monitored.test().app.watch;
    assert!(watch.now(&viewer, monitored.project()).is_ok());
    let to_ms = monitored.project().now().project_ms + 1;
    let refused = watch.advance(&viewer, monitored.project(), to_ms).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::PermissionDenied);
}
