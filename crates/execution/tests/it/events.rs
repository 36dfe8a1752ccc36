//! Events of pipeline runs.

use perennial_core::cause::Cause;
use perennial_execution::pipeline_runs::{self, EVENTS_MAX, PipelineKind};
use perennial_execution::pipelines::{self, PipelineOptions};
use perennial_store::pipeline_runs as table;
use perennial_testkit::TestApp;
use serde_json::json;

#[tokio::test]
async fn no_number_of_log_lines_and_loads_hides_the_steps_and_the_decision() {
    let (test, project) = TestApp::with_project().await.unwrap();
    let (caller, options) = (test.system(), PipelineOptions::default());
    let run = pipelines::request(&caller, &project, PipelineKind::Release, Cause::person("test"), &options).await;
    let id = run.unwrap().id;
    let events = ["load_ended", "step_log"].into_iter().flat_map(|kind| vec![kind; EVENTS_MAX as usize + 1]);
    let events: Vec<_> = events.chain(["step_started", "decided", "step_log", "released"]).collect();
    let last = events.len() as i64;
    let stored = test.app.kernel.store().write(move |tx| {
        Box::pin(async move {
            for event in events {
                table::add_event(tx, id, &json!({ "event": event }), 0).await?;
            }
            perennial_core::Result::Ok(())
        })
    });
    stored.await.unwrap();
    let milestones = pipeline_runs::milestones(&caller, &project, id).await.unwrap();
    assert_eq!(milestones.len(), EVENTS_MAX as usize + 3);
    let end: Vec<i64> = milestones.iter().rev().take(3).map(|event| event.sequence).collect();
    assert_eq!(end, [last, last - 2, last - 3]);
}
