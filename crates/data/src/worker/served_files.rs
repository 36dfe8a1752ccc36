//! The files that the server opens for a worker: those of the tables and the source of one call.

use std::fs::File;

use futures::{StreamExt, TryStreamExt};
use object_store::path::Path as StorePath;
use object_store::{Error as StoreError, GetOptions, GetResultPayload, ObjectStore, ObjectStoreExt};
use perennial_core::port::data::{NamedTable, RowCondition, ScanPlan, TableRef};
use perennial_core::{Error as CoreError, ErrorCode, Result as CoreResult};
use perennial_worker::Message;

use super::call::{Object, Objects, Request, Response, message};
use crate::error::{Error, Result};
use crate::source::LocalFile;
use crate::store::Root;

/// The most objects of one listing.
const OBJECTS_MAX: usize = 100_000;
/// The most bytes of one read, which are in the server's memory.
pub(super) const READ_BYTES_MAX: u64 = 16 << 20;

/// The files that one call may read.
pub(super) struct ServedFiles {
    root: Root,
    /// The folders of tables, in the store of the root.
    tables: Vec<StorePath>,
    /// The files of the source.
    sources: Vec<LocalFile>,
}

impl ServedFiles {
    /// The files of `tables` below `root`, and `sources`.
    pub(super) fn new<'a>(
        root: &Root,
        tables: impl IntoIterator<Item = &'a TableRef>,
        sources: Vec<LocalFile>,
    ) -> Result<Self> {
        let folder = |table: &TableRef| {
            let url = root.table_url(&table.path)?;
            StorePath::from_url_path(url.path())
                .map_err(|cause| Error::storage(format!("opening table `{}`", table.path), cause))
        };
        let tables = tables.into_iter().map(folder).collect::<Result<_>>()?;
        Ok(Self { root: root.clone(), tables, sources })
    }

    /// Answers a request of the worker.
    pub(super) async fn respond(&self, request: &Message) -> CoreResult<Message> {
        match request.control()? {
            Request::Source(index) => self.source(index),
            Request::Open(path) => found(self.open(&self.validate(&path)?).await),
            Request::Read(path, range) => {
                if range.end.saturating_sub(range.start) > READ_BYTES_MAX {
                    return Err(CoreError::new(ErrorCode::TooLarge, "a worker requested too many bytes at once"));
                }
                let bytes = self.store().get_range(&self.validate(&path)?, range).await;
                found(bytes.map(|bytes| Message::new(&Response::Found).map(|found| found.with_payload(bytes.into()))))
            }
            Request::List(prefix) => {
                let listed = self.store().list(Some(&self.validate(&prefix)?));
                let objects = listed.take(OBJECTS_MAX + 1).map_ok(|meta| Object::from(&meta)).try_collect::<Vec<_>>();
                let objects = objects.await;
                if objects.as_ref().is_ok_and(|objects| objects.len() > OBJECTS_MAX) {
                    let message = format!("a table has more than {OBJECTS_MAX} objects below `{prefix}`");
                    return Err(CoreError::new(ErrorCode::TooLarge, message));
                }
                found(objects.map(|objects| message(&Objects { objects, folders: Vec::new() })))
            }
            Request::ListFolder(prefix) => {
                let listed = self.store().list_with_delimiter(Some(&self.validate(&prefix)?)).await;
                found(listed.map(|listed| {
                    let folders = listed.common_prefixes.iter().map(ToString::to_string).collect();
                    message(&Objects { objects: listed.objects.iter().map(Object::from).collect(), folders })
                }))
            }
        }
    }

    fn store(&self) -> &dyn ObjectStore {
        self.root.store.inner.as_ref()
    }

    /// The path of an object of one of the tables.
    fn validate(&self, path: &str) -> CoreResult<StorePath> {
        let denied =
            || CoreError::new(ErrorCode::PermissionDenied, format!("a worker requested `{}`", path.escape_debug()));
        let path = StorePath::parse(path).map_err(|_| denied())?;
        if self.tables.iter().any(|table| path.prefix_matches(table)) { Ok(path) } else { Err(denied()) }
    }

    fn source(&self, index: usize) -> CoreResult<Message> {
        let file = self.sources.get(index);
        let file =
            file.ok_or_else(|| CoreError::new(ErrorCode::PermissionDenied, "a worker requested an unknown file"))?;
        let opened =
            File::open(&file.path).map_err(|cause| CoreError::new(ErrorCode::SourceFile, cause.to_string()))?;
        Ok(Message::new(&Response::Found)?.with_descriptor(opened))
    }

    async fn open(&self, path: &StorePath) -> object_store::Result<CoreResult<Message>> {
        if self.root.folder.is_none() {
            let meta = self.store().head(path).await?;
            return Ok(message(&Object::from(&meta)));
        }
        let opened = self.store().get_opts(path, GetOptions::default()).await?;
        let answer = message(&Object::from(&opened.meta));
        match opened.payload {
            GetResultPayload::File(file, _) => Ok(answer.map(|answer| answer.with_descriptor(file))),
            GetResultPayload::Stream(_) => Ok(answer),
        }
    }
}

/// The answer about an object.
fn found(answer: object_store::Result<CoreResult<Message>>) -> CoreResult<Message> {
    match answer {
        Ok(found) => found,
        Err(StoreError::NotFound { .. }) => Message::new(&Response::NotFound),
        Err(cause) => Err(CoreError::new(ErrorCode::Storage, "reading a table failed").with_source(cause)),
    }
}

/// The tables that checks refer to.
pub(super) fn referenced(plan: &ScanPlan) -> impl Iterator<Item = &TableRef> {
    plan.rows.iter().filter_map(|check| match &check.condition {
        RowCondition::References { table, .. } => Some(&table.table),
        RowCondition::Predicate(_) | RowCondition::Unique(_) => None,
    })
}

/// The tables that a SELECT may name.
pub(super) fn named(tables: &[NamedTable]) -> impl Iterator<Item = &TableRef> {
    tables.iter().map(|named| &named.table)
}
