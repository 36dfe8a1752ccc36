use std::time::Duration;

use perennial_core::port::runner::{Exit, Limits};

use crate::{Place, is_alive};

fn time(limit: Duration) -> Limits {
    Limits { time: Some(limit), ..Limits::default() }
}

#[tokio::test]
async fn a_step_beyond_its_time_is_stopped() {
    let place = Place::new();
    let mut command = place.probe(&["sleep"]);
    command.limits = time(Duration::from_millis(100));
    let outcome = place.run(command).await;
    assert_eq!(outcome.exit, Exit::TimeLimit);
    assert!((100..60_000).contains(&outcome.wall_ms), "{outcome:?}");
}

#[tokio::test]
async fn a_step_is_asked_to_end_before_it_is_killed() {
    let place = Place::new();
    let script = "trap 'echo tidied; exit 0' TERM; echo ready; while :; do sleep 600 & wait; done";
    let mut command = place.command(&["sh", "-c", script]);
    command.limits = time(Duration::from_millis(300));
    let outcome = place.run(command).await;
    assert_eq!(outcome.exit, Exit::TimeLimit);
    assert_eq!(place.log(), "ready\ntidied\n");
}

#[tokio::test]
async fn a_step_that_will_not_end_is_killed_with_all_it_started() {
    let place = Place::new();
    let script = "trap '' TERM; setsid sleep 600 & echo $!; while :; do :; done";
    let mut command = place.command(&["sh", "-c", script]);
    command.limits = time(Duration::from_millis(200));
    assert_eq!(place.run(command).await.exit, Exit::TimeLimit);
    assert!(!is_alive(place.log().trim().parse().unwrap()));
}

#[tokio::test]
async fn memory_beyond_the_limit_ends_the_step() {
    let place = Place::new();
    let limit = 64 << 20;
    let mut command = place.probe(&["eat", "4000000000"]);
    command.limits.memory_bytes = Some(limit);
    let outcome = place.run(command).await;
    assert_eq!(outcome.exit, Exit::MemoryLimit);
    assert!(outcome.peak_memory_bytes.unwrap() > limit);
    assert_eq!(place.log(), "", "stopped before it had eaten everything");
}

#[tokio::test]
async fn memory_of_a_child_counts() {
    let place = Place::new();
    let script = format!("{} eat 4000000000", crate::PROBE);
    let mut command = place.command(&["sh", "-c", &format!("{script} & wait; echo survived")]);
    command.readable = vec![crate::PROBE.into()];
    command.limits.memory_bytes = Some(64 << 20);
    assert_eq!(place.run(command).await.exit, Exit::MemoryLimit);
    assert_eq!(place.log(), "");
}

#[tokio::test]
async fn a_step_within_its_limits_is_left_alone_and_its_peak_is_told() {
    let place = Place::new();
    let mut command = place.probe(&["eat", "100000000"]);
    command.limits = Limits { time: Some(Duration::from_mins(1)), memory_bytes: Some(1 << 30), cpus: Some(1.0) };
    let outcome = place.run(command).await;
    assert_eq!(outcome.exit, Exit::Code(0));
    assert!(outcome.peak_memory_bytes.unwrap() > 1 << 20, "{outcome:?}");
}

#[tokio::test]
async fn processors_are_limited() {
    for (cpus, seen) in [(1.0, "1"), (0.5, "1")] {
        let place = Place::new();
        let mut command = place.probe(&["cpus"]);
        command.limits.cpus = Some(cpus);
        place.run(command).await;
        assert_eq!(place.log().trim(), seen);
    }
}

#[tokio::test]
async fn more_processors_than_there_are_is_all_of_them() {
    let place = Place::new();
    let mut command = place.probe(&["cpus"]);
    command.limits.cpus = Some(10_000.0);
    place.run(command).await;
    assert_eq!(place.log().trim(), std::thread::available_parallelism().unwrap().to_string());
}
