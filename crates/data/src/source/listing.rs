//! Lists the files of a source, and reads their bytes.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use futures::{StreamExt, TryStreamExt};
use globset::{GlobBuilder, GlobMatcher};
use object_store::{GetOptions, ObjectMeta, ObjectStore, ObjectStoreExt, path::Path as StorePath};
use perennial_core::object_url::ObjectUrl;
use perennial_core::port::data::{FilesSource, Listing, SourceFile, SourceFolder};

use super::LocalFile;
use crate::error::{Error, Result};
use crate::location;
use crate::store::{object_url, remote};

#[cfg(test)]
mod tests;

/// The most files of a source.
const FILES_MAX: usize = 100_000;
/// The depth of folders that a glob descends into.
const DEPTH_MAX: usize = 32;
/// The number of bytes read at once for hashing.
const CHUNK_BYTES: usize = 1 << 20;

/// The files of sources.
#[derive(Debug, Clone)]
pub(crate) struct Sources {
    root: PathBuf,
    /// The folders of the server's own data, canonical.
    reserved: Arc<[PathBuf]>,
    /// Whether the server opens the listed files, and verifies that they are unchanged: in a worker.
    is_served: bool,
}

/// The files in `root` that a relative glob matches, ordered by path, as a source there would list them.
pub fn files_below(root: &Path, glob: &str) -> perennial_core::Result<Vec<SourceFile>> {
    Ok(sorted(glob, list_local(root, glob, &[])?)?.files)
}

impl Sources {
    /// Relative sources are resolved in `root`, unless a source has a root of its own; they cannot leave it, and read
    /// nothing in the `reserved` folders, which exist.
    pub(crate) fn new(root: PathBuf, reserved: &[PathBuf]) -> Result<Self> {
        let canonical = |folder: &PathBuf| {
            folder
                .canonicalize()
                .map_err(|cause| Error::storage(format!("opening the folder `{}`", folder.display()), cause))
        };
        Ok(Self { root, reserved: reserved.iter().map(canonical).collect::<Result<_>>()?, is_served: false })
    }

    /// Files that the server opens by their place in the list.
    pub(crate) fn served() -> Self {
        Self { root: PathBuf::new(), reserved: Arc::default(), is_served: true }
    }

    fn root_of<'a>(&'a self, source: &'a FilesSource) -> &'a Path {
        source.root.as_deref().unwrap_or(&self.root)
    }

    /// The files and folders that `source` has now.
    pub(crate) async fn list(&self, source: &FilesSource) -> Result<Listing> {
        let listing = match url_of(source)? {
            Some(url) => Listing { files: list_remote(&url).await?, folders: Vec::new() },
            None => list_local(self.root_of(source), &source.files, &self.reserved)?,
        };
        sorted(&source.files, listing)
    }

    /// Whether a folder of a listing has changed since, or is gone.
    pub(crate) fn folders_changed(&self, source: &FilesSource, folders: &[SourceFolder]) -> bool {
        let root = self.root_of(source);
        folders.iter().any(|folder| {
            let metadata = std::fs::metadata(root.join(&folder.path));
            metadata.map_or(true, |metadata| modified_ns(&metadata) != folder.modified_ns)
        })
    }

    /// BLAKE3 of a file's content, up to `bytes`.
    pub(crate) async fn fingerprint(&self, source: &FilesSource, path: &str, bytes: Option<u64>) -> Result<String> {
        let mut hasher = blake3::Hasher::new();
        if let Some(url) = url_of(source)? {
            let (store, key) = remote_file(&url, path)?;
            let options = GetOptions { range: bytes.map(|bytes| (0..bytes).into()), ..GetOptions::default() };
            let read = store.get_opts(&key, options).await.map_err(|cause| read_error(path, cause))?;
            let mut chunks = read.into_stream();
            while let Some(chunk) = chunks.try_next().await.map_err(|cause| read_error(path, cause))? {
                hasher.update(&chunk);
            }
        } else {
            let file = resolve(self.root_of(source), path, &self.reserved)?;
            let failed = |cause: std::io::Error| Error::storage(format!("reading `{path}`"), cause);
            let mut file = File::open(file).map_err(failed)?.take(bytes.unwrap_or(u64::MAX));
            let mut chunk = vec![0; CHUNK_BYTES];
            loop {
                let read = file.read(&mut chunk).map_err(failed)?;
                if read == 0 {
                    break;
                }
                hasher.update(&chunk[..read]);
            }
        }
        Ok(hasher.finalize().to_hex().to_string())
    }

    /// The listed files as local files; those of an object store are downloaded into `folder`.
    pub(crate) async fn fetch(
        &self,
        source: &FilesSource,
        listed: &[SourceFile],
        folder: &Path,
    ) -> Result<Vec<LocalFile>> {
        if self.is_served {
            let file = |(index, file): (usize, &SourceFile)| LocalFile {
                path: PathBuf::from(index.to_string()),
                label: Arc::from(file.path.as_str()),
            };
            return Ok(listed.iter().enumerate().map(file).collect());
        }
        let url = url_of(source)?;
        let mut files = Vec::with_capacity(listed.len());
        for (index, SourceFile { path, .. }) in listed.iter().enumerate() {
            let local = match &url {
                None => resolve(self.root_of(source), path, &self.reserved)?,
                Some(url) => {
                    let target = folder.join(format!("source-{index}"));
                    download(url, path, &target).await?;
                    target
                }
            };
            files.push(LocalFile { path: local, label: Arc::from(path.as_str()) });
        }
        Ok(files)
    }

    /// Verifies that files have the same size, time and tag as when they were listed.
    pub(crate) async fn verify_unchanged(&self, source: &FilesSource, listed: &[SourceFile]) -> Result<()> {
        if self.is_served {
            return Ok(());
        }
        let url = url_of(source)?;
        for file in listed {
            let is_same = match &url {
                Some(url) => {
                    let (store, key) = remote_file(url, &file.path)?;
                    let object = store.head(&key).await.map_err(|cause| read_error(&file.path, cause))?;
                    is_same_object(&remote_metadata(object), file)
                }
                None => {
                    let metadata = std::fs::metadata(self.root_of(source).join(&file.path));
                    let failed = |cause| Error::storage(format!("reading `{}`", file.path), cause);
                    local_metadata(file.path.clone(), &metadata.map_err(failed)?) == *file
                }
            };
            if !is_same {
                return Err(Error::FileChanged(file.path.clone()));
            }
        }
        Ok(())
    }
}

/// Whether an object is unchanged since it was listed. Some stores list times with a finer resolution than they report
/// for one object: the tag decides, or without one the second.
fn is_same_object(now: &SourceFile, listed: &SourceFile) -> bool {
    let second = |file: &SourceFile| file.modified_ns.map(|ns| ns.div_euclid(1_000_000_000));
    let is_same = match (&now.etag, &listed.etag) {
        (Some(now), Some(listed)) => now == listed,
        _ => second(now) == second(listed),
    };
    is_same && now.size_bytes == listed.size_bytes
}

fn local_metadata(path: String, metadata: &std::fs::Metadata) -> SourceFile {
    SourceFile { path, size_bytes: metadata.len(), modified_ns: modified_ns(metadata), etag: None }
}

/// The time of the last change, epoch nanoseconds, if the file system reports one.
fn modified_ns(metadata: &std::fs::Metadata) -> Option<i128> {
    let modified = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(modified.as_nanos() as i128)
}

fn remote_metadata(object: ObjectMeta) -> SourceFile {
    SourceFile {
        path: object.location.to_string(),
        size_bytes: object.size,
        modified_ns: object.last_modified.timestamp_nanos_opt().map(i128::from),
        etag: object.e_tag,
    }
}

fn sorted(glob: &str, mut listing: Listing) -> Result<Listing> {
    let files = &mut listing.files;
    if files.len() > FILES_MAX {
        return Err(Error::Limit(format!("`{glob}` matches {} files, expected at most {FILES_MAX}", files.len())));
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(listing)
}

/// The URL of a source in an object store; `None` when its files are local.
fn url_of(source: &FilesSource) -> Result<Option<ObjectUrl>> {
    ObjectUrl::is_url(&source.files).then(|| object_url(&source.files)).transpose()
}

/// The local file of a source; an error when it is outside of its folder, or in a reserved one.
fn resolve(root: &Path, path: &str, reserved: &[PathBuf]) -> Result<PathBuf> {
    let file = location::resolve_inside(root, path)?;
    if is_reserved(root, &file, reserved) {
        return Err(Error::Argument(format!(
            "`{}` is the server's own data, which no source reads",
            path.escape_debug()
        )));
    }
    Ok(file)
}

/// Whether a canonical path of a source is in a reserved folder. An uploaded folder of sources is in one itself.
fn is_reserved(root: &Path, path: &Path, reserved: &[PathBuf]) -> bool {
    let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
    reserved.iter().any(|folder| path.starts_with(folder) && !root.starts_with(folder))
}

fn list_local(root: &Path, glob: &str, reserved: &[PathBuf]) -> Result<Listing> {
    location::validate_relative(glob)?;
    let glob = glob.strip_prefix("./").unwrap_or(glob);
    let matches_hidden = glob.split('/').any(|part| part.starts_with('.'));
    let pattern = Pattern { matcher: matcher(glob)?, matches_hidden, depth_max: depth_max(glob), reserved };
    let fixed = fixed_folder(glob);
    let mut listing = Listing::default();
    if root.join(&fixed).exists() {
        resolve(root, if fixed.is_empty() { "." } else { &fixed }, reserved)?;
        walk(root, &fixed, &pattern, &mut listing)?;
    }
    Ok(listing)
}

/// The files that a walk finds.
struct Pattern<'a> {
    matcher: GlobMatcher,
    /// The folders of the server's own data, which are left out.
    reserved: &'a [PathBuf],
    /// Whether hidden files match: as in a shell, only if the glob names one.
    matches_hidden: bool,
    /// The depth of the deepest folder that can have a matching file; 0 is the root.
    depth_max: usize,
}

fn walk(root: &Path, folder: &str, pattern: &Pattern<'_>, listing: &mut Listing) -> Result<()> {
    let failed = |cause: std::io::Error| Error::storage(format!("listing `{folder}`"), cause);
    let local = root.join(folder);
    // Read before the entries: a later change of the folder is seen as one.
    let modified_ns = modified_ns(&std::fs::metadata(&local).map_err(failed)?);
    listing.folders.push(SourceFolder { path: folder.to_owned(), modified_ns });
    let depth = folder.split('/').filter(|part| !part.is_empty()).count();
    for entry in std::fs::read_dir(local).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
        if name.starts_with('.') && !pattern.matches_hidden {
            continue;
        }
        let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
        // Follows links, and skips broken ones.
        let Ok(metadata) = std::fs::metadata(entry.path()) else { continue };
        if metadata.is_dir() {
            // A linked folder could lead outside or into a cycle.
            let is_linked = entry.file_type().map_err(failed)?.is_symlink();
            if depth < pattern.depth_max && !is_linked && !is_reserved_folder(&entry.path(), root, pattern) {
                walk(root, &path, pattern, listing)?;
            }
        } else if pattern.matcher.is_match(&path) {
            resolve(root, &path, pattern.reserved)?;
            listing.files.push(local_metadata(path, &metadata));
        }
        if listing.files.len() > FILES_MAX {
            return Ok(());
        }
    }
    Ok(())
}

/// Whether a folder is one of the server's own data.
fn is_reserved_folder(folder: &Path, root: &Path, pattern: &Pattern<'_>) -> bool {
    !pattern.reserved.is_empty()
        && folder.canonicalize().is_ok_and(|folder| is_reserved(root, &folder, pattern.reserved))
}

async fn list_remote(url: &ObjectUrl) -> Result<Vec<SourceFile>> {
    let store = remote(url)?;
    let matcher = matcher(url.key())?;
    let fixed = url.folder();
    let fixed = fixed.key();
    let failed = |cause: object_store::Error| Error::storage(format!("listing `{url}`"), cause);
    let prefix =
        StorePath::parse(fixed).map_err(|cause| Error::Argument(format!("`{url}` is not a valid URL: {cause}")))?;
    let mut objects = store.inner.list((!fixed.is_empty()).then_some(&prefix)).take(FILES_MAX * 10);
    let mut files = Vec::new();
    while let Some(object) = objects.try_next().await.map_err(failed)? {
        if matcher.is_match(object.location.as_ref()) {
            files.push(remote_metadata(object));
        }
    }
    Ok(files)
}

/// A file of a remote source; an error unless the source's glob matches it.
fn remote_file(url: &ObjectUrl, path: &str) -> Result<(Arc<dyn ObjectStore>, StorePath)> {
    if !matcher(url.key())?.is_match(path) {
        return Err(Error::Argument(format!("`{path}` is not a file of the source `{url}`")));
    }
    let key =
        StorePath::parse(path).map_err(|cause| Error::Argument(format!("`{path}` is not a valid path: {cause}")))?;
    Ok((remote(url)?.inner, key))
}

async fn download(url: &ObjectUrl, path: &str, target: &Path) -> Result<()> {
    let (store, key) = remote_file(url, path)?;
    let failed =
        |cause: std::io::Error| Error::storage(format!("downloading `{path}` to `{}`", target.display()), cause);
    let mut chunks = store.get(&key).await.map_err(|cause| read_error(path, cause))?.into_stream();
    let mut file = File::create(target).map_err(failed)?;
    while let Some(chunk) = chunks.try_next().await.map_err(|cause| read_error(path, cause))? {
        file.write_all(&chunk).map_err(failed)?;
    }
    Ok(())
}

fn read_error(path: &str, cause: object_store::Error) -> Error {
    match cause {
        object_store::Error::NotFound { .. } => Error::NotFound { noun: "source file", name: path.to_owned() },
        cause => Error::storage(format!("reading `{path}`"), cause),
    }
}

fn matcher(glob: &str) -> Result<GlobMatcher> {
    let built = GlobBuilder::new(glob).literal_separator(true).build();
    Ok(built.map_err(|cause| Error::Argument(format!("`{glob}` is not a valid glob: {cause}")))?.compile_matcher())
}

/// The depth of the deepest folder that can have a file that the glob matches. Without `**`, each `/` of a path is one of
/// the glob.
fn depth_max(glob: &str) -> usize {
    if glob.contains("**") { DEPTH_MAX } else { glob.matches('/').count().min(DEPTH_MAX) }
}

/// The leading folders of a glob that have no pattern.
fn fixed_folder(glob: &str) -> String {
    let parts: Vec<&str> = glob.split('/').collect();
    let fixed = parts[..parts.len() - 1].iter().take_while(|part| !part.contains(['*', '?', '[', '{']));
    fixed.copied().collect::<Vec<_>>().join("/")
}
