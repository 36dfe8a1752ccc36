use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::{Guard, Tracked};

/// Polls a future once.
fn is_ready(future: std::pin::Pin<&mut impl Future<Output = ()>>) -> bool {
    matches!(future.poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(()))
}

#[test]
fn draining_completes_when_the_last_guard_is_dropped() {
    let tracked = Tracked::new("deployment");
    assert!(is_ready(pin!(tracked.drained())), "nothing uses it");
    let (first, second) = (tracked.acquire(), tracked.acquire());
    let mut drained = pin!(tracked.drained());
    assert!(!is_ready(drained.as_mut()));
    drop(first);
    assert_eq!((tracked.in_flight(), *second), (1, "deployment"));
    assert!(!is_ready(drained.as_mut()));
    drop(second);
    assert!(is_ready(drained.as_mut()));
}

#[test]
fn several_callers_may_wait_for_the_same_drain() {
    let tracked = Tracked::new(());
    let guard = tracked.acquire();
    let (mut first, mut second) = (pin!(tracked.drained()), pin!(tracked.drained()));
    assert!(!is_ready(first.as_mut()) && !is_ready(second.as_mut()));
    drop(guard);
    assert!(is_ready(first.as_mut()) && is_ready(second.as_mut()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guards_are_held_across_awaits_on_any_thread() {
    fn assert_send<T: Send>(value: T) -> T {
        value
    }
    let tracked: Arc<Tracked<()>> = Tracked::new(());
    let requests: Vec<_> = (0..100)
        .map(|_| {
            let guard: Guard<()> = assert_send(tracked.acquire());
            async move {
                tokio::task::yield_now().await;
                drop(guard);
            }
        })
        .collect();
    tokio::join!(tracked.drained(), futures::future::join_all(requests));
    assert_eq!(tracked.in_flight(), 0);
}
