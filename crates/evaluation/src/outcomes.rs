//! What came true, row by row.

use std::collections::HashMap;

use perennial_core::frame::{Column, MISSING};
use perennial_core::task::TaskKind;

use crate::error::Error;

/// What came true, one value a row; rows whose outcome is not known yet are
/// kept and left out of every measure.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcomes {
    task: TaskKind,
    /// The model's classes, then those that only outcomes have.
    classes: Vec<String>,
    /// How many of `classes` the model knows.
    known: usize,
    /// Binary: 0 or 1. Multiclass: an index into `classes`. Regression: the number. NaN: not known.
    values: Vec<f64>,
}

impl Outcomes {
    /// Reads the outcome column of `task`; missing values are outcomes not known yet.
    ///
    /// Binary takes 0 and 1, regression any finite number. Multiclass takes
    /// text, or numbers that are compared with `classes` (the model's, in the
    /// order of its scores) as numbers; an outcome the model has no class for is kept as one the
    /// model gives probability 0.
    pub fn read(column: &Column, task: TaskKind, classes: &[String]) -> Result<Self, Error> {
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
                        // Adding zero makes -0 the same class as 0.
                        value => {
                            *codes.entry((value + 0.0).to_bits()).or_insert_with(|| classes.code_of_number(value + 0.0))
                        }
                    })
                    .collect()
            }
        };
        Self { task: TaskKind::Multiclass, classes: classes.names, known: known.len(), values }
    }

    /// The task they belong to.
    pub fn task(&self) -> TaskKind {
        self.task
    }

    /// All rows, labelled or not.
    pub fn rows(&self) -> usize {
        self.values.len()
    }

    /// Rows whose outcome is known.
    pub fn labelled(&self) -> usize {
        self.values.iter().filter(|value| !value.is_nan()).count()
    }

    /// Whether the outcome of `row` is known.
    pub fn is_labelled(&self, row: usize) -> bool {
        !self.values[row].is_nan()
    }

    /// Classes of a multiclass task: the model's in the order of its scores,
    /// then those that only outcomes have. Else empty.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// Scores a row that a model of these outcomes has.
    pub(crate) fn width(&self) -> usize {
        if self.task == TaskKind::Multiclass { self.known } else { 1 }
    }

    /// The outcome of `row`; NaN when not known.
    pub(crate) fn value(&self, row: usize) -> f64 {
        self.values[row]
    }

    /// The outcome's class of a labelled row of a multiclass task.
    pub(crate) fn class(&self, row: usize) -> usize {
        self.values[row] as usize
    }

    /// Whether the outcome of a labelled row of a binary task is yes.
    pub(crate) fn is_yes(&self, row: usize) -> bool {
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

    /// `2`, `2.0` and `2e0` are names of one class.
    fn code_of_number(&mut self, value: f64) -> f64 {
        let same = self.names.iter().position(|name| name.parse::<f64>() == Ok(value));
        same.map_or_else(|| self.code(&value.to_string()), |code| code as f64)
    }
}
