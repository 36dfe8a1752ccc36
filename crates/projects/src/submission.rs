//! A submission: a snapshot of the project file and of every file it declares.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use perennial_config::{FILE_NAME, Files, Graph, Project, ValidationContext};
use perennial_core::blob::BlobDigest;
use perennial_core::name::StepName;
use perennial_core::{Error, ErrorCode, Result};
use perennial_kernel::Kernel;
use serde::{Deserialize, Serialize};

/// A project file with every file it declares, by content: what a pipeline run follows.
pub struct Submission {
    /// BLAKE3 over the project file and the declared files' names and contents.
    pub digest: String,
    /// The project file's text.
    pub text: String,
    /// The files found for each declared path or glob (SQL, code, requirements).
    pub files: DeclaredFiles,
    /// Their text, for those that are text and small.
    pub texts: BTreeMap<String, String>,
    /// The uploaded folder of the relative sources; `None` when they are in the server's own folder. Not part of the
    /// digest.
    pub folder: Option<BlobDigest>,
    /// The validated project.
    pub project: Project,
    /// The inputs and outputs of each step, with the tables of its SQL.
    pub graph: Graph,
    /// The project's timezone.
    pub zone: TimeZone,
}

/// The files that were found, by path, for each path or glob as it is declared.
pub type DeclaredFiles = BTreeMap<String, BTreeMap<String, BlobDigest>>;

/// The stored form of a submission.
#[derive(Serialize, Deserialize)]
struct Body {
    text: String,
    files: DeclaredFiles,
    texts: BTreeMap<String, String>,
    #[serde(default)]
    folder: Option<BlobDigest>,
}

impl Submission {
    /// Validates a project file with the files it declares. `texts` holds those that are UTF-8.
    pub fn validate(
        kernel: &Kernel,
        text: String,
        files: DeclaredFiles,
        texts: BTreeMap<String, String>,
        around: &dyn Files,
    ) -> Result<Self> {
        let context = ValidationContext { files: around, trainers: kernel.services.trainers, sql: kernel.data() };
        let project = Project::validate(FILE_NAME, &text, &context).map_err(|diagnostics| {
            Error::new(ErrorCode::ProjectFile, format!("`{FILE_NAME}` is not valid")).with_source(diagnostics)
        })?;
        Self::assemble(kernel, text, files, texts, project)
    }

    /// A stored submission, which was validated when it was submitted.
    pub(crate) fn restore(kernel: &Kernel, digest: &str, body: &str) -> Result<Self> {
        let body: Body = serde_json::from_str(body)
            .map_err(|cause| Error::internal(format!("cannot parse the stored project file `{digest}`"), cause))?;
        let project = Project::parse_stored(FILE_NAME, &body.text).map_err(|diagnostics| {
            Error::new(ErrorCode::ProjectFile, "the stored project file is not valid").with_source(diagnostics)
        })?;
        let submission = Self::assemble(kernel, body.text, body.files, body.texts, project)?;
        Ok(Self { folder: body.folder, ..submission })
    }

    fn assemble(
        kernel: &Kernel,
        text: String,
        files: DeclaredFiles,
        texts: BTreeMap<String, String>,
        project: Project,
    ) -> Result<Self> {
        let mut tables: BTreeMap<StepName, Vec<String>> = BTreeMap::new();
        for (name, step) in &project.steps {
            if let perennial_config::StepKind::Sql { file } = &step.kind
                && let Some(sql) = texts.get(file)
            {
                tables.insert(name.clone(), kernel.data().tables_in(sql)?);
            }
        }
        let mut hasher = blake3::Hasher::new_derive_key("perennial project snapshot v1");
        let mut part = |text: &[u8]| {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text);
        };
        part(text.as_bytes());
        let found: BTreeMap<&String, &BlobDigest> = files.values().flatten().collect();
        for (path, digest) in found {
            part(path.as_bytes());
            part(digest.as_bytes());
        }
        let digest = hasher.finalize().to_hex().to_string();
        let graph = project.graph_with(&tables);
        let zone = project.timezone();
        Ok(Self { digest, text, files, texts, folder: None, project, graph, zone })
    }

    /// The text that is stored of it.
    pub(crate) fn body(&self) -> Result<String> {
        let body =
            Body { text: self.text.clone(), files: self.files.clone(), texts: self.texts.clone(), folder: self.folder };
        serde_json::to_string(&body).map_err(|cause| Error::internal("cannot serialize the project file", cause))
    }

    /// The files of a declared path or glob, by path; an error when there are none.
    pub fn declared_files(&self, declared: &str) -> Result<&BTreeMap<String, BlobDigest>> {
        self.files.get(declared).ok_or_else(|| Error::not_found("declared file", declared))
    }

    /// The text of a declared file.
    pub fn declared_text(&self, path: &str) -> Result<&str> {
        self.texts.get(path).map(String::as_str).ok_or_else(|| Error::not_found("declared file", path))
    }
}
