use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use perennial_core::ErrorCode;
use perennial_worker::{Error, Limits, Worker, WorkerSpec};

use crate::{LONG, PROBE, act, call, is_alive, spec, start, wait_until, words};

#[test]
fn a_call_ends_at_its_deadline() {
    for behaviour in ["spin", "sleep"] {
        let mut worker = start(spec());
        let (pid, started) = (worker.pid(), Instant::now());
        let error = worker.call(&words(&[behaviour]), Duration::from_millis(100)).unwrap_err();
        assert!(matches!(error, Error::Deadline { .. }), "{error}");
        assert!(started.elapsed() < Duration::from_secs(10));
        assert!(!worker.is_usable());
        drop(worker);
        assert!(!is_alive(pid));
    }
}

#[test]
fn a_worker_that_requests_all_the_time_reaches_its_deadline() {
    let mut worker = start(spec());
    let names = vec!["name"; 100_000];
    let call = words(&[&["request"], names.as_slice()].concat());
    let mut respond = |request| Ok(request);
    let error = worker.call_with(&call, Duration::from_millis(50), &mut respond).unwrap_err();
    assert!(matches!(error, Error::Deadline { .. }), "{error}");
}

#[test]
fn a_worker_over_its_memory_is_stopped() {
    for behaviour in ["eat", "gulp"] {
        let mut limited = spec();
        limited.sandbox.limits = Limits { memory_bytes: Some(128 << 20), ..Limits::default() };
        let mut worker = start(limited);
        assert_eq!(act(&mut worker, &[behaviour, "20000000"]).map(drop), Ok(()), "within its limit");
        let error = call(&mut worker, &[behaviour, "4000000000"]).unwrap_err();
        assert!(matches!(error, Error::MemoryLimit { .. }), "{behaviour}: {error}");
        assert_eq!(perennial_core::Error::from(error).code(), ErrorCode::TooLarge);
    }
}

#[test]
fn a_worker_needs_no_control_group() {
    // Where none can be created, the other limits remain.
    let mut limited = spec();
    limited.sandbox.limits.memory_bytes = Some(128 << 20);
    limited.control_groups = serde_json::from_str(r#"{"folder":"/nowhere","server":1}"#).unwrap();
    let mut worker = start(limited);
    assert!(!worker.isolation().control_group);
    let error = call(&mut worker, &["eat", "4000000000"]).unwrap_err();
    assert!(matches!(error, Error::MemoryLimit { .. }), "{error}");
}

#[test]
fn a_worker_over_its_processor_time_is_stopped() {
    let mut limited = spec();
    limited.sandbox.limits.processor_time = Some(Duration::from_secs(1));
    let error = call(&mut start(limited), &["spin"]).unwrap_err();
    assert!(matches!(error, Error::ProcessorTime { .. }), "{error}");
}

#[test]
fn a_death_is_reported_with_its_signal_and_last_words() {
    let error = call(&mut start(spec()), &["abort"]).unwrap_err();
    assert!(matches!(error, Error::Died { signal: Some(libc::SIGABRT), .. }), "{error}");
    let error = call(&mut start(spec()), &["exit", "7"]).unwrap_err();
    assert!(matches!(error, Error::Died { status: Some(7), .. }), "{error}");
    let error = call(&mut start(spec()), &["panic"]).unwrap_err();
    assert!(error.to_string().contains("a fault of the handler"), "{error}");
    assert!(!error.to_string().contains('\n'), "{error}");
}

#[test]
fn a_killed_worker_is_unavailable_and_a_fault_of_its_own_is_internal() {
    for signal in ["KILL", "TERM"] {
        let mut worker = start(spec());
        let pid = worker.pid();
        let error = thread::scope(|scope| {
            let running = scope.spawn(|| call(&mut worker, &["spin"]).unwrap_err());
            assert!(Command::new("kill").args(["-s", signal, &pid.to_string()]).status().unwrap().success());
            running.join().unwrap()
        });
        assert!(error.was_killed(), "{error}");
        let error = perennial_core::Error::from(error);
        assert_eq!((error.code(), error.hint()), (ErrorCode::NotReady, Some("try again")), "{error}");
    }
    for fault in [&["abort"][..], &["panic"], &["exit", "9"]] {
        let error = call(&mut start(spec()), fault).unwrap_err();
        assert!(!error.was_killed(), "{error}");
        assert_eq!(perennial_core::Error::from(error).code(), ErrorCode::Internal);
    }
}

#[test]
fn a_worker_is_stopped_from_another_thread() {
    let mut worker = start(spec());
    let stopper = worker.stopper();
    let error = thread::scope(|scope| {
        let running = scope.spawn(|| call(&mut worker, &["spin"]).unwrap_err());
        stopper.stop();
        running.join().unwrap()
    });
    assert!(matches!(error, Error::Stopped { .. }), "{error}");
    assert!(!worker.is_usable());
}

#[test]
fn a_worker_dies_with_a_killed_server() {
    let mut server = Command::new(PROBE).arg("serve").stdout(Stdio::piped()).spawn().unwrap();
    let mut pid = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut pid).unwrap();
    let pid = pid.trim().parse().unwrap();
    assert!(is_alive(pid));
    server.kill().unwrap();
    server.wait().unwrap();
    wait_until("the worker has ended", || !is_alive(pid));
}

#[test]
fn a_worker_outlives_the_thread_that_started_it() {
    let mut worker = thread::spawn(|| start(spec())).join().unwrap();
    assert_eq!(act(&mut worker, &["thread"]).unwrap(), "from a thread");
}

#[test]
fn a_start_that_fails_says_why() {
    let failure = |spec: WorkerSpec| Worker::start(Arc::new(spec)).unwrap_err().to_string();
    assert!(failure(WorkerSpec { role: "refusing".to_owned(), ..spec() }).contains("the library is not installed"));
    assert!(failure(WorkerSpec { role: "other".to_owned(), ..spec() }).contains("role `other` does not exist"));
    assert!(failure(WorkerSpec { program: "/nowhere".into(), ..spec() }).contains("No such file"));
    let late = failure(WorkerSpec { program: "/bin/cat".into(), start_deadline: Duration::from_millis(50), ..spec() });
    assert!(late.contains("cannot start") || late.contains("took longer") || late.contains("died"), "{late}");
}

#[test]
fn a_worker_is_not_called_after_a_failed_call() {
    let mut worker = start(spec());
    worker.call(&words(&["sleep"]), Duration::ZERO).unwrap_err();
    let error = worker.call(&words(&["echo"]), LONG).unwrap_err();
    assert!(matches!(error, Error::Protocol { .. }), "{error}");
}
