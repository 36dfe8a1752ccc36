//! The right to change a dataset: one task at a time stages, recovers, commits or discards its loads.

use perennial_core::Result;
use perennial_core::entity::Dataset;
use perennial_core::id::LoadId;
use perennial_kernel::{Kernel, OrderedGuard};

use crate::ingest::Ingest;

/// The right to change a dataset, until it is dropped. A load that is staged meanwhile belongs to its holder, so that
/// recovery never takes the load of a running step for an interrupted one.
#[derive(Debug)]
pub struct DatasetWriter {
    dataset: Dataset,
    _lock: OrderedGuard,
}

impl Ingest {
    /// Waits until no other task changes the dataset.
    pub async fn writer(&self, dataset: &Dataset) -> DatasetWriter {
        let lock = self.state(dataset.project_id).writing(dataset.id);
        DatasetWriter { dataset: dataset.clone(), _lock: lock.lock().await }
    }
}

impl DatasetWriter {
    /// The dataset.
    pub fn dataset(&self) -> &Dataset {
        &self.dataset
    }

    /// Discards the staged rows of a load of the dataset.
    pub(super) async fn discard(&self, kernel: &Kernel, load: LoadId) -> Result<()> {
        kernel.data().discard(load).await
    }
}
