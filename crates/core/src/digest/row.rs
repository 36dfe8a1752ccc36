//! The bytes of a row.

use super::canonical_bits;
use super::sum::RowHash;
use super::value::Value;
use crate::schema::TypeClass;

/// The bytes that stand before a column's value in every row: its name and class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnHead {
    name: String,
    bytes: Vec<u8>,
}

impl ColumnHead {
    /// The head of the column `name` of scalar or nested class `class`.
    pub fn new(name: &str, class: &TypeClass) -> Self {
        let mut bytes = Vec::with_capacity(name.len() + 5);
        super::part(&mut bytes, name.as_bytes());
        bytes.push(class_tag(class));
        Self { name: name.to_owned(), bytes }
    }

    /// The positions of `heads` in the order columns come in a row.
    pub fn order(heads: &[Self]) -> Vec<usize> {
        let mut order: Vec<usize> = (0..heads.len()).collect();
        order.sort_by(|&a, &b| heads[a].name.as_bytes().cmp(heads[b].name.as_bytes()));
        order
    }
}

/// Encodes rows, one after the other, into one buffer.
///
/// Columns come in the order of their names' bytes. A null column is left out
/// altogether, so that a column added later leaves the hashes of older rows as they are.
#[derive(Debug, Default)]
pub struct RowEncoder {
    bytes: Vec<u8>,
}

impl RowEncoder {
    /// An encoder with an empty row.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a column with a value of any class; the methods below are faster for columns of a known class.
    pub fn column(&mut self, name: &str, value: &Value<'_>) {
        if *value != Value::Null {
            super::part(&mut self.bytes, name.as_bytes());
            value.encode(&mut self.bytes);
        }
    }

    /// Adds a column of class bool.
    pub fn bool(&mut self, head: &ColumnHead, value: bool) {
        self.put(head, &[u8::from(value)]);
    }

    /// Adds a column whose values are whole numbers: int, date, time, timestamp.
    pub fn int(&mut self, head: &ColumnHead, value: i128) {
        self.put(head, &value.to_le_bytes());
    }

    /// Adds a column of class float.
    pub fn float(&mut self, head: &ColumnHead, value: f64) {
        self.put(head, &canonical_bits(value).to_le_bytes());
    }

    /// Adds a column of class text or bytes.
    pub fn bytes(&mut self, head: &ColumnHead, value: &[u8]) {
        self.put(head, value);
    }

    /// Adds a column of class decimal, list or struct.
    pub fn value(&mut self, head: &ColumnHead, value: &Value<'_>) {
        if *value != Value::Null {
            debug_assert_eq!(head.bytes.last(), Some(&value.tag()), "value of the column's class");
            self.bytes.extend_from_slice(&head.bytes[..head.bytes.len() - 1]);
            value.encode(&mut self.bytes);
        }
    }

    /// Hashes the row and begins the next one.
    pub fn finish(&mut self) -> RowHash {
        let hash = RowHash::of(&self.bytes);
        self.bytes.clear();
        hash
    }

    fn put(&mut self, head: &ColumnHead, payload: &[u8]) {
        self.bytes.extend_from_slice(&head.bytes);
        super::part(&mut self.bytes, payload);
    }
}

fn class_tag(class: &TypeClass) -> u8 {
    match class {
        TypeClass::Bool => 1,
        TypeClass::Int => 2,
        TypeClass::Float => 3,
        TypeClass::Decimal => 4,
        TypeClass::Text => 5,
        TypeClass::Bytes => 6,
        TypeClass::Date => 7,
        TypeClass::Time => 8,
        TypeClass::Timestamp => 9,
        TypeClass::List(_) => 10,
        TypeClass::Struct(_) => 11,
    }
}
