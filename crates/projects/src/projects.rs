//! Creating a project, validating and submitting its project file.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use perennial_config::{FILE_BYTES_MAX, FILE_NAME, Files, Project};
use perennial_core::entity::{self, NewProject, ProjectFile};
use perennial_core::id::ProjectId;
use perennial_core::ledger::Chain;
use perennial_core::name::ProjectName;
use perennial_core::path::RelativePath;
use perennial_core::permission::Permission;
use perennial_core::port::data::{FilesSource, SourceFile};
use perennial_core::{Error, ErrorCode, Result};
use perennial_kernel::{ARTIFACT_ROOT, Caller, Kernel, LedgerEvent, Recorder, access};
use perennial_store::projects as table;

use crate::state::ProjectState;
use crate::submission::{DeclaredFiles, Submission};
use crate::uploads;

/// The largest declared file that is stored as text with the project file, in bytes.
const TEXT_BYTES_MAX: u64 = 1024 * 1024;

/// Files below a folder of this server, by relative path.
struct RootFiles<'a> {
    root: &'a Path,
    declared: &'a DeclaredFiles,
}

impl RootFiles<'_> {
    fn place(&self, path: &str) -> Option<PathBuf> {
        let relative: RelativePath = path.parse().ok()?;
        Some(self.root.join(relative.as_str()))
    }
}

impl Files for RootFiles<'_> {
    fn exists(&self, path: &str) -> bool {
        self.place(path).is_some_and(|file| file.is_file())
    }

    fn read(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.place(path)?).ok()
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

/// Every project of this server.
pub struct Projects {
    pub(crate) kernel: Arc<Kernel>,
    states: RwLock<HashMap<ProjectId, Arc<ProjectState>>>,
}

impl Projects {
    /// No project in memory yet.
    pub fn new(kernel: Arc<Kernel>) -> Self {
        Self { kernel, states: RwLock::default() }
    }

    /// A project, read from the store when it is not in memory yet.
    pub async fn get(&self, id: ProjectId) -> Result<Arc<ProjectState>> {
        if let Some(state) = self.states.read().unwrap_or_else(PoisonError::into_inner).get(&id) {
            return Ok(state.clone());
        }
        let state = Arc::new(ProjectState::open(&self.kernel, id).await?);
        let mut states = self.states.write().unwrap_or_else(PoisonError::into_inner);
        Ok(states.entry(id).or_insert(state).clone())
    }

    /// The project called `name`.
    pub async fn get_by_name(&self, name: &ProjectName) -> Result<Arc<ProjectState>> {
        let found = table::find_by_name(&mut *self.kernel.store().read().await?, name).await?;
        match found {
            Some(project) => self.get(project.id).await,
            None => {
                Err(Error::not_found("project", name).with_hint("`perennial run` in the project's folder creates it"))
            }
        }
    }

    /// Reads `perennial.toml` below the server's root and every file it declares, validates it, and makes it the
    /// project file that runs, triggers and monitors follow. Returns the project, and a sentence for each change that
    /// may surprise.
    pub async fn submit(&self, caller: &Caller) -> Result<(Arc<ProjectState>, Vec<String>)> {
        let (project, submission) = self.own(caller).await?;
        authorize_submission(caller, &project, &submission)?;
        uploads::forget(&self.kernel, &project).await?;
        let notices = apply_submission(caller, &project, submission).await?;
        Ok((project, notices))
    }

    /// The server's own project, created where it is not known yet, with the validated project file below its root.
    /// Nothing is submitted.
    pub async fn own(&self, caller: &Caller) -> Result<(Arc<ProjectState>, Arc<Submission>)> {
        access::own_run_only(&caller.principal, Permission::Write)?;
        let submission = Arc::new(read(&self.kernel, &self.kernel.services.root).await?);
        let name = &submission.project.project.name;
        let known = table::find_by_name(&mut *self.kernel.store().read().await?, name).await?;
        let project = match known {
            Some(known) => self.get(known.id).await?,
            None => self.create(caller, name).await?,
        };
        Ok((project, submission))
    }

    /// Validates the project file below the server's root without submitting or running anything.
    pub async fn check(&self, caller: &Caller) -> Result<Submission> {
        caller.principal.require(Permission::Read, None)?;
        read(&self.kernel, &self.kernel.services.root).await
    }

    /// The projects that the caller may read, by name.
    pub async fn list(&self, caller: &Caller) -> Result<Vec<entity::Project>> {
        let readable = caller.principal.grants.projects(Permission::Read);
        Ok(table::list_in(&mut *self.kernel.store().read().await?, &readable).await?)
    }

    /// The record of a project.
    pub async fn record(&self, caller: &Caller, project: &ProjectState) -> Result<entity::Project> {
        caller.require(Permission::Read, project.id)?;
        Ok(table::get(&mut *self.kernel.store().read().await?, project.id).await?)
    }

    /// Creates a project that has no project file yet.
    pub async fn create(&self, caller: &Caller, name: &ProjectName) -> Result<Arc<ProjectState>> {
        caller.principal.require(Permission::Manage, None)?;
        let new = NewProject {
            id: ProjectId::generate(),
            name: name.clone(),
            artifact_root: ARTIFACT_ROOT.to_owned(),
            created_ms: self.kernel.services.clock.wall_ms(),
        };
        let (id, by) = (new.id, Recorder::new(caller, None).await?);
        self.kernel
            .store()
            .write(move |tx| {
                Box::pin(async move {
                    table::create(tx, &new).await?;
                    let payload = serde_json::json!({ "name": new.name });
                    let subject = new.id.to_string();
                    by.record(
                        tx,
                        LedgerEvent { chain: Chain::Server, noun: "project", subject, verb: "create", payload },
                    )
                    .await
                })
            })
            .await?;
        self.get(id).await
    }
}

/// Validates a project file that a client sends as text. Nothing is stored, so every caller may ask.
pub fn check_text(caller: &Caller, text: String, files: &DeclaredTexts) -> Result<Submission> {
    let texts = files.iter().filter_map(|(path, text)| Some((path.clone(), text.clone()?))).collect();
    Submission::validate(&caller.kernel, text, BTreeMap::new(), texts, &GivenFiles(files))
}

/// Refuses a submission that the caller may not make. A change of what is released, and when, needs the permission
/// to approve.
pub(crate) fn authorize_submission(caller: &Caller, project: &ProjectState, submission: &Submission) -> Result<()> {
    caller.require(Permission::Write, project.id)?;
    let known = project.find_submission();
    let changed = submission.project.changed_in_release(known.as_ref().map(|known| &known.project));
    if changed.is_empty() {
        return Ok(());
    }
    let sections = changed.join(", ");
    caller.require(Permission::Approve, project.id).map_err(|refused| {
        Error::new(refused.code(), format!("{}: the project file changes {sections}", refused.message())).with_hint(
            format!("leave {sections} unchanged, or submit it with the token of an approver: `perennial run`"),
        )
    })
}

/// Makes a submission the one that runs, triggers and monitors follow. Endpoints follow it from the next release on.
/// Returns a sentence for each change that may surprise.
pub(crate) async fn apply_submission(
    caller: &Caller,
    project: &Arc<ProjectState>,
    submission: Arc<Submission>,
) -> Result<Vec<String>> {
    let before = project.find_submission();
    if before.as_ref().is_some_and(|known| known.digest == submission.digest) {
        return Ok(Vec::new());
    }
    let notices = before.map(|before| submission.project.changed_for_loads(&before.project)).unwrap_or_default();
    let at = project.now();
    let file = ProjectFile {
        project_id: project.id,
        digest: submission.digest.clone(),
        body: submission.body()?,
        submitted_ms: at.wall_ms,
        submitted_by: caller.principal.name.clone(),
    };
    let actor = caller.principal.name.clone();
    caller
        .kernel
        .store()
        .write(move |tx| {
            Box::pin(async move {
                table::submit_file(tx, &file).await?;
                let payload = serde_json::json!({ "digest": file.digest });
                let event = LedgerEvent {
                    chain: Chain::Project(file.project_id),
                    noun: "project_file",
                    subject: file.digest.clone(),
                    verb: "submit",
                    payload,
                };
                Recorder { actor, cause: None, at }.record(tx, event).await
            })
        })
        .await?;
    project.follow(submission);
    Ok(notices)
}

/// Reads and validates the project file in a folder of this server, and stores every file it declares as a blob.
pub(crate) async fn read(kernel: &Kernel, root: &Path) -> Result<Submission> {
    let file = root.join(FILE_NAME);
    let bytes = std::fs::read(&file).map_err(|cause| {
        Error::new(ErrorCode::ProjectFile, format!("`{FILE_NAME}` cannot be read in `{}`", root.display()))
            .with_hint("`perennial init` starts a project here; `perennial init --example flights DIR` writes one to learn from")
            .with_source(cause)
    })?;
    if bytes.len() > FILE_BYTES_MAX {
        return Err(Error::new(
            ErrorCode::TooLarge,
            format!("`{FILE_NAME}` has {} bytes, at most {FILE_BYTES_MAX} are read", bytes.len()),
        ));
    }
    let text = String::from_utf8(bytes).map_err(|cause| {
        Error::new(ErrorCode::ProjectFile, format!("`{FILE_NAME}` is not UTF-8")).with_source(cause)
    })?;
    let declared = Project::parse(FILE_NAME, &text)
        .map(|project| project.declared_files().into_iter().map(str::to_owned).collect::<Vec<_>>());
    let (mut files, mut texts) = (DeclaredFiles::new(), BTreeMap::new());
    for declared in declared.unwrap_or_default() {
        let source = FilesSource {
            root: Some(root.to_owned()),
            files: declared.clone(),
            format: None,
            header: false,
            columns: Vec::new(),
        };
        for SourceFile { path, .. } in kernel.data().list(&source).await?.files {
            let place = root.join(&path);
            let blob = kernel.services.blobs.put_file(&place).await?;
            if blob.size_bytes <= TEXT_BYTES_MAX
                && let Ok(text) = std::fs::read_to_string(&place)
            {
                texts.insert(path.clone(), text);
            }
            files.entry(declared.clone()).or_default().insert(path, blob.digest);
        }
    }
    let around = files.clone();
    Submission::validate(kernel, text, files, texts, &RootFiles { root, declared: &around })
}
