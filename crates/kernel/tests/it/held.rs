//! Held jobs are released and cancelled.

use perennial_core::entity::{JobClock, NewJob};
use perennial_core::id::{JobId, ProjectId};
use perennial_core::permission::Role;
use perennial_core::state::JobState;
use perennial_core::{ErrorCode, Result};
use perennial_kernel::held;
use perennial_store::jobs;
use perennial_testkit::TestApp;

/// A job that was given up.
async fn held_job(test: &TestApp, project: ProjectId) -> JobId {
    let new = NewJob {
        project_id: Some(project),
        kind: "write_file".to_owned(),
        payload: serde_json::json!({}),
        unique_key: None,
        clock: JobClock::Wall,
        due_ms: 0,
        created_ms: 0,
    };
    let write = test.app.kernel.store().write(move |tx| Box::pin(async move { Ok(jobs::enqueue(tx, new).await?.id) }));
    let id = write.await.unwrap();
    test.execute("UPDATE jobs SET state = 'held', message = 'no space', attempts = 10, settled_ms = 5").await.unwrap();
    id
}

async fn state(test: &TestApp, id: JobId) -> JobState {
    jobs::get(&mut test.app.kernel.store().read().await.unwrap(), id).await.unwrap().state
}

#[tokio::test]
async fn a_held_job_is_listed_and_released_or_cancelled() {
    let (test, project) = TestApp::with_project().await.unwrap();
    for (verb, after) in [("release", JobState::Pending), ("cancel", JobState::Cancelled)] {
        let id = held_job(&test, project.id).await;
        let caller = test.system();
        let listed = held::list(&caller, project.id).await.unwrap();
        assert_eq!(
            (listed[0].id(), listed[0].kind(), listed[0].reason()),
            (id.to_string(), "job", "no space".to_owned())
        );
        let done = match verb {
            "release" => held::release(&caller, project.id, &id.to_string()).await,
            _ => held::cancel(&caller, project.id, &id.to_string()).await,
        };
        done.unwrap();
        assert_eq!(state(&test, id).await, after, "{verb}");
        test.execute("DELETE FROM jobs").await.unwrap();
    }
}

#[tokio::test]
async fn a_viewer_releases_nothing_and_other_projects_have_other_held_work() {
    let (test, project) = TestApp::with_project().await.unwrap();
    let id = held_job(&test, project.id).await.to_string();
    let viewer = test.caller("viewer", Role::Viewer).await.unwrap();
    let refused = |result: Result<held::Held>| result.unwrap_err().code();
    assert_eq!(refused(held::release(&viewer, project.id, &id).await), ErrorCode::PermissionDenied);
    assert_eq!(refused(held::release(&test.system(), ProjectId::generate(), &id).await), ErrorCode::NotFound);
    for unknown in ["x", &JobId::generate().to_string()] {
        assert_eq!(refused(held::cancel(&test.system(), project.id, unknown).await), ErrorCode::NotFound);
    }
}

#[tokio::test]
async fn held_work_whose_row_is_damaged_is_not_reported_as_missing() {
    let (test, project) = TestApp::with_project().await.unwrap();
    let id = held_job(&test, project.id).await.to_string();
    test.execute("UPDATE jobs SET state = 'odd'").await.unwrap();
    let error = held::release(&test.system(), project.id, &id).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::Corrupt, "{}", error.message());
}
