//! Validation of the training target.

use perennial_core::port::training::Target;
use perennial_core::task::TaskKind;

use crate::{CLASSES_MAX, Error};

/// The classes of a multiclass target, in the order of the scores; empty for other tasks.
pub(crate) fn classes(target: &Target) -> &[String] {
    match target {
        Target::Classes { classes, .. } => classes,
        Target::Binary(_) | Target::Numbers(_) => &[],
    }
}

/// Validates that a target matches `task`, has one value for each of `rows` rows, and is not constant.
pub(crate) fn validate(target: &Target, task: TaskKind, rows: usize) -> Result<(), Error> {
    let actual_task = match target {
        Target::Binary(_) => TaskKind::Binary,
        Target::Classes { .. } => TaskKind::Multiclass,
        Target::Numbers(_) => TaskKind::Regression,
    };
    if actual_task != task {
        return Err(Error::TargetKind {
            found: target_kind(actual_task),
            expected: target_kind(task),
            task: task.as_str(),
        });
    }
    let actual = match target {
        Target::Binary(values) | Target::Numbers(values) => values.len(),
        Target::Classes { codes, .. } => codes.len(),
    };
    if actual != rows {
        return Err(Error::TargetLength { actual, rows });
    }
    match target {
        Target::Binary(values) => {
            validate_values(values, "0 or 1", |value| value == 0.0 || value == 1.0)?;
            require_variation(values, |value| value.to_string())
        }
        Target::Numbers(values) => {
            validate_values(values, "a finite 32-bit number", |value| (value as f32).is_finite())?;
            require_variation(values, |value| value.to_string())
        }
        Target::Classes { codes, classes } => {
            if classes.len() > CLASSES_MAX {
                return Err(Error::TooMany { what: "classes", actual: classes.len(), limit: CLASSES_MAX });
            }
            validate_values(codes, "the index of a class", |code| (code as usize) < classes.len())?;
            require_variation(codes, |code| format!("`{}`", classes[code as usize]))
        }
    }
}

/// The values that a task expects of its target, for messages.
fn target_kind(task: TaskKind) -> &'static str {
    match task {
        TaskKind::Binary => "0 and 1",
        TaskKind::Multiclass => "classes",
        TaskKind::Regression => "numbers",
    }
}

fn validate_values<T: Copy + ToString>(
    values: &[T],
    expected: &'static str,
    is_valid: impl Fn(T) -> bool,
) -> Result<(), Error> {
    match values.iter().position(|&value| !is_valid(value)) {
        Some(row) => Err(Error::TargetValue { row, value: values[row].to_string(), expected }),
        None => Ok(()),
    }
}

fn require_variation<T: Copy + PartialEq>(values: &[T], format: impl Fn(T) -> String) -> Result<(), Error> {
    match values.split_first() {
        Some((&first, rest)) if rest.iter().all(|&value| value == first) => {
            Err(Error::ConstantTarget { value: format(first) })
        }
        _ => Ok(()),
    }
}
