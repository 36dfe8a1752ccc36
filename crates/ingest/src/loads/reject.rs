//! Rejecting a held load: none of its rows enters the dataset.

use std::sync::Arc;

use perennial_core::Result;
use perennial_core::entity::{Dataset, Load};
use perennial_core::id::LoadId;
use perennial_core::ledger::Chain;
use perennial_core::permission::Permission;
use perennial_core::state::LoadEvent;
use perennial_store::loads;
use serde_json::json;

use perennial_kernel::ledger::{LedgerEvent, Recorder};
use perennial_kernel::{Caller, wrong_state};
use perennial_projects::ProjectState;

use crate::ingest::Ingest;
use crate::source_alerts;

impl Ingest {
    /// Rejects a held load. Its file stays known and is loaded again only with other content. Returns the load before the
    /// change, and its dataset.
    pub async fn reject_load(
        &self,
        caller: &Caller,
        project: &Arc<ProjectState>,
        id: LoadId,
    ) -> Result<(Load, Dataset)> {
        caller.require(Permission::Approve, project.id)?;
        let state = self.state(project.id);
        let _collecting = state.collecting.lock().await;
        let kernel = &caller.kernel;
        let (load, writer) = self.held_load(caller, project, id).await?;
        if load.files.is_empty() {
            return Err(wrong_state(format!("load `{id}` is the result of a step, which would produce it again"))
                .with_hint("change the step or the checks of its dataset, or accept the load"));
        }
        let dataset = writer.dataset().clone();
        let recorder = Recorder::new(caller, Some(project.id)).await?;
        let change = LedgerEvent {
            chain: Chain::Project(project.id),
            noun: "load",
            subject: id.to_string(),
            verb: "reject",
            payload: json!({ "dataset": dataset.name, "arrived": load.arrived, "content": load.content_digest }),
        };
        let message = format!("rejected by `{}`", caller.principal.name);
        kernel
            .store()
            .write(move |tx| {
                Box::pin(async move {
                    loads::apply(tx, id, LoadEvent::Reject, Some(&message), recorder.at.wall_ms).await?;
                    recorder.record(tx, change).await
                })
            })
            .await?;
        writer.discard(kernel, id).await?;
        source_alerts::refresh(kernel, project).await;
        Ok((load, dataset))
    }
}
