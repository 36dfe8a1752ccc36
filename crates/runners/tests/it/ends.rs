use perennial_core::ErrorCode;
use perennial_core::port::runner::{Exit, Runner};

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
    assert_eq!(step.run(step.command(&["cat"])).await.exit, Exit::Code(0));
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
    assert_eq!(step.run(step.command(&["./own", "exit", "3"])).await.exit, Exit::Code(3));
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
        let error = step.runner().run(step.command(argv)).await.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(error.message().starts_with(message), "{error}");
        assert!(error.hint().is_some());
    }
    // Executable, but of an unknown format.
    std::fs::write(&text, [0, 1, 2]).unwrap();
    std::fs::set_permissions(&text, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let error = step.runner().run(step.command(&["./text"])).await.unwrap_err();
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

#[tokio::test]
async fn dropping_the_future_ends_the_process_tree() {
    for how in ["child", "session"] {
        let step = TestStep::new();
        let runner = step.runner();
        let run = runner.run(step.probe(&["leave", how, "wait"]));
        tokio::select! {
            outcome = run => panic!("ended by itself: {outcome:?}"),
            () = async { while left_behind(&step).is_none() { tokio::task::yield_now().await } } => {}
        }
        let pid = left_behind(&step).unwrap();
        wait_until("the process tree ended", || !is_alive(pid));
    }
}

#[test]
fn steps_end_when_their_server_is_killed() {
    let step = TestStep::new();
    let mut server =
        std::process::Command::new(PROBE).arg("serve").args([step.folder(), step.outside("log")]).spawn().unwrap();
    wait_until("the step runs", || left_behind(&step).is_some());
    let pid = left_behind(&step).unwrap();
    assert!(is_alive(pid));
    server.kill().unwrap();
    server.wait().unwrap();
    wait_until("the step ended", || !is_alive(pid));
}
