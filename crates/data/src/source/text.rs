//! Parses text values of each type class.

use arrow::datatypes::DataType;
use perennial_core::frame::is_exact;
use perennial_core::schema::TypeClass;
use perennial_core::time_text::parse_time;

use crate::types::class_of;

/// The expected value of a column instead of `value`, for messages: its class, with an example of times.
pub(crate) fn expected(kind: &DataType, value: &str) -> String {
    match class_of(kind) {
        Some(class @ TypeClass::Float) if is_whole(value.trim()) => {
            format!("{class}, which does not hold this integer exactly")
        }
        Some(class @ TypeClass::Timestamp) if parse_time(value).is_some() => {
            format!("{class} that exists in the timezone of the source: its clocks are set forward over this time")
        }
        Some(class @ TypeClass::Timestamp) => format!("{class}, such as 2013-01-31T17:00:00Z"),
        Some(class @ TypeClass::Date) => format!("{class}, such as 2013-01-31"),
        class => class.map_or_else(String::new, |class| class.to_string()),
    }
}

/// An integer; a fraction of zeros is allowed (`12.0`).
pub(crate) fn int(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Ok(value) = text.parse() {
        return Some(value);
    }
    let (whole, fraction) = text.split_once('.')?;
    let zeros = !fraction.is_empty() && fraction.bytes().all(|b| b == b'0');
    if zeros { whole.parse().ok() } else { None }
}

/// Whether a text is an integer of any length.
pub(crate) fn is_whole(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// A floating-point number, `NaN` and `inf` included. An integer is none unless a double holds it exactly.
pub(crate) fn float(text: &str) -> Option<f64> {
    /// Integers of so few digits are exact.
    const EXACT_DIGITS: usize = 15;
    let text = text.trim();
    let value: f64 = text.parse().ok()?;
    if text.len() > EXACT_DIGITS && is_whole(text) {
        let whole: i128 = text.parse().ok()?;
        return is_exact(whole).then_some(value);
    }
    Some(value)
}

/// `true` or `false`, in lower, upper or title case.
pub(crate) fn bool(text: &str) -> Option<bool> {
    match text.trim() {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}
