//! Days and instants as text, in the forms that files and requests have in common.
//!
//! A time without a zone is a time of some timezone's clocks, which its context gives. A time that occurs twice there, when
//! clocks are set back, is its first occurrence, as in RFC 5545. A time that does not exist, when clocks are set forward,
//! is refused: such times say that the timezone is wrong.

use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, civil};

/// Microseconds of a day.
const DAY_US: i64 = 86_400_000_000;

/// A local time in a timezone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occurrence {
    /// Once: microseconds since 1970-01-01 UTC.
    Once(i64),
    /// Twice; the first one, microseconds since 1970-01-01 UTC.
    Twice(i64),
    /// Never.
    Never,
}

/// When the clocks of a timezone show `local_us`, microseconds since 1970-01-01 on these clocks.
pub fn occurrence(local_us: i64, zone: &TimeZone) -> Occurrence {
    if *zone == TimeZone::UTC {
        return Occurrence::Once(local_us);
    }
    let epoch = civil::date(1970, 1, 1).at(0, 0, 0, 0);
    let Ok(local) = epoch.checked_add(SignedDuration::from_micros(local_us)) else { return Occurrence::Never };
    let instant_us = |offset: jiff::tz::Offset| local_us - i64::from(offset.seconds()) * 1_000_000;
    match zone.to_ambiguous_timestamp(local).offset() {
        AmbiguousOffset::Unambiguous { offset } => Occurrence::Once(instant_us(offset)),
        AmbiguousOffset::Fold { before, .. } => Occurrence::Twice(instant_us(before)),
        AmbiguousOffset::Gap { .. } => Occurrence::Never,
    }
}

/// `YYYY-MM-DD`, as days since 1970-01-01.
pub fn parse_date(text: &str) -> Option<i32> {
    let bytes = text.trim().as_bytes();
    if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    days(digits(&bytes[..4])?, digits(&bytes[5..7])?, digits(&bytes[8..])?)
}

/// A time, in microseconds since 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Time {
    /// UTC.
    Instant(i64),
    /// By a clock of a place that the text does not name.
    Local(i64),
}

/// `YYYY-MM-DD[T ]HH:MM[:SS[.fraction]][Z|±HH[:]MM]`.
pub fn parse_time(text: &str) -> Option<Time> {
    let text = text.trim();
    let day = i64::from(parse_date(text.get(..10)?)?);
    let rest = text.get(10..)?.strip_prefix(['T', 't', ' '])?;
    let zone_at = rest.find(['Z', 'z', '+', '-']).unwrap_or(rest.len());
    let (clock, zone) = rest.split_at(zone_at);
    let local_us = day * DAY_US + clock_us(clock.trim_end())?;
    Some(if zone.is_empty() { Time::Local(local_us) } else { Time::Instant(local_us - zone_us(zone)?) })
}

fn clock_us(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    if bytes.len() < 5 || bytes[2] != b':' {
        return None;
    }
    let (hour, minute) = (digits(&bytes[..2])?, digits(&bytes[3..5])?);
    let (second, fraction) = match &bytes[5..] {
        [] => (0, 0),
        [b':', a, b] => (digits(&[*a, *b])?, 0),
        [b':', a, b, b'.', fraction @ ..] if !fraction.is_empty() => (digits(&[*a, *b])?, micros(fraction)?),
        _ => return None,
    };
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    Some(((hour * 60 + minute) * 60 + second) * 1_000_000 + fraction)
}

fn micros(fraction: &[u8]) -> Option<i64> {
    digits(fraction.get(..fraction.len().min(18))?)?;
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digit = |place: usize| i64::from(fraction.get(place).map_or(0, |b| b - b'0'));
    Some((0..6).fold(0, |value, place| value * 10 + digit(place)))
}

fn zone_us(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let (sign, rest) = match bytes {
        [b'Z' | b'z'] => return Some(0),
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = match rest {
        [a, b] => (digits(&[*a, *b])?, 0),
        [a, b, b':', c, d] | [a, b, c, d] => (digits(&[*a, *b])?, digits(&[*c, *d])?),
        _ => return None,
    };
    if hours > 23 || minutes > 59 {
        return None;
    }
    Some(sign * (hours * 60 + minutes) * 60_000_000)
}

fn digits(bytes: &[u8]) -> Option<i64> {
    bytes.iter().try_fold(0_i64, |value, byte| byte.is_ascii_digit().then(|| value * 10 + i64::from(byte - b'0')))
}

/// Days from 1970-01-01 to a day of the Gregorian calendar (Howard Hinnant's days_from_civil).
fn days(year: i64, month: i64, day: i64) -> Option<i32> {
    const LENGTHS: [i64; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let length = *LENGTHS.get(usize::try_from(month).ok()?.checked_sub(1)?)? + i64::from(leap && month == 2);
    if day < 1 || day > length {
        return None;
    }
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let year_of_era = shifted - era * 400;
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    i32::try_from(era * 146_097 + day_of_era - 719_468).ok()
}

#[cfg(test)]
mod tests;
