//! Project files that are submitted: by whom, and what follows them when.

use std::time::{Duration, Instant};

use perennial_core::entity::ProjectFile;
use perennial_execution::pipeline_runs::{self, PipelineKind};
use perennial_execution::pipelines::{self, PipelineOptions};

use perennial_core::ErrorCode;
use perennial_core::frame::{Column, Frame, TextColumn};
use perennial_core::id::RequestId;
use perennial_core::model::InputTime;
use perennial_core::permission::Role;
use perennial_core::state::PipelineRunState;
use perennial_release::Deployment;
use perennial_release::endpoints::{Extra, Request};
use perennial_store::projects::submit_file;
use perennial_testkit::toml_text::set;
use perennial_testkit::{PROJECT_FILE, TestApp, TestModel};

#[tokio::test]
async fn endpoints_stay_unchanged_until_a_project_file_is_applied() {
    let (test, project) = TestApp::with_project().await.unwrap();
    test.deploy(&project, "delay", &TestModel::regression(0.0)).await.unwrap();
    test.submit(PROJECT_FILE).await.unwrap();
    let caller = test.system();
    let bytes_max = || test.app.endpoints.router.find("delay").map(|deployment| deployment.body_bytes_max);
    let (without, _) = PROJECT_FILE.split_once("[endpoints.delay]").unwrap();
    let smaller = set(PROJECT_FILE, "endpoints.delay.max_body", "'2 kB'");
    let stops = "nothing answers at `delay` any more: the project file declares no such endpoint";
    for (file, expected, lines) in [(smaller.as_str(), Some(2_000), &[][..]), (without, None, &[stops][..])] {
        let before = bytes_max();
        assert!(before.is_some() && before != expected);
        test.write_file(file).unwrap();
        test.app.projects.submit(&caller).await.unwrap();
        assert_eq!(bytes_max(), before);
        test.app.endpoints.open_all().await.unwrap();
        assert_eq!(bytes_max(), before, "a start follows it no more than the submission does");
        let stopped =
            test.app.endpoints.apply_declarations(&caller, &project, &project.submission().unwrap()).await.unwrap();
        assert_eq!((bytes_max(), stopped), (expected, lines.iter().map(ToString::to_string).collect()));
    }
}

#[tokio::test]
async fn times_of_requests_follow_the_timezone_of_the_released_project_file() {
    let (test, project) = TestApp::with_project().await.unwrap();
    let mut model = TestModel::regression(0.0);
    model.signature.inputs[0].time = Some(InputTime::Timestamp);
    test.deploy(&project, "delay", &model).await.unwrap();
    test.submit(PROJECT_FILE).await.unwrap();
    let noon = async || {
        let mut inputs = Frame::new();
        inputs.push("x", Column::Text(TextColumn::encode([Some("1970-01-02 12:00")])));
        let deployment = Deployment::clone(&test.app.endpoints.router.find("delay").unwrap());
        let request =
            Request { id: RequestId::generate(), inputs, version: None, extra: Extra::Refuse, began: Instant::now() };
        test.app.endpoints.answer(&deployment, request).await.unwrap().scores.values[0] / 3_600.0
    };
    assert_eq!(noon().await, 36.0);
    let contributor = test.caller("ci", Role::Contributor).await.unwrap();
    test.write_file(&set(PROJECT_FILE, "project.timezone", "'Asia/Tokyo'")).unwrap();
    test.app.projects.submit(&contributor).await.unwrap();
    test.app.endpoints.open_all().await.unwrap();
    assert_eq!(noon().await, 36.0, "a submission that is not released changes no answer");
    let submission = project.submission().unwrap();
    test.app.endpoints.apply_declarations(&test.system(), &project, &submission).await.unwrap();
    assert_eq!(noon().await, 27.0);
}

#[tokio::test]
async fn who_may_not_release_may_not_change_what_is_released_and_when() {
    let (test, project) = TestApp::with_project().await.unwrap();
    let (contributor, approver) =
        (test.caller("ci", Role::Contributor).await.unwrap(), test.caller("ann", Role::Approver).await.unwrap());
    let trigger =
        |run: &str| format!("{PROJECT_FILE}\n[triggers.nightly]\non = [\"schedule:0 3 * * *\"]\nrun = \"{run}\"\n");
    let free = [trigger("run"), set(PROJECT_FILE, "task.metric", "'log_loss'"), PROJECT_FILE.to_owned()];
    for file in free {
        test.write_file(&file).unwrap();
        test.app.projects.submit(&contributor).await.unwrap();
    }
    let guarded = [
        (trigger("release"), "[triggers.nightly]"),
        (format!("{PROJECT_FILE}\n[gates]\nbetter = \"candidate.auc > 0.5\"\n"), "[gates]"),
        (set(PROJECT_FILE, "release.evidence_ttl", "'1 day'"), "[release]"),
        (set(PROJECT_FILE, "endpoints.delay.max_body", "'1 kB'"), "[endpoints.delay]"),
        (format!("{PROJECT_FILE}\n[endpoints.more]\n"), "[endpoints.more]"),
    ];
    for (file, section) in guarded {
        let before = project.submission().unwrap().digest.clone();
        test.write_file(&file).unwrap();
        let refused = test.app.projects.submit(&contributor).await.map(drop).unwrap_err();
        assert_eq!(refused.code(), ErrorCode::PermissionDenied);
        assert_eq!(
            refused.message(),
            format!("`ci` lacks the permission `approve` here: the project file changes {section}")
        );
        assert!(refused.hint().is_some_and(|hint| hint.contains("token of an approver")));
        assert_eq!(project.submission().unwrap().digest, before);
        test.app.projects.submit(&approver).await.unwrap();
        assert_ne!(project.submission().unwrap().digest, before);
        // What is there already a contributor may submit around.
        test.write_file(&format!("{file}\n# another line\n")).unwrap();
        test.app.projects.submit(&contributor).await.unwrap();
        test.submit(PROJECT_FILE).await.unwrap();
    }
}

#[tokio::test]
async fn a_stored_project_file_that_cannot_be_parsed_blocks_no_submission() {
    let (test, project) = TestApp::with_project().await.unwrap();
    let caller = test.system();
    let run = pipelines::request(
        &caller,
        &project,
        PipelineKind::Run,
        perennial_core::cause::Cause::person("test"),
        &PipelineOptions::default(),
    )
    .await
    .unwrap();
    let garbage = ProjectFile {
        project_id: project.id,
        digest: project.submission().unwrap().digest.clone(),
        body: "{}".to_owned(),
        submitted_ms: 0,
        submitted_by: "an older version".to_owned(),
        approver: None,
    };
    test.app
        .kernel
        .store()
        .write(move |tx| Box::pin(async move { Ok(submit_file(tx, &garbage).await?) }))
        .await
        .unwrap();

    let next = TestApp::beside(&test).await.unwrap();
    let (caller, project) = (next.system(), next.app.projects.get(project.id).await.unwrap());
    assert!(project.find_submission().is_none());
    let left = pipelines::recover(&caller).await.unwrap();
    assert_eq!(left.iter().map(|run| run.id).collect::<Vec<_>>(), [run.id]);
    test.app.runner.run(&caller, &project, &left[0]).await.unwrap_err();
    let ended = pipeline_runs::get(&caller, &project, run.id).await.unwrap();
    assert_eq!(ended.state, PipelineRunState::Failed);
    assert!(ended.message.is_some_and(|message| message.contains("cannot parse the stored project file")));
    let (events, is_over) = test.app.execution.events(&caller, &project, run.id, 0, Duration::ZERO).await.unwrap();
    assert!(is_over && events.last().is_some_and(|event| event.body["event"] == "ended"));

    next.submit(PROJECT_FILE).await.unwrap();
    assert!(project.find_submission().is_some());
    let after = TestApp::beside(&next).await.unwrap();
    assert!(
        after.app.projects.get(project.id).await.unwrap().find_submission().is_some(),
        "the same file is kept again"
    );
}
