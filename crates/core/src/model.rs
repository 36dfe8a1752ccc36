//! Models as the platform sees them: a signature and numbers.

pub mod classes;

use std::fmt;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, civil};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::frame::Frame;
use crate::schema::TypeClass;
use crate::task::TaskKind;
use crate::time_text::{Occurrence, Time, occurrence, parse_date, parse_time};
use classes::ClassKind;

/// Microseconds of a day.
const DAY_US: i64 = 86_400_000_000;

/// How an input column is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputKind {
    /// A number; integers and booleans are taken too.
    Number,
    /// Text.
    Text,
}

impl fmt::Display for InputKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Number => "number",
            Self::Text => "text",
        })
    }
}

/// What a number stands for when it is a time. A request may have it as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputTime {
    /// A calendar day: epoch seconds of its beginning in UTC, or text such as `2013-01-31`.
    Date,
    /// An instant: epoch seconds, or text such as `2013-01-31T17:00:00Z`.
    Timestamp,
}

impl InputTime {
    /// What a column of this class stands for, if it is a time.
    pub fn of(class: &TypeClass) -> Option<Self> {
        match class {
            TypeClass::Date => Some(Self::Date),
            TypeClass::Timestamp => Some(Self::Timestamp),
            _ => None,
        }
    }

    /// The number that a model receives for a text: epoch seconds. A time without a zone is one of `zone`. `None` for a text
    /// that is not a time, and for a local time that does not exist.
    pub fn parse(self, text: &str, zone: &TimeZone) -> Option<f64> {
        self.parse_us(text, zone).map(|us| us as f64 / 1e6)
    }

    /// Microseconds since 1970-01-01 UTC.
    fn parse_us(self, text: &str, zone: &TimeZone) -> Option<i64> {
        match self {
            Self::Date => parse_date(text).map(|days| i64::from(days) * DAY_US),
            Self::Timestamp => match parse_time(text)? {
                Time::Instant(us) => Some(us),
                Time::Local(us) => match occurrence(us, zone) {
                    Occurrence::Once(us) | Occurrence::Twice(us) => Some(us),
                    Occurrence::Never => None,
                },
            },
        }
    }

    /// The one text that all ways to write a time have in common: `2013-01-31`, or the instant in UTC as in RFC 3339. Accepts
    /// what [`InputTime::parse`] accepts, and epoch seconds from 1973 on: fewer digits may be a date, such as `20130131`.
    /// `None` for any other text.
    pub fn canonical(self, text: &str, zone: &TimeZone) -> Option<String> {
        const SECONDS_MIN: f64 = 1e8;
        match self.parse_us(text, zone) {
            Some(us) => self.text_of(us),
            None => {
                let seconds = text.trim().parse::<f64>().ok().filter(|seconds| *seconds >= SECONDS_MIN)?;
                self.text_of_seconds(seconds)
            }
        }
    }

    /// The text of epoch seconds, as [`InputTime::canonical`] writes it.
    pub fn text_of_seconds(self, seconds: f64) -> Option<String> {
        let us = (seconds * 1e6).round();
        // Instants of the calendar's years are far below the range of 64 bits.
        if us.abs() < i64::MAX as f64 { self.text_of(us as i64) } else { None }
    }

    fn text_of(self, us: i64) -> Option<String> {
        match self {
            Self::Date => {
                let days = SignedDuration::from_hours(us.div_euclid(DAY_US) * 24);
                civil::date(1970, 1, 1).checked_add(days).ok().map(|day| day.to_string())
            }
            Self::Timestamp => Timestamp::from_microsecond(us).ok().map(|at| at.to_string()),
        }
    }

    /// A text of this kind, for messages and metadata.
    pub fn example(self) -> &'static str {
        match self {
            Self::Date => "2013-01-31",
            Self::Timestamp => "2013-01-31T17:00:00Z",
        }
    }
}

/// One input column of a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// The column's name, as in the training data.
    pub name: String,
    /// How it is read.
    pub kind: InputKind,
    /// What the number stands for, if it is a time in the training data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<InputTime>,
}

/// The inputs and scores of a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// The features, in the order the model was trained with.
    pub inputs: Vec<Input>,
    /// The task.
    pub task: TaskKind,
    /// The classes in the order of the scores; empty unless multiclass.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<String>,
    /// The type of the classes.
    #[serde(default, skip_serializing_if = "ClassKind::is_text")]
    pub class_kind: ClassKind,
}

impl Signature {
    /// Declares the inputs that stand for times, given the classes of their columns.
    pub fn declare_times(&mut self, class: impl Fn(&str) -> Option<TypeClass>) {
        for input in self.inputs.iter_mut().filter(|input| input.kind == InputKind::Number) {
            input.time = class(&input.name).as_ref().and_then(InputTime::of);
        }
    }

    /// Scores a row has: one a class for multiclass, else one.
    pub fn width(&self) -> usize {
        match self.task {
            TaskKind::Multiclass => self.classes.len(),
            TaskKind::Binary | TaskKind::Regression => 1,
        }
    }
}

/// Scores, `rows × width` in row-major order.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    /// Scores a row; see [`Signature::width`].
    pub width: usize,
    /// The values. Binary: probability of yes. Multiclass: probabilities in the
    /// order of [`Signature::classes`]. Regression: the number itself.
    pub values: Vec<f64>,
}

impl Scores {
    /// The scores of one row.
    pub fn row(&self, row: usize) -> &[f64] {
        &self.values[row * self.width..(row + 1) * self.width]
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.values.len().checked_div(self.width).unwrap_or(0)
    }
}

/// A model that computes in this process. Many threads may call it concurrently.
pub trait Predictor: Send + Sync {
    /// Its inputs and scores.
    fn signature(&self) -> &Signature;

    /// Scores each row on the calling thread, unless that takes too long for it. `frame` has at least the signature's
    /// inputs, by name.
    fn predict(&self, frame: &Frame) -> Result<Scores, PredictError>;
}

/// Why a model computed no scores.
#[derive(Debug, thiserror::Error)]
pub enum PredictError {
    /// The model does not take a value of the request: the error is the client's.
    #[error("{0}")]
    Input(String),
    /// The model itself failed.
    #[error("{0}")]
    Model(String),
    /// The prediction takes more than the calling thread may compute: the model computes it elsewhere, see
    /// [`LoadedModel::predict`](crate::port::model::LoadedModel::predict).
    #[error("{0}")]
    Budget(String),
    /// The runtime did not complete the prediction: its process is busy, was killed, or was stopped at a limit. The error
    /// says whether a retry may succeed.
    #[error("{0}")]
    Runtime(Error),
}

#[cfg(test)]
mod tests;
