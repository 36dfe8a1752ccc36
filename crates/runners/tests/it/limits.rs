use std::time::Duration;

use perennial_core::port::runner::{Exit, Limits, run_to_end};

use crate::{TestStep, is_alive, wait_until};

fn time(limit: Duration) -> Limits {
    Limits { time: Some(limit), ..Limits::default() }
}

#[tokio::test]
async fn a_step_over_its_time_limit_is_stopped() {
    let step = TestStep::new();
    let mut job = step.probe(&["sleep"]);
    job.limits = time(Duration::from_millis(100));
    let outcome = step.run(job).await;
    assert_eq!(outcome.exit, Exit::TimeLimit);
    assert!((100..60_000).contains(&outcome.wall_ms), "{outcome:?}");
}

#[tokio::test]
async fn a_step_that_starts_processes_all_the_time_reaches_its_time_limit() {
    let step = TestStep::new();
    let mut job = step.job(&["sh", "-c", "while :; do (true &); done"]);
    job.limits = time(Duration::from_millis(200));
    let outcome = step.run(job).await;
    assert_eq!(outcome.exit, Exit::TimeLimit);
    assert!(outcome.wall_ms < 30_000, "{outcome:?}");
}

#[tokio::test]
async fn a_step_receives_sigterm_before_sigkill() {
    let step = TestStep::new();
    let script = "trap 'echo tidied; exit 0' TERM; echo ready; while :; do sleep 600 & wait; done";
    let mut job = step.job(&["sh", "-c", script]);
    job.limits = time(Duration::from_millis(300));
    let outcome = step.run(job).await;
    assert_eq!(outcome.exit, Exit::TimeLimit);
    assert_eq!(step.log(), "ready\ntidied\n");
}

#[tokio::test]
async fn a_step_that_ignores_sigterm_is_killed_with_its_processes() {
    let step = TestStep::new();
    let script = "trap '' TERM; setsid sleep 600 & echo $!; while :; do :; done";
    let mut job = step.job(&["sh", "-c", script]);
    job.limits = time(Duration::from_millis(200));
    assert_eq!(step.run(job).await.exit, Exit::TimeLimit);
    assert!(!is_alive(step.log().trim().parse().unwrap()));
}

#[tokio::test]
async fn a_step_over_its_memory_limit_is_stopped() {
    let step = TestStep::new();
    let limit = 64 << 20;
    let mut job = step.probe(&["eat", "4000000000"]);
    job.limits.memory_bytes = Some(limit);
    let outcome = step.run(job).await;
    assert_eq!(outcome.exit, Exit::MemoryLimit);
    assert!(outcome.peak_memory_bytes.unwrap() > limit);
    assert_eq!(step.log(), "", "stopped before it had allocated everything");
}

#[tokio::test]
async fn memory_of_child_processes_counts() {
    let step = TestStep::new();
    let script = format!("{} eat 4000000000", crate::PROBE);
    let mut job = step.job(&["sh", "-c", &format!("{script} & wait; echo survived")]);
    job.environment.readable = vec![crate::PROBE.into()];
    job.limits.memory_bytes = Some(64 << 20);
    assert_eq!(step.run(job).await.exit, Exit::MemoryLimit);
    assert_eq!(step.log(), "");
}

#[tokio::test]
async fn a_step_that_its_control_group_ended_ran_into_its_memory_limit() {
    let step = TestStep::new();
    let groups = step.control_groups();
    let folder = groups.folder().to_owned();
    // As the kernel: it counts the kill in the group, and kills.
    let kernel = std::thread::spawn({
        let go = step.folder().join("go");
        move || {
            let group = || std::fs::read_dir(&folder).unwrap().flatten().next().map(|entry| entry.path());
            wait_until("the step has joined its group", || {
                group().is_some_and(|group| group.join("cgroup.procs").exists())
            });
            std::fs::write(group().unwrap().join("memory.events"), "oom 1\noom_kill 2\n").unwrap();
            std::fs::write(go, "").unwrap();
            std::fs::read_to_string(group().unwrap().join("memory.max")).unwrap()
        }
    });
    let mut job = step.job(&["sh", "-c", "while [ ! -e go ]; do :; done; kill -9 $$"]);
    job.limits.memory_bytes = Some(1 << 30);
    let outcome = run_to_end(&step.runner().control_groups(Some(groups)), job).await.unwrap().outcome().unwrap();
    assert_eq!(kernel.join().unwrap(), (1 << 30).to_string());
    assert_eq!(outcome.exit, Exit::MemoryLimit);
    assert!(outcome.isolation == "none" || outcome.isolation.contains("own control group"), "{outcome:?}");
}

#[tokio::test]
async fn a_step_within_its_limits_completes_and_its_peak_is_reported() {
    let step = TestStep::new();
    let mut job = step.probe(&["eat", "100000000"]);
    job.limits = Limits { time: Some(Duration::from_mins(1)), memory_bytes: Some(1 << 30), cpus: Some(1.0) };
    let outcome = step.run(job).await;
    assert_eq!(outcome.exit, Exit::Code(0));
    assert!(outcome.peak_memory_bytes.unwrap() > 1 << 20, "{outcome:?}");
}

#[tokio::test]
async fn processors_are_limited() {
    for (cpus, seen) in [(1.0, "1"), (0.5, "1")] {
        let step = TestStep::new();
        let mut job = step.probe(&["cpus"]);
        job.limits.cpus = Some(cpus);
        step.run(job).await;
        assert_eq!(step.log().trim(), seen);
    }
}

#[tokio::test]
async fn a_limit_of_more_processors_than_exist_gives_all_of_them() {
    let step = TestStep::new();
    let mut job = step.probe(&["cpus"]);
    job.limits.cpus = Some(10_000.0);
    step.run(job).await;
    assert_eq!(step.log().trim(), std::thread::available_parallelism().unwrap().to_string());
}
