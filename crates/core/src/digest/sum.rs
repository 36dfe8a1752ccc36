//! Hashes of elements and their sums: homomorphic hashes of multisets, updated as elements join and leave.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Bytes of a row hash and of a sum of row hashes: 2048 bits.
pub const ROW_HASH_BYTES: usize = 256;

/// Bytes of the hash of a run's element and of a sum of such hashes: 4096 bits. `docs/digest.md` has the reason.
pub const RUN_HASH_BYTES: usize = 512;

/// The hash of one row of a table.
pub type RowHash = ElementHash<ROW_HASH_BYTES>;

/// The sum of the row hashes of a table.
pub type TableSum = HashSum<ROW_HASH_BYTES>;

/// The sum of the element hashes of a run.
pub type RunSum = HashSum<RUN_HASH_BYTES>;

/// The hash of one element: BLAKE3 in extendable output, read as a little-endian integer.
#[derive(Clone, PartialEq, Eq)]
pub struct ElementHash<const BYTES: usize>([u8; BYTES]);

impl<const BYTES: usize> ElementHash<BYTES> {
    /// The hash of an element's bytes.
    pub fn of(element: &[u8]) -> Self {
        let mut bytes = [0; BYTES];
        blake3::Hasher::new().update(element).finalize_xof().fill(&mut bytes);
        Self(bytes)
    }
}

impl<const BYTES: usize> fmt::Debug for ElementHash<BYTES> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ElementHash({}…)", hex::encode(&self.0[..8]))
    }
}

/// The sum of element hashes, modulo two to the power of its bits. Written as hexadecimal digits, lowest byte first.
#[derive(Clone, PartialEq, Eq)]
pub struct HashSum<const BYTES: usize>([u8; BYTES]);

impl<const BYTES: usize> HashSum<BYTES> {
    /// The sum of no elements.
    pub const fn zero() -> Self {
        Self([0; BYTES])
    }

    /// An element joins.
    pub fn add(&mut self, element: &ElementHash<BYTES>) {
        plus(&mut self.0, &element.0);
    }

    /// An element leaves.
    pub fn subtract(&mut self, element: &ElementHash<BYTES>) {
        minus(&mut self.0, &element.0);
    }

    /// The elements of `other` join.
    pub fn merge(&mut self, other: &Self) {
        plus(&mut self.0, &other.0);
    }

    /// The elements of `other` leave.
    pub fn remove(&mut self, other: &Self) {
        minus(&mut self.0, &other.0);
    }

    /// The sum as bytes, lowest first.
    pub const fn to_bytes(&self) -> [u8; BYTES] {
        self.0
    }

    /// The sum from bytes, lowest first.
    pub const fn from_bytes(bytes: &[u8; BYTES]) -> Self {
        Self(*bytes)
    }
}

impl<const BYTES: usize> Default for HashSum<BYTES> {
    fn default() -> Self {
        Self::zero()
    }
}

impl<const BYTES: usize> fmt::Display for HashSum<BYTES> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl<const BYTES: usize> fmt::Debug for HashSum<BYTES> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HashSum({}…)", hex::encode(&self.0[..8]))
    }
}

impl<const BYTES: usize> std::str::FromStr for HashSum<BYTES> {
    type Err = hex::FromHexError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; BYTES];
        hex::decode_to_slice(text, &mut bytes)?;
        Ok(Self(bytes))
    }
}

impl<const BYTES: usize> Serialize for HashSum<BYTES> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, const BYTES: usize> Deserialize<'de> for HashSum<BYTES> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|_| de::Error::custom(format_args!("expected {} hexadecimal digits", 2 * BYTES)))
    }
}

fn plus(sum: &mut [u8], term: &[u8]) {
    let mut carry = false;
    for (limb, other) in sum.as_chunks_mut::<8>().0.iter_mut().zip(term.as_chunks::<8>().0) {
        let (partial, first) = u64::from_le_bytes(*limb).overflowing_add(u64::from_le_bytes(*other));
        let (total, second) = partial.overflowing_add(u64::from(carry));
        *limb = total.to_le_bytes();
        carry = first | second;
    }
}

fn minus(sum: &mut [u8], term: &[u8]) {
    let mut borrow = false;
    for (limb, other) in sum.as_chunks_mut::<8>().0.iter_mut().zip(term.as_chunks::<8>().0) {
        let (partial, first) = u64::from_le_bytes(*limb).overflowing_sub(u64::from_le_bytes(*other));
        let (total, second) = partial.overflowing_sub(u64::from(borrow));
        *limb = total.to_le_bytes();
        borrow = first | second;
    }
}
