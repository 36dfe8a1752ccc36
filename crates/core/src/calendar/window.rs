//! Calendar windows.
//!
//! Windows of one length cover the time without gaps and without overlaps. One of months begins at local midnight on
//! the first of a month, one of weeks on a Monday, one of days on a multiple of its length since 1970-01-01, one of a
//! part of a day on a multiple of its length since local midnight. The last part of a day ends at midnight, so it is
//! shorter or absent on a day on which the clocks change.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use jiff::{Span, ToSpan};
use serde::{Deserialize, Serialize};

use super::{Duration, timestamp};
use crate::error::{Error, ErrorCode, Result};

const DAY_MS: i64 = 86_400_000;
const SECOND_MS: i64 = 1_000;
/// The longest window: 100 years.
const MONTHS_MAX: i64 = 1_200;
const DAYS_MAX: i64 = 36_525;
/// Weeks begin on a Monday.
const MONDAY: Date = date(1970, 1, 5);
const EPOCH: Date = date(1970, 1, 1);

/// The length of calendar windows, such as `1 month`, `2 weeks`, `6 hours`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WindowLength {
    text: String,
    unit: Unit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    /// Months since the year 0.
    Months(i64),
    /// Days since a first day.
    Days { count: i64, first: Date },
    /// Milliseconds since local midnight, a divisor of a day.
    PartOfDay(i64),
}

impl Unit {
    /// The unit of a span in a single calendar unit, or in units below a day that together divide a day.
    fn from_span(span: &Span) -> Option<Self> {
        let months = i64::from(span.get_years()) * 12 + i64::from(span.get_months());
        let (weeks, days) = (i64::from(span.get_weeks()), i64::from(span.get_days()));
        let below_day = span.years(0).months(0).weeks(0).days(0);
        match (months, weeks, days, below_day.is_zero()) {
            (1..=MONTHS_MAX, 0, 0, true) => Some(Self::Months(months)),
            (0, 1.., 0, true) if weeks <= DAYS_MAX / 7 => Some(Self::Days { count: weeks * 7, first: MONDAY }),
            (0, 0, 1..=DAYS_MAX, true) => Some(Self::Days { count: days, first: EPOCH }),
            (0, 0, 0, false) => {
                let nanoseconds = below_day.total(jiff::Unit::Nanosecond).ok()?;
                let milliseconds = (nanoseconds / 1e6) as i64;
                let is_divisor =
                    milliseconds >= SECOND_MS && DAY_MS % milliseconds == 0 && milliseconds as f64 * 1e6 == nanoseconds;
                is_divisor.then_some(Self::PartOfDay(milliseconds))
            }
            _ => None,
        }
    }
}

impl WindowLength {
    /// The length as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for WindowLength {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let duration: Duration = text.parse()?;
        let unit = Unit::from_span(&duration.span).ok_or_else(|| {
            Error::new(
                ErrorCode::InvalidArgument,
                format!(
                    "`{duration}` is not a valid window length: expected a number of years, months, weeks or days up to 100 \
                     years, or a part of a day that divides it, such as `2 days`, `12 hours`, `30 minutes`"
                ),
            )
        })?;
        Ok(Self { text: duration.text, unit })
    }
}

impl TryFrom<String> for WindowLength {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<WindowLength> for String {
    fn from(length: WindowLength) -> Self {
        length.text
    }
}

impl fmt::Display for WindowLength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A half-open interval of time, in epoch milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Window {
    /// Its first millisecond.
    pub start_ms: i64,
    /// The first millisecond after it.
    pub end_ms: i64,
}

impl Window {
    /// The calendar window of length `length` that contains `ms`.
    pub fn containing(ms: i64, length: &WindowLength, zone: &TimeZone) -> Self {
        let day = local_day(ms, zone);
        match length.unit {
            Unit::Months(count) => {
                let first = (i64::from(day.year()) * 12 + i64::from(day.month()) - 1).div_euclid(count) * count;
                Self::between(first_of_month(first), first_of_month(first + count), zone)
            }
            Unit::Days { count, first } => {
                let index = i64::from((day - first).get_days()).div_euclid(count);
                let day = |index: i64| first.checked_add((index * count).days()).ok();
                Self::between(day(index), day(index + 1), zone)
            }
            Unit::PartOfDay(length) => {
                let whole = Self::between(Some(day), day.tomorrow().ok(), zone);
                let elapsed = timestamp(ms).as_millisecond() - whole.start_ms;
                let start_ms = whole.start_ms + elapsed.div_euclid(length) * length;
                Self { start_ms, end_ms: whole.end_ms.min(start_ms + length) }
            }
        }
    }

    /// From the beginning of one day to the beginning of another; a day beyond the calendar's years means no bound.
    fn between(start: Option<Date>, end: Option<Date>, zone: &TimeZone) -> Self {
        Self {
            start_ms: start.and_then(|day| beginning(day, zone)).unwrap_or(i64::MIN / 4),
            end_ms: end.and_then(|day| beginning(day, zone)).unwrap_or(i64::MAX / 4),
        }
    }

    /// The window just before this one.
    #[must_use]
    pub fn previous(&self, length: &WindowLength, zone: &TimeZone) -> Self {
        Self::containing(self.start_ms - 1, length, zone)
    }

    /// Whether `ms` is in the window.
    pub fn contains(&self, ms: i64) -> bool {
        (self.start_ms..self.end_ms).contains(&ms)
    }
}

/// The first day of a month, counted from January of the year 0.
fn first_of_month(index: i64) -> Option<Date> {
    let year = i16::try_from(index.div_euclid(12)).ok()?;
    Date::new(year, index.rem_euclid(12) as i8 + 1, 1).ok()
}

/// The first instant of a day, in epoch milliseconds. A day that a timezone skips begins when the next one does.
fn beginning(day: Date, zone: &TimeZone) -> Option<i64> {
    day.to_zoned(zone.clone()).ok().map(|zoned| zoned.timestamp().as_millisecond())
}

/// The day that contains an instant. Where clocks are set back over midnight, the later day has begun by then.
fn local_day(ms: i64, zone: &TimeZone) -> Date {
    let mut day = timestamp(ms).to_zoned(zone.clone()).date();
    while let Ok(tomorrow) = day.tomorrow()
        && beginning(tomorrow, zone).is_some_and(|begins| begins <= ms)
    {
        day = tomorrow;
    }
    day
}
