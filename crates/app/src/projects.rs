//! Projects: making one, submitting and judging the project file.

mod fit;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use perennial_config::{FILE_BYTES_MAX, FILE_NAME, Files, Project};
use perennial_core::id::ProjectId;
use perennial_core::ledger::Chain;
use perennial_core::name::{ProjectName, StepName};
use perennial_core::path::RelativePath;
use perennial_core::permission::Permission;
use perennial_core::port::data::{FilesSource, SourceFile};
use perennial_core::{Error, ErrorCode, Result};
use perennial_store::projects as table;
use perennial_store::projects::{NewProject, ProjectFile};

use crate::access;
use crate::app::{App, Caller, Entry, record};
use crate::ledger::{By, Change};
use crate::pipelines::{self, Plan};
use crate::project::{DeclaredFiles, ProjectState, Submission};
use crate::sent;

pub use fit::judge as judge_fit;
pub use perennial_store::projects::Project as ProjectKept;

/// The largest declared file that is kept as text beside the project file.
const TEXT_BYTES_MAX: u64 = 1024 * 1024;

/// Files below a folder of this server, asked for by relative path only.
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

/// The declared files that are there, by path or glob as they are declared, with their text where it is needed.
pub type Texts = BTreeMap<String, Option<String>>;

/// Files that a client tells of.
struct ToldFiles<'a>(&'a Texts);

impl Files for ToldFiles<'_> {
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

/// Reads `perennial.toml` below the host's root and every file it declares, judges it, and
/// makes it the project file that runs, triggers and monitors follow. Gives what is to be told of the change, too.
pub async fn submit(caller: &Caller) -> Result<(Arc<ProjectState>, Vec<String>)> {
    let (project, submission) = own(caller).await?;
    may_adopt(caller, &project, &submission)?;
    sent::forget(&caller.app, &project).await?;
    let told = adopt(caller, &project, submission).await?;
    Ok((project, told))
}

/// What a run would do by the project file below the host's root. Nothing is submitted: what the project follows stays.
pub async fn plan(caller: &Caller, steps: Vec<StepName>) -> Result<Plan> {
    let (project, submission) = own(caller).await?;
    pipelines::plan_by(caller, &project, submission, None, steps).await
}

/// The host's own project, made where it is not known yet, with the project file below its root, judged.
async fn own(caller: &Caller) -> Result<(Arc<ProjectState>, Arc<Submission>)> {
    let app = &caller.app;
    access::own_run_only(&caller.principal, Permission::Write)?;
    let submission = Arc::new(read(app, &app.services.root).await?);
    let name = &submission.project.project.name;
    let known = table::find_by_name(&mut *app.store().read().await?, name).await?;
    let project = match known {
        Some(known) => app.project(known.id).await?,
        None => create(caller, name).await?,
    };
    Ok((project, submission))
}

/// Refuses a submission from somebody who may not submit it. Who changes what is released, and when, says yes to
/// what comes of it.
pub(crate) fn may_adopt(caller: &Caller, project: &ProjectState, submission: &Submission) -> Result<()> {
    caller.require(Permission::Write, project)?;
    let known = project.find_submission();
    let changed = submission.project.changed_in_release(known.as_ref().map(|known| &known.project));
    if changed.is_empty() {
        return Ok(());
    }
    let sections = changed.join(", ");
    caller.require(Permission::Approve, project).map_err(|refused| {
        Error::new(refused.code(), format!("{}: the project file changes {sections}", refused.message())).hint(format!(
            "leave {sections} as they are, or have somebody submit it who may release: `perennial run` with the token of an approver"
        ))
    })
}

/// Makes a submission the one that runs, triggers and monitors follow. Endpoints follow it from the next release on.
/// Gives a sentence for each change that may surprise.
pub(crate) async fn adopt(
    caller: &Caller,
    project: &Arc<ProjectState>,
    submission: Arc<Submission>,
) -> Result<Vec<String>> {
    let app = &caller.app;
    let before = project.find_submission();
    if before.as_ref().is_some_and(|known| known.digest == submission.digest) {
        return Ok(Vec::new());
    }
    let told = before.map(|before| submission.project.changed_for_loads(&before.project)).unwrap_or_default();
    let at = app.now(project);
    let file = ProjectFile {
        project_id: project.id,
        digest: submission.digest.clone(),
        body: submission.body()?,
        submitted_ms: at.wall_ms,
        submitted_by: caller.principal.name.clone(),
    };
    let actor = caller.principal.name.clone();
    app.store()
        .write(move |tx| {
            Box::pin(async move {
                table::submit_file(tx, &file).await?;
                let payload = serde_json::json!({ "digest": file.digest });
                let entry = Entry {
                    project: file.project_id,
                    noun: "project_file",
                    subject: file.digest.clone(),
                    verb: "submit",
                    actor: &actor,
                    cause: None,
                    at,
                    payload,
                };
                record(tx, entry).await
            })
        })
        .await?;
    project.submit(submission);
    Ok(told)
}

/// Judges the project file below the host's root without submitting or running anything.
pub async fn check(caller: &Caller) -> Result<Submission> {
    caller.principal.require(Permission::Read, None)?;
    read(&caller.app, &caller.app.services.root).await
}

/// Judges a project file that a client gives as text. Nothing is kept, so anybody may ask.
pub fn check_text(caller: &Caller, text: String, files: &Texts) -> Result<Submission> {
    let texts = files.iter().filter_map(|(path, text)| Some((path.clone(), text.clone()?))).collect();
    Submission::judge(&caller.app, text, BTreeMap::new(), texts, &ToldFiles(files))
}

/// The projects that the caller may read, by name.
pub async fn list(caller: &Caller) -> Result<Vec<table::Project>> {
    let mut all = table::list(&mut *caller.app.store().read().await?).await?;
    all.retain(|project| caller.principal.may(Permission::Read, Some(project.id)));
    Ok(all)
}

/// The record of a project.
pub async fn get(caller: &Caller, project: &ProjectState) -> Result<table::Project> {
    caller.require(Permission::Read, project)?;
    Ok(table::get(&mut *caller.app.store().read().await?, project.id).await?)
}

/// Makes a project that has no project file yet.
pub async fn create(caller: &Caller, name: &ProjectName) -> Result<Arc<ProjectState>> {
    let app = &caller.app;
    caller.principal.require(Permission::Manage, None)?;
    let new = NewProject {
        id: ProjectId::generate(),
        name: name.clone(),
        artifact_root: crate::tracking::ARTIFACT_ROOT.to_owned(),
        created_ms: app.services.clock.wall_ms(),
    };
    let (id, by) = (new.id, By::new(caller, None).await?);
    app.store()
        .write(move |tx| {
            Box::pin(async move {
                table::create(tx, &new).await?;
                let payload = serde_json::json!({ "name": new.name });
                let subject = new.id.to_string();
                by.record(tx, Change { chain: Chain::Server, noun: "project", subject, verb: "create", payload }).await
            })
        })
        .await?;
    app.project(id).await
}

/// Reads and judges the project file in a folder of this server, and keeps every file it declares.
pub(crate) async fn read(app: &App, root: &Path) -> Result<Submission> {
    let file = root.join(FILE_NAME);
    let bytes = std::fs::read(&file).map_err(|cause| {
        Error::new(ErrorCode::ProjectFile, format!("`{FILE_NAME}` cannot be read in `{}`", root.display()))
            .hint("`perennial init` starts a project here; `perennial init --example flights DIR` writes one to learn from")
            .because(cause)
    })?;
    if bytes.len() > FILE_BYTES_MAX {
        return Err(Error::new(
            ErrorCode::TooLarge,
            format!("`{FILE_NAME}` has {} bytes, at most {FILE_BYTES_MAX} are read", bytes.len()),
        ));
    }
    let text = String::from_utf8(bytes)
        .map_err(|cause| Error::new(ErrorCode::ProjectFile, format!("`{FILE_NAME}` is not UTF-8")).because(cause))?;
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
        for SourceFile { path, .. } in app.data().list(&source).await? {
            let place = root.join(&path);
            let blob = app.services.blobs.put_file(&place).await?;
            if blob.size_bytes <= TEXT_BYTES_MAX
                && let Ok(text) = std::fs::read_to_string(&place)
            {
                texts.insert(path.clone(), text);
            }
            files.entry(declared.clone()).or_default().insert(path, blob.digest);
        }
    }
    let around = files.clone();
    Submission::judge(app, text, files, texts, &RootFiles { root, declared: &around })
}
