//! A pool of items that one caller at a time may use.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Items of which each has one user at a time.
pub(super) struct Pool<T> {
    idle: Mutex<Vec<T>>,
    /// One permit for each idle item.
    available: Arc<Semaphore>,
}

impl<T> Pool<T> {
    pub(super) fn new(items: Vec<T>) -> Arc<Self> {
        let available = Arc::new(Semaphore::new(items.len()));
        Arc::new(Self { idle: Mutex::new(items), available })
    }

    /// Takes an item out of the pool; waits while all are in use. `None` when the pool has no items.
    pub(super) async fn acquire(self: &Arc<Self>) -> Option<Pooled<T>> {
        let permit = self.available.clone().acquire_owned().await.ok()?;
        let item = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
        Some(Pooled { pool: self.clone(), item: Some(item), _permit: permit })
    }
}

/// An item in use. Dropping it returns the item to the pool, also when its user panics.
pub(super) struct Pooled<T> {
    pool: Arc<Pool<T>>,
    /// `Some` until dropped.
    item: Option<T>,
    /// Released after the item was returned.
    _permit: OwnedSemaphorePermit,
}

impl<T> Pooled<T> {
    pub(super) fn get_mut(&mut self) -> Option<&mut T> {
        self.item.as_mut()
    }
}

impl<T> Drop for Pooled<T> {
    fn drop(&mut self) {
        self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner).extend(self.item.take());
    }
}

#[cfg(test)]
mod tests;
