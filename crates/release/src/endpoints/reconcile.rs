//! The project file that endpoints follow: that of the last release, or of a server that started in the project's
//! folder. Whatever else is submitted leaves them as they are.

use std::sync::Arc;

use perennial_core::Result;
use perennial_core::cause::Cause;
use perennial_core::entity::Endpoint;
use perennial_core::ledger::Chain;
use perennial_core::permission::Permission;
use perennial_core::state::CanaryEvent;
use perennial_store::endpoints;
use serde_json::{Value, json};

use super::{Behind, Endpoints};
use perennial_kernel::ledger::{LedgerEvent, Recorder};
use perennial_kernel::{Caller, Kernel, wrong_state};
use perennial_projects::{ProjectState, Submission};

impl Endpoints {
    /// Applies the endpoint declarations of a project file: a declared endpoint follows it, one that is not declared
    /// any more stops. Returns a line for each that stops. A declaration that cannot be applied is logged and does not
    /// affect the others.
    pub async fn apply_declarations(
        self: &Arc<Self>,
        caller: &Caller,
        project: &Arc<ProjectState>,
        submission: &Submission,
    ) -> Result<Vec<String>> {
        caller.require(Permission::Approve, project.id)?;
        let all = endpoints::list(&mut *self.kernel.store().read().await?, project.id).await?;
        let mut lines = Vec::new();
        for endpoint in all.into_iter().filter(|endpoint| endpoint.champion_number.is_some()) {
            let name = endpoint.name.clone();
            match self.apply_declaration(caller, project, submission, endpoint).await {
                Ok(line) => lines.extend(line),
                Err(error) => {
                    tracing::error!(endpoint.name = %name, error = error.chain(), "an endpoint does not follow its project file");
                }
            }
        }
        // How long canaries last may be another now.
        project.touch();
        Ok(lines)
    }
}

impl Endpoints {
    async fn apply_declaration(
        self: &Arc<Self>,
        caller: &Caller,
        project: &Arc<ProjectState>,
        submission: &Submission,
        endpoint: Endpoint,
    ) -> Result<Option<String>> {
        let name = endpoint.name.clone();
        let Some(declared) = submission.project.endpoints.get(&name) else {
            let behind = self.retire(caller, project, &endpoint).await?;
            return Ok(Some(format!(
                "nothing answers at `{name}` any more: the project file declares no such endpoint{behind}"
            )));
        };
        let is_over = declared.canary.is_none() && endpoint.has_active_canary();
        if is_over {
            // Its promotion rule does not exist any more. The canary is ended before the endpoint follows the new file,
            // so that it is evaluated by the old rule until then. The endpoint is swapped in again below.
            let _ = self.end_canary(caller, project, &endpoint, Cause::DeclarationGone {}).await?;
        }
        let endpoint = follow(&caller.kernel, submission, endpoint).await?;
        if self.retries.is_opening(project.id, &name) {
            // It is swapped in when its model is loaded.
            return Ok(None);
        }
        let behind = self.refresh_recorded(project, std::slice::from_ref(&name), None).await;
        Ok(is_over.then(|| {
            let number = endpoint.canary_number.unwrap_or_default();
            format!(
                "the canary of version {number} at `{name}` is over: the project file declares none any more{behind}"
            )
        }))
    }
}

/// Has an endpoint follow a project file from now on.
pub(super) async fn follow(kernel: &Kernel, submission: &Submission, mut endpoint: Endpoint) -> Result<Endpoint> {
    let (config, at_ms) = (config(submission), kernel.services.clock.wall_ms());
    if endpoint.config == config {
        return Ok(endpoint);
    }
    endpoint.config = config;
    let stored = endpoint.clone();
    kernel
        .store()
        .write(move |tx| {
            Box::pin(async move {
                Ok(endpoints::configure(tx, stored.project_id, &stored.name, &stored.config, at_ms).await?)
            })
        })
        .await?;
    endpoint.generation += 1;
    Ok(endpoint)
}

/// What is kept of which project file an endpoint follows.
pub(super) fn config(submission: &Submission) -> Value {
    json!({ "file": submission.digest })
}

/// The project file that an endpoint follows; the last submitted one when none is stored, or it cannot be parsed.
pub(crate) async fn followed(kernel: &Kernel, project: &ProjectState, endpoint: &Endpoint) -> Option<Arc<Submission>> {
    let newest = project.find_submission();
    let Some(digest) = endpoint.config.get("file").and_then(Value::as_str) else { return newest };
    match project.submission_of(kernel, digest).await {
        Ok(followed) => Some(followed),
        Err(error) => {
            tracing::warn!(endpoint.name = %endpoint.name, error = error.chain(), "an endpoint's project file is left out");
            newest
        }
    }
}

impl Endpoints {
    /// Stops an endpoint from answering, its canary too, and returns when no answer is under way. Its predictions
    /// and what was recorded of it stay; declared again, it answers after the next release.
    async fn retire(
        self: &Arc<Self>,
        caller: &Caller,
        project: &Arc<ProjectState>,
        endpoint: &Endpoint,
    ) -> Result<Behind> {
        let by = Recorder::new(caller, Some(project.id)).await?;
        let (shared, project, stored) = (self.clone(), project.clone(), endpoint.clone());
        let change = LedgerEvent {
            chain: Chain::Project(project.id),
            noun: "endpoint",
            subject: endpoint.name.to_string(),
            verb: "retire",
            payload: json!({ "endpoint": endpoint.name, "champion": endpoint.champion_number, "canary": endpoint.canary_number }),
        };
        // The record and the stop complete together, even when the caller is dropped in between.
        let retired = self.kernel.work.finish("retirement of an endpoint", async move {
            let name = stored.name.clone();
            shared
                .kernel
                .store()
                .write(move |tx| {
                    Box::pin(async move {
                        let (mut current, at) = (stored, by.at);
                        if current.has_active_canary() {
                            endpoints::apply_canary(tx, &current, CanaryEvent::RollBack, at.wall_ms).await?;
                            current = endpoints::get(tx, current.project_id, &current.name).await?;
                        }
                        endpoints::set_champion(tx, &current, None, at.project_ms, at.wall_ms).await?;
                        endpoints::configure(tx, current.project_id, &current.name, &Endpoint::retired(), at.wall_ms)
                            .await?;
                        by.record(tx, change).await
                    })
                })
                .await?;
            Ok(shared.refresh_recorded(&project, &[name], None).await)
        });
        retired.await.ok_or_else(|| wrong_state("the server stopped while an endpoint was retired"))?
    }
}
