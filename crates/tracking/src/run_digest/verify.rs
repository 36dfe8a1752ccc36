//! Verification of a run against the digest in the ledger.

use std::time::{Duration, Instant};

use perennial_core::Result;
use perennial_core::digest::run_digest;
use perennial_core::id::{ProjectId, RunId};
use perennial_core::ledger::Chain;
use perennial_core::permission::Permission;
use perennial_store::{Conn, ledger, run_contents, runs};
use serde_json::Value;

use super::{SPECIFICATION, version_1};
use crate::readable_run;
use perennial_kernel::Caller;

/// The result of comparing a run with the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunVerification {
    /// The ledger has no digest of the run as it is: it has not ended, was resumed, or the payload was erased.
    Unsealed,
    /// The rows of the run have the recorded digest.
    Intact,
    /// The rows of the run have another digest than the recorded one.
    Altered {
        /// The digest in the ledger.
        recorded: String,
        /// The digest of the rows.
        computed: String,
    },
}

/// The results for some runs of a project.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VerifiedRuns {
    /// Runs whose rows have the recorded digest.
    pub intact: u64,
    /// Runs without a recorded digest.
    pub unsealed: u64,
    /// Runs whose rows have another digest than the recorded one.
    pub altered: Vec<RunId>,
    /// The last run; `None` when no more follow.
    pub next: Option<RunId>,
}

/// How long one call verifies runs; the run under way is completed.
const TIME_MAX: Duration = Duration::from_secs(2);

/// Verifies the runs of a project after `after`, in the order of their ids: at most `limit`, for about two seconds.
pub async fn verify_runs(
    caller: &Caller,
    project: ProjectId,
    after: Option<RunId>,
    limit: u32,
) -> Result<VerifiedRuns> {
    caller.require(Permission::Read, project)?;
    let ids = runs::list_ids(&mut *caller.kernel.store().read().await?, project, after, limit).await?;
    let (began, mut verified) = (Instant::now(), VerifiedRuns::default());
    let is_full = ids.len() as u64 == u64::from(limit);
    let last = ids.last().copied();
    for id in ids {
        match verify(caller, id).await? {
            RunVerification::Intact => verified.intact += 1,
            RunVerification::Unsealed => verified.unsealed += 1,
            RunVerification::Altered { .. } => verified.altered.push(id),
        }
        let is_last = Some(id) == last;
        let is_late = began.elapsed() >= TIME_MAX;
        if (is_last && is_full) || (is_late && !is_last) {
            verified.next = Some(id);
            break;
        }
    }
    Ok(verified)
}

/// A digest in the ledger.
struct Recorded {
    digest: String,
    specification: u64,
}

/// Computes the digest of a run from its rows and compares it with the last one in the ledger. Reads every element of the
/// run, in pages of one snapshot; writes do not wait.
pub async fn verify(caller: &Caller, id: RunId) -> Result<RunVerification> {
    readable_run(caller, id).await?;
    let mut snapshot = caller.kernel.store().snapshot().await?;
    let run = runs::get(&mut snapshot, id).await?;
    let Some(recorded) = recorded(&mut snapshot, Chain::Project(run.project_id), id).await? else {
        return Ok(RunVerification::Unsealed);
    };
    let computed = if recorded.specification == SPECIFICATION {
        run_digest(&run, &run_contents::compute_sum(&mut snapshot, &run).await?)
    } else {
        version_1::digest(&mut snapshot, &run).await?
    };
    if recorded.digest == computed {
        return Ok(RunVerification::Intact);
    }
    Ok(RunVerification::Altered { recorded: recorded.digest, computed })
}

/// The newest entries about a run among which the last one with a digest is found.
const ENTRIES_READ: u32 = 1_000;

/// The digest in the last entry about the content of a run.
async fn recorded(conn: &mut Conn, chain: Chain, id: RunId) -> Result<Option<Recorded>> {
    let entries = ledger::list_of_subject(conn, chain, "run", &id.to_string(), ENTRIES_READ).await?;
    let Some(last) = entries.iter().find(|entry| ["end", "seal", "resume"].contains(&entry.verb.as_str())) else {
        return Ok(None);
    };
    let Some(payload) = ledger::find_payload(conn, chain, last.sequence).await? else { return Ok(None) };
    let payload: Value = serde_json::from_str(&payload).unwrap_or_default();
    let specification = payload["specification"].as_u64().unwrap_or(1);
    Ok(payload["logged"].as_str().map(|digest| Recorded { digest: digest.to_owned(), specification }))
}
