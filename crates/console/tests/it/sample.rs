//! Rows of every noun, as the loop leaves them.

mod models;

use std::sync::Arc;

use perennial_core::calendar::Window;
use perennial_core::cause::{Cause, TriggerEvent};
use perennial_core::entity::{
    Alert, AlertSubject, CheckResult, Dataset, DatasetKind, DatasetVersion, DatasetVersionOrigin, Endpoint, Load,
    LoadFile, LoadOrigin, MonitorResult, MonitorResultKind, PipelineKind, PipelineOptions, PipelineRun, Profile,
    Promotion, PromotionKind, StepOutput, StepOutputKind, StepRun,
};
use perennial_core::id::{AlertId, DatasetId, EvidenceId, LoadId, ModelId, PipelineRunId, PromotionId, StepRunId};
use perennial_core::ledger::{Chain, Record};
use perennial_core::lineage::{Node, NodeKind};
use perennial_core::port::data::{ColumnProfile, Mode, Severity};
use perennial_core::rule::Verdict;
use perennial_core::schema::{Field, Schema, TypeClass};
use perennial_core::state::{AlertState, LoadState, PipelineRunState, StepRunState};
use perennial_monitoring::{Drift, FeatureDrift, WindowResult};
use perennial_projects::ProjectState;
use perennial_store::{
    Tx, alerts, check_results, dataset_versions, datasets, decisions, endpoints, lineage, loads, monitor_results,
    pipeline_runs, promotions, releases, step_runs,
};
use serde_json::json;

use crate::world::{NOW_MS, World};

pub(crate) const RELEASE: &str = "abababababababababababababababababababababababababababababababab";
const DAY_MS: i64 = 86_400_000;

/// What a sample is made of.
#[derive(Clone)]
pub(crate) struct Words {
    /// How many of each.
    pub(crate) count: i64,
    /// A name of a project, dataset, step, endpoint, monitor.
    pub(crate) name: String,
    /// What people or programs wrote.
    pub(crate) text: String,
}

impl Words {
    pub(crate) fn one() -> Self {
        Self { count: 1, name: "delay".to_owned(), text: "as it should be".to_owned() }
    }

    pub(crate) fn many() -> Self {
        Self { count: 60, ..Self::one() }
    }

    /// The longest names there may be, and words that are markup and turn the order of text.
    pub(crate) fn hostile() -> Self {
        let text = format!(
            "<script>alert('XXX')</script>\"'&<img src=x onerror=XXX>\u{202e}{}",
            "very-long-word-without-any-space".repeat(6)
        );
        Self { count: 2, name: format!("n{}", "a-long_name".repeat(6))[..64].to_owned(), text }
    }
}

/// Ids that addresses need.
#[derive(Clone, Copy)]
pub(crate) struct Ids {
    pub(crate) run: PipelineRunId,
    pub(crate) alert: AlertId,
    pub(crate) evidence: EvidenceId,
}

/// A project file that declares every stage.
pub(crate) fn project_file(words: &Words) -> String {
    let (name, text) = (&words.name, words.text.replace('\\', "\\\\").replace('"', "\\\""));
    format!(
        r#"
[project]
name = "{name}"
goal = "{text}"
owners = ["{text}"]
timezone = "America/New_York"

[task]
kind = "binary"
data = "features"
target = "late"
key = ["flight_id"]
time = "time_hour"
test = "1 month"
label_delay = "45 days"
metric = "auc"

[datasets.schedule]
source = {{ files = "data/*.parquet", every = "1 month" }}
key = ["flight_id"]

[steps.features]
sql = "sql/features.sql"

[steps.train]
train = "gbdt"

[steps.simple]
train = "linear"

[steps.evaluation]
evaluate = ["train", "simple"]

[gates]
better = "candidate.auc >= simple.auc"

[release]
model = "train"
approve = ["approver"]

[endpoints.{name}]

[monitors.{name}]
endpoint = "{name}"
window = "1 month"
alerts = {{ stale = "auc < reference.auc - 0.02" }}

[triggers.renew]
on = ["alert:{name}.stale"]
run = "release"
"#
    )
}

/// Submits the project file and writes rows of every noun.
pub(crate) async fn fill(world: &World, words: &Words) -> (Arc<ProjectState>, Ids) {
    let project = world.submit(&project_file(words)).await;
    let svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 100 60\"><path d=\"M5 55 L50 20 L95 5\" fill=\"none\" stroke=\"#2f7ed8\"/></svg>";
    let plot = world.app.kernel.services.blobs.put_bytes(svg.as_bytes().to_vec()).await.unwrap().digest.to_string();
    let log = world
        .app
        .kernel
        .services
        .blobs
        .put_bytes(format!("line 1\n{}\n", words.text).into_bytes())
        .await
        .unwrap()
        .digest
        .to_string();
    let ids = Ids { run: PipelineRunId::generate(), alert: AlertId::generate(), evidence: EvidenceId::generate() };
    let (words, state) = (words.clone(), project.clone());
    world
        .app
        .kernel
        .store()
        .write(move |tx| {
            Box::pin(async move {
                let rows = Rows { words, project: state, ids, model: ModelId::generate(), plot, log };
                rows.data(tx).await?;
                rows.pipelines(tx).await?;
                rows.models(tx).await?;
                rows.live(tx).await
            })
        })
        .await
        .unwrap_or_else(|error| panic!("{error:?}"));
    (project, ids)
}

struct Rows {
    words: Words,
    project: Arc<ProjectState>,
    ids: Ids,
    model: ModelId,
    plot: String,
    log: String,
}

type Done = perennial_core::Result<()>;

impl Rows {
    async fn data(&self, tx: &mut Tx) -> Done {
        let (project_id, text) = (self.project.id, &self.words.text);
        let id = DatasetId::generate();
        let dataset = Dataset {
            id,
            project_id,
            name: self.words.name.parse()?,
            kind: DatasetKind::Table,
            mode: Mode::Append,
            key_columns: vec![text.clone()],
            table_path: "table".to_owned(),
            last_number: 0,
            created_ms: NOW_MS,
        };
        datasets::insert(tx, &dataset).await?;
        for number in 1..=self.words.count {
            let at = NOW_MS - (self.words.count - number) * DAY_MS;
            let is_held = number == self.words.count;
            let load = Load {
                id: LoadId::generate(),
                project_id,
                dataset_id: id,
                origin: LoadOrigin::File,
                origin_id: None,
                files: vec![LoadFile {
                    path: format!("{text}-{number}.parquet"),
                    position: None,
                    content_digest: Some("cd".repeat(32)),
                }],
                content_digest: Some("cd".repeat(32)),
                size_bytes: Some(1_234_567),
                state: if is_held { LoadState::Held } else { LoadState::Committed },
                arrived: 27_004,
                passing: 26_990,
                set_aside: 14,
                reasons: json!({ text.as_str(): 14 }),
                staged: None,
                message: is_held.then(|| text.clone()),
                replaces: None,
                replaced_by: None,
                number: (!is_held).then_some(number),
                cause: None,
                wall_ms: at,
                project_ms: at,
                settled_ms: Some(at),
            };
            loads::insert(tx, &load).await?;
            let check = CheckResult {
                load_id: load.id,
                name: "origin_known".to_owned(),
                project_id,
                dataset_id: id,
                severity: Severity::Error,
                verdict: if is_held { Verdict::Fail } else { Verdict::Pass },
                answer: json!({ "message": text }),
                wall_ms: at,
            };
            check_results::upsert(tx, &check).await?;
            let profile = Profile { load_id: load.id, project_id, dataset_id: id, body: json!(self.profile()) };
            check_results::upsert_profile(tx, &profile).await?;
            let version = DatasetVersion {
                dataset_id: id,
                number,
                project_id,
                delta_version: Some(number - 1),
                manifest: None,
                row_count: 26_990 * number as u64,
                size_bytes: 1_234_567,
                schema: Schema { fields: vec![Field { name: text.clone(), class: TypeClass::Text, nullable: true }] },
                digest: "ef".repeat(32),
                row_sum: None,
                origin_kind: DatasetVersionOrigin::Load,
                origin_id: load.id.to_string(),
                wall_ms: at,
                project_ms: at,
            };
            dataset_versions::insert(tx, &version).await?;
            let from = Node::new(NodeKind::SourceFile, format!("{}/{text}@{}", self.words.name, "cd".repeat(32)));
            let made = Node::new(NodeKind::DatasetVersion, format!("{id}@{number}"));
            lineage::add(tx, project_id, &from, &Node::new(NodeKind::Load, load.id), at).await?;
            lineage::add(tx, project_id, &Node::new(NodeKind::Load, load.id), &made, at).await?;
            lineage::add(tx, project_id, &made, &Node::new(NodeKind::Release, RELEASE), at).await?;
        }
        Ok(())
    }

    fn profile(&self) -> Vec<ColumnProfile> {
        let number = ColumnProfile {
            name: "distance".to_owned(),
            class: "float".to_owned(),
            rows: 27_004,
            nulls: 12,
            distinct: 211,
            min: Some(json!(17.0)),
            max: Some(json!(4983.0)),
            mean: Some(1_039.912_6),
            deviation: Some(733.2),
            quantiles: Some([150.0, 502.0, 872.0, 1_389.0, 2_475.0]),
            top: Vec::new(),
        };
        let words = ColumnProfile {
            name: self.words.text.clone(),
            class: "text".to_owned(),
            min: Some(json!(self.words.text)),
            max: Some(json!("z")),
            mean: None,
            deviation: None,
            quantiles: None,
            top: vec![(self.words.text.clone(), 9_893), ("JFK".to_owned(), 9_161)],
            ..number.clone()
        };
        vec![number, words]
    }

    async fn pipelines(&self, tx: &mut Tx) -> Done {
        let (project_id, text) = (self.project.id, &self.words.text);
        for number in 1..=self.words.count {
            let is_newest = number == self.words.count;
            let run = PipelineRun {
                id: if is_newest { self.ids.run } else { PipelineRunId::generate() },
                project_id,
                kind: PipelineKind::Release,
                state: if is_newest { PipelineRunState::Failed } else { PipelineRunState::Succeeded },
                cause: Cause::Trigger {
                    trigger: "renew".parse()?,
                    event: text.clone(),
                    because: TriggerEvent::Dataset { dataset: "schedule".parse()?, number },
                },
                file_digest: "12".repeat(32),
                options: PipelineOptions::default(),
                holder: None,
                message: Some(text.clone()),
                wall_ms: NOW_MS,
                project_ms: NOW_MS,
                started_ms: Some(NOW_MS),
                ended_ms: Some(NOW_MS + 83_400),
            };
            pipeline_runs::insert(tx, &run).await?;
        }
        let events = [
            json!({ "event": "load_ended", "dataset": self.words.name, "path": text, "state": "held", "rows": 27_004, "set_aside": 14 }),
            json!({ "event": "step_started", "step": "train", "kind": "train", "why": [format!("params changed: {text}")] }),
            json!({ "event": "decided", "verdict": "fail", "message": text }),
        ];
        for event in &events {
            pipeline_runs::add_event(tx, self.ids.run, event, NOW_MS).await?;
        }
        let states = [
            ("features", StepRunState::Cached),
            ("train", StepRunState::Succeeded),
            ("simple", StepRunState::Running),
            ("evaluation", StepRunState::Failed),
        ];
        for (step, state) in states {
            let attempt = StepRun {
                id: StepRunId::generate(),
                project_id,
                pipeline_run_id: self.ids.run,
                step: step.parse()?,
                attempt: 1,
                state,
                cache_key: "34".repeat(32),
                key_parts: json!({}),
                reused_from: None,
                run_id: None,
                runner: Some("local".to_owned()),
                exit: None,
                peak_memory_bytes: Some(412_000_000),
                isolation: Some("landlock 5".to_owned()),
                message: Some(text.clone()),
                log_digest: Some(self.log.clone()),
                started_ms: Some(NOW_MS),
                ended_ms: Some(NOW_MS + 12_345),
            };
            step_runs::insert(tx, &attempt).await?;
            let output = StepOutput {
                step_run_id: attempt.id,
                name: text.clone(),
                kind: StepOutputKind::Model,
                digest: "56".repeat(32),
                reference: json!({}),
            };
            step_runs::upsert_output(tx, &output).await?;
        }
        Ok(())
    }

    /// The subject of an alert, of another kind for each number.
    fn subject(&self, number: i64) -> perennial_core::Result<AlertSubject> {
        let name = &self.words.name;
        Ok(match number % 3 {
            0 => AlertSubject::Monitor(name.parse()?),
            1 => AlertSubject::Dataset(name.parse()?),
            _ => AlertSubject::File { dataset: name.parse()?, path: "new.csv".to_owned() },
        })
    }

    async fn live(&self, tx: &mut Tx) -> Done {
        let (project_id, text) = (self.project.id, &self.words.text);
        let endpoint = Endpoint {
            champion_number: Some(1),
            champion_since_ms: Some(NOW_MS),
            generation: 1,
            ..Endpoint::unanswered(project_id, self.words.name.parse()?, self.model, "champion", NOW_MS)
        };
        endpoints::insert(tx, &endpoint).await?;
        for number in 1..=self.words.count {
            self.promoted(tx, &endpoint).await?;
            self.watched(tx, number).await?;
            let alert = Alert {
                id: if number == self.words.count { self.ids.alert } else { AlertId::generate() },
                project_id,
                subject: self.subject(number)?,
                name: "stale".to_owned(),
                window_start_ms: number,
                number: Some(1),
                expression: Some(text.clone()),
                facts: json!([]),
                message: text.clone(),
                state: AlertState::Firing,
                wall_ms: NOW_MS,
                project_ms: NOW_MS,
                settled_ms: None,
            };
            alerts::fire(tx, &alert).await?;
        }
        self.recorded(tx).await
    }

    async fn promoted(&self, tx: &mut Tx, endpoint: &Endpoint) -> Done {
        let promotion = Promotion {
            id: PromotionId::generate(),
            project_id: endpoint.project_id,
            endpoint: Some(endpoint.name.clone()),
            model_id: self.model,
            alias: "champion".to_owned(),
            from_number: None,
            to_number: Some(1),
            kind: PromotionKind::Promotion,
            decision_id: None,
            release_digest: Some(RELEASE.to_owned()),
            cause: Cause::person(&self.words.text),
            actor: self.words.text.clone(),
            wall_ms: NOW_MS,
            project_ms: NOW_MS,
        };
        Ok(promotions::insert(tx, &promotion).await?)
    }

    /// One window, a month long: inputs, then quality.
    async fn watched(&self, tx: &mut Tx, number: i64) -> Done {
        let start_ms = NOW_MS - (self.words.count - number + 1) * 31 * DAY_MS;
        let window = Window { start_ms, end_ms: start_ms + 31 * DAY_MS };
        let feature = |name: &str, psi: f64| FeatureDrift {
            name: name.to_owned(),
            psi: Some(psi),
            ks: None,
            missing: 0.1,
            reference_missing: 0.0,
            is_drifted: psi >= 0.25,
        };
        let wave = (number as f64 * 0.9).sin() * 0.03;
        let mut result = WindowResult {
            version: "1".to_owned(),
            window,
            rows: 27_000,
            labelled_rows: 0,
            metrics: std::collections::BTreeMap::new(),
            drift: Some(Drift {
                rows: 27_000,
                features: vec![feature("distance", 0.02), feature(&self.words.text, 0.31)],
                scores: vec![feature("score", 0.05)],
                share: Some(0.3 + wave * 4.0),
            }),
            latency: None,
            requests: 27_000,
            errors: 3,
        };
        let reference = [("auc".to_owned(), 0.724)].into();
        for kind in [MonitorResultKind::Inputs, MonitorResultKind::Quality] {
            if kind == MonitorResultKind::Quality {
                result.labelled_rows = 26_500;
                result.metrics.insert("auc".to_owned(), 0.70 + wave);
            }
            let row = MonitorResult {
                project_id: self.project.id,
                monitor: self.words.name.parse()?,
                window_start_ms: start_ms,
                window_end_ms: window.end_ms,
                number: 1,
                kind,
                revision: 1,
                facts: json!({ "result": result, "facts": result.facts(Some(&reference)) }),
                wall_ms: NOW_MS,
                project_ms: NOW_MS,
            };
            monitor_results::insert(tx, &row).await?;
        }
        Ok(())
    }

    /// The ledger entries of the rows that verification compares, and one with long words.
    async fn recorded(&self, tx: &mut Tx) -> Done {
        let record = |noun: &str, subject: String, verb: &str, payload: String| Record {
            chain: Chain::Project(self.project.id),
            noun: noun.to_owned(),
            subject,
            verb: verb.to_owned(),
            actor: self.words.text.clone(),
            wall_ms: NOW_MS,
            project_ms: NOW_MS,
            cause: Some(self.words.text.clone()),
            payload,
        };
        let (id, mut records) = (self.project.id, Vec::new());
        for release in releases::list(tx, id, 100).await? {
            let payload = release.ledger_payload(&release.body.to_string());
            records.push(record("release", release.digest, "create", payload.to_string()));
        }
        for decision in decisions::list(tx, id, None, 100).await?.items {
            let payload = decision.ledger_payload(&serde_json::to_string(&decision.body).unwrap());
            records.push(record("decision", decision.id.to_string(), "decide", payload.to_string()));
        }
        for promotion in promotions::list(tx, id, None, 100).await?.items {
            let (subject, payload) = (promotion.id.to_string(), promotion.ledger_payload());
            records.push(record("promotion", subject, promotion.kind.as_str(), payload.to_string()));
        }
        records.push(record("alert", self.words.text.clone(), "fire", "{}".to_owned()));
        for record in records {
            tx.ledger_append(record).await?;
        }
        Ok(())
    }
}
