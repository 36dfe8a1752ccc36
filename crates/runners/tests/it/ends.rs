use perennial_core::ErrorCode;
use perennial_core::port::runner::{Exit, Runner};

use crate::{PROBE, Place, is_alive, wait_until};

#[tokio::test]
async fn a_status_is_told() {
    for (code, exit) in [("0", Exit::Code(0)), ("1", Exit::Code(1)), ("77", Exit::Code(77))] {
        let place = Place::new();
        let outcome = place.run(place.probe(&["exit", code])).await;
        assert_eq!(outcome.exit, exit);
        assert!(outcome.wall_ms < 60_000);
    }
}

#[tokio::test]
async fn a_signal_is_told() {
    let place = Place::new();
    assert_eq!(place.run(place.probe(&["abort"])).await.exit, Exit::Signal(6));
}

#[tokio::test]
async fn standard_input_is_empty() {
    let place = Place::new();
    assert_eq!(place.run(place.command(&["cat"])).await.exit, Exit::Code(0));
}

#[tokio::test]
async fn the_working_directory_is_the_steps_folder() {
    let place = Place::new();
    place.run(place.probe(&["place"])).await;
    assert_eq!(place.log().trim_end(), place.folder().canonicalize().unwrap().to_str().unwrap());
}

#[tokio::test]
async fn a_program_in_the_folder_is_found_by_its_path() {
    let place = Place::new();
    std::fs::copy(PROBE, place.folder().join("own")).unwrap();
    assert_eq!(place.run(place.command(&["./own", "exit", "3"])).await.exit, Exit::Code(3));
}

#[tokio::test]
async fn a_command_that_cannot_start_says_why() {
    let place = Place::new();
    let text = place.folder().join("text");
    std::fs::write(&text, "no program").unwrap();
    let cases: [(&[&str], ErrorCode, &str); 4] = [
        (&[], ErrorCode::InvalidArgument, "the command is empty: expected a program and its arguments"),
        (&["no-such-program"], ErrorCode::StepFailed, "program `no-such-program` was not found in PATH"),
        (&["./gone"], ErrorCode::StepFailed, "program `./gone` was not found in the step's folder"),
        (&["./text"], ErrorCode::StepFailed, "program `./text` was not found in the step's folder"),
    ];
    for (argv, code, message) in cases {
        let error = place.runner().run(place.command(argv)).await.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(error.message().starts_with(message), "{error}");
        assert!(error.hint_text().is_some());
    }
    // Executable, but of no format that the system knows.
    std::fs::write(&text, [0, 1, 2]).unwrap();
    std::fs::set_permissions(&text, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let error = place.runner().run(place.command(&["./text"])).await.unwrap_err();
    assert!(error.message().starts_with("the command could not start: `"), "{error}");
}

/// The process that the probe left behind, as it told in the log.
fn left_behind(place: &Place) -> Option<u32> {
    place.log().lines().next()?.parse().ok()
}

#[tokio::test]
async fn nothing_that_a_step_started_outlives_it() {
    for how in ["child", "session"] {
        let place = Place::new();
        let outcome = place.run(place.probe(&["leave", how, "now"])).await;
        assert_eq!(outcome.exit, Exit::Code(0));
        let pid = left_behind(&place).unwrap();
        assert!(!is_alive(pid), "{how} {pid}");
    }
}

#[tokio::test]
async fn dropping_the_run_ends_the_whole_tree() {
    for how in ["child", "session"] {
        let place = Place::new();
        let runner = place.runner();
        let run = runner.run(place.probe(&["leave", how, "wait"]));
        tokio::select! {
            outcome = run => panic!("ended by itself: {outcome:?}"),
            () = async { while left_behind(&place).is_none() { tokio::task::yield_now().await } } => {}
        }
        let pid = left_behind(&place).unwrap();
        wait_until("the tree is gone", || !is_alive(pid));
    }
}

#[test]
fn a_server_that_is_killed_takes_its_steps_along() {
    let place = Place::new();
    let mut server =
        std::process::Command::new(PROBE).arg("serve").args([place.folder(), place.outside("log")]).spawn().unwrap();
    wait_until("the step runs", || left_behind(&place).is_some());
    let pid = left_behind(&place).unwrap();
    assert!(is_alive(pid));
    server.kill().unwrap();
    server.wait().unwrap();
    wait_until("the step is gone", || !is_alive(pid));
}
