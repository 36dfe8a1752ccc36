//! The published types of facts.

use std::collections::BTreeMap;
use std::fmt;

/// The type of a fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FactType {
    /// A double.
    Number,
    /// True or false.
    Bool,
    /// Text.
    Text,
    /// A list of one type.
    List(Box<FactType>),
    /// Named fields.
    Record(Record),
    /// A map of numbers whose keys are not known in advance.
    Numbers,
}

/// Named fields.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    fields: BTreeMap<String, FactField>,
    /// The present name of each field that had another one in an earlier version, by that name.
    renamed: BTreeMap<&'static str, &'static str>,
}

/// One field of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FactField {
    /// The type of its value.
    pub value: FactType,
    /// Whether it may be absent; an expression that needs it is then unknown.
    pub is_optional: bool,
    /// Its meaning, for people.
    pub meaning: String,
}

impl Record {
    /// A record without fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a field that is always present.
    #[must_use]
    pub fn with(self, name: &str, value: FactType, meaning: &str) -> Self {
        self.add(name, value, false, meaning)
    }

    /// Adds a field that may be absent.
    #[must_use]
    pub fn maybe(self, name: &str, value: FactType, meaning: &str) -> Self {
        self.add(name, value, true, meaning)
    }

    fn add(mut self, name: &str, value: FactType, is_optional: bool, meaning: &str) -> Self {
        self.fields.insert(name.to_owned(), FactField { value, is_optional, meaning: meaning.to_owned() });
        self
    }

    /// Records that the field `new` had the name `old` in an earlier version.
    #[must_use]
    pub fn renamed(mut self, old: &'static str, new: &'static str) -> Self {
        self.renamed.insert(old, new);
        self
    }

    /// The present name of the field that was called `old` in an earlier version.
    pub fn new_name(&self, old: &str) -> Option<&'static str> {
        self.renamed.get(old).copied()
    }

    /// The field called `name`.
    pub fn field(&self, name: &str) -> Option<&FactField> {
        self.fields.get(name)
    }

    /// Names and fields, ordered by name.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &FactField)> {
        self.fields.iter().map(|(name, field)| (name.as_str(), field))
    }
}

impl From<Record> for FactType {
    fn from(record: Record) -> Self {
        Self::Record(record)
    }
}

impl FactType {
    /// A list of this type.
    #[must_use]
    pub fn list(self) -> Self {
        Self::List(Box::new(self))
    }
}

/// As people read it: `a number`, `a list of records`.
impl fmt::Display for FactType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number => f.write_str("a number"),
            Self::Bool => f.write_str("true or false"),
            Self::Text => f.write_str("text"),
            Self::List(_) => f.write_str("a list"),
            Self::Record(_) => f.write_str("a record"),
            Self::Numbers => f.write_str("a map of numbers"),
        }
    }
}

/// The facts one kind of expression may name.
///
/// Made by [`FactSchema::gate`], [`FactSchema::alert`] and [`FactSchema::rollback`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FactSchema {
    /// Which expressions these are: `gate`, `alert`, `rollback rule`.
    pub noun: &'static str,
    /// The facts by name.
    pub facts: Record,
}

impl FactSchema {
    /// Every fact as path, type and meaning, ordered by path; the reference page lists them.
    /// Elements of lists have the path `path[]`, entries of maps `path.<name>`.
    pub fn describe(&self) -> Vec<(String, String, String)> {
        let mut rows = Vec::new();
        list(&self.facts, "", &mut rows);
        rows
    }
}

fn list(record: &Record, prefix: &str, rows: &mut Vec<(String, String, String)>) {
    for (name, field) in record.fields() {
        let path = format!("{prefix}{name}");
        let optional = if field.is_optional { ", may be absent" } else { "" };
        rows.push((path.clone(), format!("{}{optional}", field.value), field.meaning.clone()));
        match &field.value {
            FactType::Record(inner) => list(inner, &format!("{path}."), rows),
            FactType::List(element) => {
                if let FactType::Record(inner) = element.as_ref() {
                    list(inner, &format!("{path}[]."), rows);
                }
            }
            FactType::Numbers => rows.push((format!("{path}.<name>"), FactType::Number.to_string(), String::new())),
            FactType::Number | FactType::Bool | FactType::Text => {}
        }
    }
}
