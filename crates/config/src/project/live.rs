//! Endpoints, monitors and triggers.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use croner::Cron;
use croner::parser::CronParser;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use perennial_core::calendar::Duration;
use perennial_core::name::{DatasetName, EndpointName, MonitorName};
use perennial_core::port::prediction::Durability;
use perennial_core::rule::Expression;
use serde_json::{Value, json};

use crate::file::Start;
use crate::size::Size;

/// An address at which the champion answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Endpoint {
    /// How a new version is tried; absent: the alias moves at once.
    pub canary: Option<Canary>,
    /// How durable a logged prediction is when its answer goes out.
    pub log: Durability,
    /// The largest request taken.
    pub max_body: Size,
}

impl Endpoint {
    /// What it declares, in a form that stays the same: releases are known by it.
    pub fn canonical(&self) -> Value {
        let canary = self.canary.as_ref().map(|canary| {
            json!({
                "share": canary.share, "for": canary.lasting, "min_requests": canary.min_requests,
                "rollback": canary.rollback.as_ref().map(Expression::text),
            })
        });
        json!({ "canary": canary, "log": self.log, "max_body": self.max_body.bytes() })
    }
}

/// How a new version is tried.
#[derive(Debug, Clone, PartialEq)]
pub struct Canary {
    /// Share of the requests it answers, above 0 and below 1.
    pub share: f64,
    /// How long it is tried at least, on the project clock.
    pub lasting: Duration,
    /// Requests it must have answered.
    pub min_requests: u64,
    /// When it is taken back.
    pub rollback: Option<Expression>,
}

/// What is watched of an endpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct Monitor {
    /// The endpoint.
    pub endpoint: EndpointName,
    /// Length of the calendar windows.
    pub window: Duration,
    /// What raises an alert, by name.
    pub alerts: BTreeMap<String, Expression>,
    /// Labelled rows from which on a window is judged.
    pub min_rows: u64,
}

/// What starts the pipeline by itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Trigger {
    /// The events, any of which starts it.
    pub on: Vec<Event>,
    /// What is started.
    pub run: Start,
}

/// Something that happens.
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

/// As it is written in the project file.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Alert { monitor, alert } => write!(f, "alert:{monitor}.{alert}"),
            Self::Dataset(dataset) => write!(f, "dataset:{dataset}"),
            Self::Schedule(schedule) => write!(f, "schedule:{schedule}"),
        }
    }
}

/// Times by a cron expression: minute, hour, day of month, month, day of week.
#[derive(Debug, Clone)]
pub struct Schedule {
    text: String,
    cron: Box<Cron>,
}

impl Schedule {
    /// The expression as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The first time after `ms` (epoch milliseconds) on the clocks of `zone`; `None` if there is none in reach.
    pub fn next_after(&self, ms: i64, zone: &TimeZone) -> Option<i64> {
        let start = Timestamp::from_millisecond(ms).ok()?.to_zoned(zone.clone());
        let next = self.cron.find_next_occurrence(&start, false).ok()?;
        Some(next.timestamp().as_millisecond())
    }

    /// The last time up to `ms`, itself included.
    pub fn last_until(&self, ms: i64, zone: &TimeZone) -> Option<i64> {
        let end = Timestamp::from_millisecond(ms).ok()?.to_zoned(zone.clone());
        let last = self.cron.find_previous_occurrence(&end, true).ok()?;
        Some(last.timestamp().as_millisecond())
    }
}

impl FromStr for Schedule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let cron = CronParser::new().parse(text).map_err(|cause| {
            let cause = cause.to_string();
            format!("`{text}` is no cron expression: {}", cause.trim_end_matches('.').to_lowercase())
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
