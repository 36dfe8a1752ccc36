//! Hashes of rows and their sum.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Bytes of a row hash and of a sum of row hashes: 2048 bits.
pub const ROW_HASH_BYTES: usize = 256;

const LIMBS: usize = ROW_HASH_BYTES / 8;

/// The hash of one row: BLAKE3 in extendable output, read as a little-endian integer.
#[derive(Clone, PartialEq, Eq)]
pub struct RowHash([u64; LIMBS]);

impl RowHash {
    /// The hash of a row's bytes.
    pub fn of(row: &[u8]) -> Self {
        let mut bytes = [0; ROW_HASH_BYTES];
        blake3::Hasher::new().update(row).finalize_xof().fill(&mut bytes);
        Self(limbs(&bytes))
    }
}

impl fmt::Debug for RowHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RowHash({:016x}…)", self.0[0])
    }
}

/// The sum of row hashes, modulo 2^2048. Written as 512 hexadecimal digits, lowest byte first.
#[derive(Clone, PartialEq, Eq)]
pub struct TableSum([u64; LIMBS]);

impl TableSum {
    /// The sum of no rows.
    pub const fn zero() -> Self {
        Self([0; LIMBS])
    }

    /// A row joins.
    pub fn add(&mut self, row: &RowHash) {
        plus(&mut self.0, &row.0);
    }

    /// A row leaves.
    pub fn subtract(&mut self, row: &RowHash) {
        minus(&mut self.0, &row.0);
    }

    /// The rows of `other` join.
    pub fn merge(&mut self, other: &Self) {
        plus(&mut self.0, &other.0);
    }

    /// The rows of `other` leave.
    pub fn remove(&mut self, other: &Self) {
        minus(&mut self.0, &other.0);
    }

    /// The sum as bytes, lowest first.
    pub fn to_bytes(&self) -> [u8; ROW_HASH_BYTES] {
        let mut bytes = [0; ROW_HASH_BYTES];
        for (chunk, limb) in bytes.chunks_exact_mut(8).zip(&self.0) {
            chunk.copy_from_slice(&limb.to_le_bytes());
        }
        bytes
    }

    /// The sum from bytes, lowest first.
    pub fn from_bytes(bytes: &[u8; ROW_HASH_BYTES]) -> Self {
        Self(limbs(bytes))
    }
}

impl Default for TableSum {
    fn default() -> Self {
        Self::zero()
    }
}

impl fmt::Display for TableSum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.to_bytes()))
    }
}

impl fmt::Debug for TableSum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TableSum({:016x}…)", self.0[0])
    }
}

impl std::str::FromStr for TableSum {
    type Err = hex::FromHexError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; ROW_HASH_BYTES];
        hex::decode_to_slice(text, &mut bytes)?;
        Ok(Self::from_bytes(&bytes))
    }
}

impl Serialize for TableSum {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TableSum {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|_| de::Error::custom("expected 512 hexadecimal digits"))
    }
}

fn limbs(bytes: &[u8; ROW_HASH_BYTES]) -> [u64; LIMBS] {
    let mut limbs = [0; LIMBS];
    for (limb, chunk) in limbs.iter_mut().zip(bytes.chunks_exact(8)) {
        let mut word = [0; 8];
        word.copy_from_slice(chunk);
        *limb = u64::from_le_bytes(word);
    }
    limbs
}

fn plus(sum: &mut [u64; LIMBS], term: &[u64; LIMBS]) {
    let mut carry = false;
    for (limb, other) in sum.iter_mut().zip(term) {
        let (partial, first) = limb.overflowing_add(*other);
        let (total, second) = partial.overflowing_add(u64::from(carry));
        *limb = total;
        carry = first | second;
    }
}

fn minus(sum: &mut [u64; LIMBS], term: &[u64; LIMBS]) {
    let mut borrow = false;
    for (limb, other) in sum.iter_mut().zip(term) {
        let (partial, first) = limb.overflowing_sub(*other);
        let (total, second) = partial.overflowing_sub(u64::from(borrow));
        *limb = total;
        borrow = first | second;
    }
}
