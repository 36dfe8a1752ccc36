//! How the result of a function grows: its size, and the steps to make it, from the arguments.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{
    DataType, Date32Type, IntervalMonthDayNanoType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};

use super::measure::Arguments;

/// How the result of a function grows with its arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Growth {
    /// The arguments one after the other.
    Joined,
    /// The arguments after the first, with the first between them.
    JoinedBySeparator,
    /// The first argument as often as the second says.
    Repeated,
    /// The first argument with as many characters as the second says.
    Padded,
    /// The first argument with the third in place of each occurrence of the second.
    Replaced,
    /// The first argument with the third in place of each match of a regular expression.
    ReplacedMatches,
    /// A part of the first argument for each group of a regular expression.
    Groups,
    /// A time in the format of the second argument.
    Formatted,
    /// A list of the first argument, as often as the second says.
    RepeatedElement,
    /// The list with as many elements as the second argument says, new ones being the third.
    ResizedList,
    /// The list with the third argument in place of elements.
    ReplacedElements,
    /// The elements of a list as text, with the second argument between them and the third for null.
    JoinedElements,
    /// Lists beside each other, each as long as the longest.
    ZippedLists,
    /// A list of the numbers or times from one argument to another.
    Series,
    /// A number that takes a step for each character of the first argument with each of the second.
    CharacterPairs,
    /// A number that takes a step for each byte of the first argument with each of the second.
    Searched,
    /// A truth value that takes a step for each element of the first argument with each of the second.
    ElementPairs,
}

/// The longest text of one specifier of two bytes in the format of a time (`%+`).
const SPECIFIER_BYTES: u64 = 40;
/// The greatest size of a number as text, and of an element without value in a list.
const ELEMENT_BYTES: u64 = 32;

impl Growth {
    /// The greatest size of the result in a row, in bytes.
    pub(super) fn bytes(self, arguments: &Arguments, row: usize) -> u64 {
        let bytes = |argument| arguments.bytes(argument, row);
        let times = |argument| arguments.integer(argument, row).map_or(0, |count| count.max(0) as u64);
        match self {
            Self::Joined => arguments.all_bytes(row),
            Self::JoinedBySeparator => {
                let separators = arguments.count().saturating_sub(2) as u64;
                arguments.all_bytes(row).saturating_add(separators.saturating_mul(bytes(0)))
            }
            Self::Repeated => bytes(0).saturating_mul(times(1)),
            // A character has at most 4 bytes.
            Self::Padded => times(1).saturating_mul(4).max(bytes(0)),
            Self::Replaced => {
                let text = bytes(0);
                let occurrences = text / bytes(1).max(1) + 1;
                text.saturating_add(occurrences.saturating_mul(bytes(2)))
            }
            Self::ReplacedMatches => {
                // Each match, at most one before each byte, gets the replacement. Each `\1` in it repeats a part of the
                // match; the matches together are at most the text.
                let (text, replacement) = (bytes(0), bytes(2));
                let references = replacement / 2 + 1;
                text.saturating_mul(references).saturating_add((text + 1).saturating_mul(replacement))
            }
            Self::Groups => bytes(0).saturating_mul(bytes(1).saturating_add(1)),
            Self::Formatted => bytes(1).max(1).saturating_mul(SPECIFIER_BYTES / 2),
            Self::RepeatedElement => (bytes(0) + 8).saturating_mul(times(1)),
            Self::ResizedList => {
                bytes(0).saturating_add(times(1).saturating_mul(bytes(2).saturating_add(ELEMENT_BYTES)))
            }
            Self::ReplacedElements => {
                bytes(0).saturating_add(arguments.elements(0, row).saturating_mul(bytes(2).saturating_add(8)))
            }
            Self::JoinedElements => {
                let between = bytes(1).saturating_add(bytes(2)).saturating_add(ELEMENT_BYTES);
                bytes(0).saturating_add(arguments.leaves(0, row).saturating_mul(between))
            }
            Self::ZippedLists => {
                let lists = arguments.count();
                let longest = (0..lists).map(|list| arguments.elements(list, row)).max().unwrap_or_default();
                let padding = longest.saturating_mul(ELEMENT_BYTES).saturating_mul(lists as u64);
                arguments.all_bytes(row).saturating_add(padding)
            }
            Self::Series => series(arguments, row).saturating_mul(8),
            Self::CharacterPairs | Self::Searched | Self::ElementPairs => 8,
        }
    }

    /// The steps that the result of a row takes, beyond those in proportion to its size and the arguments.
    pub(super) fn steps(self, arguments: &Arguments, row: usize) -> u64 {
        match self {
            Self::CharacterPairs | Self::Searched => arguments.bytes(0, row).saturating_mul(arguments.bytes(1, row)),
            Self::ElementPairs => arguments.elements(0, row).saturating_mul(arguments.elements(1, row)),
            _ => 0,
        }
    }
}

/// The number of values of a series in a row; as many as possible where it cannot be computed.
fn series(arguments: &Arguments, row: usize) -> u64 {
    let (start, stop, step) = match arguments.count() {
        0 => return 0,
        1 => (Some(0), instant(arguments, 0, row), Some(1)),
        2 => (instant(arguments, 0, row), instant(arguments, 1, row), Some(1)),
        _ => (instant(arguments, 0, row), instant(arguments, 1, row), step(arguments, row)),
    };
    // Null makes a null.
    let (Some(start), Some(stop), Some(step)) = (start, stop, step) else { return 0 };
    // A step of zero is refused by the function.
    let Some(step) = std::num::NonZeroU128::new(step.unsigned_abs()) else { return 0 };
    u64::try_from(start.abs_diff(stop) / step.get() + 1).unwrap_or(u64::MAX)
}

const DAY_NS: i128 = 86_400_000_000_000;

/// A number as it is, a time in nanoseconds; `None` for null.
fn instant(arguments: &Arguments, argument: usize, row: usize) -> Option<i128> {
    let (array, row) = arguments.value(argument, row)?;
    if array.is_null(row) {
        return None;
    }
    match array.data_type() {
        DataType::Date32 => Some(i128::from(array.as_primitive::<Date32Type>().value(row)) * DAY_NS),
        DataType::Timestamp(unit, _) => Some(match unit {
            TimeUnit::Second => i128::from(array.as_primitive::<TimestampSecondType>().value(row)) * 1_000_000_000,
            TimeUnit::Millisecond => {
                i128::from(array.as_primitive::<TimestampMillisecondType>().value(row)) * 1_000_000
            }
            TimeUnit::Microsecond => i128::from(array.as_primitive::<TimestampMicrosecondType>().value(row)) * 1_000,
            TimeUnit::Nanosecond => i128::from(array.as_primitive::<TimestampNanosecondType>().value(row)),
        }),
        DataType::Date64 => arguments.integer(argument, row).map(|ms| i128::from(ms) * 1_000_000),
        _ => arguments.integer(argument, row).map(i128::from),
    }
}

/// The step of a series: a number, or the shortest time that an interval can have, in nanoseconds.
fn step(arguments: &Arguments, row: usize) -> Option<i128> {
    let (array, index) = arguments.value(2, row)?;
    if array.is_null(index) {
        return None;
    }
    let Some(intervals) = array.as_primitive_opt::<IntervalMonthDayNanoType>() else {
        return instant(arguments, 2, row);
    };
    let interval = intervals.value(index);
    let (months, days, time) =
        (i128::from(interval.months), i128::from(interval.days), i128::from(interval.nanoseconds));
    let signs = [months, days, time].map(i128::signum);
    if signs.contains(&1) && signs.contains(&-1) {
        // A month minus 30 days may be no time at all.
        return Some(1);
    }
    let has_time = matches!(arguments.value(0, row)?.0.data_type(), DataType::Timestamp(..));
    Some((months * 28 + days) * DAY_NS + if has_time { time } else { 0 })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, TimestampMicrosecondArray};
    use datafusion::common::ScalarValue;
    use datafusion::logical_expr::ColumnarValue;

    use super::*;

    fn scalar(value: impl Into<ScalarValue>) -> ColumnarValue {
        ColumnarValue::Scalar(value.into())
    }

    #[test]
    fn results_are_at_most_as_large_as_computed() {
        let days = ScalarValue::new_interval_mdn(0, 1, 0);
        let nothing = ScalarValue::new_interval_mdn(1, -30, 0);
        let from = ScalarValue::TimestampMicrosecond(Some(0), None);
        let to: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![86_400_000_000 * 9]));
        for (growth, arguments, expected) in [
            (Growth::Repeated, vec![scalar("ab"), scalar(1_000_i64)], 2_000),
            (Growth::Repeated, vec![scalar("ab"), scalar(-1_i64)], 0),
            (Growth::Repeated, vec![scalar("ab"), scalar(i64::MAX)], u64::MAX - 1),
            (Growth::Padded, vec![scalar("ab"), scalar(1_000_i64)], 4_000),
            (Growth::Replaced, vec![scalar("aaaa"), scalar("a"), scalar("bcd")], 4 + 5 * 3),
            (Growth::Series, vec![scalar(10_i64)], 88),
            (Growth::Series, vec![scalar(0_i64), scalar(-9_i64), scalar(-3_i64)], 32),
            (Growth::Series, vec![scalar(i64::MIN), scalar(i64::MAX)], u64::MAX),
            (Growth::Series, vec![scalar(0_i64), scalar(9_i64), scalar(0_i64)], 0),
            (Growth::Series, vec![scalar(from.clone()), ColumnarValue::Array(Arc::clone(&to)), scalar(days)], 80),
            (
                Growth::Series,
                vec![scalar(from), ColumnarValue::Array(to), scalar(nothing)],
                (DAY_NS as u64 * 9 + 1) * 8,
            ),
        ] {
            let text = format!("{growth:?} {arguments:?}");
            assert_eq!(growth.bytes(&Arguments::new(&arguments).unwrap(), 0), expected, "{text}");
        }
    }

    #[test]
    fn steps_are_products() {
        let column: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
        let arguments = Arguments::new(&[scalar("ab"), scalar("abc"), ColumnarValue::Array(column)]).unwrap();
        assert_eq!(Growth::CharacterPairs.steps(&arguments, 1), 2 * 3);
        assert_eq!(Growth::Joined.steps(&arguments, 1), 0);
    }
}
