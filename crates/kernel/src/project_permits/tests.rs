use futures::FutureExt;
use perennial_core::id::ProjectId;

use super::ProjectPermits;

#[tokio::test]
async fn a_project_that_has_its_share_waits_and_others_do_not() {
    let (permits, one, other) = (ProjectPermits::new(3, 2), ProjectId::generate(), ProjectId::generate());
    let held = [permits.acquire(one).await.unwrap(), permits.acquire(one).await.unwrap()];
    assert!(permits.acquire(one).now_or_never().is_none(), "it has its share");
    let last = permits.acquire(other).now_or_never().expect("a permit is left").unwrap();
    assert!(permits.acquire(other).now_or_never().is_none(), "all permits are held");
    drop(held);
    assert!(permits.acquire(other).now_or_never().is_some());
    drop(last);
}
