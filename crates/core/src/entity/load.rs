//! Loads: arrivals of rows, and the intents of commits in progress.

use serde_json::Value;

use super::DatasetVersion;
use crate::cause::ChangeCause;
use crate::id::{DatasetId, LoadId, ProjectId};
use crate::port::source::Position;
use crate::state::LoadState;
use crate::text_enum::text_enum;

text_enum! {
    /// Kind of origin of a load.
    LoadOrigin, "load origin" {
        /// One file of a source.
        File = "file",
        /// Every new file of a source together.
        Batch = "batch",
        /// The result of a query over a database.
        Sql = "sql",
        /// An interval of a stream.
        Stream = "stream",
        /// A push by a client.
        Push = "push",
        /// An attempt at a step.
        Step = "step",
        /// A segment of a prediction log.
        Predictions = "predictions",
    }
}

/// One arrival of rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Load {
    /// Its id.
    pub id: LoadId,
    /// The project.
    pub project_id: ProjectId,
    /// The dataset.
    pub dataset_id: DatasetId,
    /// Kind of its origin.
    pub origin: LoadOrigin,
    /// Identity of its origin: step run id, log segment or request id.
    pub origin_id: Option<String>,
    /// The parts of the source that it came from: the files, ordered by path. None for the rows of a step or of a
    /// prediction log.
    pub files: Vec<LoadFile>,
    /// Digest of the content of its files, hex: BLAKE3 of the one file, or of the digests of all.
    pub content_digest: Option<String>,
    /// The size of its files together.
    pub size_bytes: Option<u64>,
    /// Its state.
    pub state: LoadState,
    /// Rows that arrived.
    pub arrived: u64,
    /// Rows that passed the checks.
    pub passing: u64,
    /// Rows set aside in the quarantine.
    pub set_aside: u64,
    /// Number of rows set aside, by reason, JSON.
    pub reasons: Value,
    /// Result of staging, JSON, until the load is settled.
    pub staged: Option<Value>,
    /// Why it was held or failed.
    pub message: Option<String>,
    /// The load that it replaces.
    pub replaces: Option<LoadId>,
    /// The load that replaced it.
    pub replaced_by: Option<LoadId>,
    /// Number of the dataset version it became.
    pub number: Option<i64>,
    /// Its cause: a pipeline run, a request, a person.
    pub cause: Option<ChangeCause>,
    /// Wall clock of its arrival, epoch milliseconds.
    pub wall_ms: i64,
    /// Project clock of its arrival, epoch milliseconds.
    pub project_ms: i64,
    /// Wall clock when it was held, committed, replaced or failed.
    pub settled_ms: Option<i64>,
}

impl Load {
    /// The paths of its files.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|file| file.path.as_str())
    }
}

/// A part of a source that a load came from, with the identity of its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadFile {
    /// The file's path, relative to the source's root; the table or the partition of another source.
    pub path: String,
    /// The position of the source after these rows; unknown for loads of early versions.
    pub position: Option<Position>,
    /// The identity of the rows: BLAKE3 of a file's content, hex. Unknown for some loads of early versions.
    pub content_digest: Option<String>,
}

/// A commit in progress: everything needed to finish it after an interruption.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadIntent {
    /// The dataset, which has at most one open intent.
    pub dataset_id: DatasetId,
    /// The load.
    pub load_id: LoadId,
    /// The project.
    pub project_id: ProjectId,
    /// The number its commit carries.
    pub number: i64,
    /// The version to be inserted; its `delta_version` and `size_bytes` are known only after the commit.
    pub version: DatasetVersion,
    /// The server that commits.
    pub holder: String,
    /// Wall clock, epoch milliseconds.
    pub created_ms: i64,
}
