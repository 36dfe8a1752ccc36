//! The exclusive use of one worker of a pool.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use crate::pool::Shared;
use crate::worker::Worker;

/// The exclusive use of one worker of a pool. Dropping it gives the worker back, or ends it if a call failed.
///
/// A worker keeps what its handler holds from call to call, so a lease that is kept is a worker of one's own, as for a
/// model that is served.
#[derive(Debug)]
pub struct Lease {
    /// `None` only while it is dropped.
    worker: Option<Worker>,
    tenant: String,
    pool: Arc<Shared>,
}

impl Lease {
    pub(crate) fn new(worker: Worker, tenant: &str, pool: Arc<Shared>) -> Self {
        Self { worker: Some(worker), tenant: tenant.to_owned(), pool }
    }
}

impl Deref for Lease {
    type Target = Worker;

    fn deref(&self) -> &Worker {
        match &self.worker {
            Some(worker) => worker,
            None => unreachable!("a lease has its worker until it is dropped"),
        }
    }
}

impl DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut Worker {
        match &mut self.worker {
            Some(worker) => worker,
            None => unreachable!("a lease has its worker until it is dropped"),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(worker) = self.worker.take() {
            self.pool.give_back(worker, std::mem::take(&mut self.tenant));
        }
    }
}
