//! Project files, requests and records for the rules of releases.

use std::collections::BTreeMap;
use std::time::Instant;

use perennial_core::Result;
use perennial_core::entity::{Endpoint, Promotion};
use perennial_core::frame::{Column, Frame, TextColumn};
use perennial_core::id::RequestId;
use perennial_core::ledger::Entry;
use perennial_core::port::prediction::TrafficRole;
use perennial_execution::pipeline_runs::PipelineKind;
use perennial_execution::pipelines::{self, PipelineOptions};
use perennial_release::endpoints::{Answer, Extra, Request};
use perennial_release::releases::{self, Listed};
use perennial_store::{endpoints, registered_models};
use perennial_testkit::{PROJECT_FILE, TestModel, TrainedProject, by_person, toml_text};

pub(crate) const HOUR_MS: i64 = 3_600_000;
pub(crate) const DAY_MS: i64 = 24 * HOUR_MS;

/// [`PROJECT_FILE`] with one gate.
pub(crate) fn with_gate(expression: &str) -> String {
    format!("{PROJECT_FILE}\n[gates]\ngood = \"{expression}\"\n")
}

/// [`PROJECT_FILE`] whose releases need approvals in these roles.
pub(crate) fn with_approvals(roles: &str) -> String {
    toml_text::set(PROJECT_FILE, "release.approve", &format!("[{roles}]"))
}

/// [`PROJECT_FILE`] with a canary: half of the requests for three days, at least four of them.
pub(crate) fn with_canary() -> String {
    canary("share = 0.5, for = \"3 days\", min_requests = 4, rollback = \"canary.error_rate > 0.5\"")
}

/// [`PROJECT_FILE`] with a declared canary.
pub(crate) fn canary(declared: &str) -> String {
    toml_text::set(PROJECT_FILE, "endpoints.delay.canary", &format!("{{ {declared} }}"))
}

/// A released project: versions 1 to `count` were released one after the other.
pub(crate) async fn released(file: &str, count: i64) -> TrainedProject {
    let trained = TrainedProject::of(file).await;
    for number in 1..=count {
        release_next(&trained, number).await;
    }
    trained
}

/// Trains a model of its own for a version, and releases it. Returns how the run ended.
pub(crate) async fn release_next(trained: &TrainedProject, number: i64) -> String {
    trained.renew(number, TestModel::binary(number as f32)).await;
    trained.release(by_person()).await
}

/// Releases a version that was rolled back or rejected, with a reason. Returns how the run ended.
pub(crate) async fn release_again(trained: &TrainedProject, reason: &str) -> String {
    let (caller, options) =
        (trained.test.system(), PipelineOptions { again: Some(reason.to_owned()), ..Default::default() });
    let run =
        pipelines::request(&caller, &trained.project, PipelineKind::Release, by_person(), &options).await.unwrap();
    trained.test.app.runner.run(&caller, &trained.project, &run).await.unwrap().message.unwrap_or_default()
}

/// Releases, for an error.
pub(crate) async fn refused(trained: &TrainedProject) -> perennial_core::Error {
    trained.run(PipelineKind::Release, by_person()).await.1.map(|ended| ended.message).unwrap_err()
}

/// The record of an endpoint.
pub(crate) async fn endpoint(trained: &TrainedProject, name: &str) -> Endpoint {
    let mut reader = trained.test.app.kernel.store().read().await.unwrap();
    endpoints::get(&mut reader, trained.project.id, &name.parse().unwrap()).await.unwrap()
}

/// The version that the alias `champion` names.
pub(crate) async fn alias(trained: &TrainedProject) -> Option<i64> {
    let mut reader = trained.test.app.kernel.store().read().await.unwrap();
    let model = registered_models::find_by_name(&mut reader, trained.project.name.as_str()).await.unwrap()?;
    let aliases = registered_models::list_aliases(&mut reader, model.id).await.unwrap();
    aliases.into_iter().find(|alias| alias.alias == "champion").map(|alias| alias.number)
}

/// Role and version of each route of an endpoint.
pub(crate) fn routes(trained: &TrainedProject, name: &str) -> Vec<(TrafficRole, i64)> {
    let Some(deployment) = trained.test.app.endpoints.router.find(name) else { return Vec::new() };
    deployment.routes.iter().map(|route| (route.role, route.version.number)).collect()
}

/// Promotions of the project, oldest first.
pub(crate) async fn promotions(trained: &TrainedProject) -> Vec<Promotion> {
    let mut page = releases::list_promotions(&trained.test.system(), &trained.project, None, 100).await.unwrap();
    page.items.reverse();
    page.items
}

/// Releases of the project, oldest first.
pub(crate) async fn listed(trained: &TrainedProject) -> Vec<Listed> {
    let mut all = releases::list(&trained.test.system(), &trained.project, 100).await.unwrap();
    all.sort_by_key(|listed| listed.decision.as_ref().map(|decision| decision.id));
    all
}

/// The ledger entries of a noun, oldest first.
pub(crate) async fn entries(trained: &TrainedProject, noun: &str) -> Vec<Entry> {
    let page = perennial_kernel::ledger::list(&trained.test.system(), trained.project.id, None, 1_000).await.unwrap();
    page.items.into_iter().filter(|entry| entry.noun == noun).rev().collect()
}

/// The inputs of one row, with its key.
pub(crate) fn row(key: &str) -> Frame {
    let mut inputs = Frame::new();
    inputs.push("flight_id", Column::Text(TextColumn::encode([Some(key)])));
    inputs.push("dep_hour", Column::Number(vec![7.0]));
    inputs.push("distance", Column::Number(vec![500.0]));
    inputs.push("carrier", Column::Text(TextColumn::encode([Some("AA")])));
    inputs
}

/// Requests a prediction from an endpoint.
pub(crate) async fn ask(trained: &TrainedProject, inputs: Frame, version: Option<i64>) -> Result<Answer> {
    ask_with(trained, inputs, version, Extra::Refuse).await
}

pub(crate) async fn ask_with(
    trained: &TrainedProject,
    inputs: Frame,
    version: Option<i64>,
    extra: Extra,
) -> Result<Answer> {
    let endpoints = &trained.test.app.endpoints;
    let deployment = endpoints.router.find("delay").expect("a deployment");
    let request = Request { id: RequestId::generate(), inputs, version, extra, began: Instant::now() };
    endpoints.answer(&deployment, request).await
}

/// Requests by 40 keys; the answers of each version.
pub(crate) async fn ask_many(trained: &TrainedProject) -> BTreeMap<i64, usize> {
    let mut answers = BTreeMap::new();
    for key in 0..40 {
        let answer = ask(trained, row(&key.to_string()), None).await.unwrap();
        *answers.entry(answer.version).or_default() += 1;
    }
    answers
}

/// Evaluates the canary at `delay`. Returns the line about a change.
pub(crate) async fn evaluate(trained: &TrainedProject) -> Option<(String, bool)> {
    let (caller, record) = (trained.test.system(), endpoint(trained, "delay").await);
    trained.test.app.endpoints.evaluate_canary(&caller, &trained.project, &record).await.unwrap()
}

/// Counts requests of the canary at `delay`, and of these the failed ones.
pub(crate) fn count(trained: &TrainedProject, requests: u64, errors: u64) {
    let deployment = trained.test.app.endpoints.router.find("delay").expect("a deployment");
    let stats = &deployment.routes.canary().expect("a canary").version.stats;
    stats.record_many(1_000, true, errors);
    stats.record_many(1_000, false, requests - errors);
}
