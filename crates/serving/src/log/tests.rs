use super::record::{Columns, DecodedRecord, decode, encode, scan};
use super::*;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use perennial_core::frame::{Column, Frame, TextColumn};
use perennial_core::id::RequestId;
use perennial_core::model::Scores;
use perennial_core::port::prediction::TrafficRole;
use proptest::prelude::*;

/// The fields of a record, owned.
#[derive(Debug, Clone)]
struct Request {
    id: RequestId,
    numbers: (i64, u16, i64, i64, u64),
    role: TrafficRole,
    inputs: Frame,
    scores: Option<Scores>,
}

impl Request {
    fn record(&self) -> PredictionRecord<'_> {
        let (version, status, wall_ms, project_ms, latency_us) = self.numbers;
        PredictionRecord {
            request: self.id,
            version,
            role: self.role,
            status,
            wall_ms,
            project_ms,
            latency_us,
            inputs: &self.inputs,
            scores: self.scores.as_ref(),
        }
    }

    /// A segment with this record only.
    fn segment(&self) -> Vec<u8> {
        let columns = Columns::of(&self.inputs).unwrap();
        let mut bytes = file::MAGIC.to_vec();
        bytes.extend(columns.encoded());
        encode(&self.record(), &columns, &mut bytes).unwrap();
        bytes
    }
}

fn column(rows: usize) -> impl Strategy<Value = Column> {
    let numbers = prop::collection::vec(any::<f64>(), rows).prop_map(Column::Number);
    let texts = prop::collection::vec(prop::option::of(".{0,6}"), rows)
        .prop_map(|values| Column::Text(TextColumn::encode(values.iter().map(Option::as_deref))));
    prop_oneof![numbers, texts]
}

prop_compose! {
    fn any_request()(rows in 0..5_usize, width in 0..4_usize, names in prop::collection::btree_set("[a-zü ]{0,8}", 0..5))
        (columns in prop::collection::vec(column(rows), names.len()),
         values in prop::collection::vec(any::<f64>(), rows * width),
         names in Just(names), width in Just(width), id in any::<u128>(),
         numbers in any::<(i64, u16, i64, i64, u64)>(), canary in any::<bool>()) -> Request {
        let mut inputs = Frame::new();
        for (name, column) in names.into_iter().zip(columns) {
            inputs.push(name, column);
        }
        // A frame without columns has no rows; a failed request has no scores.
        let has_rows = inputs.rows() > 0;
        Request {
            id: RequestId::from(uuid::Uuid::from_u128(id)),
            numbers,
            role: if canary { TrafficRole::Canary } else { TrafficRole::Champion },
            scores: (width > 0 && has_rows).then_some(Scores { width, values }),
            inputs,
        }
    }
}

/// The values' bits, so that NaN equals NaN.
fn bits(column: &Column) -> Vec<Option<String>> {
    (0..column.len())
        .map(|row| match column {
            Column::Number(values) => Some(values[row].to_bits().to_string()),
            Column::Text(text) => text.get(row).map(str::to_owned),
        })
        .collect()
}

fn only_record(segment: &[u8]) -> DecodedRecord {
    let scan = scan(segment);
    assert_eq!((scan.records, scan.torn), (1, None));
    let mut logged = None;
    record::for_each_frame(segment, &mut 0, |payload| {
        logged = decode(payload, &scan.columns).or(logged.take());
        Ok(())
    })
    .unwrap();
    logged.unwrap()
}

proptest! {
    #[test]
    fn decoding_an_encoded_record_gives_the_record(request in any_request()) {
        let logged = only_record(&request.segment());
        let PredictionRecord { version, status, wall_ms, project_ms, latency_us, .. } = request.record();
        prop_assert_eq!(logged.request, request.id);
        prop_assert_eq!(logged.role, request.role);
        prop_assert_eq!(
            (logged.version, logged.status, logged.wall_ms, logged.project_ms, logged.latency_us),
            (version, status, wall_ms, project_ms, latency_us)
        );
        prop_assert_eq!(logged.rows, request.inputs.rows());
        let inputs: Vec<_> = logged.inputs.iter().map(bits).collect();
        let expected: Vec<_> = request.inputs.columns().iter().map(bits).collect();
        prop_assert_eq!(inputs, expected);
        let scores = |scores: &Option<Scores>| scores.as_ref().map(|s| (s.width, bits(&Column::Number(s.values.clone()))));
        prop_assert_eq!(scores(&logged.scores), scores(&request.scores));
    }

    #[test]
    fn a_segment_cut_anywhere_keeps_only_whole_records(request in any_request(), cut in any::<prop::sample::Index>()) {
        let whole = request.segment();
        let cut = cut.index(whole.len());
        let scan = scan(&whole[..cut]);
        prop_assert_eq!(scan.records, 0);
        prop_assert!(scan.end <= cut as u64);
    }

    #[test]
    fn a_record_with_a_flipped_bit_is_detected(request in any_request(), at in any::<prop::sample::Index>(), bit in 0..8_u32) {
        let mut bytes = request.segment();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let scan = scan(&bytes);
        prop_assert!(scan.torn.is_some());
        prop_assert_eq!(scan.records, 0);
    }

    #[test]
    fn foreign_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let with_magic = [file::MAGIC.as_slice(), &bytes].concat();
        scan(&bytes);
        scan(&with_magic);
        decode(&[&[2][..], &bytes].concat(), &HashMap::from([(0, Vec::new())]));
    }
}

#[test]
fn dictionary_values_that_no_row_uses_are_not_written() {
    let many: Vec<String> = (0..10_000).map(|value| format!("value {value}")).collect();
    let column = Column::Text(TextColumn::encode(many.iter().map(|value| Some(value.as_str()))));
    let mut inputs = Frame::new();
    inputs.push("text", column.take(&[4_321]));
    let request = Request {
        id: RequestId::generate(),
        numbers: (1, 200, 0, 0, 0),
        role: TrafficRole::Champion,
        inputs,
        scores: None,
    };
    let segment = request.segment();
    assert!(segment.len() < 200, "{} bytes", segment.len());
    assert_eq!(bits(&only_record(&segment).inputs[0]), [Some("value 4321".to_owned())]);
}

#[test]
fn a_description_describes_the_columns_it_was_made_of_alone() {
    let frame = |columns: &[(&str, bool)]| {
        let mut frame = Frame::new();
        for (name, is_text) in columns {
            let column = if *is_text { Column::Text(TextColumn::encode([None])) } else { Column::Number(vec![1.0]) };
            frame.push(*name, column);
        }
        frame
    };
    let columns = Columns::of(&frame(&[("hour", false), ("carrier", true)])).unwrap();
    assert!(columns.describes(&frame(&[("hour", false), ("carrier", true)])));
    for other in [
        frame(&[]),
        frame(&[("hour", false)]),
        frame(&[("hour", false), ("carrier", false)]),
        frame(&[("carrier", true), ("hour", false)]),
        frame(&[("hour", false), ("carrier", true), ("x", false)]),
        frame(&[("hours", false), ("carrier", true)]),
    ] {
        assert!(!columns.describes(&other), "{other:?}");
    }
}

#[test]
fn scores_that_do_not_match_the_rows_are_refused() {
    let mut inputs = Frame::new();
    inputs.push("x", Column::Number(vec![1.0, 2.0]));
    let request = Request {
        id: RequestId::generate(),
        numbers: (1, 200, 0, 0, 0),
        role: TrafficRole::Champion,
        inputs,
        scores: Some(Scores { width: 1, values: vec![0.5] }),
    };
    let columns = Columns::of(&request.inputs).unwrap();
    let error = encode(&request.record(), &columns, &mut Vec::new()).unwrap_err();
    assert!(matches!(error, LogError::Shape { rows: 2, scores: 1, width: 1 }));
}

const LOG: &str = "flights/delay";

/// A disk whose syncs wait until the test releases them.
struct SlowDisk {
    sync_file: SyncFile,
    /// Syncs so far.
    syncs: Arc<AtomicUsize>,
    /// Receives a message when a sync begins.
    begun: tokio::sync::mpsc::UnboundedReceiver<()>,
    /// A message lets one sync end, dropping it all of them.
    release: mpsc::Sender<()>,
}

impl SlowDisk {
    fn new() -> Self {
        let syncs = Arc::<AtomicUsize>::default();
        let (begin, begun) = tokio::sync::mpsc::unbounded_channel();
        let (release, released) = mpsc::channel();
        let (counter, released) = (syncs.clone(), Mutex::new(released));
        let sync_file = Arc::new(move |_: &File| {
            counter.fetch_add(1, Ordering::SeqCst);
            let _ = begin.send(());
            let _ = lock::mutex(&released).recv();
            Ok(())
        });
        Self { sync_file, syncs, begun, release }
    }

    fn log(&self, folder: &tempfile::TempDir, limits: LogLimits) -> SegmentLog {
        SegmentLog::open_syncing(folder.path(), limits, self.sync_file.clone()).unwrap()
    }
}

fn request() -> Request {
    let mut inputs = Frame::new();
    inputs.push("x", Column::Number(vec![1.0]));
    let numbers = (1, 200, 0, 0, 0);
    Request { id: RequestId::generate(), numbers, role: TrafficRole::Champion, inputs, scores: None }
}

fn append(log: &SegmentLog) -> LogPosition {
    log.append(LOG, request().record()).unwrap()
}

/// Both futures run on the one thread of the runtime: it would never release a sync that blocks it.
#[tokio::test]
async fn a_request_that_waits_for_its_sync_blocks_no_other() {
    let folder = tempfile::TempDir::new().unwrap();
    let mut disk = SlowDisk::new();
    let log = disk.log(&folder, LogLimits::default());
    let position = append(&log);
    let others = async {
        disk.begun.recv().await.unwrap();
        for _ in 0..100 {
            append(&log);
            tokio::task::yield_now().await;
        }
        drop(disk.release);
    };
    let (synced, ()) = tokio::join!(log.sync(LOG, position), others);
    synced.unwrap();
}

#[tokio::test]
async fn requests_that_wait_at_the_same_time_share_one_sync() {
    let folder = tempfile::TempDir::new().unwrap();
    let mut disk = SlowDisk::new();
    let log = disk.log(&folder, LogLimits::default());
    let first = append(&log);
    let others = async {
        disk.begun.recv().await.unwrap();
        let positions = [append(&log), append(&log), append(&log)];
        let release = async {
            disk.release.send(()).unwrap();
            disk.begun.recv().await.unwrap();
            disk.release.send(()).unwrap();
        };
        let [first, second, third] = positions.map(|position| log.sync(LOG, position));
        tokio::join!(first, second, third, release)
    };
    let (synced, _) = tokio::join!(log.sync(LOG, first), others);
    synced.unwrap();
    assert_eq!(disk.syncs.load(Ordering::SeqCst), 2, "one for the first request, one for the three after it");
    drop(disk.release);
}

#[tokio::test]
async fn a_failed_sync_fails_all_that_wait_and_every_later_append() {
    let folder = tempfile::TempDir::new().unwrap();
    let sync_file: SyncFile = Arc::new(|_| Err(std::io::Error::other("the disk is gone")));
    let log = SegmentLog::open_syncing(folder.path(), LogLimits::default(), sync_file).unwrap();
    let positions = [append(&log), append(&log)];
    let (first, second) = tokio::join!(log.sync(LOG, positions[0]), log.sync(LOG, positions[1]));
    assert_eq!(first.unwrap_err().code(), perennial_core::ErrorCode::Storage);
    assert_eq!(second.unwrap_err().code(), perennial_core::ErrorCode::Storage);
    let error = log.append(LOG, request().record()).unwrap_err();
    assert!(error.message().starts_with("an earlier sync of"), "{error}");
}

#[test]
fn a_full_disk_is_an_error_that_clients_may_retry() {
    for kind in [std::io::ErrorKind::StorageFull, std::io::ErrorKind::QuotaExceeded] {
        let error = perennial_core::Error::from(LogError::io(std::path::Path::new("log/1.seg"))(kind.into()));
        assert_eq!(
            (error.code(), error.message()),
            (perennial_core::ErrorCode::Busy, "predictions cannot be logged: the disk of `log/1.seg` is full")
        );
    }
}

#[test]
fn closing_a_segment_lets_others_append_while_it_is_synced() {
    let folder = tempfile::TempDir::new().unwrap();
    let mut disk = SlowDisk::new();
    let writer = SegmentWriter::open(folder.path(), "log", LogLimits::default(), disk.sync_file.clone()).unwrap();
    let append = || {
        let (request, mut encoded) = (request(), Vec::new());
        let columns = Columns::of(&request.inputs).unwrap();
        encode(&request.record(), &columns, &mut encoded).unwrap();
        writer.append(&columns, &encoded, 0).unwrap().position.segment
    };
    assert_eq!(append(), 1);
    std::thread::scope(|scope| {
        let sealing = scope.spawn(|| writer.seal());
        disk.begun.blocking_recv().unwrap();
        assert_eq!(append(), 2);
        assert!(!sealing.is_finished(), "a closed segment is synced before its number is returned");
        drop(disk.release);
        assert_eq!(sealing.join().unwrap().unwrap(), [1]);
    });
}

#[test]
fn a_full_segment_is_closed_without_a_sync() {
    let folder = tempfile::TempDir::new().unwrap();
    let disk = SlowDisk::new();
    let log = disk.log(&folder, LogLimits { segment_bytes: 500, ..LogLimits::default() });
    while append(&log).segment == 1 {}
    drop(disk.release);
}
