use std::fs;
use std::path::{Path, PathBuf};

use perennial_core::ErrorCode;
use perennial_core::frame::{Column, Frame, TextColumn};
use perennial_core::id::RequestId;
use perennial_core::model::Scores;
use perennial_core::port::data::Values;
use perennial_core::port::prediction::{Backlog, LogPosition, PredictionLog, PredictionRecord, Segment, TrafficRole};
use perennial_serving::{LogLimits, SegmentLog};
use serde_json::json;
use tempfile::TempDir;

use crate::support::{as_rows, rows, sync, values};

const LOG: &str = "flights/delay";

/// Segments of a few records.
const SMALL: LogLimits = LogLimits { segment_bytes: 1_000, backlog_bytes: u64::MAX };

fn inputs(distance: f64) -> Frame {
    let mut frame = Frame::new();
    frame.push("distance", Column::Number(vec![distance, f64::NAN]));
    frame.push("carrier", Column::Text(TextColumn::encode([Some("U\"A"), None])));
    frame
}

/// Appends a request of two rows; returns its id.
fn append(log: &SegmentLog, name: &str) -> RequestId {
    append_at(log, name).0
}

/// Appends a request of two rows; returns its id and position.
fn append_at(log: &SegmentLog, name: &str) -> (RequestId, LogPosition) {
    let request = RequestId::generate();
    let scores = Scores { width: 1, values: vec![0.25, 1.0] };
    let position = log.append(name, prediction(request, &inputs(1400.5), Some(&scores))).unwrap();
    (request, position)
}

fn prediction<'a>(request: RequestId, inputs: &'a Frame, scores: Option<&'a Scores>) -> PredictionRecord<'a> {
    PredictionRecord {
        request,
        version: 7,
        role: TrafficRole::Canary,
        status: 200,
        wall_ms: 1_700_000_000_000,
        project_ms: 1_370_000_000_000,
        latency_us: 412,
        inputs,
        scores,
    }
}

fn segment_path(root: &Path, number: i64) -> PathBuf {
    root.join(LOG).join(format!("{number}.seg"))
}

#[test]
fn a_logged_request_becomes_rows() {
    let folder = TempDir::new().unwrap();
    let log = SegmentLog::open(folder.path()).unwrap();
    let request = append(&log, LOG);
    assert_eq!(log.seal(LOG).unwrap(), [1]);
    let segment = log.read(LOG, 1).unwrap();
    assert_eq!(segment.records, 1);
    let row = |row: usize, rest: serde_json::Value| {
        let mut all = json!({
            "prediction_id": format!("{request}-{row}"), "request_id": request.to_string(), "row": row, "version": 7,
            "part": "canary", "status": 200, "wall_ms": 1_700_000_000_000_i64, "project_ms": 1_370_000_000_000_i64,
            "latency_us": 412,
        });
        all.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        all
    };
    let first = row(0, json!({ "in_distance": 1400.5, "in_carrier": "U\"A", "score": 0.25 }));
    // A missing value has no member.
    assert_eq!(as_rows(&segment), [first, row(1, json!({ "score": 1.0 }))]);
}

#[test]
fn types_come_from_the_log_and_not_from_the_values() {
    let folder = TempDir::new().unwrap();
    let log = SegmentLog::open(folder.path()).unwrap();
    let mut inputs = Frame::new();
    inputs.push("whole", Column::Number(vec![70.0]));
    inputs.push("nothing", Column::Number(vec![f64::NAN]));
    inputs.push("number", Column::Text(TextColumn::encode([Some("9007199254740993")])));
    inputs.push("day", Column::Text(TextColumn::encode([Some("2013-06-01")])));
    let scores = Scores { width: 1, values: vec![1.0] };
    log.append(LOG, prediction(RequestId::generate(), &inputs, Some(&scores))).unwrap();
    let segment = log.read(LOG, log.seal(LOG).unwrap()[0]).unwrap();
    assert_eq!(values(&segment, "in_whole"), [&Values::Float(vec![70.0])]);
    assert!(matches!(values(&segment, "in_nothing")[..], [Values::Float(missing)] if missing[0].is_nan()));
    let text = |text: &str| Values::Text(TextColumn::encode([Some(text)]));
    assert_eq!(values(&segment, "in_number"), [&text("9007199254740993")]);
    assert_eq!(values(&segment, "in_day"), [&text("2013-06-01")]);
    assert_eq!(values(&segment, "score"), [&Values::Float(vec![1.0])]);
    assert_eq!(values(&segment, "version"), [&Values::Int(vec![7])]);
}

#[test]
fn an_input_that_came_as_numbers_and_as_text_is_two_columns() {
    let folder = TempDir::new().unwrap();
    let log = SegmentLog::open(folder.path()).unwrap();
    for column in
        [Column::Number(vec![1.0]), Column::Text(TextColumn::encode([Some("two")])), Column::Number(vec![3.0])]
    {
        let mut inputs = Frame::new();
        inputs.push("x", column);
        log.append(LOG, prediction(RequestId::generate(), &inputs, None)).unwrap();
    }
    let segment = log.read(LOG, log.seal(LOG).unwrap()[0]).unwrap();
    let values_read: Vec<_> = as_rows(&segment).iter().map(|row| row["in_x"].clone()).collect();
    assert_eq!(values_read, [json!(1.0), json!("two"), json!(3.0)]);
    assert_eq!(values(&segment, "in_x").len(), 2);
}

#[test]
fn scores_of_several_classes_are_numbered() {
    let folder = TempDir::new().unwrap();
    let log = SegmentLog::open(folder.path()).unwrap();
    let scores = Scores { width: 3, values: vec![0.5, 0.25, 0.25, 0.0, 0.0, 1.0] };
    log.append(LOG, prediction(RequestId::generate(), &inputs(1.0), Some(&scores))).unwrap();
    let rows = rows(&log, LOG);
    assert_eq!(rows[1]["score_2"], 1.0);
    assert_eq!(rows[0]["score_0"], 0.5);
    assert!(rows[0].get("score").is_none());
}

#[test]
fn a_failed_request_counts_even_when_no_row_was_read() {
    let folder = TempDir::new().unwrap();
    let log = SegmentLog::open(folder.path()).unwrap();
    let request = RequestId::generate();
    let nothing = Frame::new();
    let record = PredictionRecord { status: 500, ..prediction(request, &nothing, None) };
    log.append(LOG, record).unwrap();
    let with_rows = inputs(3.0);
    let record = PredictionRecord { status: 500, ..prediction(RequestId::generate(), &with_rows, None) };
    log.append(LOG, record).unwrap();
    let rows = rows(&log, LOG);
    assert_eq!(rows.len(), 3);
    assert_eq!(rows[0]["prediction_id"], format!("{request}-0"));
    assert_eq!(rows[0]["status"], 500);
    assert_eq!(rows[1]["in_distance"], 3.0);
    assert!(rows[1].get("score").is_none());
}

#[test]
fn columns_may_differ_from_request_to_request() {
    let folder = TempDir::new().unwrap();
    let log = SegmentLog::open(folder.path()).unwrap();
    for round in 0..4 {
        let mut frame = inputs(f64::from(round));
        if round % 2 == 1 {
            frame.push("flight_id", Column::Number(vec![10.0, 11.0]));
        }
        log.append(LOG, prediction(RequestId::generate(), &frame, None)).unwrap();
    }
    let rows = rows(&log, LOG);
    let keys: Vec<_> = rows.iter().map(|row| row.get("in_flight_id").and_then(serde_json::Value::as_f64)).collect();
    assert_eq!(keys, [None, None, Some(10.0), Some(11.0), None, None, Some(10.0), Some(11.0)]);
    assert_eq!(rows[6]["in_distance"], 3.0);
}

#[test]
fn sealing_an_empty_log_closes_no_segment() {
    let folder = TempDir::new().unwrap();
    let log = SegmentLog::open(folder.path()).unwrap();
    assert!(log.seal(LOG).unwrap().is_empty());
    assert!(!folder.path().join(LOG).exists(), "sealing creates no folder");
    append(&log, LOG);
    let first = log.seal(LOG).unwrap();
    assert_eq!(log.seal(LOG).unwrap(), first, "closed once, listed until removed");
}

#[test]
fn segments_roll_over_and_are_listed_oldest_first() {
    let folder = TempDir::new().unwrap();
    let log = SegmentLog::open_with(folder.path(), SMALL).unwrap();
    let requests: Vec<String> = (0..40).map(|_| append(&log, LOG).to_string()).collect();
    let numbers = log.seal(LOG).unwrap();
    assert!(numbers.len() > 3);
    assert_eq!(numbers, (1..=numbers.len() as i64).collect::<Vec<_>>(), "without gaps");
    assert_eq!(numbers.iter().map(|number| log.read(LOG, *number).unwrap().records).sum::<u64>(), 40);
    let first_rows: Vec<_> = rows(&log, LOG).into_iter().filter(|row| row["row"] == 0).collect();
    let logged: Vec<_> = first_rows.iter().map(|row| row["request_id"].as_str().unwrap()).collect();
    assert_eq!(logged, requests);
    for number in numbers {
        assert!(fs::metadata(segment_path(folder.path(), number)).unwrap().len() <= SMALL.segment_bytes);
    }
}

#[test]
fn numbers_continue_after_every_segment_was_removed_and_the_log_reopened() {
    let folder = TempDir::new().unwrap();
    for expected in 1..4 {
        let log = SegmentLog::open(folder.path()).unwrap();
        append(&log, LOG);
        assert_eq!(log.seal(LOG).unwrap(), [expected]);
        log.remove(LOG, expected).unwrap();
        log.remove(LOG, expected).unwrap();
        assert!(log.seal(LOG).unwrap().is_empty());
    }
}

#[test]
fn the_open_segment_can_be_neither_read_nor_removed() {
    let folder = TempDir::new().unwrap();
    let log = SegmentLog::open(folder.path()).unwrap();
    append(&log, LOG);
    let open = log.seal(LOG).unwrap()[0] + 1;
    assert_eq!(log.read(LOG, open).unwrap_err().code(), ErrorCode::WrongState);
    assert_eq!(log.remove(LOG, open).unwrap_err().code(), ErrorCode::WrongState);
}

#[test]
fn a_reopened_log_appends_to_its_open_segment() {
    let folder = TempDir::new().unwrap();
    let log = SegmentLog::open(folder.path()).unwrap();
    let before = append(&log, LOG);
    drop(log);
    let log = SegmentLog::open(folder.path()).unwrap();
    let after = append(&log, LOG);
    assert_eq!(log.seal(LOG).unwrap(), [1]);
    assert_eq!(log.read(LOG, 1).unwrap().records, 2);
    let logged: Vec<_> = rows(&log, LOG).iter().map(|row| row["request_id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(logged, [before.to_string(), before.to_string(), after.to_string(), after.to_string()]);
}

#[test]
fn a_torn_tail_is_cut_off_and_appending_continues() {
    let folder = TempDir::new().unwrap();
    let log = SegmentLog::open(folder.path()).unwrap();
    append(&log, LOG);
    let whole = fs::read(segment_path(folder.path(), 1)).unwrap();
    append(&log, LOG);
    drop(log);
    let two = fs::read(segment_path(folder.path(), 1)).unwrap();
    for cut in whole.len()..two.len() {
        fs::write(segment_path(folder.path(), 1), &two[..cut]).unwrap();
        let log = SegmentLog::open(folder.path()).unwrap();
        // Opened by the first call on it.
        append(&log, LOG);
        drop(log);
        let reopened = fs::read(segment_path(folder.path(), 1)).unwrap();
        assert_eq!(reopened.len(), two.len(), "one whole record and the new one");
        assert!(reopened.starts_with(&whole));
    }
}

#[test]
fn a_segment_without_a_whole_header_begins_anew() {
    let folder = TempDir::new().unwrap();
    fs::create_dir_all(folder.path().join(LOG)).unwrap();
    fs::write(segment_path(folder.path(), 1), b"PRN").unwrap();
    let log = SegmentLog::open(folder.path()).unwrap();
    append(&log, LOG);
    assert_eq!(rows(&log, LOG).len(), 2);
}

#[test]
fn a_damaged_closed_segment_is_an_error_and_the_others_can_be_read() {
    let folder = TempDir::new().unwrap();
    let log = SegmentLog::open(folder.path()).unwrap();
    append(&log, LOG);
    append(&log, LOG);
    let damaged = log.seal(LOG).unwrap()[0];
    append(&log, LOG);
    let path = segment_path(folder.path(), damaged);
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).unwrap();
    drop(log);
    let log = SegmentLog::open(folder.path()).unwrap();
    assert_eq!(log.seal(LOG).unwrap(), [1, 2]);
    let error = log.read(LOG, damaged).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Corrupt);
    assert!(error.message().contains("1.seg`"), "{error}");
    assert_eq!(log.read(LOG, 2).unwrap().records, 1);
}

#[test]
fn a_last_file_that_is_not_a_segment_is_kept_and_logging_continues() {
    let folder = TempDir::new().unwrap();
    fs::create_dir_all(folder.path().join(LOG)).unwrap();
    fs::write(segment_path(folder.path(), 4), b"something else").unwrap();
    let log = SegmentLog::open(folder.path()).unwrap();
    append(&log, LOG);
    assert_eq!(log.seal(LOG).unwrap(), [4, 5]);
    assert_eq!(log.read(LOG, 4).unwrap_err().code(), ErrorCode::Corrupt);
    assert_eq!(log.read(LOG, 5).unwrap().records, 1);
    assert_eq!(fs::read(segment_path(folder.path(), 4)).unwrap(), b"something else");
}

#[test]
fn logs_are_separate() {
    let folder = TempDir::new().unwrap();
    let log = SegmentLog::open(folder.path()).unwrap();
    append(&log, "a/one");
    append(&log, "a/two");
    append(&log, "a/two");
    assert_eq!(rows(&log, "a/one").len(), 2);
    assert_eq!(rows(&log, "a/two").len(), 4);
}

#[test]
fn names_that_lead_out_of_the_folder_are_refused() {
    let folder = TempDir::new().unwrap();
    let log = SegmentLog::open(folder.path()).unwrap();
    for name in ["../x", "/tmp/x", "", "a/../b", "a/b/c/d/e"] {
        assert_eq!(log.seal(name).unwrap_err().code(), ErrorCode::InvalidArgument, "`{name}`");
        let error = log.append(name, prediction(RequestId::generate(), &inputs(1.0), None));
        assert_eq!(error.unwrap_err().code(), ErrorCode::InvalidArgument, "`{name}`");
    }
}

#[test]
fn a_folder_has_one_log_at_a_time() {
    let folder = TempDir::new().unwrap();
    let first = SegmentLog::open(folder.path()).unwrap();
    assert_eq!(SegmentLog::open(folder.path()).err().unwrap().code(), ErrorCode::NotReady);
    drop(first);
    SegmentLog::open(folder.path()).unwrap();
}

#[test]
fn a_record_over_the_size_limit_is_refused_and_leaves_nothing() {
    let folder = TempDir::new().unwrap();
    let log = SegmentLog::open(folder.path()).unwrap();
    let mut huge = Frame::new();
    huge.push("x", Column::Number(vec![0.5; perennial_serving::RECORD_MAX_BYTES / 8]));
    let error = log.append(LOG, prediction(RequestId::generate(), &huge, None)).unwrap_err();
    assert_eq!(error.code(), ErrorCode::TooLarge);
    append(&log, LOG);
    assert_eq!(rows(&log, LOG).len(), 2);
}

#[test]
fn a_request_is_found_as_long_as_it_is_in_the_log() {
    let folder = TempDir::new().unwrap();
    let log = SegmentLog::open_with(folder.path(), SMALL).unwrap();
    let absent = |request| log.find(LOG, request).unwrap().is_none();
    assert!(absent(RequestId::generate()), "a log that was never written");
    let requests: Vec<RequestId> = (0..20).map(|_| append(&log, LOG)).collect();
    let before = fs::read_dir(folder.path().join(LOG)).unwrap().count();
    assert!(before > 2, "several segments");
    for request in &requests {
        let columns = log.find(LOG, *request).unwrap().expect("it is in an open or a closed segment");
        let segment = Segment { records: 1, digest: String::new(), columns };
        let found = as_rows(&segment);
        assert_eq!(found.len(), 2);
        assert_eq!(found[1]["prediction_id"], json!(format!("{request}-1")));
        assert_eq!((&found[0]["in_distance"], &found[1]["score"]), (&json!(1400.5), &json!(1.0)));
    }
    assert!(absent(RequestId::generate()));
    assert_eq!(fs::read_dir(folder.path().join(LOG)).unwrap().count(), before, "nothing is sealed");
    // A frame that is being written hides nothing before it.
    let open = segment_path(folder.path(), before as i64);
    let mut bytes = fs::read(&open).unwrap();
    bytes.extend_from_slice(&[9, 0, 0]);
    fs::write(&open, bytes).unwrap();
    assert!(!absent(requests[19]));
    log.remove(LOG, 1).unwrap();
    assert!(absent(requests[0]) && !absent(requests[10]));
}

#[test]
fn a_backlog_beyond_its_limit_is_refused_until_segments_are_removed() {
    let folder = TempDir::new().unwrap();
    let limits = LogLimits { segment_bytes: 1_000, backlog_bytes: 3_000 };
    let log = SegmentLog::open_with(folder.path(), limits).unwrap();
    let full = (0..1_000).find_map(|_| {
        let inputs = inputs(1.0);
        log.append(LOG, prediction(RequestId::generate(), &inputs, None)).err()
    });
    assert_eq!(full.expect("refused at some point").code(), ErrorCode::Busy);
    let on_disk: u64 =
        fs::read_dir(folder.path().join(LOG)).unwrap().map(|f| f.unwrap().metadata().unwrap().len()).sum();
    assert!(on_disk <= 4_000, "{on_disk}");
    for number in log.seal(LOG).unwrap() {
        log.remove(LOG, number).unwrap();
    }
    append(&log, LOG);
}

#[test]
fn the_backlog_is_what_waits_since_the_oldest_record_also_after_a_restart() {
    let folder = TempDir::new().unwrap();
    let log = SegmentLog::open_with(folder.path(), SMALL).unwrap();
    assert_eq!(log.backlog(LOG).unwrap(), Backlog::default());
    for _ in 0..20 {
        append(&log, LOG);
    }
    let on_disk = |folder: &TempDir| -> u64 {
        fs::read_dir(folder.path().join(LOG)).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum()
    };
    let waiting = log.backlog(LOG).unwrap();
    assert_eq!((waiting.bytes, waiting.oldest_ms), (on_disk(&folder), Some(1_700_000_000_000)));
    drop(log);
    let log = SegmentLog::open_with(folder.path(), SMALL).unwrap();
    let left = log.backlog(LOG).unwrap();
    assert_eq!((left.bytes, left.oldest_ms), (waiting.bytes, Some(0)), "what an earlier server wrote is due at once");
    for number in log.seal(LOG).unwrap() {
        log.remove(LOG, number).unwrap();
    }
    assert_eq!(log.backlog(LOG).unwrap(), Backlog::default());
}

#[test]
fn many_threads_append_at_once_and_no_record_is_lost_or_doubled() {
    let folder = TempDir::new().unwrap();
    let log = SegmentLog::open_with(folder.path(), LogLimits { segment_bytes: 20_000, ..SMALL }).unwrap();
    let mut appended: Vec<String> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4)
            .map(|worker| {
                let log = &log;
                scope.spawn(move || -> Vec<String> {
                    let append = |n| {
                        let (request, position) = append_at(log, LOG);
                        if (n + worker) % 25 == 0 {
                            sync(log, LOG, position).unwrap();
                        }
                        request.to_string()
                    };
                    (0..500).map(append).collect()
                })
            })
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    let mut logged: Vec<String> = rows(&log, LOG)
        .iter()
        .filter(|row| row["row"] == 1)
        .map(|row| row["request_id"].as_str().unwrap().to_owned())
        .collect();
    appended.sort();
    logged.sort();
    assert_eq!(appended, logged);
}

#[test]
fn the_torn_tail_of_a_closed_segment_that_was_not_synced_is_cut_off() {
    let folder = TempDir::new().unwrap();
    let log = SegmentLog::open(folder.path()).unwrap();
    append(&log, LOG);
    append(&log, LOG);
    assert_eq!(log.seal(LOG).unwrap(), [1]);
    append(&log, LOG);
    drop(log);
    // A power failure after the next segment was begun and before the closed one was synced.
    let path = segment_path(folder.path(), 1);
    let length = fs::metadata(&path).unwrap().len();
    fs::File::options().write(true).open(&path).unwrap().set_len(length - 30).unwrap();
    let log = SegmentLog::open(folder.path()).unwrap();
    assert_eq!(log.seal(LOG).unwrap(), [1, 2]);
    assert_eq!(log.read(LOG, 1).unwrap().records, 1);
    assert_eq!(log.read(LOG, 2).unwrap().records, 1);
}

#[test]
fn segments_of_earlier_versions_are_read_and_not_appended_to() {
    let folder = TempDir::new().unwrap();
    let log = SegmentLog::open(folder.path()).unwrap();
    append(&log, LOG);
    drop(log);
    let path = segment_path(folder.path(), 1);
    let mut bytes = fs::read(&path).unwrap();
    bytes[..8].copy_from_slice(b"PRNLSEG1");
    // A torn tail, as a crash of the earlier version leaves it.
    bytes.extend([7; 20]);
    fs::write(&path, bytes).unwrap();
    let log = SegmentLog::open(folder.path()).unwrap();
    append(&log, LOG);
    assert_eq!(log.seal(LOG).unwrap(), [1, 2]);
    assert_eq!(log.read(LOG, 1).unwrap().records, 1);
    assert_eq!(log.read(LOG, 2).unwrap().records, 1);
}
