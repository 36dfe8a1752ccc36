//! The split into training and test rows, shared by all stages.
//!
//! Test is the newest calendar window of length `[task] test` that is over and at
//! least 95 % labelled, or older than `[task] label_delay`; training is every labelled
//! row before it. Later rows are in neither, rows without outcome in none.

use jiff::tz::TimeZone;
use perennial_core::calendar::{Duration, Window, WindowLength, local};
use perennial_core::{Error, ErrorCode, Result};
use serde::{Deserialize, Serialize};

/// The share of a window's rows that must have an outcome.
pub const LABELLED_SHARE: f64 = 0.95;

/// The rows that the split is decided over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rows<'a> {
    /// When each row happened, epoch milliseconds; `None` where unknown.
    pub times: &'a [Option<i64>],
    /// Whether each row has an outcome.
    pub labelled: &'a [bool],
}

/// The rules of the split.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules<'a> {
    /// Length of the test window.
    pub test: &'a WindowLength,
    /// Outcomes that come later than this are not waited for.
    pub label_delay: Option<&'a Duration>,
    /// The project's timezone.
    pub zone: &'a TimeZone,
    /// Now, on the project clock.
    pub now_ms: i64,
}

/// The decided split.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Split {
    /// The test window.
    pub test: Window,
    /// Labelled rows before it.
    pub train_rows: u64,
    /// Labelled rows in it.
    pub test_rows: u64,
    /// Share of its rows that have an outcome.
    pub labelled_share: f64,
}

impl Split {
    /// Whether a labelled row at `time_ms` is a training row.
    pub fn is_training(&self, time_ms: i64) -> bool {
        time_ms < self.test.start_ms
    }

    /// Whether a labelled row at `time_ms` is a test row.
    pub fn is_test(&self, time_ms: i64) -> bool {
        self.test.contains(time_ms)
    }
}

/// Decides the split.
pub(crate) fn split(rows: Rows<'_>, rules: Rules<'_>) -> Result<Split> {
    let mut known: Vec<(i64, bool)> =
        rows.times.iter().zip(rows.labelled).filter_map(|(time, labelled)| Some(((*time)?, *labelled))).collect();
    known.sort_unstable();
    let Some(&(last, _)) = known.last() else {
        return Err(Error::new(
            ErrorCode::Evidence,
            "there is no row with a time: nothing can be split into training and test",
        ));
    };
    let mut window = Window::containing(rules.now_ms.min(last), rules.test, rules.zone);
    loop {
        let earlier = &known[..known.partition_point(|(time, _)| *time < window.start_ms)];
        let inside = &known[earlier.len()..known.partition_point(|(time, _)| *time < window.end_ms)];
        if window.end_ms <= rules.now_ms {
            let labelled = count_labelled(inside);
            let share = if inside.is_empty() { 0.0 } else { labelled as f64 / inside.len() as f64 };
            let is_old = rules.label_delay.is_some_and(|delay| delay.after(window.end_ms, rules.zone) <= rules.now_ms);
            if labelled > 0 && (share >= LABELLED_SHARE || is_old) {
                return decided(window, count_labelled(earlier), labelled, share, rules);
            }
        }
        // Windows without rows are skipped.
        let Some(&(latest, _)) = earlier.last() else { break };
        window = Window::containing(latest, rules.test, rules.zone);
    }
    Err(Error::new(
        ErrorCode::Evidence,
        format!("no window of {} is over and at least {} % labelled yet", rules.test, LABELLED_SHARE * 100.0),
    )
    .with_hint("wait for outcomes, or set `[task] label_delay` to stop waiting for late ones"))
}

fn count_labelled(rows: &[(i64, bool)]) -> u64 {
    rows.iter().filter(|(_, is_labelled)| *is_labelled).count() as u64
}

fn decided(window: Window, train_rows: u64, test_rows: u64, labelled_share: f64, rules: Rules<'_>) -> Result<Split> {
    if train_rows == 0 {
        return Err(Error::new(
            ErrorCode::Evidence,
            format!(
                "the only labelled window begins {}: there is nothing earlier to train on",
                local(window.start_ms, rules.zone)
            ),
        )
        .with_hint("wait for another window, or shorten `[task] test`"));
    }
    Ok(Split { test: window, train_rows, test_rows, labelled_share })
}

#[cfg(test)]
mod tests;
