//! A value that knows how many requests use it.

use std::ops::Deref;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// A shared value with a count of its guards.
pub(crate) struct Tracked<T> {
    value: T,
    in_flight: AtomicUsize,
    /// Notified when the count reaches zero.
    idle: Notify,
}

impl<T> Tracked<T> {
    pub(crate) fn new(value: T) -> Arc<Self> {
        Arc::new(Self { value, in_flight: AtomicUsize::new(0), idle: Notify::new() })
    }

    /// Counts one more use of the value, until the guard is dropped.
    pub(crate) fn acquire(self: &Arc<Self>) -> Guard<T> {
        self.in_flight.fetch_add(1, Ordering::AcqRel);
        Guard(self.clone())
    }

    /// The number of guards.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Acquire)
    }

    /// Completes when there is no guard.
    pub(crate) async fn drained(&self) {
        loop {
            let mut idle = pin!(self.idle.notified());
            // Registered before the count is read, so that a guard dropped in between is noticed.
            idle.as_mut().enable();
            if self.in_flight() == 0 {
                return;
            }
            idle.await;
        }
    }
}

impl<T> Deref for Tracked<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// A use of a [`Tracked`] value. It may move between threads and be held across an `await`.
pub struct Guard<T>(Arc<Tracked<T>>);

impl<T> Deref for Guard<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.value
    }
}

impl<T> Drop for Guard<T> {
    fn drop(&mut self) {
        if self.0.in_flight.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.idle.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests;
