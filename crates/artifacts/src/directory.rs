//! Folders as blobs: one blob per file, and a manifest with their paths.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;

use futures::{StreamExt, TryStreamExt, stream};
use perennial_core::blob::{MANIFEST_FILES_MAX, Manifest, ManifestFile};
use perennial_core::path::RelativePath;

use crate::blobs::{Blobs, LinkMode, blocking};
use crate::error::{Error, Result};

/// A file in a folder, before it is stored.
struct FoundFile {
    path: RelativePath,
    /// The file with its bytes; for a link, its target.
    source: PathBuf,
    is_executable: bool,
}

/// Stores the files in `folder`, several at a time, then the manifest.
pub(crate) async fn put(blobs: &Blobs, folder: &Path) -> Result<Manifest> {
    let root = folder.to_owned();
    let found = blocking(move || list_files(&root)).await?;
    let files: Vec<ManifestFile> = stream::iter(found)
        .map(|FoundFile { path, source, is_executable }| async move {
            let blob = blobs.put_file(&source).await?;
            Ok::<_, Error>(ManifestFile { path, blob, is_executable })
        })
        .buffer_unordered(concurrency())
        .try_collect()
        .await?;
    let manifest = Manifest::new(files)?;
    blobs.put_bytes(manifest.text()).await?;
    Ok(manifest)
}

/// Materializes the manifest's files in `to`.
pub(crate) async fn materialize(blobs: &Blobs, manifest: &Manifest, to: &Path, mode: LinkMode) -> Result<()> {
    let (root, shape) = (to.to_owned(), manifest.clone());
    blocking(move || create_folders(&root, &shape)).await?;
    stream::iter(manifest.files().to_vec())
        .map(|file| async move {
            let path = to.join(&file.path);
            // A hard link would share the blob's mode, so an executable file is copied.
            let mode = if file.is_executable { LinkMode::Copy } else { mode };
            blobs.materialize(file.blob.digest, &path, mode).await?;
            if file.is_executable {
                tokio::fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).await.map_err(Error::io(&path))?;
            }
            Ok(())
        })
        .buffer_unordered(concurrency())
        .try_collect()
        .await
}

/// The number of files that are processed concurrently.
fn concurrency() -> usize {
    available_parallelism().map_or(2, |cores| 2 * cores.get())
}

/// All files below `root`; an entry that cannot be stored is an error.
fn list_files(root: &Path) -> Result<Vec<FoundFile>> {
    let root = fs::canonicalize(root).map_err(Error::io(root))?;
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(Error::io(&folder))? {
            let entry = entry.map_err(Error::io(&folder))?.path();
            let metadata = fs::symlink_metadata(&entry).map_err(Error::io(&entry))?;
            if metadata.is_dir() {
                folders.push(entry);
                continue;
            }
            found.push(inspect(&root, &entry, &metadata)?);
            if found.len() > MANIFEST_FILES_MAX {
                return Err(Error::Refused { path: root, reason: "it has more than 100000 files" });
            }
        }
    }
    Ok(found)
}

/// Resolves one entry to a regular file inside `root`.
fn inspect(root: &Path, entry: &Path, metadata: &fs::Metadata) -> Result<FoundFile> {
    let refuse = |reason| Error::Refused { path: entry.to_owned(), reason };
    let below = entry.strip_prefix(root).map_err(|_| refuse("it is not in the folder"))?;
    let path: RelativePath = below.to_str().ok_or_else(|| refuse("its name is not UTF-8"))?.parse()?;
    let (source, metadata) = if metadata.is_symlink() {
        let target = fs::canonicalize(entry).map_err(|_| refuse("it is a broken link"))?;
        if !target.starts_with(root) {
            return Err(refuse("it is a link to a file outside the folder"));
        }
        let metadata = fs::metadata(&target).map_err(Error::io(&target))?;
        (target, metadata)
    } else {
        (entry.to_owned(), metadata.clone())
    };
    if !metadata.is_file() {
        return Err(refuse("it is neither a file nor a link to a file"));
    }
    Ok(FoundFile { path, source, is_executable: metadata.permissions().mode() & 0o111 != 0 })
}

/// Creates the folders of the manifest's files; none of them may be a link.
fn create_folders(root: &Path, manifest: &Manifest) -> Result<()> {
    fs::create_dir_all(root).map_err(Error::io(root))?;
    let mut last = root.to_owned();
    for file in manifest.files() {
        let components: Vec<&str> = file.path.components().collect();
        let Some((_, parents)) = components.split_last() else {
            continue;
        };
        let folder: PathBuf = root.join(parents.iter().collect::<PathBuf>());
        if folder == last {
            continue;
        }
        let mut path = root.to_owned();
        for component in parents {
            path.push(component);
            match fs::symlink_metadata(&path) {
                Ok(metadata) if metadata.is_dir() => {}
                Ok(_) => {
                    return Err(Error::Refused { path, reason: "expected a folder, not a file or link" });
                }
                Err(_) => fs::create_dir(&path).map_err(Error::io(&path))?,
            }
        }
        last = folder;
    }
    Ok(())
}
