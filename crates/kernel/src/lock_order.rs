//! Asynchronous locks with one written order.
//!
//! A task that holds a lock acquires only locks of a higher rank. Debug builds assert it per task, so that a
//! test fails where a deadlock would need two tasks to meet.

use std::sync::Arc;

use tokio::sync::{Mutex, OwnedMutexGuard};

/// The locks of a project in the order in which one task may acquire them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LockRank {
    /// `watch`: stepping the clock, or acting on what came due.
    Ticking,
    /// `release`: evaluating canaries.
    Canaries,
    /// `watch`: bringing `[task].data` up to date for monitors.
    Refreshing,
    /// `execution`: one pipeline run at a time.
    Running,
    /// `projects`: one submission at a time.
    Submitting,
    /// `ingest`: one collector of sources at a time.
    Collecting,
    /// `ingest`: bringing predictions into their datasets.
    LoadingPredictions,
    /// `ingest`: changing a dataset.
    Dataset,
}

/// A mutex with a rank.
#[derive(Debug, Clone)]
pub struct OrderedMutex {
    #[cfg_attr(not(debug_assertions), expect(dead_code, reason = "only debug builds check the order"))]
    rank: LockRank,
    mutex: Arc<Mutex<()>>,
}

/// Holds an [`OrderedMutex`] until it is dropped; it may move to another task.
#[derive(Debug)]
pub struct OrderedGuard {
    _guard: OwnedMutexGuard<()>,
    #[cfg(debug_assertions)]
    held: held::Held,
}

impl OrderedMutex {
    /// An unlocked mutex.
    pub fn new(rank: LockRank) -> Self {
        Self { rank, mutex: Arc::default() }
    }

    /// Waits for the lock.
    ///
    /// # Panics
    /// In debug builds, when this task holds a lock of the same or a higher rank.
    pub async fn lock(&self) -> OrderedGuard {
        #[cfg(debug_assertions)]
        held::assert_order(self.rank);
        self.guard(self.mutex.clone().lock_owned().await)
    }

    /// The lock, if it is free. Never waits, so any order is safe.
    pub fn try_lock(&self) -> Option<OrderedGuard> {
        Some(self.guard(self.mutex.clone().try_lock_owned().ok()?))
    }

    /// Waits for the lock when `waits`, else tries once.
    pub async fn lock_or_try(&self, waits: bool) -> Option<OrderedGuard> {
        if waits { Some(self.lock().await) } else { self.try_lock() }
    }

    fn guard(&self, guard: OwnedMutexGuard<()>) -> OrderedGuard {
        OrderedGuard {
            _guard: guard,
            #[cfg(debug_assertions)]
            held: held::Held::new(self.rank),
        }
    }
}

impl OrderedGuard {
    /// Counts the lock as held by the present task. The task that a guard moves into calls this first.
    #[must_use]
    pub fn adopt(self) -> Self {
        #[cfg(debug_assertions)]
        let this = {
            let mut this = self;
            this.held.move_here();
            this
        };
        #[cfg(not(debug_assertions))]
        let this = self;
        this
    }
}

#[cfg(debug_assertions)]
mod held {
    use std::collections::HashMap;
    use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
    use std::thread::ThreadId;

    use super::LockRank;

    /// A task, or a thread that runs none.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    enum Holder {
        Task(tokio::task::Id),
        Thread(ThreadId),
    }

    static HELD: LazyLock<Mutex<HashMap<Holder, Vec<LockRank>>>> = LazyLock::new(Mutex::default);

    fn ranks() -> MutexGuard<'static, HashMap<Holder, Vec<LockRank>>> {
        HELD.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn holder() -> Holder {
        tokio::task::try_id().map_or_else(|| Holder::Thread(std::thread::current().id()), Holder::Task)
    }

    pub(super) fn assert_order(rank: LockRank) {
        let highest = ranks().get(&holder()).and_then(|held| held.iter().max().copied());
        debug_assert!(
            highest.is_none_or(|highest| highest < rank),
            "a task that holds {highest:?} waits for {rank:?}, which comes before it"
        );
    }

    /// An entry of the table.
    #[derive(Debug)]
    pub(super) struct Held {
        holder: Holder,
        rank: LockRank,
    }

    impl Held {
        pub(super) fn new(rank: LockRank) -> Self {
            let holder = holder();
            ranks().entry(holder).or_default().push(rank);
            Self { holder, rank }
        }

        pub(super) fn move_here(&mut self) {
            let rank = self.rank;
            *self = Self::new(rank);
        }
    }

    impl Drop for Held {
        fn drop(&mut self) {
            let mut all = ranks();
            if let Some(held) = all.get_mut(&self.holder) {
                if let Some(place) = held.iter().position(|rank| *rank == self.rank) {
                    held.swap_remove(place);
                }
                if held.is_empty() {
                    all.remove(&self.holder);
                }
            }
        }
    }
}
