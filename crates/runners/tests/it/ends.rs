use perennial_core::ErrorCode;
use perennial_core::id::RunnerJobId;
use perennial_core::port::runner::{Exit, JobEnd, Runner, RunnerJobEvent};

use perennial_runners::LocalRunner;

use crate::{PROBE, TestStep, is_alive, wait_until};

#[tokio::test]
async fn the_exit_status_is_reported() {
    for (code, exit) in [("0", Exit::Code(0)), ("1", Exit::Code(1)), ("77", Exit::Code(77))] {
        let step = TestStep::new();
        let outcome = step.run(step.probe(&["exit", code])).await;
        assert_eq!(outcome.exit, exit);
        assert!(outcome.wall_ms < 60_000);
    }
}

#[tokio::test]
async fn a_fatal_signal_is_reported() {
    let step = TestStep::new();
    assert_eq!(step.run(step.probe(&["abort"])).await.exit, Exit::Signal(6));
}

#[tokio::test]
async fn standard_input_is_empty() {
    let step = TestStep::new();
    assert_eq!(step.run(step.job(&["cat"])).await.exit, Exit::Code(0));
}

#[tokio::test]
async fn the_working_directory_is_the_steps_folder() {
    let step = TestStep::new();
    step.run(step.probe(&["folder"])).await;
    assert_eq!(step.log().trim_end(), step.folder().canonicalize().unwrap().to_str().unwrap());
}

#[tokio::test]
async fn a_program_in_the_folder_is_found_by_its_path() {
    let step = TestStep::new();
    std::fs::copy(PROBE, step.folder().join("own")).unwrap();
    assert_eq!(step.run(step.job(&["./own", "exit", "3"])).await.exit, Exit::Code(3));
}

#[tokio::test]
async fn a_command_that_cannot_start_reports_the_reason() {
    let step = TestStep::new();
    let text = step.folder().join("text");
    std::fs::write(&text, "no program").unwrap();
    let cases: [(&[&str], ErrorCode, &str); 4] = [
        (&[], ErrorCode::InvalidArgument, "the command is empty: expected a program and its arguments"),
        (&["no-such-program"], ErrorCode::StepFailed, "program `no-such-program` was not found in PATH"),
        (&["./gone"], ErrorCode::StepFailed, "program `./gone` was not found in the step's folder"),
        (&["./text"], ErrorCode::StepFailed, "program `./text` was not found in the step's folder"),
    ];
    for (argv, code, message) in cases {
        let error = step.try_run(step.job(argv)).await.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(error.message().starts_with(message), "{error}");
        assert!(error.hint().is_some());
    }
    // Executable, but of an unknown format.
    std::fs::write(&text, [0, 1, 2]).unwrap();
    std::fs::set_permissions(&text, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let error = step.try_run(step.job(&["./text"])).await.unwrap().outcome().unwrap_err();
    assert_eq!(error.code(), ErrorCode::StepFailed);
    assert!(error.message().starts_with("the command could not start: `"), "{error}");
}

/// The process id that the probe printed.
fn left_behind(step: &TestStep) -> Option<u32> {
    step.log().lines().next()?.parse().ok()
}

#[tokio::test]
async fn every_process_of_a_step_ends_with_the_step() {
    for how in ["child", "session"] {
        let step = TestStep::new();
        let outcome = step.run(step.probe(&["leave", how, "now"])).await;
        assert_eq!(outcome.exit, Exit::Code(0));
        let pid = left_behind(&step).unwrap();
        assert!(!is_alive(pid), "{how} {pid}");
    }
}

/// Starts a job that leaves a process running, `how` the probe does; returns the process's id.
async fn start(step: &TestStep, runner: &LocalRunner, how: &str) -> (RunnerJobId, u32) {
    let job = step.probe(&["leave", how, "wait"]);
    let id = job.id;
    runner.submit(job).await.unwrap();
    assert_eq!(runner.watch(id).await.unwrap().next().await.unwrap(), Some(RunnerJobEvent::Started));
    wait_until("the step runs", || left_behind(step).is_some());
    (id, left_behind(step).unwrap())
}

#[tokio::test]
async fn cancelling_a_job_ends_the_process_tree() {
    for how in ["child", "session"] {
        let step = TestStep::new();
        let runner = step.runner();
        let (id, pid) = start(&step, &runner, how).await;
        runner.cancel(id).await.unwrap();
        let mut watch = runner.watch(id).await.unwrap();
        assert_eq!(watch.next().await.unwrap(), Some(RunnerJobEvent::Started));
        let Some(RunnerJobEvent::Ended(JobEnd::Exited(outcome))) = watch.next().await.unwrap() else {
            panic!("no end")
        };
        assert_eq!(outcome.exit, Exit::Cancelled);
        assert!(!is_alive(pid));
    }
}

#[tokio::test]
async fn dropping_the_runner_ends_the_process_tree() {
    for how in ["child", "session"] {
        let step = TestStep::new();
        let runner = step.runner();
        let (_, pid) = start(&step, &runner, how).await;
        drop(runner);
        // The task that holds the launcher's input is dropped by the runtime.
        tokio::task::yield_now().await;
        wait_until("the process tree ended", || !is_alive(pid));
    }
}

#[test]
fn steps_end_when_their_server_is_killed() {
    let step = TestStep::new();
    let (mut server, _) = step.serve(&[PROBE, "leave", "session", "wait"]);
    wait_until("the step runs", || left_behind(&step).is_some());
    let pid = left_behind(&step).unwrap();
    assert!(is_alive(pid));
    server.kill().unwrap();
    server.wait().unwrap();
    wait_until("the step ended", || !is_alive(pid));
}
