//! A closed segment as JSON lines.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

use perennial_core::frame::Column;
use perennial_core::port::prediction::Part;

use super::error::LogError;
use super::record::{self, Logged};

/// Numbers below this are whole in a double, and written as such.
const WHOLE_BELOW: f64 = 9_007_199_254_740_992.0;

/// One line a row. A request that failed before its rows were read gives one line without inputs,
/// so that it counts.
pub(super) fn json_lines(path: &Path, segment: &[u8]) -> Result<Vec<u8>, LogError> {
    let scan = record::scan(segment);
    if let Some(why) = scan.torn {
        return Err(LogError::damaged(path, scan.end as usize, why));
    }
    let names: HashMap<u64, Vec<Vec<u8>>> = scan
        .columns
        .iter()
        .map(|(&fingerprint, columns)| (fingerprint, columns.iter().map(|(name, _)| prefix(name)).collect()))
        .collect();
    let mut out = Vec::with_capacity(segment.len() * 3);
    let mut end = 0;
    record::each(segment, &mut end, |payload| {
        if payload.first() == Some(&1) {
            return Ok(());
        }
        let logged = record::decode(payload, &scan.columns).ok_or("a record does not fit its columns")?;
        let names = names.get(&logged.columns).ok_or("a record's columns are not described")?;
        for row in 0..logged.rows.max(1) {
            line(&mut out, &logged, names, row);
        }
        Ok(())
    })
    .map_err(|why| LogError::damaged(path, end as usize, why))?;
    Ok(out)
}

/// `,"in_<name>":`
fn prefix(name: &str) -> Vec<u8> {
    let mut out = b",".to_vec();
    text(&mut out, &format!("in_{name}"));
    out.push(b':');
    out
}

fn line(out: &mut Vec<u8>, logged: &Logged, names: &[Vec<u8>], row: usize) {
    let Logged { request, version, status, wall_ms, project_ms, latency_us, .. } = logged;
    let part = match logged.part {
        Part::Champion => "champion",
        Part::Canary => "canary",
    };
    // Writing to a Vec cannot fail.
    let _ = write!(
        out,
        r#"{{"prediction_id":"{request}-{row}","request_id":"{request}","row":{row},"version":{version},"part":"{part}","status":{status},"wall_ms":{wall_ms},"project_ms":{project_ms},"latency_us":{latency_us}"#
    );
    if row < logged.rows {
        for (name, column) in names.iter().zip(&logged.inputs) {
            out.extend_from_slice(name);
            match column {
                Column::Number(values) => number(out, values[row]),
                Column::Text(values) => match values.get(row) {
                    Some(value) => text(out, value),
                    None => out.extend_from_slice(b"null"),
                },
            }
        }
        if let Some(scores) = &logged.scores {
            for (class, &score) in scores.row(row).iter().enumerate() {
                let _ = match scores.width {
                    1 => write!(out, r#","score":"#),
                    _ => write!(out, r#","score_{class}":"#),
                };
                number(out, score);
            }
        }
    }
    out.extend_from_slice(b"}\n");
}

/// A whole number without a point, so that every reader takes it for an integer or a float alike;
/// what JSON has no word for is null.
fn number(out: &mut Vec<u8>, value: f64) {
    let _ = if !value.is_finite() {
        write!(out, "null")
    } else if value.fract() == 0.0 && value.abs() < WHOLE_BELOW {
        write!(out, "{}", value as i64)
    } else {
        serde_json::to_writer(&mut *out, &value).map_err(Into::into)
    };
}

fn text(out: &mut Vec<u8>, value: &str) {
    let _ = serde_json::to_writer(out, value);
}
