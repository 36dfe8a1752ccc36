//! The classes of a classifier.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

#[cfg(test)]
mod tests;

/// The type of the classes, that of the outcomes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClassKind {
    /// Texts.
    #[default]
    Text,
    /// Integers.
    Integer,
    /// Numbers, some of them not whole.
    Number,
}

impl ClassKind {
    /// The type of `classes`, of which each is written as a text. They are numbers only if the outcomes are.
    pub fn of(classes: &[String], are_outcomes_numbers: bool) -> Self {
        if !are_outcomes_numbers || classes.is_empty() || classes.iter().any(|class| number(class).is_none()) {
            Self::Text
        } else if classes.iter().all(|class| integer(class).is_some()) {
            Self::Integer
        } else {
            Self::Number
        }
    }

    /// Whether the classes are texts.
    pub fn is_text(&self) -> bool {
        *self == Self::Text
    }
}

/// The integer that a class names, such as `7` or `7.0`.
pub fn integer(class: &str) -> Option<i64> {
    let whole = class.strip_suffix(".0").unwrap_or(class);
    whole.parse().ok()
}

fn number(class: &str) -> Option<f64> {
    class.parse().ok().filter(|value: &f64| value.is_finite())
}

/// The natural order of classes: numbers by value, before texts; digits within texts by value, too.
pub fn compare(a: &str, b: &str) -> Ordering {
    let order = match (number(a), number(b)) {
        (Some(a), Some(b)) => a.total_cmp(&b),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => compare_texts(a, b),
    };
    order.then_with(|| a.cmp(b))
}

fn compare_texts(mut a: &str, mut b: &str) -> Ordering {
    loop {
        let (digits_a, digits_b) = (leading_digits(a), leading_digits(b));
        if !digits_a.is_empty() && !digits_b.is_empty() {
            let value = |digits: &str| digits.trim_start_matches('0').to_owned();
            let (value_a, value_b) = (value(digits_a), value(digits_b));
            let order = value_a.len().cmp(&value_b.len()).then_with(|| value_a.cmp(&value_b));
            if order.is_ne() {
                return order;
            }
            (a, b) = (&a[digits_a.len()..], &b[digits_b.len()..]);
            continue;
        }
        let (mut chars_a, mut chars_b) = (a.chars(), b.chars());
        match (chars_a.next(), chars_b.next()) {
            (Some(first), Some(second)) if first == second => (a, b) = (chars_a.as_str(), chars_b.as_str()),
            (first, second) => return first.cmp(&second),
        }
    }
}

fn leading_digits(text: &str) -> &str {
    let end = text.find(|char: char| !char.is_ascii_digit()).unwrap_or(text.len());
    &text[..end]
}

/// Which of a binary model's two classes is the outcome 1; `None` when they are not named like outcomes: 0 and 1, -1 and
/// 1, false and true, no and yes.
pub fn positive(labels: &[String]) -> Option<usize> {
    let [first, second] = labels else { return None };
    match (outcome(first)?, outcome(second)?) {
        (false, true) => Some(1),
        (true, false) => Some(0),
        _ => None,
    }
}

/// Whether a class of a binary model is the outcome 1; `None` when it is neither.
fn outcome(label: &str) -> Option<bool> {
    match number(label) {
        Some(1.0) => Some(true),
        Some(0.0 | -1.0) => Some(false),
        Some(_) => None,
        None if label.eq_ignore_ascii_case("true") || label.eq_ignore_ascii_case("yes") => Some(true),
        None if label.eq_ignore_ascii_case("false") || label.eq_ignore_ascii_case("no") => Some(false),
        None => None,
    }
}
