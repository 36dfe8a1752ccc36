//! Digests of the content of runs: recorded in the ledger when a run ends and after every later write, and verified
//! against the rows. `docs/digest.md` specifies them.

mod verify;
mod version_1;

use perennial_core::digest::run_digest;
use perennial_core::entity::Run;
use perennial_core::id::{ProjectId, RunId};
use perennial_core::ledger::Chain;
use perennial_core::{Error, ErrorCode, Result};
use perennial_store::{Tx, run_contents, runs};
use serde_json::json;

use perennial_kernel::Caller;
use perennial_kernel::ledger::{LedgerEvent, Recorder};

pub use verify::{RunVerification, VerifiedRuns, verify, verify_runs};

/// The specification of the digest that entries record. Entries of the first specification do not name it.
const SPECIFICATION: u64 = 2;

/// Records digests of the runs of one project in the ledger.
#[derive(Clone)]
pub struct RunSealer {
    recorder: Recorder,
}

impl RunSealer {
    /// A sealer that records in the name of the caller.
    pub async fn new(caller: &Caller, project: ProjectId) -> Result<Self> {
        Ok(Self { recorder: Recorder::new(caller, Some(project)).await? })
    }

    /// Completes the sum of a run's content if an earlier version created it. To be called before the transaction that
    /// ends a run or writes to an ended one; the elements are read outside it.
    pub async fn prepare(&self, caller: &Caller, id: RunId) -> Result<()> {
        run_contents::complete_sum(caller.kernel.store(), id).await
    }

    /// Records the end of a run with its digest; the last write of its transaction.
    pub async fn end(&self, tx: &mut Tx, run: &Run) -> Result<()> {
        let event = self.seal(tx, run, "end").await?;
        self.recorder.record(tx, event).await
    }

    /// Records the new digest of a run that had ended and was written to; the last write of its transaction. Records
    /// nothing for a run that has not ended.
    pub async fn written(&self, tx: &mut Tx, run: &Run) -> Result<()> {
        if !run.status.is_terminal() {
            return Ok(());
        }
        let event = self.seal(tx, run, "seal").await?;
        self.recorder.record(tx, event).await
    }

    /// Records that an ended run is resumed, without a digest: its next end has one. The last write of its transaction.
    pub async fn resumed(&self, tx: &mut Tx, run: &Run) -> Result<()> {
        let payload = json!({ "status": run.status.as_str() });
        let (chain, subject) = (Chain::Project(run.project_id), run.run_id.to_string());
        self.recorder.record(tx, LedgerEvent { chain, noun: "run", subject, verb: "resume", payload }).await
    }

    /// Marks an ended run as sealed and returns the event with its digest, to be recorded at the end of the transaction.
    pub async fn seal(&self, tx: &mut Tx, run: &Run, verb: &'static str) -> Result<LedgerEvent> {
        runs::seal(tx, run.run_id, self.recorder.at.wall_ms).await?;
        let Some(sum) = run_contents::find_sum(tx, run.run_id).await? else {
            let message = format!("the sum of the content of run `{}` is incomplete", run.run_id);
            return Err(Error::new(ErrorCode::Internal, message));
        };
        let logged = run_digest(run, &sum);
        let payload = json!({ "status": run.status.as_str(), "logged": logged, "specification": SPECIFICATION });
        let (chain, subject) = (Chain::Project(run.project_id), run.run_id.to_string());
        Ok(LedgerEvent { chain, noun: "run", subject, verb, payload })
    }

    /// Records an event of [`RunSealer::seal`].
    pub async fn record(&self, tx: &mut Tx, event: LedgerEvent) -> Result<()> {
        self.recorder.record(tx, event).await
    }
}
