//! The memory that an inference request takes while it is parsed.

use std::fmt::Write as _;

use perennial_api::fuzz;

/// Rows of a request, at most.
const ROWS: usize = 100_000;
/// With tensors of so many rows it has as many values as it may.
const TENSORS: usize = 100;

/// The most resident memory of this process so far, bytes.
fn resident_bytes_max() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

#[test]
fn the_values_of_json_tensors_take_memory_in_proportion_to_the_request() {
    let mut body = String::with_capacity(2 * ROWS * TENSORS + 100 * TENSORS);
    body.push_str("{\"inputs\":[");
    for tensor in 0..TENSORS {
        let comma = if tensor > 0 { "," } else { "" };
        write!(body, "{comma}{{\"name\":\"t{tensor}\",\"shape\":[{ROWS}],\"datatype\":\"INT8\",\"data\":[").unwrap();
        body.extend(std::iter::repeat_n("0,", ROWS - 1));
        body.push_str("0]}");
    }
    body.push_str("]}");
    let before = resident_bytes_max();
    fuzz::v2_json(body.as_bytes());
    let taken = resident_bytes_max() - before;
    // Nine bytes for each value of two, then eight for each in the columns, which replace them one by one.
    let most = 8 * body.len() as u64;
    assert!(taken < most, "{taken} bytes for a request of {}", body.len());
}
