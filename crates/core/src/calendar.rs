//! Calendar windows in a project's timezone, and human durations.
//!
//! Windows tumble by the calendar: a window of `1 month` begins at local
//! midnight on the first of a month, one of `1 week` on a Monday, one of days,
//! hours, minutes or seconds on a multiple of its length since 1970-01-01 local.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, DateTime, date};
use jiff::tz::TimeZone;
use jiff::{Span, SpanRelativeTo, Timestamp, ToSpan, Unit};
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorCode, Result};

/// A calendar duration such as `1 month`, `45 days`, `90 s`.
#[derive(Debug, Clone)]
pub struct Duration {
    text: String,
    span: Span,
}

impl Duration {
    /// The duration as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The instant this long after `ms`, by the calendar of `zone`.
    pub fn after(&self, ms: i64, zone: &TimeZone) -> i64 {
        add(ms, self.span, zone)
    }

    /// The instant this long before `ms`, by the calendar of `zone`.
    pub fn before(&self, ms: i64, zone: &TimeZone) -> i64 {
        add(ms, self.span.negate(), zone)
    }

    /// The instant `times` × this after `ms`; a factor such as 1.1 is taken of the length at `ms`.
    pub fn scaled_after(&self, ms: i64, times: f64, zone: &TimeZone) -> i64 {
        ms + ((self.after(ms, zone) - ms) as f64 * times) as i64
    }
}

impl PartialEq for Duration {
    fn eq(&self, other: &Self) -> bool {
        self.span.fieldwise() == other.span.fieldwise()
    }
}

impl FromStr for Duration {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let span: Span = text.trim().parse().map_err(|cause: jiff::Error| {
            Error::new(
                ErrorCode::InvalidArgument,
                format!("`{}` is no duration: expected such as `1 month`, `45 days`, `90 s`", text.escape_debug()),
            )
            .with_source(cause)
        })?;
        if span.is_zero() || span.is_negative() {
            return Err(Error::new(
                ErrorCode::InvalidArgument,
                format!("the duration `{}` must be longer than zero", text.escape_debug()),
            ));
        }
        Ok(Self { text: text.trim().to_owned(), span })
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Duration {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

fn add(ms: i64, span: Span, zone: &TimeZone) -> i64 {
    let moved = timestamp(ms).to_zoned(zone.clone()).checked_add(span);
    moved.map_or(if span.is_negative() { i64::MIN / 4 } else { i64::MAX / 4 }, |zoned| {
        zoned.timestamp().as_millisecond()
    })
}

/// Epoch milliseconds as an instant; beyond the calendar's years, its nearest end.
fn timestamp(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(if ms < 0 { Timestamp::MIN } else { Timestamp::MAX })
}

/// Finds a timezone by its IANA name.
pub fn timezone(name: &str) -> Result<TimeZone> {
    TimeZone::get(name).map_err(|cause| {
        Error::new(
            ErrorCode::InvalidArgument,
            format!("`{}` is no timezone: expected an IANA name such as `Europe/Zurich`", name.escape_debug()),
        )
        .with_source(cause)
    })
}

/// Writes an instant as RFC 3339 in UTC, to the millisecond.
pub fn rfc3339(ms: i64) -> String {
    format!("{:.3}", timestamp(ms))
}

/// Writes an instant as a local day and minute of `zone`.
pub fn local(ms: i64, zone: &TimeZone) -> String {
    timestamp(ms).to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string()
}

/// Reads RFC 3339, or a local day or day and time of `zone`, as epoch milliseconds.
pub fn parse_instant(text: &str, zone: &TimeZone) -> Result<i64> {
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Ok(instant.as_millisecond());
    }
    let civil = text.parse::<DateTime>().or_else(|_| text.parse::<Date>().map(|day| day.at(0, 0, 0, 0)));
    civil
        .ok()
        .and_then(|civil| civil.to_zoned(zone.clone()).ok())
        .map(|zoned| zoned.timestamp().as_millisecond())
        .ok_or_else(|| {
            Error::new(
                ErrorCode::InvalidArgument,
                format!(
                    "`{}` is no instant: expected such as `2013-07-01` or `2013-07-01T12:00:00Z`",
                    text.escape_debug()
                ),
            )
        })
}

/// A half-open stretch of time, epoch milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Window {
    /// Its first millisecond.
    pub start_ms: i64,
    /// The first millisecond after it.
    pub end_ms: i64,
}

impl Window {
    /// The calendar window of length `length` that holds `ms`.
    pub fn containing(ms: i64, length: &Duration, zone: &TimeZone) -> Self {
        let local = timestamp(ms).to_zoned(zone.clone()).datetime();
        let start = floor(local, &length.span);
        let start_ms = instant(start, zone);
        Self { start_ms, end_ms: instant_after(start, length, zone) }
    }

    /// The window just before this one.
    #[must_use]
    pub fn previous(&self, length: &Duration, zone: &TimeZone) -> Self {
        Self::containing(self.start_ms - 1, length, zone)
    }

    /// Whether `ms` lies in it.
    pub fn contains(&self, ms: i64) -> bool {
        (self.start_ms..self.end_ms).contains(&ms)
    }
}

fn instant(civil: DateTime, zone: &TimeZone) -> i64 {
    civil.to_zoned(zone.clone()).map_or(i64::MAX / 4, |zoned| zoned.timestamp().as_millisecond())
}

fn instant_after(start: DateTime, length: &Duration, zone: &TimeZone) -> i64 {
    start.checked_add(length.span).map_or(i64::MAX / 4, |end| instant(end, zone))
}

fn floor(local: DateTime, length: &Span) -> DateTime {
    let day = local.date();
    let months = i64::from(length.get_years()) * 12 + i64::from(length.get_months());
    if months > 0 {
        let index = (i64::from(day.year()) * 12 + i64::from(day.month()) - 1).div_euclid(months) * months;
        return date(index.div_euclid(12) as i16, (index.rem_euclid(12) + 1) as i8, 1).at(0, 0, 0, 0);
    }
    let days = i64::from(length.get_weeks()) * 7 + i64::from(length.get_days());
    if days > 0 {
        // 1970-01-05 was a Monday: weeks begin there, and so do multiples of days.
        let monday = if length.get_weeks() > 0 { date(1970, 1, 5) } else { date(1970, 1, 1) };
        let since = (day - monday).get_days();
        let floored = i64::from(since).div_euclid(days) * days;
        return monday.checked_add(floored.days()).unwrap_or(day).at(0, 0, 0, 0);
    }
    let seconds = length.total((Unit::Second, SpanRelativeTo::days_are_24_hours())).unwrap_or(1.0).max(1.0) as i64;
    let midnight = day.at(0, 0, 0, 0);
    let into = i64::from(local.hour()) * 3600 + i64::from(local.minute()) * 60 + i64::from(local.second());
    midnight.checked_add((into.div_euclid(seconds) * seconds).seconds()).unwrap_or(midnight)
}

#[cfg(test)]
mod tests;
