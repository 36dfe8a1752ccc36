//! Folders: their files as blobs, their shape as a manifest.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;

use futures::{StreamExt, TryStreamExt, stream};
use perennial_core::blob::{MANIFEST_FILES_MAX, Manifest, ManifestFile};
use perennial_core::path::RelativePath;

use crate::blobs::{Blobs, Share, blocking};
use crate::error::{Error, Result};

/// One file found below a folder.
struct Found {
    path: RelativePath,
    /// Where its bytes are; elsewhere in the folder for a link.
    place: PathBuf,
    is_executable: bool,
}

/// Keeps the files below `folder`, several at a time, then the manifest.
pub(crate) async fn put(blobs: &Blobs, folder: &Path) -> Result<Manifest> {
    let root = folder.to_owned();
    let found = blocking(move || find(&root)).await?;
    let files: Vec<ManifestFile> = stream::iter(found)
        .map(|Found { path, place, is_executable }| async move {
            let blob = blobs.put_file(&place).await?;
            Ok::<_, Error>(ManifestFile { path, blob, is_executable })
        })
        .buffer_unordered(at_once())
        .try_collect()
        .await?;
    let manifest = Manifest::new(files)?;
    blobs.put_bytes(manifest.text()).await?;
    Ok(manifest)
}

/// Puts the manifest's files below `to`.
pub(crate) async fn materialize(blobs: &Blobs, manifest: &Manifest, to: &Path, share: Share) -> Result<()> {
    let (root, shape) = (to.to_owned(), manifest.clone());
    blocking(move || create_folders(&root, &shape)).await?;
    stream::iter(manifest.files().to_vec())
        .map(|file| async move {
            let place = to.join(&file.path);
            // A program's mode is not a blob's: it gets an inode of its own.
            let share = if file.is_executable { Share::Own } else { share };
            blobs.materialize(file.blob.digest, &place, share).await?;
            if file.is_executable {
                tokio::fs::set_permissions(&place, fs::Permissions::from_mode(0o755))
                    .await
                    .map_err(Error::io(&place))?;
            }
            Ok(())
        })
        .buffer_unordered(at_once())
        .try_collect()
        .await
}

/// Files worked on at the same time.
fn at_once() -> usize {
    available_parallelism().map_or(2, |cores| 2 * cores.get())
}

/// Every file below `root`, judged.
fn find(root: &Path) -> Result<Vec<Found>> {
    let root = fs::canonicalize(root).map_err(Error::io(root))?;
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(Error::io(&folder))? {
            let place = entry.map_err(Error::io(&folder))?.path();
            let metadata = fs::symlink_metadata(&place).map_err(Error::io(&place))?;
            if metadata.is_dir() {
                folders.push(place);
                continue;
            }
            found.push(judge(&root, &place, &metadata)?);
            if found.len() > MANIFEST_FILES_MAX {
                return Err(Error::Refused { path: root, why: "it has more than 100000 files" });
            }
        }
    }
    Ok(found)
}

fn judge(root: &Path, place: &Path, metadata: &fs::Metadata) -> Result<Found> {
    let refuse = |why| Error::Refused { path: place.to_owned(), why };
    let below = place.strip_prefix(root).map_err(|_| refuse("it is not in the folder"))?;
    let path: RelativePath = below.to_str().ok_or_else(|| refuse("its name is not UTF-8"))?.parse()?;
    let (place, metadata) = if metadata.is_symlink() {
        let target = fs::canonicalize(place).map_err(|_| refuse("it is a link to nothing"))?;
        if !target.starts_with(root) {
            return Err(refuse("it is a link out of the folder"));
        }
        let metadata = fs::metadata(&target).map_err(Error::io(&target))?;
        (target, metadata)
    } else {
        (place.to_owned(), metadata.clone())
    };
    if !metadata.is_file() {
        return Err(refuse("it is neither a file nor a link to one"));
    }
    Ok(Found { path, place, is_executable: metadata.permissions().mode() & 0o111 != 0 })
}

/// Makes the folders that the manifest's files need; none of them may be a link.
fn create_folders(root: &Path, manifest: &Manifest) -> Result<()> {
    fs::create_dir_all(root).map_err(Error::io(root))?;
    let mut last = root.to_owned();
    for file in manifest.files() {
        let components: Vec<&str> = file.path.components().collect();
        let Some((_, above)) = components.split_last() else {
            continue;
        };
        let folder: PathBuf = root.join(above.iter().collect::<PathBuf>());
        if folder == last {
            continue;
        }
        let mut step = root.to_owned();
        for component in above {
            step.push(component);
            match fs::symlink_metadata(&step) {
                Ok(metadata) if metadata.is_dir() => {}
                Ok(_) => {
                    return Err(Error::Refused { path: step, why: "expected a folder, not a file or link" });
                }
                Err(_) => fs::create_dir(&step).map_err(Error::io(&step))?,
            }
        }
        last = folder;
    }
    Ok(())
}
