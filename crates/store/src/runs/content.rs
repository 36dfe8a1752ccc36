//! The content of runs as a sum: every element that is logged is hashed and added, every one that is removed or replaced
//! is subtracted, in the same transaction. So the digest of a run is computed without reading its elements.

use perennial_core::digest::{RunElement, RunSum};
use perennial_core::entity::Run;
use perennial_core::id::RunId;

use super::get;
use crate::conn::{Conn, Tx};
use crate::error::Result;
use crate::row::{Record, Row};

/// The content of a run, locked by a transaction.
pub(crate) struct Content {
    run_number: i64,
    /// The sum of the hashes of its elements. Of a run of an earlier version only those that were added since, minus
    /// those that were removed, until [`Content::complete`] adds the others.
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

    /// Reads the content of a run without a lock; `None` for a run of an earlier version that was not written to since.
    pub(crate) async fn find(conn: &mut Conn, run_id: RunId) -> Result<Option<Self>> {
        conn.optional(sql!("run_contents/find"), bind![run_id]).await
    }

    /// The sum of the hashes of the elements; `None` while it lacks those of an earlier version.
    pub(crate) fn sum(&self) -> Option<&RunSum> {
        self.is_complete.then_some(&self.sum)
    }

    /// Subtracts the elements that were added since the upgrade from `sum`, so that those of the earlier version remain.
    pub(crate) fn remove_from(&self, sum: &mut RunSum) {
        sum.remove(&self.sum);
    }

    /// Adds the sum of the elements of the earlier version, unless they were added before.
    pub(crate) fn complete(&mut self, earlier: &RunSum) {
        if !self.is_complete {
            self.sum.merge(earlier);
            (self.is_complete, self.is_changed) = (true, true);
        }
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
