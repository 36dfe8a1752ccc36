//! Dry runs: what a run would do, told without doing it.

use perennial_app::pipeline_runs::PipelineKind;
use perennial_app::pipelines::{self, Finished, Options};
use perennial_core::state::PipelineRunState;
use perennial_store::datasets;
use perennial_testkit::TestApp;
use serde_json::json;

const FILE: &str = r#"
[project]
name = "flights"

[datasets.flown]
source = { files = "*.csv" }
mode = "append"

[steps.features]
run = "make features"
env = "system"
inputs = ["flown"]
outputs = { rows = { path = "rows.csv" } }

[steps.more]
run = "make more"
env = "system"
inputs = ["features.rows"]
outputs = { rows = { path = "rows.csv" } }
"#;

async fn start() -> (TestApp, std::sync::Arc<perennial_app::ProjectState>) {
    let test = TestApp::start().await.unwrap();
    let project = test.submit(FILE).await.unwrap();
    (test, project)
}

async fn plan(test: &TestApp, project: &std::sync::Arc<perennial_app::ProjectState>) -> Finished {
    let (caller, options) = (test.system(), Options { dry_run: true, ..Options::default() });
    let run = pipelines::request(&caller, project, PipelineKind::Run, json!({}), &options).await.unwrap();
    pipelines::carry_out(&caller, project, &run).await.unwrap()
}

#[tokio::test]
async fn files_that_wait_are_seen_in_a_project_that_never_ran_and_nothing_is_made_of_them() {
    let (test, project) = start().await;
    test.data.offer("a.csv", "1");
    test.data.offer("b.csv", "2");
    let finished = plan(&test, &project).await;
    assert_eq!(finished.state, PipelineRunState::Succeeded);
    assert_eq!(
        finished.waiting.iter().map(|new| (new.dataset.as_str(), new.files)).collect::<Vec<_>>(),
        [("flown", 2)]
    );
    let told: Vec<(&str, bool, String)> =
        finished.plan.iter().map(|why| (why.step.as_str(), why.is_cached, why.reasons.join("; "))).collect();
    assert_eq!(
        told,
        [
            ("features", false, "it waits for dataset `flown`: 2 new files".to_owned()),
            ("more", false, "it waits for `features`, which would run".to_owned()),
        ]
    );
    assert_eq!(finished.message.as_deref(), Some("2 of 2 steps would run; dataset `flown`: 2 new files"));
    assert!(datasets::list(&mut test.app.store().read().await.unwrap(), project.id).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_step_that_has_nothing_to_read_says_so_and_the_plan_goes_on() {
    let (test, project) = start().await;
    let finished = plan(&test, &project).await;
    assert!(finished.waiting.is_empty());
    let told: Vec<String> = finished.plan.iter().map(|why| why.reasons.join("; ")).collect();
    assert_eq!(
        told,
        ["it cannot: version of dataset `flown` does not exist", "it waits for `features`, which would run"]
    );
}
