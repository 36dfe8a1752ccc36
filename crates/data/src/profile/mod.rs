//! Column profiles: mergeable sketches, computed batch by batch.

mod distinct;
mod quantiles;
mod top;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::{Field, Schema as ArrowSchema};
use perennial_core::port::data::ColumnProfile;
use serde_json::Value as Json;

use crate::digest::Cells;
use crate::error::Result;
use crate::types::class_of;
use distinct::Distinct;
use quantiles::Quantiles;
use top::Top;

/// The quantiles of a profile.
const QUANTILES: [f64; 5] = [0.05, 0.25, 0.5, 0.75, 0.95];

/// The sketches of all columns.
#[derive(Debug, Clone)]
pub(crate) struct Profile {
    columns: Vec<ColumnSketch>,
}

impl Profile {
    /// An empty profile of the columns of `schema`.
    pub(crate) fn new(schema: &ArrowSchema) -> Self {
        Self { columns: schema.fields().iter().map(|field| ColumnSketch::new(field)).collect() }
    }

    /// The profile of one batch.
    pub(crate) fn of(batch: &RecordBatch) -> Result<Self> {
        let mut profile = Self::new(batch.schema_ref());
        for (sketch, column) in profile.columns.iter_mut().zip(batch.columns()) {
            sketch.observe(column.as_ref())?;
        }
        Ok(profile)
    }

    /// Adds the profile of further rows of the same schema.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (sketch, other) in self.columns.iter_mut().zip(&other.columns) {
            sketch.merge(other);
        }
    }

    /// The profiles of the columns.
    pub(crate) fn finish(self) -> Vec<ColumnProfile> {
        self.columns.into_iter().map(ColumnSketch::finish).collect()
    }
}

/// The sketch of one column.
#[derive(Debug, Clone)]
struct ColumnSketch {
    name: String,
    class: String,
    rows: u64,
    nulls: u64,
    distinct: Distinct,
    range: Range,
    moments: Option<Moments>,
    quantiles: Quantiles,
    top: Option<Top>,
}

/// The smallest and greatest value, in the column's type.
#[derive(Debug, Clone, Default)]
enum Range {
    #[default]
    None,
    Bool(bool, bool),
    Int(i64, i64),
    Float(f64, f64),
    Decimal(i128, i128, i8),
    Text(String, String),
    Date(i32, i32),
    Timestamp(i64, i64),
}

/// Count, mean and sum of squared deviations (Chan, Golub and LeVeque's pairwise update).
#[derive(Debug, Clone, Copy, Default)]
struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    fn of(values: &[f64]) -> Self {
        let count = values.len() as f64;
        if values.is_empty() {
            return Self::default();
        }
        let mean = values.iter().sum::<f64>() / count;
        let squares = values.iter().map(|value| (value - mean) * (value - mean)).sum();
        Self { count, mean, squares }
    }

    fn merge(&mut self, other: &Self) {
        let count = self.count + other.count;
        if other.count == 0.0 {
            return;
        }
        let delta = other.mean - self.mean;
        self.mean += delta * other.count / count;
        self.squares += other.squares + delta * delta * self.count * other.count / count;
        self.count = count;
    }
}

impl ColumnSketch {
    fn new(field: &Field) -> Self {
        Self {
            name: field.name().clone(),
            class: class_of(field.data_type()).map_or_else(String::new, |class| class.to_string()),
            rows: 0,
            nulls: 0,
            distinct: Distinct::new(),
            range: Range::None,
            moments: None,
            quantiles: Quantiles::new(),
            top: None,
        }
    }

    fn observe(&mut self, column: &dyn Array) -> Result<()> {
        self.rows += column.len() as u64;
        self.nulls += column.null_count() as u64;
        match Cells::of(column)? {
            Cells::Int(array) => {
                let mut numbers = Vec::with_capacity(array.len());
                for value in array.iter().flatten() {
                    self.distinct.observe_u64(value.cast_unsigned());
                    numbers.push(value as f64);
                }
                if let (Some(low), Some(high)) = (arrow::compute::min(array), arrow::compute::max(array)) {
                    self.range = Range::Int(low, high);
                }
                self.numbers(numbers);
            }
            Cells::Float(array) => {
                let mut numbers = Vec::with_capacity(array.len());
                for value in array.iter().flatten() {
                    if value.is_nan() {
                        self.nulls += 1;
                    } else {
                        self.distinct.observe_u64((value + 0.0).to_bits());
                        numbers.push(value);
                    }
                }
                let low = numbers.iter().copied().fold(f64::INFINITY, f64::min);
                let high = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                if !numbers.is_empty() {
                    self.range = Range::Float(low, high);
                }
                self.numbers(numbers);
            }
            Cells::Decimal(array) => {
                let scale = array.scale();
                let unit = 10_f64.powi(i32::from(scale));
                let values: Vec<i128> = array.iter().flatten().collect();
                for value in &values {
                    self.distinct.observe(&value.to_le_bytes());
                }
                if let (Some(low), Some(high)) = (values.iter().min(), values.iter().max()) {
                    self.range = Range::Decimal(*low, *high, scale);
                }
                self.numbers(values.into_iter().map(|value| value as f64 / unit).collect());
            }
            Cells::Text(array) => {
                let mut top = Top::new();
                for value in array.iter().flatten() {
                    self.distinct.observe(value.as_bytes());
                    top.observe(value);
                }
                self.top = Some(top);
                if let (Some(low), Some(high)) = (arrow::compute::min_string(array), arrow::compute::max_string(array))
                {
                    self.range = Range::Text(low.to_owned(), high.to_owned());
                }
            }
            Cells::Bool(array) => {
                let mut top = Top::new();
                for value in array.iter().flatten() {
                    self.distinct.observe_u64(u64::from(value));
                    top.observe(if value { "true" } else { "false" });
                }
                self.top = Some(top);
                if let (Some(low), Some(high)) =
                    (arrow::compute::min_boolean(array), arrow::compute::max_boolean(array))
                {
                    self.range = Range::Bool(low, high);
                }
            }
            Cells::Date(array) => {
                array.iter().flatten().for_each(|value| self.distinct.observe_u64(value as u64));
                if let (Some(low), Some(high)) = (arrow::compute::min(array), arrow::compute::max(array)) {
                    self.range = Range::Date(low, high);
                }
            }
            Cells::Timestamp(array) => {
                array.iter().flatten().for_each(|value| self.distinct.observe_u64(value.cast_unsigned()));
                if let (Some(low), Some(high)) = (arrow::compute::min(array), arrow::compute::max(array)) {
                    self.range = Range::Timestamp(low, high);
                }
            }
            Cells::Bytes(array) => array.iter().flatten().for_each(|value| self.distinct.observe(value)),
            Cells::List(_) | Cells::Struct(_) => {}
        }
        Ok(())
    }

    fn numbers(&mut self, numbers: Vec<f64>) {
        self.moments = Some(Moments::of(&numbers));
        self.quantiles.observe(numbers);
    }

    fn merge(&mut self, other: &Self) {
        self.rows += other.rows;
        self.nulls += other.nulls;
        self.distinct.merge(&other.distinct);
        self.range = std::mem::take(&mut self.range).merge(&other.range);
        match (&mut self.moments, &other.moments) {
            (Some(own), Some(other)) => own.merge(other),
            (own @ None, Some(other)) => *own = Some(*other),
            (_, None) => {}
        }
        self.quantiles.merge(&other.quantiles);
        match (&mut self.top, &other.top) {
            (Some(own), Some(other)) => own.merge(other),
            (own @ None, Some(other)) => *own = Some(other.clone()),
            (_, None) => {}
        }
    }

    fn finish(self) -> ColumnProfile {
        let (min, max) = self.range.finish();
        let moments = self.moments.filter(|moments| moments.count > 0.0);
        // The sample standard deviation is undefined for one value.
        let deviation = moments.filter(|moments| moments.count > 1.0).map(|m| (m.squares / (m.count - 1.0)).sqrt());
        ColumnProfile {
            name: self.name,
            class: self.class,
            rows: self.rows,
            nulls: self.nulls,
            distinct: self.distinct.estimate().min(self.rows - self.nulls),
            min,
            max,
            mean: moments.map(|moments| moments.mean).filter(|mean| mean.is_finite()),
            deviation: deviation.filter(|deviation| deviation.is_finite()),
            quantiles: self.quantiles.at(QUANTILES),
            top: self.top.map(Top::finish).unwrap_or_default(),
        }
    }
}

impl Range {
    fn merge(self, other: &Self) -> Self {
        match (self, other) {
            (Self::None, other) => other.clone(),
            (Self::Bool(a, b), Self::Bool(c, d)) => Self::Bool(a & c, b | d),
            (Self::Int(a, b), Self::Int(c, d)) => Self::Int(a.min(*c), b.max(*d)),
            (Self::Float(a, b), Self::Float(c, d)) => Self::Float(a.min(*c), b.max(*d)),
            (Self::Decimal(a, b, scale), Self::Decimal(c, d, _)) => Self::Decimal(a.min(*c), b.max(*d), scale),
            (Self::Text(a, b), Self::Text(c, d)) => {
                Self::Text(if *c < a { c.clone() } else { a }, if *d > b { d.clone() } else { b })
            }
            (Self::Date(a, b), Self::Date(c, d)) => Self::Date(a.min(*c), b.max(*d)),
            (Self::Timestamp(a, b), Self::Timestamp(c, d)) => Self::Timestamp(a.min(*c), b.max(*d)),
            (own, _) => own,
        }
    }

    fn finish(self) -> (Option<Json>, Option<Json>) {
        let float = |value: f64| serde_json::Number::from_f64(value).map(Json::Number);
        match self {
            Self::None => (None, None),
            Self::Bool(low, high) => (Some(low.into()), Some(high.into())),
            Self::Int(low, high) => (Some(low.into()), Some(high.into())),
            Self::Float(low, high) => (float(low), float(high)),
            Self::Decimal(low, high, scale) => {
                let text = |value| Json::String(decimal_text(value, scale));
                (Some(text(low)), Some(text(high)))
            }
            Self::Text(low, high) => (Some(low.into()), Some(high.into())),
            Self::Date(low, high) => {
                (Some(crate::sql::date_text(low).into()), Some(crate::sql::date_text(high).into()))
            }
            Self::Timestamp(low, high) => {
                (Some(crate::sql::timestamp_text(low).into()), Some(crate::sql::timestamp_text(high).into()))
            }
        }
    }
}

fn decimal_text(value: i128, scale: i8) -> String {
    let scale = usize::try_from(scale).unwrap_or(0);
    let digits = format!("{:0>width$}", value.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let sign = if value < 0 { "-" } else { "" };
    if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

#[cfg(test)]
mod tests;
