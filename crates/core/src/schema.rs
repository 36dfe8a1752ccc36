//! The logical schema of a dataset: names, type classes, nullability. Physical
//! types stay inside the data engine.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The deepest nesting of lists and structs in a column. A deeper schema could not be read back from its JSON, whose
/// parser accepts 128 levels: a struct takes three.
pub const DEPTH_MAX: usize = 32;
/// The most columns of a dataset, the fields of structs among them.
pub const FIELDS_MAX: usize = 4096;

/// The class of a column's values: all that the digest, checks and signatures see of a type.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TypeClass {
    /// True or false.
    Bool,
    /// A whole number.
    Int,
    /// A floating-point number.
    Float,
    /// An exact decimal number.
    Decimal,
    /// UTF-8 text.
    Text,
    /// Bytes.
    Bytes,
    /// A calendar day.
    Date,
    /// A time of day.
    Time,
    /// An instant.
    Timestamp,
    /// A list of one element class.
    List(Box<TypeClass>),
    /// Named fields.
    Struct(Vec<Field>),
}

impl TypeClass {
    /// The levels of lists and structs; none for a scalar.
    fn depth(&self) -> usize {
        match self {
            Self::List(element) => 1 + element.depth(),
            Self::Struct(fields) => 1 + fields.iter().map(|field| field.class.depth()).max().unwrap_or(0),
            _ => 0,
        }
    }

    /// The number of fields in its structs.
    fn fields(&self) -> usize {
        match self {
            Self::List(element) => element.fields(),
            Self::Struct(fields) => fields.iter().map(|field| 1 + field.class.fields()).sum(),
            _ => 0,
        }
    }
}

impl fmt::Display for TypeClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool => f.write_str("bool"),
            Self::Int => f.write_str("int"),
            Self::Float => f.write_str("float"),
            Self::Decimal => f.write_str("decimal"),
            Self::Text => f.write_str("text"),
            Self::Bytes => f.write_str("bytes"),
            Self::Date => f.write_str("date"),
            Self::Time => f.write_str("time"),
            Self::Timestamp => f.write_str("timestamp"),
            Self::List(element) => write!(f, "list<{element}>"),
            Self::Struct(fields) => {
                f.write_str("struct<")?;
                for (index, field) in fields.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(f, "{comma}{}: {}", field.name, field.class)?;
                }
                f.write_str(">")
            }
        }
    }
}

/// One column.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// The class of its values.
    pub class: TypeClass,
    /// Whether null is allowed.
    pub nullable: bool,
}

/// The columns of a dataset, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Schema {
    /// The columns.
    pub fields: Vec<Field>,
}

/// One difference between a dataset's schema and that of arriving rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SchemaChange {
    /// A column the dataset does not have; passes when nullable.
    Added(Field),
    /// A column the arriving rows lack.
    Missing(Field),
    /// A column whose class differs: (dataset's, arriving).
    Retyped(Field, Field),
}

impl SchemaChange {
    /// Whether the change passes without being declared.
    pub fn is_allowed(&self) -> bool {
        matches!(self, Self::Added(field) if field.nullable)
    }
}

impl fmt::Display for SchemaChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added(field) => write!(f, "column `{}` ({}) is new", field.name, field.class),
            Self::Missing(field) => write!(f, "column `{}` ({}) is missing", field.name, field.class),
            Self::Retyped(old, new) => {
                write!(f, "column `{}` is {}, was {}", old.name, new.class, old.class)
            }
        }
    }
}

/// A schema that is deeper or wider than a dataset may have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaTooLarge {
    /// A column is nested too deeply.
    #[error("column `{0}` is nested more than {DEPTH_MAX} deep")]
    Deep(String),
    /// There are too many columns.
    #[error("{0} columns and fields of structs, expected at most {FIELDS_MAX}")]
    Wide(usize),
}

impl Schema {
    /// Returns an error unless the schema is small enough to be stored and read back. Everything that brings rows into a
    /// dataset calls this.
    pub fn validate_size(&self) -> Result<(), SchemaTooLarge> {
        if let Some(deep) = self.fields.iter().find(|field| field.class.depth() > DEPTH_MAX) {
            return Err(SchemaTooLarge::Deep(deep.name.clone()));
        }
        let fields = self.fields.iter().map(|field| 1 + field.class.fields()).sum();
        if fields > FIELDS_MAX { Err(SchemaTooLarge::Wide(fields)) } else { Ok(()) }
    }

    /// The column called `name`.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// What differs in rows of schema `arriving`, in column order.
    pub fn changes(&self, arriving: &Self) -> Vec<SchemaChange> {
        let gone_or_other = self.fields.iter().filter_map(|old| match arriving.field(&old.name) {
            None => Some(SchemaChange::Missing(old.clone())),
            Some(new) if new.class != old.class => Some(SchemaChange::Retyped(old.clone(), new.clone())),
            Some(_) => None,
        });
        let added = arriving
            .fields
            .iter()
            .filter(|new| self.field(&new.name).is_none())
            .map(|new| SchemaChange::Added(new.clone()));
        gone_or_other.chain(added).collect()
    }
}

#[cfg(test)]
mod tests;
