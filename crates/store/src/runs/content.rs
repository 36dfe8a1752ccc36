//! The content of runs as a sum: every element that is logged is hashed and added, every one that is removed or replaced
//! is subtracted, in the same transaction. So the digest of a run is known without reading its elements.

use perennial_core::Result as CoreResult;
use perennial_core::digest::{RunElement, TableSum};
use perennial_core::entity::Run;
use perennial_core::id::RunId;

use super::get;
use crate::conn::{Conn, Tx};
use crate::error::{Error, Result};
use crate::open::Store;
use crate::row::{Record, Row};
use crate::{metrics, run_artifacts};

/// Points of a metric that are read at once while a sum is computed.
const POINTS_READ: u32 = 10_000;

/// Attempts to compute the sum of a run that is written to at the same time.
const SUM_ATTEMPTS: usize = 5;

/// The content of a run, under change in a transaction.
pub(crate) struct Content {
    run_number: i64,
    /// The sum of the hashes of its elements; `None` while it is not known: the run is of an earlier version.
    sum: Option<TableSum>,
    revision: i64,
}

impl Record for Content {
    const TABLE: &'static str = "run_contents";
    const KEY: &'static [&'static str] = &["run_number"];

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self { run_number: row.get("run_number")?, sum: row.get("element_sum")?, revision: row.get("revision")? })
    }
}

impl Content {
    /// The content of a run that was just created.
    pub(crate) fn empty(run: &Run) -> Self {
        Self { run_number: run.number, sum: Some(TableSum::zero()), revision: 0 }
    }

    /// The content of a run, locked until the transaction ends.
    pub(crate) async fn lock(tx: &mut Tx, run: &Run) -> Result<Self> {
        let found = tx.optional(sql_split!("run_contents/lock"), bind![run.number]).await?;
        Ok(found.unwrap_or(Self { run_number: run.number, sum: None, revision: 0 }))
    }

    /// An element was added.
    pub(crate) fn add(&mut self, element: RunElement<'_>) {
        if let Some(sum) = &mut self.sum {
            sum.add(&element.hash());
        }
    }

    /// An element was removed.
    pub(crate) fn remove(&mut self, element: RunElement<'_>) {
        if let Some(sum) = &mut self.sum {
            sum.subtract(&element.hash());
        }
    }

    /// Stores the sum after a change. A sum that is not known only counts the change.
    pub(crate) async fn store(self, tx: &mut Tx) -> Result<()> {
        let revision = self.revision + 1;
        tx.execute(sql!("run_contents/upsert"), bind![self.run_number, self.sum, revision]).await?;
        Ok(())
    }
}

async fn find(conn: &mut Conn, run: &Run) -> Result<Option<Content>> {
    conn.optional(sql!("run_contents/find"), bind![run.number]).await
}

/// The sum of the hashes of a run's elements; `None` while it is not known: the run is of an earlier version and
/// [`sum_content`] was not called for it.
pub async fn find_content(conn: &mut Conn, run: &Run) -> Result<Option<TableSum>> {
    Ok(find(conn, run).await?.and_then(|content| content.sum))
}

/// Computes the sum of the hashes of a run's elements from the elements. Reads all of them.
pub async fn compute_content(conn: &mut Conn, run: &Run) -> Result<TableSum> {
    let data = super::data(conn, std::slice::from_ref(run)).await?.pop().unwrap_or_default();
    let mut sum = TableSum::zero();
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

/// Makes the sum of a run's content known: computes it outside a transaction if the run is of an earlier version, and
/// stores it unless the run was written to meanwhile; then it starts again. Does nothing for other runs.
pub async fn sum_content(store: &Store, run_id: RunId) -> CoreResult<()> {
    for _ in 0..SUM_ATTEMPTS {
        let mut reader = store.read().await?;
        let run = get(&mut reader, run_id).await?;
        let before = find(&mut reader, &run).await?;
        if before.as_ref().is_some_and(|content| content.sum.is_some()) {
            return Ok(());
        }
        let sum = compute_content(&mut reader, &run).await?;
        drop(reader);
        let revision = before.map_or(0, |content| content.revision);
        let is_stored = store
            .write(move |tx| {
                Box::pin(async move {
                    let content = Content::lock(tx, &run).await?;
                    if content.sum.is_some() || content.revision != revision {
                        return Ok(content.sum.is_some());
                    }
                    Content { sum: Some(sum), ..content }.store(tx).await?;
                    Ok(true)
                })
            })
            .await?;
        if is_stored {
            return Ok(());
        }
    }
    Err(Error::Conflict { noun: "run", name: run_id.to_string() }.into())
}
