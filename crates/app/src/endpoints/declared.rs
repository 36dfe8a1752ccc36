//! What the project file says of endpoints, taken up whenever it is submitted.

use std::sync::Arc;

use perennial_core::ledger::Chain;
use perennial_core::state::{CanaryEvent, CanaryState};
use perennial_core::{Error, Result};
use perennial_store::endpoints;
use perennial_store::endpoints::Endpoint;
use serde_json::json;

use super::refresh;
use crate::app::{Caller, wrong_state};
use crate::ledger::{By, Change};
use crate::project::ProjectState;

/// Takes up the project file last submitted: an endpoint that it declares answers as it says now, one that it
/// declares no more stops answering. What cannot be taken up leaves the others alone, and the log says why.
pub(crate) async fn take_up(caller: &Caller, project: &Arc<ProjectState>) -> Result<()> {
    let Some(submission) = project.find_submission() else { return Ok(()) };
    let all = endpoints::list(&mut *caller.app.store().read().await?, project.id).await?;
    for endpoint in all.into_iter().filter(|endpoint| endpoint.champion_number.is_some()) {
        let taken = if submission.project.endpoints.contains_key(&endpoint.name) {
            refresh(&caller.app, project, &endpoint.name, Some(&submission)).await
        } else {
            retire(caller, project, &endpoint).await
        };
        if let Err(error) = taken {
            tracing::error!(endpoint.name = %endpoint.name, error = error.chain(), "an endpoint does not follow its project file");
        }
    }
    Ok(())
}

/// Stops an endpoint from answering, its canary too, and returns when no answer is under way. Its predictions
/// and what was recorded of it stay; declared again, it answers after the next release.
async fn retire(caller: &Caller, project: &Arc<ProjectState>, endpoint: &Endpoint) -> Result<()> {
    let (app, stored, by) = (caller.app.clone(), endpoint.clone(), By::new(caller, Some(project.id)).await?);
    let change = Change {
        chain: Chain::Project(project.id),
        noun: "endpoint",
        subject: endpoint.name.to_string(),
        verb: "retire",
        payload: json!({ "endpoint": endpoint.name, "champion": endpoint.champion_number, "canary": endpoint.canary_number }),
    };
    // Recorded and stopped is one thing, even when whoever asked for it goes away in between.
    let retired = caller.app.work.finish("retirement of an endpoint", async move {
        let name = stored.name.to_string();
        app.store()
            .write(move |tx| {
                Box::pin(async move {
                    let (mut current, at) = (stored, by.at);
                    if current.canary_state.is_some_and(CanaryState::is_live) {
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
        tokio::task::spawn_blocking(move || app.live.remove(&name))
            .await
            .map_err(|panic| Error::internal("an endpoint was not stopped", panic))
    });
    retired.await.ok_or_else(|| wrong_state("the server stopped while an endpoint was retired"))?
}
