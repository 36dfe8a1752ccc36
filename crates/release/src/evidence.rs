//! Reading evidence: its measurements and plots.

pub use perennial_core::entity::Evidence as Row;
use perennial_core::id::EvidenceId;
use perennial_core::{Error, Result};

use crate::releases;
use perennial_kernel::Caller;
use perennial_projects::ProjectState;

pub use perennial_execution::steps::{Evidence, ModelFacts};

/// Bytes of a picture at most.
pub const PLOT_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// A record of evidence of the project, with what was measured.
pub async fn get(caller: &Caller, project: &ProjectState, id: EvidenceId) -> Result<(Row, Evidence)> {
    let row = releases::evidence(caller, project, id).await?;
    let body = serde_json::from_value(row.body.clone())
        .map_err(|cause| Error::internal(format!("cannot parse evidence `{id}`"), cause))?;
    Ok((row, body))
}

/// A picture of evidence, by its name: SVG.
pub async fn plot(caller: &Caller, project: &ProjectState, id: EvidenceId, name: &str) -> Result<Vec<u8>> {
    let (_, evidence) = get(caller, project, id).await?;
    let found = evidence.plots.iter().find(|(plot, _, _)| plot == name);
    let (_, _, blob) = found.ok_or_else(|| Error::not_found("picture of evidence", name.escape_debug()))?;
    Ok(caller.kernel.services.blobs.get_bytes(blob.parse()?, PLOT_BYTES_MAX).await?)
}
