//! The test application.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use perennial_artifacts::Blobs;
use perennial_core::blob::{Manifest, ManifestFile};
use perennial_core::entity::{Endpoint, ModelAlias, ModelVersion, RegisteredModel};
use perennial_core::frame::{Column, Frame};
use perennial_core::id::{ModelId, RequestId, RunId};
use perennial_core::model::Scores;
use perennial_core::permission::Role;
use perennial_core::port::prediction::{PredictionRecord, TrafficRole};
use perennial_core::state::ModelVersionState;
use perennial_http::Slices;
use perennial_kernel::{Caller, Services, access};
use perennial_projects::ProjectState;
use perennial_serving::Runtime;
use perennial_store::{Options, Store, endpoints as endpoint_rows, model_versions, registered_models};
use serde_json::json;
use sqlx::{Connection as _, SqliteConnection};
use tempfile::TempDir;

use crate::fakes::{FakeData, FakeRunner, FakeTrainer, FixedClock, HoldableLog};
use crate::models::TestModel;

/// The wall clock at the start of a test: 2013-06-01T00:00:00Z.
pub const WALL_MS: i64 = 1_370_044_800_000;

/// The prefix of an object store that test applications call their own; nothing is stored there.
pub const OWN_STORAGE: &str = "s3://lake/perennial/";

/// A project with one endpoint, `delay`, keyed by `flight_id`.
pub const PROJECT_FILE: &str = r#"
[project]
name = "flights"
goal = "predict which flights will be late"

[task]
kind = "binary"
data = "flown"
target = "late"
key = ["flight_id"]
time = "hour"
test = "1 month"
metric = "auc"

[datasets.flown]
source = { files = "data/*.csv" }
mode = "append"

[steps.train]
train = "linear"

[steps.evaluation]
evaluate = ["train"]

[release]
model = "train"

[endpoints.delay]

[monitors.delay]
endpoint = "delay"
window = "1 month"
alerts = { drifted = "drift.share > 0.5" }
"#;

/// An application over a temporary folder.
pub struct TestApp {
    /// The application.
    pub app: Arc<Slices>,
    /// Its wall clock.
    pub clock: Arc<FixedClock>,
    /// Its data engine.
    pub data: Arc<FakeData>,
    /// Its trainer.
    pub trainer: Arc<FakeTrainer>,
    /// Its prediction log.
    pub predictions: Arc<HoldableLog>,
    /// The folder of all its data; the project's folder is `root` in it.
    pub folder: TempDir,
}

impl TestApp {
    /// An application without a project.
    pub async fn start() -> Result<Self> {
        Self::over(tempfile::tempdir()?, None, true).await
    }

    /// An application whose administrator does not allow steps without isolation.
    pub async fn that_isolates() -> Result<Self> {
        Self::over(tempfile::tempdir()?, None, false).await
    }

    /// The next server over the same folder, with new fakes. Background work of this one ends where it is.
    pub async fn restart(self) -> Result<Self> {
        let Self { app, folder, predictions, .. } = self;
        app.kernel.work.stop(Duration::ZERO).await;
        app.kernel.store().close().await?;
        drop((app, predictions));
        Self::over(folder, None, true).await
    }

    /// An application over a copy of a SQLite store, such as that of an earlier version.
    pub async fn over_store(metadata: &Path) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        std::fs::copy(metadata, folder.path().join("metadata.sqlite"))?;
        Self::over(folder, None, true).await
    }

    /// Another server over the same store, blobs and data engine, which has just started.
    pub async fn beside(other: &Self) -> Result<Self> {
        Self::over(tempfile::tempdir()?, Some(other), true).await
    }

    async fn over(folder: TempDir, other: Option<&Self>, may_run_unisolated: bool) -> Result<Self> {
        let at = |name: &str| folder.path().join(name);
        for name in ["root", "work"] {
            std::fs::create_dir_all(at(name))?;
        }
        let options = Options { is_durable: false, ..Options::default() };
        let (store, blobs, data) = match other {
            Some(other) => {
                (other.app.kernel.store().clone(), other.app.kernel.services.blobs.clone(), other.data.clone())
            }
            None => (
                Store::open(&format!("sqlite://{}", at("metadata.sqlite").display()), options).await?,
                Blobs::open_folder(&at("blobs"))?,
                Arc::default(),
            ),
        };
        let (clock, trainer) = (Arc::new(FixedClock::new(WALL_MS)), Arc::new(FakeTrainer::default()));
        let predictions = Arc::new(HoldableLog::open(&at("predictions"))?);
        let app = Slices::new(Services {
            store,
            blobs,
            data: data.clone(),
            runner: Arc::new(FakeRunner::default()),
            trainer: trainer.clone(),
            trainers: &crate::fakes::TRAINERS,
            models: Arc::new(Runtime::new(None)),
            predictions: predictions.clone(),
            clock: clock.clone(),
            root: at("root"),
            uploads: at("sent"),
            artifacts: Some(OWN_STORAGE.parse()?),
            work: at("work"),
            version: "0.0.0-test",
            may_step_clock: true,
            may_run_unisolated,
        });
        Ok(Self { app, clock, data, trainer, predictions, folder })
    }

    /// An application whose project is [`PROJECT_FILE`].
    pub async fn with_project() -> Result<(Self, Arc<ProjectState>)> {
        let test = Self::start().await?;
        let project = test.submit(PROJECT_FILE).await?;
        Ok((test, project))
    }

    /// Executes statements on the SQLite file, as a person with access to it can.
    pub async fn execute(&self, sql: &'static str) -> Result<()> {
        let url = format!("sqlite://{}", self.folder.path().join("metadata.sqlite").display());
        let mut conn = SqliteConnection::connect(&url).await?;
        sqlx::raw_sql(sql).execute(&mut conn).await?;
        Ok(conn.close().await?)
    }

    /// The server itself as caller.
    pub fn system(&self) -> Caller {
        Caller::system(self.app.kernel.clone(), "test")
    }

    /// Logs one answered prediction, as an endpoint does.
    pub fn predict(&self, log: &str) -> Result<()> {
        let mut inputs = Frame::new();
        inputs.push("dep_hour", Column::Number(vec![7.0]));
        let scores = Scores { width: 1, values: vec![0.5] };
        let record = PredictionRecord {
            request: RequestId::generate(),
            version: 1,
            role: TrafficRole::Champion,
            status: 200,
            wall_ms: 1,
            project_ms: 1,
            latency_us: 1,
            inputs: &inputs,
            scores: Some(&scores),
        };
        Ok(self.app.kernel.services.predictions.append(log, record).map(drop)?)
    }

    /// Submits a project file and has the endpoints follow it, as a server does that starts in its folder.
    pub async fn submit(&self, text: &str) -> Result<Arc<ProjectState>> {
        self.write_file(text)?;
        let chain = |error: perennial_core::Error| anyhow::anyhow!(error.chain());
        let (project, _) = self.app.projects.submit(&self.system()).await.map_err(chain)?;
        let submission = project.submission().map_err(chain)?;
        self.app.endpoints.apply_declarations(&self.system(), &project, &submission).await.map_err(chain)?;
        Ok(project)
    }

    /// Writes the project file, and no more.
    pub fn write_file(&self, text: &str) -> Result<()> {
        Ok(std::fs::write(self.folder.path().join("root/perennial.toml"), text)?)
    }

    /// A new person as caller, with a role on the server.
    pub async fn caller(&self, name: &str, role: Role) -> Result<Caller> {
        let secret = self.token(name, role, None).await?;
        Ok(Caller::new(self.app.kernel.clone(), access::authenticate(&self.app.kernel, &secret).await?))
    }

    /// A token of a new person, with a role on a project or, without one, on the server.
    pub async fn token(&self, name: &str, role: Role, project: Option<&ProjectState>) -> Result<String> {
        let token = access::create_person_token(&self.system(), name, role, project.map(|project| project.id)).await?;
        Ok(token.secret)
    }

    /// Registers a model as the next version under the project's name and makes it the champion of an
    /// endpoint, as a promotion does. Returns its number.
    pub async fn deploy(&self, project: &Arc<ProjectState>, endpoint: &str, model: &TestModel) -> Result<i64> {
        let version = self.register(project, model).await?;
        let (number, model_id, name) = (version.number, version.model_id, endpoint.parse()?);
        let (project_id, at_ms) = (project.id, self.app.kernel.services.clock.wall_ms());
        self.app
            .kernel
            .store()
            .write(move |tx| {
                Box::pin(async move {
                    let row = match endpoint_rows::find(tx, project_id, &name).await? {
                        Some(row) => row,
                        None => {
                            let row = Endpoint::unanswered(project_id, name, model_id, "champion", at_ms);
                            endpoint_rows::insert(tx, &row).await?;
                            row
                        }
                    };
                    registered_models::set_alias(
                        tx,
                        &ModelAlias { model_id, alias: row.alias.clone(), number, updated_ms: at_ms },
                    )
                    .await?;
                    endpoint_rows::set_champion(tx, &row, Some(number), at_ms, at_ms).await?;
                    Ok(())
                })
            })
            .await?;
        self.app.endpoints.open_all().await?;
        Ok(number)
    }

    /// Registers a model as the next version under the project's name.
    pub async fn register(&self, project: &Arc<ProjectState>, model: &TestModel) -> Result<ModelVersion> {
        let blob = self.app.kernel.services.blobs.put_bytes(model.onnx.clone()).await?;
        let manifest = Manifest::new(vec![ManifestFile { path: "model.onnx".parse()?, blob, is_executable: false }])?;
        let reference = json!({
            "manifest": manifest.text(), "onnx": "model.onnx", "flavor": "onnx",
            "signature": model.signature, "run": RunId::generate(), "environment": "none",
        });
        let known =
            registered_models::find_by_name(&mut *self.app.kernel.store().read().await?, project.name.as_str()).await?;
        let (is_new, at_ms) = (known.is_none(), self.app.kernel.services.clock.wall_ms());
        let row = known.unwrap_or_else(|| RegisteredModel {
            id: ModelId::generate(),
            project_id: project.id,
            name: project.name.to_string(),
            description: None,
            last_number: 0,
            created_ms: at_ms,
            updated_ms: at_ms,
        });
        let mut version = ModelVersion {
            model_id: row.id,
            number: 0,
            project_id: project.id,
            source: "test".to_owned(),
            run_id: None,
            step_run_id: None,
            content_digest: Some(manifest.digest().to_string()),
            signature: Some(json!(model.signature)),
            flavor: Some("onnx".to_owned()),
            manifest: Some(reference),
            state: ModelVersionState::Ready,
            description: None,
            user_id: "test".to_owned(),
            wall_ms: at_ms,
            project_ms: at_ms,
            updated_ms: at_ms,
        };
        let stored = self
            .app
            .kernel
            .store()
            .write(move |tx| {
                Box::pin(async move {
                    if is_new {
                        registered_models::insert(tx, &row).await?;
                    }
                    version.number = model_versions::take_number(tx, row.id, at_ms).await?;
                    model_versions::insert(tx, &version).await?;
                    Ok(version)
                })
            })
            .await;
        stored.context("the version is not stored")
    }
}
