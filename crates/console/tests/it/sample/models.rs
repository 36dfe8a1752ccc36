//! Model versions, evidence and decisions.

use perennial_core::calendar::Window;
use perennial_core::cause::Cause;
use perennial_core::entity::{
    ApprovalRequest, Decision, DecisionBody, GateResult, ModelAlias, ModelVersion, RegisteredModel, Release,
};
use perennial_core::id::{ApprovalRequestId, DecisionId, ModelId};
use perennial_core::lineage::{Node, NodeKind};
use perennial_core::permission::Role;
use perennial_core::release::ReleaseContent;
use perennial_core::rule::{Evaluation, Skipped, Verdict};
use perennial_core::state::{ApprovalRequestState, ModelVersionState};
use perennial_monitoring::Reference;
use perennial_release::evidence::{Evidence, ModelFacts};
use perennial_store::{
    Tx, approval_requests, decisions, evidence, lineage, model_versions, registered_models, releases, step_runs,
};
use serde_json::{Value, json};

use super::{DAY_MS, Done, RELEASE, Rows};
use crate::world::NOW_MS;

impl Rows {
    pub(super) async fn models(&self, tx: &mut Tx) -> Done {
        let (project_id, text) = (self.project.id, &self.words.text);
        let model = RegisteredModel {
            id: self.model,
            project_id,
            name: self.words.name.clone(),
            description: Some(text.clone()),
            last_number: 0,
            created_ms: NOW_MS,
            updated_ms: NOW_MS,
        };
        registered_models::insert(tx, &model).await?;
        let foreign = RegisteredModel { id: ModelId::generate(), name: text.clone(), ..model };
        registered_models::insert(tx, &foreign).await?;
        for model in [self.model, foreign.id] {
            for _ in 0..self.words.count {
                let number = model_versions::take_number(tx, model, NOW_MS).await?;
                model_versions::insert(tx, &self.version(model, number)).await?;
            }
        }
        registered_models::set_alias(
            tx,
            &ModelAlias { model_id: self.model, alias: "champion".to_owned(), number: 1, updated_ms: NOW_MS },
        )
        .await?;
        let release = Release {
            project_id,
            digest: RELEASE.to_owned(),
            model_id: self.model,
            number: 1,
            body: json!({ "model": "56".repeat(32), "datasets": { self.words.name.as_str(): "ef".repeat(32) }, "configuration": { "gate:better": text } }),
            ledger_head: "78".repeat(32),
            wall_ms: NOW_MS,
            project_ms: NOW_MS,
        };
        releases::insert(tx, &release).await?;
        let version = Node::new(NodeKind::ModelVersion, format!("{}@1", self.model));
        lineage::add(tx, project_id, &version, &Node::new(NodeKind::Release, RELEASE), NOW_MS).await?;
        self.insert_evaluation(tx).await
    }

    fn version(&self, model_id: ModelId, number: i64) -> ModelVersion {
        ModelVersion {
            model_id,
            number,
            project_id: self.project.id,
            source: self.words.text.clone(),
            run_id: None,
            step_run_id: None,
            content_digest: Some("56".repeat(32)),
            signature: Some(
                json!({ "inputs": [{ "name": self.words.text, "kind": "text" }, { "name": "distance", "kind": "number" }], "task": "binary" }),
            ),
            flavor: Some("onnx".to_owned()),
            manifest: None,
            state: ModelVersionState::Ready,
            description: Some(self.words.text.clone()),
            user_id: self.words.text.clone(),
            wall_ms: NOW_MS,
            project_ms: NOW_MS,
            updated_ms: NOW_MS,
        }
    }

    async fn insert_evaluation(&self, tx: &mut Tx) -> Done {
        let (project_id, text) = (self.project.id, &self.words.text);
        let step_run = step_runs::list(tx, self.ids.run).await?.pop().unwrap().id;
        let row = perennial_core::entity::Evidence {
            id: self.ids.evidence,
            project_id,
            pipeline_run_id: self.ids.run,
            step_run_id: step_run,
            release_digest: None,
            body: json!(self.evidence()),
            wall_ms: NOW_MS,
            project_ms: NOW_MS,
            expires_project_ms: NOW_MS + 7 * DAY_MS,
        };
        evidence::insert(tx, &row).await?;
        for verdict in [Verdict::Pass, Verdict::Fail, Verdict::Unknown] {
            let evaluation = Evaluation {
                verdict,
                missing: vec![text.clone()],
                reasons: vec![text.clone()],
                values: vec![("candidate.auc".to_owned(), json!(0.724_1)), (text.clone(), json!(text))],
                skipped: vec![Skipped { clause: text.clone(), absent: "champion".to_owned() }],
            };
            let gate =
                GateResult { gate: "better".to_owned(), expression: format!("candidate.auc > {text}"), evaluation };
            let body = DecisionBody {
                gates: vec![gate],
                leaks: vec![(text.clone(), text.clone())],
                warnings: vec![text.clone()],
                strong_features: vec![(text.clone(), text.clone())],
                evidence: row.id,
                content: ReleaseContent::default(),
            };
            let decision = Decision {
                id: DecisionId::generate(),
                project_id,
                pipeline_run_id: Some(self.ids.run),
                evidence_id: row.id,
                release_digest: RELEASE.to_owned(),
                model_id: self.model,
                number: 1,
                champion_number: Some(1),
                verdict,
                body,
                wall_ms: NOW_MS,
                project_ms: NOW_MS,
            };
            decisions::insert(tx, &decision).await?;
            if verdict == Verdict::Pass {
                self.insert_request(tx, &decision).await?;
            }
        }
        Ok(())
    }

    /// The release waits for approval.
    async fn insert_request(&self, tx: &mut Tx, decision: &Decision) -> Done {
        let request = ApprovalRequest {
            id: ApprovalRequestId::generate(),
            project_id: decision.project_id,
            decision_id: decision.id,
            release_digest: RELEASE.to_owned(),
            number: 1,
            roles: vec![Role::Approver],
            cause: Cause::person(&self.words.text),
            requested_by: self.words.text.clone(),
            state: ApprovalRequestState::Waiting,
            closed_by: None,
            reason: None,
            wall_ms: NOW_MS,
            project_ms: NOW_MS,
            closed_ms: None,
        };
        approval_requests::insert(tx, &request).await?;
        Ok(())
    }

    fn evidence(&self) -> Evidence {
        let slices: Vec<Value> = ["EWR", "JFK", &self.words.text]
            .iter()
            .map(|value| json!({ "column": "origin", "value": value, "rows": 9_421.0, "auc": 0.701_2 }))
            .collect();
        let facts = json!({ "auc": 0.724_1, "log_loss": 0.512_3, "rows": 28_243.0, "slices": slices });
        let model = |name: &str, number: Option<i64>| ModelFacts {
            name: name.to_owned(),
            step: None,
            digest: "56".repeat(32),
            number,
            facts: facts.as_object().cloned().unwrap_or_default(),
        };
        Evidence {
            split: perennial_execution::Split {
                test: Window { start_ms: NOW_MS - 31 * DAY_MS, end_ms: NOW_MS },
                train_rows: 138_000,
                test_rows: 28_243,
                labelled_share: 0.97,
            },
            datasets: std::collections::BTreeMap::new(),
            models: vec![model("candidate", None), model("champion", Some(1)), model("simple", None)],
            leaks: vec![(self.words.text.clone(), self.words.text.clone())],
            warnings: vec![self.words.text.clone()],
            strong_features: vec![(self.words.text.clone(), self.words.text.clone())],
            serving: json!({ "p50_ms": 0.01, "p99_ms": 0.02 }),
            checks: json!({}),
            reference: Reference { features: Vec::new(), scores: Vec::new() },
            plots: vec![("roc".to_owned(), self.words.text.clone(), self.plot.clone())],
        }
    }
}
