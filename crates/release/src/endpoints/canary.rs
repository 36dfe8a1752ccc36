//! Canaries: how long they last, and what ends them.

use std::sync::Arc;

use perennial_config::Canary as Declared;
use perennial_core::Result;
use perennial_core::cause::Cause;
use perennial_core::entity::{Endpoint, PromotionKind};
use perennial_core::port::data::QueryRequest;
use perennial_core::port::prediction::TrafficRole;
use perennial_core::rule::Verdict;
use perennial_core::state::CanaryEvent;
use perennial_store::endpoints;
use serde_json::{Map, Value, json};

use super::{Endpoints, followed};
use crate::router::RequestStats;
use perennial_ingest::predictions;
use perennial_ingest::snapshot::DatasetSnapshot;
use perennial_kernel::{Caller, Kernel};
use perennial_projects::ProjectState;

/// Groups of latencies that are read after a start, for each power of e: 2 % wide.
const LATENCY_STEPS: f64 = 50.0;
/// Limit of groups that are read after a start: versions times roles times results times latencies up to a day.
const COUNTED_MAX: usize = 20_000;

/// The declaration of an active canary in the project file that its endpoint follows, and when its duration ends, on the
/// project clock. `None` without an active canary or a declaration: such a canary waits.
async fn declared_canary(kernel: &Kernel, project: &ProjectState, endpoint: &Endpoint) -> Option<(Declared, i64)> {
    let started = endpoint.canary_started_ms.filter(|_| endpoint.has_active_canary())?;
    let followed = followed(kernel, project, endpoint).await?;
    let declared = followed.project.endpoints.get(&endpoint.name)?.canary.clone()?;
    let due = declared.duration.after(started, &followed.zone);
    Some((declared, due))
}

impl Endpoints {
    /// When the duration of an active canary ends, on the project clock.
    pub async fn canary_due(self: &Arc<Self>, project: &ProjectState, endpoint: &Endpoint) -> Option<i64> {
        declared_canary(&self.kernel, project, endpoint).await.map(|(_, due)| due)
    }
}

impl Endpoints {
    /// What an active canary waits for before it is promoted, in words; `None` without one, or when the next evaluation
    /// decides.
    pub(crate) async fn canary_waits_for(
        self: &Arc<Self>,
        project: &ProjectState,
        endpoint: &Endpoint,
    ) -> Option<String> {
        let (declared, due) = declared_canary(&self.kernel, project, endpoint).await?;
        let now_ms = project.now().project_ms;
        let deployment = self.router.find_in(project.id, endpoint.name.as_str())?;
        let (canary, champion) = (&deployment.routes.canary()?.version.stats, &deployment.champion().stats);
        let lacking = match canary.fallbacks() {
            0 => String::new(),
            fallbacks => format!(", {fallbacks} more lacked one of its inputs"),
        };
        if canary.requests() < declared.min_requests {
            return Some(format!("{} of {} requests answered{lacking}", canary.requests(), declared.min_requests));
        }
        let evaluated = declared.rollback.as_ref().map(|rule| rule.evaluate(&all_facts(canary, champion)));
        if let Some(evaluated) = evaluated.filter(|evaluated| evaluated.verdict == Verdict::Unknown) {
            let unknown = evaluated.missing.iter().chain(&evaluated.reasons).cloned().collect::<Vec<_>>().join(", ");
            return Some(format!("its rollback rule needs {unknown}, which is not known yet"));
        }
        (now_ms < due).then(|| format!("the end of its {}", declared.duration))
    }
}

impl Endpoints {
    /// Evaluates an active canary: rolled back when its rule holds, promoted when its duration is over and it has
    /// answered enough requests; an unknown rule keeps it waiting. Returns one line about a change, and whether it
    /// needs the attention of a person.
    pub async fn evaluate_canary(
        self: &Arc<Self>,
        caller: &Caller,
        project: &Arc<ProjectState>,
        endpoint: &Endpoint,
    ) -> Result<Option<(String, bool)>> {
        let Some((declared, due)) = declared_canary(&caller.kernel, project, endpoint).await else { return Ok(None) };
        if self.uncounted.contains(project.id, &endpoint.name) {
            return Ok(None);
        }
        let number = endpoint.canary_number.unwrap_or_default();
        let (canary, champion) = {
            let Some(deployment) = self.router.find_in(project.id, endpoint.name.as_str()) else { return Ok(None) };
            let Some(canary) = deployment.routes.canary() else { return Ok(None) };
            (canary.version.stats.clone(), deployment.champion().stats.clone())
        };
        let facts = all_facts(&canary, &champion);
        let rule = declared.rollback.as_ref();
        let verdict = rule.map(|rule| rule.evaluate(&facts));
        if let Some(evaluation) = verdict.as_ref().filter(|evaluation| evaluation.verdict == Verdict::Pass) {
            let rule = rule.map(|rule| rule.text().to_owned());
            let cause = Cause::RollbackRule { rule, values: evaluation.values.clone() };
            let behind = self.end_canary(caller, project, endpoint, cause).await?;
            let name = &endpoint.name;
            let message = format!("version {number} was rolled back at `{name}`: its rollback rule holds{behind}");
            return Ok(Some((message, true)));
        }
        if project.now().project_ms < due {
            return Ok(None);
        }
        let waits = canary.requests() < declared.min_requests
            || verdict.is_some_and(|evaluation| evaluation.verdict == Verdict::Unknown);
        if waits {
            if endpoint.canary_state != Some(perennial_core::state::CanaryState::Waiting) {
                let (stored, at_ms) = (endpoint.clone(), self.kernel.services.clock.wall_ms());
                caller
                    .kernel
                    .store()
                    .write(move |tx| {
                        Box::pin(async move {
                            endpoints::apply_canary(tx, &stored, CanaryEvent::Await, at_ms).await?;
                            Ok(())
                        })
                    })
                    .await?;
            }
            return Ok(None);
        }
        let cause = Cause::Canary { requests: canary.requests(), facts };
        let digest = endpoint.canary_release_digest.clone();
        let (kind, decision) = (PromotionKind::Promotion, endpoint.canary_decision_id);
        let digest = digest.as_deref();
        let behind = self.promote(caller, project, endpoint, number, decision, digest, kind, cause, None).await?;
        let message = format!(
            "version {number} answers at `{}`: its canary has ended after {} requests{behind}",
            endpoint.name,
            canary.requests()
        );
        Ok(Some((message, false)))
    }
}

/// The facts of a rollback rule.
fn all_facts(canary: &RequestStats, champion: &RequestStats) -> Value {
    let mut facts = json!({ "canary": facts(canary), "champion": facts(champion) });
    facts["canary"]["fallbacks"] = json!(canary.fallbacks() as f64);
    facts
}

/// The facts about one version.
fn facts(stats: &RequestStats) -> Value {
    let (requests, errors) = (stats.requests() as f64, stats.errors() as f64);
    let mut facts = Map::new();
    facts.insert("requests".to_owned(), json!(requests));
    facts.insert("errors".to_owned(), json!(errors));
    if requests > 0.0 {
        facts.insert("error_rate".to_owned(), json!(errors / requests));
    }
    for (name, quantile) in [("p50_ms", 0.5), ("p99_ms", 0.99)] {
        if let Some(ms) = stats.latency_ms(quantile) {
            facts.insert(name.to_owned(), json!(ms));
        }
    }
    Value::Object(facts)
}

impl Endpoints {
    /// After a start: counts since the canary began, from the predictions that were logged.
    pub(crate) async fn restore_counts(
        self: &Arc<Self>,
        project: &Arc<ProjectState>,
        endpoint: &Endpoint,
    ) -> Result<()> {
        let Some(started) = endpoint.canary_started_wall_ms.filter(|_| endpoint.has_active_canary()) else {
            return Ok(());
        };
        let caller = Caller::system(self.kernel.clone(), "start");
        self.ingest.ingest_segments(&caller, project, &endpoint.name).await?;
        let name = predictions::dataset_of(&endpoint.name)?;
        let snapshot = DatasetSnapshot::latest(&self.kernel, project.id).await?;
        let Some(table) = snapshot.find(name.as_str()) else { return Ok(()) };
        // Requests of a version that ended alike and took about as long, counted; a request is one row or many.
        let sql = format!(
            "SELECT version, part, failed, min(latency), count(*) FROM (\
               SELECT version, part, status >= 500 AS failed, max(latency_us) AS latency FROM \"{name}\" \
               WHERE wall_ms >= {started} GROUP BY version, part, status, request_id\
             ) GROUP BY version, part, failed, CAST(ln(greatest(latency, 1)) * {LATENCY_STEPS} AS BIGINT)"
        );
        let page = self
            .kernel
            .data()
            .query(QueryRequest { sql, tables: vec![table.named_table()], limit: COUNTED_MAX })
            .await?;
        let Some(deployment) = self.router.find_in(project.id, endpoint.name.as_str()) else { return Ok(()) };
        for row in &page.rows {
            let [version, part, failed, latency, requests] = row.as_slice() else { continue };
            let Some(route) = version.as_i64().and_then(|number| deployment.routes.find(number)) else { continue };
            let requests = requests.as_u64().unwrap_or_default();
            let failed = failed.as_bool().unwrap_or_default();
            route.version.stats.record_many(latency.as_u64().unwrap_or_default(), failed, requests);
            if let Some(canary) = deployment.routes.canary().filter(|_| part == TrafficRole::Fallback.as_str()) {
                canary.version.stats.record_fallbacks(requests);
            }
        }
        Ok(())
    }
}
