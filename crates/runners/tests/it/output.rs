use std::time::Duration;

use perennial_core::port::runner::{Exit, run_to_end};
use tokio::time::timeout;

use crate::TestStep;

#[tokio::test]
async fn standard_output_and_error_are_logged_in_order() {
    let step = TestStep::new();
    step.run(step.probe(&["lines", "500"])).await;
    let expected: Vec<String> =
        (0..500).flat_map(|number| [format!("out {number}"), format!("err {number}")]).collect();
    assert_eq!(step.log().lines().collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn a_last_line_without_newline_is_kept() {
    let step = TestStep::new();
    step.run(step.probe(&["partial"])).await;
    assert_eq!(step.log(), "no newline at the end");
}

#[tokio::test]
async fn the_log_can_be_read_while_the_step_runs() {
    let step = TestStep::new();
    let runner = step.runner();
    let run = run_to_end(&runner, step.job(&["sh", "-c", "echo first; exec sleep 600"]));
    let line_is_logged = async {
        while step.log() != "first\n" {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        outcome = run => panic!("ended by itself: {outcome:?}"),
        logged = timeout(Duration::from_secs(60), line_is_logged) => logged.expect("the line is logged"),
    }
}

#[tokio::test]
async fn a_full_log_ends_with_a_notice_and_the_step_continues() {
    let step = TestStep::new();
    let runner = step.runner().log_max_bytes(1_000);
    let end = run_to_end(&runner, step.probe(&["flood", "5000000"])).await.unwrap();
    assert_eq!(end.outcome().unwrap().exit, Exit::Code(0));
    let log = step.log();
    assert!(log.ends_with("[the log is full: further output was dropped]\n"), "{log}");
    assert!(log.len() < 1_100);
}

#[tokio::test]
async fn a_second_attempt_appends_to_the_log() {
    let step = TestStep::new();
    step.run(step.probe(&["lines", "1"])).await;
    step.run(step.probe(&["lines", "1"])).await;
    assert_eq!(step.log(), "out 0\nerr 0\nout 0\nerr 0\n");
}
