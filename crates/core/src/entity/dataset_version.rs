//! Versions of datasets, and the pins that protect them from vacuuming.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::id::{DatasetId, ProjectId};
use crate::schema::Schema;
use crate::text_enum::text_enum;

text_enum! {
    /// Kind of origin of a dataset version.
    DatasetVersionOrigin, "dataset version origin" {
        /// A load.
        Load = "load",
        /// An attempt at a step.
        StepRun = "step_run",
    }
}

text_enum! {
    /// Holder of a pin on a dataset version.
    PinHolder, "pin holder" {
        /// A release, for good.
        Release = "release",
        /// Evidence, until it expires.
        Evidence = "evidence",
    }
}

/// One state of a dataset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DatasetVersion {
    /// The dataset.
    pub dataset_id: DatasetId,
    /// Its number, from 1, never reused.
    pub number: i64,
    /// The project.
    pub project_id: ProjectId,
    /// The Delta version that holds it; `None` for a tree of files.
    pub delta_version: Option<i64>,
    /// Path, blob digest and size of each file, for a tree of files.
    pub manifest: Option<Value>,
    /// Number of rows in the whole version.
    pub row_count: u64,
    /// Bytes of its files.
    pub size_bytes: u64,
    /// Its columns.
    pub schema: Schema,
    /// Digest of its content, hex.
    pub digest: String,
    /// The sum of row hashes that the digest is made of.
    pub row_sum: Option<String>,
    /// Kind of its origin.
    pub origin_kind: DatasetVersionOrigin,
    /// Identity of its origin.
    pub origin_id: String,
    /// Wall clock, epoch milliseconds.
    pub wall_ms: i64,
    /// Project clock, epoch milliseconds.
    pub project_ms: i64,
}
