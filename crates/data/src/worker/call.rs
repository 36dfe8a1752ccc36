//! The messages between server and worker.

use std::ops::Range;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use object_store::ObjectMeta;
use object_store::path::Path as StorePath;
use perennial_core::id::LoadId;
use perennial_core::name::DatasetName;
use perennial_core::port::data::{
    FilesSource, FrameRequest, Mode, NamedTable, QueryRequest, ScanPlan, SourceFile, StageInput, StageRequest, TableRef,
};
use perennial_core::schema::Schema;
use perennial_core::{Error, Result};
use perennial_worker::Message;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// What a worker starts with.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Start {
    /// URL of the root of the tables, ending in `/`.
    pub(super) root: String,
    /// URL of its store.
    pub(super) base: String,
    /// Memory limit of queries and staging, in bytes.
    pub(super) memory_bytes: usize,
    /// Number of threads.
    pub(super) threads: usize,
}

/// A call of a worker.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Call {
    /// The schema of a SELECT.
    Plan(Select),
    /// The first rows of a SELECT.
    Query {
        /// The query.
        select: Select,
        /// Rows at most.
        limit: usize,
    },
    /// All rows of a SELECT.
    Frame(Select),
    /// All rows of a SELECT as a Parquet file, [`EXPORT`] in the scratch folder.
    Export(Select),
    /// Whether checks are valid over a schema.
    ValidateChecks {
        /// The schema.
        schema: Schema,
        /// The checks.
        plan: ScanPlan,
    },
    /// The columns of files that the server opens, by their place in the list.
    Columns {
        /// The source.
        source: FilesSource,
        /// The files.
        files: Vec<SourceFile>,
    },
    /// Stages rows, into the scratch folder.
    Stage(Box<Stage>),
}

/// The file of an export in the scratch folder.
pub(super) const EXPORT: &str = "export.parquet";

/// One SELECT over tables.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Select {
    pub(super) sql: String,
    pub(super) tables: Vec<NamedTable>,
    /// Columns of a frame that identify rows.
    pub(super) keys: Vec<String>,
}

impl From<FrameRequest> for Select {
    fn from(FrameRequest { sql, tables, keys }: FrameRequest) -> Self {
        Self { sql, tables, keys }
    }
}

impl From<Select> for FrameRequest {
    fn from(Select { sql, tables, keys }: Select) -> Self {
        Self { sql, tables, keys }
    }
}

impl Select {
    /// The request of a person.
    pub(super) fn query(self, limit: usize) -> QueryRequest {
        QueryRequest { sql: self.sql, tables: self.tables, limit }
    }
}

/// A [`StageRequest`].
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Stage {
    load: LoadId,
    dataset: DatasetName,
    base: Option<TableRef>,
    input: Input,
    mode: Mode,
    key: Vec<String>,
    schema: Option<Schema>,
    optional: Vec<String>,
    evolve: bool,
    replaces: Option<LoadId>,
    plan: ScanPlan,
}

/// The rows of a load.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Input {
    /// Files that the server opens, by their place in the list.
    Files {
        /// The source.
        source: FilesSource,
        /// The files.
        files: Vec<SourceFile>,
    },
    /// The result of a query.
    Sql(Select),
    /// JSON lines, in the payload of the message after the call itself.
    JsonLines,
    /// The rows that the load has staged before, which the server has put into the scratch folder.
    Staged,
}

impl Stage {
    /// The request with `input` in place of its own.
    pub(super) fn new(request: StageRequest, input: Input) -> Self {
        let StageRequest { load, dataset, base, mode, key, schema, optional, evolve, replaces, plan, input: _ } =
            request;
        Self { load, dataset, base, input, mode, key, schema, optional, evolve, replaces, plan }
    }

    /// The request, with the bytes of JSON lines.
    pub(super) fn request(self, lines: Bytes) -> StageRequest {
        let input = match self.input {
            Input::Files { source, files } => StageInput::Files { source, files },
            Input::Sql(Select { sql, tables, .. }) => StageInput::Sql { sql, tables },
            Input::JsonLines => StageInput::JsonLines(lines),
            Input::Staged => StageInput::Staged,
        };
        StageRequest {
            load: self.load,
            dataset: self.dataset,
            base: self.base,
            input,
            mode: self.mode,
            key: self.key,
            schema: self.schema,
            optional: self.optional,
            evolve: self.evolve,
            replaces: self.replaces,
            plan: self.plan,
        }
    }
}

/// What a worker requests of the server during a call.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Request {
    /// A file of the source, by its place in the list of the call.
    Source(usize),
    /// An object of a table: its metadata, and a descriptor where it is a local file.
    Open(String),
    /// A range of the bytes of an object.
    Read(String, Range<u64>),
    /// The objects below a prefix.
    List(String),
    /// The objects and folders directly below a prefix.
    ListFolder(String),
}

/// The server's answer to a request about objects.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Response {
    /// What was requested.
    Found,
    /// There is no such object.
    NotFound,
}

/// The metadata of an object.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Object {
    path: String,
    size: u64,
    /// Epoch nanoseconds.
    modified_ns: u64,
    etag: Option<String>,
}

impl From<&ObjectMeta> for Object {
    fn from(meta: &ObjectMeta) -> Self {
        Self {
            path: meta.location.to_string(),
            size: meta.size,
            modified_ns: meta.last_modified.timestamp_nanos_opt().unwrap_or_default().max(0).cast_unsigned(),
            etag: meta.e_tag.clone(),
        }
    }
}

impl Object {
    /// The metadata as the object store's type.
    pub(super) fn meta(self) -> object_store::Result<ObjectMeta> {
        Ok(ObjectMeta {
            location: StorePath::parse(&self.path)?,
            last_modified: (UNIX_EPOCH + Duration::from_nanos(self.modified_ns)).into(),
            size: self.size,
            e_tag: self.etag,
            version: None,
        })
    }
}

/// The objects below a prefix.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Objects {
    pub(super) objects: Vec<Object>,
    pub(super) folders: Vec<String>,
}

/// A message with `value` as JSON in its payload, which unlike the control part has no limit of its own.
pub(super) fn message(value: &impl Serialize) -> Result<Message> {
    let text =
        serde_json::to_vec(value).map_err(|cause| Error::internal("a message cannot be written as JSON", cause))?;
    Ok(Message::new(&Response::Found)?.with_payload(text))
}

/// The value of [`message`].
pub(super) fn parse<T: DeserializeOwned>(payload: &[u8]) -> Result<T> {
    serde_json::from_slice(payload).map_err(|cause| Error::internal("a message of a worker is malformed", cause))
}
