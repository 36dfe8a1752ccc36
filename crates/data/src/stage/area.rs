//! The staging area: one folder a load, whole once its record is there.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use perennial_core::id::LoadId;
use perennial_core::port::data::{Mode, Staged, TableRef};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::parquet::Written;
use crate::store::sync_folder;

/// Rows that pass, as the table will hold them.
const ROWS: &str = "rows.parquet";
/// Rows set aside, with reason.
const ASIDE: &str = "aside.parquet";
/// The record; written last.
const RECORD: &str = "staged.json";

/// Size of a staged file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileFacts {
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
}

impl From<Written> for FileFacts {
    fn from(written: Written) -> Self {
        Self { rows: written.rows, bytes: written.bytes }
    }
}

/// All that a commit needs to know of a staged load.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The answer staging gave.
    pub(crate) staged: Staged,
    /// The dataset.
    pub(crate) dataset: String,
    /// How the rows enter.
    pub(crate) mode: Mode,
    /// Key columns.
    pub(crate) key: Vec<String>,
    /// The load whose rows leave.
    pub(crate) replaces: Option<LoadId>,
    /// The table's state that was judged against.
    pub(crate) base: Option<TableRef>,
    /// The number that state carried; 0 without one.
    pub(crate) base_number: i64,
    /// `rows.parquet`.
    pub(crate) rows: FileFacts,
    /// `aside.parquet`, when rows were set aside.
    pub(crate) aside: Option<FileFacts>,
}

/// The folder of one load.
#[derive(Debug, Clone)]
pub(crate) struct Area {
    load: LoadId,
    folder: PathBuf,
}

impl Area {
    /// The area of `load` below `staging`.
    pub(crate) fn of(staging: &Path, load: LoadId) -> Self {
        Self { load, folder: staging.join(load.to_string()) }
    }

    /// Where the area's content lies while the load is staged again from it.
    pub(crate) fn before(&self) -> Self {
        Self { load: self.load, folder: self.folder.with_extension("before") }
    }

    /// Gives the area's content to `other`, in place of what it holds.
    pub(crate) fn move_to(&self, other: &Self) -> Result<()> {
        other.discard()?;
        std::fs::rename(&self.folder, &other.folder).map_err(|cause| self.failed("moving", cause))
    }

    /// The load.
    pub(crate) fn load(&self) -> LoadId {
        self.load
    }

    /// Begins anew, with nothing in the area.
    pub(crate) fn clear(&self) -> Result<()> {
        self.discard()?;
        std::fs::create_dir_all(&self.folder).map_err(|cause| self.failed("making", cause))
    }

    /// Removes the area; one that is not there is fine.
    pub(crate) fn discard(&self) -> Result<()> {
        // Without its record the area is void, even if removal stops halfway.
        let removed = [std::fs::remove_file(self.folder.join(RECORD)), std::fs::remove_dir_all(&self.folder)];
        for result in removed {
            match result {
                Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
                    return Err(self.failed("removing", cause));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The place of a file in the area.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A folder for one undertaking, removed with the value.
    pub(crate) fn work_folder(&self) -> Result<tempfile::TempDir> {
        tempfile::Builder::new()
            .prefix("work-")
            .tempdir_in(&self.folder)
            .map_err(|cause| self.failed("writing in", cause))
    }

    /// The folder itself.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The rows that pass.
    pub(crate) fn rows(&self) -> PathBuf {
        self.file(ROWS)
    }

    /// The rows set aside.
    pub(crate) fn aside(&self) -> PathBuf {
        self.file(ASIDE)
    }

    /// Seals the area: record, folder and parent are on disk when this returns.
    pub(crate) fn seal(&self, record: &Record) -> Result<()> {
        let text =
            serde_json::to_vec(record).map_err(|cause| Error::internal("writing a staged load's record", cause))?;
        let temporary = self.file("staged.json.tmp");
        let write = || -> std::io::Result<()> {
            let mut file = File::create(&temporary)?;
            file.write_all(&text)?;
            file.sync_all()?;
            std::fs::rename(&temporary, self.file(RECORD))?;
            sync_folder(&self.folder)?;
            self.folder.parent().map_or(Ok(()), sync_folder)
        };
        write().map_err(|cause| self.failed("sealing", cause))
    }

    /// The record of a sealed area; `None` when the load was never staged to its end.
    pub(crate) fn find(&self) -> Result<Option<Record>> {
        let text = match std::fs::read(self.file(RECORD)) {
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(|cause| self.failed("reading", cause))?,
        };
        let record: Record = serde_json::from_slice(&text).map_err(|cause| self.failed("reading", cause.into()))?;
        let whole = |path: PathBuf, facts: &FileFacts| path.metadata().is_ok_and(|found| found.len() == facts.bytes);
        let is_whole =
            whole(self.rows(), &record.rows) && record.aside.as_ref().is_none_or(|facts| whole(self.aside(), facts));
        Ok(is_whole.then_some(record))
    }

    /// The record of a sealed area.
    pub(crate) fn get(&self) -> Result<Record> {
        self.find()?.ok_or_else(|| Error::State {
            message: format!("load `{}` is not staged, or only in part", self.load),
            hint: "stage the load again from its source".into(),
        })
    }

    fn failed(&self, verb: &str, cause: std::io::Error) -> Error {
        Error::storage(format!("{verb} the staging area of load `{}`", self.load), cause)
    }
}
