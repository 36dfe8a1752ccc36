//! The sums of the contents of runs: read, computed from the elements, and completed for runs of earlier versions.

use perennial_core::Result as CoreResult;
use perennial_core::digest::{RunElement, RunSum};
use perennial_core::entity::Run;
use perennial_core::id::RunId;

use crate::conn::Conn;
use crate::error::Result;
use crate::open::Store;
use crate::runs::{self, Content};
use crate::{metrics, run_artifacts};

/// Points of a metric that are read at once while a sum is computed.
const POINTS_READ: u32 = 10_000;

/// The sum of the hashes of a run's elements; `None` while it is incomplete: the run is of an earlier version and
/// [`complete_sum`] was not called for it.
pub async fn find_sum(conn: &mut Conn, run_id: RunId) -> Result<Option<RunSum>> {
    let content = Content::find(conn, run_id).await?;
    Ok(content.and_then(|content| content.sum().cloned()))
}

/// Computes the sum of the hashes of a run's elements from the elements, a page at a time. Reads all of them.
pub async fn compute_sum(conn: &mut Conn, run: &Run) -> Result<RunSum> {
    let data = runs::data(conn, std::slice::from_ref(run)).await?.pop().unwrap_or_default();
    let mut sum = RunSum::zero();
    let mut add = |element: RunElement<'_>| sum.add(&element.hash());
    data.params.iter().for_each(|param| add(RunElement::Param(param)));
    data.tags.iter().for_each(|tag| add(RunElement::Tag(tag)));
    data.inputs.iter().for_each(|input| add(RunElement::Input(input)));
    for artifact in run_artifacts::list(conn, run.run_id, "").await? {
        add(RunElement::Artifact(&artifact));
    }
    for latest in &data.metrics {
        let mut after = None;
        loop {
            let page = metrics::history(conn, run.run_id, &latest.key, after.as_deref(), POINTS_READ).await?;
            page.items.iter().for_each(|point| add(RunElement::from(point)));
            let Some(next) = page.next else { break };
            after = Some(next);
        }
    }
    Ok(sum)
}

/// Completes the sum of a run of an earlier version; does nothing for other runs. Its elements are read from a snapshot
/// outside the writer, so other writes do not wait, and those to this run meanwhile are in the sum too.
pub async fn complete_sum(store: &Store, run_id: RunId) -> CoreResult<()> {
    if find_sum(&mut *store.read().await?, run_id).await?.is_some() {
        return Ok(());
    }
    let mut snapshot = store.snapshot().await?;
    let run = runs::get(&mut snapshot, run_id).await?;
    let mut earlier = compute_sum(&mut snapshot, &run).await?;
    if let Some(content) = Content::find(&mut snapshot, run_id).await? {
        content.remove_from(&mut earlier);
    }
    drop(snapshot);
    store
        .write(move |tx| {
            Box::pin(async move {
                let mut content = Content::lock(tx, run_id).await?;
                content.complete(&earlier);
                Ok(content.store(tx).await?)
            })
        })
        .await
}
