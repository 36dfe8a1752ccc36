//! Times without a zone: local times of a timezone that the source or the project declares.
//! Times that occur twice are counted for a warning of the load, and times that do not exist are refused
//! ([`perennial_core::time_text`]).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::tz::TimeZone;
use perennial_core::calendar::timezone;
use perennial_core::port::data::LocalTime;
use perennial_core::time_text::{Occurrence, Time, occurrence};

use crate::error::{Error, Result};

/// The timezone of a source's local times, and how many there were.
#[derive(Debug)]
pub(crate) struct LocalTimes {
    zone: TimeZone,
    declared: LocalTime,
    columns: Mutex<BTreeMap<String, Arc<Counts>>>,
}

#[derive(Debug, Default)]
struct Counts {
    /// Times without a zone.
    local: AtomicU64,
    /// Those that occur twice.
    ambiguous: AtomicU64,
}

/// The local times of one column.
#[derive(Debug, Clone)]
pub(crate) struct ColumnZone {
    zone: TimeZone,
    counts: Arc<Counts>,
}

impl LocalTimes {
    pub(crate) fn new(declared: LocalTime) -> Result<Arc<Self>> {
        let zone = timezone(&declared.timezone).map_err(|cause| Error::Argument(cause.message().to_owned()))?;
        Ok(Arc::new(Self { zone, declared, columns: Mutex::default() }))
    }

    /// The local times of a column; those of a column in several files are counted together.
    pub(crate) fn column(&self, name: &str) -> ColumnZone {
        let mut columns = self.columns.lock().unwrap_or_else(PoisonError::into_inner);
        ColumnZone { zone: self.zone.clone(), counts: Arc::clone(columns.entry(name.to_owned()).or_default()) }
    }

    /// Warnings about the local times that were read: a timezone that the source does not declare itself, and times that
    /// occur twice.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let columns = self.columns.lock().unwrap_or_else(PoisonError::into_inner);
        let LocalTime { timezone, is_declared } = &self.declared;
        let mut warnings = Vec::new();
        for (name, counts) in columns.iter() {
            let (local, ambiguous) = (counts.local.load(Ordering::Relaxed), counts.ambiguous.load(Ordering::Relaxed));
            if local > 0 && !is_declared {
                warnings.push(format!(
                    "column `{name}` has times without a zone, read as times of {timezone}: write `timezone = \"{timezone}\"` at the source, or the right one"
                ));
            }
            if ambiguous > 0 {
                warnings.push(format!(
                    "column `{name}` has {ambiguous} times that occur twice in {timezone}, when clocks are set back: the first is taken"
                ));
            }
        }
        warnings
    }
}

impl ColumnZone {
    /// Microseconds since 1970-01-01 UTC; `None` for a local time that does not exist.
    pub(crate) fn instant_us(&self, time: Time) -> Option<i64> {
        match time {
            Time::Instant(us) => Some(us),
            Time::Local(us) => {
                self.counts.local.fetch_add(1, Ordering::Relaxed);
                match occurrence(us, &self.zone) {
                    Occurrence::Once(us) => Some(us),
                    Occurrence::Twice(us) => {
                        self.counts.ambiguous.fetch_add(1, Ordering::Relaxed);
                        Some(us)
                    }
                    Occurrence::Never => None,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
