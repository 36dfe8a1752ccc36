//! Values of facts, and truth in three values.

use serde_json::Value;

/// Why a value is unknown.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Unknown {
    pub(super) missing: Vec<String>,
    pub(super) reasons: Vec<String>,
}

impl Unknown {
    pub(super) fn missing(path: impl Into<String>) -> Self {
        Self { missing: vec![path.into()], reasons: Vec::new() }
    }

    pub(super) fn reason(reason: impl Into<String>) -> Self {
        Self { missing: Vec::new(), reasons: vec![reason.into()] }
    }

    pub(super) fn and(mut self, other: Self) -> Self {
        for path in other.missing {
            if !self.missing.contains(&path) {
                self.missing.push(path);
            }
        }
        for reason in other.reasons {
            if !self.reasons.contains(&reason) {
                self.reasons.push(reason);
            }
        }
        self
    }
}

/// True, false, or why it is unknown.
pub(super) type Truth = Result<bool, Unknown>;

/// False if one is false, else unknown if one is unknown.
pub(super) fn and(left: Truth, right: Truth) -> Truth {
    match (left, right) {
        (Ok(false), _) | (_, Ok(false)) => Ok(false),
        (Ok(true), Ok(true)) => Ok(true),
        (Err(unknown), Ok(true)) | (Ok(true), Err(unknown)) => Err(unknown),
        (Err(left), Err(right)) => Err(left.and(right)),
    }
}

/// True if one is true, else unknown if one is unknown.
pub(super) fn or(left: Truth, right: Truth) -> Truth {
    match and(left.map(|truth| !truth), right.map(|truth| !truth)) {
        Ok(truth) => Ok(!truth),
        Err(unknown) => Err(unknown),
    }
}

/// A value, and its path if it is a fact.
#[derive(Debug, Clone)]
pub(super) struct Known<'a> {
    pub(super) data: Data<'a>,
    pub(super) path: Option<String>,
}

/// The value itself.
#[derive(Debug, Clone)]
pub(super) enum Data<'a> {
    Number(f64),
    Bool(bool),
    Text(String),
    List(Vec<Known<'a>>),
    Map(&'a serde_json::Map<String, Value>),
}

impl<'a> Known<'a> {
    pub(super) fn new(data: Data<'a>) -> Self {
        Self { data, path: None }
    }

    /// A fact; null and numbers that are not finite doubles are absent.
    pub(super) fn fact(value: &'a Value, path: String) -> Result<Self, Unknown> {
        let data = match value {
            Value::Null => return Err(Unknown::missing(path)),
            Value::Bool(truth) => Data::Bool(*truth),
            Value::Number(number) => match number.as_f64() {
                Some(number) if number.is_finite() => Data::Number(number),
                _ => return Err(Unknown::missing(path)),
            },
            Value::String(text) => Data::Text(text.clone()),
            Value::Object(map) => Data::Map(map),
            Value::Array(elements) => Data::List(
                elements
                    .iter()
                    .enumerate()
                    .filter_map(|(place, value)| Self::fact(value, element_path(&path, place, value)).ok())
                    .collect(),
            ),
        };
        Ok(Self { data, path: Some(path) })
    }

    pub(super) fn describe(&self) -> &'static str {
        match self.data {
            Data::Number(_) => "a number",
            Data::Bool(_) => "true or false",
            Data::Text(_) => "text",
            Data::List(_) => "a list",
            Data::Map(_) => "a record",
        }
    }
}

/// The path of an element: a slice by its column and value, another element by its index.
fn element_path(list: &str, place: usize, element: &Value) -> String {
    match (element.get("column").and_then(Value::as_str), element.get("value").and_then(Value::as_str)) {
        (Some(column), Some(value)) => format!("{list}[{column}={value}]"),
        _ => format!("{list}[{place}]"),
    }
}

/// Whether two values are equal; values of different types are not.
pub(super) fn equal(left: &Data<'_>, right: &Data<'_>) -> bool {
    match (left, right) {
        (Data::Number(left), Data::Number(right)) => left == right,
        (Data::Bool(left), Data::Bool(right)) => left == right,
        (Data::Text(left), Data::Text(right)) => left == right,
        (Data::Map(left), Data::Map(right)) => left == right,
        (Data::List(left), Data::List(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| equal(&left.data, &right.data))
        }
        _ => false,
    }
}
