//! The loop that starts scheduler passes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use perennial_core::Result;
use perennial_core::id::ProjectId;
use perennial_core::permission::ProjectSet;
use perennial_http::Slices;
use perennial_kernel::{Caller, ledger};
use perennial_store::projects;

/// The time between two passes.
const TICK_INTERVAL: Duration = Duration::from_secs(1);

/// The interval at which the heads of the ledger's project chains are stamped.
const STAMP_INTERVAL: Duration = Duration::from_mins(10);

/// Starts a pass for every project at each interval, until it is aborted.
pub(crate) async fn run(slices: Arc<Slices>) {
    let mut stamped = Instant::now();
    loop {
        if stamped.elapsed() >= STAMP_INTERVAL {
            stamped = Instant::now();
            stamp(&slices).await;
        }
        if let Err(error) = tick(&slices).await {
            tracing::warn!(error = error.chain(), "a scheduler pass failed; it is retried at the next tick");
        }
        tokio::time::sleep(TICK_INTERVAL).await;
    }
}

/// Stamps the heads of the ledger's project chains on the server's chain. A failure is logged: the next stamp covers it.
pub(crate) async fn stamp(slices: &Slices) {
    let caller = Caller::system(slices.kernel.clone(), "clock");
    if let Err(error) = ledger::stamp(&caller).await {
        tracing::warn!(error = error.chain(), "the heads of the ledger could not be stamped");
    }
}

/// Starts a pass for every submitted project, each in a task of its own, so that no project waits for another.
async fn tick(slices: &Arc<Slices>) -> Result<()> {
    let kernel = &slices.kernel;
    let projects = projects::list_readable(&mut *kernel.store().read().await?, &ProjectSet::All).await?;
    let projects = kernel.readable(projects);
    for project in projects.into_iter().filter(|project| project.file_digest.is_some()) {
        let (slices, id) = (slices.clone(), project.id);
        kernel.work.spawn("scheduler pass", async move {
            if let Err(error) = tick_project(&slices, id).await {
                let error = error.chain();
                tracing::warn!(project.id = %id, error, "a scheduler pass failed; it is retried at the next tick");
            }
        });
    }
    Ok(())
}

async fn tick_project(slices: &Arc<Slices>, id: ProjectId) -> Result<()> {
    let project = slices.projects.get(id).await?;
    for event in slices.watch.tick(&Caller::system(slices.kernel.clone(), "clock"), &project).await? {
        if event.needs_attention {
            tracing::warn!(project = %project.name, "{}", event.message);
        } else {
            tracing::info!(project = %project.name, "{}", event.message);
        }
    }
    Ok(())
}
