//! What runs hold, as one digest each for the ledger: when a run ends, and after every later write.

use perennial_core::Result;
use perennial_core::entity::Run;
use perennial_core::id::{ProjectId, RunId};
use perennial_core::ledger::Chain;
use perennial_store::{Conn, Tx, metrics, run_artifacts, runs};
use serde_json::json;

use perennial_kernel::Caller;
use perennial_kernel::ledger::{LedgerEvent, Recorder};

const DOMAIN: &str = "perennial run 1";

/// Points of a metric that are read at once.
const POINTS_READ: u32 = 10_000;

/// Seals runs of one project.
#[derive(Clone)]
pub struct Seal {
    by: Recorder,
}

impl Seal {
    /// What the caller ends or writes to is sealed in their name.
    pub async fn new(caller: &Caller, project: ProjectId) -> Result<Self> {
        Ok(Self { by: Recorder::new(caller, Some(project)).await? })
    }

    /// The last of a transaction that ended a run.
    pub async fn end(&self, tx: &mut Tx, id: RunId) -> Result<()> {
        let change = self.close(tx, id, "end").await?;
        self.by.record(tx, change).await
    }

    /// The last of a transaction that wrote to a run: one that has ended is sealed anew. What it holds is
    /// read again for that, all of it.
    pub async fn again(&self, tx: &mut Tx, id: RunId) -> Result<()> {
        if !runs::get(tx, id).await?.status.is_terminal() {
            return Ok(());
        }
        let change = self.close(tx, id, "seal").await?;
        self.by.record(tx, change).await
    }

    /// The last of a transaction that took up a run which had ended: its next end seals it anew.
    pub async fn open(&self, tx: &mut Tx, id: RunId) -> Result<()> {
        let run = runs::get(tx, id).await?;
        let payload = json!({ "status": run.status.as_str() });
        let chain = Chain::Project(run.project_id);
        self.by.record(tx, LedgerEvent { chain, noun: "run", subject: id.to_string(), verb: "resume", payload }).await
    }

    /// Seals a run that has ended, and gives the entry that is owed for it at the end of the transaction.
    pub async fn close(&self, tx: &mut Tx, id: RunId, verb: &'static str) -> Result<LedgerEvent> {
        runs::seal(tx, id, self.by.at.wall_ms).await?;
        let run = runs::get(tx, id).await?;
        let payload = json!({ "status": run.status.as_str(), "logged": digest(tx, &run).await? });
        Ok(LedgerEvent { chain: Chain::Project(run.project_id), noun: "run", subject: id.to_string(), verb, payload })
    }

    /// Appends an entry that was owed.
    pub async fn record(&self, tx: &mut Tx, change: LedgerEvent) -> Result<()> {
        self.by.record(tx, change).await
    }
}

/// BLAKE3 over all that a run holds: what it is, params, tags, every point of every metric, inputs and
/// artifacts, each in the order of their keys and each part length-prefixed.
async fn digest(conn: &mut Conn, run: &Run) -> Result<String> {
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
