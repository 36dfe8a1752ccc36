//! A small columnar table in memory: what trainers learn from, what models
//! answer, what metrics are computed over.

use std::collections::HashMap;
use std::sync::Arc;

/// The code of a missing value in a [`TextColumn`].
pub const MISSING: u32 = u32::MAX;

/// Whether a double holds an integer exactly.
pub fn is_exact(value: i128) -> bool {
    // The cast back saturates, and no double is `i128::MAX`.
    value as f64 as i128 == value && value != i128::MAX
}

/// The number of a text; `None` also for an integer that a double does not hold exactly.
pub fn parse_number(text: &str) -> Option<f64> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok();
    }
    text.parse().ok().filter(|value| is_exact(*value)).map(|value| value as f64)
}

/// Text values, each distinct value stored once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TextColumn {
    /// One code a row: an index into `values`, or [`MISSING`].
    pub codes: Vec<u32>,
    /// The distinct values, in order of first appearance.
    pub values: Vec<Arc<str>>,
}

impl TextColumn {
    /// Encodes `values`, one a row; `None` is missing.
    pub fn encode<'a>(values: impl IntoIterator<Item = Option<&'a str>>) -> Self {
        let mut index: HashMap<&str, u32> = HashMap::new();
        let mut column = Self::default();
        for value in values {
            let code = value.map_or(MISSING, |text| {
                *index.entry(text).or_insert_with(|| {
                    column.values.push(Arc::from(text));
                    column.values.len() as u32 - 1
                })
            });
            column.codes.push(code);
        }
        column
    }

    /// The text at `row`, `None` when missing.
    pub fn get(&self, row: usize) -> Option<&str> {
        match self.codes[row] {
            MISSING => None,
            code => Some(&self.values[code as usize]),
        }
    }
}

/// One column of a [`Frame`].
#[derive(Debug, Clone, PartialEq)]
pub enum Column {
    /// Numbers; integers, booleans (0, 1) and times (epoch seconds) too. NaN is missing.
    Number(Vec<f64>),
    /// Text.
    Text(TextColumn),
}

impl Column {
    /// The number of rows.
    pub fn len(&self) -> usize {
        match self {
            Self::Number(values) => values.len(),
            Self::Text(text) => text.codes.len(),
        }
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the value at `row` is missing.
    pub fn is_missing(&self, row: usize) -> bool {
        match self {
            Self::Number(values) => values[row].is_nan(),
            Self::Text(text) => text.codes[row] == MISSING,
        }
    }

    /// The rows at `indices`, in that order.
    #[must_use]
    pub fn take(&self, indices: &[usize]) -> Self {
        match self {
            Self::Number(values) => Self::Number(indices.iter().map(|&i| values[i]).collect()),
            Self::Text(text) => Self::Text(TextColumn {
                codes: indices.iter().map(|&i| text.codes[i]).collect(),
                values: text.values.clone(),
            }),
        }
    }
}

/// Columns of equal length, in a fixed order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Frame {
    names: Vec<String>,
    columns: Vec<Column>,
    rows: usize,
}

impl Frame {
    /// A frame without columns or rows.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a column; the first one settles the number of rows.
    ///
    /// # Panics
    /// When the length differs from the columns before it.
    pub fn push(&mut self, name: impl Into<String>, column: Column) {
        if self.columns.is_empty() {
            self.rows = column.len();
        }
        assert_eq!(column.len(), self.rows, "columns of one frame have one length");
        self.names.push(name.into());
        self.columns.push(column);
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Column names, in order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The columns, in order.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The column called `name`.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.names.iter().position(|n| n == name).map(|i| &self.columns[i])
    }

    /// The columns with their names, in order.
    pub fn into_columns(self) -> impl Iterator<Item = (String, Column)> {
        self.names.into_iter().zip(self.columns)
    }

    /// The rows at `indices`, in that order.
    #[must_use]
    pub fn take(&self, indices: &[usize]) -> Self {
        Self {
            names: self.names.clone(),
            columns: self.columns.iter().map(|column| column.take(indices)).collect(),
            rows: indices.len(),
        }
    }

    /// Only the columns called `names`, in that order; unknown names are left out.
    #[must_use]
    pub fn select<S: AsRef<str>>(&self, names: &[S]) -> Self {
        let mut frame = Self { rows: self.rows, ..Self::default() };
        for name in names {
            if let Some(column) = self.column(name.as_ref()) {
                frame.push(name.as_ref(), column.clone());
            }
        }
        frame
    }
}
