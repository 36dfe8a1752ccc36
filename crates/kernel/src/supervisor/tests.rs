use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

#[tokio::test]
async fn a_stopping_supervisor_starts_no_background_work_and_completes_that_under_way() {
    let (supervisor, count) = (Supervisor::new(), Arc::new(AtomicUsize::new(0)));
    let (go, wait) = tokio::sync::oneshot::channel::<()>();
    let (parts, counted) = (supervisor.clone(), count.clone());
    supervisor.spawn("under way", async move {
        wait.await.unwrap();
        let part = parts.finish("its part", async { 1 }).await;
        counted.fetch_add(part.unwrap(), Ordering::Relaxed);
    });
    let mut stopping = std::pin::pin!(supervisor.stop(Duration::MAX));
    assert!(futures::poll!(stopping.as_mut()).is_pending() && supervisor.is_stopping());
    let late = count.clone();
    supervisor.spawn("late", async move {
        late.fetch_add(100, Ordering::Relaxed);
    });
    go.send(()).unwrap();
    stopping.await;
    assert_eq!((count.load(Ordering::Relaxed), supervisor.len()), (1, 0));
}
