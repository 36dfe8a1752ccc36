//! The first specification of the digest of a run, to verify what it sealed: BLAKE3 over all elements in the order of their
//! keys, so that every one of them has to be read.

use perennial_core::Result;
use perennial_core::entity::Run;
use perennial_core::id::RunId;
use perennial_store::{Conn, metrics, run_artifacts, runs};
use serde_json::json;

const DOMAIN: &str = "perennial run 1";

/// Points of a metric that are read at once.
const POINTS_READ: u32 = 10_000;

/// The digest of a run: of its fields, params, tags, points, inputs and artifacts, each part preceded by its length.
pub(super) async fn digest(conn: &mut Conn, run: &Run) -> Result<String> {
    let data = runs::data(conn, std::slice::from_ref(run)).await?.pop().unwrap_or_default();
    let mut parts = Parts(blake3::Hasher::new());
    parts.text(DOMAIN);
    parts.text(&run.name);
    parts.text(&run.user_id);
    parts.text(run.status.as_str());
    parts.text(&format!("{:?} {} {:?}", run.parent_run_id, run.start_ms, run.end_ms));
    for param in &data.params {
        parts.kind("param").text(&param.key).text(&param.value);
    }
    for tag in &data.tags {
        parts.kind("tag").text(&tag.key).text(&tag.value);
    }
    for latest in &data.metrics {
        metric(conn, run.run_id, &latest.key, &mut parts).await?;
    }
    for input in &data.inputs {
        parts.kind("input").text(&input.name).text(&input.digest).text(&input.source_type).text(&input.source);
        parts.text(&json!([input.schema, input.profile, input.tags]).to_string());
    }
    for artifact in run_artifacts::list(conn, run.run_id, "").await? {
        parts.kind("artifact").text(&artifact.path).text(&artifact.blob_digest);
    }
    Ok(parts.0.finalize().to_hex().to_string())
}

/// Every point of a metric, by timestamp, step and value.
async fn metric(conn: &mut Conn, id: RunId, key: &str, parts: &mut Parts) -> Result<()> {
    parts.kind("metric").text(key);
    let mut after = None;
    loop {
        let page = metrics::history(conn, id, key, after.as_deref(), POINTS_READ).await?;
        for point in &page.items {
            parts.bytes(&point.value.to_bits().to_le_bytes());
            parts.bytes(&point.timestamp_ms.to_le_bytes());
            parts.bytes(&point.step.to_le_bytes());
        }
        let Some(next) = page.next else { return Ok(()) };
        after = Some(next);
    }
}

struct Parts(blake3::Hasher);

impl Parts {
    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
        self
    }

    fn text(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes())
    }

    /// Begins a part of a kind.
    fn kind(&mut self, kind: &str) -> &mut Self {
        self.text(kind)
    }
}
