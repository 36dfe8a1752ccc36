//! Values as people read them.

use perennial_core::cause::Cause;
use serde_json::Value;

#[cfg(test)]
mod tests;

/// Characters of a value that are shown; the rest is cut off.
const VALUE_MAX: usize = 200;
/// Digits of a digest that are shown.
const SHORT: usize = 12;

/// A whole number, however it is lent by a template.
pub(crate) trait Whole {
    fn whole(&self) -> i128;
}

impl Whole for i64 {
    fn whole(&self) -> i128 {
        i128::from(*self)
    }
}

impl Whole for u64 {
    fn whole(&self) -> i128 {
        i128::from(*self)
    }
}

impl Whole for usize {
    fn whole(&self) -> i128 {
        *self as i128
    }
}

impl<T: Whole> Whole for &T {
    fn whole(&self) -> i128 {
        (**self).whole()
    }
}

/// A number, however it is lent by a template.
pub(crate) trait Real {
    fn real(&self) -> f64;
}

impl Real for f64 {
    fn real(&self) -> f64 {
        *self
    }
}

impl<T: Real> Real for &T {
    fn real(&self) -> f64 {
        (**self).real()
    }
}

impl<T: Real> Real for Option<T> {
    fn real(&self) -> f64 {
        self.as_ref().map_or(f64::NAN, Real::real)
    }
}

/// `336,776`
pub(crate) fn count(number: impl Whole) -> String {
    let number = number.whole();
    let digits = number.unsigned_abs().to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3 + 1);
    if number < 0 {
        text.push('−');
    }
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `0.7123`, `1,284.5`; a dash for what is undefined.
pub(crate) fn number(number: impl Real) -> String {
    let number = number.real();
    if !number.is_finite() {
        return "–".to_owned();
    }
    if number.fract() == 0.0 && number.abs() < 1e15 {
        return count(number as i64);
    }
    if number.abs() >= 1_000.0 && number.abs() < 1e15 {
        let tenths = (number.fract().abs() * 10.0) as u8;
        return format!("{}.{tenths}", count(number.trunc() as i64));
    }
    if number.abs() < 1e-4 || number.abs() >= 1e15 { format!("{number:.3e}") } else { format!("{number:.4}") }
}

/// `12.5 %`; a dash for what is undefined.
pub(crate) fn percent(share: impl Real) -> String {
    let share = share.real();
    if share.is_finite() { format!("{:.1} %", share * 100.0) } else { "–".to_owned() }
}

/// `1.2 ms`; a dash for what is undefined.
pub(crate) fn milliseconds(ms: impl Real) -> String {
    let ms = ms.real();
    if ms.is_finite() { format!("{ms:.2} ms") } else { "–".to_owned() }
}

/// `14.2 MB`
pub(crate) fn bytes(bytes: impl Whole) -> String {
    let mut left = bytes.whole() as f64;
    for unit in ["bytes", "kB", "MB", "GB"] {
        if left < 1_000.0 {
            return if unit == "bytes" { format!("{left:.0} {unit}") } else { format!("{left:.1} {unit}") };
        }
        left /= 1_000.0;
    }
    format!("{left:.1} TB")
}

/// `1 dataset`, `4 datasets`
pub(crate) fn counted(number: impl Whole, noun: &str) -> String {
    let plural = if number.whole() == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", count(number))
}

/// How long something between two instants took.
pub(crate) fn took(from_ms: Option<i64>, to_ms: Option<i64>) -> String {
    let (Some(from), Some(to)) = (from_ms, to_ms) else { return "–".to_owned() };
    match (to - from).max(0) {
        ms @ 0..1_000 => format!("{ms} ms"),
        ms @ 1_000..60_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        ms @ 60_000..3_600_000 => format!("{} min {} s", ms / 60_000, ms % 60_000 / 1_000),
        ms => format!("{} h {} min", ms / 3_600_000, ms % 3_600_000 / 60_000),
    }
}

/// The first digits of a digest.
pub(crate) fn short(digest: impl AsRef<str>) -> String {
    digest.as_ref().chars().take(SHORT).collect()
}

/// A name whole; of an id or digest the first digits.
pub(crate) fn named(text: impl AsRef<str>) -> String {
    let text = text.as_ref();
    let is_digest = text.len() >= 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_digest { short(text) } else { text.to_owned() }
}

/// Text, or a dash.
pub(crate) fn maybe<T: std::fmt::Display>(value: Option<&T>) -> String {
    value.map_or_else(|| "–".to_owned(), ToString::to_string)
}

/// A word of storage as people write it.
pub(crate) fn words(word: impl AsRef<str>) -> String {
    word.as_ref().replace('_', " ").to_lowercase()
}

/// A JSON value without its quotes.
pub(crate) fn value(value: &Value) -> String {
    let text = match value {
        Value::Null => "–".to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(found) if found.is_f64() => number(found.as_f64()),
        Value::Number(found) => found.as_i64().map_or_else(|| found.to_string(), count),
        Value::Array(items) => items.iter().map(self::value).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    };
    if text.chars().count() > VALUE_MAX {
        format!("{}…", text.chars().take(VALUE_MAX).collect::<String>())
    } else {
        text
    }
}

/// A cause in words: `trigger renew, because alert:delay.stale`.
pub(crate) fn cause(cause: &Cause) -> String {
    match cause {
        Cause::Person { by, .. } => format!("person {by}"),
        Cause::Trigger { trigger, event, .. } => format!("trigger {trigger}, because {event}"),
        Cause::RollbackRule { rule: Some(rule), .. } => format!("rollback rule, because {rule}"),
        Cause::Monitor { .. }
        | Cause::Declared { .. }
        | Cause::DeclarationGone {}
        | Cause::Canary { .. }
        | Cause::RollbackRule { rule: None, .. } => cause.kind().replace('_', " "),
    }
}
