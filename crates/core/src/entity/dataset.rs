//! Datasets: versioned data under a name.

use crate::id::{DatasetId, ProjectId};
use crate::name::DatasetName;
use crate::port::data::Mode;
use crate::text_enum::text_enum;

text_enum! {
    /// Storage of a dataset.
    DatasetKind, "dataset kind" {
        /// A Delta table.
        Table = "table",
        /// A tree of files.
        Files = "files",
    }
}

/// A dataset.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// Its id.
    pub id: DatasetId,
    /// The project it belongs to.
    pub project_id: ProjectId,
    /// Its name, unique in the project.
    pub name: DatasetName,
    /// Its storage.
    pub kind: DatasetKind,
    /// How rows enter it.
    pub mode: Mode,
    /// The columns that identify a row; may be empty.
    pub key_columns: Vec<String>,
    /// Folder of its table below the data engine's root.
    pub table_path: String,
    /// Number of its newest version, 0 for none; numbers are never reused.
    pub last_number: i64,
    /// Wall clock, epoch milliseconds.
    pub created_ms: i64,
}
