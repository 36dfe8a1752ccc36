//! Instants, durations and windows by the calendar of a project's timezone.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorCode, Result};

pub use window::{Window, WindowLength};

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
                format!(
                    "`{}` is not a duration: expected for example `1 month`, `45 days`, `90 s`",
                    text.escape_debug()
                ),
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
            format!("`{}` is not a timezone: expected an IANA name such as `Europe/Zurich`", name.escape_debug()),
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
                    "`{}` is not an instant: expected for example `2013-07-01` or `2013-07-01T12:00:00Z`",
                    text.escape_debug()
                ),
            )
        })
}

#[cfg(test)]
mod tests;
mod window;
