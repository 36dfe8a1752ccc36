//! Rows of decisions, releases, approvals and promotions that were changed by hand are found by the verification of the
//! ledger.

use perennial_core::ErrorCode;
use perennial_core::permission::Role;
use perennial_kernel::ledger;
use perennial_release::approvals;
use perennial_testkit::{PROJECT_FILE, TrainedProject};

use crate::support::{listed, release_next, released, with_approvals};

/// A project with two releases, of which the last was approved and rolled back.
async fn recorded() -> TrainedProject {
    let trained = released(PROJECT_FILE, 1).await;
    trained.test.submit(&with_approvals("\"approver\"")).await.unwrap();
    release_next(&trained, 2).await;
    let ann = trained.test.caller("ann", Role::Approver).await.unwrap();
    let digest = listed(&trained).await.pop().unwrap().release.digest;
    approvals::approve(&ann, &trained.project, &digest, None, Some("fine".to_owned())).await.unwrap();
    trained.test.app.worker().run_due().await.unwrap();
    let endpoint = "delay".parse().unwrap();
    trained.test.app.endpoints.rollback(&trained.test.system(), &trained.project, &endpoint, None).await.unwrap();
    trained
}

/// The message of a chain that does not verify.
async fn fault(trained: &TrainedProject) -> String {
    let error = ledger::verify(&trained.test.system(), trained.project.id, None).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::Ledger);
    error.message().to_owned()
}

#[tokio::test]
async fn rows_as_they_were_written_verify() {
    let trained = recorded().await;
    let report = ledger::verify(&trained.test.system(), trained.project.id, None).await.unwrap();
    assert_eq!(report.rows, 2 + 2 + 1 + 3, "decisions, releases, approvals, promotions");
}

#[tokio::test]
async fn a_row_that_was_changed_by_hand_is_found() {
    let cases = [
        ("UPDATE decisions SET verdict = 'fail' WHERE number = 2", "decision", "verdict"),
        ("UPDATE decisions SET body = replace(body, '\"leaks\":[]', '\"leaks\":[[\"a\",\"b\"]]')", "decision", "body"),
        ("UPDATE decisions SET number = 1 WHERE number = 2", "decision", "number"),
        ("UPDATE decisions SET wall_ms = wall_ms + 1 WHERE number = 1", "decision", "wall_ms"),
        ("UPDATE releases SET ledger_head = 'x' WHERE number = 1", "release", "head"),
        ("UPDATE releases SET body = replace(body, '\"code\"', '\"codes\"')", "release", "body"),
        ("UPDATE releases SET project_ms = 1 WHERE number = 2", "release", "project_ms"),
        ("UPDATE approvals SET role = 'admin'", "approval", "role"),
        ("UPDATE approvals SET note = NULL", "approval", "note"),
        ("UPDATE approvals SET principal_id = (SELECT id FROM principals WHERE name = 'eve')", "approval", "principal"),
        ("UPDATE promotions SET to_number = 2 WHERE kind = 'rollback'", "promotion", "to"),
        ("UPDATE promotions SET kind = 'promotion' WHERE kind = 'rollback'", "promotion", "kind"),
        ("UPDATE promotions SET actor = 'eve' WHERE kind = 'rollback'", "promotion", "actor"),
        ("UPDATE promotions SET cause = replace(cause, 'ada', 'eve')", "promotion", "cause"),
    ];
    for (sql, noun, field) in cases {
        let trained = recorded().await;
        trained.test.caller("eve", Role::Viewer).await.unwrap();
        trained.test.execute(sql).await.unwrap();
        let message = fault(&trained).await;
        assert!(message.contains(&format!("the {noun} `")), "{sql}: {message}");
        assert!(
            message.ends_with(&format!("was changed by hand: its `{field}` is not the recorded one")),
            "{sql}: {message}"
        );
    }
}

#[tokio::test]
async fn a_row_that_was_deleted_or_added_by_hand_is_found() {
    let cases = [
        ("DELETE FROM approvals", "that it records was deleted by hand"),
        ("DELETE FROM promotions WHERE kind = 'rollback'", "that it records was deleted by hand"),
        (
            "INSERT INTO approvals SELECT '00000000000070008000000000000001', project_id, request_id, release_digest, 'admin', principal_id, \
             note, wall_ms, project_ms FROM approvals",
            "has no entry in the ledger, so it was added by hand",
        ),
    ];
    for (sql, expected) in cases {
        let trained = recorded().await;
        trained.test.execute(sql).await.unwrap();
        let message = fault(&trained).await;
        assert!(message.contains(expected), "{sql}: {message}");
    }
}
