//! The object store of a worker: the server reads it.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use perennial_worker::{Message, Server};

use super::call::{Object, Objects, Request, Response, parse};
use super::served_files::READ_BYTES_MAX;

/// The files of tables that are kept open; they never change.
const OPEN_MAX: usize = 64;

/// The server of the call that runs.
#[derive(Debug, Clone, Default)]
pub(super) struct Connection(Arc<Mutex<Option<Arc<Server>>>>);

impl Connection {
    /// Uses `server` from now on.
    pub(super) fn set(&self, server: &Arc<Server>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(server));
    }

    /// Requests something of the server. Blocks.
    pub(super) fn request(&self, request: &Request) -> io::Result<Message> {
        let server = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let server = server.ok_or_else(|| io::Error::other("a worker read a file outside of a call"))?;
        let answer = Message::new(request).and_then(|request| server.request(&request));
        answer.map_err(|error| io::Error::other(error.chain()))
    }

    /// Requests an open file. Blocks.
    pub(super) fn file(&self, request: &Request) -> io::Result<File> {
        let descriptor = self.request(request)?.descriptors.pop();
        descriptor.map(File::from).ok_or_else(|| io::Error::other("the server opened no file"))
    }
}

/// An object store that the server reads.
#[derive(Debug, Clone)]
pub(super) struct ServedStore {
    connection: Connection,
    open: Arc<Mutex<HashMap<Path, Opened>>>,
}

/// An object.
#[derive(Debug, Clone)]
struct Opened {
    meta: ObjectMeta,
    /// Where it is a local file.
    file: Option<Arc<File>>,
}

impl ServedStore {
    /// The store behind `connection`.
    pub(super) fn new(connection: Connection) -> Self {
        Self { connection, open: Arc::default() }
    }

    fn opened(&self) -> MutexGuard<'_, HashMap<Path, Opened>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens an object. Blocks.
    fn open(&self, path: &Path) -> Result<Opened> {
        if let Some(known) = self.opened().get(path) {
            return Ok(known.clone());
        }
        let mut answer = self.ask(path, &Request::Open(path.to_string()))?;
        let object: Object = parse(&answer.payload).map_err(|error| failed(path, error))?;
        let file = answer.descriptors.pop().map(|descriptor| Arc::new(File::from(descriptor)));
        let opened = Opened { meta: ObjectMeta { location: path.clone(), ..object.meta()? }, file };
        if path.extension() == Some("parquet") {
            let mut open = self.opened();
            if open.len() >= OPEN_MAX {
                open.clear();
            }
            open.insert(path.clone(), opened.clone());
        }
        Ok(opened)
    }

    /// Reads a range of an object. Blocks.
    fn read(&self, path: &Path, opened: &Opened, range: Range<u64>) -> Result<Bytes> {
        let length = (range.end - range.start) as usize;
        let Some(file) = &opened.file else {
            let mut bytes = Vec::with_capacity(length);
            for part in parts(range) {
                bytes.extend(self.ask(path, &Request::Read(path.to_string(), part))?.payload);
            }
            return if bytes.len() == length {
                Ok(bytes.into())
            } else {
                Err(failed(path, "it is shorter than listed"))
            };
        };
        let mut bytes = vec![0; length];
        file.read_exact_at(&mut bytes, range.start).map_err(|error| failed(path, error))?;
        Ok(bytes.into())
    }

    /// Requests something of the server. Blocks.
    fn ask(&self, path: &Path, request: &Request) -> Result<Message> {
        let answer = self.connection.request(request).map_err(|error| failed(path, error))?;
        match answer.control().map_err(|error| failed(path, error))? {
            Response::Found => Ok(answer),
            Response::NotFound => {
                Err(Error::NotFound { path: path.to_string(), source: "the object does not exist".into() })
            }
        }
    }

    async fn objects(self, prefix: Path, request: Request) -> Result<Objects> {
        blocking(move || {
            let answer = self.ask(&prefix, &request)?;
            parse(&answer.payload).map_err(|error| failed(&prefix, error))
        })
        .await
    }
}

impl fmt::Display for ServedStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ServedStore")
    }
}

#[async_trait]
impl ObjectStore for ServedStore {
    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let (store, location) = (self.clone(), location.clone());
        blocking(move || {
            let opened = store.open(&location)?;
            options.check_preconditions(&opened.meta)?;
            let size = opened.meta.size;
            let range = match &options.range {
                Some(range) => range.as_range(size).map_err(|error| failed(&location, error))?,
                None => 0..size,
            };
            let bytes = if options.head { Bytes::new() } else { store.read(&location, &opened, range.clone())? };
            let payload = GetResultPayload::Stream(stream::once(async move { Ok(bytes) }).boxed());
            Ok(GetResult { payload, meta: opened.meta, range, attributes: object_store::Attributes::new() })
        })
        .await
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let prefix = prefix.cloned().unwrap_or_default();
        let objects = self.clone().objects(prefix.clone(), Request::List(prefix.to_string()));
        let metas =
            objects.map(|listed| listed.map(|listed| stream::iter(listed.objects.into_iter().map(Object::meta))));
        stream::once(metas).try_flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let prefix = prefix.cloned().unwrap_or_default();
        let listed = self.clone().objects(prefix.clone(), Request::ListFolder(prefix.to_string())).await?;
        let common_prefixes = listed.folders.iter().map(|folder| Ok(Path::parse(folder)?)).collect::<Result<_>>()?;
        let objects = listed.objects.into_iter().map(Object::meta).collect::<Result<_>>()?;
        Ok(ListResult { common_prefixes, objects })
    }

    async fn put_opts(&self, location: &Path, _: PutPayload, _: PutOptions) -> Result<PutResult> {
        Err(read_only(location))
    }

    async fn put_multipart_opts(&self, location: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        Err(read_only(location))
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        locations.map(|location| Err(read_only(&location?))).boxed()
    }

    async fn copy_opts(&self, _: &Path, to: &Path, _: CopyOptions) -> Result<()> {
        Err(read_only(to))
    }
}

/// A range as ranges that one request each may read.
fn parts(range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let end = range.end;
    range.step_by(READ_BYTES_MAX as usize).map(move |start| start..end.min(start + READ_BYTES_MAX))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await?
}

fn failed(path: &Path, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    let cause: Box<dyn std::error::Error + Send + Sync> = cause.into();
    Error::Generic { store: "server", source: format!("{path}: {cause}").into() }
}

fn read_only(path: &Path) -> Error {
    failed(path, "a worker only reads tables")
}

#[cfg(test)]
mod tests;
