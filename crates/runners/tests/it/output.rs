use perennial_core::port::runner::Runner;

use crate::Place;

#[tokio::test]
async fn both_outputs_are_logged_in_the_order_they_came() {
    let place = Place::new();
    place.run(place.probe(&["lines", "500"])).await;
    let expected: Vec<String> =
        (0..500).flat_map(|number| [format!("out {number}"), format!("err {number}")]).collect();
    assert_eq!(place.log().lines().collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn a_last_line_without_an_end_is_kept() {
    let place = Place::new();
    place.run(place.probe(&["partial"])).await;
    assert_eq!(place.log(), "no newline at the end");
}

#[tokio::test]
async fn output_can_be_read_while_the_step_runs() {
    let place = Place::new();
    let runner = place.runner();
    let run = runner.run(place.command(&["sh", "-c", "echo first; exec sleep 600"]));
    tokio::select! {
        outcome = run => panic!("ended by itself: {outcome:?}"),
        () = async { while place.log() != "first\n" { tokio::task::yield_now().await } } => {}
    }
}

#[tokio::test]
async fn a_full_log_says_so_and_the_step_goes_on() {
    let place = Place::new();
    let runner = place.runner().log_max_bytes(1_000);
    let outcome = runner.run(place.probe(&["flood", "5000000"])).await.unwrap();
    assert_eq!(outcome.exit, perennial_core::port::runner::Exit::Code(0));
    let log = place.log();
    assert!(log.ends_with("[the log is full: what follows was dropped]\n"), "{log}");
    assert!(log.len() < 1_100);
}

#[tokio::test]
async fn a_second_attempt_goes_on_behind_the_first() {
    let place = Place::new();
    place.run(place.probe(&["lines", "1"])).await;
    place.run(place.probe(&["lines", "1"])).await;
    assert_eq!(place.log(), "out 0\nerr 0\nout 0\nerr 0\n");
}
