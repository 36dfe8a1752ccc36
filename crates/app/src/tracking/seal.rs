//! What a run logged, as one digest for the ledger.

use perennial_core::Result;
use perennial_core::id::RunId;
use perennial_store::{Conn, run_artifacts, runs};

/// BLAKE3 over params, latest metrics and artifacts of a run, each part length-prefixed and in the order of keys.
pub(super) async fn digest(conn: &mut Conn, run_id: RunId) -> Result<String> {
    let run = runs::get(conn, run_id).await?;
    let data = runs::data(conn, std::slice::from_ref(&run)).await?.pop().unwrap_or_default();
    let artifacts = run_artifacts::list(conn, run_id, "").await?;
    let mut hasher = blake3::Hasher::new();
    let mut part = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    for param in &data.params {
        part(b"param");
        part(param.key.as_bytes());
        part(param.value.as_bytes());
    }
    for point in &data.metrics {
        part(b"metric");
        part(point.key.as_bytes());
        part(&point.value.to_bits().to_le_bytes());
        part(&point.timestamp_ms.to_le_bytes());
        part(&point.step.to_le_bytes());
    }
    for artifact in &artifacts {
        part(b"artifact");
        part(artifact.path.as_bytes());
        part(artifact.blob_digest.as_bytes());
    }
    Ok(hasher.finalize().to_hex().to_string())
}
