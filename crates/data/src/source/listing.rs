//! Which files a source offers, and their bytes.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use futures::{StreamExt, TryStreamExt};
use globset::{GlobBuilder, GlobMatcher};
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, path::Path as StorePath};
use perennial_core::port::data::{FilesSource, SourceFile};
use url::Url;

use super::LocalFile;
use crate::error::{Error, Result};
use crate::place;
use crate::store::{remote, url_of};

#[cfg(test)]
mod tests;

/// Files one source may offer.
const FILES_MAX: usize = 100_000;
/// Depth of folders a glob looks into.
const DEPTH_MAX: usize = 32;
/// Bytes read at once when hashing.
const CHUNK_BYTES: usize = 1 << 20;

/// Gives access to the files of sources.
#[derive(Debug, Clone)]
pub(crate) struct Sources {
    root: PathBuf,
}

/// The files that a relative glob offers below `root`, ordered by path: what a source declared there would load.
pub fn files_below(root: &Path, glob: &str) -> perennial_core::Result<Vec<SourceFile>> {
    Ok(ordered(glob, list_local(root, glob)?)?)
}

impl Sources {
    /// Relative sources lie below `root`, unless a source has a root of its own, and never outside.
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    fn root_of<'a>(&'a self, source: &'a FilesSource) -> &'a Path {
        source.root.as_deref().unwrap_or(&self.root)
    }

    /// The files that `source` offers now, ordered by path.
    pub(crate) async fn list(&self, source: &FilesSource) -> Result<Vec<SourceFile>> {
        let files = match url_of(&source.files)? {
            Some(url) => list_remote(&url).await?,
            None => list_local(self.root_of(source), &source.files)?,
        };
        ordered(&source.files, files)
    }

    /// BLAKE3 of a file's content.
    pub(crate) async fn fingerprint(&self, source: &FilesSource, path: &str) -> Result<String> {
        let mut hasher = blake3::Hasher::new();
        if let Some(url) = url_of(&source.files)? {
            let (store, key) = remote_file(&url, path)?;
            let mut chunks = store.get(&key).await.map_err(|cause| unread(path, cause))?.into_stream();
            while let Some(chunk) = chunks.try_next().await.map_err(|cause| unread(path, cause))? {
                hasher.update(&chunk);
            }
        } else {
            let place = place::inside(self.root_of(source), path)?;
            let failed = |cause: std::io::Error| Error::storage(format!("reading `{path}`"), cause);
            let mut file = File::open(place).map_err(failed)?;
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

    /// The files at `paths` on the local disk; those of an object store are fetched into `folder`.
    pub(crate) async fn fetch(
        &self,
        source: &FilesSource,
        listed: &[SourceFile],
        folder: &Path,
    ) -> Result<Vec<LocalFile>> {
        let url = url_of(&source.files)?;
        let mut files = Vec::with_capacity(listed.len());
        for (index, SourceFile { path, .. }) in listed.iter().enumerate() {
            let place = match &url {
                None => place::inside(self.root_of(source), path)?,
                Some(url) => {
                    let place = folder.join(format!("source-{index}"));
                    download(url, path, &place).await?;
                    place
                }
            };
            files.push(LocalFile { path: place, label: Arc::from(path.as_str()) });
        }
        Ok(files)
    }

    /// Sees that files still look as they did when they were listed.
    pub(crate) async fn unmoved(&self, source: &FilesSource, listed: &[SourceFile]) -> Result<()> {
        let url = url_of(&source.files)?;
        for file in listed {
            let is_same = match &url {
                Some(url) => {
                    let (store, key) = remote_file(url, &file.path)?;
                    let object = store.head(&key).await.map_err(|cause| unread(&file.path, cause))?;
                    is_same_object(&remote_look(object), file)
                }
                None => {
                    let metadata = std::fs::metadata(self.root_of(source).join(&file.path));
                    let failed = |cause| Error::storage(format!("reading `{}`", file.path), cause);
                    local_look(file.path.clone(), &metadata.map_err(failed)?) == *file
                }
            };
            if !is_same {
                return Err(Error::Moving(file.path.clone()));
            }
        }
        Ok(())
    }
}

/// Whether an object looks as it did when it was listed. Some stores list times more finely than they
/// tell them of one object: the tag decides, and where there is none the second.
fn is_same_object(now: &SourceFile, listed: &SourceFile) -> bool {
    let second = |file: &SourceFile| file.modified_ns.map(|ns| ns.div_euclid(1_000_000_000));
    let is_same = match (&now.etag, &listed.etag) {
        (Some(now), Some(listed)) => now == listed,
        _ => second(now) == second(listed),
    };
    is_same && now.size_bytes == listed.size_bytes
}

fn local_look(path: String, metadata: &std::fs::Metadata) -> SourceFile {
    let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    SourceFile {
        path,
        size_bytes: metadata.len(),
        modified_ns: modified.map(|time| time.as_nanos() as i128),
        etag: None,
    }
}

fn remote_look(object: ObjectMeta) -> SourceFile {
    SourceFile {
        path: object.location.to_string(),
        size_bytes: object.size,
        modified_ns: object.last_modified.timestamp_nanos_opt().map(i128::from),
        etag: object.e_tag,
    }
}

fn ordered(glob: &str, mut files: Vec<SourceFile>) -> Result<Vec<SourceFile>> {
    if files.len() > FILES_MAX {
        return Err(Error::Limit(format!("`{glob}` offers {} files: at most {FILES_MAX} are taken", files.len())));
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn list_local(root: &Path, glob: &str) -> Result<Vec<SourceFile>> {
    place::relative(glob)?;
    let glob = glob.strip_prefix("./").unwrap_or(glob);
    let finds_hidden = glob.split('/').any(|part| part.starts_with('.'));
    let pattern = Pattern { matcher: matcher(glob)?, finds_hidden };
    let fixed = fixed_folder(glob);
    let mut files = Vec::new();
    if root.join(&fixed).exists() {
        place::inside(root, if fixed.is_empty() { "." } else { &fixed })?;
        walk(root, &fixed, &pattern, 0, &mut files)?;
    }
    Ok(files)
}

/// What a walk looks for.
struct Pattern {
    matcher: GlobMatcher,
    /// As in a shell: nothing whose name begins with a dot, unless the glob names such a thing.
    finds_hidden: bool,
}

fn walk(root: &Path, folder: &str, pattern: &Pattern, depth: usize, files: &mut Vec<SourceFile>) -> Result<()> {
    let failed = |cause: std::io::Error| Error::storage(format!("listing `{folder}`"), cause);
    for entry in std::fs::read_dir(root.join(folder)).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
        if name.starts_with('.') && !pattern.finds_hidden {
            continue;
        }
        let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
        // Follows links; one that points to nothing is passed over.
        let Ok(metadata) = std::fs::metadata(entry.path()) else { continue };
        if metadata.is_dir() {
            // A linked folder would lead out or in circles.
            if depth < DEPTH_MAX && !entry.file_type().map_err(failed)?.is_symlink() {
                walk(root, &path, pattern, depth + 1, files)?;
            }
        } else if pattern.matcher.is_match(&path) {
            place::inside(root, &path)?;
            files.push(local_look(path, &metadata));
            if files.len() > FILES_MAX {
                return Ok(());
            }
        }
    }
    Ok(())
}

async fn list_remote(url: &Url) -> Result<Vec<SourceFile>> {
    let store = remote(url)?;
    let glob = key_of(url)?;
    let matcher = matcher(&glob)?;
    let fixed = fixed_folder(&glob);
    let failed = |cause: object_store::Error| Error::storage(format!("listing `{url}`"), cause);
    let prefix = StorePath::parse(&fixed).map_err(|cause| Error::Argument(format!("`{url}` is no place: {cause}")))?;
    let mut objects = store.inner.list((!fixed.is_empty()).then_some(&prefix)).take(FILES_MAX * 10);
    let mut files = Vec::new();
    while let Some(object) = objects.try_next().await.map_err(failed)? {
        if matcher.is_match(object.location.as_ref()) {
            files.push(remote_look(object));
        }
    }
    Ok(files)
}

/// A file of a remote source; only files that its glob offers.
fn remote_file(url: &Url, path: &str) -> Result<(Arc<dyn ObjectStore>, StorePath)> {
    if !matcher(&key_of(url)?)?.is_match(path) {
        return Err(Error::Argument(format!("`{path}` is no file of the source `{url}`")));
    }
    let key = StorePath::parse(path).map_err(|cause| Error::Argument(format!("`{path}` is no place: {cause}")))?;
    Ok((remote(url)?.inner, key))
}

async fn download(url: &Url, path: &str, place: &Path) -> Result<()> {
    let (store, key) = remote_file(url, path)?;
    let failed = |cause: std::io::Error| Error::storage(format!("fetching `{path}` to `{}`", place.display()), cause);
    let mut chunks = store.get(&key).await.map_err(|cause| unread(path, cause))?.into_stream();
    let mut file = File::create(place).map_err(failed)?;
    while let Some(chunk) = chunks.try_next().await.map_err(|cause| unread(path, cause))? {
        file.write_all(&chunk).map_err(failed)?;
    }
    Ok(())
}

fn unread(path: &str, cause: object_store::Error) -> Error {
    match cause {
        object_store::Error::NotFound { .. } => Error::NotFound { noun: "source file", name: path.to_owned() },
        cause => Error::storage(format!("reading `{path}`"), cause),
    }
}

/// The glob in a URL's path, as written.
fn key_of(url: &Url) -> Result<String> {
    let key = url.path().trim_start_matches('/').replace("%7B", "{").replace("%7D", "}").replace("%20", " ");
    place::relative(&key)?;
    Ok(key)
}

fn matcher(glob: &str) -> Result<GlobMatcher> {
    let built = GlobBuilder::new(glob).literal_separator(true).build();
    Ok(built.map_err(|cause| Error::Argument(format!("`{glob}` is no glob: {cause}")))?.compile_matcher())
}

/// The folders at the beginning of a glob that hold no pattern.
fn fixed_folder(glob: &str) -> String {
    let parts: Vec<&str> = glob.split('/').collect();
    let fixed = parts[..parts.len() - 1].iter().take_while(|part| !part.contains(['*', '?', '[', '{']));
    fixed.copied().collect::<Vec<_>>().join("/")
}
