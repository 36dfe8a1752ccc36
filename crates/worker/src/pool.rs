//! A bounded number of workers of one role.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::lease::Lease;
use crate::worker::{Worker, WorkerSpec};

/// Limits of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolLimits {
    /// Workers that run at the same time.
    pub workers_max: usize,
    /// Time after which an idle worker ends.
    pub idle_max: Duration,
}

/// Starts workers of one role, keeps idle ones warm, and replaces those that died.
///
/// Dropping the pool ends its idle workers; leased ones end with their lease.
#[derive(Debug)]
pub struct WorkerPool {
    shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    spec: Arc<WorkerSpec>,
    limits: PoolLimits,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Idle workers, those that ended their last call first at the front.
    idle: Vec<Idle>,
    /// Workers that run or start, leased and idle.
    running: usize,
    is_closed: bool,
}

#[derive(Debug)]
struct Idle {
    worker: Worker,
    /// The only tenant that it may work for.
    tenant: String,
    since: Instant,
}

/// What a lease gets.
enum Slot {
    /// A worker that has worked for the tenant before.
    Warm(Worker),
    /// The right to start one; the worker of another tenant that ends for it.
    Free(Option<Worker>),
}

impl WorkerPool {
    /// A pool without workers: the first lease starts one.
    pub fn new(spec: WorkerSpec, limits: PoolLimits) -> Self {
        let shared =
            Arc::new(Shared { spec: Arc::new(spec), limits, state: Mutex::default(), changed: Condvar::new() });
        let pool = shared.clone();
        thread::spawn(move || pool.retire_idle());
        Self { shared }
    }

    /// Leases a worker for `tenant`, as a project: an idle one that worked for the same tenant, else a new one. Blocks
    /// while all are leased, at most for `wait`, and while one starts.
    pub fn lease(&self, tenant: &str, wait: Duration) -> Result<Lease> {
        let worker = match self.shared.reserve(tenant, Instant::now() + wait)? {
            Slot::Warm(worker) => worker,
            Slot::Free(replaced) => {
                drop(replaced);
                Worker::start(self.shared.spec.clone()).inspect_err(|_| self.shared.release())?
            }
        };
        Ok(Lease::new(worker, tenant, self.shared.clone()))
    }

    /// Workers that run or start.
    pub fn workers(&self) -> usize {
        self.shared.state().running
    }
}

impl Drop for WorkerPool {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.is_closed = true;
        let idle = std::mem::take(&mut state.idle);
        state.running -= idle.len();
        drop(state);
        self.shared.changed.notify_all();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reserve(&self, tenant: &str, until: Instant) -> Result<Slot> {
        let mut state = self.state();
        loop {
            if let Some(place) = state.idle.iter().rposition(|idle| idle.tenant == tenant) {
                let idle = state.idle.remove(place);
                if idle.worker.is_usable() {
                    return Ok(Slot::Warm(idle.worker));
                }
                // It died while it was idle.
                return Ok(Slot::Free(Some(idle.worker)));
            }
            if state.running < self.limits.workers_max {
                state.running += 1;
                return Ok(Slot::Free(None));
            }
            if !state.idle.is_empty() {
                return Ok(Slot::Free(Some(state.idle.remove(0).worker)));
            }
            let now = Instant::now();
            if now >= until {
                return Err(Error::Busy { role: self.spec.role.clone(), workers: self.limits.workers_max });
            }
            state = self.changed.wait_timeout(state, until - now).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Gives up the place of a worker that does not run.
    fn release(&self) {
        self.state().running -= 1;
        self.changed.notify_all();
    }

    /// Takes a worker back after its lease.
    pub(crate) fn give_back(&self, worker: Worker, tenant: String) {
        let mut state = self.state();
        if worker.is_usable() && !state.is_closed {
            state.idle.push(Idle { worker, tenant, since: Instant::now() });
        } else {
            state.running -= 1;
            drop(state);
            // The end of the process is waited for without the lock.
            drop(worker);
        }
        self.changed.notify_all();
    }

    /// Ends idle workers in time, until the pool is dropped.
    fn retire_idle(&self) {
        let mut state = self.state();
        while !state.is_closed {
            let now = Instant::now();
            let limit = self.limits.idle_max;
            let expired: Vec<Idle> = state.idle.extract_if(.., |idle| now - idle.since >= limit).collect();
            if expired.is_empty() {
                let next = state.idle.iter().map(|idle| limit.saturating_sub(now - idle.since)).min();
                state = match next {
                    Some(time) => self.changed.wait_timeout(state, time).unwrap_or_else(PoisonError::into_inner).0,
                    None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                };
                continue;
            }
            state.running -= expired.len();
            drop(state);
            drop(expired);
            self.changed.notify_all();
            state = self.state();
        }
    }
}
