use std::io::Write;

use perennial_core::{Error as CoreError, ErrorCode};
use perennial_worker::{Error, Message};

use crate::{LONG, act, call, spec, start, words};

#[test]
fn bytes_come_back_as_they_were() {
    let mut worker = start(spec());
    for length in [0, 1, 65_536, 10_000_000] {
        let bytes: Vec<u8> = (0..length).map(|place: u32| (place * 7) as u8).collect();
        let answer = worker.call(&words(&["echo"]).with_payload(bytes.clone()), LONG).unwrap();
        assert!(answer.payload == bytes, "{length} bytes");
    }
}

#[test]
fn a_handler_keeps_its_state_and_its_parameters() {
    let parameters = serde_json::json!({ "model": "churn" });
    let mut worker = start(perennial_worker::WorkerSpec { parameters: parameters.clone(), ..spec() });
    assert_eq!(call(&mut worker, &["parameters"]).unwrap().control::<serde_json::Value>().unwrap(), parameters);
    assert_eq!(call(&mut worker, &["calls"]).unwrap().control::<u32>().unwrap(), 2);
}

#[test]
fn a_refusal_has_its_code_and_hint_and_the_worker_lives_on() {
    let mut worker = start(spec());
    let Error::Refused(error) = call(&mut worker, &["refuse"]).unwrap_err() else { panic!("not refused") };
    assert_eq!((error.code(), error.message()), (ErrorCode::Sql, "column `x` does not exist"));
    assert_eq!(error.hint(), Some("correct the query"));
    assert!(worker.is_usable());
    assert_eq!(act(&mut worker, &["thread"]).unwrap(), "from a thread");
}

#[test]
fn a_worker_requests_of_the_server_during_a_call() {
    let mut worker = start(spec());
    let mut respond = |request: Message| match request.control::<String>()?.as_str() {
        "secret" => Err(CoreError::new(ErrorCode::PermissionDenied, "not granted")),
        name => Message::new(&format!("content of {name}")),
    };
    let answer = worker.call_with(&words(&["request", "a", "secret", "b"]), LONG, &mut respond).unwrap();
    assert_eq!(answer.control::<Vec<String>>().unwrap(), ["content of a", "refused: not granted", "content of b"]);
    let answer = call(&mut worker, &["request", "a"]).unwrap();
    assert_eq!(answer.control::<Vec<String>>().unwrap(), ["refused: this call answers no requests"]);
}

#[test]
fn a_worker_reads_an_open_file_that_its_sandbox_denies() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"rows").unwrap();
    let mut worker = start(spec());
    crate::denied(&mut worker, &["read", file.path().to_str().unwrap()]);
    let message = words(&["descriptor"]).with_descriptor(std::fs::File::open(file.path()).unwrap());
    let (text, is_read): (String, bool) = worker.call(&message, LONG).unwrap().control().unwrap();
    assert_eq!((text.as_str(), is_read), ("rows", true));
}

#[test]
fn an_answer_over_its_limit_ends_the_worker() {
    let mut worker = start(perennial_worker::WorkerSpec { answer_max_bytes: 1000, ..spec() });
    assert!(worker.call(&words(&["echo"]).with_payload(vec![0; 1000]), LONG).is_ok());
    let error = worker.call(&words(&["echo"]).with_payload(vec![0; 1001]), LONG).unwrap_err();
    assert!(matches!(error, Error::Protocol { .. }), "{error}");
    assert!(!worker.is_usable());
}

#[test]
fn much_output_blocks_no_worker() {
    let mut worker = start(spec());
    assert_eq!(act(&mut worker, &["print", "5000000"]).unwrap(), "");
}
