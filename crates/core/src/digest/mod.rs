//! Content digests of tables: the same for the same rows whatever their order,
//! file layout or engine, and kept up incrementally.
//!
//! A row is encoded column by column ([`RowEncoder`]), hashed to 2048 bits
//! ([`RowHash`]); the rows of a table are summed modulo 2^2048 ([`TableSum`]),
//! so that adding and removing rows adds and subtracts; the digest covers the
//! logical schema, the number of rows and the sum ([`TableDigest`]). The page
//! `docs/digest.md` specifies every byte, `docs/digest-vectors.json` has vectors.

mod row;
mod run;
mod sum;
mod value;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::schema::{Schema, TypeClass};

pub use row::{ColumnHead, RowEncoder};
pub use run::{RunElement, run_digest};
pub use sum::{ElementHash, HashSum, ROW_HASH_BYTES, RUN_HASH_BYTES, RowHash, RunSum, TableSum};
pub use value::Value;

/// Begins the bytes that a table's digest covers; names this specification.
const TABLE_DOMAIN: &[u8] = b"perennial table 1";

/// The digest of a table: 32 bytes, written as 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TableDigest(String);

impl TableDigest {
    /// The digest of `rows` rows whose hashes sum up to `sum`, under `schema`.
    ///
    /// Columns are hashed by name, so their order does not matter; nullability is not
    /// part of the digest.
    pub fn of(schema: &Schema, rows: u64, sum: &TableSum) -> Self {
        let mut fields: Vec<_> = schema.fields.iter().collect();
        fields.sort_by(|a, b| a.name.as_bytes().cmp(b.name.as_bytes()));
        let mut bytes = Vec::new();
        part(&mut bytes, TABLE_DOMAIN);
        for field in fields {
            part(&mut bytes, field.name.as_bytes());
            part(&mut bytes, class_text(&field.class).as_bytes());
        }
        part(&mut bytes, &i128::from(rows).to_le_bytes());
        part(&mut bytes, &sum.to_bytes());
        Self(blake3::hash(&bytes).to_hex().to_string())
    }

    /// The digest in hexadecimal.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TableDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A class as the digest names it: struct fields in order of their names.
fn class_text(class: &TypeClass) -> String {
    match class {
        TypeClass::List(element) => format!("list<{}>", class_text(element)),
        TypeClass::Struct(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by(|a, b| a.name.as_bytes().cmp(b.name.as_bytes()));
            let fields: Vec<String> =
                fields.iter().map(|field| format!("{}: {}", field.name, class_text(&field.class))).collect();
            format!("struct<{}>", fields.join(", "))
        }
        other => other.to_string(),
    }
}

/// Appends `bytes` behind their length as four bytes, little-endian.
fn part(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(bytes);
}

/// The bits of a float with one NaN and no negative zero.
fn canonical_bits(value: f64) -> u64 {
    if value.is_nan() {
        0x7ff8_0000_0000_0000
    } else if value == 0.0 {
        0
    } else {
        value.to_bits()
    }
}

#[cfg(test)]
mod tests;
