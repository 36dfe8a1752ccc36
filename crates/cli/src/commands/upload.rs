//! Uploads a project folder to the team's server: the project file, the files that it declares, and the files of
//! its relative sources that have settled. Files are identified by content; those that the server has are not uploaded again.

mod settling;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt, stream};
use indicatif::{ProgressBar, ProgressStyle};
use perennial_config::{FILE_NAME, Project, declared_files_in};
use perennial_core::blob::{Blob, BlobDigest, Manifest, ManifestFile};
use perennial_core::{Error, ErrorCode};
use perennial_data::files_below;
use perennial_projects::uploads;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::client::{Client, ErrorResponse};

/// The greatest number of uploads at the same time.
const UPLOADS_MAX: usize = 4;

/// A project folder with its project file.
struct Folder<'a> {
    root: &'a Path,
    text: String,
    /// The parsed project file; `None` if it has mistakes, which the server reports.
    project: Option<Project>,
}

impl<'a> Folder<'a> {
    fn read(root: &'a Path) -> Result<Self> {
        let text = std::fs::read_to_string(root.join(FILE_NAME)).map_err(|cause| {
            Error::new(ErrorCode::ProjectFile, format!("cannot read `{FILE_NAME}` in `{}`", root.display()))
                .with_hint("`-C DIR` names the project folder; `perennial init` writes a new project")
                .with_source(cause)
        })?;
        let project = Project::parse(FILE_NAME, &text).ok();
        Ok(Self { root, text, project })
    }

    /// The declared files that exist, with the text of those that the server validates.
    fn declared(&self) -> Result<BTreeMap<String, Option<String>>> {
        let mut declared = BTreeMap::new();
        // Also of a file with mistakes: a declared file that is there must not be reported as missing beside them.
        for file in declared_files_in(&self.text) {
            if !files_below(self.root, &file.path)?.is_empty() {
                let text = file.is_sql.then(|| std::fs::read_to_string(self.root.join(&file.path)).ok()).flatten();
                declared.insert(file.path, text);
            }
        }
        Ok(declared)
    }

    /// The path and size of every file to upload.
    async fn files(&self) -> Result<BTreeMap<String, u64>> {
        let mut files = BTreeMap::from([(FILE_NAME.to_owned(), self.text.len() as u64)]);
        let Some(project) = &self.project else { return Ok(files) };
        let mut found = settling::settled_files(self.root, project).await?;
        for pattern in project.declared_files() {
            found.extend(files_below(self.root, pattern)?);
        }
        files.extend(found.into_iter().map(|file| (file.path, file.size_bytes)));
        let too_large = files.iter().find(|(_, size_bytes)| **size_bytes > uploads::FILE_BYTES_MAX);
        if let Some((path, size_bytes)) = too_large {
            let limit = uploads::FILE_BYTES_MAX;
            let message = format!("`{path}` has {size_bytes} bytes; the limit for uploads is {limit} bytes");
            return Err(Error::new(ErrorCode::TooLarge, message).with_hint(uploads::TOO_LARGE_HINT).into());
        }
        Ok(files)
    }
}

/// Lets the server validate the project file; gives its response.
pub(super) async fn check(client: &Client, root: &Path) -> Result<Value> {
    validate(client, &Folder::read(root)?, false).await
}

async fn validate(client: &Client, folder: &Folder<'_>, by_itself: bool) -> Result<Value> {
    let files = folder.declared()?;
    client.post("/api/v1/check", &json!({ "text": folder.text, "files": files, "by_itself": by_itself })).await
}

/// Uploads and submits the folder; gives the name of the project.
pub(super) async fn submit(client: &Client, root: &Path) -> Result<String> {
    let (name, folder) = upload_folder(client, root).await?;
    super::show_notes(&client.post(&format!("/api/v1/projects/{name}/submit"), &json!({ "folder": folder })).await?);
    Ok(name)
}

/// Uploads the folder and requests a plan for it, without submitting it; gives the response.
pub(super) async fn plan(client: &Client, root: &Path, steps: &[String]) -> Result<Value> {
    let (name, folder) = upload_folder(client, root).await?;
    client.post(&format!("/api/v1/projects/{name}/plan"), &json!({ "folder": folder, "steps": steps })).await
}

/// Uploads the files that the server does not have; gives the name of the project and the digest of the folder's
/// manifest. A project that does not exist is created.
async fn upload_folder(client: &Client, root: &Path) -> Result<(String, BlobDigest)> {
    let folder = Folder::read(root)?;
    // A mistake in the project file must be reported before a project is created.
    let validated = validate(client, &folder, true).await?;
    let name = validated.get("name").and_then(Value::as_str).context("the server did not name the project")?;
    let base = format!("/api/v1/projects/{name}");
    match client.get(&base).await {
        Ok(_) => {}
        Err(error) if status(&error) == Some(StatusCode::NOT_FOUND) => {
            client.post("/api/v1/projects", &json!({ "name": name })).await?;
        }
        Err(error) => return Err(error),
    }
    let (root, files) = (root.to_owned(), folder.files().await?);
    let listed = tokio::task::spawn_blocking(move || manifest(&root, &files)).await??;
    upload(client, &base, folder.root, &listed).await?;
    Ok((name.to_owned(), listed.digest()))
}

fn status(error: &anyhow::Error) -> Option<StatusCode> {
    error.downcast_ref::<ErrorResponse>().map(|response| response.status)
}

fn manifest(root: &Path, files: &BTreeMap<String, u64>) -> Result<Manifest> {
    let mut listed = Vec::with_capacity(files.len());
    for path in files.keys() {
        let context = || format!("cannot read `{path}`");
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(File::open(root.join(path)).with_context(context)?).with_context(context)?;
        let blob = Blob { digest: hasher.finalize().into(), size_bytes: hasher.count() };
        listed.push(ManifestFile { path: path.parse()?, blob, is_executable: false });
    }
    Ok(Manifest::new(listed)?)
}

/// Uploads the listed files that the server does not have, then the manifest.
async fn upload(client: &Client, base: &str, root: &Path, listed: &Manifest) -> Result<()> {
    let mut wanted: BTreeMap<BlobDigest, (PathBuf, u64)> = BTreeMap::new();
    for file in listed.files() {
        wanted.insert(file.blob.digest, (root.join(&file.path), file.blob.size_bytes));
    }
    let digests: Vec<BlobDigest> = wanted.keys().copied().collect();
    let mut missing = Vec::new();
    for part in digests.chunks(uploads::DIGESTS_MAX) {
        let answer = client.post(&format!("{base}/files/missing"), &json!({ "digests": part })).await?;
        for digest in answer.get("digests").and_then(Value::as_array).context("the server did not list digests")? {
            let digest: BlobDigest = digest.as_str().unwrap_or_default().parse()?;
            missing.push((
                digest,
                wanted.remove(&digest).context("the server requested a file that is not in the folder")?,
            ));
        }
    }
    let bar = progress(&missing);
    let uploads = missing.into_iter().map(|(digest, (place, size_bytes))| {
        let bar = &bar;
        async move {
            let file = tokio::fs::File::open(&place).await;
            let file = file.with_context(|| format!("cannot read {}", place.display()))?;
            client.put(&format!("{base}/files/{digest}"), reqwest::Body::from(file)).await?;
            bar.inc(size_bytes);
            anyhow::Ok(())
        }
    });
    stream::iter(uploads).buffer_unordered(UPLOADS_MAX).try_collect::<()>().await?;
    bar.finish_and_clear();
    client.put(&format!("{base}/files/{}", listed.digest()), reqwest::Body::from(listed.text())).await
}

fn progress(missing: &[(BlobDigest, (PathBuf, u64))]) -> ProgressBar {
    let bytes = missing.iter().map(|(_, (_, size_bytes))| size_bytes).sum();
    if !std::io::stderr().is_terminal() || bytes == 0 {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(bytes);
    if let Ok(style) = ProgressStyle::with_template("uploading {wide_bar} {bytes} of {total_bytes}, {eta} left") {
        bar.set_style(style);
    }
    bar
}
