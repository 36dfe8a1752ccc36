//! The staging area: one folder per load, complete once its record exists.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use perennial_core::id::LoadId;
use perennial_core::port::data::{Mode, StageRequest, Staged, TableRef};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::parquet::Written;
use crate::store::sync_folder;

/// Passing rows, with the table's columns.
const ROWS: &str = "rows.parquet";
/// Quarantined rows, with reason.
const QUARANTINED: &str = "aside.parquet";
/// The record, which is written last.
const RECORD: &str = "staged.json";

/// Size of a file in the staging area.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StagedFile {
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
}

impl From<Written> for StagedFile {
    fn from(written: Written) -> Self {
        Self { rows: written.rows, bytes: written.bytes }
    }
}

/// Everything that a commit needs to know about a staged load.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StagedLoad {
    /// The result of staging.
    pub(crate) staged: Staged,
    /// The dataset.
    pub(crate) dataset: String,
    /// How the rows enter the dataset.
    pub(crate) mode: Mode,
    /// Key columns.
    pub(crate) key: Vec<String>,
    /// The load whose rows are replaced.
    pub(crate) replaces: Option<LoadId>,
    /// The state of the table that the rows were checked against.
    pub(crate) base: Option<TableRef>,
    /// The number of that state; 0 without a table.
    pub(crate) base_number: i64,
    /// `rows.parquet`.
    pub(crate) rows: StagedFile,
    /// `aside.parquet`, when rows were quarantined.
    #[serde(rename = "aside")]
    pub(crate) quarantined: Option<StagedFile>,
}

impl StagedLoad {
    fn facts(&self) -> Expected {
        Expected {
            dataset: self.dataset.clone(),
            mode: self.mode,
            key: self.key.clone(),
            replaces: self.replaces,
            base: self.base.clone(),
        }
    }
}

/// What a request says about its load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Expected {
    dataset: String,
    mode: Mode,
    key: Vec<String>,
    replaces: Option<LoadId>,
    base: Option<TableRef>,
}

impl From<&StageRequest> for Expected {
    fn from(request: &StageRequest) -> Self {
        Self {
            dataset: request.dataset.to_string(),
            mode: request.mode,
            key: request.key.clone(),
            replaces: request.replaces,
            base: request.base.clone(),
        }
    }
}

/// The staging folder of one load.
#[derive(Debug, Clone)]
pub(crate) struct StagingArea {
    load: LoadId,
    folder: PathBuf,
}

impl StagingArea {
    /// The area of `load` in the folder `staging`.
    pub(crate) fn new(staging: &Path, load: LoadId) -> Self {
        Self { load, folder: staging.join(load.to_string()) }
    }

    /// The area that holds the previous content while the load is staged again from it.
    pub(crate) fn previous(&self) -> Self {
        Self { load: self.load, folder: self.folder.with_extension("before") }
    }

    /// Moves the area's content to `other`, replacing its content.
    pub(crate) fn move_to(&self, other: &Self) -> Result<()> {
        other.discard()?;
        std::fs::rename(&self.folder, &other.folder).map_err(|cause| self.failed("moving", cause))
    }

    /// The load.
    pub(crate) fn load(&self) -> LoadId {
        self.load
    }

    /// Creates an empty area, removing any content.
    pub(crate) fn clear(&self) -> Result<()> {
        self.discard()?;
        std::fs::create_dir_all(&self.folder).map_err(|cause| self.failed("making", cause))
    }

    /// Removes the area, if it exists.
    pub(crate) fn discard(&self) -> Result<()> {
        // Removing the record first invalidates the area even if the removal is interrupted.
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

    /// The path of a file in the area.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A temporary folder in the area, removed when dropped.
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

    /// The file of passing rows.
    pub(crate) fn rows(&self) -> PathBuf {
        self.file(ROWS)
    }

    /// The file of quarantined rows.
    pub(crate) fn quarantined(&self) -> PathBuf {
        self.file(QUARANTINED)
    }

    /// Completes the area: record, folder and parent folder are synced when this returns.
    pub(crate) fn seal(&self, record: &StagedLoad) -> Result<()> {
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

    /// The record of a complete area; `None` when staging did not complete.
    pub(crate) fn find(&self) -> Result<Option<StagedLoad>> {
        let text = match std::fs::read(self.file(RECORD)) {
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(|cause| self.failed("reading", cause))?,
        };
        let record: StagedLoad = serde_json::from_slice(&text).map_err(|cause| self.failed("reading", cause.into()))?;
        let is_complete =
            |path: PathBuf, file: &StagedFile| path.metadata().is_ok_and(|found| found.len() == file.bytes);
        let has_files = is_complete(self.rows(), &record.rows)
            && record.quarantined.as_ref().is_none_or(|file| is_complete(self.quarantined(), file));
        Ok(has_files.then_some(record))
    }

    /// The record of a complete area; an error when there is none.
    pub(crate) fn get(&self) -> Result<StagedLoad> {
        self.find()?.ok_or_else(|| Error::State {
            message: format!("load `{}` is not completely staged", self.load),
            hint: "stage the load again from its source".into(),
        })
    }

    /// Offers the content to a worker, as the area of the load in its folder `scratch`.
    pub(crate) fn offer(&self, scratch: &Path) -> Result<()> {
        let theirs = Self::new(scratch, self.load);
        theirs.clear()?;
        for name in [ROWS, QUARANTINED, RECORD] {
            match std::fs::hard_link(self.file(name), theirs.file(name)) {
                Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => return Err(self.failed("reading", cause)),
                _ => {}
            }
        }
        Ok(())
    }

    /// Replaces the content by what a worker has staged in its folder `scratch`; an error unless it belongs to `expected`.
    /// Returns the result of staging.
    pub(crate) fn adopt(&self, scratch: &Path, expected: &Expected) -> Result<Staged> {
        let theirs = Self::new(scratch, self.load);
        theirs.validate_files()?;
        let record = theirs.get()?;
        if record.facts() != *expected {
            return Err(theirs.unexpected("a record of another load"));
        }
        let previous = self.previous();
        if self.folder.exists() {
            self.move_to(&previous)?;
        }
        theirs.move_to(self)?;
        self.folder.parent().map_or(Ok(()), sync_folder).map_err(|cause| self.failed("sealing", cause))?;
        previous.discard()?;
        Ok(record.staged)
    }

    /// Returns an error unless the area has regular files only, of names that belong there.
    fn validate_files(&self) -> Result<()> {
        let failed = |cause| self.failed("reading", cause);
        for entry in std::fs::read_dir(&self.folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let is_known = [ROWS, QUARANTINED, RECORD].iter().any(|name| entry.file_name() == *name);
            if !is_known || !entry.file_type().map_err(failed)?.is_file() {
                return Err(self.unexpected(&format!("`{}`", entry.file_name().to_string_lossy().escape_debug())));
            }
        }
        Ok(())
    }

    fn unexpected(&self, what: &str) -> Error {
        Error::internal("staging in a worker", format!("it left {what} in the staging area of load `{}`", self.load))
    }

    fn failed(&self, verb: &str, cause: std::io::Error) -> Error {
        Error::storage(format!("{verb} the staging area of load `{}`", self.load), cause)
    }
}
