//! What is to be learnt, one value a row.

use perennial_core::task::TaskKind;

use crate::{CLASSES_MAX, Error};

/// What is to be learnt, one value a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// 0 or 1, for [`TaskKind::Binary`].
    Binary(Vec<f64>),
    /// One of several classes, for [`TaskKind::Multiclass`].
    Classes {
        /// A position in `classes` a row.
        codes: Vec<u32>,
        /// The classes, in the order of the scores. One that no row has is allowed.
        classes: Vec<String>,
    },
    /// Finite numbers, for [`TaskKind::Regression`].
    Numbers(Vec<f64>),
}

impl Target {
    /// The classes of the signature; none unless multiclass.
    pub(crate) fn classes(&self) -> &[String] {
        match self {
            Self::Classes { classes, .. } => classes,
            Self::Binary(_) | Self::Numbers(_) => &[],
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Binary(values) | Self::Numbers(values) => values.len(),
            Self::Classes { codes, .. } => codes.len(),
        }
    }

    fn kind(&self) -> (TaskKind, &'static str) {
        match self {
            Self::Binary(_) => (TaskKind::Binary, "0 and 1"),
            Self::Classes { .. } => (TaskKind::Multiclass, "classes"),
            Self::Numbers(_) => (TaskKind::Regression, "numbers"),
        }
    }

    /// Whether it fits the task and there is something to learn.
    pub(crate) fn check(&self, task: TaskKind, rows: usize) -> Result<(), Error> {
        let (kind, found) = self.kind();
        if kind != task {
            let expected = match task {
                TaskKind::Binary => "0 and 1",
                TaskKind::Multiclass => "classes",
                TaskKind::Regression => "numbers",
            };
            return Err(Error::TargetKind { found, expected, task: task.as_str() });
        }
        if self.len() != rows {
            return Err(Error::TargetLength { actual: self.len(), rows });
        }
        match self {
            Self::Binary(values) => {
                refuse(values, "0 or 1", |value| value == 0.0 || value == 1.0)?;
                varies(values, |value| value.to_string())
            }
            Self::Numbers(values) => {
                refuse(values, "a finite 32-bit number", |value| (value as f32).is_finite())?;
                varies(values, |value| value.to_string())
            }
            Self::Classes { codes, classes } => {
                if classes.len() > CLASSES_MAX {
                    return Err(Error::TooMany { what: "classes", actual: classes.len(), limit: CLASSES_MAX });
                }
                refuse(codes, "the position of a class", |code| (code as usize) < classes.len())?;
                varies(codes, |code| format!("`{}`", classes[code as usize]))
            }
        }
    }
}

fn refuse<T: Copy + ToString>(values: &[T], expected: &'static str, good: impl Fn(T) -> bool) -> Result<(), Error> {
    match values.iter().position(|&value| !good(value)) {
        Some(row) => Err(Error::TargetValue { row, value: values[row].to_string(), expected }),
        None => Ok(()),
    }
}

fn varies<T: Copy + PartialEq>(values: &[T], show: impl Fn(T) -> String) -> Result<(), Error> {
    match values.split_first() {
        Some((&first, rest)) if rest.iter().all(|&value| value == first) => {
            Err(Error::ConstantTarget { value: show(first) })
        }
        _ => Ok(()),
    }
}
