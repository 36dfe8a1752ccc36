//! The logical schema of a dataset: names, type classes, nullability. Physical
//! types stay inside the data engine.

use std::fmt;

use serde::{Deserialize, Serialize};

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

impl Schema {
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
