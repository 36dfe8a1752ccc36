//! The observed outcomes of the evaluated rows.

use std::collections::HashMap;

use perennial_core::frame::{Column, MISSING};
use perennial_core::task::TaskKind;

use crate::error::Error;

/// Observed outcomes, one value a row. Unlabelled rows, whose outcome is not
/// known yet, stay in place and are left out of every metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcomes {
    task: TaskKind,
    /// The model's classes, followed by those that occur only in outcomes.
    classes: Vec<String>,
    /// Number of leading `classes` that the model knows.
    known: usize,
    /// Binary: 0 or 1. Multiclass: an index into `classes`. Regression: the value. NaN: unlabelled.
    values: Vec<f64>,
}

impl Outcomes {
    /// Reads the target column of `task`; a missing value makes its row unlabelled.
    ///
    /// Binary accepts 0 and 1, regression any finite number. Multiclass accepts
    /// text, or numbers, which match `classes` (the model's, in the order of
    /// its scores) by numeric value; an outcome outside `classes` is kept and
    /// has probability 0.
    ///
    /// # Errors
    /// [`Error::Outcome`] with the first row that the task does not accept.
    pub fn from_column(column: &Column, task: TaskKind, classes: &[String]) -> Result<Self, Error> {
        match task {
            TaskKind::Binary => Self::numbers(column, task, "0 or 1", |value| value == 0.0 || value == 1.0),
            TaskKind::Regression => Self::numbers(column, task, "a finite number", f64::is_finite),
            TaskKind::Multiclass => Ok(Self::multiclass(column, classes)),
        }
    }

    fn numbers(column: &Column, task: TaskKind, expected: &'static str, fits: fn(f64) -> bool) -> Result<Self, Error> {
        let wrong = |row: usize, value: String| Error::Outcome { task, row, value, expected };
        let values = match column {
            Column::Number(values) => {
                if let Some(row) = values.iter().position(|&value| !value.is_nan() && !fits(value)) {
                    return Err(wrong(row, values[row].to_string()));
                }
                values.clone()
            }
            Column::Text(text) => {
                if let Some(row) = text.codes.iter().position(|&code| code != MISSING) {
                    return Err(wrong(row, text.get(row).unwrap_or_default().to_owned()));
                }
                vec![f64::NAN; text.codes.len()]
            }
        };
        Ok(Self { task, classes: Vec::new(), known: 0, values })
    }

    fn multiclass(column: &Column, known: &[String]) -> Self {
        let mut classes = Classes::new(known);
        let values = match column {
            Column::Text(text) => {
                let codes: Vec<Option<f64>> = vec![None; text.values.len()];
                let mut codes = codes;
                text.codes
                    .iter()
                    .map(|&code| match code {
                        MISSING => f64::NAN,
                        code => *codes[code as usize].get_or_insert_with(|| classes.code(&text.values[code as usize])),
                    })
                    .collect()
            }
            Column::Number(values) => {
                let mut codes: HashMap<u64, f64> = HashMap::new();
                values
                    .iter()
                    .map(|&value| match value {
                        value if value.is_nan() => f64::NAN,
                        // Adding zero maps -0 to the same class as 0.
                        value => {
                            *codes.entry((value + 0.0).to_bits()).or_insert_with(|| classes.code_of_number(value + 0.0))
                        }
                    })
                    .collect()
            }
        };
        Self { task: TaskKind::Multiclass, classes: classes.names, known: known.len(), values }
    }

    /// The task of these outcomes.
    pub fn task(&self) -> TaskKind {
        self.task
    }

    /// Number of rows, labelled and unlabelled.
    pub fn rows(&self) -> usize {
        self.values.len()
    }

    /// Number of labelled rows.
    pub fn labelled(&self) -> usize {
        self.values.iter().filter(|value| !value.is_nan()).count()
    }

    /// Whether `row` is labelled.
    pub fn is_labelled(&self, row: usize) -> bool {
        !self.values[row].is_nan()
    }

    /// Classes of a multiclass task: the model's in the order of its scores,
    /// then those that occur only in outcomes. Empty for other tasks.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// Number of scores a row that a model for these outcomes returns.
    pub(crate) fn width(&self) -> usize {
        if self.task == TaskKind::Multiclass { self.known } else { 1 }
    }

    /// The outcome of `row`; NaN when unlabelled.
    pub(crate) fn value(&self, row: usize) -> f64 {
        self.values[row]
    }

    /// The class index of a labelled row of a multiclass task.
    pub(crate) fn class(&self, row: usize) -> usize {
        self.values[row] as usize
    }

    /// Whether a labelled row of a binary task is positive.
    pub(crate) fn is_positive(&self, row: usize) -> bool {
        self.values[row] == 1.0
    }
}

struct Classes {
    names: Vec<String>,
    index: HashMap<String, usize>,
}

impl Classes {
    fn new(known: &[String]) -> Self {
        let index = known.iter().enumerate().map(|(code, name)| (name.clone(), code)).collect();
        Self { names: known.to_vec(), index }
    }

    fn code(&mut self, name: &str) -> f64 {
        if let Some(&code) = self.index.get(name) {
            return code as f64;
        }
        self.names.push(name.to_owned());
        self.index.insert(name.to_owned(), self.names.len() - 1);
        (self.names.len() - 1) as f64
    }

    /// The code of the class whose name has this numeric value: `2`, `2.0` and `2e0` are one class.
    fn code_of_number(&mut self, value: f64) -> f64 {
        let same = self.names.iter().position(|name| name.parse::<f64>() == Ok(value));
        same.map_or_else(|| self.code(&value.to_string()), |code| code as f64)
    }
}
