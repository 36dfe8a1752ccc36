//! Artifacts of runs: blobs under paths.

use perennial_core::entity::Run;
pub use perennial_core::entity::RunArtifact;
use std::collections::BTreeMap;

use bytes::Bytes;
use futures::Stream;
use perennial_artifacts::BlobStream;
use perennial_core::blob::BlobDigest;
use perennial_core::id::RunId;
use perennial_core::path::RelativePath;
use perennial_core::state::Lifecycle;
use perennial_core::{Error, Result};
use perennial_store::run_artifacts as rows;

use super::check::refused;
use super::{limits, readable_run, sealer_for, writable_run};
use perennial_kernel::{ARTIFACT_ROOT, Caller, wrong_state};

/// Where an artifact is: a run, and a path in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactLocation {
    /// The run.
    pub run: RunId,
    /// The path below its artifacts; `None` is their root.
    pub path: Option<RelativePath>,
    /// What the run's `artifact_uri` has to be.
    uri: String,
}

/// A file or folder of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The last component of its path.
    pub name: String,
    /// Its size; `None` is a folder.
    pub size_bytes: Option<u64>,
}

impl ArtifactLocation {
    /// The location that a proxied path names: `<experiment>/<run>/artifacts[/<path>]`; `None` for any other path.
    pub fn parse(path: &RelativePath) -> Option<Self> {
        let parts: Vec<&str> = path.components().collect();
        let at = parts
            .windows(2)
            .position(|pair| pair[1] == "artifacts" && pair[0].len() == 32 && pair[0].parse::<RunId>().is_ok())?;
        let below = parts[at + 2..].join("/");
        Some(Self {
            run: parts[at].parse().ok()?,
            path: if below.is_empty() { None } else { Some(below.parse().ok()?) },
            uri: format!("{ARTIFACT_ROOT}/{}", parts[..at + 2].join("/")),
        })
    }

    /// A location in a run, by its path below the artifacts.
    fn in_run(run: &Run, path: Option<RelativePath>) -> Self {
        Self { run: run.run_id, path, uri: run.artifact_uri.clone() }
    }

    fn file(&self) -> Result<RelativePath> {
        self.path
            .clone()
            .ok_or_else(|| refused("Invalid path: the artifacts of a run are a folder, expected a file in it"))
    }

    fn belongs_to(&self, run: &Run) -> Result<()> {
        if run.artifact_uri == self.uri { Ok(()) } else { Err(Error::not_found("artifact folder", &self.uri)) }
    }
}

/// Keeps what `incoming` brings as the file at `place`, in place of one that was there.
pub async fn put<S>(caller: &Caller, place: ArtifactLocation, incoming: S) -> Result<()>
where
    S: Stream<Item = std::io::Result<Bytes>> + Send + Unpin,
{
    let path = place.file()?;
    let run = writable_run(caller, place.run).await?;
    place.belongs_to(&run)?;
    writable(&run)?;
    let blob = caller.kernel.services.blobs.put_stream(incoming, limits::ARTIFACT_BYTES_MAX).await?;
    let (id, sealer) = (run.run_id, sealer_for(caller, &run).await?);
    let artifact = RunArtifact {
        path: path.to_string(),
        blob_digest: blob.digest.to_string(),
        size_bytes: blob.size_bytes,
        updated_ms: caller.kernel.services.clock.wall_ms(),
    };
    caller
        .kernel
        .store()
        .write(move |tx| {
            Box::pin(async move {
                writable(&perennial_store::runs::get(tx, id).await?)?;
                if !rows::list(tx, id, &artifact.path).await?.is_empty() {
                    return Err(refused(format!("Invalid path: `{}` is a folder of the run", artifact.path)));
                }
                for (end, _) in artifact.path.match_indices('/') {
                    if rows::find(tx, id, &artifact.path[..end]).await?.is_some() {
                        return Err(refused(format!(
                            "Invalid path: `{}` is a file of the run and cannot contain files",
                            &artifact.path[..end]
                        )));
                    }
                }
                let run = rows::upsert(tx, id, &artifact).await?;
                sealer.written(tx, &run).await
            })
        })
        .await
}

/// The file at `place`; its bytes come from [`read`].
pub async fn get(caller: &Caller, place: &ArtifactLocation) -> Result<RunArtifact> {
    let path = place.file()?;
    let run = readable_run(caller, place.run).await?;
    place.belongs_to(&run)?;
    let mut reader = caller.kernel.store().read().await?;
    if let Some(found) = rows::find(&mut reader, run.run_id, path.as_str()).await? {
        return Ok(found);
    }
    if rows::list(&mut reader, run.run_id, path.as_str()).await?.is_empty() {
        return Err(Error::not_found("artifact", &path));
    }
    Err(refused(format!("Invalid path: `{path}` is a folder, expected a file")))
}

/// The bytes of a file, all of them or those of `range`.
pub async fn read(caller: &Caller, artifact: &RunArtifact, range: Option<std::ops::Range<u64>>) -> Result<BlobStream> {
    let digest: BlobDigest = artifact.blob_digest.parse()?;
    Ok(caller.kernel.services.blobs.get_stream(digest, range).await?)
}

/// What lies directly in a folder, by name; a file is listed as itself, and a folder that is not there is empty.
pub async fn list(caller: &Caller, place: &ArtifactLocation) -> Result<Vec<Listed>> {
    let run = readable_run(caller, place.run).await?;
    place.belongs_to(&run)?;
    listed(caller, place).await
}

/// What lies directly in a folder of a run, with the run.
pub async fn list_in(caller: &Caller, id: RunId, path: Option<RelativePath>) -> Result<(Run, Vec<Listed>)> {
    let run = readable_run(caller, id).await?;
    let place = ArtifactLocation::in_run(&run, path);
    let listed = listed(caller, &place).await?;
    Ok((run, listed))
}

async fn listed(caller: &Caller, place: &ArtifactLocation) -> Result<Vec<Listed>> {
    let folder = place.path.as_ref().map(RelativePath::as_str).unwrap_or_default();
    let mut reader = caller.kernel.store().read().await?;
    let mut entries: BTreeMap<String, Option<u64>> = BTreeMap::new();
    let skip = if folder.is_empty() { 0 } else { folder.len() + 1 };
    for artifact in rows::list(&mut reader, place.run, folder).await? {
        let below = &artifact.path[skip..];
        match below.split_once('/') {
            Some((name, _)) => entries.insert(name.to_owned(), None),
            None => entries.insert(below.to_owned(), Some(artifact.size_bytes)),
        };
    }
    if entries.is_empty()
        && !folder.is_empty()
        && let Some(file) = rows::find(&mut reader, place.run, folder).await?
    {
        let name = folder.rsplit('/').next().unwrap_or(folder);
        entries.insert(name.to_owned(), Some(file.size_bytes));
    }
    Ok(entries.into_iter().map(|(name, size_bytes)| Listed { name, size_bytes }).collect())
}

/// Removes a file or a folder with everything below it; one that is not there is no error.
pub async fn delete(caller: &Caller, place: ArtifactLocation) -> Result<()> {
    let path = place.file()?;
    let run = writable_run(caller, place.run).await?;
    place.belongs_to(&run)?;
    writable(&run)?;
    let (id, sealer) = (run.run_id, sealer_for(caller, &run).await?);
    caller
        .kernel
        .store()
        .write(move |tx| {
            Box::pin(async move {
                if rows::delete(tx, id, path.as_str()).await? == 0 {
                    return Ok(());
                }
                let run = perennial_store::runs::get(tx, id).await?;
                sealer.written(tx, &run).await
            })
        })
        .await
}

fn writable(run: &Run) -> Result<()> {
    if run.lifecycle == Lifecycle::Active {
        return Ok(());
    }
    Err(wrong_state(format!("run `{}` is deleted", run.run_id)).with_hint("restore it before writing to it"))
}
