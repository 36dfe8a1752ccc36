//! Work that ends the process: it is tried twice, then held with an alert.

use std::future::{pending, ready};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use perennial_core::entity::WorkKind;
use perennial_core::id::ProjectId;
use perennial_core::state::AlertState;
use perennial_core::{Error, ErrorCode, Result};
use perennial_kernel::attempts::{self, Work};
use perennial_kernel::{alerts, held};
use perennial_store::attempts as table;
use perennial_testkit::TestApp;
use tokio::time::timeout;

fn work(project: ProjectId, kind: WorkKind) -> Work {
    Work { project, kind, subject: "digest".to_owned(), description: "file `a.csv` of dataset `flights`".to_owned() }
}

/// Begins an attempt that has no end; it is recorded when this returns.
async fn begin(test: &TestApp, project: ProjectId, kind: WorkKind) -> BoxFuture<'static, Result<()>> {
    let kernel = test.app.kernel.clone();
    let mut attempt =
        async move { attempts::guard(&kernel, work(project, kind), pending::<Result<()>>()).await }.boxed();
    let recorded = async {
        loop {
            assert!((&mut attempt).now_or_never().is_none(), "the work has no end");
            tokio::task::yield_now().await;
            let mut reader = test.app.kernel.store().read().await.unwrap();
            if !table::list_open(&mut reader).await.unwrap().rows.is_empty() {
                return;
            }
        }
    };
    timeout(Duration::from_secs(60), recorded).await.expect("the attempt is recorded");
    attempt
}

/// Makes an attempt during which the server dies, and starts the next server.
async fn die(test: TestApp, project: ProjectId, kind: WorkKind) -> TestApp {
    let attempt = begin(&test, project, kind).await;
    // A server that has died starts nothing more, such as the record of an end.
    test.app.kernel.work.stop(Duration::ZERO).await;
    drop(attempt);
    let next = test.restart().await.unwrap();
    attempts::recover(&next.system()).await.unwrap();
    next
}

async fn try_again(test: &TestApp, project: ProjectId, kind: WorkKind) -> Result<()> {
    attempts::guard(&test.app.kernel, work(project, kind), ready(Ok(()))).await
}

#[tokio::test]
async fn what_ended_two_servers_is_held_with_an_alert_until_it_is_released() {
    for kind in WorkKind::ALL.iter().copied() {
        let (test, project) = TestApp::with_project().await.unwrap();
        let project = project.id;
        let test = die(test, project, kind).await;
        assert!(held::list(&test.system(), project).await.unwrap().is_empty(), "once may be chance");
        let test = die(test, project, kind).await;
        let refused = try_again(&test, project, kind).await.unwrap_err();
        assert_eq!(
            (refused.code(), refused.message()),
            (
                ErrorCode::Held,
                "file `a.csv` of dataset `flights` is held: the server died 2 times while it processed it"
            )
        );
        let caller = test.system();
        let found = held::list(&caller, project).await.unwrap();
        assert_eq!((found.len(), found[0].kind()), (1, kind.as_str()));
        let alert = alerts::list(&caller, project, None, 10).await.unwrap().items.remove(0);
        assert_eq!((alert.subject.to_string(), alert.state), (format!("work:{}", found[0].id()), AlertState::Firing));
        // Other content is other work.
        let other = Work { subject: "other".to_owned(), ..work(project, kind) };
        attempts::guard(&test.app.kernel, other, ready(Ok(()))).await.unwrap();

        held::release(&caller, project, &found[0].id()).await.unwrap();
        try_again(&test, project, kind).await.unwrap();
        assert!(held::list(&caller, project).await.unwrap().is_empty());
        let alert = alerts::list(&caller, project, None, 10).await.unwrap().items.remove(0);
        assert_eq!(alert.state, AlertState::Resolved);
    }
}

#[tokio::test]
async fn an_attempt_that_ends_clears_the_count() {
    let (test, project) = TestApp::with_project().await.unwrap();
    let project = project.id;
    let test = die(test, project, WorkKind::Step).await;
    let failed = ready(Err::<(), _>(Error::new(ErrorCode::Sql, "no such column")));
    let error = attempts::guard(&test.app.kernel, work(project, WorkKind::Step), failed).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::Sql, "a failure does not count as a death");
    let test = die(test, project, WorkKind::Step).await;
    try_again(&test, project, WorkKind::Step).await.unwrap();
}

#[tokio::test]
async fn a_stop_does_not_count_as_a_death() {
    let (test, project) = TestApp::with_project().await.unwrap();
    let (mut test, project) = (test, project.id);
    for _ in 0..3 {
        let cut = begin(&test, project, WorkKind::Load).await;
        attempts::end_all(&test.app.kernel).await.unwrap();
        test.app.kernel.work.stop(Duration::ZERO).await;
        drop(cut);
        test = test.restart().await.unwrap();
        attempts::recover(&test.system()).await.unwrap();
    }
    try_again(&test, project, WorkKind::Load).await.unwrap();
}
