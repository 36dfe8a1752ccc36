//! A pool of items that one caller at a time may use.

use std::sync::{Condvar, Mutex, PoisonError};

/// Items of which each has one user at a time.
pub(super) struct Pool<T> {
    idle: Mutex<Vec<T>>,
    released: Condvar,
}

impl<T> Pool<T> {
    pub(super) fn new(items: Vec<T>) -> Self {
        Self { idle: Mutex::new(items), released: Condvar::new() }
    }

    /// Takes an item out of the pool. Blocks while all are in use.
    pub(super) fn acquire(&self) -> Pooled<'_, T> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(item) = idle.pop() {
                return Pooled { pool: self, item: Some(item) };
            }
            idle = self.released.wait(idle).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// An item in use. Dropping it returns the item to the pool, also when its user panics.
pub(super) struct Pooled<'a, T> {
    pool: &'a Pool<T>,
    /// `Some` until dropped.
    item: Option<T>,
}

impl<T> Pooled<'_, T> {
    pub(super) fn get_mut(&mut self) -> Option<&mut T> {
        self.item.as_mut()
    }
}

impl<T> Drop for Pooled<'_, T> {
    fn drop(&mut self) {
        self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner).extend(self.item.take());
        self.pool.released.notify_one();
    }
}

#[cfg(test)]
mod tests;
