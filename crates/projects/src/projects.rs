//! Creating a project, validating and submitting its project file.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use perennial_config::Project;
use perennial_core::entity::{self, NewProject};
use perennial_core::id::ProjectId;
use perennial_core::ledger::Chain;
use perennial_core::name::ProjectName;
use perennial_core::permission::{Permission, ProjectSet};
use perennial_core::{Error, Result};
use perennial_kernel::jobs::JobOutcome;
use perennial_kernel::{ARTIFACT_ROOT, Caller, Kernel, LedgerEvent, Recorder, access};
use perennial_store::projects as table;

use crate::state::{ProjectState, Stored};
use crate::submission::Submission;
use crate::uploads::DeleteReplacedUploads;
use crate::{DeclaredTexts, project_files, source_grants, submit, uploads};

/// Every project of this server.
pub struct Projects {
    pub(crate) kernel: Arc<Kernel>,
    states: RwLock<HashMap<ProjectId, Arc<ProjectState>>>,
    /// Held while a project is read from the store: its folders are put in order before anything uses them.
    opening: tokio::sync::Mutex<()>,
}

impl Projects {
    /// No project in memory yet.
    pub fn new(kernel: Arc<Kernel>) -> Self {
        Self { kernel, states: RwLock::default(), opening: tokio::sync::Mutex::default() }
    }

    /// A project, read from the store when it is not in memory yet.
    pub async fn get(&self, id: ProjectId) -> Result<Arc<ProjectState>> {
        if let Some(state) = self.find_open(id) {
            return Ok(state);
        }
        let _opening = self.opening.lock().await;
        if let Some(state) = self.find_open(id) {
            return Ok(state);
        }
        let mut stored = Stored::load(&self.kernel, id).await?;
        uploads::recover(&self.kernel, id, &mut stored).await?;
        let state = Arc::new(ProjectState::open(&self.kernel, id, stored.submission).await?);
        self.states.write().unwrap_or_else(PoisonError::into_inner).insert(id, state.clone());
        Ok(state)
    }

    fn find_open(&self, id: ProjectId) -> Option<Arc<ProjectState>> {
        self.states.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// Executes the job that deletes what a submission replaced.
    pub async fn delete_replaced_uploads(&self, job: DeleteReplacedUploads) -> Result<JobOutcome> {
        let project = self.get(job.project).await?;
        DeleteReplacedUploads::execute(&self.kernel, &project).await
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
        let project = self.own_project(caller).await?;
        let submitting = project.submitting.lock().await;
        let submission = project_files::read_of(caller, &project, &self.kernel.services.root).await?;
        let notices = submit::apply(caller, &project, Arc::new(submission), &submitting).await?;
        Ok((project, notices))
    }

    /// The server's own project, created where it is not known yet, with the validated project file below its root.
    /// Nothing is submitted.
    pub async fn own(&self, caller: &Caller) -> Result<(Arc<ProjectState>, Arc<Submission>)> {
        let project = self.own_project(caller).await?;
        let submission = project_files::read_of(caller, &project, &self.kernel.services.root).await?;
        Ok((project, Arc::new(submission)))
    }

    /// The project that the file below the server's root names, created where it is not known yet. Only the name is
    /// read before the caller's permission is known, and a refusal says nothing about it.
    async fn own_project(&self, caller: &Caller) -> Result<Arc<ProjectState>> {
        access::own_run_only(&caller.principal, Permission::Write)?;
        if caller.principal.grants.projects(Permission::Write) == ProjectSet::Only(BTreeSet::new()) {
            caller.principal.require(Permission::Write, None)?;
        }
        let root = &self.kernel.services.root;
        let name = project_files::read_text(root).await.ok().and_then(|text| Project::name_in(&text));
        let known = match &name {
            Some(name) => table::find_by_name(&mut *self.kernel.store().read().await?, name).await?,
            None => None,
        };
        if let Some(known) = known.filter(|known| caller.principal.may(Permission::Write, Some(known.id))) {
            return self.get(known.id).await;
        }
        caller.principal.require(Permission::Write, None)?;
        if name.is_some() {
            caller.principal.require(Permission::Manage, None)?;
        }
        let submission = project_files::read(&self.kernel, root).await?;
        self.create(caller, &submission.project.project.name).await
    }

    /// Validates the project file below the server's root without submitting or running anything.
    pub async fn check(&self, caller: &Caller) -> Result<Submission> {
        caller.principal.require(Permission::Read, None)?;
        let submission = project_files::read(&self.kernel, &self.kernel.services.root).await?;
        self.check_sources(caller, &submission).await?;
        Ok(submission)
    }

    /// Validates a project file that a client sends as text. Nothing is stored, so every caller may ask.
    pub async fn check_text(&self, caller: &Caller, text: String, files: &DeclaredTexts) -> Result<Submission> {
        let submission = project_files::check_text(caller, text, files)?;
        self.check_sources(caller, &submission).await?;
        Ok(submission)
    }

    async fn check_sources(&self, caller: &Caller, submission: &Submission) -> Result<()> {
        let project = source_grants::readable(caller, &submission.project.project.name).await?;
        source_grants::validate(caller, project, &submission.project).await
    }

    /// The projects that the caller may read, by name.
    pub async fn list(&self, caller: &Caller) -> Result<Vec<entity::Project>> {
        let readable = caller.principal.grants.projects(Permission::Read);
        let found = table::list_readable(&mut *self.kernel.store().read().await?, &readable).await?;
        Ok(self.kernel.readable(found))
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
