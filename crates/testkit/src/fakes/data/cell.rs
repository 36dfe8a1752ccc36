//! One value of a row.

use std::cmp::Ordering;

use perennial_core::digest::Value;
use perennial_core::schema::TypeClass;
use serde_json::{Value as Json, json};

/// A value of one of the classes that the fake supports.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
}

impl Cell {
    /// A text field in the narrowest class; an empty field is null. Integers with leading zeros are text.
    pub(super) fn parse(text: &str) -> Self {
        let digits = text.trim_start_matches('-');
        let is_code = digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit());
        if text.is_empty() {
            Self::Null
        } else if is_code {
            Self::Text(text.to_owned())
        } else if let Ok(value) = text.parse::<i64>() {
            Self::Int(value)
        } else if let Ok(value) = text.parse::<f64>() {
            Self::Float(value)
        } else if let Ok(value) = text.parse::<bool>() {
            Self::Bool(value)
        } else {
            Self::Text(text.to_owned())
        }
    }

    /// A text field as a value of `class`; `None` when it is not one.
    pub(super) fn parse_as(text: &str, class: &TypeClass) -> Option<Self> {
        match (Self::parse(text), class) {
            (Self::Null, _) => Some(Self::Null),
            (_, TypeClass::Text) => Some(Self::Text(text.to_owned())),
            (value, class) => value.converted(class),
        }
    }

    /// The value in another class: integers are converted to floats, nothing else.
    pub(super) fn converted(self, class: &TypeClass) -> Option<Self> {
        match (self, class) {
            (Self::Int(value), TypeClass::Float) => Some(Self::Float(value as f64)),
            (value, class) => value.class().is_none_or(|own| own == *class).then_some(value),
        }
    }

    /// Its class; `None` for null.
    pub(super) fn class(&self) -> Option<TypeClass> {
        Some(match self {
            Self::Null => return None,
            Self::Bool(_) => TypeClass::Bool,
            Self::Int(_) => TypeClass::Int,
            Self::Float(_) => TypeClass::Float,
            Self::Text(_) => TypeClass::Text,
        })
    }

    /// The value for the digest of its row.
    pub(super) fn digest_value(&self) -> Value<'_> {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(*value),
            Self::Int(value) => Value::Int(i128::from(*value)),
            Self::Float(value) => Value::Float(*value),
            Self::Text(value) => Value::Text(value),
        }
    }

    /// The value in an answer to a query.
    pub(super) fn json(&self) -> Json {
        match self {
            Self::Null => Json::Null,
            Self::Bool(value) => json!(value),
            Self::Int(value) => json!(value),
            Self::Float(value) => json!(value),
            Self::Text(value) => json!(value),
        }
    }

    /// The value as a number; null and text are NaN.
    pub(super) fn number(&self) -> f64 {
        match self {
            Self::Bool(value) => f64::from(u8::from(*value)),
            Self::Int(value) => *value as f64,
            Self::Float(value) => *value,
            Self::Null | Self::Text(_) => f64::NAN,
        }
    }

    /// The value in a message or in the quarantine.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Null => String::new(),
            Self::Bool(value) => value.to_string(),
            Self::Int(value) => value.to_string(),
            Self::Float(value) => value.to_string(),
            Self::Text(value) => value.clone(),
        }
    }

    /// How two values compare; `None` when one is null or they are of different kinds.
    pub(super) fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Null, _) | (_, Self::Null) => None,
            (Self::Text(one), Self::Text(other)) => Some(one.cmp(other)),
            (Self::Text(_), _) | (_, Self::Text(_)) => None,
            (one, other) => one.number().partial_cmp(&other.number()),
        }
    }
}
