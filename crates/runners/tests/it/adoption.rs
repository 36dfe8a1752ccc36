use perennial_core::ErrorCode;
use perennial_core::port::runner::{Adoption, JobEnd, Runner, RunnerJobEvent};

use crate::{TestStep, is_alive, wait_until};

/// Ignores SIGTERM, so that its launcher waits for it.
const STUBBORN: &str = "trap '' TERM; echo $$; while :; do sleep 600; done";

#[tokio::test]
async fn adoption_kills_what_is_left_of_a_job() {
    let step = TestStep::new();
    let (mut server, id) = step.serve(&["sh", "-c", STUBBORN]);
    wait_until("the step runs", || step.log().ends_with('\n'));
    let pid: u32 = step.log().trim().parse().unwrap();
    server.kill().unwrap();
    server.wait().unwrap();
    assert!(is_alive(pid), "the launcher waits for its end");
    let runner = step.runner();
    let ended = Adoption::Ended(JobEnd::EndedWithServer);
    assert_eq!(runner.adopt(id).await.unwrap(), ended);
    assert!(!is_alive(pid));
    assert_eq!(runner.adopt(id).await.unwrap(), ended, "it may be adopted again");
    let event = runner.watch(id).await.unwrap().next().await.unwrap();
    assert_eq!(event, Some(RunnerJobEvent::Ended(JobEnd::EndedWithServer)));
    runner.forget(id).await.unwrap();
    assert_eq!(runner.adopt(id).await.unwrap_err().code(), ErrorCode::NotFound);
}

#[tokio::test]
async fn a_job_whose_launcher_never_began_ended_with_its_server() {
    let step = TestStep::new();
    let job = step.probe(&["exit", "0"]);
    std::fs::create_dir_all(step.outside("jobs").join(job.id.to_string())).unwrap();
    let ended = Adoption::Ended(JobEnd::EndedWithServer);
    assert_eq!(step.runner().adopt(job.id).await.unwrap(), ended);
}
