//! The project file and the files it declares, below a folder of this server or as a client describes them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use perennial_config::{FILE_BYTES_MAX, FILE_NAME, Files, declared_files_in};
use perennial_core::path::RelativePath;
use perennial_core::permission::Permission;
use perennial_core::port::data::{FilesSource, LocalTime, SourceFile};
use perennial_core::{Error, ErrorCode, Result};
use perennial_kernel::{Caller, Kernel};

use crate::source_grants;
use crate::state::ProjectState;
use crate::submission::{DeclaredFiles, Submission};

/// The largest declared file that is stored as text with the project file, in bytes.
const TEXT_BYTES_MAX: u64 = 1024 * 1024;

/// Files below a folder of this server, by relative path.
struct RootFiles {
    root: PathBuf,
    declared: DeclaredFiles,
}

impl RootFiles {
    fn place(&self, path: &str) -> Option<PathBuf> {
        let relative: RelativePath = path.parse().ok()?;
        Some(self.root.join(relative.as_str()))
    }
}

impl Files for RootFiles {
    fn exists(&self, path: &str) -> bool {
        self.place(path).is_some_and(|file| file.is_file())
    }

    fn read(&self, path: &str) -> Option<String> {
        let bytes = read_bounded(&self.place(path)?, TEXT_BYTES_MAX).ok()??;
        String::from_utf8(bytes).ok()
    }

    fn any(&self, glob: &str) -> bool {
        self.declared.contains_key(glob)
    }
}

/// The declared files that exist, by path or glob as declared, with their text where validation needs it.
pub type DeclaredTexts = BTreeMap<String, Option<String>>;

/// Files that a client describes.
struct GivenFiles<'a>(&'a DeclaredTexts);

impl Files for GivenFiles<'_> {
    fn exists(&self, path: &str) -> bool {
        self.0.contains_key(path)
    }

    fn read(&self, path: &str) -> Option<String> {
        self.0.get(path)?.clone()
    }

    fn any(&self, glob: &str) -> bool {
        self.exists(glob)
    }
}

/// Validates a project file that a client sends as text. Nothing is stored, so every caller may ask.
pub(crate) fn check_text(caller: &Caller, text: String, files: &DeclaredTexts) -> Result<Submission> {
    let texts = files.iter().filter_map(|(path, text)| Some((path.clone(), text.clone()?))).collect();
    Submission::validate(&caller.kernel, text, BTreeMap::new(), texts, &GivenFiles(files))
}

/// Runs file operations on the blocking pool.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|panic| Error::internal("reading or writing a project's folder panicked", panic))?
}

/// The content of a file; `None` when it has more than `max_bytes`. At most one byte more is read. Blocks.
fn read_bounded(path: &Path, max_bytes: u64) -> std::io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(max_bytes + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= max_bytes).then_some(bytes))
}

/// The text of the project file in a folder of this server.
pub(crate) async fn read_text(root: &Path) -> Result<String> {
    let folder = root.to_owned();
    blocking(move || {
        let bytes = read_bounded(&folder.join(FILE_NAME), FILE_BYTES_MAX as u64).map_err(|cause| {
            Error::new(ErrorCode::ProjectFile, format!("`{FILE_NAME}` cannot be read in `{}`", folder.display()))
                .with_hint("`perennial init` starts a project here; `perennial init --example flights DIR` writes one to learn from")
                .with_source(cause)
        })?;
        let bytes = bytes.ok_or_else(|| {
            let message = format!("`{FILE_NAME}` is too large: expected at most {FILE_BYTES_MAX} bytes");
            Error::new(ErrorCode::TooLarge, message)
        })?;
        String::from_utf8(bytes).map_err(|cause| {
            Error::new(ErrorCode::ProjectFile, format!("`{FILE_NAME}` is not UTF-8")).with_source(cause)
        })
    })
    .await
}

/// Reads and validates the project file in a folder of this server, and stores every file it declares as a blob. The
/// caller has the permission to: the error holds parts of the file.
pub(crate) async fn read(kernel: &Arc<Kernel>, root: &Path) -> Result<Submission> {
    let text = read_text(root).await?;
    // Also of a file with mistakes: a declared file that is there must not be reported as missing beside them.
    let declared = declared_files_in(&text).into_iter().map(|file| file.path).collect::<BTreeSet<_>>();
    let (mut files, mut texts) = (DeclaredFiles::new(), BTreeMap::new());
    for declared in declared {
        let source = FilesSource {
            root: Some(root.to_owned()),
            files: declared.clone(),
            format: None,
            header: false,
            columns: Vec::new(),
            local_time: LocalTime::default(),
        };
        for SourceFile { path, .. } in kernel.data().list(&source).await?.files {
            let blobs = &kernel.services.blobs;
            let blob = blobs.put_file(&root.join(&path)).await?;
            // Of the blob, not of the file, which may change meanwhile.
            if blob.size_bytes <= TEXT_BYTES_MAX
                && let Ok(text) = String::from_utf8(blobs.get_bytes(blob.digest, TEXT_BYTES_MAX).await?)
            {
                texts.insert(path.clone(), text);
            }
            files.entry(declared.clone()).or_default().insert(path, blob.digest);
        }
    }
    let around = RootFiles { root: root.to_owned(), declared: files.clone() };
    let kernel = kernel.clone();
    blocking(move || Submission::validate(&kernel, text, files, texts, &around)).await
}

/// The validated project file in a folder of this server, which belongs to `project`.
pub(crate) async fn read_of(caller: &Caller, project: &ProjectState, root: &Path) -> Result<Submission> {
    caller.require(Permission::Write, project.id)?;
    let submission = read(&caller.kernel, root).await?;
    let name = &submission.project.project.name;
    if *name != project.name {
        let message = format!("the project file belongs to project `{name}`, expected `{}`", project.name);
        return Err(Error::new(ErrorCode::InvalidArgument, message));
    }
    source_grants::validate(caller, Some(project.id), &submission.project).await?;
    Ok(submission)
}
