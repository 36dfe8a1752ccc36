//! Segments of predictions that cannot be brought into their dataset, here because the engine keeps no rows.

use perennial_kernel::Caller;
use perennial_kernel::alerts::{self, Alert};
use perennial_projects::ProjectState;
use perennial_testkit::TestApp;

fn log(project: &ProjectState) -> String {
    format!("{}/delay", project.id)
}

async fn told(caller: &Caller, project: &ProjectState) -> Vec<Alert> {
    let mut told = alerts::list(caller, project.id, None, 100).await.unwrap().items;
    told.sort_by(|a, b| a.subject.cmp(&b.subject));
    told
}

#[tokio::test]
async fn each_that_stays_in_the_log_is_told_once_and_keeps_none_of_the_others() {
    let (test, project) = TestApp::with_project().await.unwrap();
    let (caller, endpoint) = (test.system(), "delay".parse().unwrap());
    test.predict(&log(&project)).unwrap();
    test.app.ingest.ingest_segments(&caller, &project, &endpoint).await.unwrap();
    test.predict(&log(&project)).unwrap();
    test.app.ingest.ingest_segments(&caller, &project, &endpoint).await.unwrap();
    test.app.ingest.ingest_segments(&caller, &project, &endpoint).await.unwrap();
    let told = told(&caller, &project).await;
    let subjects: Vec<String> = told.iter().map(|alert| alert.subject.to_string()).collect();
    assert_eq!(subjects, ["segment:delay/1", "segment:delay/2"]);
    assert!(told[0].message.contains("this data engine keeps no rows"), "{}", told[0].message);
    assert_eq!(test.app.kernel.services.predictions.seal(&log(&project)).unwrap(), [1, 2], "nothing is lost");
}
