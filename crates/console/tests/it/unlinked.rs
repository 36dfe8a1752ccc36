//! The ports that no page calls, unlinked; of the data engine, the files a project declares and the quarantine alone
//! answer.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use perennial_core::frame::Frame;
use perennial_core::id::{LoadId, RequestId, RunnerJobId};
use perennial_core::model::Signature;
use perennial_core::port::data::{
    CommitRequest, Committed, DataEngine, Dialect, FilesSource, FrameRequest, Listing, Page, Position, QueryRequest,
    ScanPlan, SourceFile, SourceFolder, StageRequest, Staged, ValueColumn,
};
use perennial_core::port::model::{LoadedModel, ModelFiles, ModelRuntime, SignatureHint};
use perennial_core::port::prediction::{Backlog, LogPosition, PredictionLog, PredictionRecord, Segment};
use perennial_core::port::runner::{Adoption, Environment, EnvironmentSpec, JobSpec, JobWatch, PathAccess, Runner};
use perennial_core::port::training::{Target, TrainedModel, Trainer};
use perennial_core::schema::{Field, Schema, TypeClass};
use perennial_core::task::TaskKind;
use perennial_core::{Error, ErrorCode, Result};
use serde_json::{Map, Value, json};

/// What is linked into no test of pages.
pub(crate) struct Unlinked;

fn unlinked<T>() -> Result<T> {
    Err(Error::new(ErrorCode::NotReady, "not linked into this test"))
}

impl Dialect for Unlinked {
    fn tables_in(&self, _: &str) -> Result<Vec<String>> {
        Ok(vec!["schedule".to_owned()])
    }

    fn validate_condition(&self, _: &str) -> Result<()> {
        Ok(())
    }
}

#[async_trait]
impl DataEngine for Unlinked {
    async fn list(&self, source: &FilesSource) -> Result<Listing> {
        let file = SourceFile { path: source.files.clone(), size_bytes: 0, modified_ns: None, etag: None };
        Ok(Listing { files: vec![file], folders: Vec::new() })
    }

    async fn columns(&self, _: &FilesSource, _: &[SourceFile]) -> Result<Schema> {
        unlinked()
    }

    async fn folders_changed(&self, _: &FilesSource, _: &[SourceFolder]) -> Result<bool> {
        unlinked()
    }

    async fn fingerprint_start(&self, _: &FilesSource, _: &str, _: u64) -> Result<String> {
        unlinked()
    }

    async fn fingerprint(&self, _: &FilesSource, _: &str) -> Result<String> {
        unlinked()
    }

    async fn stage(&self, _: StageRequest) -> Result<Staged> {
        unlinked()
    }

    async fn quarantine(&self, _: LoadId, _: &str) -> Result<()> {
        unlinked()
    }

    async fn commit(&self, _: CommitRequest) -> Result<Committed> {
        unlinked()
    }

    async fn discard(&self, _: LoadId) -> Result<()> {
        unlinked()
    }

    async fn sweep(&self, _: &[LoadId]) -> Result<()> {
        unlinked()
    }

    async fn pause_writes(&self) -> Box<dyn Send> {
        Box::new(())
    }

    async fn position(&self, _: &str) -> Result<Option<Position>> {
        Ok(None)
    }

    async fn plan(&self, _: &FrameRequest) -> Result<Schema> {
        unlinked()
    }

    async fn validate_checks(&self, _: &Schema, _: &ScanPlan) -> Result<()> {
        unlinked()
    }

    async fn query(&self, _: QueryRequest) -> Result<Page> {
        unlinked()
    }

    async fn quarantined(&self, table: &str, _: &[LoadId], _: usize) -> Result<Page> {
        let field = |name: &str| Field { name: name.to_owned(), class: TypeClass::Text, nullable: true };
        let schema = Schema { fields: vec![field("origin"), field("_reason")] };
        match table {
            "broken" => Err(Error::new(ErrorCode::Storage, "the quarantine cannot be read")),
            _ => Ok(Page {
                schema,
                rows: vec![vec![json!("<script>XXX</script>"), json!("origin_known")]],
                truncated: true,
            }),
        }
    }

    async fn frame(&self, _: FrameRequest) -> Result<Frame> {
        unlinked()
    }

    async fn export(&self, _: FrameRequest, _: PathBuf) -> Result<u64> {
        unlinked()
    }
}

#[async_trait]
impl Runner for Unlinked {
    fn name(&self) -> &'static str {
        "unlinked"
    }

    async fn resolve(&self, _: &EnvironmentSpec, _: &str) -> Result<Environment> {
        unlinked()
    }

    async fn prepare(&self, _: &EnvironmentSpec, _: &Environment) -> Result<Environment> {
        unlinked()
    }

    fn needs_stored_inputs(&self) -> bool {
        false
    }

    async fn submit(&self, _: JobSpec) -> Result<()> {
        unlinked()
    }

    async fn watch(&self, _: RunnerJobId) -> Result<Box<dyn JobWatch>> {
        unlinked()
    }

    async fn cancel(&self, _: RunnerJobId) -> Result<()> {
        unlinked()
    }

    async fn adopt(&self, _: RunnerJobId) -> Result<Adoption> {
        unlinked()
    }

    async fn forget(&self, _: RunnerJobId) -> Result<()> {
        unlinked()
    }

    fn access(&self, _: &JobSpec, _: &Path) -> PathAccess {
        PathAccess::Denied
    }
}

impl Trainer for Unlinked {
    fn train(&self, _: &str, _: TaskKind, _: &Frame, _: &Target, _: &Map<String, Value>) -> Result<TrainedModel> {
        unlinked()
    }

    fn version(&self) -> &'static str {
        "0"
    }
}

#[async_trait]
impl ModelRuntime for Unlinked {
    async fn load(&self, _: ModelFiles, _: &Signature) -> Result<Arc<dyn LoadedModel>> {
        unlinked()
    }

    async fn signature(&self, _: ModelFiles, _: SignatureHint) -> Result<Signature> {
        unlinked()
    }
}

#[async_trait]
impl PredictionLog for Unlinked {
    fn append(&self, _: &str, _: PredictionRecord<'_>) -> Result<LogPosition> {
        unlinked()
    }

    async fn sync(&self, _: &str, _: LogPosition) -> Result<()> {
        unlinked()
    }

    fn seal(&self, _: &str) -> Result<Vec<i64>> {
        Ok(Vec::new())
    }

    fn backlog(&self, _: &str) -> Result<Backlog> {
        Ok(Backlog::default())
    }

    fn read(&self, _: &str, _: i64) -> Result<Segment> {
        unlinked()
    }

    fn find(&self, _: &str, _: RequestId) -> Result<Option<Vec<ValueColumn>>> {
        Ok(None)
    }

    fn remove(&self, _: &str, _: i64) -> Result<()> {
        unlinked()
    }
}
