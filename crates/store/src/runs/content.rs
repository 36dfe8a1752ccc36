//! The content of runs as a sum: every element that is logged is hashed and added, every one that is removed or replaced
//! is subtracted, in the same transaction. So the digest of a run is computed without reading its elements.

use perennial_core::Result as CoreResult;
use perennial_core::digest::{RunElement, RunSum};
use perennial_core::entity::Run;
use perennial_core::id::RunId;

use super::get;
use crate::conn::{Conn, Tx};
use crate::error::Result;
use crate::open::Store;
use crate::row::{Record, Row};
use crate::{metrics, run_artifacts};

/// Points of a metric that are read at once while a sum is computed.
const POINTS_READ: u32 = 10_000;

/// The content of a run, locked by a transaction.
pub(crate) struct Content {
    run_number: i64,
    /// The sum of the hashes of its elements. Of a run of an earlier version only those that were added since, minus
    /// those that were removed, until [`complete_sum`] adds the others.
    sum: RunSum,
    is_complete: bool,
    is_changed: bool,
}

impl Record for Content {
    const TABLE: &'static str = "run_contents";
    const KEY: &'static [&'static str] = &["run_number"];

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            run_number: row.get("run_number")?,
            sum: row.get("element_sum")?,
            is_complete: row.get("is_complete")?,
            is_changed: false,
        })
    }
}

impl Content {
    /// Creates the content of a run that was just created.
    pub(crate) async fn create(tx: &mut Tx, run: &Run) -> Result<Self> {
        insert(tx, run, true).await?;
        Ok(Self { run_number: run.number, sum: RunSum::zero(), is_complete: true, is_changed: false })
    }

    /// Reads the content of a run and locks it until the transaction ends. Each function that writes to a run locks
    /// first and reads the run afterwards, so that writes to one run follow each other.
    pub(crate) async fn lock(tx: &mut Tx, run_id: RunId) -> Result<Self> {
        if let Some(found) = tx.optional(sql_split!("run_contents/lock"), bind![run_id]).await? {
            return Ok(found);
        }
        let run = get(tx, run_id).await?;
        insert(tx, &run, false).await?;
        tx.required(sql_split!("run_contents/lock"), bind![run_id], "run", run_id).await
    }

    /// Adds an element that was inserted.
    pub(crate) fn add(&mut self, element: RunElement<'_>) {
        self.sum.add(&element.hash());
        self.is_changed = true;
    }

    /// Removes an element that was deleted or replaced.
    pub(crate) fn remove(&mut self, element: RunElement<'_>) {
        self.sum.subtract(&element.hash());
        self.is_changed = true;
    }

    /// Stores the sum if it changed.
    pub(crate) async fn store(self, tx: &mut Tx) -> Result<()> {
        if self.is_changed {
            tx.execute(sql!("run_contents/update"), bind![self.run_number, self.sum, self.is_complete]).await?;
        }
        Ok(())
    }
}

async fn insert(tx: &mut Tx, run: &Run, is_complete: bool) -> Result<()> {
    tx.execute(sql!("run_contents/insert"), bind![run.number, RunSum::zero(), is_complete]).await?;
    Ok(())
}

/// The sum of the hashes of a run's elements; `None` while it is incomplete: the run is of an earlier version and
/// [`complete_sum`] was not called for it.
pub async fn find_sum(conn: &mut Conn, run_id: RunId) -> Result<Option<RunSum>> {
    let content: Option<Content> = conn.optional(sql!("run_contents/find"), bind![run_id]).await?;
    Ok(content.filter(|content| content.is_complete).map(|content| content.sum))
}

/// Computes the sum of the hashes of a run's elements from the elements, a page at a time. Reads all of them.
pub async fn compute_sum(conn: &mut Conn, run: &Run) -> Result<RunSum> {
    let data = super::data(conn, std::slice::from_ref(run)).await?.pop().unwrap_or_default();
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
    let run = get(&mut snapshot, run_id).await?;
    let mut earlier = compute_sum(&mut snapshot, &run).await?;
    let content: Option<Content> = snapshot.optional(sql!("run_contents/find"), bind![run_id]).await?;
    if let Some(content) = content {
        earlier.remove(&content.sum);
    }
    drop(snapshot);
    store
        .write(move |tx| {
            Box::pin(async move {
                let mut content = Content::lock(tx, run_id).await?;
                if !content.is_complete {
                    content.sum.merge(&earlier);
                    (content.is_complete, content.is_changed) = (true, true);
                    content.store(tx).await?;
                }
                Ok(())
            })
        })
        .await
}
