//! Keys of rows as 128-bit numbers: the value of a single integer column, else a hash.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

use arrow::array::{Array, RecordBatch};
use perennial_core::digest::Value;

use crate::digest::Cells;
use crate::error::{Error, Result};

/// The key of a row; `None` when a part of it is null, since null equals nothing.
pub(crate) type Key = Option<u128>;

/// A set of keys, with a cheap hash function.
pub(crate) type KeySet = HashSet<u128, BuildHasherDefault<KeyHasher>>;

/// The columns of a key.
#[derive(Debug, Clone)]
pub(crate) struct KeyColumns {
    names: Vec<String>,
}

impl KeyColumns {
    /// The key of the columns `names`, in that order.
    pub(crate) fn new(names: &[String]) -> Self {
        Self { names: names.to_vec() }
    }

    /// The names.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// The keys of a batch's rows.
    pub(crate) fn of(&self, batch: &RecordBatch) -> Result<Vec<Key>> {
        let columns = self
            .names
            .iter()
            .map(|name| {
                let column = batch.column_by_name(name).ok_or_else(|| missing(name))?;
                Cells::of(column.as_ref())
            })
            .collect::<Result<Vec<_>>>()?;
        if let [Cells::Int(column)] = columns.as_slice() {
            let value = |row| column.is_valid(row).then(|| u128::from(column.value(row).cast_unsigned()));
            return Ok((0..batch.num_rows()).map(value).collect());
        }
        let mut bytes = Vec::new();
        Ok((0..batch.num_rows()).map(|row| hash(&columns, row, &mut bytes)).collect())
    }
}

fn hash(columns: &[Cells<'_>], row: usize, bytes: &mut Vec<u8>) -> Key {
    bytes.clear();
    for column in columns {
        match column.value(row) {
            Value::Null => return None,
            Value::Text(text) => part(bytes, text.as_bytes()),
            Value::Bytes(value) => part(bytes, value),
            Value::Bool(value) => part(bytes, &[u8::from(value)]),
            Value::Int(value) => part(bytes, &value.to_le_bytes()),
            Value::Float(value) => part(bytes, &(value + 0.0).to_le_bytes()),
            Value::Decimal(text) => part(bytes, text.as_bytes()),
            Value::Date(value) | Value::Time(value) | Value::Timestamp(value) => part(bytes, &value.to_le_bytes()),
            nested @ (Value::List(_) | Value::Struct(_)) => part(bytes, format!("{nested:?}").as_bytes()),
        }
    }
    let mut low = [0; 16];
    low.copy_from_slice(&blake3::hash(bytes).as_bytes()[..16]);
    Some(u128::from_le_bytes(low))
}

fn part(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(bytes);
}

fn missing(name: &str) -> Error {
    Error::Argument(format!("the rows have no column `{name}`"))
}

/// Hashes a key by multiplication and rotation.
#[derive(Debug, Default)]
pub(crate) struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn write_u128(&mut self, key: u128) {
        let folded = (key as u64) ^ ((key >> 64) as u64);
        self.0 = folded.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(26).wrapping_mul(0xff51_afd7_ed55_8ccd);
    }
}
