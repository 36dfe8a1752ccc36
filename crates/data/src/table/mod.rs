//! Tables: opening a version, and the position of the newest one.

pub(crate) mod commit;
mod deletes;
pub(crate) mod quarantine;
mod rewrite;
mod scan;
mod stats;

use std::sync::{Arc, Mutex, PoisonError};

use datafusion::catalog::TableProvider;
use deltalake::DeltaTable;
use deltalake::logstore::{LogStoreRef, StorageConfig, default_logstore};
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, path::Path as StorePath};
use perennial_core::port::data::Position;
use serde_json::Value as Json;

use crate::error::{Error, Result};
use crate::store::{Root, Store};

use scan::Files;

pub(crate) use deletes::{Deletes, key_range, load_mask};
pub(crate) use rewrite::{next, stream};

/// The application id of our transaction numbers in Delta logs.
pub(crate) const APPLICATION: &str = "perennial";
/// The key of a Delta commit's metadata that names its load.
const LOAD_ENTRY: &str = "perennialLoad";
/// The number of table versions kept open.
const OPEN_MAX: usize = 64;

/// The tables in the engine's root folder.
#[derive(Clone)]
pub(crate) struct Tables {
    root: Root,
    open: Arc<Mutex<Vec<Arc<OpenTable>>>>,
}

/// A table at one version.
pub(crate) struct OpenTable {
    name: String,
    version: i64,
    pub(crate) table: DeltaTable,
    pub(crate) log: LogStoreRef,
}

/// A numbered commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Numbered {
    pub(crate) number: i64,
    pub(crate) delta_version: i64,
    /// The load it committed, as text.
    pub(crate) load: Option<String>,
}

impl Tables {
    /// Uses the tables in `root`.
    pub(crate) fn new(root: Root) -> Self {
        Self { root, open: Arc::default() }
    }

    /// The store of the tables.
    pub(crate) fn store(&self) -> &Store {
        &self.root.store
    }

    /// The root of the tables.
    pub(crate) fn root(&self) -> &Root {
        &self.root
    }

    /// The log of a table, whether it exists or not.
    pub(crate) fn log(&self, table: &str) -> Result<LogStoreRef> {
        let url = self.root.table_url(table)?;
        let root: Arc<dyn ObjectStore> = Arc::clone(&self.root.store.inner);
        let prefix = StorePath::from_url_path(url.path())
            .map_err(|cause| Error::storage(format!("opening table `{table}`"), cause))?;
        let own: Arc<dyn ObjectStore> = Arc::new(PrefixStore::new(Arc::clone(&root), prefix));
        Ok(default_logstore(own, root, &url, &StorageConfig::default()))
    }

    /// The newest version of a table, by reading its log from the last version kept open; `None` when the table does not
    /// exist.
    pub(crate) async fn newest(&self, table: &str) -> Result<Option<Arc<OpenTable>>> {
        let failed = |cause| Error::delta(format!("opening table `{table}`"), cause);
        let (mut delta, log) = match self.last_open(table) {
            Some(last) => (last.table.clone(), Arc::clone(&last.log)),
            None => {
                let log = self.log(table)?;
                if !log.is_delta_table_location().await.map_err(failed)? {
                    return Ok(None);
                }
                (DeltaTable::new(Arc::clone(&log)), log)
            }
        };
        delta.update_state().await.map_err(failed)?;
        let version = delta.version().unwrap_or_default() as i64;
        if let Some(known) = self.find_open(table, version) {
            return Ok(Some(known));
        }
        Ok(Some(self.keep_open(OpenTable { name: table.to_owned(), version, table: delta, log })))
    }

    /// A table at a version, which must exist.
    pub(crate) async fn at(&self, table: &str, version: i64) -> Result<Arc<OpenTable>> {
        if let Some(open) = self.find_open(table, version) {
            return Ok(open);
        }
        let log = self.log(table)?;
        let mut delta = DeltaTable::new(Arc::clone(&log));
        let wanted = u64::try_from(version).map_err(|_| {
            Error::Argument(format!("version {version} of table `{table}` is invalid: versions start at 0"))
        })?;
        delta
            .load_version(wanted)
            .await
            .map_err(|cause| Error::delta(format!("opening version {version} of table `{table}`"), cause))?;
        Ok(self.keep_open(OpenTable { name: table.to_owned(), version, table: delta, log }))
    }

    /// A table for queries, at a version or the newest one.
    pub(crate) async fn provider(&self, table: &str, version: Option<i64>) -> Result<Arc<dyn TableProvider>> {
        let opened = match version {
            Some(version) => self.at(table, version).await?,
            None => self.existing(table).await?,
        };
        self.files(&opened)
    }

    /// An open table, for queries.
    pub(crate) fn files(&self, opened: &OpenTable) -> Result<Arc<dyn TableProvider>> {
        Ok(Arc::new(Files::of(&self.root, opened)?))
    }

    /// The newest version of a table, which must exist.
    pub(crate) async fn existing(&self, table: &str) -> Result<Arc<OpenTable>> {
        self.newest(table).await?.ok_or_else(|| Error::NotFound { noun: "table", name: table.to_owned() })
    }

    /// The position of a table: the number and version of its last commit.
    pub(crate) async fn position(&self, table: &str) -> Result<Option<Position>> {
        let Some(newest) = self.newest(table).await? else { return Ok(None) };
        let Some(number) = newest.number().await? else { return Ok(None) };
        let commit = newest.find(number).await?;
        let at = self.at(table, commit.delta_version).await?;
        Ok(Some(Position { number, delta_version: commit.delta_version, bytes: at.bytes()? }))
    }

    /// The newest version of a table among those kept open.
    fn last_open(&self, table: &str) -> Option<Arc<OpenTable>> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.iter().filter(|open| open.name == table).max_by_key(|open| open.version).map(Arc::clone)
    }

    /// A version of a table, if it is kept open; marks it as most recently used.
    fn find_open(&self, table: &str, version: i64) -> Option<Arc<OpenTable>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let at = open.iter().position(|open| open.version == version && open.name == table)?;
        let found = open.remove(at);
        open.push(Arc::clone(&found));
        Some(found)
    }

    /// Keeps a version of a table open, in place of the least recently used one.
    fn keep_open(&self, opened: OpenTable) -> Arc<OpenTable> {
        let opened = Arc::new(opened);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|other| other.version != opened.version || other.name != opened.name);
        if open.len() == OPEN_MAX {
            open.remove(0);
        }
        open.push(Arc::clone(&opened));
        opened
    }
}

impl OpenTable {
    /// The number of the last commit; `None` without a numbered commit.
    pub(crate) async fn number(&self) -> Result<Option<i64>> {
        let state = self.state()?;
        state.transaction_version(self.log.as_ref(), APPLICATION).await.map_err(|cause| self.failed("reading", cause))
    }

    /// Bytes of all files.
    pub(crate) fn bytes(&self) -> Result<u64> {
        Ok(self.state()?.log_data().iter().map(|file| file.size().max(0).cast_unsigned()).sum())
    }

    /// The commit with `number`, searched from the newest one backwards.
    pub(crate) async fn find(&self, number: i64) -> Result<Numbered> {
        let mut version = self.version;
        while version >= 0 {
            let entry = self
                .log
                .read_commit_entry(version.cast_unsigned())
                .await
                .map_err(|cause| self.failed("reading the log of", cause))?;
            let Some(entry) = entry else { break };
            let found = numbered(&entry, version);
            if let Some(found) = found.filter(|found| found.number == number) {
                return Ok(found);
            }
            version -= 1;
        }
        Err(Error::State {
            message: format!("table `{}` has no commit with number {number}", self.name),
            hint: "restore the data folder and the metadata store from the same backup".into(),
        })
    }

    /// The loaded state.
    pub(crate) fn state(&self) -> Result<&deltalake::table::state::DeltaTableState> {
        self.table.snapshot().map_err(|cause| self.failed("opening", cause))
    }

    pub(crate) fn failed(&self, verb: &str, cause: deltalake::DeltaTableError) -> Error {
        Error::delta(format!("{verb} table `{}`", self.name), cause)
    }
}

/// Parses the number and load from a commit's entry in the log.
fn numbered(entry: &[u8], delta_version: i64) -> Option<Numbered> {
    let (mut number, mut load) = (None, None);
    for line in entry.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let Ok(action) = serde_json::from_slice::<Json>(line) else { continue };
        if action["txn"]["appId"] == APPLICATION {
            number = action["txn"]["version"].as_i64();
        }
        if let Some(text) = action["commitInfo"][LOAD_ENTRY].as_str() {
            load = Some(text.to_owned());
        }
    }
    Some(Numbered { number: number?, delta_version, load })
}
