//! The memory of answer pages. They are built outside of the memory pool of the query engine, so they have a limit of
//! their own.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{Error, Result};

/// The approximate size of one page in bytes; a larger result is truncated.
pub(super) const PAGE_BYTES_MAX: u32 = 64 << 20;
/// The size up to which a page needs no reservation, in bytes. The number of such pages is that of requests in flight.
pub(super) const UNRESERVED_BYTES_MAX: usize = 1 << 20;

/// The bytes that large pages may occupy together while they are built.
#[derive(Clone)]
pub(super) struct PageMemory(Arc<Semaphore>);

impl PageMemory {
    /// Memory of `bytes`, at least that of one page.
    pub(super) fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes.clamp(PAGE_BYTES_MAX as usize, Semaphore::MAX_PERMITS))))
    }

    /// Waits until a page of [`PAGE_BYTES_MAX`] fits. A page reserves once, so pages never wait for each other in a
    /// circle.
    pub(super) async fn reserve(&self) -> Result<OwnedSemaphorePermit> {
        let reserved = Arc::clone(&self.0).acquire_many_owned(PAGE_BYTES_MAX).await;
        reserved.map_err(|cause| Error::internal("reserving memory of a page", cause))
    }
}

#[cfg(test)]
mod tests;
