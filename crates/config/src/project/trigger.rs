//! Triggers, their events and schedules.

use std::fmt;
use std::str::FromStr;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use perennial_core::name::{DatasetName, MonitorName};

use crate::file::Start;

/// Events that start the pipeline, and whether it ends with a release.
#[derive(Debug, Clone, PartialEq)]
pub struct Trigger {
    /// The events; each one starts the pipeline.
    pub on: Vec<Event>,
    /// What is started.
    pub run: Start,
}

/// An event that a trigger waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// An alert fired.
    Alert {
        /// The monitor.
        monitor: MonitorName,
        /// The alert's name.
        alert: String,
    },
    /// A dataset got a new version.
    Dataset(DatasetName),
    /// The clock reached a time.
    Schedule(Schedule),
}

/// Formats the event as in the project file.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Alert { monitor, alert } => write!(f, "alert:{monitor}.{alert}"),
            Self::Dataset(dataset) => write!(f, "dataset:{dataset}"),
            Self::Schedule(schedule) => write!(f, "schedule:{schedule}"),
        }
    }
}

/// A cron expression: minute, hour, day of month, month, day of week.
#[derive(Debug, Clone)]
pub struct Schedule {
    text: String,
    cron: Box<Cron>,
}

impl Schedule {
    /// The expression as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The first scheduled time after `ms` (epoch milliseconds) in the timezone `zone`; `None` if there is none.
    pub fn next_after(&self, ms: i64, zone: &TimeZone) -> Option<i64> {
        let start = Timestamp::from_millisecond(ms).ok()?.to_zoned(zone.clone());
        let next = self.cron.find_next_occurrence(&start, false).ok()?;
        Some(next.timestamp().as_millisecond())
    }

    /// The last scheduled time at or before `ms`.
    pub fn last_until(&self, ms: i64, zone: &TimeZone) -> Option<i64> {
        let end = Timestamp::from_millisecond(ms).ok()?.to_zoned(zone.clone());
        let last = self.cron.find_previous_occurrence(&end, true).ok()?;
        Some(last.timestamp().as_millisecond())
    }
}

impl FromStr for Schedule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron = parser.parse(text).map_err(|cause| {
            let cause = cause.to_string();
            format!("`{text}` is not a cron expression: {}", cause.trim_end_matches('.').to_lowercase())
        })?;
        Ok(Self { text: text.to_owned(), cron: Box::new(cron) })
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for Schedule {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Schedule {}
