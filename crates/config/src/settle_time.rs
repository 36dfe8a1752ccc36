//! How long a file must be unchanged before it is loaded.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

/// A time from zero to a day, written as `2 s` or `1 min`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SettleTime(Duration);

/// The longest settle time.
const MAX: Duration = Duration::from_secs(24 * 60 * 60);

impl SettleTime {
    /// The time of a source that declares none.
    pub const DEFAULT: Self = Self(Duration::from_secs(2));

    /// Whole milliseconds.
    pub fn as_millis(self) -> i64 {
        self.0.as_millis() as i64
    }
}

/// A text that is not a settle time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a time up to one day, expected for example `2 s`, `1 min` or `0 s`")]
pub struct SettleTimeError(String);

impl FromStr for SettleTime {
    type Err = SettleTimeError;

    fn from_str(text: &str) -> Result<Self, SettleTimeError> {
        let parsed = text.trim().parse::<SignedDuration>().ok().and_then(|time| Duration::try_from(time).ok());
        parsed.filter(|time| *time <= MAX).map(Self).ok_or_else(|| SettleTimeError(text.escape_debug().to_string()))
    }
}

impl fmt::Display for SettleTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.as_secs(), self.0.subsec_millis()) {
            (seconds, 0) => write!(f, "{seconds} s"),
            _ => write!(f, "{} ms", self.0.as_millis()),
        }
    }
}

impl Serialize for SettleTime {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SettleTime {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
