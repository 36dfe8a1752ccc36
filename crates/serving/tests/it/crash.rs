use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use perennial_serving::SegmentLog;

use crate::support::rows;

/// Starts the probe, which logs into `root`, and kills it after `lines` acknowledged requests; returns id and row
/// count of every acknowledged request.
fn log_and_kill(root: &Path, lines: usize) -> HashMap<String, usize> {
    let mut probe =
        Command::new(env!("CARGO_BIN_EXE_perennial-serving-probe")).arg(root).stdout(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(probe.stdout.take().unwrap()).lines();
    let mut acknowledged: Vec<String> = out.by_ref().take(lines).map(Result::unwrap).collect();
    probe.kill().unwrap();
    probe.wait().unwrap();
    acknowledged.extend(out.map_while(Result::ok));
    acknowledged
        .iter()
        .filter_map(|line| {
            let (request, rows) = line.split_once(' ')?;
            Some((request.to_owned(), rows.parse().ok()?))
        })
        .collect()
}

#[test]
fn a_kill_loses_doubles_or_splits_no_acknowledged_prediction() {
    for lines in [1, 7, 50, 333, 1_000, 2_500] {
        let folder = tempfile::TempDir::new().unwrap();
        let acknowledged = log_and_kill(folder.path(), lines);
        assert!(acknowledged.len() >= lines);
        let log = SegmentLog::open(folder.path()).unwrap();
        let mut logged: HashMap<String, Vec<u64>> = HashMap::new();
        for row in rows(&log, "flights/delay") {
            let request = row["request_id"].as_str().unwrap().to_owned();
            logged.entry(request).or_default().push(row["row"].as_u64().unwrap());
        }
        for (request, rows) in &acknowledged {
            let expected: Vec<u64> = (0..*rows as u64).collect();
            assert_eq!(logged.get(request), Some(&expected), "{request}");
        }
        // Each of the four workers may have logged one request without acknowledging it.
        assert!(logged.len() <= acknowledged.len() + 4, "{} logged, {} acknowledged", logged.len(), acknowledged.len());
    }
}
